"""A file becomes how it seems to be written, each guess with its evidence: for drafts of contracts.

DuckDB's sniffer proposes, and Python's csv module says what gives rows of one length. A run never
comes here: it reads by the contract alone.
"""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from dataclasses import dataclass, field
from tempfile import NamedTemporaryFile
from typing import Any

from pipeline.config.file_settings import BLANKS
from pipeline.errors import DataError
from pipeline.stages.read.duckdb_reader import SETTINGS
from pipeline.stages.read.head import read_head
from pipeline.stages.read.layout import renamed
from pipeline.stages.read.records import MAX_CELL, SEPARATORS
from pipeline.stages.read.source import Source
from pipeline.text import counted, quoted

N_LINES = 5000  # that the layout is guessed from
N_AHEAD = 50  # lines that a record may have
MOSTLY = 0.9  # of the rows are of one length, or blanks may divide the cells
NUMERAL = re.compile(r"\s*[+-]?(\d[\d., ]*|[.,]\d+)([eE][+-]?\d+)?\s*")
COMMENTS = ("#", "%", "//")
INDEX = "index"  # the name of a column that a header leaves out
BY_BLANKS = "blanks"  # any run of spaces and tabs


@dataclass
class Sniffed:
    """``settings`` of the contract that are not its defaults, and the ``evidence`` of each.

    ``names`` (p,) of the columns: those of the first line, or c1, c2, … where it is no header.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    evidence: dict[str, str] = field(default_factory=dict)
    unsure: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
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
    head = read_head(source, max_bytes)
    if head.encoding != "utf-8":
        found.propose("encoding", head.encoding, head.why)
        found.unsure.append(f"encoding {head.encoding}: are accents and signs as they should be?")
    lines = _without_comments(io.StringIO(head.text, newline="").readlines()[:N_LINES], found)
    delimiter, quote = _dialect(lines, found)
    lines = _without_prose(lines, delimiter, quote, found)
    records = _records(lines, delimiter, quote)
    if not records:
        raise DataError(f"{source.shown} must hold two columns or more; got one: what divides it?")
    _header(records, target, found)
    _spaces(_split(lines, delimiter, quote, blanks=True)[found.has_header :], found)
    return found


def _without_comments(lines: list[str], found: Sniffed) -> list[str]:
    """Return the lines with a blank one for each comment, which begins with a mark of its own."""
    forms = Counter(map(_delimiters, lines))
    for mark in COMMENTS:
        marked = [line for line in lines if line.startswith(mark)]
        # A header may begin with "#", as in "#id,age": it has the delimiters of the others.
        strange = any(_delimiters(line) != forms.most_common(1)[0][0] for line in marked)
        if strange and len(marked) < len(lines):
            found.propose("comment", mark, f"{counted(len(marked), 'line')} begin with it")
            return ["\n" if line.startswith(mark) else line for line in lines]
    return lines


def _delimiters(line: str) -> tuple[int, ...]:
    return tuple(line.count(mark) for mark in SEPARATORS)


def _dialect(lines: list[str], found: Sniffed) -> tuple[str, str]:
    """Return the delimiter and the quote."""
    sniffed, quote = _by_duckdb("".join(lines))
    scores = {mark: _score(lines, mark, quote) for mark in [*sniffed, *SEPARATORS]}
    delimiter = max(scores, key=lambda mark: scores[mark])
    if scores[delimiter][0] < MOSTLY and _score(lines, BY_BLANKS, quote)[0] > MOSTLY:
        delimiter = BY_BLANKS
    if delimiter != ",":
        width = _width(_split(lines, delimiter, quote))
        found.propose("delimiter", delimiter, f"by it most rows have {width} cells")
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
    """Return the share of rows of the commonest length, and that of cells without another mark.

    Both are 0 for a single column. A decimal comma can divide a file as evenly as its delimiter.
    """
    records = _split(lines, delimiter, quote)
    width = _width(records)
    if width < 2:
        return 0.0, 0.0
    regular = [cells for cells in records if len(cells) == width]
    cells = [cell for record in regular[:200] for cell in record]
    clean = [cell for cell in cells if not re.search("[;\t|]", cell)]
    return round(len(regular) / len(records), 2), len(clean) / len(cells)


def _without_prose(lines: list[str], delimiter: str, quote: str, found: Sniffed) -> list[str]:
    """Return the lines from the first one that has as many cells as most."""
    width = _width(_split(lines, delimiter, quote))
    for i in range(len(lines)):
        first = _split(lines[i : i + N_AHEAD], delimiter, quote)[:1]
        if _width(first) == width:
            above = _split(lines[max(i - 1, 0) : i], delimiter, quote)
            if _width(above) == width - 1 > 0 and _are_names(above[0]) and not _are_names(first[0]):
                found.propose("header", True, "R leaves the index out of it")
                return [f"{INDEX}{delimiter}{lines[i - 1]}", *lines[i:]]
            if any(line.strip() for line in lines[:i]):
                found.propose("skip_rows", i, f"{counted(i, 'line')} above the table")
            return lines[i:]
    return lines


def _are_names(cells: list[str]) -> bool:
    return all(cell.strip() and not NUMERAL.fullmatch(cell) for cell in cells)


def _records(lines: list[str], delimiter: str, quote: str) -> list[list[str]]:
    """Return the records of the commonest length; none where that is a single cell."""
    records = _split(lines, delimiter, quote)
    width = _width(records)
    return [cells for cells in records if len(cells) == width] if width > 1 else []


def _split(
    lines: list[str], delimiter: str, quote: str, *, blanks: bool = False
) -> list[list[str]]:
    """Return the records that are not blank, with ``blanks`` those before a cell in it."""
    csv.field_size_limit(MAX_CELL)
    by_blanks = delimiter == BY_BLANKS
    reader = csv.reader(
        (line.replace("\t", " ").strip(BLANKS) + "\n" if by_blanks else line for line in lines),
        delimiter=" " if by_blanks else delimiter, quotechar=quote,
        skipinitialspace=not blanks or by_blanks,  # a quote after a blank opens a cell
    )  # fmt: skip
    try:
        return [cells for cells in reader if cells]
    except csv.Error:
        return []


def _width(records: list[list[str]]) -> int:
    return Counter(map(len, records)).most_common(1)[0][0] if records else 0


def _header(records: list[list[str]], target: str, found: Sniffed) -> None:
    """Judge whether the first record holds names, and give each column one of its own."""
    first, *rest = records
    found.names = [cell.strip(BLANKS) for cell in first]
    against = "" if target in found.names else _against_header(found.names, rest)
    if against:
        found.has_header = False
        found.names = [f"c{i + 1}" for i in range(len(first))]
        found.propose("names", found.names, f"no header: {against}")
        found.unsure.append(f"names: the first line was taken for a row, as {against}")
    elif found.names[0] == INDEX and "header" in found.settings:
        found.propose("names", found.names, "those of the header, and one for the index")
    elif len({*found.names}) < len(found.names) or "" in found.names:
        found.names = renamed(found.names)
        found.propose("header", True, "")
        found.propose("names", found.names, "in the header some are missing, or there twice")


def _against_header(first: list[str], rest: list[list[str]]) -> str:
    """Return why the first record is a row like the others; "" if it is not."""
    numbers = [cell for cell in first if NUMERAL.fullmatch(cell)]
    if numbers:
        return f"it holds the number {quoted(numbers[0], 20)}"
    twice = [cell for cell, n in Counter(first).items() if n > 1 and cell]
    recurs = [
        cell
        for i, cell in enumerate(first)
        if cell and any(record[i].strip(BLANKS) == cell for record in rest)
    ]
    if twice and recurs:
        return f"it holds {quoted(twice[0], 20)} twice"
    return f"{quoted(recurs[0], 20)} is in other rows too" if recurs else ""


def _spaces(records: list[list[str]], found: Sniffed) -> None:
    """Propose to strip cells where some have spaces around them."""
    cells = [cell for record in records for cell in record]
    padded = [cell for cell in cells if cell != cell.strip(BLANKS)]
    if padded:
        found.propose("strip", True, f"cells have spaces around them, as {quoted(padded[0], 20)}")
