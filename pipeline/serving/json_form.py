"""JSON becomes blocks of rows: the forms that MLflow's scoring server takes, read strictly."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from pipeline.config.contract import DataSettings
from pipeline.serving.rows import (
    CELLS,
    ROWS,
    Block,
    Body,
    Fault,
    RequestError,
    block_of,
    cell_faults,
    fitted,
    kind_of,
    require_columns,
)
from pipeline.text import listed, quoted

FORMS = ("dataframe_split", "dataframe_records", "instances", "inputs")
# The names of the columns, and what gives one: others may be many times larger than their text.
Table = tuple[list[str], Callable[[int], Sequence[Any]]]
RULE = f"request must be an object with one of {', '.join(FORMS)}, and params"


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
        raise RequestError(f"params must be an object; got {kind_of(params)}")
    faults: list[Fault] = []
    names, column_at = _table(given[0], tree[given[0]], [*data.features], faults)
    require_columns(names, data)
    columns = [column_at(names.index(name)) for name in data.features]
    return params, _in_blocks([*data.features], columns, faults, has_escapes)


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
        raise RequestError(f"{RULE}; got {kind_of(tree)}")
    return tree, b"\\u" in content


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = [name for name, n in Counter(name for name, _ in pairs).items() if n > 1]
        raise RequestError(f"objects must hold each name once; got {listed(twice)} twice")
    return found


def _no_constant(name: str) -> Any:
    raise RequestError(f"request must be JSON, which has no {name}; write null where it is missing")


def _table(form: str, tree: Any, features: Sequence[str], faults: list[Fault]) -> Table:
    """Return the columns of a table; to ``faults`` go rows of another length."""
    if form == "dataframe_split":
        return _split(tree, faults)
    if isinstance(tree, dict) and form != "dataframe_records":
        return _of_columns(tree, form)
    if not isinstance(tree, list):
        raise RequestError(f"{form} must be a list of rows; got {kind_of(tree)}")
    kinds = {*map(type, tree)}
    if kinds <= {dict}:
        names = [*dict.fromkeys(name for row in tree for name in row)]
        return names, lambda at: [row.get(names[at]) for row in tree]
    if kinds == {list} and form != "dataframe_records":
        return _of_rows([*features], tree, faults)
    if len(features) == 1 and kinds <= CELLS and form != "dataframe_records":
        return [*features], lambda _: tree
    at, other = next((i, row) for i, row in enumerate(tree) if type(row) is not dict)
    raise RequestError(f"{form} must be a list of objects; got {kind_of(other)} at row {at}")


def _split(tree: Any, faults: list[Fault]) -> Table:
    if not isinstance(tree, dict) or not {"columns", "data"} <= {*tree} <= {
        "columns", "data", "index",
    }:  # fmt: skip
        got = listed([*tree]) if isinstance(tree, dict) and tree else kind_of(tree)
        raise RequestError(f"dataframe_split must hold columns, data and index; got {got}")
    names, rows = tree["columns"], tree["data"]
    if not isinstance(names, list) or not {*map(type, names)} <= {str}:
        raise RequestError("columns of dataframe_split must be a list of names")
    if not isinstance(rows, list) or not {*map(type, rows)} <= {list}:
        raise RequestError("data of dataframe_split must be a list of rows, each a list of cells")
    return _of_rows(names, rows, faults)


def _of_columns(tree: dict[str, Any], form: str) -> Table:
    """Return a table that is written by column; of cells alone it is a single row."""
    if {*map(type, tree.values())} <= CELLS:
        tree = {name: [cell] for name, cell in tree.items()}
    for name, cells in tree.items():
        if not isinstance(cells, list):
            raise RequestError(f"{form} must hold a list for each column; got {kind_of(cells)} "
                               f"for {quoted(name)}")  # fmt: skip
    lengths = {name: len(cells) for name, cells in tree.items()}
    if len({*lengths.values()}) > 1:
        got = ", ".join(f"{n} for {quoted(name, 40)}" for name, n in [*lengths.items()][:8])
        raise RequestError(f"columns must be equally long; got {got}")
    columns = [*tree.values()]
    return [*tree], lambda at: columns[at]


def _of_rows(names: list[str], rows: list[list[Any]], faults: list[Fault]) -> Table:
    faults += fitted(rows, len(names), 0)
    return names, lambda at: [*map(itemgetter(at), rows)]


def _in_blocks(
    names: list[str], columns: list[Sequence[Any]], faults: list[Fault], has_escapes: bool
) -> Iterator[Block]:
    of_row = {fault.row: fault for fault in faults}
    for at in range(0, len(columns[0]), ROWS):
        cells = [column[at : at + ROWS] for column in columns]
        wide = [of_row[row] for row in range(at, at + len(cells[0])) if row in of_row]
        yield block_of(at, names, cells, [*wide, *cell_faults(names, cells, at, has_escapes)])
