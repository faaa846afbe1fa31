"""Covariances, Firth's likelihood and its profile against other libraries and by brute force."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.optimize import minimize

from nn.likelihood import (
    Design,
    expanded_ends,
    log_likelihood,
    maximise,
    profile_ends,
    robust_covariance,
)

Z = 1.959963984540054


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(3)
    A = np.column_stack([np.ones(120), rng.normal(size=(120, 2))])
    y = (rng.random(120) < 1 / (1 + np.exp(-A @ [0.2, 1.0, -0.5]))).astype(float)
    return A, y, rng.integers(1, 4, 120).astype(float), rng.integers(0, 15, 120)


def best_of(design):
    best, converged = maximise(design, np.zeros((1, 0, design.A.shape[1])))
    assert converged.all()
    return best


@pytest.mark.parametrize("clustered", [False, True])
def test_robust_covariances_are_those_of_statsmodels_with_every_row_written_out(rows, clustered):
    A, y, count, groups = rows
    order = np.repeat(np.arange(120), count.astype(int))
    kind = (
        {"cov_type": "cluster", "cov_kwds": {"groups": groups[order], "use_correction": False}}
        if clustered
        else {"cov_type": "HC0"}
    )
    model = sm.Logit(y[order], A[order]).fit(disp=0, tol=1e-14, **kind)
    design = Design(A, y, count)
    got = robust_covariance(best_of(design).beta[0], design, groups if clustered else None)
    assert got == pytest.approx(model.cov_params(), rel=1e-8)


def firths(beta, A, y, count):
    """Oracle: the penalised log-likelihood, written out."""
    z = A @ beta
    p = 1 / (1 + np.exp(-z))
    information = A.T @ (A * (count * p * (1 - p))[:, None])
    return count @ (y * z - np.logaddexp(0, z)) + np.linalg.slogdet(information)[1] / 2


def test_ends_of_firths_profile_lie_where_brute_force_finds_the_likelihood_they_promise():
    rng = np.random.default_rng(0)
    a = np.repeat(np.eye(3), 30, axis=0)
    A = np.column_stack([a[:, 0], rng.normal(size=90), np.ones(90)])
    y = np.concatenate([np.zeros(30), (rng.random(60) < 0.5) * 1.0])  # separated on the first
    count = np.ones(90)
    design = Design(A, y, count, firth=True)
    best = best_of(design)
    assert best.value[0] == pytest.approx(firths(best.beta[0], A, y, count), abs=1e-9)
    for at, ends in enumerate(profile_ends(best, np.eye(3), design, Z).T):
        for end in ends:

            def loss(rest, at=at, end=end):
                return -firths(np.insert(rest, at, end), A, y, count)

            found = minimize(loss, np.delete(best.beta[0], at), tol=1e-12)
            assert best.value[0] + found.fun == pytest.approx(Z**2 / 2, abs=1e-5)


def test_the_slope_is_that_of_the_value(rows):
    A, y, count, _ = rows
    beta, h = np.array([[0.3, -0.4, 0.8]]), 1e-5
    for firth in (False, True):
        design = Design(A, y, count, firth)
        steps = np.concatenate([beta + h * np.eye(3), beta - h * np.eye(3)])
        values = log_likelihood(steps, design).value
        slope = log_likelihood(beta, design).slope[0]
        assert slope == pytest.approx((values[:3] - values[3:]) / (2 * h), rel=1e-6)


def test_in_large_samples_the_expansion_has_the_ends_of_the_profile():
    rng = np.random.default_rng(4)
    A = np.column_stack([rng.normal(size=20_000), np.ones(20_000)])
    y = (rng.random(20_000) < 1 / (1 + np.exp(-A @ [0.8, -1.0]))).astype(float)
    design = Design(A, y, np.ones(20_000))
    best = best_of(design)
    exact, near = (f(best, np.eye(2), design, Z) for f in (profile_ends, expanded_ends))
    assert near == pytest.approx(exact, abs=1e-3 * (exact[1] - exact[0]).min())
    few = Design(A[:30], y[:30], np.ones(30))
    assert np.isnan(expanded_ends(best_of(few), np.eye(2), few, Z)).any()
