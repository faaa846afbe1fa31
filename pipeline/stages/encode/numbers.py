"""A column of numbers becomes inputs of about unit size: a straight line, or a smooth curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nn.arrays import Array
from pipeline.stages.encode.natural import cardinal, knots_of, smooth_curves
from pipeline.stages.validate.convert import Table
from pipeline.stages.validate.values import Bools

FARTHEST = 1e100  # deviations: with more a logit might overflow
SHIFTED = 1e-9  # deviations: a mean that is off by less needs no rest
N_POINTS = 61  # of a curve that is drawn
TINY = 5e-324  # the least that is not 0
ABSENT = "missing"  # how an input says that a value is missing


@dataclass(frozen=True)
class Standard:
    """A number as ``(x - mean - rest) / deviation`` of train, and an input that says "missing".

    ``rest`` is what float64 cannot hold of the mean of numbers that hardly differ. ``deviation``
    is 0 where all numbers of train are equal; then the input is 0 whatever the number.
    """

    attribute: str
    mean: float
    deviation: float
    missing: bool
    rest: float = 0.0

    @property
    def name(self) -> str:
        """The attribute."""
        return self.attribute

    @property
    def labels(self) -> tuple[str, ...]:
        """What the inputs of the block stand for."""
        label = f"per deviation ({self.deviation:.4g})"
        return (label, ABSENT) if self.missing else (label,)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs: ``radius``, and ``radius=missing`` where it may be missing."""
        return (self.attribute, f"{self.attribute}={ABSENT}")[: len(self.labels)]

    def columns(self, table: Table) -> Array:
        """Return the inputs (n, d) of the rows."""
        return self.at(table.frame[self.attribute].to_numpy(np.float64))

    def at(self, x: Array) -> Array:
        """Return the inputs (n, d) of numbers (n,)."""
        return _with_missing(self.scaled(x)[:, None], np.isnan(x), keep=self.missing)

    def points(self, _: Array) -> Array:
        """Return the numbers at which the effect is to be drawn: none of a straight line."""
        return np.empty(0)

    def scaled(self, x: Array) -> Array:
        """Return numbers in deviations from the mean, FARTHEST at most; NaN stays NaN."""
        z = x.copy()
        self.scale_in_place(z)
        return z

    def scale_in_place(self, x: Array) -> None:
        """Do the same where the numbers are."""
        if self.deviation == 0:
            x[~np.isnan(x)] = 0.0
            return
        with np.errstate(over="ignore"):
            x -= self.mean
            if self.rest:
                x -= self.rest
            x /= self.deviation
        np.clip(x, -FARTHEST, FARTHEST, out=x)


@dataclass(frozen=True)
class Spline:
    """A number as curves: natural cubic splines, straight lines beyond the first and last knot.

    ``knots`` (k,) are in deviations, and ``values`` (k, c) those of the c curves there. The first
    curve is the number itself, standardised. Over train every curve has mean 0 and is
    uncorrelated with the others; see ``natural.smooth_curves``.
    """

    scale: Standard
    knots: tuple[float, ...]
    values: tuple[tuple[float, ...], ...]

    @property
    def name(self) -> str:
        """The attribute."""
        return self.scale.attribute

    @property
    def missing(self) -> bool:
        """Whether an input says that the number is missing."""
        return self.scale.missing

    @property
    def labels(self) -> tuple[str, ...]:
        """What the inputs stand for: the straight line, then bends of ever more turns."""
        bends = tuple(f"bend {i}" for i in range(1, len(self.values[0])))
        line, *missing = self.scale.labels
        return (line, *bends, *missing)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs: ``age``, ``age=bend 1``, …, ``age=missing``."""
        return (self.name, *(f"{self.name}={label}" for label in self.labels[1:]))

    def columns(self, table: Table) -> Array:
        """Return the inputs (n, d) of the rows."""
        return self.at(table.frame[self.name].to_numpy(np.float64))

    def at(self, x: Array) -> Array:
        """Return the inputs (n, d) of numbers (n,)."""
        z = self.scale.scaled(x)
        bends = cardinal(np.array(self.knots), z) @ np.array(self.values)[:, 1:]
        return _with_missing(np.column_stack([z, bends]), np.isnan(x), keep=self.missing)

    def points(self, X: Array) -> Array:
        """Return the numbers at which the effect is to be drawn, given inputs (n, d) of train.

        They span 98 % of its rows: outliers would leave the rest too narrow to be seen.
        """
        low, high = np.quantile(X[:, 0], [0.01, 0.99])
        z = np.linspace(low, high, N_POINTS)
        return self.scale.mean + (self.scale.rest + z * self.scale.deviation)


def fit_numbers(
    train: Table, name: str, *, missing: bool, spline: int | None, scale: Standard | None = None
) -> Standard | Spline:
    """Return how a column of numbers becomes inputs, from rows weighted by count.

    With ``spline`` as a curve of so many knots, fewer where train has fewer different numbers.
    A ``scale`` that is known is kept.
    """
    values = train.frame[name].to_numpy(np.float64)
    known = ~np.isnan(values)
    x, share = values[known], train.weighted_count[known]
    scale = scale or _standard(x, share, name, missing=missing)
    if spline is None or scale.deviation == 0:
        return scale
    z = scale.scaled(x)
    knots = knots_of(z, share, spline)
    if len(knots) < 3:  # two values, or knots: a straight line passes through both
        return scale
    curves = np.column_stack([knots, smooth_curves(knots, z, share)])
    return Spline(scale, tuple(knots.tolist()), tuple(map(tuple, curves.tolist())))


def _standard(x: Array, count: Array, name: str, *, missing: bool) -> Standard:
    if not x.size or x.min() == x.max():
        return Standard(name, float(x[0]) if x.size else 0.0, 0.0, missing)
    mean = float(count @ x / count.sum())
    deviation, rest = _deviation(x - mean, count), float(count @ (x - mean) / count.sum())
    if abs(rest) <= SHIFTED * deviation:
        return Standard(name, mean, deviation, missing)
    # The sum has lost what tells the numbers apart; differences from near them are exact.
    return Standard(name, mean, _deviation(x - mean - rest, count), missing, rest)


def _deviation(difference: Array, count: Array) -> float:
    """Return the root of the mean square, above 0 unless every difference is 0."""
    # In units of a power of two, which rounds nothing, squares neither overflow nor vanish.
    power = int(np.frexp(np.abs(difference).max())[1])
    square = count @ np.ldexp(difference, -power) ** 2 / count.sum()
    return max(float(np.ldexp(np.sqrt(square), power)), TINY)


def _with_missing(known: Array, absent: Bools, *, keep: bool) -> Array:
    """Return the inputs with 0 where the number is absent, and with ``keep`` one that says so."""
    filled = np.where(absent[:, None], 0.0, known)
    return np.column_stack([filled, absent.astype(np.float64)]) if keep else filled
