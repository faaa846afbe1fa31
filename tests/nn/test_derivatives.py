"""Gradient, Hessian and optimum of the objective: against differences and other solvers."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from builders import scipy_objective
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from nn import (
    Examples,
    examine,
    five_point_gradient,
    gradient,
    hessian,
    mean_loss,
    predict_proba,
)

EPS = np.finfo(np.float64).eps
HONEST = 1e-8  # the five-point rule is good to about 1e-12, see nn.gradcheck
L2 = 0.03

Derivative = Callable[[np.ndarray, Examples], np.ndarray]


def relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, as a share of the largest expected value."""
    return np.max(np.abs(got - expected)) / np.max(np.abs(expected))


def gradient_here(theta: np.ndarray, rows: Examples) -> np.ndarray:
    return gradient(theta, rows, L2)


def hessian_here(theta: np.ndarray, rows: Examples) -> np.ndarray:
    return hessian(theta, rows, L2)


def assert_gradient(function: Derivative, theta: np.ndarray, rows: Examples) -> None:
    expected = five_point_gradient(lambda t: scipy_objective(t, rows, L2), theta)
    assert relative_error(function(theta, rows), expected) < HONEST


def assert_hessian(function: Derivative, theta: np.ndarray, rows: Examples) -> None:
    """As the derivative of the gradient, and by its formula in SciPy."""
    got = function(theta, rows)
    expected = np.array(
        [
            five_point_gradient(lambda t, k=k: float(gradient_here(t, rows)[k]), theta)
            for k in range(len(theta))
        ]
    )
    assert relative_error(got, expected) < HONEST
    A, z = np.column_stack([rows.X, np.ones(len(rows.X))]), rows.X @ theta[:-1] + theta[-1]
    curvature = rows.count / rows.count.sum() * expit(z) * expit(-z)
    value = np.einsum("i,ij,ik->jk", curvature, A, A) + L2 * np.diag([*np.ones(len(theta) - 1), 0])
    # 40 terms, about 10 roundings in each.
    np.testing.assert_allclose(got, value, rtol=0, atol=50 * EPS * np.abs(value).max())


# --- backward: Eq. 5 to 13 -------------------------------------------------------------------


def test_gradient_is_that_of_the_objective(noisy: Examples, theta: np.ndarray) -> None:
    assert_gradient(gradient_here, theta, noisy)


def test_gradient_is_that_of_the_objective_on_the_cars(cars: Examples) -> None:
    assert_gradient(gradient_here, np.random.default_rng(0).uniform(-2, 2, 22), cars)


def test_gradient_is_the_sum_that_the_article_writes_for_one_row(
    noisy: Examples, theta: np.ndarray
) -> None:
    terms: list[list[float]] = [[] for _ in theta]
    for x, y, count in zip(*(array.tolist() for array in noisy), strict=True):
        z = math.fsum(w * v for w, v in zip(theta.tolist(), [*x, 1.0], strict=True))
        for j, value in enumerate([*x, 1.0]):
            terms[j].append(count * value * (1 / (1 + math.exp(-z)) - y))
    total = float(noisy.count.sum())
    expected = np.array([math.fsum(column) / total for column in terms])
    scale = np.array([math.fsum(map(abs, column)) / total for column in terms])
    # 40 additions, and about 10 roundings in each term.
    assert np.all(np.abs(gradient(theta, noisy) - expected) <= 50 * EPS * scale)


def test_hessian_is_the_derivative_of_the_gradient(noisy: Examples, theta: np.ndarray) -> None:
    assert_hessian(hessian_here, theta, noisy)


def test_hessian_has_no_negative_curvature_anywhere(noisy: Examples) -> None:
    rng = np.random.default_rng(0)
    for start in rng.normal(0, 3, (20, 6)):
        curvatures = np.linalg.eigvalsh(hessian(start, noisy))
        assert curvatures[0] >= -6 * EPS * curvatures[-1]


def gradient_of_squared_error(theta: np.ndarray, rows: Examples) -> np.ndarray:
    p = predict_proba(theta, rows.X)
    row = rows.count * (p - rows.y) * p * (1 - p) / rows.count.sum()
    return np.append(row @ rows.X + L2 * theta[:-1], row.sum())


def with_counts_ignored(function: Callable[..., np.ndarray]) -> Derivative:
    return lambda theta, rows: function(theta, rows._replace(count=np.ones(len(rows.y))), L2)


WRONG_GRADIENTS: dict[str, Derivative] = {
    "one part in a million": lambda t, r: gradient_here(t, r) * (1 + 1e-6),
    "sign": lambda t, r: -gradient_here(t, r),
    "bias dropped": lambda t, r: np.append(gradient_here(t, r)[:-1], 0.0),
    "bias penalised": lambda t, r: gradient(t, r) + L2 * t,
    "summed, not averaged": lambda t, r: gradient_here(t, r) * r.count.sum(),
    "divided by distinct rows": lambda t, r: gradient_here(t, r) * r.count.sum() / len(r.y),
    "counts ignored": with_counts_ignored(gradient),
    "penalty forgotten": gradient,
    "penalty without the half": lambda t, r: gradient(t, r, 2 * L2),
    "squared error": gradient_of_squared_error,
}


@pytest.mark.parametrize("fault", WRONG_GRADIENTS)
def test_a_wrong_gradient_is_caught(fault: str, noisy: Examples, theta: np.ndarray) -> None:
    with pytest.raises(AssertionError):
        assert_gradient(WRONG_GRADIENTS[fault], theta, noisy)


def without_variance(theta: np.ndarray, rows: Examples) -> np.ndarray:
    A = np.column_stack([rows.X, np.ones(len(rows.X))])
    return A.T * rows.count @ A / rows.count.sum() + np.diag([*[L2] * 5, 0])


WRONG_HESSIANS: dict[str, Derivative] = {
    "one part in a million": lambda t, r: hessian_here(t, r) * (1 + 1e-6),
    "sign": lambda t, r: -hessian_here(t, r),
    "bias penalised": lambda t, r: hessian(t, r) + L2 * np.eye(6),
    "counts ignored": with_counts_ignored(hessian),
    "right shape, no p (1 - p)": without_variance,
}


@pytest.mark.parametrize("fault", WRONG_HESSIANS)
def test_a_wrong_hessian_is_caught(fault: str, noisy: Examples, theta: np.ndarray) -> None:
    with pytest.raises(AssertionError):
        assert_hessian(WRONG_HESSIANS[fault], theta, noisy)


def test_a_sigmoid_of_twice_the_logit_passes_its_own_gradient_check_but_not_the_value(
    noisy: Examples, theta: np.ndarray
) -> None:
    def loss(t: np.ndarray) -> float:
        return mean_loss(2 * (noisy.X @ t[:-1] + t[-1]), noisy.y, noisy.count)

    slope = 2 * gradient(2 * theta, noisy)
    assert relative_error(slope, five_point_gradient(loss, theta)) < HONEST
    assert abs(loss(theta) / scipy_objective(theta, noisy, 0.0) - 1) > 0.01


# --- the optimum -----------------------------------------------------------------------------


def optimum_by_bfgs(rows: Examples, l2: float) -> np.ndarray:
    """SciPy's solver on the objective and gradient of nn."""

    def both(theta: np.ndarray) -> tuple[float, np.ndarray]:
        found = examine(theta, rows, l2)
        return found.objective, found.gradient

    found = minimize(both, np.zeros(rows.X.shape[1] + 1), jac=True, method="BFGS", tol=1e-9)
    return np.asarray(found.x)


def scikit_learns_optimum(rows: Examples, C: float) -> np.ndarray:
    model = LogisticRegression(C=C, tol=1e-12, max_iter=10_000)
    model.fit(rows.X, rows.y, sample_weight=rows.count)
    return np.append(model.coef_[0], model.intercept_[0])


def optimum_by_least_squares(rows: Examples, l2: float) -> np.ndarray:
    """Iteratively reweighted least squares, written out here."""
    A = np.column_stack([rows.X, np.ones(len(rows.X))])
    ridge = np.diag([*[l2] * rows.X.shape[1], 0.0])
    theta = np.zeros(A.shape[1])
    share = rows.count / rows.count.sum()
    for _ in range(50):
        p = 1 / (1 + np.exp(-A @ theta))
        curvature = (A.T * (share * p * (1 - p))) @ A + ridge
        theta = theta - np.linalg.solve(curvature, A.T @ (share * (p - rows.y)) + ridge @ theta)
    return theta


@pytest.mark.parametrize("l2", [1e-3, 0.03, 1.0])
def test_the_optimum_is_that_of_scikit_learn_and_of_least_squares(
    noisy: Examples, l2: float
) -> None:
    theta = optimum_by_bfgs(noisy, l2)
    np.testing.assert_allclose(theta, optimum_by_least_squares(noisy, l2), atol=1e-6)
    # scikit-learn sums the losses and halves the squares: C = 1 / (l2 * sum of counts).
    other = scikit_learns_optimum(noisy, 1 / (l2 * noisy.count.sum()))
    np.testing.assert_allclose(theta, other, atol=1e-6)


def test_the_optimum_of_the_cars_is_scikit_learns(cars: Examples) -> None:
    other = scikit_learns_optimum(cars, 1 / (1e-3 * len(cars.y)))
    np.testing.assert_allclose(optimum_by_bfgs(cars, 1e-3), other, atol=1e-6)


def test_another_meaning_of_l2_has_another_optimum(noisy: Examples) -> None:
    theta = optimum_by_bfgs(noisy, L2)
    for C in (1 / L2, 1 / (2 * L2 * noisy.count.sum()), 1 / (L2 * len(noisy.y))):
        assert np.abs(theta - scikit_learns_optimum(noisy, C)).max() > 1e-3
