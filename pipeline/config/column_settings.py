"""What each column of a table must hold, and what it is to the neuron."""

from collections.abc import Iterator, Sequence
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
from pipeline.config.file_settings import Names
from pipeline.config.strict import Settings, require

MinCount = Annotated[int, Field(ge=2)]


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


def attributes_of(name: str, column: Used) -> Iterator[tuple[str, Attribute]]:
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
