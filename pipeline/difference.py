"""Two trainings of one run are compared: to the bit, and where they part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

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
    told: str  # the first value beyond the tolerance: was and is

    @property
    def identical(self) -> bool:
        """Whether every bit is the same."""
        return self.bits == 0

    @property
    def close(self) -> bool:
        """Whether all is the same within the tolerance."""
        return self.epoch is None


def difference(recorded: Mapping[str, Array], again: Mapping[str, Array]) -> Difference:
    """Where ``again`` parts from ``recorded``: ``theta``, ``epoch`` and the series of the curve."""
    epochs = recorded["epoch"]
    bits, largest, first = 0, 0.0, (len(epochs), "")
    for name in recorded:
        old, new = recorded[name], again.get(name, np.empty(0))
        n = min(len(old), len(new))
        odd = _odd(old[:n], new[:n])
        bits += int((old[:n] != new[:n]).sum()) + max(len(old), len(new)) - n
        largest = max(largest, float(odd.max(initial=0.0)))
        beyond = np.flatnonzero(odd > TOLERANCE)
        place = int(beyond[0]) if len(beyond) else n
        if place == n and len(old) == len(new):
            continue
        if place == n:
            largest = np.inf
        if name == "theta":  # the neuron that was kept is the curve's last word
            place, label = len(epochs) - 1, f"theta[{place}]"
        else:
            label = f"{name} at epoch {place}"
        at = int(beyond[0]) if len(beyond) else n
        told = f"{label} is {_value(new, at)}, it was {_value(old, at)}"
        first = min(first, (place, told), key=lambda found: found[0])
    epoch = None if not first[1] else int(epochs[min(first[0], len(epochs) - 1)])
    return Difference(bits, largest, epoch, first[1])


def _odd(old: Array, new: Array) -> Array:
    """The difference of each pair of values, as a share of the older one where that is above 1."""
    with np.errstate(invalid="ignore"):
        odd = np.abs(new - old) / np.maximum(np.abs(old), 1.0)
    same = (old == new) | (np.isnan(old) & np.isnan(new))
    return np.where(same, 0.0, np.where(np.isnan(odd), np.inf, odd))


def _value(array: Array, place: int) -> str:
    return repr(float(array[place])) if place < len(array) else "missing"
