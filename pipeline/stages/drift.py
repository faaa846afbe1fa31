"""The distribution of train's columns and other rows become how far each column has drifted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nn.arrays import Array
from pipeline.config.contract import DataSettings
from pipeline.stages.validate import MISSING, Table
from pipeline.stages.validate.hints import known_cure

BINS = 10  # of a number, equally many rows of train in each,
LEAST = 20  # and so many at least: of quantiles of fewer, chi-square raises too many alarms
MOST_CATEGORIES = 50  # that are distinguished, the commonest ones
FEWEST = 5.0  # rows to be expected of a bin, or chi-square is no approximation (Cochran 1954)
LEVEL = 0.05  # of the test, over all columns together
MODERATE, LARGE = 0.1, 0.25  # of the PSI, as is the custom (Siddiqi 2006)
N_NAMED = 5  # categories that train lacks


@dataclass(frozen=True)
class Distribution:
    """How many independent rows of train have which values of a column.

    A number has ``edges`` (k,), ascending: a bin holds what is above one edge and up to the next;
    the first is below all of train, then there is one above all of it, and the last holds missing
    values: k + 2 in ``count``. Words have ``categories``, and a last bin for every other one.
    """

    column: str
    edges: tuple[float, ...]
    categories: tuple[str, ...]
    count: tuple[float, ...]

    def __post_init__(self) -> None:
        """Raise ValueError where the parts do not fit: it may come from anywhere."""
        n_bins = len(self.edges) + 2 if self.edges else len(self.categories) + 1
        if len(self.count) != n_bins or not np.isfinite([*self.edges, *self.count]).all():
            raise ValueError(f"count must hold {n_bins} numbers; got {len(self.count)}")
        if [*self.edges] != sorted(self.edges) or min(self.count) < 0 or not sum(self.count):
            raise ValueError("edges must ascend and count be of rows; got others")

    def label(self, place: int) -> str:
        """Return what a bin holds, as a person writes it."""
        if not self.edges:
            other = "another" if self.count[-1] else "not in train"
            return _shown((*self.categories, other)[place])
        if place > len(self.edges):
            return _shown(MISSING)
        if place == 0:
            return f"below {np.nextafter(self.edges[0], np.inf):.4g}"
        if place == len(self.edges):
            return f"above {self.edges[-1]:.4g}"
        low, high = self.edges[place - 1 : place + 1]
        is_one_value = np.nextafter(low, np.inf) == high
        return f"{high:.4g}" if is_one_value else f"{low:.4g} to {high:.4g}"


def _shown(category: str) -> str:
    return "missing" if category == MISSING else category


@dataclass(frozen=True)
class Drift:
    """How far a column is from what it was in train.

    ``psi``: population stability index less its mean by chance alone, 0 or more. ``p_value``: of
    chi-square over the bins, corrected for the number of columns (Holm 1979). ``bin`` is the one
    whose share of rows changed most, from ``train_share`` to ``share``. ``unseen``: categories that
    no row of train has, the commonest first.
    """

    column: str
    psi: float
    p_value: float
    bin: str
    train_share: float
    share: float
    unseen: tuple[str, ...]

    @property
    def is_large(self) -> bool:
        """Whether the column has drifted, beyond chance, and far."""
        return self.p_value <= LEVEL and self.psi > LARGE


def distributions(train: Table, count: Array, target: str) -> tuple[Distribution, ...]:
    """Return the distribution of each attribute, then of the target.

    ``count`` (n,): how many independent rows each one stands for.
    """
    columns = [_distribution(str(name), train.frame[name], count) for name in train.frame]
    n_positive = float(count @ train.y)
    shares = (float(count.sum()) - n_positive, n_positive, 0.0)
    return *columns, Distribution(target, (), ("negative", "positive"), shares)


def find_drift(train: Sequence[Distribution], table: Table, count: Array) -> tuple[Drift, ...]:
    """Return the drift of each column, the farthest first; ``count`` as of ``distributions``."""
    labels = np.where(table.y == 1, "positive", "negative")
    found = [_drift(known, table.frame.get(known.column, labels), count) for known in train]
    corrected = _holm(np.array([drift.p_value for drift in found]))
    together = [replace(d, p_value=p) for d, p in zip(found, corrected.tolist(), strict=True)]
    return tuple(sorted(together, key=lambda drift: (-drift.psi, drift.p_value)))


def _distribution(name: str, values: Any, count: Array) -> Distribution:
    if values.dtype.kind == "f":
        edges = _edges(values.to_numpy(), count)
        return Distribution(name, edges, (), _counts_of_numbers(edges, values, count))
    sums = _sums(values, count)
    categories = tuple(sorted(sums.index[:MOST_CATEGORIES]))
    return Distribution(name, (), categories, _counts_of_words(categories, sums))


def _edges(x: Array, count: Array) -> tuple[float, ...]:
    """Return the quantiles of train, the least and the largest number among them, each once."""
    known = ~np.isnan(x)
    if not known.any():
        return (0.0,)
    x, count = x[known], count[known]
    order = np.argsort(x)
    reached = np.cumsum(count[order])
    bins = int(np.clip(reached[-1] / LEAST, 2, BINS))
    share = np.arange(1, bins + 1) / bins
    at = np.searchsorted(reached, share * reached[-1] * (1 - 1e-12))
    edges: list[float] = np.unique([np.nextafter(x[order[0]], -np.inf), *x[order[at]]]).tolist()
    return tuple(edges)


def _counts_of_numbers(edges: tuple[float, ...], values: Any, count: Array) -> tuple[float, ...]:
    x = np.asarray(values, np.float64)
    place = np.searchsorted(edges, x)  # of NaN, after all others
    place += np.isnan(x)
    counts: list[float] = np.bincount(place, count, len(edges) + 2).tolist()
    return tuple(map(float, counts))


def _counts_of_words(categories: tuple[str, ...], sums: Any) -> tuple[float, ...]:
    counts: list[float] = sums.reindex(categories, fill_value=0.0).tolist()
    rest = sums[~sums.index.isin(categories)].sum()
    return (*counts, float(rest))


def _sums(values: Any, count: Array) -> Any:
    """Return the sum of the counts by category, the commonest first."""
    import pandas as pd

    place, names = pd.factorize(values)
    sums = pd.Series(np.bincount(place, count, len(names)), names).sort_index()
    return sums.sort_values(ascending=False, kind="stable")


def _drift(known: Distribution, values: Any, count: Array) -> Drift:
    unseen: tuple[str, ...] = ()
    if known.edges:
        counts = _counts_of_numbers(known.edges, values, count)
    else:
        sums = _sums(values, count)
        counts = _counts_of_words(known.categories, sums)
        if not known.count[-1]:
            unseen = tuple(map(_shown, sums.index[~sums.index.isin(known.categories)][:N_NAMED]))
    train, here = np.array(known.count), np.array(counts)
    psi, p_value = compare_counts(train, here)
    shares = train / train.sum(), here / here.sum()
    grown = shares[1] - shares[0]
    most = int(grown.argmax() if grown.max() >= -grown.min() else grown.argmin())
    return Drift(
        known.column, psi, p_value, known.label(most), float(shares[0][most]),
        float(shares[1][most]), unseen,
    )  # fmt: skip


def compare_counts(train: Array, here: Array) -> tuple[float, float]:
    """Return PSI beyond chance, and the p-value of chi-square, of rows by bin (k,).

    The PSI ``sum (q - p) log(q / p)`` is, without drift, about chi-square by ``1/n + 1/m``: its
    mean is ``(k - 1) (1/n + 1/m)`` (Yurdakul and Naranjo 2020), which is taken off. Bins where few
    rows are to be expected are joined; half a row is added to each, or an empty one is infinite.
    """
    from scipy.special import chdtrc

    train, here = _joined(train, here)
    k, m, n = len(train), train.sum(), here.sum()
    if k == 1:
        return 0.0, 1.0
    expected = (train + here) / (m + n)
    square = ((train - m * expected) ** 2 / (m * expected)).sum()
    square += ((here - n * expected) ** 2 / (n * expected)).sum()
    p, q = ((rows + 0.5) / (rows.sum() + k / 2) for rows in (train, here))
    psi = ((q - p) * np.log(q / p)).sum() - (k - 1) * (1 / m + 1 / n)
    return max(float(psi), 0.0), float(chdtrc(k - 1, square))


def _joined(train: Array, here: Array) -> tuple[Array, Array]:
    """Return the bins, those that are too small made one.

    Train alone says which: bins that are kept as many rows happen to be in them raise alarms.
    """
    m, n = train.sum(), here.sum()
    expected = train * min(1.0, n / m)
    order = np.argsort(expected)
    n_small = int((expected < FEWEST).sum())
    rest = (train + here)[order[:n_small]].sum() * min(m, n) / (m + n)
    if 0 < rest < FEWEST:  # too small together, too
        n_small = min(n_small + 1, len(order))
    place = np.empty(len(order), np.intp)
    place[order] = np.maximum(np.arange(len(order)) - max(n_small - 1, 0), 0)
    first, second = (np.bincount(place, rows).astype(np.float64) for rows in (train, here))
    filled = first + second > 0
    return first[filled], second[filled]


def _holm(p_values: Array) -> Array:
    """Return p-values that hold for all together, by the step-down rule of Holm 1979."""
    order, k = np.argsort(p_values), len(p_values)
    corrected = np.maximum.accumulate((k - np.arange(k)) * p_values[order])
    held = np.empty(k)
    held[order] = np.minimum(corrected, 1.0)
    return held


def drift_warnings(found: Sequence[Drift], data: DataSettings) -> list[str]:
    """Return a warning for each column that differs far between train and test, unless known."""
    warnings = []
    for drift in found:
        name = drift.column  # an attribute, of a date a part, or the target
        of_file = name in data.columns or name == data.target.name
        column = name if of_file else name.rpartition(".")[0]
        if drift.is_large and column not in data.known:
            warnings.append(
                f"column {name} has drifted (PSI {drift.psi:.2f}): {drift.bin} in "
                f"{drift.train_share:.1%} of train and {drift.share:.1%} of test; "
                f"{known_cure(column, data)}"
            )
    return warnings
