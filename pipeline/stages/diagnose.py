"""A CSV file becomes records with their line numbers, exactly; or what is wrong with it, and where.

The slow reader (Python's csv, a million rows a second) that has the last word wherever DuckDB
refuses a file or may read it differently.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.config import DataSettings
from pipeline.errors import DataError, bounded
from pipeline.stages.source import MAX_FIELD, Source, too_long

Record = tuple[int, list[str]]  # the number of its first line, its cells

N_LINES = 5  # line numbers that a fault shows
SEPARATORS = {";": "semicolons", "\t": "tabs", ",": "commas", "|": "bars"}


@dataclass(frozen=True)
class Layout:
    """The names of the fields of a CSV file, in its order, and whether its first record is them."""

    names: tuple[str, ...]
    header: bool


def layout(source: Source, data: DataSettings, need_target: bool = True) -> Layout:
    """Where each column of the contract stands.

    The contract's own ``names`` are taken where it has some. Where the target is not needed
    (rows to predict), such a file may lack its field, and may have those names as a header.

    Raises
    ------
    DataError
        If the header lacks a name, has an unexpected one, or one twice.
    """
    line, first = next(records(source, data.delimiter), (0, []))
    target = data.target.name
    if data.names is None:
        other = _other_separator(first, len(data.columns) + 1, data.delimiter)
        if other:
            raise DataError(f"{source.shown} must have a header of the contract's columns; {other}")
        require_names(f"{source.shown} line {line}: the header", first, data, need_target)
        return Layout(tuple(first), header=True)
    expected = data.names
    if need_target:
        return Layout(expected, header=False)
    without = tuple(name for name in expected if name != target)
    names = without if len(first) == len(without) else expected
    return Layout(names, header=tuple(first) == names)


def require_names(place: str, got: Sequence[str], data: DataSettings, need_target: bool) -> None:
    """Raise DataError unless the names are the contract's, each once, in any order.

    Where rows are only to be predicted, the target and ignored columns may lack.
    """
    expected = (*data.columns, data.target.name)
    required = expected if need_target else tuple(data.attributes)
    lacking = [name for name in required if name not in got]
    extra = [name for name in dict.fromkeys(got) if name not in expected]
    twice = [name for name, n in Counter(got).items() if n > 1]
    if len(lacking) == len(expected):
        raise DataError(
            f"{place} must name {listed(lacking)}; got {listed(got)}: if the file has no header, "
            "name its columns in data.names"
        )
    faults = []
    if twice:
        faults.append(f"{place} must name each column once; got {listed(twice)} more than once")
    if lacking:
        faults.append(f"{place} must name {listed(lacking)}; got no such column")
    for name in extra[:N_LINES]:
        hint = _name_hint(name, got, lacking)
        faults.append(f"{place} must name columns of the contract; got {_named(name)}{hint}")
    if len(extra) > N_LINES:
        faults.append(f"{place} must name {len(expected)} columns; got {len(got)}")
    if faults:
        raise DataError(bounded(faults))


def checked_records(source: Source, data: DataSettings, columns: Layout) -> Iterator[Record]:
    """The records without the header, each as long as ``columns``.

    Raises
    ------
    DataError
        After the last record, if some were of another length; or where none is left to read.
    """
    odd: dict[int, list[Record]] = {}
    n_odd: Counter[int] = Counter()
    n_good = 0
    width = len(columns.names)
    rest = records(source, data.delimiter)
    if columns.header:
        next(rest)
    for record in rest:
        n = len(record[1])
        if n == width:
            n_good += 1
            yield record
            continue
        n_odd[n] += 1
        if n_odd[n] <= N_LINES:
            odd.setdefault(n, []).append((record[0], record[1][: width + 1]))
    if odd:
        faults = [
            _length_fault(source, n, n_odd[n], odd[n], width, data)
            for n in sorted(odd, key=lambda n: odd[n][0][0])
        ]
        raise DataError(bounded(faults))
    if not n_good:
        raise DataError(f"{source.shown} must hold rows; got a header and no row")


def records(source: Source, delimiter: str) -> Iterator[Record]:
    """Every record that is not blank. A line ends in LF, CRLF or CR; quotes may hold newlines.

    Raises
    ------
    DataError
        Where a quote is not closed, a cell does not end at its closing quote, or is too long.
    """
    csv.field_size_limit(MAX_FIELD)
    with io.TextIOWrapper(source.open(), encoding="utf-8-sig", newline="") as text:
        kept = _Kept(text)
        reader = csv.reader(kept, delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                if cells:
                    yield reader.line_num - len(kept.lines) + 1, cells
                kept.lines.clear()
        except csv.Error as error:
            first = reader.line_num - len(kept.lines) + 1
            raise DataError(_malformed(source, str(error), first, kept.lines, delimiter)) from None


def listed(names: Sequence[str]) -> str:
    """The first names, quoted and bounded."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(map(_named, names[:8])) + more


class _Kept:
    """Lines, kept as long as they belong to one record."""

    def __init__(self, text: io.TextIOWrapper) -> None:
        self._text = text
        self.lines: list[str] = []

    def __iter__(self) -> Iterator[str]:
        for line in self._text:
            self.lines.append(line)
            yield line


def _malformed(source: Source, error: str, first: int, lines: list[str], delimiter: str) -> str:
    """What the csv module refused, told with the line where it began."""
    at = first + len(lines) - 1
    opened = first + _last_opening("".join(lines), delimiter)
    if "expected after" in error:
        return (
            f"{source.shown} must close a quote at the end of a cell; got text after the closing "
            f"quote at line {at}, in the cell that opens at line {opened} (a quote within quotes "
            "is written twice)"
        )
    if "field larger" in error:
        return f"{too_long(source.shown, opened)}: is a quote opened there and not closed?"
    if "unexpected end" in error:
        return (
            f"{source.shown} must close every quote; got one that opens at line {opened} and "
            "does not close"
        )
    return f"{source.shown} must be a CSV file; got {error!r} at line {at}"


def _last_opening(text: str, delimiter: str) -> int:
    """How many lines into the record its last opening quote stands."""
    opened, inside, line, before = 0, False, 0, delimiter
    for char in text:
        if char == '"' and inside:
            inside = False
        elif char == '"' and before in (delimiter, '"', "\n", "\r"):
            inside = True
            opened = opened if before == '"' else line
        line += char == "\r" or (char == "\n" and before != "\r")
        before = char
    return opened


def _length_fault(
    source: Source, n: int, n_rows: int, shown: list[Record], width: int, data: DataSettings
) -> str:
    places = ", ".join(str(line) for line, _ in shown) + (", …" if n_rows > len(shown) else "")
    rows = f"{n_rows} rows: lines" if n_rows > 1 else "line"
    hint = _length_hint(n, shown, width, data)
    return f"{source.shown} must have {width} fields in a row; got {n} at {rows} {places}{hint}"


def _length_hint(n: int, shown: list[Record], width: int, data: DataSettings) -> str:
    first = shown[0][1]
    other = _other_separator(first, width, data.delimiter)
    if other:
        return f": {other}"
    if first[0].startswith("#"):
        return ": is it a comment? Take it out"
    if n == width + 1 and first[-1] == "":
        return ": there is a delimiter at the end of the line"
    if n == width + 1 and _count_up([cells[0] for _, cells in shown]):
        return ": is the first one an index? Write the file without it"
    if n < width and not "".join(first).strip():
        return ": there is nothing but white space"
    return ": is the line cut off?" if n < width else ""


def _count_up(cells: list[str]) -> bool:
    """Whether they are whole numbers, each one more than the one before."""
    if not all(cell.isdecimal() and len(cell) < 10 for cell in cells):
        return False
    numbers = list(map(int, cells))
    return len(cells) > 1 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _other_separator(cells: list[str], width: int, delimiter: str) -> str:
    """What the file seems to be separated by instead, if its first line says so."""
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


def _named(name: str) -> str:
    return ascii(name if len(name) <= 40 else name[:39] + "…")
