"""A CSV file becomes parquet once, in a file without a name that ends with the process."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn

import numpy as np

from pipeline.config.column_settings import Numeric, Weight
from pipeline.config.contract import DataSettings
from pipeline.config.file_settings import BLANKS
from pipeline.errors import DataError, disk_error
from pipeline.stages.blocks.broken import MAX_BAD, Bad, add_bad, worded
from pipeline.stages.blocks.keyed import Key
from pipeline.stages.blocks.pieces import PIECE, whole_pieces
from pipeline.stages.blocks.row_hash import row_keys
from pipeline.stages.read.duckdb_csv import MisreadError, csv_batches, expected_of
from pipeline.stages.read.layout import Layout
from pipeline.stages.read.lines import layout_of
from pipeline.stages.read.source import Source, open_source
from pipeline.stages.validate.rules import contract_rules
from pipeline.stages.validate.values import ColumnValues, column_values

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Scratch:
    """The parquet file, held open, and the rules that its texts broke before they were numbers."""

    file: IO[bytes]
    source: Source
    bad: dict[tuple[str, str], Bad]

    def __del__(self) -> None:
        self.file.close()

    def __reduce__(self) -> NoReturn:
        raise DataError("data.path must be parquet to be read by an engine's workers; got CSV")


def text_keys_of(source: Source, data: DataSettings) -> Iterator[Key]:
    """Yield a hash (n,) of each row as text, some rows at a time; nothing where DuckDB refuses."""
    try:
        for frame, _ in _frames(source, data, layout_of(source, data)):
            yield row_keys(frame)
    except MisreadError:
        return


def write_scratch(source: Source, data: DataSettings) -> Scratch | None:
    """Return the table as parquet with numbers as numbers; None where DuckDB misreads it.

    Raises
    ------
    DataError, DiskError
        If the file is no text or changes meanwhile; if there is no room.
    """
    columns = layout_of(source, data)
    expected = expected_of(source, data, columns)
    if expected is None:
        return None
    file = tempfile.TemporaryFile(prefix="oneuron-")  # noqa: SIM115 (as long as it is read)
    try:
        found, bad = _write(file, source, data, columns)
    except MisreadError:
        return None
    except OSError as error:
        what = f"{source.shown} as parquet in {tempfile.gettempdir()}"
        raise disk_error(error, what) or error from None
    source.require_unchanged()
    if found != expected:
        return None
    place = Path(f"/proc/self/fd/{file.fileno()}")
    return Scratch(file, open_source(place, 2**62), bad)


def _write(
    file: IO[bytes], source: Source, data: DataSettings, columns: Layout
) -> tuple[tuple[int, int], dict[tuple[str, str], Bad]]:
    """Write the rows; return how many they are and the bytes of all cells, and broken rules."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    bad: dict[tuple[str, str], Bad] = {}
    names = (*data.used, data.target.name)
    numbers = {n for n, c in data.used.items() if isinstance(c, Numeric | Weight)}
    schema = pa.schema([(n, pa.float64() if n in numbers else pa.string()) for n in names])
    texts = [name for name in names if name not in numbers]
    n_rows = n_bytes = 0
    with pq.ParquetWriter(file, schema, compression="lz4", use_dictionary=texts) as writer:
        for frame, size in _frames(source, data, columns):
            n_rows, n_bytes = n_rows + len(frame), n_bytes + size
            values = column_values(frame, data)
            for rule, found in _broken(values, data, len(frame)):
                add_bad(bad.setdefault(rule, Bad()), found)
            cells = [values[n].number if n in numbers else frame[n] for n in names]
            arrays = [pa.array(of, schema.field(i).type) for i, of in enumerate(cells)]
            writer.write_table(pa.table(arrays, schema=schema))
    file.flush()
    return (n_rows, n_bytes), bad


def _frames(
    source: Source, data: DataSettings, columns: Layout
) -> Iterator[tuple[pd.DataFrame, int]]:
    """Yield the wanted columns as text, PIECE rows at a time, and the bytes of their rows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    names = [*data.used, data.target.name]
    batches = csv_batches(source, columns, data.delimiter, names, PIECE)
    for batch in whole_pieces(batches):
        *cells, rest = batch.columns
        size = sum(pc.sum(pc.binary_length(of)).as_py() for of in cells) + pc.sum(rest).as_py()
        if data.strip:
            cells = [pc.utf8_trim(of, characters=BLANKS) for of in cells]
        yield pa.table(cells, names=names).to_pandas(), size


def _broken(
    values: dict[str, ColumnValues], data: DataSettings, n: int
) -> Iterator[tuple[tuple[str, str], Bad]]:
    """Yield the rules that texts break, of columns whose texts are not all counted later."""
    rest = {name: values[name] for name in data.used if name not in worded(data)}
    for name, rules in contract_rules(rest, data, np.ones(n, np.int64)).items():
        for rule in rules:
            if not isinstance(rule.holds, bool) and not rule.holds.all():
                of_rows = values[name].sums(np.ones(n, np.int64))[~rule.holds]
                texts: Counter[str] = Counter()
                for text, rows in zip(values[name].text[~rule.holds], of_rows, strict=True):
                    texts[text] += int(rows)
                kept = Counter(dict(texts.most_common(MAX_BAD)))
                yield (name, rule.text), Bad(int(of_rows.sum()), kept)
