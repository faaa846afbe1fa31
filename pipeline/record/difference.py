"""Two trainings of one run are compared: to the bit, and where they part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nn.arrays import Array

TOLERANCE = 1e-12  # of a value, relative where it is above 1
SAME = -1.0  # stands for a difference where every bit is the same


@dataclass(frozen=True)
class Difference:
    """Where two trainings part: by any bit, and by more than the tolerance.

    ``largest`` is the largest difference of any value, as a share of it where it is above 1;
    infinite where a value is there only once. ``epoch`` is the first that differs by more than the
    tolerance. ``where`` says which value that is; where none does, the first that differs at all.
    """

    bits: int  # values that differ at all
    largest: float
    epoch: int | None
    where: str

    @property
    def identical(self) -> bool:
        """Whether every bit is the same."""
        return self.bits == 0

    @property
    def close(self) -> bool:
        """Whether all is the same within the tolerance."""
        return self.epoch is None


def difference(recorded: Mapping[str, Array], again: Mapping[str, Array], kept: int) -> Difference:
    """Compare ``theta`` and the series of the curve, which have a value for each epoch from 0 on.

    ``kept`` is the epoch whose neuron ``theta`` is.
    """
    names = sorted(recorded.keys() | again.keys(), key="theta".__eq__)
    pairs = {
        name: (recorded.get(name, np.empty(0)), again.get(name, np.empty(0))) for name in names
    }
    apart = {name: _apart(*pair) for name, pair in pairs.items()}
    every = np.concatenate([*apart.values(), [SAME]])
    beyond = _first(apart, TOLERANCE, kept)
    epoch, name, place = beyond or _first(apart, SAME, kept) or (None, "", 0)
    return Difference(
        bits=int((every > SAME).sum()),
        largest=max(float(every.max()), 0.0),
        epoch=epoch if beyond else None,
        where=f"{name}[{place}] is {_values(*pairs[name], place)}" if name else "",
    )


def _apart(old: Array, new: Array) -> Array:
    """Return how far each value is from the older one, as a share of that where it is above 1.

    ``SAME`` where every bit is: 0.0 and -0.0 differ. Infinite where one of the two is missing.
    """
    n, shorter = max(len(old), len(new)), min(len(old), len(new))
    was, now = (np.append(each, np.full(n - len(each), np.nan)) for each in (old, new))
    with np.errstate(all="ignore"):
        apart: Array = np.abs(now - was) / np.maximum(np.abs(was), 1.0)
    apart[np.isnan(apart)] = np.inf
    apart[:shorter][was.view(np.uint64)[:shorter] == now.view(np.uint64)[:shorter]] = SAME
    return apart


def _first(apart: Mapping[str, Array], limit: float, kept: int) -> tuple[int, str, int] | None:
    """Return epoch, name and place of the first value that is further apart than ``limit``."""
    places = {name: np.flatnonzero(values > limit) for name, values in apart.items()}
    found = [
        (kept if name == "theta" else int(far[0]), name, int(far[0]))
        for name, far in places.items()
        if len(far)
    ]
    return min(found, key=lambda each: each[0], default=None)


def _values(old: Array, new: Array, place: int) -> str:
    was, now = (repr(float(a[place])) if place < len(a) else "missing" for a in (old, new))
    return f"{now}, it was {was}"
