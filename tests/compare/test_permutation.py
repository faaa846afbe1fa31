"""A rise of the loss is told from chance: against SciPy, and in worlds where classes are rare."""

import numpy as np
import pytest
from scipy import stats

from pipeline.compare.permutation import DRAWS, rise_of_loss
from pipeline.stages.evaluate import RowLosses

LEVEL = 0.05


def rows(loss, count=None):
    loss = np.asarray(loss, np.float64)
    return RowLosses(loss, np.ones(len(loss)) if count is None else np.asarray(count, np.float64))


@pytest.mark.parametrize("seed", range(6))
def test_the_p_value_is_that_of_scipys_permutation_test(seed):
    rng = np.random.default_rng(seed)
    new, test = rng.gamma(0.3, 1, 6) + 0.3 * (seed % 3), rng.gamma(0.3, 1, 8)
    exact = stats.ttest_ind(
        new, test, equal_var=False, alternative="greater",
        method=stats.PermutationMethod(n_resamples=np.inf),
    ).pvalue  # fmt: skip
    found = rise_of_loss(rows(new), rows(test))
    assert found.rise == pytest.approx(new.mean() - test.mean(), rel=1e-12)
    if found.rise > 0:
        assert found.p_value == pytest.approx(exact, abs=4 * np.sqrt(exact / DRAWS) + 2 / DRAWS)
    else:
        assert found.p_value == 1


@pytest.mark.parametrize("n", [30, 11_000])
def test_rows_that_count_are_as_many_rows(n):
    rng = np.random.default_rng(0)
    loss, count = rng.gamma(0.3, 1, n), rng.integers(1, 4, n)
    test = rows(rng.gamma(0.25, 1, n))
    long = rise_of_loss(rows(np.repeat(loss, count)), test)
    counted = rise_of_loss(rows(loss, count), test)
    assert counted.p_value == long.p_value
    assert (counted.rise, counted.noticeable) == pytest.approx(
        (long.rise, long.noticeable), rel=1e-9
    )


def test_of_many_rows_it_is_welchs_test():
    rng = np.random.default_rng(1)
    new, test = rng.gamma(0.3, 1, 30_000), rng.gamma(0.3, 1, 20_000)
    new += 1.5 * (np.sqrt(new.var() / 30_000 + test.var() / 20_000)) + test.mean() - new.mean()
    oracle = stats.ttest_ind(new, test, equal_var=False, alternative="greater")
    found = rise_of_loss(rows(new), rows(test))
    assert found.p_value == pytest.approx(oracle.pvalue, abs=0.02)
    standard_error = found.rise / oracle.statistic
    assert found.noticeable == pytest.approx((1.645 + 0.842) * standard_error, rel=1e-2)


def test_rows_of_fractional_counts_are_as_many_as_their_sum():
    rng = np.random.default_rng(2)
    loss = rng.gamma(0.3, 1, 2000)
    half, test = rows(loss, np.full(2000, 0.5)), rows(rng.gamma(0.2, 1, 1000))
    apart = rise_of_loss(rows(rng.choice(loss, 1000, replace=False)), test)
    assert rise_of_loss(half, test).noticeable == pytest.approx(apart.noticeable, rel=0.1)


def test_equal_losses_are_no_rise_and_one_row_is_no_sample():
    same = rows(np.full(20, 0.3))
    assert rise_of_loss(same, same).p_value == 1
    assert rise_of_loss(rows(np.full(20, 0.4)), same).p_value < 0.001
    assert rise_of_loss(rows([0.3]), same) is None
    assert rise_of_loss(same, rows([0.3, 0.3], [0.5, 0.5])) is None


def world(prevalence):
    """Losses of a calibrated neuron on a large population, and the class of each row."""
    rng = np.random.default_rng(0)
    z = rng.normal(np.log(prevalence / (1 - prevalence)) - 0.8 * (1 - 2 * prevalence), 1.5, 200_000)
    y = rng.random(len(z)) < 1 / (1 + np.exp(-z))
    return z, y


def losses(z, y, rng, n, slope=1.0, n_positive=None):
    """Losses of n rows; ``n_positive`` of them positive, as in a part that is stratified."""
    at = rng.integers(0, len(z), n)
    if n_positive is not None:
        classes = np.flatnonzero(y), np.flatnonzero(~y)
        at = np.concatenate(
            [rng.choice(c, k) for c, k in zip(classes, (n_positive, n - n_positive), strict=True)]
        )
    z, y = z[at], y[at]
    return rows(np.where(y, np.logaddexp(0, -slope * z), np.logaddexp(0, slope * z))), y


def alarm_rate(repeats, m, n, prevalence, slope=1.0):
    """How often a file raises an alarm; one that lacks a class is refused, and raises none."""
    z, y = world(prevalence)
    rng, alarms = np.random.default_rng(m + n), 0
    n_positive = max(1, round(m * y.mean()))
    for _ in range(repeats):
        test, _ = losses(z, y, rng, m, n_positive=n_positive)
        new, labels = losses(z, y, rng, n, slope)
        if labels.any() and not labels.all():
            alarms += rise_of_loss(new, test).p_value <= LEVEL
    return alarms / repeats


@pytest.mark.parametrize("prevalence", [0.02, 0.5])
def test_a_file_of_the_same_population_seldom_raises_an_alarm(prevalence):
    assert alarm_rate(100, 50, 50, prevalence) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 100)


def test_a_model_that_has_become_overconfident_raises_one():
    assert alarm_rate(10, 300, 300, 0.5, slope=4.0) >= 0.9


@pytest.mark.exhaustive
@pytest.mark.parametrize("prevalence", [0.005, 0.02, 0.1, 0.5])
@pytest.mark.parametrize("n", [50, 200, 1000])
@pytest.mark.parametrize("m", [50, 200, 1000])
def test_the_rate_of_false_alarms_is_that_of_the_level(m, n, prevalence):
    assert alarm_rate(300, m, n, prevalence) <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 300)
