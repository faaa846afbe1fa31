"""The cells of a block become the values of its columns, and the rows that the neuron sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nn.arrays import Array
from pipeline.config.column_settings import Boolean, Group, Numeric, Used, Weight
from pipeline.config.contract import DataSettings, Target
from pipeline.config.date_settings import Date
from pipeline.config.file_settings import BLANKS
from pipeline.stages.blocks.keyed import Key
from pipeline.stages.blocks.row_hash import row_keys, text_keys
from pipeline.stages.blocks.source import Piece
from pipeline.stages.read.duckdb_reader import text_of
from pipeline.stages.validate.convert import MISSING, Table
from pipeline.stages.validate.values import (
    ColumnValues,
    values_of_numbers,
    values_of_text,
    words_of,
)

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def values_of(piece: Piece, data: DataSettings) -> dict[str, ColumnValues]:
    """Return the values of each column; numbers are never written as text on the way."""
    contract: dict[str, Used | Target] = {**data.used, data.target.name: data.target}
    columns = {
        name: _values(piece.batch.column(name), column, data) for name, column in contract.items()
    }
    for name, column in data.used.items():
        if isinstance(column, Date):
            columns |= {f"{name}.{part}": columns[name].part(part, column) for part in column.parts}
    return columns


def _values(cells: pa.Array, column: Used | Target, data: DataSettings) -> ColumnValues:
    if isinstance(column, Numeric | Weight):
        numbers = _numbers(cells, data)
        return values_of_numbers(numbers, column, data)
    place, texts = _words(cells, data)
    return values_of_text(texts, place, column, data)


def _numbers(cells: pa.Array, data: DataSettings) -> Array:
    """Return the cells as float64, NaN where they are missing, and infinity where no number."""
    import pyarrow as pa

    if pa.types.is_float64(cells.type) or pa.types.is_integer(cells.type):
        return np.asarray(cells.to_numpy(zero_copy_only=False), np.float64)
    from pipeline.stages.read.numbers import parse_numbers

    place, texts = _words(cells, data)
    marks = texts.isin([*data.missing]).to_numpy(bool)
    numbers = parse_numbers(texts, data)
    found: Array = np.where(marks, np.nan, np.where(np.isnan(numbers), np.inf, numbers))[place]
    return found


def _words(cells: pa.Array, data: DataSettings) -> tuple[npt.NDArray[np.intp], pd.Series[str]]:
    """Return which of the different texts each cell is, and these; a null is ""."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(cells.type):
        is_text = pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)
        cells = (cells if is_text else text_of(cells, data)).dictionary_encode()
    texts = cells.dictionary
    if data.strip:
        texts = pc.utf8_trim(texts, characters=BLANKS)
    known = np.array([*texts.to_pylist(), ""], object)
    code = cells.indices.fill_null(len(texts)).to_numpy(zero_copy_only=False)
    used = np.flatnonzero(np.bincount(code, minlength=len(known)))
    same, distinct = pd.factorize(known[used])
    place = np.zeros(len(known), np.intp)
    place[used] = same
    return place[code], pd.Series(distinct, dtype="str")


def cells_as_text(cells: pa.Array, data: DataSettings) -> list[str]:
    """Return cells as the text that they are read as where a table is held in memory."""
    place, texts = _words(cells, data)
    found: list[str] = texts.to_numpy(object)[place].tolist()
    return found


def table_of(columns: dict[str, ColumnValues], part: int, data: DataSettings) -> Table:
    """Return the rows of a block, which break no rule."""
    import pandas as pd

    target = columns[data.target.name]
    y = target.of_rows(target.text.isin(data.target.positive).to_numpy(bool)).astype(np.float64)
    attributes: dict[str, Any] = {}
    for name, column in data.features.items():
        if isinstance(column, Date):
            parts = {f"{name}.{each}": columns[f"{name}.{each}"] for each in column.parts}
            attributes |= {each: _attribute(values) for each, values in parts.items()}
        else:
            values = columns[name]
            is_boolean = isinstance(column, Boolean)
            attributes[name] = _attribute(words_of(column, values) if is_boolean else values)
    weights, groups = data.names_of(Weight), data.names_of(Group)
    return Table(
        pd.DataFrame(attributes, copy=False),
        y,
        np.ones(len(y), np.int64),
        columns[weights[0]].number if weights else None,
        group_keys(columns[groups[0]]).view(np.int64) if groups else None,
        part=np.full(len(y), part, np.int8),
    )


def _attribute(values: ColumnValues) -> Any:
    """Return the cells of an attribute: numbers, or words of which each is held once."""
    import pandas as pd

    if values.place is None:
        return values.number
    same, words = pd.factorize(values.text.mask(values.is_missing, MISSING).to_numpy(object))
    return pd.Categorical.from_codes(same[values.place], categories=pd.Index(words))


def cell_keys(values: ColumnValues) -> Key:
    """Return a hash (n,) of each cell."""
    if values.place is not None:
        return text_keys(values.text)[values.place]
    bits: Key = (values.number + 0.0).view(np.uint64)
    return bits


def group_keys(values: ColumnValues) -> Key:
    """Return a hash (n,) of whom each row is about."""
    return text_keys(values.text)[values.place]


def keys_of_rows(table: Table) -> Key:
    """Return the hash (n,) of each observation: of its group, or else of its attributes."""
    return row_keys(table.frame) if table.group is None else table.group.view(np.uint64)
