"""Two trainings of one run are compared: to the bit, and where they part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nn.arrays import Array

TOLERANCE = 1e-12  # of a value, relative where it is above 1


@dataclass(frozen=True)
class Difference:
    """Where two trainings part. ``epoch`` is the first that differs by more than the tolerance.

    ``largest`` is the largest difference of any value, as a share of it where it is above 1;
    infinite where a value is there only once.
    """

    bits: int  # values that differ at all
    largest: float
    epoch: int | None
    told: str  # the first value beyond the tolerance: what it is, and was on record

    @property
    def identical(self) -> bool:
        """Whether every bit is the same."""
        return self.bits == 0

    @property
    def close(self) -> bool:
        """Whether all is the same within the tolerance."""
        return self.epoch is None


def difference(recorded: Mapping[str, Array], again: Mapping[str, Array], kept: int) -> Difference:
    """Where ``again`` parts from ``recorded``: ``theta`` and the series of the curve.

    ``kept`` is the epoch whose neuron ``theta`` is. A series has a value for each epoch from 0 on.
    """
    bits, largest = 0, 0.0
    found: list[tuple[int, str]] = []
    for name, old in recorded.items():
        new = again.get(name, np.empty(0))
        n, longer = sorted((len(old), len(new)))
        odd = _odd(old[:n], new[:n])
        bits += int(_other_bits(old[:n], new[:n]).sum()) + longer - n
        largest = max(largest, float(odd.max(initial=0.0)), np.inf if n < longer else 0.0)
        beyond = np.flatnonzero(odd > TOLERANCE)
        if len(beyond) or n < longer:
            place = int(beyond[0]) if len(beyond) else n
            epoch, label = (kept, f"theta[{place}]") if name == "theta" else (place, name)
            found.append((epoch, f"{label} is {_value(new, place)}, it was {_value(old, place)}"))
    if not found:
        return Difference(bits, largest, None, "")
    epoch, told = min(found, key=lambda each: (each[0], each[1].startswith("theta[")))
    return Difference(bits, largest, epoch, told)


def _other_bits(old: Array, new: Array) -> npt.NDArray[np.bool_]:
    """Where a bit differs: 0.0 and -0.0 do, equal NaNs do not."""
    was, now = (np.ascontiguousarray(array, np.float64).view(np.uint64) for array in (old, new))
    return np.not_equal(was, now)


def _odd(old: Array, new: Array) -> Array:
    """The difference of each pair of values, as a share of the older one where that is above 1."""
    with np.errstate(invalid="ignore"):
        odd = np.abs(new - old) / np.maximum(np.abs(old), 1.0)
    same = (old == new) | (np.isnan(old) & np.isnan(new))
    return np.where(same, 0.0, np.where(np.isnan(odd), np.inf, odd))


def _value(array: Array, place: int) -> str:
    return repr(float(array[place])) if place < len(array) else "missing"
