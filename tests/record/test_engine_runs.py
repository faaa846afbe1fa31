"""A run on a table in an engine is on record without secrets, and is made again from there."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from builders import CONFIG
from engines import FEW, fill_duckdb, table_of_kinds, write_parquet

from pipeline.config.schema import RunConfig
from pipeline.errors import ConfigError, DataError
from pipeline.record import Record, write
from pipeline.record.contents import config_tree
from pipeline.record.reproduce import Reproduction, reproduce
from pipeline.record.retrain import answer
from pipeline.report.terminal import summarise
from pipeline.run import learn, prepare
from pipeline.stages.read import read_rows
from pipeline.sweeps.host import Host
from pipeline.tracking.projection import project

KINDS = table_of_kinds()


def config_of(**where: Any) -> RunConfig:
    tree = CONFIG | {"data": FEW | where, "optimiser": {"name": "newton"}}
    return RunConfig.parse(tree | {"evaluate": {"threshold": 0.5, "bootstrap": None}})


def made_again(record: Record, changes: dict[str, str] | None = None) -> Reproduction:
    return reproduce(record, changes, from_source=False, retrain=lambda _, tree: answer(tree))


@pytest.fixture
def shop(project, monkeypatch) -> Path:
    """A database whose place is known to the environment alone."""
    (project / "hunter22").mkdir()
    path = fill_duckdb(KINDS, project / "hunter22" / "shop.duckdb")
    monkeypatch.setenv("SHOP", str(path))
    return path


@pytest.fixture
def config(shop) -> RunConfig:
    return config_of(source={"engine": "duckdb", "connect": "$SHOP", "table": "kinds"})


@pytest.fixture
def record(config) -> Record:
    return write(learn(prepare(config), config))


def test_nothing_of_the_environment_is_on_record_or_in_mlflow(record, config):
    assert record.config["data"]["source"]["connect"] == "$SHOP"
    assert record.config["data"]["path"] is None
    projection = project(record)
    for name, content in [*record.files.items(), *projection.files.items()]:
        assert b"hunter22" not in content, name
    assert "hunter22" not in repr((projection.params, projection.tags, projection.dataset))
    assert (projection.dataset.source_type, projection.dataset.place) == (
        "duckdb", "duckdb table kinds",
    )  # fmt: skip
    assert projection.params["data.source.table"] == "kinds"
    assert "duckdb table kinds: 533 rows" in summarise(learn(prepare(config), config))
    assert json.loads(record.files["model.json"])["data"]["path"] == "duckdb table kinds"


def test_a_user_in_an_address_is_not_on_record_and_is_asked_for(record):
    source = {"engine": "postgres", "connect": "postgresql://ann@host/db", "table": "kinds"}
    tree = config_tree(config_of(source=source))
    assert tree["data"]["source"]["connect"] == "postgresql://***@host/db"
    with pytest.raises(DataError, match=r'give it again with ARGS="data.source.connect=…"'):
        read_rows(RunConfig.parse(tree).data)


@pytest.mark.exhaustive
def test_it_is_the_run_of_the_file_and_is_made_again_from_either(record, project, shop):
    parquet = write_parquet(KINDS, project / "kinds.parquet")
    file = config_of(path=str(parquet))
    of_file = write(learn(prepare(file), file))
    assert of_file.identity == record.identity
    head = of_file.head.model_copy(update={"config": config_tree(file)})
    with pytest.raises(ConfigError, match="must be of a run on a table in an engine; got a file"):
        made_again(replace(of_file, head=head), {"data.source.connect": "x"})
    assert made_again(record).found.identical
    assert made_again(record, {"data.path": str(parquet)}).found.identical
    moved = shop.rename(project / "moved.duckdb")
    gone = made_again(record)
    assert gone.found is None
    assert "must be a file of DuckDB; got none" in gone.causes[0]
    assert 'ARGS="data.source.connect=…"' in gone.causes[1]
    assert made_again(record, {"data.source.connect": str(moved)}).found.identical


def test_a_sweep_reads_a_table_in_an_engine_once_and_the_next_one_reads_it_anew(config, shop):
    import duckdb

    host = Host(writes=False)
    before = host.digest(config.data)
    with duckdb.connect(str(shop)) as db:
        db.execute("INSERT INTO kinds SELECT * FROM kinds LIMIT 1")
    assert host.digest(config.data) == before
    assert Host(writes=False).digest(config.data) != before
