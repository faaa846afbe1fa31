"""A column and the target become whether the column alone tells it, as a copy or a leak does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nn.arrays import Array
from pipeline.stages.read.rows import Counts
from pipeline.stages.validate.values import Bools, ColumnValues
from pipeline.text import quoted

FEW_OF_CLASS = 50  # rows: with fewer, figures of a class are uncertain
LEAST_OF_CLASS = 10  # rows, without which a column can tell the target by chance
LEAST_WITHOUT = 100  # rows of the other class: that none of fewer has a mark says little
N_SAMPLED = 20_000  # rows of each class that the numbers of a column are compared on
NOISE = 0.01  # share of errors that a copy of the target may have
EXACT = 0.0005  # and a threshold of many numbers: what predicts well without a leak comes close
ALPHA = 0.01  # chance that a column with that share of errors has more of them than are allowed
COVERED = 0.9  # share of a class that a mark of no other row must have
FEW_NUMBERS = 10  # different ones: they are compared one by one, as words are


@dataclass(frozen=True)
class Classes:
    """How many negative and positive rows ``n`` (2,) there are, by count, and which these are."""

    count: Counts
    positive: Bools
    n: Array
    sample: npt.NDArray[np.intp]  # places of at most N_SAMPLED rows of each class

    @classmethod
    def of(cls, count: Counts, positive: Bools) -> Classes:
        """Return the classes of rows that count; the sample is spread evenly, without chance."""
        n_positive = float(count[positive].sum())
        places = [np.flatnonzero(positive == label) for label in (False, True)]
        sample = np.concatenate([at[:: max(1, -(-len(at) // N_SAMPLED))] for at in places])
        return cls(count, positive, np.array([count.sum() - n_positive, n_positive]), sample)


def find_leak(values: ColumnValues, classes: Classes) -> str:
    """Return how a column alone tells the target; "" if it does not.

    Three ways: its values stand for the classes, but for NOISE; numbers above a threshold are of
    one class, and those below of the other, but for EXACT; or a mark (being missing, or another
    number than the commonest) is that of nearly all rows of a class and of none of the other.
    """
    if classes.n.min() < LEAST_OF_CLASS:
        return ""
    if values.place is not None:
        n_positive = values.sums(classes.count * classes.positive)
        by_value = np.column_stack([values.sums(classes.count) - n_positive, n_positive])
        missing = by_value[values.is_missing].sum(axis=0)
        common = ~values.is_missing & (by_value >= COVERED * classes.n).any(axis=1)
        marks = {quoted(values.text[i], 30): by_value[i] for i in np.flatnonzero(common)}
        return _copied(by_value, classes.n) or _marked(missing, marks, classes.n)
    x, rows = _sampled(values, classes)
    n, is_missing = rows.sum(axis=0), np.isnan(x)
    numbers, place = np.unique(x[~is_missing], return_inverse=True)
    by_value = np.column_stack(
        [np.bincount(place, rows[~is_missing, label], len(numbers)) for label in (0, 1)]
    )
    missing = rows[is_missing].sum(axis=0)
    if len(numbers) <= FEW_NUMBERS:
        marks = {f"{number:.6g}": row for number, row in zip(numbers, by_value, strict=True)}
        return _copied(np.vstack([by_value, missing]), n) or _marked(missing, marks, n)
    i = int(by_value.sum(axis=1).argmax())
    marks = {f"{numbers[i]:.6g}": by_value[i], f"not {numbers[i]:.6g}": n - missing - by_value[i]}
    return _marked(missing, marks, n) or _separated(numbers, by_value, missing, n)


def _sampled(values: ColumnValues, classes: Classes) -> tuple[Array, Array]:
    """Return the numbers (k,) of the sample, and how often each row counts in its class (k, 2)."""
    at = classes.sample
    positive, count = classes.positive[at], classes.count[at].astype(np.float64)
    return values.number[at], np.column_stack([count * ~positive, count * positive])


def _copied(by_value: Array, n: Array) -> str:
    """Return that the values stand for the classes.

    A row is judged by the class that the other rows of its value are rather of, so that a value
    which no other row has is wrong: a model that learns it by heart learns nothing.
    """
    own, other = (by_value - 1) / (n - 1), (by_value / n)[:, ::-1]
    errors = (by_value * (own <= other)).sum(axis=0)
    if not _within(errors, n, NOISE):
        return ""
    return f"its values alone give the class of {_shares(n - errors, n)}"


def _marked(missing: Array, marks: dict[str, Array], n: Array) -> str:
    """Return that nearly all rows of a class, and hardly any of the other, have a mark."""
    for rows, mark in ((missing, "missing"), (n - missing, "there")):
        for label in (1, 0):
            if _is_mark(rows, label, n, NOISE):
                return f"it is {mark} in {_shares(rows, n)}"
    for mark, rows in marks.items():
        for label in (1, 0):
            if _is_mark(rows, label, n, EXACT):
                return f"it is {mark} in {_shares(rows, n)}"
    return ""


def _is_mark(rows: Array, label: int, n: Array, noise: float) -> bool:
    k, m = rows[1 - label], n[1 - label]
    is_few = m >= LEAST_WITHOUT and k <= 2 * noise * m and _is_likely(k, m, noise)
    return bool(is_few and rows[label] >= COVERED * n[label])


def _separated(numbers: Array, by_value: Array, missing: Array, n: Array) -> str:
    """Return that a threshold separates the classes; missing values are on their better side."""
    below = np.cumsum(by_value, axis=0)[:-1]
    unplaced = missing * (missing / n < (missing / n)[::-1])
    for sign, word in ((1, "above"), (-1, "up to")):
        # Wrong are the negative rows on the positive side, and the positive ones on the other.
        wrong = np.column_stack([n[0] - missing[0] - below[:, 0], below[:, 1]])
        if sign < 0:
            wrong = np.column_stack([below[:, 0], n[1] - missing[1] - below[:, 1]])
        i = int((wrong / n).sum(axis=1).argmin())
        errors = wrong[i] + unplaced
        if _within(errors, n, EXACT):
            return f"{word} {numbers[i]:.6g} are {_shares(n - errors, n)}"
    return ""


def _within(errors: Array, n: Array, noise: float) -> bool:
    """Return whether the errors are those of a leak with this share of them.

    All in all they are nearer to it than to four times as many, which a good predictor may have
    (of rates r and 4r, both are equally likely at 2.2 r); and about neither class too many.
    """
    is_likely = all(_is_likely(k, m, noise) for k, m in zip(errors, n, strict=True))
    return bool(errors.sum() <= 2 * noise * n.sum()) and is_likely


def _is_likely(k: float, n: float, noise: float) -> bool:
    """Return whether k or more of n are expected with a chance of ALPHA or more (binomial)."""
    from scipy.special import bdtrc

    return k == 0 or bool(bdtrc(k - 1, int(n), noise) >= ALPHA)


def _shares(rows: Array, n: Array) -> str:
    share = rows / n
    return f"{share[1]:.1%} of the positive and {share[0]:.1%} of the negative rows"
