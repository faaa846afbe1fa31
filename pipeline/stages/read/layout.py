"""The names of a file's columns, and whether its first record is them; or what is wrong there."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from pipeline.config.contract import DataSettings
from pipeline.config.file_settings import BLANKS
from pipeline.errors import DataError
from pipeline.stages.read.records import other_separator, records
from pipeline.stages.read.source import Source
from pipeline.text import bounded, listed, quoted, setting, yaml_key

N_TITLE = 20  # records in which a header is looked for that is not the first
N_SHOWN = 5  # names that each have a hint of their own
ALL_NAMES = 20_000  # characters of a message whose lines are to be pasted


@dataclass(frozen=True)
class Layout:
    """The names of the columns of a file, in its order, and its first record if no row."""

    names: tuple[str, ...]
    header: tuple[str, ...] | None = None

    def after(self, n: int) -> Layout:
        """Return the layout without its first n columns."""
        return Layout(self.names[n:], None if self.header is None else self.header[n:])


def read_layout(source: Source, data: DataSettings, need_target: bool = True) -> Layout:
    """Return where each column of the contract stands in a CSV file; DataError if it does not.

    Where the contract has ``names``, they are those of the columns, whatever the header says; but
    a file to predict may lack the target, and may have its own header with columns in any order.
    """
    line, first = next(records(source, data), (0, []))
    if not first:
        raise DataError(f"{source.shown} must hold a table; got no row")
    cells = _names_of(first, data)
    place = f"header of {source.shown}, line {line},"
    if data.names is None:
        _require_no_title(source, place, cells, data)
        separator = other_separator(first, len(data.columns) + 1, data.delimiter)
        if separator:
            raise DataError(f"{source.shown} must have a header; got one cell: {separator}")
        require_names(place, cells, data, need_target)
        return Layout(cells, tuple(first))
    names = data.names
    if not need_target and len(cells) == len(names) - 1:
        names = tuple(name for name in names if name != data.target.name)
    if data.header is not False and not need_target and _holds_names(cells, names, data, False):
        require_names(place, cells, data, need_target)
        return Layout(cells, tuple(first))
    _require_agreement(source, line, cells, names, data)
    return Layout(names, tuple(first) if data.has_header else None)


def require_names(
    place: str, got: Sequence[str], data: DataSettings, need_target: bool, is_typed: bool = False
) -> None:
    """Raise DataError unless the names are the contract's, in any order, those used each once.

    Where rows are only to be predicted, all that is no feature may lack. ``is_typed``: a table of
    parquet or of an engine, which always has names of its own.
    """
    expected = (*data.columns, data.target.name)
    lacking = [n for n in (expected if need_target else data.features) if n not in got]
    extra = [name for name in dict.fromkeys(got) if name not in expected]
    used = {*data.used, data.target.name}
    twice = [name for name, n in Counter(got).items() if n > 1 and name in used]
    if lacking:
        _require_case(place, got, expected, lacking, extra, is_typed)
    if lacking and not is_typed and len(extra) == len({*got}):
        names = f"name its columns in {setting('data.names', expected)}, in its order"
        raise DataError(
            f"{place} must name {listed(lacking)}; got {listed(got)}: if the file has no header, "
            + (names if len(got) == len(expected) else "name its columns in data.names")
        )
    violations = [
        f"must name each column once; got {listed(twice)} twice"
        + ("" if is_typed else f": set {setting('data.names', renamed(got))} data.header=true "
           "data.rest=ignored")
    ] if twice else []  # fmt: skip
    what = "no such column" if data.rest == "refuse" else listed(got)
    violations += [f"must name {listed(lacking)}; got {what}"] if lacking else []
    if extra and data.rest == "refuse":
        violations += _unknown(extra, got, lacking)
    if violations:
        # Lines to paste stand alone.
        lines = (v if v.startswith(" ") else f"{place} {v}" for v in violations)
        raise DataError(bounded(lines, ALL_NAMES))


def _require_case(
    place: str, got: Sequence[str], expected: Sequence[str], lacking: list[str], extra: list[str],
    is_typed: bool,
) -> None:  # fmt: skip
    """Raise DataError if the lacking names are there but for capital and small letters."""
    meant, others = dict(zip(_folded(lacking), lacking, strict=True)), {*extra}
    names = [meant.get(name.casefold(), name) if name in others else name for name in got]
    if not {*expected} <= {*names} or len({*names}) < len(names):
        return
    rest = " data.rest=ignored" if {*names} > {*expected} else ""
    cure = f"set {setting('data.names', names)} data.header=true{rest}"
    raise DataError(
        f"{place} must name {listed(lacking)}; got {listed(got)}: capital and small letters "
        f"differ: {'name them in the contract as they are there' if is_typed else cure}"
    )


def _unknown(extra: list[str], got: Sequence[str], lacking: list[str]) -> list[str]:
    """Return that columns are not in the contract: what each may be, and lines to paste."""
    hints = {name: _name_hint(name, got, lacking) for name in extra[:N_SHOWN]}
    rule = "must name columns of the contract"
    violations = [f"{rule}; got {quoted(name)}{hint}" for name, hint in hints.items() if hint]
    rest = [name for name in extra if not hints.get(name)]
    if not rest:
        return violations
    lines = [f"  {yaml_key(name)}: {{kind: ignored}}" for name in rest if name]
    return [
        *violations,
        f"{rule}; got {listed(rest)}: set data.rest=ignored, or paste under columns:",
        *lines,
    ]  # fmt: skip


def _names_of(cells: list[str], data: DataSettings) -> tuple[str, ...]:
    """Return the names that a header holds, without blanks around them."""
    known = {*data.columns, data.target.name, *(data.names or ())}
    return tuple(cell if cell in known else cell.strip(BLANKS) for cell in cells)


def _holds_names(
    cells: Sequence[str], names: Sequence[str], data: DataSettings, need_target: bool
) -> bool:
    """Return whether the first record is a header: names in their places, or all in another order.

    Two cells that are the names of their own columns are enough: no row is so by chance.
    """
    needed = {*data.features, *([data.target.name] if need_target else [])}
    in_place = sum(cell == name for cell, name in zip(cells, names, strict=False))
    return in_place >= min(2, len(names)) or {*_folded(needed)} <= {*_folded(cells)}


def _folded(names: Iterable[str]) -> list[str]:
    return [name.casefold() for name in names]


def _require_agreement(
    source: Source, line: int, cells: Sequence[str], names: Sequence[str], data: DataSettings
) -> None:
    """Raise DataError if the first record shows that ``data.header`` or ``data.names`` is wrong."""
    has_names = _holds_names(cells, names, data, need_target=True)
    place = f"line {line} of {source.shown}"
    got, order = _folded(cells), _folded(names)
    if has_names and sorted(got) == sorted(order) and got != order:
        raise DataError(
            f"{place} must hold the columns in the order of data.names; got {listed(cells)}: set "
            "data.names=null, and they are taken by name"
        )
    if has_names and data.header is None:
        raise DataError(
            f"{place} must be a row where data.names is given; got the names {listed(cells)}: set "
            "data.header=true to skip it (data.header=false if it is a row)"
        )
    labels = (*data.target.positive, *(data.target.negative or ()))
    at = names.index(data.target.name) if data.target.name in names else len(cells)
    if data.has_header and at < len(cells) and cells[at] in labels:
        raise DataError(
            f"{place} must be a header (data.header=true); got a row of {quoted(cells[at])}: set "
            "data.header=false"
        )


def _require_no_title(source: Source, place: str, cells: Sequence[str], data: DataSettings) -> None:
    """Raise DataError if the names stand on one of the next lines, below a title or a comment."""
    if {*cells} & {*data.features}:
        return
    top = data.model_copy(update={"header": True, "skip_rows": 0})
    for line, later in islice(records(source, top), N_TITLE):
        if {*data.features} <= {*_names_of(later, data)}:
            mark = "data.comment=hash" if cells[0].startswith("#") else f"data.header={line}"
            raise DataError(
                f"{place} must hold the names of columns; got {listed(cells)}: they are at line "
                f"{line}: set {mark}"
            )


def renamed(got: Sequence[str]) -> list[str]:
    """Return the names of a header, changed where needed so that each column has its own."""
    names: list[str] = []
    for i, name in enumerate(got):
        new = name or f"column_{i + 1}"
        n = 1
        while new in names:
            n += 1
            new = f"{name}_{n}"
        names.append(new)
    return names


def _name_hint(name: str, got: Sequence[str], lacking: list[str]) -> str:
    if name == "" and got[0] != "":
        return (
            ": there is a delimiter at the end of the line; to leave it out set data.rest=ignored"
        )
    if name == "" or name.startswith("Unnamed:"):
        return ": is it an index? To leave it out set data.rest=ignored"
    near = difflib.get_close_matches(name[:100].lower(), lacking[:100], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
