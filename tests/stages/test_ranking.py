"""The area under the ROC curve has an interval that holds it, counted rows included."""

import numpy as np
import pytest
from builders import written_out
from scipy.stats import norm

from nn import Examples
from pipeline.stages.copies import Copies
from pipeline.stages.intervals import Z, wilson
from pipeline.stages.ranking import auc_interval, gain_curve, rank, ranking_curves


def scored_rows(seed, n=60, decimals=1):
    """Scores that tie, labels and counts, as Examples of one input."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n).astype(float)
    score = np.round(rng.normal(size=n) + y, decimals)
    return Examples(score[:, None], y, rng.integers(1, 4, n).astype(float))


def independent(rows):
    return Copies(np.zeros(len(rows.y), bool))


def interval(rows, copies=None):
    ranked = rank(rows.X[:, 0], rows.y, rows.count)
    return auc_interval(ranked, rows, copies or independent(rows))


def every_pair(score, y, cluster):
    """Oracle: area and variance from all pairs, one by one, summed over clusters of rows."""
    positive, negative = score[y == 1], score[y == 0]
    psi = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    m, n = psi.shape
    area = psi.mean()
    of_positive = dict.fromkeys(cluster[y == 1], 0.0)
    of_negative = dict.fromkeys(cluster[y == 0], 0.0)
    for g, v in zip(cluster[y == 1], psi.mean(axis=1), strict=True):
        of_positive[g] += (v - area) / m
    for g, v in zip(cluster[y == 0], psi.mean(axis=0), strict=True):
        of_negative[g] += (v - area) / n
    i, j = len(of_positive), len(of_negative)
    variance = i / (i - 1) * sum(v**2 for v in of_positive.values())
    variance += j / (j - 1) * sum(v**2 for v in of_negative.values())
    both = of_positive.keys() & of_negative.keys()
    return area, variance + 2 * sum(of_positive[g] * of_negative[g] for g in both)


def on_the_logit_scale(area, variance):
    logit, half = np.log(area / (1 - area)), Z * np.sqrt(variance) / (area * (1 - area))
    return tuple(1 / (1 + np.exp(-(logit + np.array([-half, half])))))


@pytest.mark.parametrize("seed", range(5))
def test_the_interval_is_delongs_from_all_pairs_of_the_rows_written_out(seed):
    rows = scored_rows(seed)
    X, y, _ = written_out(rows)
    expected = on_the_logit_scale(*every_pair(X[:, 0], y, np.arange(len(y))))
    assert interval(rows) == pytest.approx(expected, rel=1e-10)
    assert interval(written_out(rows)) == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("seed", range(5))
def test_rows_of_one_entity_are_one_observation(seed):
    rows = scored_rows(seed, n=90)
    group = np.random.default_rng(seed).permutation(90) // 3
    X, y, _ = written_out(rows)
    cluster = np.repeat(group, rows.count.astype(int))
    expected = on_the_logit_scale(*every_pair(X[:, 0], y, cluster))
    got = interval(rows, Copies(np.zeros(90, bool), group=group))
    assert got == pytest.approx(expected, rel=1e-10)
    assert got != pytest.approx(interval(rows), rel=1e-3)  # negative control


def test_dropping_the_counts_would_be_noticed():
    rows = scored_rows(0)
    assert interval(rows) != pytest.approx(interval(rows._replace(count=np.ones(60))), rel=1e-3)


@pytest.mark.parametrize(("m", "n"), [(30, 50), (200, 7)])
def test_a_perfect_area_is_bounded_as_a_share_of_disjoint_pairs(m, n):
    """Of so many pairs all are in order with probability area ** pairs, or less: 2.5 % of it."""
    y = np.repeat([0.0, 1.0], [n, m])
    low, high = interval(Examples(y[:, None], y, np.ones(m + n)))
    assert (low, high) == wilson(1.0, min(m, n))
    assert low == pytest.approx(0.025 ** (1 / min(m, n)), abs=0.06)
    low, high = interval(Examples(-y[:, None], y, np.ones(m + n)))
    assert (low, high) == pytest.approx(wilson(0.0, min(m, n)), abs=1e-12)


def test_four_rows_of_a_class_are_too_few_for_an_interval_and_so_is_one_entity():
    y = np.repeat([0.0, 1.0], [40, 4])
    rows = Examples(y[:, None], y, np.ones(44))
    assert interval(rows) is None
    once_more = rows._replace(count=1 + y)  # eight rows
    assert interval(once_more) is not None
    assert interval(once_more, Copies(np.zeros(44, bool), group=np.arange(44))) is None


def draw(world, area, rng, m, n):
    """Scores of m positive and n negative rows, with that area under the ROC curve."""
    negative = rng.normal(size=n)
    if world == "far below":
        return np.where(rng.random(m) < area, 10, -10) + rng.normal(size=m), negative
    width = 3 if world == "wide" else 1
    return rng.normal(norm.ppf(area) * np.hypot(1, width), width, m), negative


def coverage(world, area, m, n, draws):
    rng, y = np.random.default_rng(0), np.repeat([1.0, 0.0], [m, n])
    held = 0
    for _ in range(draws):
        score = np.concatenate(draw(world, area, rng, m, n))
        low, high = interval(Examples(score[:, None], y, np.ones(m + n)))
        held += low <= area <= high
    return held / draws


WORLDS = ("far below", "wide", "equal")


@pytest.mark.parametrize("world", WORLDS)
def test_94_to_96_percent_of_the_intervals_hold_the_area(world):
    # Three standard errors of 3,000 draws at 95 % are 1.2 points.
    assert 0.938 <= coverage(world, 0.9, 104, 242, 3000) <= 0.962


@pytest.mark.exhaustive
@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("area", [0.8, 0.95, 0.99])
@pytest.mark.parametrize(("m", "n"), [(10, 10), (10, 1000), (30, 300), (104, 242)])
def test_an_interval_of_few_rows_is_wide_rather_than_false(world, area, m, n):
    """The steps of a share of few rows leave Wilson's own interval at 90 to 99 %."""
    assert coverage(world, area, m, n, 1000) >= 0.88


@pytest.mark.parametrize("decimals", [0, 16])
def test_the_gain_is_the_share_of_the_positive_rows_among_the_first(decimals):
    """Oracle: the rows written out and sorted, positive ones of a tie spread over it."""
    rows = scored_rows(1, decimals=decimals)
    X, y, _ = written_out(rows)
    expected_y = np.array([y[X[:, 0] == value].mean() for value in X[:, 0]])
    reached = np.append(0, np.cumsum(expected_y[np.argsort(-X[:, 0], kind="stable")])) / y.sum()
    roc, _ = ranking_curves(rank(rows.X[:, 0], rows.y, rows.count))
    share, gain = gain_curve(roc, y.mean()).T
    assert gain == pytest.approx(np.interp(share, np.linspace(0, 1, len(y) + 1), reached))
    assert (gain[0], gain[-1]) == (0, 1)
