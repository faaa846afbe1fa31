"""The data contract: what the file of a table is like, and what each of its columns must hold."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import pairwise
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Strict,
    Tag,
    model_validator,
)

from pipeline.config.date_settings import PARTS, Date, Missing
from pipeline.config.file_settings import FileSettings, Name, Names
from pipeline.config.strict import Settings, Texts, did_you_mean, require

MinCount = Annotated[int, Field(ge=2)]


def _day(text: str) -> str:
    """Return a day in ISO 8601."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        rule = f' must be a day of ISO 8601, as "2026-01-31"; got {text!r}'
        raise ValueError(rule) from None


AsOf = Annotated[str, AfterValidator(_day)]


class Categorical(Settings):
    """A column of words: one input per category."""

    kind: Literal["categorical"]
    categories: Annotated[Names, Field(min_length=2)] | None = None  # null: learned from train
    missing: Missing = "refuse"  # input: a missing value is a category of its own
    min_count: MinCount | None = None  # those of fewer train rows share one input, "infrequent"


def _increasing(edges: Sequence[float]) -> Sequence[float]:
    ordered = all(low < high for low, high in pairwise(edges))
    require(ordered, f" must increase; got {[*edges]}")
    return edges


Edges = Annotated[
    tuple[float, ...], Strict(False), Field(min_length=1), AfterValidator(_increasing)
]
NBins = Annotated[int, Field(ge=2, le=1000)]
# So many, of equally many train rows, or where they meet.
Bins = Annotated[
    Annotated[NBins, Tag("number")] | Annotated[Edges, Tag("edges")],
    Discriminator(lambda value: "edges" if isinstance(value, list | tuple) else "number"),
]
Knots = Annotated[int, Field(ge=2, le=50)]


class Numeric(Settings):
    """A column of numbers, standardised, in bins or as a curve; its bounds are inclusive."""

    kind: Literal["numeric"]
    minimum: float | None = None
    maximum: float | None = None
    missing: Missing = "refuse"  # input: train's mean, and an input that says "it was missing"
    bins: Bins | None = None
    monotone: Literal["increasing", "decreasing"] | None = None  # bins that break it are merged
    spline: Knots | None = None  # knots of a natural cubic spline; 2: a straight line

    @model_validator(mode="after")
    def _one_shape(self) -> Self:
        require(self.bins is None or self.spline is None, " must have bins or spline; got both")
        has_bins = self.monotone is None or self.spline is None
        require(has_bins, ".monotone must go with bins; got spline")
        return self

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.minimum, self.maximum
        ordered = low is None or high is None or low < high
        require(ordered, f".minimum must be below maximum; got {low} and {high}")
        return self


class Ignored(Settings):
    """A column of the file that the neuron must not see."""

    kind: Literal["ignored"]


BOOLEAN = ("false", "true")  # how a Table holds a boolean


class Boolean(Settings):
    """A column of yes and no, in words (true, yes, 1) that say it themselves."""

    kind: Literal["boolean"]
    missing: Missing = "refuse"  # input: a missing value is a category of its own


class Weight(Settings):
    """A sample weight, any number from 0 up: how much a row counts in every mean."""

    kind: Literal["weight"]


class Count(Settings):
    """How many rows a row stands for, in a table that is grouped already."""

    kind: Literal["count"]


class Group(Settings):
    """Whom a row is about (a customer, a patient): no input; rows of one are not independent."""

    kind: Literal["group"]


def _without_rest(tree: Any) -> Any:
    """Let a column be of another kind whatever is set for it: ``data.columns.x.kind=ignored``."""
    kind = tree.get("kind") if isinstance(tree, dict) else None
    if kind in ("ignored", "weight", "count", "group"):
        return {"kind": kind}
    if kind == "date":
        others = {*Categorical.model_fields, *Numeric.model_fields} - {*Date.model_fields}
        return {key: value for key, value in tree.items() if key not in others}
    return tree


Column = Annotated[
    Annotated[
        Categorical | Numeric | Boolean | Date | Weight | Count | Group | Ignored,
        Field(discriminator="kind"),
    ],
    BeforeValidator(_without_rest),
]
Attribute = Categorical | Numeric
Feature = Categorical | Numeric | Boolean | Date
Used = Categorical | Numeric | Boolean | Date | Weight | Count | Group


def _attributes(name: str, column: Used) -> Iterator[tuple[str, Attribute]]:
    """Yield the attributes that a column of the file is to the neuron."""
    match column:
        case Categorical() | Numeric():
            yield name, column
        case Boolean(missing=missing):
            yield name, Categorical(kind="categorical", categories=BOOLEAN, missing=missing)
        case Date(parts=parts, missing=missing):
            for part in parts:
                words = PARTS.get(part)
                yield (
                    f"{name}.{part}",
                    (
                        Categorical(kind="categorical", categories=words, missing=missing)
                        if words
                        else Numeric(kind="numeric", missing=missing)
                    ),
                )


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
    path: Name  # csv, csv.gz or parquet; relative to the project folder
    valid: Name | None = None  # further files of this contract, for split=files
    test: Name | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    target: Target
    columns: Annotated[dict[str, Column], Field(min_length=1)]
    min_rows: Annotated[int, Field(ge=1)] = 20
    max_categories: Annotated[int, Field(ge=2)] = 1000
    max_bytes: Annotated[int, Field(ge=1)] = 4 * 2**30  # of the file, inflated
    max_contradictory: Annotated[float, Field(ge=0, le=1)] = 1.0  # share of rows
    as_of: AsOf = "2100-01-01"  # a day in ISO 8601; later dates are suspicious
    known: Names = ()  # columns, or the target, whose suspicions a person has judged
    card: Card = Card()

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
        return {name: a for column in self.used.items() for name, a in _attributes(*column)}

    def names_of(self, kind: type[Settings]) -> tuple[str, ...]:
        """Return the columns of a kind, in the order of the contract."""
        return tuple(name for name, column in self.columns.items() if isinstance(column, kind))

    def cure_of_kind(self, kind: str) -> str:
        """Return the setting that makes a column, one that is ignored if any is, of that kind."""
        name = (*self.names_of(Ignored), *self.columns)[0]
        return f"data.columns.{name}.kind={kind}"

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
