"""A CSV file becomes records with their line numbers, exactly; or what is wrong with it, and where.

The slow reader (Python's csv, a million rows a second) that has the last word wherever DuckDB
refuses a file or may read it differently.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from pipeline.config.file_settings import BLANKS, FileSettings
from pipeline.errors import DataError
from pipeline.stages.read.source import Source
from pipeline.text import bounded, counted

Record = tuple[int, list[str]]  # the number of its first line, its cells

MAX_CELL = 10**6  # characters
MAX_LINE = 10**8  # characters; what is longer would fill the memory
N_SHOWN = 5  # lines, or names, that a violation lists
CSV_RULES = {  # by what the csv module says
    "expected after": "close a quote at the end of a cell (one within quotes is written twice)",
    "unexpected end": "close every quote",
    "field larger": f"hold cells of at most {MAX_CELL} characters (or is a quote not closed?)",
}
SEPARATORS = {";": "semicolon", "\t": "tab", ",": "comma", "|": "bar"}


def checked_records(
    source: Source, data: FileSettings, width: int, header: bool
) -> Iterator[Record]:
    """Yield the records without the header, each of ``width`` cells.

    DataError after the last one, if some were of another length.
    """
    irregular: dict[int, list[Record]] = {}  # the first of each length
    n_irregular: Counter[int] = Counter()
    first_good = 0
    for line, cells in every_record(source, data, header):
        n = len(cells)
        if n == width:
            first_good = first_good or line
            yield line, cells
            continue
        n_irregular[n] += 1
        if n_irregular[n] <= N_SHOWN:
            irregular.setdefault(n, []).append((line, cells[: width + 1]))
    if irregular:
        rule = f"{source.shown} must have {width} cells in a row"
        raise DataError(
            bounded(
                f"{rule}; got {n} {_at(shown, n_irregular[n])}"
                f"{_length_hint(n, shown, width, data.delimiter, first_good)}"
                for n, shown in irregular.items()
            )
        )


def every_record(source: Source, data: FileSettings, header: bool) -> Iterator[Record]:
    """Yield the records without the header, of whatever length; DataError if there is none."""
    found = records(source, data)
    if header:
        next(found)
    record = None
    for record in found:
        yield record
    if record is None:
        raise DataError(f"{source.shown} must hold rows; got a header alone")


def records(source: Source, data: FileSettings) -> Iterator[Record]:
    """Yield every record that is not blank; a line ends in LF, CRLF or CR.

    DataError where a quote is not closed, a cell does not end at its closing quote, or is too long.
    """
    csv.field_size_limit(MAX_CELL)
    lines: list[str] = []  # of the record that is being read
    quote, delimiter = data.quote or '"', " " if data.delimiter == "blanks" else data.delimiter
    with io.TextIOWrapper(source.open(), encoding=source.encoding, newline="") as text:
        reader = csv.reader(
            _keep(text, lines, data), strict=True, delimiter=delimiter, quotechar=quote,
            quoting=csv.QUOTE_MINIMAL if data.quote else csv.QUOTE_NONE,
            skipinitialspace=data.strip or data.delimiter == "blanks",
        )  # fmt: skip
        try:
            for cells in reader:
                if data.strip:
                    cells = [cell.strip(BLANKS) for cell in cells]  # noqa: PLW2901
                if cells and (cells != [""] or not data.strip):
                    yield reader.line_num - len(lines) + 1, cells
                lines.clear()
        except UnicodeError:
            source.require_unchanged()  # its bytes were looked at before
            raise
        except csv.Error as error:
            first = reader.line_num - len(lines) + 1
            what = _malformed(str(error), first, lines, delimiter, quote)
            raise DataError(f"{source.shown} {what}") from None


def _keep(text: io.TextIOWrapper, lines: list[str], data: FileSettings) -> Iterator[str]:
    """Yield the lines of the text, and append each to ``lines``.

    A line that is no part of the table, and a comment, is yielded as a blank one: it is counted.
    """
    n_lines = 0
    while line := text.readline(MAX_LINE):
        n_lines += 1
        if n_lines == 1:
            line = line.removeprefix("\ufeff")
        is_comment = data.comment is not None and not lines and line.startswith(data.comment)
        if n_lines < data.first_line or is_comment:
            line = "\n"
        elif data.delimiter == "blanks":
            line = line.replace("\t", " ").rstrip(BLANKS) + "\n"
        lines.append(line)
        yield line if len(line) < MAX_LINE else "x" * (MAX_CELL + 1)  # which is refused


def _malformed(error: str, first: int, lines: list[str], delimiter: str, quote: str) -> str:
    """Return which rule the record breaks that begins on line ``first``, and where."""
    rule = next((rule for part, rule in CSV_RULES.items() if part in error), "be a CSV file")
    opened = first + _last_opening("".join(lines), delimiter, quote)
    last = first + len(lines) - 1
    cure = "" if "limit" in error else " (set data.quote=null if quotes are text)"
    return f"must {rule}; got {error} at line {last}, in the cell that opens at line {opened}{cure}"


def _last_opening(text: str, delimiter: str, quote: str) -> int:
    """Return how many lines into the record its last opening quote stands; 0 without one."""
    q = re.escape(quote)
    quoted_cell = rf"(?:\A|(?<=[{re.escape(delimiter)}\r\n])){q}[^{q}]*(?:{q}{q}[^{q}]*)*{q}?"
    last = 0
    for cell in re.finditer(quoted_cell, text):
        last = cell.start()
    return len(re.findall(r"\r\n?|\n", text[:last]))


def _at(shown: list[Record], n_rows: int) -> str:
    places = ", ".join(str(line) for line, _ in shown) + (", …" if n_rows > len(shown) else "")
    return f"at line {places}" if n_rows == 1 else f"in {counted(n_rows, 'row')}: lines {places}"


def _length_hint(n: int, shown: list[Record], width: int, delimiter: str, first_good: int) -> str:
    """Return why the rows that are ``shown`` probably have n cells and not ``width``, or ""."""
    first = shown[0][1]
    separator = other_separator(first, width, delimiter)
    # An index counts up. R leaves it out of the header, so that the rows alone are too long.
    numbers = [int(cells[0]) for _, cells in shown if re.fullmatch("[0-9]{1,9}", cells[0])]
    is_index = len(numbers) == len(shown) and {b - a for a, b in pairwise(numbers)} == {1}
    is_above = shown[0][0] == 1 and shown[-1][0] < first_good
    hints = {
        "is it a comment? Set data.comment=hash": first[0].startswith("#"),
        separator: separator != "",
        "there is a delimiter at the end of the line": n == width + 1 and first[-1] == "",
        "is the first one an index? Write the file without it": n == width + 1 and is_index,
        "there is nothing but white space; set data.strip=true to skip such lines": (
            not "".join(first).strip()
        ),
        f"is it a title? Set data.skip_rows={first_good - 1}": is_above,
        "is the line cut off?": n < width,
    }
    return next((f": {hint}" for hint, holds in hints.items() if holds), "")


def other_separator(cells: list[str], width: int, delimiter: str) -> str:
    """Return by what else the file seems to be separated, if its first line says so."""
    if len(cells) != 1 or width < 2:
        return ""
    for char, name in SEPARATORS.items():
        if char != delimiter and cells[0].count(char) >= max(1, width - 2):
            return f"it looks separated by {name}s: set data.delimiter={name}"
    if delimiter != "blanks" and len(cells[0].split()) == width:
        return "it looks separated by blanks: set data.delimiter=blanks"
    return ""
