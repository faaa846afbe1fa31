"""A table in an engine is named by settings that are strict, and that hold no secret."""

from typing import Any

import pytest

from pipeline.config.compose import configuration
from pipeline.config.source_settings import SourceSettings, place_of
from pipeline.errors import ConfigError
from pipeline.sweeps.points import Points

DUCKDB = "data.source={engine: duckdb, connect: shop.duckdb, table: cars}"


def refusal(*words: str) -> str:
    with pytest.raises(ConfigError) as refused:
        configuration([*words])
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
    ("words", "message"),
    [
        (["data.source=file.csv"], "for a file set data.path=file.csv"),
        ([DUCKDB, "data.path=x.csv"], "data.path must be null where source is given"),
        ([DUCKDB, "data.sha256=" + "0" * 64], "data.sha256 must be null where source is given"),
        (["data.path=null"], "data.path must be given, or source; got neither"),
        (["data.source={engine: duckdb}"], "must have one of table, query and path; got none"),
        ([DUCKDB, "data.source.path=x"], "got table and path: data.source.path=null"),
        (["data.source={engine: duck, table: t}"], "got 'duck'; did you mean duckdb?"),
        (["data.source={engine: postgresql, table: t}"], "did you mean postgres?"),
        (["data.source={engine: mysql, table: t}"], "data.source.engine must be one of"),
        (["data.source={engine: postgres, path: x}"], "must go with an engine that reads files"),
        (["data.source={engine: duckdb, tabel: t}"], "did you mean data.source.table?"),
        (["data.source={engine: duckdb, table: 5}"], "data.source.table must be text"),
        (["data.source={table: t}"], "data.source.engine must be given; got nothing"),
    ],
)
def test_what_is_no_source_is_refused_with_the_cure(words, message):
    assert message in refusal(*words)


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
    said = refusal(f"data.source={{engine: postgres, table: t, connect: '{connect}'}}")
    assert "data.source.connect must hold no password and no token" in said
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
