"""A CSV file becomes records with their line numbers, exactly; or what is wrong with it, and where.

The slow reader (Python's csv, a million rows a second) that has the last word wherever DuckDB
refuses a file or may read it differently.
"""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline.config.contract import DataSettings
from pipeline.errors import DataError
from pipeline.stages.read.source import Source
from pipeline.text import bounded, counted, quoted

Record = tuple[int, list[str]]  # the number of its first line, its cells

MAX_CELL = 10**6  # characters
MAX_LINE = 10**8  # characters; what is longer would fill the memory
N_SHOWN = 5  # lines, or names, that a violation lists
CSV_RULES = {  # by what the csv module says
    "expected after": "close a quote at the end of a cell (one within quotes is written twice)",
    "unexpected end": "close every quote",
    "field larger": f"hold cells of at most {MAX_CELL} characters (or is a quote not closed?)",
}
SEPARATORS = {";": "semicolons", "\t": "tabs", ",": "commas", "|": "bars"}


@dataclass(frozen=True)
class Layout:
    """The names of the columns of a file, in its order, and whether its first record is them."""

    names: tuple[str, ...]
    header: bool


def read_layout(source: Source, data: DataSettings, need_target: bool = True) -> Layout:
    """Return where each column of the contract stands in a CSV file; DataError if it does not.

    The contract's own ``names`` are taken where it has some. Where the target is not needed
    (rows to predict), such a file may lack it, and may have those names as a header.
    """
    line, first = next(records(source, data.delimiter), (0, []))
    if not first:
        raise DataError(f"{source.shown} must hold a table; got no row")
    names = data.names
    if names is None:
        separator = _other_separator(first, len(data.columns) + 1, data.delimiter)
        if separator:
            raise DataError(f"{source.shown} must have a header; got one cell: {separator}")
        require_names(f"header of {source.shown}, line {line},", first, data, need_target)
        return Layout(tuple(first), header=True)
    if need_target:
        return Layout(names, header=False)
    without = tuple(name for name in names if name != data.target.name)
    names = without if len(first) == len(without) else names
    return Layout(names, header=tuple(first) == names)


def require_names(place: str, got: Sequence[str], data: DataSettings, need_target: bool) -> None:
    """Raise DataError unless the names are the contract's, each once, in any order.

    Where rows are only to be predicted, the target and ignored columns may lack.
    """
    expected = (*data.columns, data.target.name)
    lacking = [n for n in (expected if need_target else data.attributes) if n not in got]
    extra = [name for name in dict.fromkeys(got) if name not in expected]
    twice = [name for name, n in Counter(got).items() if n > 1]
    if len(extra) == len({*got}):
        raise DataError(
            f"{place} must name {listed(lacking)}; got {listed(got)}: if the file has no header, "
            "name its columns in data.names"
        )
    violations = [f"must name each column once; got {listed(twice)} twice"] if twice else []
    violations += [f"must name {listed(lacking)}; got no such column"] if lacking else []
    violations += [
        f"must name columns of the contract; got {quoted(name)}{_name_hint(name, got, lacking)}"
        for name in extra[:N_SHOWN]
    ]
    if violations:
        raise DataError(bounded(f"{place} {violation}" for violation in violations))


def checked_records(source: Source, data: DataSettings, columns: Layout) -> Iterator[Record]:
    """Yield the records without the header, each as long as ``columns``.

    DataError after the last one, if some were of another length or there is none.
    """
    width = len(columns.names)
    irregular: dict[int, list[Record]] = {}  # the first of each length
    n_irregular: Counter[int] = Counter()
    n_good = 0
    rest = records(source, data.delimiter)
    if columns.header:
        next(rest)
    for line, cells in rest:
        n = len(cells)
        if n == width:
            n_good += 1
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
                f"{_length_hint(n, shown, width, data.delimiter)}"
                for n, shown in irregular.items()
            )
        )
    if not n_good:
        raise DataError(f"{source.shown} must hold rows; got a header alone")


def records(source: Source, delimiter: str) -> Iterator[Record]:
    """Yield every record that is not blank; a line ends in LF, CRLF or CR.

    DataError where a quote is not closed, a cell does not end at its closing quote, or is too long.
    """
    csv.field_size_limit(MAX_CELL)
    lines: list[str] = []  # of the record that is being read
    with io.TextIOWrapper(source.open(), encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(_keep(text, lines), delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                if cells:
                    yield reader.line_num - len(lines) + 1, cells
                lines.clear()
        except csv.Error as error:
            first = reader.line_num - len(lines) + 1
            what = _malformed(str(error), first, lines, delimiter)
            raise DataError(f"{source.shown} {what}") from None


def listed(names: Sequence[str]) -> str:
    """Return the first names, quoted and bounded."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(quoted(name, 40) for name in names[:8]) + more


def _keep(text: io.TextIOWrapper, lines: list[str]) -> Iterator[str]:
    """Yield the lines of the text, and append each to ``lines``."""
    while line := text.readline(MAX_LINE):
        lines.append(line)
        yield line if len(line) < MAX_LINE else "x" * (MAX_CELL + 1)  # which is refused


def _malformed(error: str, first: int, lines: list[str], delimiter: str) -> str:
    """Return which rule the record breaks that begins on line ``first``, and where."""
    rule = next((rule for part, rule in CSV_RULES.items() if part in error), "be a CSV file")
    opened = first + _last_opening("".join(lines), delimiter)
    last = first + len(lines) - 1
    return f"must {rule}; got {error} at line {last}, in the cell that opens at line {opened}"


def _last_opening(text: str, delimiter: str) -> int:
    """Return how many lines into the record its last opening quote stands; 0 without one."""
    quoted_cell = rf'(?:\A|(?<=[{re.escape(delimiter)}\r\n]))"[^"]*(?:""[^"]*)*"?'
    last = 0
    for cell in re.finditer(quoted_cell, text):
        last = cell.start()
    return len(re.findall(r"\r\n?|\n", text[:last]))


def _at(shown: list[Record], n_rows: int) -> str:
    places = ", ".join(str(line) for line, _ in shown) + (", …" if n_rows > len(shown) else "")
    return f"at line {places}" if n_rows == 1 else f"in {counted(n_rows, 'row')}: lines {places}"


def _length_hint(n: int, shown: list[Record], width: int, delimiter: str) -> str:
    """Return why the rows that are ``shown`` probably have n cells and not ``width``, or ""."""
    first = shown[0][1]
    separator = _other_separator(first, width, delimiter)
    if separator:
        return f": {separator}"
    if first[0].startswith("#"):
        return ": is it a comment? Take it out"
    if n == width + 1 and first[-1] == "":
        return ": there is a delimiter at the end of the line"
    # An index counts up. R leaves it out of the header, so that the rows alone are too long.
    numbers = [int(cells[0]) for _, cells in shown if re.fullmatch("[0-9]{1,9}", cells[0])]
    is_index = len(numbers) == len(shown) and {b - a for a, b in pairwise(numbers)} == {1}
    if n == width + 1 and is_index:
        return ": is the first one an index? Write the file without it"
    if n < width and not "".join(first).strip():
        return ": there is nothing but white space"
    return ": is the line cut off?" if n < width else ""


def _other_separator(cells: list[str], width: int, delimiter: str) -> str:
    """Return by what else the file seems to be separated, if its first line says so."""
    if len(cells) != 1 or width < 2:
        return ""
    for char, name in SEPARATORS.items():
        if char != delimiter and cells[0].count(char) >= max(1, width - 2):
            return f"it looks separated by {name}: set data.delimiter={char!a}"
    return ""


def _name_hint(name: str, got: Sequence[str], lacking: list[str]) -> str:
    if name == "" and got[0] != "":
        return ": there is a delimiter at the end of the line"
    if name == "" or name.startswith("Unnamed:"):
        return ": is it an index? Write the file without it"
    near = difflib.get_close_matches(name[:100].strip().lower(), lacking[:100], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
