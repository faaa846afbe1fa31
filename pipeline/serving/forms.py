"""A request becomes blocks of rows: the forms that MLflow's scoring server takes, read strictly."""

from __future__ import annotations

import difflib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

from pipeline.config.contract import DataSettings
from pipeline.config.file_settings import BLANKS
from pipeline.errors import PipelineError
from pipeline.stages.read.layout import read_layout
from pipeline.stages.read.records import every_record
from pipeline.stages.read.source import Source
from pipeline.text import bounded, listed, one_line, quoted

if TYPE_CHECKING:
    import pandas as pd

JSON, CSV, PARQUET = "application/json", "text/csv", "application/vnd.apache.parquet"
FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
RULE = f"request must be an object with one of {', '.join(FORMS)}, and params"
ROWS = 2**14  # of a block
INDEX = re.compile(r"__index_level_\d+__")  # of a data frame of pandas, in parquet
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


def csv_blocks(body: Body, data: DataSettings) -> Iterator[Block]:
    """Yield the rows of a CSV file in the form of the contract, as ``make predict`` reads it.

    DataError where it is no such file, after the rows before.
    """
    layout = read_layout(body, data, need_target=False)
    names, places = [*data.features], [layout.names.index(name) for name in data.features]
    width, first = len(layout.names), 0
    found = every_record(body, data, layout.header is not None)
    while records := [cells for _, cells in islice(found, ROWS)]:
        faults = [*_fitted(records, width, first)]
        columns = [*zip(*records, strict=True)]
        yield _block(first, names, [columns[place] for place in places], faults)
        first += len(records)


def json_blocks(body: Body, data: DataSettings) -> tuple[dict[str, Any], Iterator[Block]]:
    """Return the parameters of a request in JSON, and its rows."""
    with body.open() as file:
        tree, has_escapes = _parsed(file.read())
    given = [form for form in FORMS if form in tree]
    extra = [key for key in tree if key not in (*FORMS, "params")]
    if len(given) != 1 or extra:
        raise RequestError(f"{RULE}; got {listed([*tree]) if tree else 'none'}")
    params = tree.get("params") or {}
    if not isinstance(params, dict):
        raise RequestError(f"params must be an object; got {_kind(params)}")
    faults: list[Fault] = []
    names, columns = _table(given[0], tree[given[0]], [*data.features], faults)
    columns = _chosen(names, columns, data)
    return params, _in_blocks([*data.features], columns, faults, has_escapes)


def parquet_blocks(body: Body, data: DataSettings) -> Iterator[Block]:
    """Yield the rows of a parquet file."""
    import pyarrow as pa

    try:
        yield from _parquet(body, data)
    except (pa.ArrowException, OSError, OverflowError, ValueError) as error:
        reason = one_line(error, 100)
        raise RequestError(f"request must be an intact parquet file; got {reason}") from None


def _parquet(body: Body, data: DataSettings) -> Iterator[Block]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with body.open() as file:
        table = pq.ParquetFile(file)
        size = sum(table.metadata.row_group(i).total_byte_size for i in range(table.num_row_groups))
        if size > data.max_bytes:
            raise RequestError(f"request must hold at most {data.max_bytes} bytes when unpacked")
        _require_columns([n for n in table.schema_arrow.names if not INDEX.fullmatch(n)], data)
        nested = [f.name for f in table.schema_arrow if pa.types.is_nested(f.type)]
        if wrong := [name for name in nested if name in data.features]:
            raise RequestError(f"columns must hold text and numbers; got nested {listed(wrong)}")
        first = 0
        for batch in table.iter_batches(ROWS, columns=[*data.features]):
            columns = [[*map(_plain, batch[name].to_pylist())] for name in data.features]
            faults = [*_cell_faults([*data.features], columns, first, has_escapes=False)]
            yield _block(first, [*data.features], columns, faults)
            first += batch.num_rows


def _plain(cell: Any) -> Any:
    """Return a cell of parquet as JSON would hold it: a moment and a decimal as text."""
    if type(cell) in CELLS:
        return cell
    if isinstance(cell, bytes):
        return cell.decode("utf-8", "backslashreplace")
    return str(cell)


def _parsed(content: bytes) -> tuple[dict[str, Any], bool]:
    """Return an object of JSON, and whether any text is written with escapes."""
    try:
        tree = json.loads(
            content.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_no_constant
        )
    except UnicodeDecodeError as error:
        raise RequestError(f"request must be in UTF-8; got another byte at {error.start}") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise RequestError(f"request must be JSON; got {error.msg.lower()} at {place}") from None
    except RecursionError:
        raise RequestError("request must be JSON of a table; got one nested too deep") from None
    except ValueError:
        raise RequestError("numbers must have at most 4,300 digits; got more") from None
    if not isinstance(tree, dict):
        raise RequestError(f"{RULE}; got {_kind(tree)}")
    return tree, b"\\u" in content


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = [name for name, n in Counter(name for name, _ in pairs).items() if n > 1]
        raise RequestError(f"objects must hold each name once; got {listed(twice)} twice")
    return found


def _no_constant(name: str) -> Any:
    raise RequestError(f"request must be JSON, which has no {name}; write null where it is missing")


def _table(
    form: str, tree: Any, features: Sequence[str], faults: list[Fault]
) -> tuple[list[str], list[Sequence[Any]]]:
    """Return names and columns of a table; to ``faults`` go rows of another length."""
    if form == "dataframe_split":
        return _split(tree, faults)
    if isinstance(tree, dict) and form != "dataframe_records":
        return _of_columns(tree, form)
    if not isinstance(tree, list):
        raise RequestError(f"{form} must be a list of rows; got {_kind(tree)}")
    kinds = {*map(type, tree)}
    if kinds <= {dict}:
        names = [*dict.fromkeys(name for row in tree for name in row)]
        return names, [[row.get(name) for row in tree] for name in names]
    if kinds == {list} and form != "dataframe_records":
        return [*features], _transposed(tree, len(features), faults)
    if len(features) == 1 and kinds <= CELLS and form != "dataframe_records":
        return [*features], [tree]
    at, other = next((i, row) for i, row in enumerate(tree) if type(row) is not dict)
    raise RequestError(f"{form} must be a list of objects; got {_kind(other)} at row {at}")


def _split(tree: Any, faults: list[Fault]) -> tuple[list[str], list[Sequence[Any]]]:
    if not isinstance(tree, dict) or not {"columns", "data"} <= {*tree} <= {
        "columns", "data", "index",
    }:  # fmt: skip
        got = listed([*tree]) if isinstance(tree, dict) and tree else _kind(tree)
        raise RequestError(f"dataframe_split must hold columns, data and index; got {got}")
    names, rows = tree["columns"], tree["data"]
    if not isinstance(names, list) or not {*map(type, names)} <= {str}:
        raise RequestError("columns of dataframe_split must be a list of names")
    if not isinstance(rows, list) or not {*map(type, rows)} <= {list}:
        raise RequestError("data of dataframe_split must be a list of rows, each a list of cells")
    return names, _transposed(rows, len(names), faults)


def _of_columns(tree: dict[str, Any], form: str) -> tuple[list[str], list[Sequence[Any]]]:
    """Return a table that is written by column; of cells alone it is a single row."""
    if {*map(type, tree.values())} <= CELLS:
        return [*tree], [[cell] for cell in tree.values()]
    for name, cells in tree.items():
        if not isinstance(cells, list):
            raise RequestError(f"{form} must hold a list for each column; got {_kind(cells)} "
                               f"for {quoted(name)}")  # fmt: skip
    lengths = {name: len(cells) for name, cells in tree.items()}
    if len({*lengths.values()}) > 1:
        got = ", ".join(f"{n} for {quoted(name, 40)}" for name, n in [*lengths.items()][:8])
        raise RequestError(f"columns must be equally long; got {got}")
    return [*tree], [*tree.values()]


def _transposed(rows: list[list[Any]], width: int, faults: list[Fault]) -> list[Sequence[Any]]:
    faults += _fitted(rows, width, 0)
    return [*zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def _fitted(rows: list[list[Any]], width: int, first: int) -> Iterator[Fault]:
    """Yield the rows of another width, and fill them up, or cut them, in place."""
    if {*map(len, rows)} <= {width}:
        return
    for i, row in enumerate(rows):
        if len(row) != width:
            yield Fault(first + i, "", "", f"must have {width} cells, not {len(row)}")
            rows[i] = [*row[:width], *[None] * (width - len(row))]


def _chosen(
    names: Sequence[str], columns: Sequence[Sequence[Any]], data: DataSettings
) -> list[Sequence[Any]]:
    _require_columns(names, data)
    return [columns[names.index(name)] for name in data.features]


def _require_columns(names: Sequence[str], data: DataSettings) -> None:
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


def _in_blocks(
    names: list[str], columns: list[Sequence[Any]], faults: list[Fault], has_escapes: bool
) -> Iterator[Block]:
    of_row = {fault.row: fault for fault in faults}
    for at in range(0, len(columns[0]), ROWS):
        cells = [column[at : at + ROWS] for column in columns]
        wide = [of_row[row] for row in range(at, at + len(cells[0])) if row in of_row]
        yield _block(at, names, cells, [*wide, *_cell_faults(names, cells, at, has_escapes)])


def _cell_faults(
    names: Iterable[str], columns: Iterable[Sequence[Any]], first: int, has_escapes: bool
) -> Iterator[Fault]:
    """Yield the cells that are no text and no number, and those with half a surrogate pair."""
    for name, cells in zip(names, columns, strict=True):
        if not {*map(type, cells)} <= CELLS:
            for i, cell in enumerate(cells, first):
                if type(cell) not in CELLS:
                    yield Fault(i, name, "", f"{CELL_RULE}, not {_kind(cell)}")
        for i, cell in enumerate(cells, first) if has_escapes else ():
            if isinstance(cell, str) and any("\ud800" <= char <= "\udfff" for char in cell):
                yield Fault(i, name, "", "must hold no half of a surrogate pair")


def _block(
    first: int, names: Sequence[str], columns: Sequence[Sequence[Any]], faults: list[Fault]
) -> Block:
    import pandas as pd

    places = pd.RangeIndex(first, first + len(columns[0]))
    frame = pd.DataFrame(dict(zip(names, columns, strict=True)), places, dtype=object)
    for fault in faults:
        if fault.column:
            frame.at[fault.row, fault.column] = None
    wide = [fault.row for fault in faults if not fault.column]
    return Block(frame.drop(index=wide) if wide else frame, faults)


def _kind(value: Any) -> str:
    """Return what a value of JSON is."""
    kinds = {dict: "an object", list: "a list", str: "text", bool: "true or false"}
    return kinds.get(type(value), "null" if value is None else "a number")
