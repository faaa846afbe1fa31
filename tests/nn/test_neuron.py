"""A pass over a table of rows: against loops and other libraries; counts, shapes, extremes."""

import math

import numpy as np
import pytest
from builders import scipy_objective, written_out
from sklearn.metrics import accuracy_score, log_loss

from nn import (
    Examples,
    Pass,
    ShapeError,
    examine,
    gradient,
    hessian,
    logits,
    mean_loss,
    neuron,
    objective,
    penalty,
    predict_proba,
    row_logits,
    sigmoid,
)

EPS = np.finfo(np.float64).eps
L2 = 0.03


def assert_same(one: Pass, other: Pass, tight: float) -> None:
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=tight, atol=tight)


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


def test_mean_loss_is_scikit_learns_by_count(noisy: Examples, theta: np.ndarray) -> None:
    p = predict_proba(theta, noisy.X)
    expected = log_loss(noisy.y, p, sample_weight=noisy.count)
    z = logits(theta, noisy.X)
    assert mean_loss(z, noisy.y, noisy.count) == pytest.approx(expected, rel=1e-13)
    assert examine(theta, noisy, L2).loss == pytest.approx(expected, rel=1e-13)


def test_accuracy_is_scikit_learns_by_count(noisy: Examples, theta: np.ndarray) -> None:
    expected = accuracy_score(noisy.y, logits(theta, noisy.X) >= 0, sample_weight=noisy.count)
    assert examine(theta, noisy).accuracy == pytest.approx(expected, rel=4 * EPS)


def test_a_logit_of_zero_is_decided_as_class_1() -> None:
    rows = Examples(np.zeros((2, 1)), np.array([1.0, 0.0]), np.array([3.0, 1.0]))
    assert examine(np.zeros(2), rows).accuracy == 0.75


def test_objective_is_loss_and_penalty_without_the_bias(noisy: Examples, theta: np.ndarray) -> None:
    expected = scipy_objective(theta, noisy, L2)
    assert examine(theta, noisy, L2).objective == pytest.approx(expected, rel=1e-14)
    assert penalty(np.array([3.0, 4.0, 100.0]), 0.5) == 0.25 * 25


def test_objective_gradient_and_hessian_are_parts_of_the_pass(
    noisy: Examples, theta: np.ndarray
) -> None:
    found = examine(theta, noisy, L2, curvature=True)
    assert objective(theta, noisy, L2) == found.objective
    np.testing.assert_array_equal(gradient(theta, noisy, L2), found.gradient)
    np.testing.assert_array_equal(hessian(theta, noisy, L2), found.hessian)
    assert examine(theta, noisy, L2).hessian.size == 0


@pytest.mark.parametrize("block", [1, 7, 39, 40])
def test_rows_in_blocks_give_what_they_give_at_once(
    noisy: Examples, theta: np.ndarray, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = examine(theta, noisy, L2, curvature=True)
    monkeypatch.setattr(neuron, "BLOCK", block)
    # Sums of 40 terms below 10, in another order.
    assert_same(examine(theta, noisy, L2, curvature=True), whole, 40 * 10 * EPS)


# --- counts are repeated rows ----------------------------------------------------------------


def test_a_count_is_a_row_written_as_often(noisy: Examples, theta: np.ndarray) -> None:
    long = written_out(noisy)
    assert len(long.y) != len(noisy.y)
    tight = 4 * len(long.y) * EPS  # two sums of n terms
    found = (examine(theta, rows, L2, curvature=True) for rows in (noisy, long))
    assert_same(*found, tight)


def test_a_row_of_count_0_is_not_there(noisy: Examples, theta: np.ndarray) -> None:
    there = noisy.count > 0
    assert not there.all()
    without = Examples(*(array[there] for array in noisy))
    found = (examine(theta, rows, L2, curvature=True) for rows in (noisy, without))
    assert_same(*found, 100 * EPS)


def test_only_ratios_of_counts_matter(noisy: Examples, theta: np.ndarray) -> None:
    scaled = noisy._replace(count=noisy.count * 2.0**20)  # a power of two: exact
    assert_same(examine(theta, scaled, L2), examine(theta, noisy, L2), 0.0)


# --- shapes and extremes ---------------------------------------------------------------------

MISFITS = {
    "y must have shape (40,); got (40, 1)": lambda r: r._replace(y=r.y[:, None]),
    "y must have shape (40,); got (39,)": lambda r: r._replace(y=r.y[1:]),
    "y must have shape (40,); got ()": lambda r: r._replace(y=np.float64(1)),
    "y must have shape (40,); got (1,)": lambda r: r._replace(y=np.ones(1)),
    "count must have shape (40,); got (40, 1)": lambda r: r._replace(count=r.count[:, None]),
    "count must have shape (40,); got (1,)": lambda r: r._replace(count=np.ones(1)),
    "theta must have shape (5,); got (6,)": lambda r: r._replace(X=r.X[:, 1:]),
    "X must have 2 dimensions (n, d); got shape (40,)": lambda r: r._replace(X=r.X[:, 0]),
}


@pytest.mark.parametrize("message", MISFITS)
@pytest.mark.parametrize("curvature", [False, True])
def test_a_shape_that_does_not_fit_is_refused_by_name(
    message: str, curvature: bool, noisy: Examples, theta: np.ndarray
) -> None:
    with pytest.raises(ShapeError) as refusal:
        examine(theta, MISFITS[message](noisy), curvature=curvature)
    assert str(refusal.value) == message


def test_parameters_in_a_column_are_refused(noisy: Examples, theta: np.ndarray) -> None:
    for function in (logits, row_logits, predict_proba):
        with pytest.raises(ShapeError, match=r"^theta must have shape \(6,\); got \(6, 1\)$"):
            function(theta[:, None], noisy.X)


@pytest.mark.parametrize("misfit", [(40, 1), (1,), (39,)])
def test_a_mean_loss_of_shapes_that_do_not_fit_is_refused(
    misfit: tuple[int, ...], noisy: Examples
) -> None:
    good, bad = np.zeros(40), np.zeros(misfit)
    for arrays in ((bad, good, good), (good, bad, good), (good, good, bad), (bad, bad, good)):
        with pytest.raises(ShapeError):
            mean_loss(*arrays)


def test_logits_in_a_column_are_refused_though_everything_is_a_column() -> None:
    with pytest.raises(ShapeError, match=r"got \(40, 1\)$"):
        mean_loss(*(np.zeros((40, 1)) for _ in range(3)))


def test_logits_of_a_thousand_give_finite_losses_and_slopes(noisy: Examples) -> None:
    """I02: a neuron that is sure, and half of the time wrong."""
    theta = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1000.0])
    for sign in (1.0, -1.0):
        for part in examine(sign * theta, noisy, curvature=True):
            assert np.isfinite(part).all()
    share_of_0 = 1 - np.average(noisy.y, weights=noisy.count)
    assert objective(theta, noisy) == pytest.approx(1000 * share_of_0)


@pytest.mark.parametrize("scale", [1e155, 1e300])
def test_what_overflows_is_no_number_and_warns_of_nothing(noisy: Examples, scale: float) -> None:
    found = examine(np.full(6, scale), noisy._replace(X=noisy.X * scale), 1.0, curvature=True)
    assert not math.isfinite(found.objective)


def test_inputs_that_are_all_zero_leave_only_the_bias(noisy: Examples, theta: np.ndarray) -> None:
    """I02: and its slope is the mean probability minus the share of class 1."""
    slope = gradient(theta, noisy._replace(X=np.zeros_like(noisy.X)))
    np.testing.assert_array_equal(slope[:-1], 0.0)
    share = np.average(noisy.y, weights=noisy.count)
    assert slope[-1] == pytest.approx(float(sigmoid(theta[-1:])[0]) - share, rel=1e-14)
