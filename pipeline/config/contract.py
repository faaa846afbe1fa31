"""The data contract: what the file of a table is like, and what each of its columns must hold."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from pipeline.config.column_settings import (
    Attribute,
    Boolean,
    Categorical,
    Column,
    Count,
    Feature,
    Group,
    Ignored,
    Numeric,
    Used,
    Weight,
    attributes_of,
)
from pipeline.config.date_settings import Date
from pipeline.config.file_settings import FileSettings, Name, Names
from pipeline.config.source_settings import SourceSettings, place_of
from pipeline.config.strict import Settings, Texts, did_you_mean, require


def _day(text: str) -> str:
    """Return a day in ISO 8601."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        rule = f' must be a day of ISO 8601, as "2026-01-31"; got {text!r}'
        raise ValueError(rule) from None


def _source(value: object) -> object:
    """Return the settings of a source, which are no path."""
    rule = f" must name engine and table; got {value!r}: for a file set data.path={value}"
    require(not isinstance(value, str), rule)
    return value


AsOf = Annotated[str, AfterValidator(_day)]


class Target(Settings):
    """The column to predict: its positive values are class 1, the negative ones class 0."""

    name: Name
    positive: Annotated[Texts, Field(min_length=1)]
    negative: Texts | None = None  # null: every other value

    @model_validator(mode="after")
    def _disjoint(self) -> Self:
        both = sorted(set(self.positive) & set(self.negative or ()))
        require(not both, f".negative must not repeat a positive value; got {both}")
        return self


Statement = Annotated[str, Field(min_length=1, max_length=1000)]


class Card(Settings):
    """What a table cannot say of itself and its reader has to know; null is shown as not stated."""

    purpose: Statement | None = None  # what it is used for, and by whom
    population: Statement | None = None  # of whom or what the rows are, from where and when
    owner: Statement | None = None  # who answers for it
    limits: Statement | None = None  # what it must not be used for


class DataSettings(FileSettings):
    """A table and its contract."""

    name: Name
    # csv, csv.gz or parquet, or a pattern of parquet files; relative to the project folder
    path: Name | None = None
    source: Annotated[SourceSettings | None, BeforeValidator(_source)] = None  # or an engine
    valid: Name | None = None  # further files of this contract, for split=files
    test: Name | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    target: Target
    columns: Annotated[dict[str, Column], Field(min_length=1)]
    min_rows: Annotated[int, Field(ge=1)] = 20
    max_categories: Annotated[int, Field(ge=2)] = 1000
    max_bytes: Annotated[int, Field(ge=1)] = 4 * 2**30  # of the file, inflated
    # Rows that are held in memory; of more the table is read in blocks. null: any number
    max_distinct: Annotated[int, Field(ge=0)] | None = 1_000_000
    max_contradictory: Annotated[float, Field(ge=0, le=1)] = 1.0  # share of rows
    as_of: AsOf = "2100-01-01"  # a day in ISO 8601; later dates are suspicious
    known: Names = ()  # columns, or the target, whose suspicions a person has judged
    card: Card = Card()

    @property
    def place(self) -> str:
        """What messages name the table by."""
        return place_of(self.model_dump(include={"path", "source"}))

    def in_form(self, changes: Mapping[str, Any]) -> Self:
        """Return the contract of a file of another form; ConfigError where that cannot be."""
        return self.parse(self.model_dump(mode="json") | dict(changes))

    @property
    def used(self) -> dict[str, Used]:
        """The columns of the file that are read, in the order of the contract."""
        return {n: column for n, column in self.columns.items() if not isinstance(column, Ignored)}

    @property
    def features(self) -> dict[str, Feature]:
        """The columns that attributes are made of: what a row to predict must have."""
        return {
            name: column
            for name, column in self.used.items()
            if isinstance(column, Categorical | Numeric | Boolean)
            or (isinstance(column, Date) and column.parts)
        }

    @property
    def attributes(self) -> dict[str, Attribute]:
        """What the neuron sees, in the order of the contract: of a date its parts."""
        return {name: a for column in self.used.items() for name, a in attributes_of(*column)}

    def names_of(self, kind: type[Settings]) -> tuple[str, ...]:
        """Return the columns of a kind, in the order of the contract."""
        return tuple(name for name, column in self.columns.items() if isinstance(column, kind))

    def cure_of_kind(self, kind: str) -> str:
        """Return the setting that makes a column, one that is ignored if any is, of that kind."""
        name = (*self.names_of(Ignored), *self.columns)[0]
        return f"data.columns.{name}.kind={kind}"

    @model_validator(mode="after")
    def _somewhere(self) -> Self:
        require(
            self.path is not None or self.source is not None,
            ".path must be given, or source; got neither",
        )
        require(
            self.path is None or self.source is None,
            f".path must be null where source is given; got {self.path!r}: data.path=null",
        )
        require(
            self.source is None or self.sha256 is None,
            ".sha256 must be null where source is given: data.sha256=null",
        )
        return self

    @model_validator(mode="after")
    def _tested(self) -> Self:
        require(
            self.valid is None or self.test is not None,
            f".test must be given where data.valid is; got null and {self.valid!r}",
        )
        return self

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        target = self.target.name
        require(target not in self.columns, f".columns must not hold the target; got {target!r}")
        for name in self.known:
            near = did_you_mean(name, [*self.columns, target])
            rule = f".known must name columns of the contract, or the target; got {name!r}{near}"
            require(name in self.columns or name == target, rule)
        require(len(self.attributes) > 0, ".columns must hold one that is not ignored; got none")
        names = {*self.columns, target}
        named = names if self.names is None else {*self.names}
        differ = sorted(names - named if self.rest == "ignored" else names ^ named)
        require(not differ, f".names must name the target and every column; {differ} differ")
        for kind in (Weight, Count, Group):
            same = self.names_of(kind)
            rule = f".columns must hold at most one of kind {kind.__name__.lower()}"
            require(len(same) < 2, f"{rule}; got {[*same]}")
        return self
