"""Gradient, curvature and optimum of the cost: against differences and other solvers."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_expit
from sklearn.linear_model import LogisticRegression

from nn import (
    Examples,
    five_point_gradient,
    gradient,
    hessian,
    logits,
    loss_and_gradient,
    mean_loss,
    predict_proba,
    relative_error,
)

EPS = np.finfo(np.float64).eps
HONEST = 1e-8  # the five-point rule is good to about 1e-12, see nn.gradcheck
L2 = 0.03

Gradient = Callable[[np.ndarray, Examples], np.ndarray]


def objective(theta: np.ndarray, rows: Examples, l2: float = L2) -> float:
    """The cost by SciPy, with nothing of ours in it."""
    z = rows.X @ theta[:-1] + theta[-1]
    costs = np.where(rows.y == 1, -log_expit(z), -log_expit(-z))
    return float(np.average(costs, weights=rows.weight) + l2 / 2 * np.sum(theta[:-1] ** 2))


def our_gradient(theta: np.ndarray, rows: Examples) -> np.ndarray:
    return loss_and_gradient(theta, *rows, L2)[1]


def assert_gradient(function: Gradient, theta: np.ndarray, rows: Examples) -> None:
    expected = five_point_gradient(lambda t: objective(t, rows), theta)
    assert relative_error(function(theta, rows), expected) < HONEST


def assert_hessian(function: Gradient, theta: np.ndarray, rows: Examples) -> None:
    expected = np.array(
        [
            five_point_gradient(lambda t, k=k: float(our_gradient(t, rows)[k]), theta)
            for k in range(len(theta))
        ]
    )
    assert relative_error(function(theta, rows), expected) < HONEST


# --- backward: Eq. 5 to 13 -------------------------------------------------------------------


def test_gradient_is_that_of_the_cost(noisy: Examples, theta: np.ndarray) -> None:
    assert_gradient(our_gradient, theta, noisy)


def test_gradient_is_that_of_the_cost_on_the_cars(cars: Examples) -> None:
    start = np.random.default_rng(0).uniform(-2, 2, 22)
    assert_gradient(our_gradient, start, cars)


def test_gradient_is_the_sum_that_the_article_writes_for_one_row(
    noisy: Examples, theta: np.ndarray
) -> None:
    terms: list[list[float]] = [[] for _ in theta]
    for x, y, count in zip(*(array.tolist() for array in noisy), strict=True):
        z = math.fsum(w * v for w, v in zip(theta.tolist(), [*x, 1.0], strict=True))
        for j, value in enumerate([*x, 1.0]):
            terms[j].append(count * value * (1 / (1 + math.exp(-z)) - y))
    total = float(noisy.weight.sum())
    expected = np.array([math.fsum(column) / total for column in terms])
    scale = np.array([math.fsum(map(abs, column)) / total for column in terms])
    got = loss_and_gradient(theta, *noisy)[1]
    # 40 additions, and about 10 roundings in each term.
    assert np.all(np.abs(got - expected) <= 50 * EPS * scale)


def test_hessian_is_the_derivative_of_the_gradient(noisy: Examples, theta: np.ndarray) -> None:
    assert_hessian(lambda t, rows: hessian(t, rows.X, rows.weight, L2), theta, noisy)


def test_hessian_has_no_negative_curvature_anywhere(noisy: Examples) -> None:
    rng = np.random.default_rng(0)
    for start in rng.normal(0, 3, (20, 6)):
        curvatures = np.linalg.eigvalsh(hessian(start, noisy.X, noisy.weight))
        assert curvatures[0] >= -6 * EPS * curvatures[-1]


def gradient_of_squared_error(theta: np.ndarray, rows: Examples) -> np.ndarray:
    p = predict_proba(theta, rows.X)
    row = rows.weight * (p - rows.y) * p * (1 - p) / rows.weight.sum()
    return np.append(row @ rows.X + L2 * theta[:-1], row.sum())


def _changed(factor: Callable[[np.ndarray, np.ndarray, Examples], np.ndarray]) -> Gradient:
    return lambda theta, rows: factor(our_gradient(theta, rows), theta, rows)


def _with_bias_penalised(g: np.ndarray, theta: np.ndarray, _: Examples) -> np.ndarray:
    return g + np.append(np.zeros(5), L2 * theta[-1])


WRONG_GRADIENTS = {
    "one part in a million": _changed(lambda g, _t, _r: g * (1 + 1e-6)),
    "sign": _changed(lambda g, _t, _r: -g),
    "bias dropped": _changed(lambda g, _t, _r: np.append(g[:-1], 0.0)),
    "bias penalised": _changed(_with_bias_penalised),
    "summed, not averaged": _changed(lambda g, _t, rows: g * rows.weight.sum()),
    "divided by distinct rows": _changed(lambda g, _t, r: g * r.weight.sum() / len(r.y)),
    "counts ignored": lambda t, r: loss_and_gradient(t, r.X, r.y, np.ones_like(r.y), L2)[1],
    "penalty forgotten": lambda t, r: loss_and_gradient(t, *r)[1],
    "penalty without the half": lambda t, r: loss_and_gradient(t, *r, 2 * L2)[1],
    "squared error": gradient_of_squared_error,
}


@pytest.mark.parametrize("fault", WRONG_GRADIENTS)
def test_a_wrong_gradient_is_caught(fault: str, noisy: Examples, theta: np.ndarray) -> None:
    with pytest.raises(AssertionError):
        assert_gradient(WRONG_GRADIENTS[fault], theta, noisy)


def _without_variance(theta: np.ndarray, rows: Examples) -> np.ndarray:
    with_bias = np.column_stack([rows.X, np.ones(len(rows.X))])
    return with_bias.T * rows.weight @ with_bias / rows.weight.sum() + np.diag([*[L2] * 5, 0])


WRONG_HESSIANS: dict[str, Gradient] = {
    "one part in a million": lambda t, r: hessian(t, r.X, r.weight, L2) * (1 + 1e-6),
    "sign": lambda t, r: -hessian(t, r.X, r.weight, L2),
    "bias penalised": lambda t, r: hessian(t, r.X, r.weight) + L2 * np.eye(6),
    "counts ignored": lambda t, r: hessian(t, r.X, np.ones_like(r.y), L2),
    "right shape, no p (1 - p)": _without_variance,
}


@pytest.mark.parametrize("fault", WRONG_HESSIANS)
def test_a_wrong_hessian_is_caught(fault: str, noisy: Examples, theta: np.ndarray) -> None:
    with pytest.raises(AssertionError):
        assert_hessian(WRONG_HESSIANS[fault], theta, noisy)


def test_a_sigmoid_of_twice_the_logit_passes_its_own_gradient_check_but_not_the_value(
    noisy: Examples, theta: np.ndarray
) -> None:
    def cost(t: np.ndarray) -> float:
        return mean_loss(2 * logits(t, noisy.X), noisy.y, noisy.weight)

    def slope(t: np.ndarray) -> np.ndarray:
        return 2 * gradient(t, 2 * logits(t, noisy.X), *noisy)

    assert relative_error(slope(theta), five_point_gradient(cost, theta)) < HONEST
    assert abs(cost(theta) / objective(theta, noisy, l2=0) - 1) > 0.01


# --- the optimum -----------------------------------------------------------------------------


def our_optimum(rows: Examples, l2: float) -> np.ndarray:
    found = minimize(
        loss_and_gradient, np.zeros(rows.X.shape[1] + 1), (*rows, l2), "BFGS", jac=True, tol=1e-9
    )
    return np.asarray(found.x)


def scikit_learns_optimum(rows: Examples, C: float) -> np.ndarray:
    model = LogisticRegression(C=C, tol=1e-12, max_iter=10_000)
    model.fit(rows.X, rows.y, sample_weight=rows.weight)
    return np.append(model.coef_[0], model.intercept_[0])


def newtons_optimum(rows: Examples, l2: float) -> np.ndarray:
    """Iteratively reweighted least squares, written out here."""
    A = np.column_stack([rows.X, np.ones(len(rows.X))])
    ridge = np.diag([*[l2] * rows.X.shape[1], 0.0])
    theta = np.zeros(A.shape[1])
    share = rows.weight / rows.weight.sum()
    for _ in range(50):
        p = 1 / (1 + np.exp(-A @ theta))
        curvature = (A.T * (share * p * (1 - p))) @ A + ridge
        theta = theta - np.linalg.solve(curvature, A.T @ (share * (p - rows.y)) + ridge @ theta)
    return theta


@pytest.mark.parametrize("l2", [1e-3, 0.03, 1.0])
def test_the_optimum_is_scikit_learns_and_newtons(noisy: Examples, l2: float) -> None:
    # scikit-learn sums the costs and halves the squares: C = 1 / (l2 * sum of weights).
    theta = our_optimum(noisy, l2)
    np.testing.assert_allclose(theta, newtons_optimum(noisy, l2), atol=1e-6)
    np.testing.assert_allclose(
        theta, scikit_learns_optimum(noisy, 1 / (l2 * noisy.weight.sum())), atol=1e-6
    )


def test_the_optimum_of_the_cars_is_scikit_learns(cars: Examples) -> None:
    theta = our_optimum(cars, 1e-3)
    other = scikit_learns_optimum(cars, 1 / (1e-3 * len(cars.y)))
    np.testing.assert_allclose(theta, other, atol=1e-6)


def test_another_meaning_of_l2_has_another_optimum(noisy: Examples) -> None:
    theta = our_optimum(noisy, L2)
    for C in (1 / L2, 1 / (2 * L2 * noisy.weight.sum()), 1 / (L2 * len(noisy.y))):
        assert np.abs(theta - scikit_learns_optimum(noisy, C)).max() > 1e-3
