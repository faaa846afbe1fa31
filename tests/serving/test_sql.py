"""A query gives what the pipeline gives, in three databases, row by row: so do its refusals."""

import sqlite3
from collections.abc import Callable

import duckdb
import numpy as np
import pandas as pd
import psycopg
import pytest
from contract_builders import CASES, Case, learned, rows, verdicts
from servers import needs_postgres, postgres

from pipeline.config.file_settings import BLANKS
from pipeline.serving.sql import to_sql
from pipeline.stages.predict import score

Run = Callable[[pd.DataFrame, str, dict[str, str]], pd.DataFrame]
DATABASES = ("duckdb", "sqlite", pytest.param("postgres", marks=[pytest.mark.slow, needs_postgres]))


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def run_duckdb(frame: pd.DataFrame, query: str, types: dict[str, str]) -> pd.DataFrame:
    with duckdb.connect() as connection:
        columns = ", ".join(f"{quoted(n)} {types.get(n, 'TEXT')}" for n in frame)
        connection.execute(f"CREATE TABLE rows ({columns})")
        connection.register("frame", frame)
        connection.execute("INSERT INTO rows SELECT * FROM frame")
        return connection.sql(query).df()


def run_sqlite(frame: pd.DataFrame, query: str, types: dict[str, str]) -> pd.DataFrame:
    connection = sqlite3.connect(":memory:")
    try:
        columns = ", ".join(f"{quoted(n)} {types.get(n, 'TEXT')}" for n in frame)
        connection.execute(f"CREATE TABLE rows ({columns})")
        marks = ", ".join("?" * frame.shape[1])
        connection.executemany(
            f"INSERT INTO rows VALUES ({marks})", frame.to_numpy(object).tolist()
        )
        return pd.read_sql_query(query, connection)
    finally:
        connection.close()


@pytest.fixture(scope="module")
def server():
    with postgres() as running, psycopg.connect(running.uri.replace("+psycopg", "")) as connection:
        yield connection


@pytest.fixture
def run(request) -> Run:
    if request.param == "duckdb":
        return run_duckdb
    if request.param == "sqlite":
        return run_sqlite
    connection = request.getfixturevalue("server")

    def run_postgres(frame: pd.DataFrame, query: str, types: dict[str, str]) -> pd.DataFrame:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE IF EXISTS rows")
            columns = ", ".join(f"{quoted(n)} {types.get(n, 'TEXT')}" for n in frame)
            cursor.execute(f"CREATE TABLE rows ({columns})")
            with cursor.copy("COPY rows FROM STDIN") as copy:
                for row in frame.to_numpy(object).tolist():
                    copy.write_row(row)
            cursor.execute(query.encode())
            names = [column.name for column in cursor.description]
            return pd.DataFrame(cursor.fetchall(), columns=names)

    return run_postgres


def dialect_of(request) -> str:
    return request.node.callspec.params["run"]


def reasons(found: pd.Series) -> list[set[str]]:
    return [
        set() if reason is None or pd.isna(reason) else set(reason.split("; and "))
        for reason in found
    ]


def writable(frame: pd.DataFrame, case: Case, dialect: str) -> pd.DataFrame:
    """The rows without what a query refuses though the pipeline takes it, or cannot be stored."""
    bad = frame == "20240229"  # a date of ISO 8601 without hyphens
    if dialect == "postgres":
        bad |= frame.map(lambda text: "\x00" in text)
    if dialect == "sqlite" and (mark := case.form.get("thousands")):
        bad |= frame.map(lambda text: mark in text or "\u2019" in text)
    return frame[~bad.any(axis=1)].reset_index(drop=True)


def case_of(name: str, dialect: str) -> Case:
    """The case, without the dates that SQLite cannot read."""
    case = CASES[name]
    if dialect != "sqlite":
        return case
    columns = {n: c for n, c in case.columns.items() if n not in ("when", "german")}
    crosses = [c for c in case.encode.get("crosses", []) if "when.hour" not in c]
    return Case(columns, case.encode | ({"crosses": crosses} if crosses else {}), case.form)


@pytest.mark.parametrize("run", DATABASES, indirect=True)
@pytest.mark.parametrize("name", CASES)
def test_verdicts_and_probabilities_are_the_pipelines(name, run, request):
    dialect = dialect_of(request)
    case = case_of(name, dialect)
    model, frame = learned(case), writable(rows(case, 1500, 0.05, seed=4), case, dialect)
    read = frame.apply(lambda cells: cells.str.strip(BLANKS)) if model.data.strip else frame
    expected = [set() for _ in range(len(frame))]
    for row, column, rule in verdicts(model, read):
        expected[row].add(f"column {column} {rule}")
    found = run(frame, to_sql(model, dialect, "rows"), {})
    assert [*found] == [*frame, "probability", "decision", "reason"]
    differ = [
        (i, frame.loc[i].to_dict(), a, b)
        for i, (a, b) in enumerate(zip(reasons(found["reason"]), expected, strict=True))
        if a != b
    ]
    for i, row, a, b in differ[:6]:
        for fault in a ^ b:
            print(i, "SQL" if fault in a else "pipeline", fault, repr(row.get(fault.split()[1])))
    assert not differ
    good = np.flatnonzero([not faults for faults in expected])
    p, decision, _ = score(model, read.iloc[good], good, "the rows")
    np.testing.assert_allclose(found["probability"].astype(float).iloc[good], p, rtol=0, atol=4e-15)
    assert found["decision"].iloc[good].tolist() == decision.tolist()
    assert found["probability"].notna().sum() == found["decision"].notna().sum() == len(good)
    assert 100 < len(good) < len(frame)
