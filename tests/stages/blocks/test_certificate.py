"""The certificate of rows in blocks: that of rows in memory, and never a verdict that is false."""

import numpy as np
import pytest
from block_builders import in_blocks, make_rows

from nn import Examples, newton
from pipeline.stages.certify import certificate, certificate_of_blocks

L2 = 1e-3


@pytest.mark.parametrize("away", [0.0, 1e-6, 1e-3, 0.3])
def test_gap_and_verdict_are_those_of_rows_in_memory(away: float):
    _, rows = make_rows(2000)
    best = newton(np.zeros(4), rows, L2)
    theta = best.theta + away
    held = certificate(theta, rows, ("a", "b", "c"), L2)
    streamed = certificate_of_blocks(theta, in_blocks(rows), L2)
    assert streamed.verdict == held.verdict
    assert streamed.gap == pytest.approx(held.gap, rel=1e-6, abs=1e-14)
    assert streamed.bound >= streamed.gap
    assert streamed.bound == pytest.approx(held.gap, rel=1e-3, abs=1e-9)
    assert streamed.gradient_check < 1e-7


def test_rows_that_separate_are_never_called_converged():
    X = np.linspace(-2, 2, 400)[:, None]
    rows = Examples(X, (X[:, 0] > 0).astype(float), np.ones(400))
    for theta in (np.array([3.0, 0.0]), np.array([40.0, 0.0])):
        found = certificate_of_blocks(theta, in_blocks(rows, 50), 0.0)
        assert found.verdict in ("not certified", "stopped early")
        assert found.bound > 0


def test_collinear_inputs_are_not_certified_without_a_penalty():
    _, rows = make_rows(2000)
    twice = rows._replace(X=np.column_stack([rows.X, rows.X[:, 0] * 3]))
    best = newton(np.zeros(5), twice, 0.0).theta
    assert certificate_of_blocks(best, in_blocks(twice), 0.0).verdict == "not certified"
    penalised = newton(np.zeros(5), twice, L2).theta
    assert certificate_of_blocks(penalised, in_blocks(twice), L2).verdict == "converged"
