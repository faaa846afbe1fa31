"""Encoded rows in blocks, each with the hash of the row that it was: what evaluation works on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from nn import Blocks, Examples
from pipeline.stages.validate.convert import Table

T = TypeVar("T")
Key = npt.NDArray[np.uint64]
SAMPLE = 2**17  # rows, at most


class KeyedBlocks(Blocks, Protocol):
    """Blocks of a part of the table.

    ``sample`` are distinct rows of all of them, at most SAMPLE, those with the smallest hashes,
    each as often as it counts, and ``sample_table`` the same before they were encoded.
    """

    @property
    def sample(self) -> Examples:
        """A sample of the rows that does not depend on their order."""

    @property
    def sample_table(self) -> Table:
        """The rows of ``sample`` as their columns hold them."""

    def map_keyed(self, function: Callable[[Examples, Key], T]) -> Iterator[T]:
        """Yield what ``function`` makes of each block and the hash (n,) of each of its rows.

        The hash is of the values of the row: the same in every run, on every engine. In the order
        of the blocks, as ``map``.
        """


@dataclass(frozen=True)
class InMemoryKeyedBlocks:
    """Blocks that are held, for small tables."""

    blocks: tuple[Examples, ...]
    keys: tuple[Key, ...]
    sample: Examples
    sample_table: Table

    @property
    def d(self) -> int:
        """The number of inputs."""
        return int(self.blocks[0].X.shape[1])

    def map(self, function: Callable[[Examples], T]) -> Iterator[T]:
        """Yield what ``function`` makes of each block."""
        return map(function, self.blocks)

    def map_keyed(self, function: Callable[[Examples, Key], T]) -> Iterator[T]:
        """Yield what ``function`` makes of each block and the hashes of its rows."""
        return map(function, self.blocks, self.keys)


@dataclass(frozen=True)
class Reweighted:
    """Blocks whose rows count otherwise: by a factor for those of each class, 0 and 1."""

    blocks: KeyedBlocks
    factors: tuple[float, float]

    @property
    def d(self) -> int:
        """The number of inputs."""
        return self.blocks.d

    @property
    def sample(self) -> Examples:
        """The sample, by the same factors."""
        return reweighted(self.blocks.sample, self.factors)

    @property
    def sample_table(self) -> Table:
        """The rows of ``sample`` as their columns hold them."""
        return self.blocks.sample_table

    def map(self, function: Callable[[Examples], T]) -> Iterator[T]:
        """Yield what ``function`` makes of each block."""
        return self.blocks.map(partial(_then, function, self.factors))

    def map_keyed(self, function: Callable[[Examples, Key], T]) -> Iterator[T]:
        """Yield what ``function`` makes of each block and the hashes of its rows."""
        return self.blocks.map_keyed(partial(_then, function, self.factors))


def reweighted(examples: Examples, factors: tuple[float, float]) -> Examples:
    """Return the rows, each class counted by its factor."""
    return examples._replace(count=examples.count * np.where(examples.y == 1, *factors[::-1]))


def _then(
    function: Callable[..., T], factors: tuple[float, float], examples: Examples, *key: Key
) -> T:
    return function(reweighted(examples, factors), *key)
