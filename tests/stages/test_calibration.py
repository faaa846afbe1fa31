"""The scores add up from their parts, and chance is what a calibrated neuron would show."""

import numpy as np
import pytest
from builders import written_out
from scipy.optimize import isotonic_regression
from scipy.stats import binom
from sklearn import metrics as sk
from sklearn.isotonic import IsotonicRegression

from nn import Examples
from pipeline.stages.calibration import (
    calibration_table,
    decompose,
    expected_calibration_error,
    isotonic,
)
from pipeline.stages.copies import Copies
from pipeline.stages.ranking import rank


def rows_with(p, seed=0, most=1):
    """Rows whose outcomes have the probabilities ``p``."""
    rng = np.random.default_rng(seed)
    y = (rng.random(len(p)) < p).astype(float)
    return Examples(p[:, None], y, rng.integers(1, most + 1, len(p)).astype(float))


def independent(rows):
    return Copies(np.zeros(len(rows.y), bool))


@pytest.mark.parametrize("n", [1, 2, 50, 2000])
def test_isotonic_regression_is_scipys(n):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        count = rng.integers(1, 6, n).astype(float)
        total = rng.binomial(count.astype(int), rng.random(n)).astype(float)
        oracle = isotonic_regression(total / count, weights=count).x
        blocks, sizes = isotonic(total, count)
        block = np.searchsorted(np.cumsum(sizes), np.cumsum(count))  # of each row
        assert (blocks / sizes)[block] == pytest.approx(oracle, abs=1e-12)
        assert (np.diff(blocks / sizes) > 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_the_parts_of_a_score_are_those_of_scikit_learns_recalibration(seed):
    rng = np.random.default_rng(seed)
    rows = rows_with(rng.random(150).round(2) * 0.9 + 0.05, seed, most=4)
    stated = rows.X[:, 0] ** 2
    X, y, _ = written_out(rows)
    p = X[:, 0] ** 2
    scores = {"log_loss": sk.log_loss(y, p), "brier": sk.brier_score_loss(y, p)}
    got = decompose(rank(stated, rows.y, rows.count), scores["log_loss"], scores["brier"])
    recalibrated = IsotonicRegression(out_of_bounds="clip").fit(p, y).predict(p)
    constant = np.full(len(y), y.mean())
    for name, oracle in (("log_loss", sk.log_loss), ("brier", sk.brier_score_loss)):
        best, without = oracle(y, recalibrated), oracle(y, constant)
        expected = scores[name] - best, without - best, without
        parts = [got[f"{name}_{k}"] for k in ("miscalibration", "discrimination", "uncertainty")]
        assert parts == pytest.approx(expected, abs=1e-9)  # scikit-learn clips at 2e-16
        assert parts[0] - parts[1] + parts[2] == pytest.approx(scores[name], rel=1e-12)


def test_a_neuron_that_says_the_share_alone_neither_discriminates_nor_errs():
    y = np.array([0.0, 1.0, 1.0, 0.0])
    got = decompose(rank(np.zeros(4), y, np.ones(4)), np.log(2), 0.25)
    assert [got[f"brier_{k}"] for k in ("miscalibration", "discrimination")] == [0, 0]
    assert got["log_loss_uncertainty"] == pytest.approx(np.log(2))


def test_chance_is_the_mean_of_all_outcomes_of_a_calibrated_neuron():
    """Oracle: two probabilities, the binomial distribution of each bin summed up."""
    p = np.repeat([0.25, 0.97], [40, 200])
    rows = rows_with(p)
    table, chance = calibration_table(p, rows, 10, independent(rows))
    expected = 0.0
    for value, n in ((0.25, 40), (0.97, 200)):
        k = np.arange(n + 1)
        expected += binom.pmf(k, n, value) @ np.abs(k - n * value) / 240
    assert chance.mean() == pytest.approx(expected, rel=0.05)  # 1,000 draws
    for (_, _, n, low, high), value in zip(table, (0.25, 0.97), strict=True):
        bounds = binom.ppf([0.025, 0.975], n, value) / n
        assert (low, high) == pytest.approx(tuple(bounds), abs=1.5 / n)


def test_chance_is_that_of_rows_of_many_probabilities_drawn_one_by_one():
    p = np.random.default_rng(1).beta(0.5, 2, 300)
    rows = rows_with(p)
    _, chance = calibration_table(p, rows, 10, independent(rows))
    errors = []
    for seed in range(1000):
        error = np.bincount((p * 10).astype(int), p - rows_with(p, seed).y)
        errors.append(np.abs(error).sum() / 300)
    assert chance.mean() == pytest.approx(np.mean(errors), rel=0.03)
    assert np.quantile(chance, 0.95) == pytest.approx(np.quantile(errors, 0.95), rel=0.05)


def test_a_neuron_that_states_too_much_is_beyond_chance():
    """Negative control: probabilities pushed outwards are no longer calibrated."""
    p = np.random.default_rng(2).random(1000)
    stated = p**3 / (p**3 + (1 - p) ** 3)
    rows = rows_with(p)
    for said, beyond in ((p, False), (stated, True)):
        table, chance = calibration_table(said, rows, 10, independent(rows))
        assert (expected_calibration_error(table) > np.quantile(chance, 0.95)) == beyond


def test_rows_of_one_entity_show_as_much_chance_as_their_number_of_entities():
    p = np.repeat([0.2, 0.6], 50)
    rows = rows_with(p)
    group = np.arange(100) // 10
    _, apart = calibration_table(p, rows, 10, independent(rows))
    _, together = calibration_table(p, rows, 10, Copies(np.zeros(100, bool), group=group))
    few = rows_with(np.repeat([0.2, 0.6], 5))
    _, expected = calibration_table(few.X[:, 0], few, 10, independent(few))
    assert together == pytest.approx(expected, abs=1e-12)
    assert together.mean() > 2 * apart.mean()
