"""A table becomes the inputs of the neuron, by an encoder that is learned from train alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from nn import Examples
from pipeline.config.column_settings import Numeric
from pipeline.config.contract import DataSettings
from pipeline.config.encode_settings import EncodeSettings
from pipeline.errors import DataError
from pipeline.stages.encode.numbers import Spline, Standard, fit_numbers
from pipeline.stages.encode.onehot import OneHot, WordCounts, fit_one_hot
from pipeline.stages.one_thread import on_one_thread
from pipeline.stages.validate.convert import Table
from pipeline.text import counted, quoted

Block = OneHot | Standard | Spline
N_SHOWN = 3  # categories that a message names


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


@dataclass(frozen=True)
class Known:
    """What all rows of train say, where an encoder is learned from a sample of them."""

    words: WordCounts = field(default_factory=dict)
    scales: Mapping[str, Standard] = field(default_factory=dict)


@on_one_thread
def fit_encoder(
    train: Table, settings: EncodeSettings, data: DataSettings, known: Known | None = None
) -> Encoder:
    """Return the encoder that contract and training rows determine.

    Categories are those of the contract, in its order, or, where the contract leaves them open,
    those of train, sorted. Means, deviations, bins and knots are train's, weighted by count. What
    is ``known`` of train is taken from there, where ``train`` is a sample of it.

    Raises
    ------
    DataError
        If two inputs would have the same name, or there would be too many.
    """
    known = known or Known()
    attributes = {name: settings.complete(each) for name, each in data.attributes.items()}
    joined = {name: cross for cross in settings.crosses for name in cross}
    blocks: dict[str, Block] = {}
    for name, column in attributes.items():
        block: Block
        if isinstance(column, Numeric) and column.bins is None:
            is_kept = column.missing == "input"
            scale = known.scales.get(name)
            block = fit_numbers(train, name, missing=is_kept, spline=column.spline, scale=scale)
        else:
            block = fit_one_hot(
                train, {n: attributes[n] for n in joined.get(name, (name,))}, data.max_categories,
                known.words,
            )  # fmt: skip
        blocks.setdefault(block.name, block)
    encoder = Encoder(tuple(blocks.values()), settings.unseen)
    twice = [name for name, n in Counter(encoder.inputs).items() if n > 1]
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
    if encoder.unseen == "refuse":
        refuse_unseen(find_unseen(encoder, table), part)
    columns = [block.columns(table) for block in encoder.blocks]
    arrays = (np.hstack(columns), table.y.copy(), table.weighted_count)
    for array in arrays:
        array.setflags(write=False)
    return Examples(*arrays)


def refuse_unseen(unseen: Mapping[str, dict[str, int]], part: str) -> None:
    """Raise DataError where rows of a part have categories that train does not."""
    if unseen:
        raise DataError("\n".join(_refusal(name, found, part) for name, found in unseen.items()))


def unseen_words(
    encoder: Encoder, words: Mapping[str, Mapping[str, int]]
) -> dict[str, dict[str, int]]:
    """Return the same as ``find_unseen`` of the words of each attribute and their rows."""
    found = {b.name: b.unseen_words(words) for b in encoder.blocks if isinstance(b, OneHot)}
    return {name: categories for name, categories in found.items() if categories}


def find_unseen(encoder: Encoder, table: Table) -> dict[str, dict[str, int]]:
    """Return the categories that the encoder does not know with their rows, by attribute."""
    found = {b.name: b.unseen(table) for b in encoder.blocks if isinstance(b, OneHot)}
    return {name: categories for name, categories in found.items() if categories}


def format_unseen(categories: dict[str, int]) -> str:
    """Return the first of the categories, each with its number of rows: ``new (3), old (1)``."""
    shown = ", ".join(f"{quoted(k, 30)} ({n})" for k, n in [*categories.items()][:N_SHOWN])
    return shown + (f", … ({len(categories)} in all)" if len(categories) > N_SHOWN else "")


def _refusal(name: str, found: dict[str, int], part: str) -> str:
    n = sum(found.values())
    return (
        f"column {name} must have categories of train; got {format_unseen(found)} in "
        f"{counted(n, 'row')} of {part}: encode them as zeros with encode.unseen=zeros, or as "
        "infrequent with encode.min_count=10"
    )
