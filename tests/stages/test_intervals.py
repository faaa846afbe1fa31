"""Intervals against SciPy, identities and simulation."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from pipeline.stages.intervals import Z, newcombe_auc, wilson


@pytest.mark.parametrize(("k", "n"), [(0, 10), (1, 10), (5, 10), (263, 346), (346, 346)])
def test_wilson_is_scipys(k, n):
    expected = binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert wilson(k / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_perfect_share_of_few_rows_gets_a_wide_interval():
    low, high = wilson(1.0, 10)
    assert high == 1.0
    assert low == pytest.approx(10 / (10 + Z**2), abs=1e-12)  # n / (n + z^2)


@pytest.mark.parametrize(("auc", "m", "n"), [(0.5, 20, 30), (0.9, 104, 242), (0.991, 7, 90)])
def test_the_bounds_of_the_auc_lie_z_of_their_own_errors_away(auc, m, n):
    for bound in newcombe_auc(auc, m, n):
        star = (m + n) / 2 - 1
        spread = 1 + star * (1 - bound) / (2 - bound) + star * bound / (1 + bound)
        error = math.sqrt(bound * (1 - bound) * spread / (m * n))
        assert abs(auc - bound) == pytest.approx(Z * error, rel=1e-9)


def test_a_perfect_auc_of_few_rows_gets_a_wide_interval():
    low, high = newcombe_auc(1.0, 5, 5)
    assert high == 1.0
    assert 0.4 < low < 0.8
    assert newcombe_auc(1.0, 500, 500)[0] > 0.99


def test_swapping_the_classes_mirrors_the_interval():
    low, high = newcombe_auc(0.8, 12, 40)
    assert newcombe_auc(0.2, 40, 12) == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_about_95_percent_of_the_auc_intervals_hold_the_truth():
    rng = np.random.default_rng(0)
    m, n, shift, draws = 30, 50, 1.2, 400
    truth = 0.5 * (1 + math.erf(shift / 2))  # normal scores one deviation wide
    held = 0
    for _ in range(draws):
        positive, negative = rng.normal(shift, 1, m), rng.normal(0, 1, n)
        auc = float((positive[:, None] > negative).mean())
        low, high = newcombe_auc(auc, m, n)
        held += low <= truth <= high
    # Three standard errors of 400 draws at 95 % are 3.3 points; the method is slightly wide.
    assert 0.915 <= held / draws <= 0.99
