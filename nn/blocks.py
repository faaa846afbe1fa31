"""Rows that are too many to hold: blocks that each pass makes anew, and sums over them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from nn.neuron import Examples

T = TypeVar("T")
S = TypeVar("S", bound=tuple[Any, ...])


class Blocks(Protocol):
    """Examples in blocks, in a fixed order, of ``d`` inputs."""

    @property
    def d(self) -> int:
        """The number of inputs."""

    def map(self, function: Callable[[Examples], T]) -> Iterator[T]:
        """Yield what ``function`` makes of each block, in the order of the blocks.

        It may be called in several threads, or processes: it can be pickled, and has no state.
        """


@dataclass(frozen=True)
class InMemoryBlocks:
    """Blocks that are held."""

    blocks: tuple[Examples, ...]

    @property
    def d(self) -> int:
        """The number of inputs."""
        return int(self.blocks[0].X.shape[1])

    def map(self, function: Callable[[Examples], T]) -> Iterator[T]:
        """Yield what ``function`` makes of each block."""
        return map(function, self.blocks)


def tree_sum(terms: Iterable[S]) -> S:
    """Return the sums of tuples of numbers and arrays, place by place.

    They are added in a binary tree: two neighbours, then two of these sums, and so on, as pairwise
    summation does (Higham 2002, section 4.2). So its rounding depends on the number of terms alone,
    grows with its logarithm only, and the terms of an aligned run of ``2 ** k`` may be added
    elsewhere before. At most ``log2(n) + 1`` sums are held.

    Raises
    ------
    ValueError
        If there is no term.
    """
    sums: list[tuple[int, S]] = []  # how many terms each is of, a power of two that falls
    for term in terms:
        n, total = 1, term
        while sums and sums[-1][0] == n:
            total = _add(sums.pop()[1], total)
            n *= 2
        sums.append((n, total))
    if not sums:
        raise ValueError("terms must hold one or more; got none")
    total = sums.pop()[1]
    while sums:
        total = _add(sums.pop()[1], total)
    return total


def _add(one: S, other: S) -> S:
    """Return both added place by place, as the same type of tuple."""
    added = [a + b for a, b in zip(one, other, strict=True)]
    make: Callable[[Iterable[Any]], S] = getattr(type(one), "_make", type(one))
    return make(added)
