"""The cost of a table of rows: against loops and other libraries; counts, shapes, extremes."""

import math

import numpy as np
import pytest
from scipy.special import log_expit
from sklearn.metrics import accuracy_score, log_loss

from nn import (
    Examples,
    ShapeError,
    accuracy,
    hessian,
    logits,
    loss_and_gradient,
    mean_loss,
    penalty,
    predict_proba,
    relative_error,
    row_logits,
    sigmoid,
)

EPS = np.finfo(np.float64).eps
L2 = 0.03


def objective(theta: np.ndarray, rows: Examples) -> float:
    """The cost by SciPy, with nothing of ours in it."""
    z = rows.X @ theta[:-1] + theta[-1]
    costs = np.where(rows.y == 1, -log_expit(z), -log_expit(-z))
    return float(np.average(costs, weights=rows.weight) + L2 / 2 * np.sum(theta[:-1] ** 2))


# --- forward: Eq. 1, 2 and 4 -----------------------------------------------------------------


def test_logits_are_the_articles_loop(noisy: Examples, theta: np.ndarray) -> None:
    for row, z in zip(noisy.X.tolist(), logits(theta, noisy.X), strict=True):
        terms = [w * x for w, x in zip(theta.tolist(), row, strict=False)] + [float(theta[-1])]
        # fsum rounds once; a dot product of six terms rounds at most six times.
        assert abs(z - math.fsum(terms)) <= 6 * EPS * math.fsum(map(abs, terms))


def test_probability_is_the_sigmoid_of_the_logit(noisy: Examples, theta: np.ndarray) -> None:
    p = [1 / (1 + math.exp(-z)) for z in row_logits(theta, noisy.X).tolist()]
    # Four roundings on either side, each of half an EPS, and an exponential good to one EPS.
    np.testing.assert_allclose(predict_proba(theta, noisy.X), p, rtol=6 * EPS)


def test_a_rows_logit_is_the_articles_loop_to_the_last_bit(noisy: Examples, theta: np.ndarray):
    for row, z in zip(noisy.X.tolist(), row_logits(theta, noisy.X).tolist(), strict=True):
        by_hand = float(theta[-1])
        for w, x in zip(theta[:-1].tolist(), row, strict=True):
            by_hand += w * x
        assert z == by_hand


def test_a_rows_probability_depends_on_no_other_row_to_the_last_bit():
    """BLAS, by which ``logits`` adds, takes another order for one row than for a thousand."""
    rng = np.random.default_rng(0)
    X, theta = rng.normal(size=(1003, 21)), rng.normal(size=22)
    together = predict_proba(theta, X)
    for rows in ([i] for i in range(0, 1003, 17)):
        assert predict_proba(theta, X[rows])[0] == together[rows[0]]
    order = rng.permutation(1003)
    assert np.array_equal(predict_proba(theta, X[order]), together[order])
    assert np.array_equal(predict_proba(theta, np.asfortranarray(X)), together)


def test_mean_cost_is_scikit_learns_weighted_by_count(noisy: Examples, theta: np.ndarray) -> None:
    p = predict_proba(theta, noisy.X)
    expected = log_loss(noisy.y, p, sample_weight=noisy.weight)
    got = mean_loss(logits(theta, noisy.X), noisy.y, noisy.weight)
    assert got == pytest.approx(expected, rel=1e-13)


def test_accuracy_is_scikit_learns_weighted_by_count(noisy: Examples, theta: np.ndarray) -> None:
    z = logits(theta, noisy.X)
    expected = accuracy_score(noisy.y, z >= 0, sample_weight=noisy.weight)
    assert accuracy(z, noisy.y, noisy.weight) == pytest.approx(expected, rel=4 * EPS)


def test_a_logit_of_zero_is_decided_as_class_1() -> None:
    z, weight = np.zeros(2), np.array([3.0, 1.0])
    assert accuracy(z, np.array([1.0, 0.0]), weight) == 0.75


def test_objective_is_cost_and_penalty_without_the_bias(noisy: Examples, theta: np.ndarray) -> None:
    cost, _ = loss_and_gradient(theta, *noisy, L2)
    assert cost == pytest.approx(objective(theta, noisy), rel=1e-14)
    assert penalty(np.array([3.0, 4.0, 100.0]), 0.5) == 0.25 * 25


# --- weights are repeated rows ---------------------------------------------------------------


def repeated(rows: Examples) -> Examples:
    order = np.repeat(np.arange(len(rows.y)), rows.weight.astype(int))
    return Examples(rows.X[order], rows.y[order], np.ones(len(order)))


def test_a_weight_is_a_row_written_as_often(noisy: Examples, theta: np.ndarray) -> None:
    long = repeated(noisy)
    assert len(long.y) != len(noisy.y)
    tight = 4 * len(long.y) * EPS  # two sums of n terms
    cost, slope = loss_and_gradient(theta, *noisy, L2)
    long_cost, long_slope = loss_and_gradient(theta, *long, L2)
    assert cost == pytest.approx(long_cost, rel=tight)
    assert relative_error(slope, long_slope) < tight
    curvature = hessian(theta, noisy.X, noisy.weight, L2)
    assert relative_error(curvature, hessian(theta, long.X, long.weight, L2)) < tight
    z, long_z = logits(theta, noisy.X), logits(theta, long.X)
    assert accuracy(z, noisy.y, noisy.weight) == pytest.approx(
        accuracy(long_z, long.y, long.weight), rel=tight
    )


def test_a_row_of_weight_0_is_not_there(noisy: Examples, theta: np.ndarray) -> None:
    there = noisy.weight > 0
    assert not there.all()
    without = Examples(*(array[there] for array in noisy))
    assert loss_and_gradient(theta, *noisy)[0] == pytest.approx(
        loss_and_gradient(theta, *without)[0], rel=100 * EPS
    )


def test_only_ratios_of_weights_matter(noisy: Examples, theta: np.ndarray) -> None:
    scaled = noisy._replace(weight=noisy.weight * 2.0**20)  # a power of two: exact
    cost, slope = loss_and_gradient(theta, *scaled, L2)
    assert cost == loss_and_gradient(theta, *noisy, L2)[0]
    np.testing.assert_array_equal(slope, loss_and_gradient(theta, *noisy, L2)[1])


# --- shapes and extremes ---------------------------------------------------------------------

MISFITS = {
    "y must have shape (40,); got (40, 1)": lambda r: r._replace(y=r.y[:, None]),
    "y must have shape (40,); got (39,)": lambda r: r._replace(y=r.y[1:]),
    "y must have shape (40,); got ()": lambda r: r._replace(y=np.float64(1)),
    "y must have shape (40,); got (1,)": lambda r: r._replace(y=np.ones(1)),
    "weight must have shape (40,); got (40, 1)": lambda r: r._replace(weight=r.weight[:, None]),
    "weight must have shape (40,); got (1,)": lambda r: r._replace(weight=np.ones(1)),
    "theta must have shape (5,); got (6,)": lambda r: r._replace(X=r.X[:, 1:]),
    "X must have 2 dimensions (n, d); got shape (40,)": lambda r: r._replace(X=r.X[:, 0]),
}


@pytest.mark.parametrize("message", MISFITS)
def test_a_shape_that_does_not_fit_is_refused_by_name(
    message: str, noisy: Examples, theta: np.ndarray
) -> None:
    with pytest.raises(ShapeError) as refusal:
        loss_and_gradient(theta, *MISFITS[message](noisy))
    assert str(refusal.value) == message


def test_parameters_in_a_column_are_refused(noisy: Examples, theta: np.ndarray) -> None:
    with pytest.raises(ShapeError, match=r"^theta must have shape \(6,\); got \(6, 1\)$"):
        logits(theta[:, None], noisy.X)


def test_logits_in_a_column_are_refused(noisy: Examples) -> None:
    with pytest.raises(ShapeError, match=r"^z must have 1 dimension \(n,\); got shape \(40, 1\)$"):
        mean_loss(np.zeros((40, 1)), noisy.y, noisy.weight)
    with pytest.raises(ShapeError, match=r"^weight must have shape \(40,\); got \(1,\)$"):
        hessian(np.zeros(6), noisy.X, np.ones(1))


def test_logits_of_a_thousand_give_finite_costs_and_slopes(noisy: Examples) -> None:
    """I02: a neuron that is sure, and half of the time wrong."""
    theta = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1000.0])
    for sign in (1.0, -1.0):
        cost, slope = loss_and_gradient(sign * theta, *noisy)
        assert math.isfinite(cost)
        assert np.isfinite(slope).all()
        assert np.isfinite(hessian(sign * theta, noisy.X, noisy.weight)).all()
    share_of_0 = 1 - np.average(noisy.y, weights=noisy.weight)
    assert loss_and_gradient(theta, *noisy)[0] == pytest.approx(1000 * share_of_0)


def test_inputs_that_are_all_zero_leave_only_the_bias(noisy: Examples, theta: np.ndarray) -> None:
    """I02: and its slope is the mean probability minus the share of class 1."""
    blind = noisy._replace(X=np.zeros_like(noisy.X))
    slope = loss_and_gradient(theta, *blind)[1]
    np.testing.assert_array_equal(slope[:-1], 0.0)
    share = np.average(noisy.y, weights=noisy.weight)
    assert slope[-1] == pytest.approx(float(sigmoid(theta[-1:])[0]) - share, rel=1e-14)
