"""A table in an engine is named by settings that are strict, and that hold no secret."""

from typing import Any

import pytest
from engines import CONTRACT

from pipeline.config.compose import configuration
from pipeline.config.contract import DataSettings
from pipeline.config.source_settings import SourceSettings, place_of
from pipeline.errors import ConfigError
from pipeline.sweeps.points import Points

TABLE = {"engine": "duckdb", "table": "cars"}
DUCKDB = "data.source={engine: duckdb, connect: shop.duckdb, table: cars}"


def refusal(**where: Any) -> str:
    with pytest.raises(ConfigError) as refused:
        DataSettings.parse(CONTRACT | where)
    return str(refused.value)


def test_a_source_takes_the_place_of_the_path_and_its_pin():
    data = configuration([DUCKDB]).data
    assert (data.path, data.sha256) == (None, None)
    assert data.source == SourceSettings(engine="duckdb", connect="shop.duckdb", table="cars")
    assert data.place == "duckdb table cars"
    assert configuration([]).data.place == "data/car.data"


def test_a_setting_of_a_source_is_typed_alone():
    words = [DUCKDB, "data.source.table=other"]
    assert configuration(words).data.source.table == "other"
    words = [DUCKDB, "data.source.table=null", "data.source.query='SELECT * FROM cars'"]
    assert configuration(words).data.place == "duckdb query SELECT * FROM cars"


def test_one_of_several_sources_is_a_point_of_a_sweep():
    from hydra.core.override_parser.overrides_parser import OverridesParser

    parser = OverridesParser.create()
    points = Points()
    for word in (DUCKDB, "data.path=x.csv", "seed=1"):
        found = points.configuration(parser.parse_overrides([word]))
        assert found == configuration([word])


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"source": "file.csv"}, "for a file set data.path=file.csv"),
        ({"source": TABLE, "path": "x.csv"}, "path must be null where source is given"),
        ({"source": TABLE, "sha256": "0" * 64}, "sha256 must be null where source is given"),
        ({}, "path must be given, or source; got neither"),
        ({"source": {"engine": "duckdb"}}, "must have one of table, query and path; got none"),
        ({"source": {**TABLE, "path": "x"}}, "got table and path: data.source.path=null"),
        ({"source": {**TABLE, "engine": "duck"}}, "got 'duck'; did you mean duckdb?"),
        ({"source": {**TABLE, "engine": "postgresql"}}, "did you mean postgres?"),
        ({"source": {**TABLE, "engine": "mysql"}}, "source.engine must be one of"),
        ({"source": {"engine": "postgres", "path": "x"}}, "with an engine that reads files"),
        ({"source": {**TABLE, "tabel": "t"}}, "did you mean source.table?"),
        ({"source": {**TABLE, "table": 5}}, "source.table must be text"),
        ({"source": {"table": "t"}}, "source.engine must be given; got nothing"),
    ],
)
def test_what_is_no_source_is_refused_with_the_cure(where, message):
    assert message in refusal(**where)


@pytest.mark.parametrize(
    "connect",
    [
        "postgresql://shop:hunter22@host/db",
        "postgresql://shop:a/b@c@host/db",
        "postgresql://:hunter22@host/db",
        "postgresql://host/db?user=shop&password=hunter22",
        "postgresql://shop:x$PW@host/db",
        "sc://host:443/;token=hunter22;use_ssl=true",
        "host=h PASSWORD = hunter22",
        "snowflake://user@account/db?private_key=hunter22",
    ],
)
def test_a_secret_that_is_written_down_is_refused_and_not_repeated(connect):
    said = refusal(source={"engine": "postgres", "table": "t", "connect": connect})
    assert "source.connect must hold no password and no token" in said
    assert "PGPASSWORD" in said
    assert "hunter22" not in said


@pytest.mark.parametrize(
    "connect",
    [
        "postgresql:///shop", "postgresql://shop@host:5432/db", "postgresql://shop:$PW@host/db",
        "postgresql://shop:${PW}@host/db", "$SHOP", "sc://host:443/;token=$TOKEN;use_ssl=true",
        "trino://shop@host:8080/catalog/a@b", "data/shop.duckdb", "md:shop", "local[*]",
        "databricks://token:$DATABRICKS_TOKEN@host?http_path=/sql/1.0/warehouses/1",
    ],
)  # fmt: skip
def test_an_address_without_a_secret_is_taken(connect):
    tree: dict[str, Any] = {"engine": "postgres", "table": "t", "connect": connect}
    assert SourceSettings.parse(tree).connect == connect


def test_records_made_before_there_were_sources_have_a_place():
    assert place_of({"path": "data/t.csv"}) == "data/t.csv"
    source = {"engine": "spark", "connect": None, "table": None, "query": None, "path": "s3://b/t"}
    assert place_of({"path": None, "source": source}) == "spark path s3://b/t"
