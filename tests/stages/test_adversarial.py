"""Thousands of problems made to fool a certificate: no verdict is false, no bound below the gap."""

import numpy as np
import pytest
from exact import infimum, mp, mpf, objective, separating, signed_rows

from nn import Examples, newton
from pipeline.stages.certify import Certificate, certify
from pipeline.stages.train import Trained

KINDS = (
    "plain",
    "sentinel",
    "collinear",
    "scales",
    "separable",
    "quasi",
    "rare",
    "counts",
    "one-hot",
    "dependent",
)


def problem(seed: int):
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    n, d = int(rng.integers(6, 40)), int(rng.integers(1, 5))
    X = rng.normal(size=(n, d)) + rng.normal(size=d)
    z = X @ rng.normal(size=d)
    y = (z - np.median(z) + rng.logistic(size=n) * 10 ** rng.uniform(-1, 1) > 0).astype(float)
    count = np.ones(n)
    if kind == "sentinel":
        X[rng.integers(0, n, rng.integers(1, 3)), rng.integers(d)] = rng.choice(
            [999999999999.0, 1e12, -9999.0, 1e9]
        )
        if rng.random() < 0.5:
            X = (X - X.mean(axis=0)) / X.std(axis=0)
    if kind == "collinear":
        off = 10 ** rng.uniform(-12, -7)
        X = np.column_stack([X, X[:, 0] * 1.1 * (1 + off * rng.normal(size=n))])
    if kind == "separable":
        y = (z > np.median(z)).astype(float)
    if kind == "quasi":
        X = np.round(X)
        z = X[:, 0]
        y = np.where(z == np.median(np.round(z)), y, z > np.median(np.round(z))).astype(float)
    if kind == "rare":
        y[:] = 0.0
        y[rng.integers(0, n, 2)] = 1.0
        count = rng.integers(1, 1000, n).astype(float)
    if kind == "counts":
        X = np.round(X)
        count = (10 ** rng.uniform(0, 6, n)).round()
        count[rng.integers(0, n)] = 0.0
    if kind in ("one-hot", "dependent"):
        X = np.column_stack(
            [X[:, :1]] + [np.eye(k)[rng.integers(0, k, n)] for k in rng.integers(2, 4, 2)]
        )
    if kind == "dependent":
        X = np.column_stack([X, X[:, 0] * 3 + 0.1, np.full(n, 0.3)])
    if kind == "scales" or rng.random() < 0.2:
        X = X * 10 ** rng.uniform(-8, 8, X.shape[1])
    y[:2] = [0.0, 1.0]
    count[:2] = np.maximum(count[:2], 1.0)
    l2 = float(rng.choice([0.0, 0.0, 1e-8, 1e-4, 1e-1]))
    examples = Examples(X, y, count)
    best = newton(np.zeros(X.shape[1] + 1), examples, l2).theta
    start = rng.normal(size=len(best))
    theta = [
        start,
        start * 10 ** rng.uniform(1, 6),
        best + start * 1e-4 * np.abs(best),
        best,
        np.zeros_like(best),
    ][rng.integers(5)]
    return kind, examples, l2, theta


def verdict_is_true(found: Certificate, examples: Examples, l2: float, theta: np.ndarray) -> None:
    mp.dps = 60
    low, kept = infimum(examples, l2)
    counted = examples.count[examples.count > 0]
    share = [mpf(c) / mpf(counted.sum()) for c in counted]
    rows = [[mpf(x.numerator) / x.denominator for x in row] for row in signed_rows(examples)]
    gap = objective([mpf(t) for t in theta], rows, share, l2) - low
    assert found.bound >= gap * (1 - mpf(10) ** -14) - mpf(10) ** -300, (found, gap)
    if found.gap is not None:
        assert 0 <= found.gap <= found.bound
        assert abs(found.gap - gap) <= max(gap / 50, mpf(2e-9)), (found, gap)
    if found.verdict == "no finite optimum":
        assert not all(kept)
        names = [int(name[1:]) for name in found.separated_on if name != "the bias"]
        assert separating([[row[j] for j in [*names, -1]] for row in signed_rows(examples)])
    else:
        assert found.verdict == "not certified" or all(kept)
    if found.verdict == "converged":
        assert gap < 1e-6


def certified(examples, l2, theta):
    inputs = tuple(f"x{j}" for j in range(examples.X.shape[1]))
    return certify(Trained(theta, inputs, {"epoch": np.zeros(1)}, 0, "epochs"), examples, l2)


@pytest.mark.parametrize("seed", range(40))
def test_no_verdict_is_false(seed: int) -> None:
    _, examples, l2, theta = problem(seed)
    verdict_is_true(certified(examples, l2, theta), examples, l2, theta)
