"""A table in an engine becomes its counted rows: grouped there by its types, written as text here.

Engines write numbers, booleans and moments each in a way of its own. So they are not asked to: the
distinct rows come as they are, in Arrow, and DuckDB writes them as it writes those of parquet.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pipeline.config.contract import DataSettings
from pipeline.config.source_settings import SourceSettings
from pipeline.errors import DataError, PipelineError
from pipeline.files import IS_INSTALLED
from pipeline.stages.read import duckdb_reader
from pipeline.stages.read.connection import Connection, connected, secrets_of
from pipeline.stages.read.layout import require_names
from pipeline.text import MASK, one_line, quoted, redact

if TYPE_CHECKING:
    import pyarrow as pa

MAX_DISTINCT = 1_000_000
PACKAGES = {"sail": "pysail pyspark-client", "spark": "pyspark"}


def count_in_engine(source: SourceSettings, data: DataSettings, wanted: Sequence[str]) -> pa.Table:
    """Return the counted rows of a table in an engine, as those of a file.

    Raises
    ------
    DataError
        If the table is not as the contract says, has too many distinct rows, or the engine fails.
    """
    with _refusals(source), connected(source) as connection:
        table = _table(connection, source)
        require_names(source.place, table.columns, data, need_target=True, is_typed=True)
        found = _pulled(connection, _grouped(table, wanted, source), source)
    return duckdb_reader.count_typed(found, data)


def _table(connection: Connection, source: SourceSettings) -> Any:
    if source.query is not None:
        return connection.query(source.query)
    if source.path is not None:
        return connection.files(source.path)
    return connection.table(source.table or "")


def _grouped(table: Any, wanted: Sequence[str], source: SourceSettings) -> Any:
    """Return each distinct row of the wanted columns, typed, as w0, w1, …, with its count as n.

    Engines take -0.0 and 0.0 for equal, and keep one of them: a column s0, s1, … says which it was.
    """
    import ibis

    columns = {f"w{i}": _cell(table[name], name, source) for i, name in enumerate(wanted)}
    rows = table.select(**columns)
    signs = {
        f"s{name[1:]}": ibis.ifelse(
            rows[name] == 0, rows[name].cast("string").startswith("-"), False
        )
        for name, column in columns.items()
        if column.type().is_floating()
    }
    groups = rows.mutate(**signs).group_by([*columns, *signs]).agg(n=ibis._.count())
    texts = {n: groups[n].cast("string") for n, c in columns.items() if _needs_text(c.type())}
    return groups.mutate(**texts) if texts else groups


def _cell(column: Any, name: str, source: SourceSettings) -> Any:
    kind = column.type()
    if kind.is_nested() or kind.is_binary() or kind.is_json() or kind.is_interval():
        raise DataError(
            f"{source.place} must hold columns of text, numbers, days and moments; got "
            f"{quoted(name)} of type {kind}: write it as one of them in data.source.query"
        )
    return column


def _needs_text(kind: Any) -> bool:
    """Return whether Arrow has no type for it: a decimal of any scale, a UUID, an address."""
    is_known = kind.is_string() or kind.is_boolean() or kind.is_temporal()
    if kind.is_decimal():
        return kind.scale is None
    return not (is_known or kind.is_numeric())


def _pulled(connection: Connection, groups: Any, source: SourceSettings) -> pa.Table:
    """Return the groups; DataError where there are none, or too many, which are not pulled.

    One statement counts them and answers with them, so that both are of one state of the table.
    """
    import pyarrow as pa
    from ibis.common.exceptions import OperationNotDefinedError

    try:
        found = connection.arrow(groups.filter(groups.count().as_scalar() <= MAX_DISTINCT))
    except OperationNotDefinedError:  # Polars, which is in this process
        found = connection.arrow(groups.limit(MAX_DISTINCT + 1))
    if 0 < found.num_rows <= MAX_DISTINCT:
        for name in [name for name in found.column_names if name.startswith("s")]:
            found = _with_sign(found, f"w{name[1:]}", name)
        texts = [n for n in groups.columns if groups[n].type().is_string()]
        return found.cast(
            pa.schema([(f.name, pa.large_string()) if f.name in texts else f for f in found.schema])
        )
    counts = connection.arrow(groups.agg(n_distinct=groups.count(), n=groups.n.sum()))
    n_distinct, n = counts["n_distinct"][0].as_py(), counts["n"][0].as_py()
    if not n_distinct:
        raise DataError(f"{source.place} must hold rows; got none")
    raise DataError(
        f"{source.place} must have at most {MAX_DISTINCT:,} distinct rows (data.max_distinct); got "
        f"{n_distinct:,} in {n:,} rows: keep fewer columns, bin numbers in data.source.query, or "
        "export it to parquet files and set data.path='folder/*.parquet'"
    )


def _with_sign(table: pa.Table, name: str, sign: str) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table[name]
    signed = pc.if_else(table[sign], pa.scalar(-0.0, column.type), column)
    at = table.column_names.index(name)
    return table.set_column(at, name, signed).drop_columns([sign])


@contextmanager
def _refusals(source: SourceSettings) -> Iterator[None]:
    """Have whatever an engine says be one line without secrets, and its warnings nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except PipelineError:
        raise
    except ImportError as error:
        raise DataError(_not_installed(source, error)) from None
    except Exception as error:
        raise DataError(f"{source.place} must be readable; got {_said(error, source)}") from None


def _said(error: Exception, source: SourceSettings) -> str:
    """Return what an engine says, on one line, without what came from the environment."""
    text = str(error).partition("\nLINE ")[0] or type(error).__name__
    for secret in secrets_of(source):
        text = text.replace(secret, MASK)
    return one_line(redact(text))


def _not_installed(source: SourceSettings, error: ImportError) -> str:
    extra = {"sail": "", "spark": ""}.get(source.engine, f"[{source.engine}]")
    more = PACKAGES.get(source.engine, "")
    pip = "pip" if IS_INSTALLED else ".venv/bin/pip"
    packages = f"'ibis-framework{extra}>=12,<13' {more}".strip()
    missing = error.name or getattr(error.__cause__, "name", None) or "driver"
    return (
        f"engine {source.engine} must be installed (data.source.engine); no {missing} is here: "
        f"{pip} install {packages}"
    )
