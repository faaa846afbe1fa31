"""Intervals of shares are SciPy's."""

import pytest
from scipy.stats import binomtest

from pipeline.stages.intervals import Z, wilson


@pytest.mark.parametrize(("k", "n"), [(0, 10), (1, 10), (5, 10), (263, 346), (346, 346)])
def test_wilson_is_scipys(k, n):
    expected = binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert wilson(k / n, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_perfect_share_of_few_rows_gets_a_wide_interval():
    low, high = wilson(1.0, 10)
    assert high == 1.0
    assert low == pytest.approx(10 / (10 + Z**2), abs=1e-12)  # n / (n + z^2)
