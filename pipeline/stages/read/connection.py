"""An engine becomes a connection: asked in SQL or by ibis, answered in Arrow; it only reads."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from pipeline import files
from pipeline.config.source_settings import VARIABLE, SourceSettings
from pipeline.config.strict import did_you_mean
from pipeline.errors import DataError, reason_of
from pipeline.text import MASK, listed

if TYPE_CHECKING:
    import pyarrow as pa

TIMEOUT_S = 10  # until a server answers that it is there
BATCH = 65_536  # rows of PostgreSQL that are Python's objects at a time
TABLES = "SELECT DISTINCT table_name FROM information_schema.tables"
PORTS = {"sc": 15002}  # of Spark Connect


@dataclass(frozen=True)
class Connection:
    """A backend of ibis, and how it answers."""

    backend: Any
    arrow: Callable[[Any], pa.Table]
    schema_of: Callable[[str], Any] = lambda _: None  # of a query; None: ibis finds out
    names: Callable[[Any], list[str]] | None = None  # of tables; None: ibis knows

    def table(self, name: str) -> Any:
        """Return a table or view, ``schema.name`` too; DataError where there is none."""
        *parts, last = name.split(".")
        database = {0: None, 1: parts[0] if parts else None}.get(len(parts), tuple(parts))
        try:
            return self.backend.table(last, database=database)
        except Exception:
            tables = self._tables(database)
            if tables is None or last in tables:
                raise
            there = f"; there are {listed(sorted(tables))}" if tables else "; there is none"
            raise DataError(
                "data.source.table must name a table that is there; got "
                f"{name!r}{did_you_mean(last, tables) or there}"
            ) from None

    def query(self, sql: str) -> Any:
        """Return a query as a table; DataError unless it is one SELECT."""
        import sqlglot
        from sqlglot import exp

        dialect = self.backend.dialect
        parsed = [each for each in sqlglot.parse(sql, read=dialect) if each is not None]
        writes = (exp.DML, exp.DDL, exp.Command, exp.Into, exp.Lock)
        is_select = len(parsed) == 1 and isinstance(parsed[0], exp.Query)
        if not is_select or any(not isinstance(n, exp.Query) for n in parsed[0].find_all(*writes)):
            raise DataError("data.source.query must be one SELECT that only reads; got another")
        sql = parsed[0].sql(dialect=dialect, comments=False)
        return self.backend.sql(sql, schema=self.schema_of(sql))

    def files(self, path: str) -> Any:
        """Return the parquet files at a path, which may be a folder or a pattern, as a table."""
        is_local = "://" not in path
        found = self.backend.read_parquet(str(files.PROJECT / path) if is_local else path)
        if not found.columns:  # Spark and Sail, where there is none
            raise DataError(f"data.source.path must name parquet files; got none at {path}")
        return found

    def _tables(self, database: Any) -> list[str] | None:
        with suppress(Exception):
            of = self.names or (lambda where: self.backend.list_tables(database=where))
            return [*of(database)]
        return None


@contextmanager
def connected(source: SourceSettings) -> Iterator[Connection]:
    """Connect to an engine, and leave it."""
    with suppress(KeyError):
        with _OPEN[source.engine](source) as connection:
            yield connection
        return
    with _closing(_ibis(source)) as backend:
        yield Connection(backend, _to_arrow)


def secrets_of(source: SourceSettings) -> list[str]:
    """Return what ``connect`` takes from the environment, as it is and in an address."""
    names = ["".join(found) for found in VARIABLE.findall(source.connect or "")]
    values = {os.environ.get(name, "") for name in names}
    values |= {urlsplit(value).password or "" for value in values if "://" in value}
    return sorted((values | {quote(value, safe="") for value in values}) - {""}, key=len)[::-1]


def address_of(source: SourceSettings) -> str:
    """Return where the engine is, with what the environment has of it; "" where none is given."""
    text = source.connect or ""
    if MASK in text:
        raise DataError(
            f"data.source.connect must be the whole address; got {text}, as it is on record: say "
            'ARGS="data.source.connect=…"'
        )

    def value(found: Any) -> str:
        name = found[1] or found[2]
        if name not in os.environ:
            raise DataError(f"{name} must be in the environment (data.source.connect); it is not")
        is_part = "://" in text[: found.start()]
        return quote(os.environ[name], safe="") if is_part else os.environ[name]

    return VARIABLE.sub(value, text)


@contextmanager
def spark_session(source: SourceSettings) -> Iterator[Any]:
    """Open a session of Spark, or of Sail, which is started where no address is given.

    A server is asked for by ``sc://host:port``; another address is Spark's master, as ``local[*]``.
    """
    address = address_of(source)
    with _sail() if source.engine == "sail" and not address else _known(address) as address:
        from pyspark.sql import SparkSession

        if address.startswith("sc://"):
            _require_answer(address)
            session = SparkSession.builder.remote(address).create()
        else:
            builder = SparkSession.builder.config("spark.ui.enabled", "false")
            builder = builder.config("spark.ui.showConsoleProgress", "false")
            import_module("pyspark.core")  # which the client alone has not
            with _no_stderr():  # which the machine of Java keeps
                session = (builder.master(address) if address else builder).getOrCreate()
        try:
            yield session
        finally:
            with suppress(Exception):
                session.stop()


@contextmanager
def _spark(source: SourceSettings) -> Iterator[Connection]:
    import ibis

    with spark_session(source) as session:
        backend = ibis.pyspark.connect(session)
        # Not by way of pandas, which has one word for NaN and null.
        yield Connection(backend, lambda e: backend.raw_sql(backend.compile(e)).toArrow())


@contextmanager
def _duckdb(source: SourceSettings) -> Iterator[Connection]:
    import ibis

    address = address_of(source).removeprefix("duckdb://")
    is_file = bool(address) and not address.startswith((":memory:", "md:", "motherduck:"))
    if is_file and not (files.PROJECT / address).is_file():
        raise DataError(f"data.source.connect must be a database of DuckDB; got no file {address}")
    where = files.PROJECT / address if is_file else address or ":memory:"
    with _closing(ibis.duckdb.connect(where, read_only=is_file)) as backend:
        backend.raw_sql("SET enable_progress_bar = false")

        # DuckDB 2.0 no longer has the method that ibis 12 asks these by.
        def schema(sql: str) -> Any:
            types = backend.compiler.type_mapper
            columns = backend.con.execute(f"DESCRIBE {sql}").fetchall()
            return ibis.schema({name: types.from_string(of) for name, of, *_ in columns})

        def names(_: Any) -> list[str]:
            return [name for (name,) in backend.con.execute(TABLES).fetchall()]

        yield Connection(backend, _to_arrow, schema, names)


@contextmanager
def _polars(_: SourceSettings) -> Iterator[Connection]:
    import ibis

    with _closing(ibis.polars.connect()) as backend:
        yield Connection(backend, _to_arrow)


@contextmanager
def _postgres(source: SourceSettings) -> Iterator[Connection]:
    own = {} if "PGCONNECT_TIMEOUT" in os.environ else {"connect_timeout": TIMEOUT_S}
    with _closing(_ibis(source, **own)) as backend:
        backend.con.read_only = True
        yield Connection(
            backend, lambda e: backend.to_pyarrow(e, chunk_size=BATCH),
            lambda sql: _postgres_schema(backend, sql),
        )  # fmt: skip


def _postgres_schema(backend: Any, sql: str) -> Any:
    """Return the names and types of a query; ibis would create a view to learn them."""
    import ibis

    types = backend.compiler.type_mapper
    with backend.con.cursor() as cursor, backend.con.transaction():
        cursor.execute(f"SELECT * FROM ({sql}) AS q LIMIT 0")  # noqa: S608 (one SELECT)
        found = cursor.pgresult
        columns = [
            (found.fname(i).decode(), found.ftype(i), found.fmod(i)) for i in range(found.nfields)
        ]
        names = [
            cursor.execute("SELECT format_type(%s, %s)", of).fetchone()[0] for _, *of in columns
        ]
    known = (types.from_string(name) for name in names)
    return ibis.schema(dict(zip((name for name, *_ in columns), known, strict=True)))


_OPEN = {
    "duckdb": _duckdb, "polars": _polars, "postgres": _postgres, "sail": _spark, "spark": _spark,
}  # fmt: skip


def _ibis(source: SourceSettings, **own: Any) -> Any:
    import ibis

    address = address_of(source)
    if source.engine == "snowflake":
        own["create_object_udfs"] = False
    if not address:
        return getattr(ibis, source.engine).connect(**own)
    scheme = urlsplit(address).scheme.replace("postgresql", "postgres")
    if scheme != source.engine:
        raise DataError(
            f"data.source.connect must be an address, as {source.engine}://host/database; got "
            f"{scheme or 'a text without'}://"
        )
    return ibis.connect(address, **own)


def _to_arrow(expression: Any) -> pa.Table:
    return expression.to_pyarrow()


@contextmanager
def _closing(backend: Any) -> Iterator[Any]:
    try:
        yield backend
    finally:
        with suppress(Exception):
            backend.disconnect()


@contextmanager
def _known(address: str) -> Iterator[str]:
    yield address


@contextmanager
def _sail() -> Iterator[str]:
    """Start Sail in this process; yield its address."""
    os.environ.setdefault("RUST_LOG", "off")  # it writes its own log to stderr
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    try:
        yield "sc://{}:{}".format(*server.listening_address)
    finally:
        server.stop()


def _require_answer(address: str) -> None:
    """Raise DataError where nothing listens: Spark's client would try again for minutes."""
    parts = urlsplit(address)
    port = parts.port or PORTS[parts.scheme]
    try:
        socket.create_connection((parts.hostname or "", port), TIMEOUT_S).close()
    except OSError as error:
        raise DataError(
            f"data.source.connect must be where Spark Connect answers; got {reason_of(error)} at "
            f"{parts.hostname}:{port}"
        ) from None


@contextmanager
def _no_stderr() -> Iterator[None]:
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
