"""Real engines, each with the same table in it: what is counted there is compared with a file."""

import contextlib
import datetime as dt
import decimal
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

NOON = dt.datetime(2026, 1, 31, 12)
COLUMNS = {
    "word": {"kind": "categorical", "missing": "input"},
    "small": {"kind": "numeric", "missing": "input"},
    "whole": {"kind": "numeric", "missing": "input"},
    "float": {"kind": "numeric", "missing": "input"},
    "single": {"kind": "numeric", "missing": "input"},
    "price": {"kind": "numeric", "missing": "input"},
    "flag": {"kind": "boolean", "missing": "input"},
    "day": {"kind": "date", "parts": ["month"], "missing": "input"},
    "moment": {"kind": "categorical", "missing": "input"},
    "instant": {"kind": "categorical", "missing": "input"},
}
CONTRACT: dict[str, Any] = {
    "name": "kinds",
    "target": {"name": "bought", "positive": ["true"]},
    "columns": COLUMNS,
}
FEW = {  # of its columns, which is enough to train
    **CONTRACT, "rest": "ignored", "columns": {name: COLUMNS[name] for name in ("word", "float")},
}  # fmt: skip
SQL_TYPES = {  # of PostgreSQL
    "word": "text", "small": "smallint", "whole": "bigint", "float": "float8", "single": "real",
    "price": "numeric(10,2)", "flag": "boolean", "day": "date", "moment": "timestamp",
    "instant": "timestamptz", "bought": "boolean",
}  # fmt: skip


def table_of_kinds(n: int = 400) -> pa.Table:
    """A table with every kind of cell that engines write in ways of their own, many rows twice."""
    values: dict[str, list[Any]] = {
        "word": ["a", "A", "", None, "it's", 'say "so"', "größe 日本", "a,b", "true"],
        "small": [1, -5, None, 32767, 0],
        "whole": [0, 1, -(2**53), None, 2**62],
        "float": [0.1, 1e16, -0.0, 0.0, 1e-7, None, -2.5, 123456.789, 1 / 3, 1e99, 5e-324],
        "single": [0.1, -0.0, 0.0, None, 16777216.0, 1e-7],
        "price": [decimal.Decimal("1.50"), decimal.Decimal("-0.05"), None, decimal.Decimal("100")],
        "flag": [True, False, None],
        "day": [NOON.date(), None, dt.date(1, 1, 1), dt.date(2026, 7, 1)],
        "moment": [NOON, NOON.replace(microsecond=500), None, dt.datetime(1969, 12, 31, 23)],
        "instant": [NOON, NOON.replace(month=7), None],
    }
    types = {
        "small": pa.int16(), "whole": pa.int64(), "float": pa.float64(), "single": pa.float32(),
        "price": pa.decimal128(10, 2), "day": pa.date32(), "moment": pa.timestamp("us"),
        "instant": pa.timestamp("us", "UTC"),
    }  # fmt: skip
    columns = {
        name: pa.array([of[(i * (3 + k) + i // 7) % len(of)] for i in range(n)], types.get(name))
        for k, (name, of) in enumerate(values.items())
    }
    columns["bought"] = pa.array([(i * i) % 5 < 2 for i in range(n)])
    rows = pa.table(columns)
    return pa.concat_tables([rows, rows.slice(0, n // 3)])


def write_parquet(table: pa.Table, path: Path) -> Path:
    pq.write_table(table, path)
    return path


@contextlib.contextmanager
def sail() -> Iterator[str]:
    """Sail in this process: the address of its session. Starting takes 0.1 s, leaving 0.3 s."""
    os.environ.setdefault("RUST_LOG", "off")
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    try:
        yield "sc://{}:{}".format(*server.listening_address)
    finally:
        server.stop()


def fill_duckdb(table: pa.Table, path: Path, name: str = "kinds") -> Path:
    """A database of DuckDB with the table."""
    import duckdb

    with duckdb.connect(str(path)) as db:
        db.register("given", table)
        db.execute(f'CREATE TABLE "{name}" AS SELECT * FROM given')
    return path


def fill_postgres(table: pa.Table, port: int, name: str = "kinds") -> str:
    """Put the table into the server of ``tests.servers.postgres``; the address without password."""
    import psycopg

    columns = ", ".join(f'"{c}" {SQL_TYPES.get(c, "text")}' for c in table.column_names)
    address = f"postgresql://oneuron@127.0.0.1:{port}/oneuron"
    with psycopg.connect(address, password="secret") as db, db.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} ({columns})")
        with cursor.copy(f"COPY {name} FROM STDIN") as copy:
            for row in zip(*(column.to_pylist() for column in table.columns), strict=True):
                copy.write_row(row)
    return address
