"""A table in an engine, in place of a file: which engine, where it is, and what of it."""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from pipeline.config.strict import Settings, did_you_mean, require
from pipeline.text import one_line

# Of ibis, but for those whose GROUP BY takes "a" and "A" for one (mysql, mssql, singlestoredb).
ENGINES = (
    "athena", "bigquery", "clickhouse", "databricks", "datafusion", "druid", "duckdb", "exasol",
    "flink", "impala", "materialize", "oracle", "polars", "postgres", "risingwave", "sail",
    "snowflake", "spark", "sqlite", "trino",
)  # fmt: skip
READ_FILES = ("duckdb", "polars", "sail", "spark")
KINDS = ("table", "query", "path")
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))", re.ASCII)
SECRET = re.compile(  # after a user in an address, or after the word for it
    r"://[^/?#\s]*?:(?!\d+/)(?P<user>[^\s]+)@|(?:token|passw\w*|pwd|secret|\w*key|credentials?)\s*=\s*(?P<word>[^&;\s]+)",
    re.IGNORECASE,
)
CURE = (
    "keep it in the environment and write $NAME in its place, or where the engine looks for it "
    "(PGPASSWORD, ~/.pgpass, connections.toml, …)"
)


class SourceSettings(Settings):
    """A table or a query in an engine, which counts its rows where they are."""

    engine: Annotated[str, Field(min_length=1, max_length=40)]
    connect: Annotated[str, Field(min_length=1, max_length=2000)] | None = None  # its address
    table: Annotated[str, Field(min_length=1, max_length=400)] | None = None  # shop.customers
    query: Annotated[str, Field(min_length=1, max_length=20_000)] | None = None  # a SELECT
    path: Annotated[str, Field(min_length=1, max_length=2000)] | None = None  # of parquet files

    @property
    def place(self) -> str:
        """What messages name the table by."""
        return place_of({"source": self.model_dump()})

    @model_validator(mode="after")
    def _known(self) -> Self:
        near = {"postgresql": "postgres", "pyspark": "spark"}.get(self.engine)
        hint = f"; did you mean {near}?" if near else did_you_mean(self.engine, [*ENGINES])
        rule = f".engine must be one of {', '.join(ENGINES)}; got {self.engine!r}{hint}"
        require(self.engine in ENGINES, rule)
        return self

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in KINDS if getattr(self, name) is not None]
        cure = f": data.source.{given[-1]}=null" if given else ": data.source.table=customers"
        got = " and ".join(given) or "none"
        require(len(given) == 1, f" must have one of table, query and path; got {got}{cure}")
        require(
            self.path is None or self.engine in READ_FILES,
            f".path must go with an engine that reads files ({', '.join(READ_FILES)}); got engine "
            f"{self.engine}: name data.source.table in its place",
        )
        return self

    @model_validator(mode="after")
    def _without_secrets(self) -> Self:
        held = (found["user"] or found["word"] for found in SECRET.finditer(self.connect or ""))
        bare = [text for text in held if VARIABLE.sub("", text)]
        require(not bare, f".connect must hold no password and no token; got one: {CURE}")
        return self


def place_of(data: Mapping[str, Any]) -> str:
    """Return what names the table of a contract, or of a record: its path, or "postgres table t".

    A long query is cut.
    """
    source = data.get("source")
    if source is None:
        path: str = data["path"]
        return path
    kind = next((name for name in KINDS if source[name] is not None), KINDS[0])
    return f"{source['engine']} {kind} {one_line(source[kind], 100)}"
