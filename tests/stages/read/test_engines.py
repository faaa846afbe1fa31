"""A table in an engine trains as its file does: the same cells, identity, weights and refusals."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from builders import CONFIG, PROJECT, copy_project
from engines import CONTRACT, FEW, fill_duckdb, fill_postgres, sail, table_of_kinds, write_parquet
from servers import needs_postgres, postgres

from pipeline import files
from pipeline.config.contract import DataSettings
from pipeline.config.schema import RunConfig
from pipeline.errors import DataError
from pipeline.record.identity import environment, trace
from pipeline.run import learn, prepare
from pipeline.stages.read import car, read_rows

KINDS = table_of_kinds()


def contract(**changes: Any) -> DataSettings:
    return DataSettings.parse(CONTRACT | changes)


def source(engine: str, **more: str) -> dict[str, str]:
    return {"engine": engine, **more}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("engines")


@pytest.fixture(scope="module")
def parquet(folder) -> Path:
    return write_parquet(KINDS, folder / "kinds.parquet")


@pytest.fixture(scope="module")
def spark(parquet):
    """The address of Sail, in which the table can be read."""
    with sail() as address:
        yield address


@pytest.fixture(scope="module")
def database(folder) -> Path:
    return fill_duckdb(KINDS, folder / "kinds.duckdb")


def config_of(data: DataSettings) -> RunConfig:
    tree = CONFIG | {"data": data.model_dump(), "optimiser": {"name": "newton"}}
    return RunConfig.parse(tree | {"evaluate": {"threshold": 0.5, "bootstrap": None}})


def test_one_table_in_three_engines_and_a_file_is_one_run_to_the_bit(parquet, spark, database):
    places = [
        {"path": str(parquet)},
        {"source": source("sail", connect=spark, path=str(parquet))},
        {"source": source("duckdb", connect=str(database), table="kinds")},
        {"source": source("polars", path=str(parquet))},
    ]
    here, configs = environment(), [config_of(contract(**FEW, **place)) for place in places]
    found = [trace(c, read_rows(c.data).digest, here).identity for c in configs]
    assert len({*found}) == 1
    theta, other = (learn(prepare(config), config).trained.theta for config in configs[:2])
    assert len(theta) > 10
    assert np.array_equal(theta, other)


@pytest.mark.parametrize("engine", ["duckdb", "sail", "polars"])
def test_the_cells_are_those_of_the_file_and_one_that_differs_shows(
    engine, parquet, spark, folder, tmp_path
):
    """The negative control: a digest that missed a cell would be equal here, too."""
    of_file = read_rows(contract(path=str(parquet)))
    changed = KINDS.set_column(
        3, "float", pa.array([0.0, *KINDS["float"].to_pylist()[1:]], pa.float64())
    )
    assert KINDS["float"][0].as_py() == 0.1
    other = write_parquet(changed, tmp_path / "changed.parquet")
    for path, same in ((parquet, True), (other, False)):
        where = {"connect": spark} if engine == "sail" else {}
        rows = read_rows(contract(source=source(engine, path=str(path), **where)))
        assert (rows.digest == of_file.digest) is same
        assert rows.frame.equals(of_file.frame) is same
    assert {"-0.0", "0.0", "1e+16", "1e-07", "5e-324", ""} <= {*of_file.frame["float"]}


@pytest.mark.exhaustive
@needs_postgres
def test_postgres_gives_the_run_of_the_file_to_the_bit(parquet, monkeypatch):
    file = config_of(contract(path=str(parquet)))
    with postgres() as server:
        monkeypatch.setenv("PGPASSWORD", "secret")
        address = fill_postgres(KINDS, server.port)
        for how in (
            {"table": "kinds"},
            {"query": "WITH k AS (SELECT * FROM kinds) SELECT * FROM k;"},
        ):
            config = config_of(contract(source=source("postgres", connect=address, **how)))
            prepared, expected = prepare(config), prepare(file)
            assert prepared.data_digest == expected.data_digest
            theta = learn(prepared, config).trained.theta
            assert np.array_equal(theta, learn(expected, file).trained.theta)


def test_nan_and_infinity_are_what_parquet_makes_of_them(spark, tmp_path):
    numbers = pa.table({
        "x": pa.array([float("nan"), float("inf"), -float("inf"), None, 1.0] * 2),
        "y": ["yes", "no"] * 5,
    })  # fmt: skip
    tree = {"name": "t", "target": {"name": "y", "positive": ["yes"]},
            "columns": {"x": {"kind": "numeric"}}}  # fmt: skip
    path = write_parquet(numbers, tmp_path / "t.parquet")
    file = read_rows(DataSettings.parse(tree | {"path": str(path)}))
    assert {*file.frame["x"]} == {"nan", "inf", "-inf", "", "1.0"}
    for each in (source("duckdb"), source("polars"), source("sail", connect=spark)):
        data = DataSettings.parse(tree | {"source": each | {"path": str(path)}})
        assert read_rows(data).digest == file.digest


def test_a_table_that_is_grouped_already_is_the_long_one(spark, tmp_path):
    """``kind: count``, in every engine."""
    import duckdb

    long = write_parquet(KINDS, tmp_path / "long.parquet")
    duckdb.sql(
        f"COPY (SELECT *, count(*) AS times FROM '{long}' GROUP BY ALL) "
        f"TO '{tmp_path}/grouped.parquet' (FORMAT parquet)"
    )
    expected = read_rows(contract(path=str(long)))
    assert expected.count.max() > 1
    columns = CONTRACT["columns"] | {"times": {"kind": "count"}}
    for each in (source("duckdb"), source("polars"), source("sail", connect=spark)):
        of = each | {"path": f"{tmp_path}/grouped.parquet"}
        assert read_rows(contract(source=of, columns=columns)).digest == expected.digest


def test_names_of_columns_are_free(spark, tmp_path):
    odd = ["n", "w0", "s0", 'with "quotes"', "größe", "select", "group by"]
    table = pa.table({name: [1.5, 2.5, -0.0, 1.5] for name in odd} | {"y": [True, False] * 2})
    path = write_parquet(table, tmp_path / "odd.parquet")
    tree = {"name": "t", "target": {"name": "y", "positive": ["true"]},
            "columns": {name: {"kind": "numeric"} for name in odd}}  # fmt: skip
    file = read_rows(DataSettings.parse(tree | {"path": str(path)}))
    for each in (source("duckdb"), source("polars"), source("sail", connect=spark)):
        data = DataSettings.parse(tree | {"source": each | {"path": str(path)}})
        assert read_rows(data).digest == file.digest


def test_the_decimal_mark_and_strip_of_the_contract_hold(database, parquet):
    of = source("duckdb", connect=str(database), table="kinds")
    for changes in ({"decimal": ","}, {"strip": True}):
        file = read_rows(contract(path=str(parquet), **changes))
        assert read_rows(contract(source=of, **changes)).digest == file.digest


# --- what crosses the wire -----------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["duckdb", "sail", "polars"])
def test_more_distinct_rows_than_the_bound_are_counted_and_not_pulled(engine, spark, parquet):
    n = read_rows(contract(path=str(parquet))).count
    where = {"connect": spark} if engine == "sail" else {}
    of = source(engine, path=str(parquet), **where)
    for bound in (len(n), None):
        assert len(read_rows(contract(source=of, max_distinct=bound)).count) == len(n)
    found = f"at most {len(n) - 1:,} distinct rows .*; got {len(n):,} in {n.sum():,} rows"
    with pytest.raises(DataError, match=found):
        read_rows(contract(source=of, max_distinct=len(n) - 1))


def test_a_file_is_read_without_ibis():
    code = (
        "import sys; from pipeline.config.compose import configuration; "
        "from pipeline.stages.read import read_rows; "
        "read_rows(configuration([]).run_config().data); "
        "sys.exit(any(name in sys.modules for name in ('ibis', 'pyspark', 'polars', 'sqlglot')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=PROJECT, check=False).returncode == 0


# --- refusals ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table": "kind"}, "got 'kind'; did you mean kinds?"),
        ({"table": "other"}, "got 'other'; there are 'kinds'"),
        ({"query": "SELECT * FROM nix"}, "Table with name nix does not exist"),
        ({"query": "DROP TABLE kinds"}, "must be one SELECT that only reads"),
        ({"query": "SELECT 1; SELECT 2"}, "must be one SELECT that only reads"),
        ({"query": "SELECT * INTO t FROM kinds"}, "must be one SELECT that only reads"),
        ({"query": "SELECT FROM WHERE"}, "must be one SELECT that only reads"),
        ({"query": "SELECT word, bought FROM kinds"}, "must name 'small', 'whole', 'float'"),
        ({"query": "SELECT *, 1 AS more FROM kinds"}, "columns of the contract; got 'more'"),
        ({"query": "SELECT * FROM kinds WHERE false"}, "must hold rows; got none"),
        ({"query": "SELECT * REPLACE ([1] AS word) FROM kinds"}, "'word' of type array<int32>"),
    ],
)  # fmt: skip
def test_what_the_engine_does_not_have_is_one_line(database, changes, message):
    with pytest.raises(DataError) as refused:
        read_rows(contract(source=source("duckdb", connect=str(database), **changes)))
    text = str(refused.value)
    assert message in text
    assert len(text) < 600


def test_capital_and_small_letters_differ(database, parquet):
    columns = {name.title(): column for name, column in CONTRACT["columns"].items()}
    for where in (
        {"source": source("duckdb", connect=str(database), table="kinds")},
        {"path": str(parquet)},
    ):
        with pytest.raises(DataError, match="letters differ: name them in the contract as they"):
            read_rows(contract(columns=columns, **where))


def test_nothing_is_written_to_the_engine(database):
    before = database.read_bytes()
    read_rows(contract(source=source("duckdb", connect=str(database), table="kinds")))
    read_rows(contract(source=source("duckdb", connect=str(database), query="FROM kinds")))
    assert database.read_bytes() == before


@pytest.mark.parametrize(
    ("of", "message"),
    [
        (source("duckdb", connect="none.duckdb", table="t"), "must be a file of DuckDB; got none"),
        (source("postgres", connect="postgresql://127.0.0.1:1/x", table="t"), "Connection refused"),
        (source("postgres", connect="mysql://h/x", table="t"), "host/database; got mysql://"),
        (source("spark", connect="sc://127.0.0.1:1", table="t"), "connection refused"),
        (source("spark", connect="local[1]", table="t"), "no pyspark.core is here: "),
        (source("trino", connect="trino://h/x", table="t"), "'ibis-framework[trino]>=12,<13'"),
        (source("sail", path="none.parquet"), "must name parquet files; got none at none.parquet"),
        (source("polars", path="none.parquet"), "No such file"),
        (source("duckdb", path="none.parquet"), "No files found"),
    ],
)  # fmt: skip
def test_an_engine_that_is_not_there_is_one_line(project, of, message):
    with pytest.raises(DataError) as refused:
        read_rows(contract(source=of))
    text = str(refused.value)
    assert message in text
    assert "\n" not in text


@pytest.mark.exhaustive
@needs_postgres
def test_types_that_arrow_has_not_are_text_and_what_is_no_cell_is_refused(monkeypatch):
    import psycopg

    types = {
        "mood": ("'calm'", "'wild'", ["calm", "wild"]),
        "numeric": ("1.50", "100", ["1.5", "100"]),
        "uuid": (f"'{'0' * 31}1'", f"'{'0' * 31}2'",
                 ["00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"]),
        "inet": ("'10.0.0.1'", "'10.0.0.2'", ["10.0.0.1/32", "10.0.0.2/32"]),
        "time": ("'12:00'", "'13:30:15'", ["12:00:00", "13:30:15"]),
        "char(3)": ("'a'", "'b'", ["a  ", "b  "]),
    }  # fmt: skip
    with postgres() as server:
        monkeypatch.setenv("PGPASSWORD", "secret")
        address = f"postgresql://oneuron@127.0.0.1:{server.port}/oneuron"
        with psycopg.connect(address) as db:
            db.execute("CREATE TYPE mood AS ENUM ('calm', 'wild')")
            columns = ", ".join(f"c{i} {kind}" for i, kind in enumerate(types))
            db.execute(f"CREATE TABLE odd ({columns}, list int[], y boolean)")
            for at in (0, 1):
                cells = ", ".join(of[at] for of in types.values())
                db.execute(f"INSERT INTO odd VALUES ({cells}, '{{1}}', {at == 1})")
            db.execute(
                "INSERT INTO odd SELECT c0, 1.5000, c2, c3, c4, c5, list, y FROM odd LIMIT 1"
            )
        columns = {f"c{i}": {"kind": "categorical"} for i in range(len(types))}
        target = {"name": "y", "positive": ["true"]}
        for how in ({"table": "odd"}, {"query": "SELECT * FROM odd -- as it is"}):
            tree = {"name": "t", "target": target, "rest": "ignored", "columns": columns,
                    "source": source("postgres", connect=address, **how)}  # fmt: skip
            rows = read_rows(DataSettings.parse(tree))
            assert sorted(rows.count) == [1, 2]
            for name, (*_, texts) in zip(columns, types.values(), strict=True):
                assert rows.frame.sort_values("y")[name].tolist() == texts
        with pytest.raises(DataError, match=r"got 'list' of type array<int32>"):
            read_rows(DataSettings.parse(tree | {"columns": {"list": {"kind": "categorical"}}}))


@pytest.mark.exhaustive
@needs_postgres
def test_postgres_refuses_in_one_line_without_a_secret(monkeypatch, tmp_path):
    with postgres() as server:
        monkeypatch.setenv(
            "SHOP", f"postgresql://oneuron:se%63ret!@127.0.0.1:{server.port}/oneuron"
        )
        monkeypatch.setenv("WORD", "secret")
        address = fill_postgres(KINDS, server.port)
        named = address.replace("oneuron@", "oneuron:$WORD@")
        for of, message in (
            (source("postgres", connect="$SHOP", table="kinds"), "password authentication failed"),
            (source("postgres", connect=named, table="kind"), "did you mean kinds?"),
            (source("postgres", connect=named, query="SELECT 1/0 AS w"), "division"),
            (
                source("postgres", connect=named, query="WITH d AS (DELETE FROM kinds RETURNING *) "
                       "SELECT * FROM d"), "must be one SELECT that only reads; got DELETE",
            ),
            (source("postgres", connect=f"{named}x", table="kinds"), "does not exist"),
        ):  # fmt: skip
            with pytest.raises(DataError) as refused:
                read_rows(contract(source=of))
            assert message in str(refused.value)
            assert "\n" not in str(refused.value)
            assert "ecret" not in str(refused.value)


@pytest.mark.exhaustive
@needs_postgres
def test_a_server_that_is_lost_midway_is_one_line(monkeypatch, project, tmp_path):
    """The whole command: nothing is recorded, and the exit code is that of data."""
    with postgres() as server:
        address = fill_postgres(KINDS, server.port)
        query = "SELECT kinds.* FROM kinds, pg_sleep(30)"
        code = (
            "from engines import CONTRACT; from pipeline.config.contract import DataSettings; "
            "from pipeline.stages.read import read_rows; import sys; "
            "print('ready', flush=True); read_rows(DataSettings.parse(CONTRACT | {'source': "
            f"{source('postgres', connect=address, query=query)!r}}}))"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PGPASSWORD": "secret",
                 "PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests'}"},
        )  # fmt: skip
        child.stdout.readline()
        _await_query(address)
        server.stop()
        _, said = child.communicate(timeout=60)
    last = said.strip().splitlines()[-1]
    assert last.startswith("pipeline.errors.DataError: postgres query SELECT kinds.*")
    assert "must be readable; got" in last


def _await_query(address: str) -> None:
    import time

    import psycopg

    with psycopg.connect(address, password="secret", autocommit=True) as db:
        for _ in range(200):
            asked = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'FETCH%'"
            if db.execute(asked).fetchone()[0]:
                return
            time.sleep(0.1)
    raise AssertionError("the query must run")


@pytest.mark.exhaustive
def test_the_command_says_what_it_says_of_a_file_and_nothing_besides(tmp_path):
    """Nothing of ibis, Spark or Sail reaches the terminal, and a refusal is one line."""
    copy_project(tmp_path / "copy")
    cars = pa.table({
        name: [row[i] for row in car.rows()] for i, name in enumerate([*car.ATTRIBUTES, "class"])
    })  # fmt: skip
    path = write_parquet(cars, tmp_path / "cars.parquet")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pipeline", "run", "optimiser=newton", *words], text=True,
            cwd=tmp_path / "copy", capture_output=True, check=False,
        )  # fmt: skip

    def figures(done: subprocess.CompletedProcess[str]) -> str:
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.partition("Split")[2].partition("Record")[0]

    expected = figures(run(f"data.path={path}", "data.sha256=null"))
    assert "ROC AUC" in expected
    for engine in ("sail", "polars", "duckdb"):
        found = run(f"data.source={{engine: {engine}, path: {path}}}")
        assert figures(found) == expected
        assert "bit-identical" in found.stdout
    refused = run("data.source={engine: duckdb, path: none.parquet}")
    assert refused.returncode == 3
    assert refused.stdout == ""
    assert refused.stderr.count("\n") == 1


# --- patterns of parquet files -------------------------------------------------------------------


def test_files_that_a_pattern_fits_are_one_table(tmp_path, parquet):
    halves = [KINDS.slice(0, 100), KINDS.slice(100)]
    for i, half in enumerate(halves):
        write_parquet(half, tmp_path / f"part-{i}.parquet")
    write_parquet(KINDS, tmp_path / ".part-2.parquet")  # hidden, as a shell has it
    whole = read_rows(contract(path=str(parquet)))
    assert read_rows(contract(path=f"{tmp_path}/part-*.parquet")).digest == whole.digest
    assert read_rows(contract(path=f"{tmp_path}/part-0.parq*")).digest != whole.digest


def test_a_pattern_is_refused_unless_it_fits_parquet_files_of_one_form(tmp_path):
    def refusal(**changes: Any) -> str:
        with pytest.raises(DataError) as refused:
            read_rows(contract(path=f"{tmp_path}/*.parquet", **changes))
        return str(refused.value)

    assert "must fit the names of files; got none" in refusal()
    write_parquet(KINDS, tmp_path / "a.parquet")
    assert "data.sha256 must be null where data.path is a pattern" in refusal(sha256="0" * 64)
    write_parquet(KINDS.drop_columns("word"), tmp_path / "b.parquet")
    assert "must fit files with the same columns; got others in" in refusal()
    as_text = pa.array(map(str, KINDS["whole"].to_pylist()))
    write_parquet(KINDS.set_column(2, "whole", as_text), tmp_path / "b.parquet")
    assert "must fit files with the same columns; got others in" in refusal()
    (tmp_path / "b.parquet").write_text("word,bought\n")
    assert "must fit files of parquet alone, since it is a pattern; got" in refusal()
    with pytest.raises(DataError, match="got none in"):
        read_rows(contract(path="a\0b/*.parquet"))


def test_a_violation_in_an_engine_has_a_count_and_no_line(database):
    columns = CONTRACT["columns"] | {"small": {"kind": "numeric"}}
    of = source("duckdb", connect=str(database), table="kinds")
    found = prepare(config_of(contract(source=of, columns=columns)))
    assert found.validation, found.failure
    [message] = [v.message for v in found.validation.violations]
    assert message.startswith("column small must ")
    assert " in 106 rows (19.9 %)" in message
    assert "line" not in message


def test_a_count_that_is_none_names_no_line_of_an_engine(tmp_path):
    path = write_parquet(KINDS, tmp_path / "t.parquet")
    columns = CONTRACT["columns"] | {"small": {"kind": "count"}}
    with pytest.raises(DataError, match=r"got .*'-5'.* in [0-9]+ rows$"):
        read_rows(contract(source=source("duckdb", path=str(path)), columns=columns))


def test_a_path_is_of_the_project_folder(project, parquet):
    (project / "here.parquet").write_bytes(parquet.read_bytes())
    assert project == files.PROJECT
    rows = read_rows(contract(source=source("polars", path="here.parquet")))
    assert rows.digest == read_rows(contract(path="here.parquet")).digest
