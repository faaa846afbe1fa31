"""A file becomes how it seems to be written, each guess with its evidence: for drafts of contracts.

DuckDB's sniffer proposes, and Python's csv module says what gives rows of one length. A run never
comes here: it reads by the contract alone.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections import Counter
from dataclasses import dataclass, field
from tempfile import NamedTemporaryFile
from typing import Any

from pipeline.errors import DataError
from pipeline.stages.read.csv_errors import MAX_CELL, SEPARATORS
from pipeline.stages.read.duckdb_reader import SETTINGS
from pipeline.stages.read.source import Source
from pipeline.text import counted, quoted

HEAD = 2**21  # bytes that the layout is guessed from
N_LINES = 5000  # of them, at most
CP1252 = re.compile(rb"[\x80\x82-\x8c\x8e\x91-\x9c\x9e\x9f]")  # where Latin-1 has controls
BOMS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
NUMBER = re.compile(r"\s*[+-]?(\d[\d., ]*|[.,]\d+)([eE][+-]?\d+)?\s*")
COMMENTS = ("#", "%", "//")


@dataclass
class Sniffed:
    """``settings`` of the contract that are not its defaults, and the ``evidence`` of each.

    ``names`` (p,) of the first line, or c1, c2, … where the file ``has_header`` not; ``first``: the
    record that was judged.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    evidence: dict[str, str] = field(default_factory=dict)
    unsure: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    first: list[str] = field(default_factory=list)
    has_header: bool = True

    def propose(self, setting: str, value: Any, evidence: str) -> None:
        """Add a setting with its evidence."""
        self.settings[setting] = value
        self.evidence[setting] = evidence


def sniff(source: Source, target: str, max_bytes: int) -> Sniffed:
    """Return how a CSV file seems to be written; a first line that names ``target`` is a header.

    DataError where no delimiter gives it two columns.
    """
    found = Sniffed()
    text = _decoded(source, found, max_bytes)
    if re.match(r"\s*[\[{]\s*[\"{]", text):
        raise DataError(
            f'{source.shown} must be csv, csv.gz or parquet; got JSON: python -c "import pandas; '
            f"pandas.read_json('{source.path.name}', lines={text.lstrip()[0] == '{'})"
            ".to_csv('table.csv', index=False)\""
        )
    lines = text.splitlines(keepends=True)[:N_LINES]
    lines = _without_comments(lines, found)
    delimiter, quote = _dialect(lines, found)
    records = _records(lines, delimiter, quote)
    width = _width(records)
    if width < 2:
        raise DataError(f"{source.shown} must hold two columns or more; got one: what divides it?")
    start = next(i for i, cells in enumerate(records) if len(cells) == width)
    if start:
        # Lines, not records: what stands above a table is prose.
        found.propose("skip_rows", start, f"{counted(start, 'line')} before the table")
    _header(records[start:], width, target, found)
    _spaces(records[start + found.has_header :], found)
    return found


def _decoded(source: Source, found: Sniffed, max_bytes: int) -> str:
    """Return the text of the first whole lines; every byte of the file is looked at."""
    head, special, n_zero, is_utf8 = b"", b"", 0, True
    decoder = codecs.getincrementaldecoder("utf-8")()
    for chunk in source.chunks(max_bytes):
        head += chunk[: max(HEAD - len(head), 0)]
        special = special or b"".join(CP1252.findall(chunk)[:1])
        n_zero += chunk.count(0)
        try:
            is_utf8 = is_utf8 and decoder.decode(chunk) is not None
        except UnicodeDecodeError:
            is_utf8 = False
    encoding = next((name for bom, name in BOMS.items() if head.startswith(bom)), None)
    if encoding is None and n_zero * 3 > len(head):
        encoding = "utf-16-le" if head[1:2] == b"\0" else "utf-16-be"
    if encoding is None and not is_utf8:
        encoding = "cp1252" if special else "latin-1"
    if encoding not in (None, "utf-8"):
        why = f"byte 0x{special.hex()} is no letter of Latin-1" if special else "it is no UTF-8"
        found.propose("encoding", encoding, "zero bytes or a mark" if "16" in encoding else why)
        if encoding in ("cp1252", "latin-1"):
            found.unsure.append(f"encoding {encoding}: are accents and signs what they should be?")
    text = head.decode("utf-8-sig" if encoding in (None, "utf-8") else encoding, "replace")
    return text if len(head) < HEAD else text[: text.rfind("\n") + 1]


def _without_comments(lines: list[str], found: Sniffed) -> list[str]:
    """Return the lines that are no comment: such begin with a mark that other lines lack."""
    for mark in COMMENTS:
        marked = [line for line in lines if line.startswith(mark)]
        # A header may begin with "#", as in "#id,age": it has the delimiters of the others.
        if marked and len(marked) < len(lines) and (len(marked) > 1 or _is_prose(marked[0], lines)):
            found.propose("comment", mark, f"{counted(len(marked), 'line')} begin with it")
            return [line for line in lines if not line.startswith(mark)]
    return lines


def _is_prose(line: str, lines: list[str]) -> bool:
    common = Counter(_delimiters(other) for other in lines).most_common(1)[0][0]
    return _delimiters(line) != common


def _delimiters(line: str) -> tuple[int, ...]:
    return tuple(line.count(mark) for mark in SEPARATORS)


def _dialect(lines: list[str], found: Sniffed) -> tuple[str, str]:
    """Return the delimiter and the quote."""
    sniffed, quote = _by_duckdb("".join(lines))
    marks = dict.fromkeys([*sniffed, *SEPARATORS, " "])
    scores = {mark: _score(lines, mark, quote) for mark in marks}
    delimiter = max(scores, key=lambda mark: scores[mark])
    if delimiter != ",":
        share, width = scores[delimiter][0], _width(_records(lines, delimiter, quote))
        found.propose("delimiter", delimiter, f"{share:.0%} of the rows have {width} cells by it")
    if quote == "'":
        found.propose("quote", quote, "cells stand between such")
    return delimiter, quote


def _by_duckdb(text: str) -> tuple[list[str], str]:
    """Return the delimiter that DuckDB proposes, in a list that may be empty, and the quote."""
    import duckdb

    with NamedTemporaryFile(suffix=".csv") as file, duckdb.connect(config=SETTINGS) as db:
        file.write(text.encode("utf-8", "replace"))
        file.flush()
        try:
            sql = "SELECT Delimiter, Quote FROM sniff_csv(?, strict_mode=false)"
            delimiter, quote = db.execute(sql, [file.name]).fetchall()[0]
        except duckdb.Error:
            return [], '"'
    delimiter = {"\\t": "\t"}.get(delimiter, delimiter)
    return [delimiter] if len(delimiter) == 1 and delimiter not in "\"'" else [], (
        "'" if quote == "'" else '"'
    )


def _score(lines: list[str], delimiter: str, quote: str) -> tuple[float, float]:
    """Return the share of rows of the commonest length, and that of cells which are numbers.

    Both are 0 for a single column. A decimal comma can divide a file as evenly as its delimiter.
    """
    records = _records(lines, delimiter, quote)
    width = _width(records)
    if width < 2:
        return 0.0, 0.0
    regular = [cells for cells in records if len(cells) == width]
    cells = [cell for record in regular[:200] for cell in record]
    clean = [cell for cell in cells if NUMBER.fullmatch(cell) or not re.search("[;\t|]", cell)]
    return round(len(regular) / len(records), 2), len(clean) / len(cells)


def _records(lines: list[str], delimiter: str, quote: str) -> list[list[str]]:
    csv.field_size_limit(MAX_CELL)
    try:
        return [r for r in csv.reader(lines, delimiter=delimiter, quotechar=quote) if r]
    except csv.Error:
        return []


def _width(records: list[list[str]]) -> int:
    return Counter(map(len, records)).most_common(1)[0][0] if records else 0


def _header(records: list[list[str]], width: int, target: str, found: Sniffed) -> None:
    """Judge whether the first record holds names."""
    first, *rest = [cells for cells in records if len(cells) == width]
    names = [cell.strip() for cell in first]
    found.first, found.names, found.has_header = names, names, True
    if target in names:
        found.evidence["header"] = "the first line names the target"
        return
    against = _against_header(names, rest)
    if against:
        found.has_header = False
        found.names = [f"c{i + 1}" for i in range(width)]
        found.propose("names", found.names, f"no header: {against}")
        found.unsure.append(f"names: the first line was taken for a row, as {against}")


def _against_header(first: list[str], rest: list[list[str]]) -> str:
    """Return why the first record is a row like the others; "" if it is not."""
    numbers = [cell for cell in first if NUMBER.fullmatch(cell)]
    if numbers:
        return f"it holds the number {quoted(numbers[0], 20)}"
    twice = [cell for cell, n in Counter(first).items() if n > 1 and cell]
    recurs = [
        cell
        for i, cell in enumerate(first)
        if cell and any(record[i].strip() == cell for record in rest)
    ]
    if twice and recurs:
        return f"it holds {quoted(twice[0], 20)} twice"
    return f"{quoted(recurs[0], 20)} is in other rows too" if recurs else ""


def _spaces(records: list[list[str]], found: Sniffed) -> None:
    """Propose to strip cells where some have spaces around them."""
    cells = [cell for record in records for cell in record]
    n = sum(cell != cell.strip() for cell in cells)
    if n:
        share = n / len(cells)
        found.propose("strip", True, f"{share:.0%} of the cells have spaces around them")
