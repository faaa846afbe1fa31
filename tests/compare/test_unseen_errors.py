"""Bounds against Clopper and Pearson, against simulated weights, and in worlds of rare errors."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq

from nn import binary_cross_entropy
from pipeline.compare.unseen_errors import WORST, flipped, lower_bound, p_value

LEVEL = 0.05


def two_kinds(n, errors, sure, timid):
    """Gains of the sure one of two constant forecasters of errors: rows, counts, other labels."""
    gain, loss = np.log1p(-sure) - np.log1p(-timid), np.log(sure) - np.log(timid)
    count = np.array([n - errors, errors], np.float64)
    return np.array([gain, loss])[count > 0], np.array([loss, gain])[count > 0], count[count > 0]


def joined(values, others):
    """The values, and the mean of the tenth that could have been worst."""
    worse = np.sort(np.minimum(values, others))
    return np.append(values, worse[: round(WORST * len(worse))].mean())


def test_the_loss_with_the_other_label_is_that_of_the_neuron():
    z = np.array([-600.0, -40, -3, -1e-3, 0, 2, 40, 700])
    y = np.array([1.0, 0, 1, 0, 1, 0, 1, 0])
    assert flipped(binary_cross_entropy(z, y)) == pytest.approx(
        binary_cross_entropy(z, 1 - y), rel=1e-12
    )
    assert 744 < flipped(np.zeros(1))[0] < 745  # a logit of which float64 knows no loss


@pytest.mark.parametrize(("n", "errors"), [(50, 0), (346, 0), (346, 1), (346, 3), (1728, 20)])
@pytest.mark.parametrize(("sure", "timid"), [(1e-6, 0.005), (1e-3, 0.02), (1e-2, 0.3)])
def test_of_rows_of_two_kinds_the_p_value_is_that_of_clopper_and_pearson(n, errors, sure, timid):
    gain, loss = np.log1p(-sure) - np.log1p(-timid), np.log(timid) - np.log(sure)
    # The sure one is better where errors are rarer than this share of the rows.
    exact = stats.beta.sf(gain / (gain + loss), errors + 1, n - errors)
    values, others, count = two_kinds(n, errors, sure, timid)
    assert p_value(values, others, count) == pytest.approx(exact, rel=0.03, abs=1e-3)


@pytest.mark.parametrize(("n", "alpha"), [(30, 0.2), (30, 0.01), (200, 0.025)])
def test_the_bound_is_the_quantile_of_a_mean_of_random_weights(n, alpha):
    rng = np.random.default_rng(n)
    values = rng.exponential(size=n) - 0.7
    others = values - rng.exponential(size=n)
    low = lower_bound(values[None], others[None], np.ones(n), alpha)[0]
    weights = rng.exponential(size=(40_000, n + 1))
    means = weights @ joined(values, others) / weights.sum(axis=1)
    error = np.sqrt(alpha * (1 - alpha) / len(means))
    assert np.mean(means < low) == pytest.approx(alpha, abs=0.03 * alpha + 4 * error)
    assert p_value(values - low, others - low, np.ones(n)) == pytest.approx(alpha, rel=1e-6)


def test_of_many_rows_the_bound_is_that_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(size=20_000)
    low = lower_bound(values[None], -values[None], np.ones(20_000), 0.025)[0]
    wanted = values.mean() - stats.norm.isf(0.025) * values.std() / np.sqrt(20_000)
    assert low == pytest.approx(wanted, abs=1e-3)


def test_a_row_that_occurs_five_times_is_five_rows():
    rng = np.random.default_rng(2)
    values, others = rng.normal(0.3, 1, (2, 20))
    count = rng.integers(1, 9, 20)
    long = np.repeat([values, others], count, axis=1)
    p = p_value(values, others, count.astype(np.float64))
    assert 0.001 < p < 0.5
    assert p == pytest.approx(p_value(*long, np.ones(count.sum())), rel=1e-9)


def test_what_is_the_same_with_both_labels_is_certain_and_nothing_is_no_evidence():
    one = np.ones(3)
    assert lower_bound(one[None], one[None], one, LEVEL) == pytest.approx(1)
    assert (p_value(one, one, one), p_value(0 * one, 0 * one, one), p_value(-one, one, one)) == (
        0, 1, 1,
    )  # fmt: skip


def test_the_p_values_of_both_signs_add_up_without_a_row_more():
    values, count = np.random.default_rng(3).normal(size=500), np.full(500, 1e4)
    for shift in (-1e-2, -1e-4, -1e-7, 0, 1e-7, 1e-4, 1e-2):
        shifted = values - values.mean() + 1e-3 * shift
        ends = [p_value(sign * shifted, sign * shifted, count) for sign in (1, -1)]
        assert sum(ends) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("rate", [0.001, 0.005, 0.02])
@pytest.mark.parametrize("n", [50, 346, 1728])
def test_of_two_equally_good_the_surer_wins_at_its_rate_and_by_the_t_test_at_any(rate, n):
    """Constant forecasters, at whose rate of errors neither is better; the rate is exact."""
    sure = 1e-5 * rate
    timid = brentq(gap, rate, 0.999, args=(sure, rate))
    found = naive = 0.0
    for errors in range(min(n, 99)):
        values, others, count = two_kinds(n, errors, sure, timid)
        chance = stats.binom.pmf(errors, n, rate)
        found += chance * (p_value(values, others, count) < LEVEL)
        naive += chance * (t_test(np.repeat(values, count.astype(int))) < LEVEL)
    assert found <= 1.05 * LEVEL
    assert naive > 1.2 * LEVEL  # the control


def gap(timid, sure, rate):
    """How much better the sure one is in truth."""
    return (1 - rate) * (np.log1p(-sure) - np.log1p(-timid)) + rate * np.log(sure / timid)


def t_test(values):
    if np.ptp(values) == 0:
        return float(values[0] <= 0)
    return stats.ttest_1samp(values, 0, alternative="greater").pvalue
