"""What a request is made of: its body, blocks of rows, and faults that no contract names."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from pipeline.config.contract import DataSettings
from pipeline.config.file_settings import BLANKS
from pipeline.errors import PipelineError
from pipeline.stages.read.source import Source
from pipeline.text import bounded, listed, quoted

if TYPE_CHECKING:
    import pandas as pd

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
ROWS = 2**14  # of a block
CELLS = {str, int, float, bool, type(None)}
CELL_RULE = "must be text, a number, true, false or null"


class RequestError(PipelineError):
    """A request that is not answered: a status of HTTP, a code and a message."""

    def __init__(self, message: str, status: int = 400, code: str = "BAD_REQUEST") -> None:
        super().__init__(message)
        self.status, self.code = status, code


class Fault(NamedTuple):
    """What is wrong with a row, from 0; ``column`` "" is the row as a whole, ``value`` "" none."""

    row: int
    column: str
    value: str
    rule: str


class Block(NamedTuple):
    """Some rows of a request: their cells as they were sent, and faults that no contract names.

    ``frame`` holds the attributes' columns of the rows that have as many cells as there are
    columns; its index is their place in the request, from 0. A cell that is at fault is None.
    """

    frame: pd.DataFrame
    faults: list[Fault]


@dataclass(frozen=True)
class Body(Source):
    """The body of a request as the readers of files take it: in memory, or at ``path``."""

    content: bytes | None = None

    @property
    def shown(self) -> str:
        """What messages name it."""
        return "the request"

    def open(self) -> BinaryIO:
        """Open the bytes."""
        return self.path.open("rb") if self.content is None else BytesIO(self.content)

    def require_unchanged(self) -> None:
        """Nobody else knows the file."""


def fitted(rows: list[list[Any]], width: int, first: int) -> Iterator[Fault]:
    """Yield the rows of another width, and put an empty one in their place."""
    if {*map(len, rows)} <= {width}:
        return
    empty = [None] * width  # one for all: a header may be much wider than the rows
    for i, row in enumerate(rows):
        if len(row) != width:
            yield Fault(first + i, "", "", f"must have {width} cells, not {len(row)}")
            rows[i] = empty


def require_columns(names: Sequence[str], data: DataSettings) -> None:
    """Raise RequestError unless every attribute has its column, once, and no other is unknown.

    The target and the columns that the contract ignores may be there.
    """
    if not names:
        raise RequestError(f"request must hold rows with {listed([*data.features])}; got none")
    known = {*data.columns, data.target.name}
    used = {*data.used, data.target.name}
    lacking = [name for name in data.features if name not in names]
    extra = [name for name in dict.fromkeys(names) if name not in known]
    twice = [name for name, n in Counter(names).items() if n > 1 and name in used]
    messages = [f"columns must name {quoted(name)}; got no such column" for name in lacking]
    if extra and data.rest == "refuse":
        messages += [
            f"columns must be of the contract; got {quoted(name)}{_meant(name, lacking)}"
            for name in extra
        ]
    messages += [f"columns must name each once; got {quoted(name)} twice" for name in twice]
    if messages:
        raise RequestError(bounded(messages))


def _meant(name: str, lacking: Sequence[str]) -> str:
    folded = {each.casefold(): each for each in lacking}
    near = difflib.get_close_matches(name.strip(BLANKS).casefold()[:100], folded, n=1)
    return f", did you mean {folded[near[0]]!r}?" if near else ""


def cell_faults(
    names: Iterable[str], columns: Iterable[Sequence[Any]], first: int, has_escapes: bool
) -> Iterator[Fault]:
    """Yield the cells that are no text and no number, and those with half a surrogate pair."""
    for name, cells in zip(names, columns, strict=True):
        if not {*map(type, cells)} <= CELLS:
            for i, cell in enumerate(cells, first):
                if type(cell) not in CELLS:
                    yield Fault(i, name, "", f"{CELL_RULE}, not {kind_of(cell)}")
        for i, cell in enumerate(cells, first) if has_escapes else ():
            if isinstance(cell, str) and any("\ud800" <= char <= "\udfff" for char in cell):
                yield Fault(i, name, "", "must hold no half of a surrogate pair")


def block_of(
    first: int, names: Sequence[str], columns: Sequence[Sequence[Any]], faults: list[Fault]
) -> Block:
    """Return rows by column, those of another length left out, and cells at fault as None."""
    import pandas as pd

    places = pd.RangeIndex(first, first + len(columns[0]))
    frame = pd.DataFrame(dict(zip(names, columns, strict=True)), places, dtype=object)
    for fault in faults:
        if fault.column:
            frame.at[fault.row, fault.column] = None
    wide = [fault.row for fault in faults if not fault.column]
    return Block(frame.drop(index=wide) if wide else frame, faults)


def kind_of(value: Any) -> str:
    """Return what a value of JSON is."""
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return kinds.get(type(value), "null" if value is None else "a number")
