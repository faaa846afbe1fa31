"""The gate lets through what is better by more than noise, and nothing else."""

import itertools

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq

from nn import Examples, binary_cross_entropy, newton
from pipeline.compare.gate import (
    Scored,
    floor_fault,
    mcnemar,
    noise_fault,
    paired,
    score_rows,
)
from pipeline.config.schema import PromoteSettings

COUNT = np.array([1.0, 3.0, 2.0, 5.0, 1.0, 4.0])
SIZES = (50, 100, 346)
RATES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)  # of errors


# --- how often the gate lets through what is no better ------------------------------------------


def most_errors(n, champion, challenger):
    """With how many errors a challenger passes still, where both are constants; -1 for none."""
    losses = [-np.log([p, 1 - p]) for p in (challenger, champion)]
    for errors in range(n):
        count = np.array([n - errors, errors], float)
        seen = count > 0
        pair = (Scored(loss[seen], seen[seen], count[seen]) for loss in losses)
        if paired(*pair, "log_loss").p >= 0.05:
            return errors - 1
    raise AssertionError(n)


def cross_entropy(rate, p):
    return -(1 - rate) * np.log(p) - rate * np.log1p(-p)


@pytest.mark.parametrize("n", SIZES)
def test_over_confident_constants_that_are_no_better_pass_in_5_percent_at_most(n):
    """Exact: the number of errors is binomial."""
    tried = 0
    for champion, challenger in [(0.995, 0.999999), (0.99, 0.9999), (0.95, 0.999), (0.9, 0.99)]:
        most = most_errors(n, champion, challenger)
        for rate in (*RATES, 0.1):
            if cross_entropy(rate, challenger) >= cross_entropy(rate, champion):
                tried += 1
                assert stats.binom.cdf(most, n, rate) <= 0.05
    assert tried > 10


def test_students_test_lets_the_over_confident_pass():
    """A negative control: no error among 346 rows has a probability of 18 %."""
    difference = np.full(346, np.log(0.999999) - np.log(0.995))
    difference[0] += 1e-9  # a spread, so that it is defined
    assert stats.ttest_1samp(difference, 0, alternative="greater").pvalue < 0.05
    assert most_errors(346, 0.995, 0.999999) == -1
    assert stats.binom.pmf(0, 346, 0.005) > 0.17


X = np.array(list(itertools.product((0.0, 1.0), repeat=4)))  # every row of four coins
Y = np.repeat((0.0, 1.0), 16)


def trained_logits(counts, l2):
    """Logits (32,) of a neuron on each row with each label, trained on so many of each."""
    seen = counts > 0
    examples = Examples(np.tile(X, (2, 1))[seen], Y[seen], counts[seen].astype(float))
    theta = newton(np.zeros(5), examples, l2=l2).theta
    return np.tile(X @ theta[:-1] + theta[-1], 2)


def true_difference(challenger, champion, cells):
    return cells @ (losses_of(champion) - losses_of(challenger))


def losses_of(z):
    return binary_cross_entropy(z, Y)


def passed(challenger, champion, cells, n, draws, rng):
    """The share of so many draws of n test rows in which the challenger passes."""
    opened = 0
    for count in rng.multinomial(n, cells, size=draws).astype(float):
        seen = count > 0
        pair = (Scored(loss[seen], seen[seen], count[seen]) for loss in (challenger, champion))
        opened += paired(*pair, "log_loss").p < 0.05
    return opened / draws


def as_good(champion, cells, counts):
    """The logits of a neuron with less penalty, made over-confident until it is no better."""
    confident = trained_logits(counts, 1e-6)
    low, high = 0.0, 1000.0
    for _ in range(60):
        factor = (low + high) / 2
        better = true_difference(factor * confident, champion, cells) > 0
        low, high = (factor, high) if better else (low, factor)
    return high * confident


@pytest.mark.parametrize("draws", [12, pytest.param(1000, marks=pytest.mark.exhaustive)])
@pytest.mark.parametrize("n", SIZES)
def test_over_confident_neurons_that_are_no_better_pass_in_5_percent_at_most(n, draws):
    rng = np.random.default_rng(0)
    for rate in RATES:
        p = np.where(X[:, 0] == 1, 1 - rate, rate)
        cells = np.r_[1 - p, p] / 16
        counts = rng.multinomial(1036, cells)
        for l2 in (1e-1, 1e-2, 1e-3):
            champion = trained_logits(counts, l2)
            challenger = as_good(champion, cells, counts)
            losses = losses_of(challenger), losses_of(champion)
            share = passed(*losses, cells, n, draws, rng)
            assert share * draws <= stats.binom.ppf(0.999, draws, 0.05)


def test_a_challenger_that_is_over_confident_on_few_rows_passes_in_5_percent_at_most():
    """Elsewhere the two are equal; there the loss of an error is as large as all gains."""
    share, rate, champion, draws = 0.05, 0.09, 0.8, 300
    challenger = brentq(
        lambda p: cross_entropy(rate, p) - cross_entropy(rate, champion), 1 - rate, 1 - 1e-9
    )
    losses = -np.log([[p, 1 - p, 0.5] for p in (challenger, champion)])
    cells = np.array([share * (1 - rate), share * rate, 1 - share])
    rng = np.random.default_rng(0)
    assert passed(*losses, cells, 346, draws, rng) * draws <= stats.binom.ppf(0.999, draws, 0.05)


@pytest.mark.parametrize("draws", [100, pytest.param(4000, marks=pytest.mark.exhaustive)])
def test_a_neuron_that_is_better_by_a_tenth_of_a_nat_passes(draws):
    rng = np.random.default_rng(1)
    p = np.where(X[:, 0] == 1, 0.95, 0.05)
    cells = np.r_[1 - p, p] / 16
    counts = rng.multinomial(1036, cells)
    challenger, champion = trained_logits(counts, 0.01), trained_logits(counts, 0.045)
    assert 0.08 < true_difference(challenger, champion, cells) < 0.12
    assert passed(losses_of(challenger), losses_of(champion), cells, 346, draws, rng) > 0.9


# --- the rest of the gate -----------------------------------------------------------------------


def test_mcnemars_test_is_the_binomial_one_of_the_rows_that_one_alone_gets_right():
    challenger, champion = np.array([1.0, 1, 0, 1, 0, 1]), np.array([0.0, 1, 1, 0, 0, 1])
    found = mcnemar(challenger, champion, COUNT)
    assert found.p == pytest.approx(stats.binomtest(6, 8, alternative="greater").pvalue, rel=1e-12)
    assert found.difference == pytest.approx((6 - 2) / 16)


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
def test_equal_neurons_are_never_better(metric):
    scored = Scored(np.array([0.05, 1.3]), np.array([1.0, 0.0]), np.array([50.0, 3.0]))
    assert paired(scored, scored, metric).p == 1.0


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
def test_a_challenger_that_is_better_gets_through_and_one_that_is_worse_does_not(metric):
    good = Scored(np.linspace(0.01, 0.4, 100), np.ones(100), np.ones(100))
    bad = Scored(np.linspace(0.1, 0.7, 100), np.r_[np.zeros(20), np.ones(80)], np.ones(100))
    settings = PromoteSettings(metric=metric)
    assert noise_fault(paired(good, bad, metric), settings) == ""
    assert f"{metric} must" in noise_fault(paired(bad, good, metric), settings)


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
def test_the_floor_is_a_share_of_the_majority_baselines_error(metric):
    settings = PromoteSettings(metric=metric, floor=0.05)
    for baseline in (0.6, 0.005):
        assert floor_fault(0.94 * baseline, baseline, settings) == ""
        assert floor_fault(0.0, baseline, settings) == ""
        fault = floor_fault(0.96 * baseline, baseline, settings)
        for figure in (0.96 * baseline, baseline, 0.95 * baseline, "promote.floor=0.05"):
            assert (figure if isinstance(figure, str) else f"{figure:.4g}") in fault


def test_rows_are_scored_at_the_neurons_own_threshold():
    theta, X = np.array([2.0, -0.5]), np.array([[0.0], [1.0]])
    examples = Examples(X, np.array([1.0, 1.0]), np.array([3.0, 1.0]))
    p = 1 / (1 + np.exp(-np.array([-0.5, 1.5])))
    assert score_rows(theta, examples, 0.5).error("accuracy") == 0.75
    assert score_rows(theta, examples, 0.3).error("accuracy") == 0.0
    expected = -(3 * np.log(p[0]) + np.log(p[1])) / 4
    assert score_rows(theta, examples, 0.5).error("log_loss") == pytest.approx(expected, rel=1e-14)
