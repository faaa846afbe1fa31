"""The gate lets through what is better by more than noise, and nothing else."""

import numpy as np
import pytest
from scipy import stats

from nn import Examples
from pipeline.compare.gate import (
    Scored,
    floor_fault,
    mcnemar,
    noise_fault,
    paired,
    paired_t,
    score_rows,
)
from pipeline.config.schema import PromoteSettings

COUNT = np.array([1.0, 3.0, 2.0, 5.0, 1.0, 4.0])
LEFT = np.array([0.3, 0.1, 0.7, 0.2, 1.9, 0.05])
RIGHT = np.array([0.2, 0.15, 0.5, 0.1, 2.3, 0.06])


def each(values, count=COUNT):
    """A value for each row, as a long table has them."""
    return np.repeat(values, count.astype(int))


def test_the_t_test_is_scipys_on_the_long_table():
    found = paired_t(LEFT - RIGHT, COUNT)
    expected = stats.ttest_rel(each(LEFT), each(RIGHT), alternative="greater")
    assert found.p == pytest.approx(expected.pvalue, rel=1e-12)
    assert found.difference == pytest.approx(np.mean(each(LEFT) - each(RIGHT)), rel=1e-14)


def test_mcnemars_test_is_the_binomial_one_of_the_rows_that_one_alone_gets_right():
    challenger, champion = np.array([1.0, 1, 0, 1, 0, 1]), np.array([0.0, 1, 1, 0, 0, 1])
    found = mcnemar(challenger, champion, COUNT)
    assert found.p == pytest.approx(stats.binomtest(6, 8, alternative="greater").pvalue, rel=1e-12)
    assert found.difference == pytest.approx((6 - 2) / 16)


def test_equal_neurons_are_never_better():
    assert paired_t(LEFT - LEFT, COUNT).p == 1.0
    assert mcnemar(LEFT > 0.2, LEFT > 0.2, COUNT).p == 1.0


def test_rows_that_are_all_better_by_the_same_are_better():
    assert paired_t(np.full(6, 0.1), COUNT).p == 0.0
    assert paired_t(np.full(6, -0.1), COUNT).p == 1.0


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
@pytest.mark.parametrize("n", [300, pytest.param(4000, marks=pytest.mark.exhaustive)])
def test_where_neither_is_better_the_gate_opens_in_5_percent_at_most(metric, n):
    rng, opened = np.random.default_rng(0), 0
    for _ in range(n):
        challenger, champion = (
            Scored(rng.exponential(0.3, 346), (rng.random(346) < 0.9).astype(float), np.ones(346))
            for _ in range(2)
        )
        opened += not noise_fault(paired(challenger, champion, metric), PromoteSettings())
    assert opened <= stats.binom.ppf(0.999, n, 0.05)
    assert opened >= stats.binom.ppf(0.001, n, 0.05 if metric == "log_loss" else 0.02)


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
def test_a_challenger_that_is_better_gets_through_and_one_that_is_worse_does_not(metric):
    good = Scored(np.linspace(0, 0.4, 100), np.ones(100), np.ones(100))
    bad = Scored(np.linspace(0.1, 0.7, 100), np.r_[np.zeros(20), np.ones(80)], np.ones(100))
    settings = PromoteSettings(metric=metric)
    assert noise_fault(paired(good, bad, metric), settings) == ""
    assert f"{metric} must" in noise_fault(paired(bad, good, metric), settings)


@pytest.mark.parametrize(
    ("metric", "passes", "fails", "baseline"),
    [("log_loss", 0.5, 0.52, 0.56), ("accuracy", 0.76, 0.74, 0.7)],
)
def test_the_floor_is_counted_from_the_majority_in_the_direction_that_is_better(
    metric, passes, fails, baseline
):
    settings = PromoteSettings(metric=metric, floor=0.05)
    assert floor_fault(passes, baseline, settings) == ""
    assert floor_fault(fails, baseline, settings) == (
        f"{metric} must be better than the majority baseline by promote.floor=0.05 or more; "
        f"got {fails:.4f}, the baseline has {baseline:.4f}"
    )


def test_rows_are_scored_at_the_neurons_own_threshold():
    theta, X = np.array([2.0, -0.5]), np.array([[0.0], [1.0]])
    examples = Examples(X, np.array([1.0, 1.0]), np.array([3.0, 1.0]))
    p = 1 / (1 + np.exp(-np.array([-0.5, 1.5])))
    assert score_rows(theta, examples, 0.5).figure("accuracy") == 0.25
    assert score_rows(theta, examples, 0.3).figure("accuracy") == 1.0
    expected = -(3 * np.log(p[0]) + np.log(p[1])) / 4
    assert score_rows(theta, examples, 0.5).figure("log_loss") == pytest.approx(expected, rel=1e-14)
