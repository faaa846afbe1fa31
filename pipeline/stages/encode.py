"""A table becomes the inputs of the neuron, by an encoder that is learned from train alone."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from nn import Examples
from nn.arrays import Array
from pipeline.config.contract import Categorical, DataSettings, Numeric
from pipeline.config.schema import EncodeSettings
from pipeline.errors import DataError
from pipeline.stages.one_thread import on_one_thread
from pipeline.stages.read.rows import Counts
from pipeline.stages.validate.validation import MISSING, Table

ABSENT = "missing"  # how an input says that a value is missing


@dataclass(frozen=True)
class OneHot:
    """A block of 0/1 inputs: one for each category of an attribute, or of attributes joined."""

    attributes: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]

    @property
    def name(self) -> str:
        """``safety``, or ``buying:maint`` for attributes that are joined."""
        return ":".join(self.attributes)

    @property
    def labels(self) -> tuple[str, ...]:
        """The categories as a person writes them: ``low``, or ``vhigh:low`` where joined.

        A value that is missing is ``missing``, or ``(missing)`` where that is a word of the data.
        """
        words = {word for category in self.categories for word in category}
        absent = ABSENT
        while absent in words:
            absent = f"({absent})"
        return tuple(
            ":".join(absent if word == MISSING else word for word in category)
            for category in self.categories
        )

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs: ``safety=low``, ``buying:maint=vhigh:low``."""
        return tuple(f"{self.name}={label}" for label in self.labels)


@dataclass(frozen=True)
class Standard:
    """A number as ``(x - mean) / deviation`` of train, and whether an input says "missing"."""

    attribute: str
    mean: float
    deviation: float
    missing: bool

    @property
    def name(self) -> str:
        """The attribute."""
        return self.attribute

    @property
    def labels(self) -> tuple[str, ...]:
        """What the inputs of the block stand for."""
        return ("per deviation", ABSENT) if self.missing else ("per deviation",)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs: ``radius``, and ``radius=missing`` where it may be missing."""
        return (self.attribute, f"{self.attribute}={ABSENT}")[: len(self.labels)]


Block = OneHot | Standard


@dataclass(frozen=True)
class Encoder:
    """Blocks of inputs, side by side."""

    blocks: tuple[Block, ...]
    unseen: str  # refuse or zeros

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of all d inputs, in the order of the weights."""
        return tuple(name for block in self.blocks for name in block.inputs)

    def slices(self) -> list[slice]:
        """Return the columns of X that belong to each block."""
        ends = np.cumsum([len(block.inputs) for block in self.blocks]).tolist()
        return [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]


@on_one_thread
def fit_encoder(train: Table, settings: EncodeSettings, data: DataSettings) -> Encoder:
    """Return the encoder that contract and training rows determine.

    Categories are those of the contract, in its order, or, where the contract leaves them open,
    those of train, sorted. Means and deviations are train's, weighted by count.

    Raises
    ------
    DataError
        If two inputs would have the same name.
    """
    joined = {name: cross for cross in settings.crosses for name in cross}
    blocks: dict[str, Block] = {}
    for name, column in data.attributes.items():
        if isinstance(column, Numeric):
            block: Block = _standard(train, name, missing=column.missing == "input")
        else:
            block = _one_hot(train, joined.get(name, (name,)), data)
        blocks.setdefault(block.name, block)
    encoder = Encoder(tuple(blocks.values()), settings.unseen)
    twice = {name for name in encoder.inputs if encoder.inputs.count(name) > 1}
    if twice:
        raise DataError(f"inputs must have different names; got {sorted(twice)} more than once")
    return encoder


def encode(encoder: Encoder, table: Table, part: str) -> Examples:
    """Return inputs X (n, d), labels and counts of a part of the table, as read-only arrays.

    Counts are ``table.weighted_count``.

    Raises
    ------
    DataError
        If ``encoder.unseen`` is "refuse" and rows have categories that train does not.
    """
    unseen = count_unseen(encoder, table) if encoder.unseen == "refuse" else {}
    if unseen:
        raise DataError(
            "\n".join(
                f"column {name} must have categories of train; got {n} rows with another in {part} "
                "(list the categories in the contract, or choose encode.unseen=zeros)"
                for name, n in unseen.items()
            )
        )
    columns = [_columns(block, table) for block in encoder.blocks]
    arrays = (np.hstack(columns), table.y.copy(), table.weighted_count)
    for array in arrays:
        array.setflags(write=False)
    return Examples(*arrays)


def count_unseen(encoder: Encoder, table: Table) -> dict[str, int]:
    """Return how many rows have a category that the encoder does not know, by attribute."""
    found = {
        block.name: int(table.count[_codes(block, table) < 0].sum())
        for block in encoder.blocks
        if isinstance(block, OneHot)
    }
    return {name: n for name, n in found.items() if n}


def _one_hot(train: Table, attributes: tuple[str, ...], data: DataSettings) -> OneHot:
    options = [_categories(train, name, data) for name in attributes]
    return OneHot(attributes, tuple(itertools.product(*options)))


def _categories(train: Table, name: str, data: DataSettings) -> list[str]:
    column = data.attributes[name]
    listed = column.categories if isinstance(column, Categorical) else None
    known = sorted({*train.frame[name].unique()} - {MISSING}) if listed is None else [*listed]
    return [*known, MISSING] if column.missing == "input" else known


def _standard(train: Table, name: str, *, missing: bool) -> Standard:
    values = train.frame[name].to_numpy(np.float64)
    known = ~np.isnan(values)
    count = train.weighted_count[known]
    if not known.any():
        return Standard(name, 0.0, 1.0, missing)
    mean = float(count @ values[known] / count.sum())
    deviation = float(np.sqrt(count @ (values[known] - mean) ** 2 / count.sum()))
    # A column that does not vary has an input of 0, not of 0 / 0.
    constant = deviation <= 1e-12 * max(1.0, abs(mean))
    return Standard(name, mean, 1.0 if constant else deviation, missing)


def _columns(block: Block, table: Table) -> Array:
    if isinstance(block, Standard):
        values = table.frame[block.attribute].to_numpy(np.float64)
        absent = np.isnan(values)
        scaled = np.where(absent, 0.0, (values - block.mean) / block.deviation)
        return np.column_stack([scaled, absent] if block.missing else [scaled]).astype(np.float64)
    codes = _codes(block, table)
    one_hot: Array = (codes[:, None] == np.arange(len(block.categories))).astype(np.float64)
    return one_hot


def _codes(block: OneHot, table: Table) -> Counts:
    """Return the position of each row's category in the block, -1 where it is not there.

    Looked up once for each combination of values that occurs: rows may be millions.
    """
    import pandas as pd

    place = {category: i for i, category in enumerate(block.categories)}
    codes, values = zip(
        *(pd.factorize(table.frame[name]) for name in block.attributes), strict=True
    )
    shape = [len(known) for known in values]
    used, combination = np.unique(np.ravel_multi_index(codes, shape), return_inverse=True)
    occurring = zip(
        *(known[at] for known, at in zip(values, np.unravel_index(used, shape), strict=True)),
        strict=True,
    )
    found = [place.get(category, -1) for category in occurring]
    return np.array(found, np.int64)[combination]
