"""An engine becomes a connection: asked by ibis, answered in Arrow. It only reads."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipeline import files
from pipeline.config.source_settings import SourceSettings
from pipeline.config.strict import did_you_mean
from pipeline.errors import DataError
from pipeline.stages.read.engine_address import address_of
from pipeline.stages.read.spark_session import TIMEOUT_S, spark_session
from pipeline.text import listed

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 65_536  # rows of PostgreSQL that are Python's objects at a time
NAME = "oneuron_query"  # in what ibis writes, where the query is to stand
STAND_IN = re.compile(rf"[\"`\[]?{NAME}[\"`\]]?")
TABLES = "SELECT DISTINCT table_name FROM information_schema.tables"
IN_MEMORY = (":memory:", "md:", "motherduck:")  # what is no file of DuckDB's


@dataclass(frozen=True)
class Connection:
    """A backend of ibis, and what is asked of its engine by other means than those of ibis."""

    backend: Any
    arrow: Callable[[Any], pa.Table]
    schema_of: Callable[[str], Any]  # of a query
    names: Callable[[Any], list[str]]  # of the tables in a schema

    def table(self, name: str) -> Any:
        """Return a table or view, ``schema.name`` too; DataError where there is none."""
        *parts, last = name.split(".")
        place = None if not parts else parts[0] if len(parts) == 1 else tuple(parts)
        try:
            return self.backend.table(last, database=place)
        except Exception:
            tables = self._tables(place)
            if tables is None or last in tables:
                raise
            there = f"; there are {listed(sorted(tables))}" if tables else "; there is none"
            raise DataError(
                "data.source.table must name a table that is there; got "
                f"{name!r}{did_you_mean(last, tables) or there}"
            ) from None

    def query(self, sql: str) -> Any:
        """Return a query, which goes to the engine as it is written, as a table.

        ibis would have sqlglot write it anew, in words of its own. DataError unless it is one
        SELECT.
        """
        import ibis

        _require_select(sql, self.backend.dialect)
        sql = sql.strip().rstrip(";")
        if self.backend.name == "polars":
            return self.backend.sql(sql)
        of_ibis = self.backend.compile

        def compiled(expression: Any, **how: Any) -> str:
            return STAND_IN.sub(lambda _: f"({sql}\n)", of_ibis(expression, **how))

        schema = self.schema_of(sql)
        self.backend.compile = compiled
        return ibis.table(schema, name=NAME)

    def files(self, path: str) -> Any:
        """Return the parquet files at a path, which may be a folder or a pattern, as a table."""
        is_local = "://" not in path
        found = self.backend.read_parquet(str(files.PROJECT / path) if is_local else path)
        if not found.columns:  # Spark and Sail, where there is none
            raise DataError(f"data.source.path must name parquet files; got none at {path}")
        return found

    def _tables(self, place: Any) -> list[str] | None:
        with suppress(Exception):
            return [*self.names(place)]
        return None


@contextmanager
def connect(source: SourceSettings) -> Iterator[Connection]:
    """Connect to an engine, and leave it."""
    opened = OPEN.get(source.engine, _by_address)
    with opened(source) as connection:
        try:
            yield connection
        finally:
            with suppress(Exception):
                connection.backend.disconnect()


@contextmanager
def _by_address(source: SourceSettings) -> Iterator[Connection]:
    yield _connection(_backend(source))


@contextmanager
def _polars(_: SourceSettings) -> Iterator[Connection]:
    import ibis

    yield _connection(ibis.polars.connect())


@contextmanager
def _spark(source: SourceSettings) -> Iterator[Connection]:
    import ibis

    with spark_session(source) as session:
        backend = ibis.pyspark.connect(session)

        # Not by way of pandas, as ibis does it, which has one word for NaN and null.
        def arrow(expression: Any) -> pa.Table:
            return backend.raw_sql(backend.compile(expression)).toArrow()

        yield replace(_connection(backend), arrow=arrow)


@contextmanager
def _duckdb(source: SourceSettings) -> Iterator[Connection]:
    import ibis

    address = address_of(source).removeprefix("duckdb://")
    is_file = bool(address) and not address.startswith(IN_MEMORY)
    if is_file and not (files.PROJECT / address).is_file():
        raise DataError(f"data.source.connect must be a file of DuckDB; got none at {address}")
    where = files.PROJECT / address if is_file else address or IN_MEMORY[0]
    backend = ibis.duckdb.connect(where, read_only=is_file)
    backend.raw_sql("SET enable_progress_bar = false")

    # DuckDB 2.0 no longer has the method by which ibis 12 asks for these.
    def schema_of(sql: str) -> Any:
        columns = backend.con.execute(f"DESCRIBE {sql}").fetchall()
        return _schema(backend, {name: kind for name, kind, *_ in columns})

    def names(_: Any) -> list[str]:
        return [name for (name,) in backend.con.execute(TABLES).fetchall()]

    yield replace(_connection(backend), schema_of=schema_of, names=names)


@contextmanager
def _postgres(source: SourceSettings) -> Iterator[Connection]:
    own = {} if "PGCONNECT_TIMEOUT" in os.environ else {"connect_timeout": TIMEOUT_S}
    backend = _backend(source, **own)
    backend.con.read_only = True

    # ibis would create a view to learn these.
    def schema_of(sql: str) -> Any:
        with backend.con.cursor() as cursor, backend.con.transaction():
            cursor.execute(f"SELECT * FROM ({sql}\n) AS q LIMIT 0")  # noqa: S608 (one SELECT)
            found = cursor.pgresult
            places = range(found.nfields)
            names = [found.fname(i).decode() for i in places]
            kinds = [(found.ftype(i), found.fmod(i)) for i in places]
            asked = [cursor.execute("SELECT format_type(%s, %s)", of).fetchone() for of in kinds]
        return _schema(backend, {n: kind for n, (kind,) in zip(names, asked, strict=True)})

    def arrow(expression: Any) -> pa.Table:
        return backend.to_pyarrow(expression, chunk_size=BATCH)

    yield replace(_connection(backend), arrow=arrow, schema_of=schema_of)


def _connection(backend: Any) -> Connection:
    """Return a connection that asks everything by means of ibis."""
    return Connection(
        backend, backend.to_pyarrow, lambda sql: backend.sql(sql).schema(),
        lambda place: backend.list_tables(database=place),
    )  # fmt: skip


def _require_select(sql: str, dialect: Any) -> None:
    """Raise DataError unless a text is one SELECT that only reads."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    rule = "data.source.query must be one SELECT that only reads"
    try:
        parsed = [each for each in sqlglot.parse(sql, read=dialect) if each is not None]
    except SqlglotError as error:
        faults = getattr(error, "errors", None) or [{}]
        raise DataError(f"{rule}; got {faults[0].get('description', 'another text')}") from None
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Query):
        got = f"{len(parsed)} statements" if len(parsed) != 1 else parsed[0].key.upper()
        raise DataError(f"{rule}; got {got}")
    for writes in parsed[0].find_all(exp.Create, exp.Drop, exp.DML, exp.Into, exp.Command):
        if not isinstance(writes, exp.Query):
            raise DataError(f"{rule}; got {writes.key.upper()}")


def _schema(backend: Any, kinds: dict[str, str]) -> Any:
    """Return names and types, which an engine names in its own way, as ibis has them."""
    import ibis

    types = backend.compiler.type_mapper
    return ibis.schema({name: types.from_string(kind) for name, kind in kinds.items()})


def _backend(source: SourceSettings, **own: Any) -> Any:
    """Return the backend of ibis at the address; without one, where the engine's files say."""
    import ibis

    address = address_of(source)
    if source.engine == "snowflake":
        own["create_object_udfs"] = False  # it would write
    if not address:
        return getattr(ibis, source.engine).connect(**own)
    scheme = urlsplit(address).scheme.replace("postgresql", "postgres")
    if scheme != source.engine:
        raise DataError(
            f"data.source.connect must be an address, as {source.engine}://host/database; got "
            + (f"{scheme}://" if scheme else "a text without ://")
        )
    return ibis.connect(address, **own)


OPEN = {
    "duckdb": _duckdb, "polars": _polars, "postgres": _postgres, "sail": _spark, "spark": _spark,
}  # fmt: skip
