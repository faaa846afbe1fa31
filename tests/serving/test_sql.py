"""A query gives what the pipeline gives, in three databases, row by row: so do its refusals."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace

import duckdb
import numpy as np
import pandas as pd
import psycopg
import pytest
from contract_builders import CASES, Case, learned, rows, verdicts
from servers import needs_postgres, postgres

from pipeline.config.file_settings import BLANKS
from pipeline.errors import ConfigError
from pipeline.serving.compiled import compile_model
from pipeline.serving.scorer import Scorer
from pipeline.serving.sql import to_sql
from pipeline.stages.predict import score

Run = Callable[[pd.DataFrame, str, dict[str, str]], pd.DataFrame]
DATABASES = (
    "duckdb",
    "sqlite",
    pytest.param("postgres", marks=[pytest.mark.exhaustive, needs_postgres]),
)


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


QUICK = ("every kind", "zeros")


@pytest.mark.parametrize("run", DATABASES, indirect=True)
@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.exhaustive][: n not in QUICK]) for n in CASES],
)
def test_verdicts_and_probabilities_are_the_pipelines(name, run, request):
    dialect = dialect_of(request)
    case = case_of(name, dialect)
    model, frame = learned(case), writable(rows(case, 400, 0.02, seed=4), case, dialect)
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
    assert 50 < len(good) < len(frame)


# --- columns of the types that a database has ---------------------------------------------------

TYPES = {
    "duckdb": ("BIGINT", "DOUBLE", "BOOLEAN", "DATE", "TIMESTAMP"),
    "postgres": ("BIGINT", "DOUBLE PRECISION", "BOOLEAN", "DATE", "TIMESTAMP"),
    "sqlite": ("INTEGER", "REAL", "BOOLEAN", "TEXT", "TEXT"),
}
TYPED = Case(
    {
        "code": {"kind": "categorical", "categories": ["1", "2", "10"]},
        "nullable": {"kind": "categorical", "categories": ["1", "2", "10"], "missing": "input"},
        "x": {"kind": "numeric", "minimum": 0, "maximum": 50},
        "curve": {"kind": "numeric", "spline": 4, "missing": "input"},
        "bins": {"kind": "numeric", "bins": [1, 5], "missing": "input"},
        "flag": {"kind": "boolean", "missing": "input"},
        "day": {"kind": "date", "parts": ["year", "month", "weekday", "days"]},
        "moment": {"kind": "date", "parts": ["hour", "days"], "missing": "input"},
    },
    {"crosses": [["code", "flag"]]},
    {"missing_values": ["-999"]},
)


@pytest.mark.parametrize("run", DATABASES, indirect=True)
def test_columns_of_every_type_are_taken_as_what_they_are(run, request):
    dialect = dialect_of(request)
    rng, n = np.random.default_rng(5), 300
    model = learned(TYPED)
    numbers = rng.gamma(1.5, 9, n)
    absent = rng.random((n, 5)) < 0.1
    code = rng.choice([1, 2, 10, 3], n, p=[0.4, 0.3, 0.25, 0.05])
    moments = pd.to_datetime("2024-02-28T00:00:00") + pd.to_timedelta(
        rng.integers(0, 10**8, n), "s"
    )

    def holed(values, at):
        return [None if a else v for v, a in zip(values, absent[:, at], strict=True)]

    frame = pd.DataFrame(
        {
            "code": code.tolist(),
            "nullable": holed(map(float, rng.choice([1, 2, 10], n)), 0),
            "x": numbers.tolist(),
            "curve": holed(np.where(rng.random(n) < 0.1, -999.0, numbers).tolist(), 1),
            "bins": holed(map(int, rng.integers(0, 9, n)), 2),
            "flag": holed(map(bool, rng.random(n) < 0.5), 3),
            "day": moments.date,
            "moment": holed(moments.to_pydatetime(), 4),
        },
        dtype=object,
    )
    whole, real, boolean, date, moment = TYPES[dialect]
    types = {
        "code": whole, "nullable": real, "x": real, "curve": real, "bins": whole, "flag": boolean,
        "day": date, "moment": moment,
    }  # fmt: skip
    stored = frame
    if dialect == "sqlite":
        text = frame[["day", "moment"]].map(lambda v: v if v is None else v.isoformat())
        stored = frame.assign(**text)
    found = run(stored, to_sql(model, dialect, "rows"), types)
    expected = Scorer(compile_model(model)).score(frame, "skip")
    p = expected["probability"].to_numpy(float)
    np.testing.assert_allclose(found["probability"].to_numpy(float), p, rtol=0, atol=4e-15)
    is_bad = found["reason"].notna().to_numpy()
    assert is_bad.tolist() == expected["reason"].notna().tolist()
    assert 5 < is_bad.sum() < 100
    assert {*found["reason"][code == 3]} >= {"column code must be one of 1, 2, 10"}


# --- names, words and tables that mean harm -----------------------------------------------------

HOSTILE = (
    "it's",
    'a "quoted" one',
    "semi;colon",
    "--comment",
    "%s %(x)s {y} $1 :z ?",
    "back\\slash",
)


@pytest.mark.parametrize("run", DATABASES, indirect=True)
def test_no_name_and_no_word_ends_a_quotation(run, request):
    dialect = dialect_of(request)
    words = [*HOSTILE, "'; DROP TABLE rows; --", "/* */"]
    columns = {name: {"kind": "categorical", "categories": words} for name in HOSTILE}
    case = Case(columns, {"unseen": "refuse"}, {})
    model = learned(case)
    frame = pd.DataFrame({name: [*words, "' OR 1=1 --"] for name in columns}, dtype="str")
    found = run(frame, to_sql(model, dialect, "rows"), {})
    p, _, _ = score(model, frame.iloc[:-1], np.arange(len(words)), "the rows")
    np.testing.assert_allclose(found["probability"].to_numpy(float)[:-1], p, rtol=0, atol=4e-15)
    assert np.isnan(found["probability"].to_numpy(float)[-1])
    reason = found["reason"].iloc[-1]
    assert all(f"column {name} must be one of it's, " in reason for name in HOSTILE)


@pytest.mark.parametrize("run", DATABASES, indirect=True)
def test_a_column_that_lacks_ends_the_query_and_is_no_word(run, request):
    """SQLite takes a quoted name of no column for a text, where it is not qualified."""
    dialect = dialect_of(request)
    columns = {name: {"kind": "categorical"} for name in ("lacking", "there")}
    query = to_sql(learned(Case(columns, {"unseen": "zeros"}, {})), dialect, "rows")
    with pytest.raises(
        (duckdb.Error, sqlite3.Error, pd.errors.DatabaseError, psycopg.Error)
    ) as error:
        run(pd.DataFrame({"there": ["red"]}), query, {})
    assert "lacking" in str(error.value)
    if dialect == "postgres":
        request.getfixturevalue("server").rollback()


@pytest.mark.parametrize("run", DATABASES, indirect=True)
def test_other_columns_are_handed_on_whatever_their_names(run, request):
    dialect = dialect_of(request)
    model = learned(CASES["one category"])
    frame = pd.DataFrame({"open": ["red"], "x": ["1"], "cells": ["a"], "rows": ["b"]})
    found = run(frame, to_sql(model, dialect, "rows"), {})
    assert found.loc[0, ["cells", "rows"]].tolist() == ["a", "b"]
    p, _, _ = score(model, frame[["open", "x"]], np.arange(1), "the row")
    assert found["probability"].tolist() == pytest.approx(p, abs=4e-15)
    # A probability of before is not decided by.
    before = frame.assign(probability=["2"], reason=["b"])
    again = run(before, to_sql(model, dialect, "rows"), {})
    assert again.iloc[0, -3:].tolist()[:2] == found.iloc[0, -3:].tolist()[:2]


@pytest.mark.exhaustive
@pytest.mark.parametrize("run", DATABASES, indirect=True)
def test_hundreds_of_columns_are_no_matter(run, request):
    dialect = dialect_of(request)
    columns = {f"c{i}": {"kind": ("boolean", "numeric")[i % 8 == 0]} for i in range(160)}
    case = Case(columns, {}, {})
    model, frame = learned(case), rows(case, 20, 0.0)
    found = run(frame, to_sql(model, dialect, "rows"), {})
    p, _, _ = score(model, frame, np.arange(len(frame)), "the rows")
    np.testing.assert_allclose(found["probability"].to_numpy(float), p, rtol=0, atol=4e-15)


@pytest.mark.parametrize(
    ("dialect", "table", "message"),
    [
        ("oracle", "rows", "DIALECT must be one of duckdb, postgres, sqlite; got 'oracle'"),
        ("", "rows", "DIALECT must be one of"),
        ("duckdb", "", "TABLE must be the name of a table"),
        ("duckdb", "read_csv('a.csv')", "TABLE must be the name of a table"),
        ("duckdb", "a'b", "TABLE must be the name of a table"),
        ("sqlite", "rows -- x", "TABLE must be the name of a table"),
    ],
)
def test_what_cannot_be_a_query_is_refused(dialect, table, message):
    with pytest.raises(ConfigError, match=message.replace("(", r"\(")):
        to_sql(learned(CASES["one category"]), dialect, table)


def test_sqlite_refuses_dates_that_it_cannot_read_by_name():
    columns = {"seen": {"kind": "date", "format": "%d.%m.%Y", "parts": ["year"]}}
    model = learned(Case(columns, {}, {}))
    with pytest.raises(ConfigError, match=r"column seen .* DIALECT=duckdb or postgres"):
        to_sql(model, "sqlite", "rows")
    column = model.data.columns["seen"].model_copy(update={"format": "%d %b %Y"})
    words = replace(model, data=model.data.model_copy(update={"columns": {"seen": column}}))
    with pytest.raises(ConfigError, match=r"column seen .* got '%d %b %Y'"):
        to_sql(words, "postgres", "rows")


def test_a_contract_with_the_name_of_a_result_is_refused():
    columns = {"decision": {"kind": "numeric"}}
    with pytest.raises(ConfigError, match="got 'decision'"):
        to_sql(learned(Case(columns, {}, {})), "duckdb", "rows")


def test_a_column_with_the_name_of_a_step_is_refused():
    columns = {"x": {"kind": "numeric"}, "x, cell": {"kind": "boolean"}}
    with pytest.raises(ConfigError, match="got 'x, cell'"):
        to_sql(learned(Case(columns, {}, {})), "sqlite", "rows")


def test_a_table_may_stand_in_a_schema():
    query = to_sql(learned(CASES["one category"]), "postgres", 'shop."My rows"')
    assert 'FROM shop."My rows" AS rows' in query
    dropped = to_sql(learned(CASES["one category"]), "postgres", "x; DROP TABLE y")
    assert 'FROM "x; DROP TABLE y" AS rows' in dropped


@pytest.mark.parametrize("run", DATABASES, indirect=True)
def test_probabilities_are_right_in_both_tails(run, request):
    dialect = dialect_of(request)
    case = Case({"x": {"kind": "numeric"}}, {}, {})
    model = learned(case)
    x = [
        "0",
        *(f"{sign}{digit}e{power}" for sign in "+-" for digit in (1, 7) for power in range(100)),
    ]
    frame = pd.DataFrame({"x": x})
    for dtype in ("TEXT", TYPES[dialect][1]):
        values = frame if dtype == "TEXT" else frame.astype(float)
        found = run(values, to_sql(model, dialect, "rows"), {"x": dtype})
        p, _, _ = score(model, frame, np.arange(len(frame)), "the rows")
        np.testing.assert_allclose(found["probability"].to_numpy(float), p, rtol=0, atol=4e-15)
        assert found["probability"].min() < 1e-100 < 1 == found["probability"].max()
