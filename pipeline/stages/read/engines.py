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
from pipeline.stages.read.connection import Connection, connect
from pipeline.stages.read.engine_address import said_by
from pipeline.stages.read.layout import require_names
from pipeline.text import quoted

if TYPE_CHECKING:
    import pyarrow as pa

ZEROS = r"^(-?[0-9]+)(?:\.0*|(\.[0-9]*[1-9])0*)$"
PACKAGES = {"sail": "pyarrow-hotfix pysail pyspark-client", "spark": "pyarrow-hotfix pyspark"}


def count_in_engine(source: SourceSettings, data: DataSettings, wanted: Sequence[str]) -> pa.Table:
    """Return the counted rows of a table in an engine, as those of a file.

    Raises
    ------
    DataError
        If the table is not as the contract says, has too many distinct rows, or the engine fails.
    """
    with refusals(source), connect(source) as connection:
        table = _table(connection, source)
        require_names(source.place, table.columns, data, need_target=True, is_typed=True)
        groups = _grouped(table, wanted, source)
        found = _pulled(connection, groups, data.max_distinct)
        if found is None:
            raise _too_many(connection, groups, source, data.max_distinct)
        free = [f"w{i}" for i, name in enumerate(wanted) if _is_free(table[name].type())]
    return duckdb_reader.count_typed(_without_zeros(found, free), data)


def _table(connection: Connection, source: SourceSettings) -> Any:
    if source.query is not None:
        return connection.query(source.query)
    if source.path is not None:
        return connection.files(source.path)
    return connection.table(source.table or "")


def _grouped(table: Any, wanted: Sequence[str], source: SourceSettings) -> Any:
    """Return each distinct row of the wanted columns, typed, as w0, w1, …, with its count as n.

    For an engine -0.0 equals 0.0, and it keeps either: a column s0, s1, … says which it was.
    """
    import ibis

    columns = {f"w{i}": _cell(table, name, source) for i, name in enumerate(wanted)}
    rows = table.select(**columns)
    zeros = [name for name, column in columns.items() if column.type().is_floating()]
    signs = {f"s{name[1:]}": _is_minus_zero(rows[name]) for name in zeros}
    groups = rows.mutate(**signs).group_by([*columns, *signs]).agg(n=ibis._.count())
    texts = {n: groups[n].cast("string") for n, c in columns.items() if _needs_text(c.type())}
    return groups.mutate(**texts) if texts else groups


def _cell(table: Any, name: str, source: SourceSettings) -> Any:
    kind = table[name].type()
    if kind.is_nested() or kind.is_binary() or kind.is_json() or kind.is_interval():
        raise DataError(
            f"{source.place} must hold columns of text, numbers, days and moments; got "
            f"{quoted(name)} of type {kind}: make it one of them in data.source.query"
        )
    return table[name]


def _is_minus_zero(number: Any) -> Any:
    import ibis

    return ibis.ifelse(number == 0, number.cast("string").startswith("-"), False)


def _needs_text(kind: Any) -> bool:
    """Return whether Arrow has no such type: a decimal of any scale, a UUID, an address."""
    if kind.is_decimal():
        return _is_free(kind)
    return not (kind.is_string() or kind.is_boolean() or kind.is_temporal() or kind.is_numeric())


def _is_free(kind: Any) -> bool:
    """Return whether decimals have each a scale of its own: 1.5 equals 1.50, and either is kept."""
    return bool(kind.is_decimal() and kind.scale is None)


def _without_zeros(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Return the table with decimals, which are text, without zeros at their ends."""
    import pyarrow.compute as pc

    for name in names:
        text = pc.replace_substring_regex(table[name], ZEROS, r"\1\2")
        table = table.set_column(table.column_names.index(name), name, text)
    return table


def _pulled(connection: Connection, groups: Any, bound: int | None) -> pa.Table | None:
    """Return the groups; None where there are none or more than the bound, which are not pulled.

    One statement counts them and answers with them: both are of one state of the table.
    """
    from ibis.common.exceptions import OperationNotDefinedError

    if bound is None:
        found = connection.arrow(groups)
    else:
        try:
            found = connection.arrow(groups.filter(groups.count().as_scalar() <= bound))
        except OperationNotDefinedError:  # Polars, which is in this process
            found = connection.arrow(groups.limit(bound + 1))
    n = found.num_rows
    return _with_signs(found) if n and (bound is None or n <= bound) else None


def _too_many(
    connection: Connection, groups: Any, source: SourceSettings, bound: int | None
) -> DataError:
    """Return the refusal of a table with more distinct rows than the bound, or with none."""
    counts = connection.arrow(groups.agg(n_distinct=groups.count(), n=groups.n.sum()))
    n_distinct, n = counts["n_distinct"][0].as_py(), counts["n"][0].as_py()
    if not n_distinct:
        return DataError(f"{source.place} must hold rows; got none")
    return DataError(
        f"{source.place} must have at most {bound or 0:,} distinct rows (data.max_distinct); got "
        f"{n_distinct:,} in {n:,} rows: keep fewer columns, bin numbers in data.source.query, or "
        "export it to parquet files and set data.path='folder/*.parquet', which are read in blocks"
    )


def _with_signs(table: pa.Table) -> pa.Table:
    """Return the groups with -0.0 where it was, without the columns that say so."""
    import pyarrow as pa
    import pyarrow.compute as pc

    signs = [name for name in table.column_names if name.startswith("s")]
    for sign in signs:
        at = table.column_names.index(f"w{sign[1:]}")
        column = table.column(at)
        signed = pc.if_else(table[sign], pa.scalar(-0.0, column.type), column)
        table = table.set_column(at, table.column_names[at], signed)
    return table.drop_columns(signs)


@contextmanager
def refusals(source: SourceSettings) -> Iterator[None]:
    """Have whatever an engine raises be one line without secrets, and its warnings nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except PipelineError:
        raise
    except ImportError as error:
        raise DataError(_not_installed(source, error)) from None
    except (Exception, SystemExit) as error:  # Spark's client has its own way out
        raise DataError(f"{source.place} must be readable; got {said_by(error, source)}") from None


def _not_installed(source: SourceSettings, error: ImportError) -> str:
    extra = "" if source.engine in PACKAGES else f"[{source.engine}]"
    packages = f"'ibis-framework{extra}>=12,<13' {PACKAGES.get(source.engine, '')}".strip()
    missing = error.name or getattr(error.__cause__, "name", None) or "driver"
    return (
        f"engine {source.engine} must be installed (data.source.engine); no {missing} is here: "
        f"{'pip' if IS_INSTALLED else '.venv/bin/pip'} install {packages}"
    )
