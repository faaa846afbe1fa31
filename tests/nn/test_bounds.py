"""The bounds are never below the gap, close to it near the optimum, and known by other formulas."""

import numpy as np
import pytest
from problems import PROBLEMS, objective
from scipy.special import entr, expit

from nn import Examples, fit, loss_and_gradient, momentum
from nn.bounds import gap_bound, self_concordance, strong_convexity
from nn.newton import newton

ROUNDING = 1e-12  # nats per row: what a gap may be below zero, and below a bound above it


def places(rows):
    """The start, all zeros, half-way, near, nearer, far, and the optimum itself."""
    best = newton(rows.start, rows.examples, rows.l2)
    rng = np.random.default_rng(rows.number)
    away = rng.normal(size=len(best.theta)) * (1 + np.abs(best.theta))
    shares = (0.0, 1e-9, 1e-6, 1e-4, 1e-2, 0.1, 1.0, 10.0)
    thetas = [rows.start, np.zeros_like(rows.start), best.theta / 2]
    return best.objective, thetas + [best.theta + share * away for share in shares]


def test_the_bound_is_never_below_the_gap_and_the_gap_never_below_zero() -> None:
    checked = 0
    for rows in PROBLEMS:
        optimum, thetas = places(rows)
        for theta in thetas:
            gap = objective(theta, rows.examples, rows.l2) - optimum
            assert gap >= -ROUNDING, rows
            assert gap_bound(theta, rows.examples, rows.l2) >= gap - ROUNDING, rows
            assert strong_convexity(theta, rows.examples, rows.l2) >= gap - ROUNDING, rows
            assert self_concordance(theta, rows.examples, rows.l2)[0] >= gap - ROUNDING, rows
            checked += 1
    assert checked == 2200


def test_half_of_either_bound_would_be_below_the_gap_somewhere() -> None:
    """A negative control: neither bound is safe only because it is loose."""
    below = {"strong": 0, "curvature": 0}
    for rows in PROBLEMS:
        optimum, thetas = places(rows)
        for theta in thetas:
            gap = objective(theta, rows.examples, rows.l2) - optimum
            below["strong"] += strong_convexity(theta, rows.examples, rows.l2) / 2 < gap - ROUNDING
            curvature = self_concordance(theta, rows.examples, rows.l2)[0]
            below["curvature"] += curvature / 2 < gap - ROUNDING
    assert below["strong"] > 20
    assert below["curvature"] > 20


def test_the_gap_and_its_bound_fall_to_nothing_as_epochs_grow() -> None:
    for rows in PROBLEMS:
        X, y, weight = rows.examples
        eased = Examples(X / np.maximum(np.abs(X).max(axis=0), 1e-300), y, weight)
        l2 = max(rows.l2, 0.1)  # of the least curvature, by which descent slows
        optimum = newton(rows.start, eased, l2).objective
        gaps, bounds = [], []
        for epoch in fit(rows.start, eased, momentum(1 / len(rows.start), 0.9), 400, l2=l2):
            if epoch.number in (0, 5, 50, 400):
                gaps.append(epoch.objective - optimum)
                bounds.append(gap_bound(epoch.theta, eased, l2))
        assert gaps[0] > gaps[1] > gaps[2] >= gaps[3] - ROUNDING, rows
        assert -ROUNDING <= gaps[3] < 1e-9, rows
        assert bounds[3] < 1e-8, rows


def test_strong_convexity_is_the_duality_gap() -> None:
    """The dual of the penalised cost at ``p - y`` (Yu, Huang and Lin 2011, eq. 8), by SciPy.

    The bias is where its derivative is zero, so that the point satisfies the dual's constraint.
    """
    for rows in PROBLEMS[::5]:
        best_bias = newton_of_bias(rows.start, rows.examples)
        theta = np.append(rows.start[:-1], best_bias)
        X, y, weight = rows.examples
        side = 2 * y - 1
        alpha = expit(-side * (X @ theta[:-1] + theta[-1]))
        share = weight / weight.sum()
        dual = share @ (entr(alpha) + entr(1 - alpha)) - np.sum(
            ((share * side * alpha) @ X) ** 2
        ) / (2 * rows.l2)
        gap = objective(theta, rows.examples, rows.l2) - dual
        assert strong_convexity(theta, rows.examples, rows.l2) == pytest.approx(gap, rel=1e-6)


def newton_of_bias(theta: np.ndarray, examples: Examples) -> float:
    """The best bias by SciPy's root finder."""
    from scipy.optimize import brentq

    z = examples.X @ theta[:-1]
    mean = np.average(examples.y, weights=examples.weight)
    return brentq(
        lambda b: np.average(expit(z + b), weights=examples.weight) - mean, -500, 500, xtol=1e-14
    )


def test_near_the_optimum_curvature_tells_the_gap_itself() -> None:
    for rows in PROBLEMS[::10]:
        best = newton(rows.start, rows.examples, rows.l2)
        away = np.random.default_rng(0).normal(size=len(best.theta)) * 1e-5
        gap = objective(best.theta + away, rows.examples, rows.l2) - best.objective
        bound, proven = self_concordance(best.theta + away, rows.examples, rows.l2)
        assert proven
        assert bound == pytest.approx(gap, rel=0.02, abs=1e-14), rows


def test_no_minimum_is_proven_where_there_is_none(cars: Examples) -> None:
    """The cars are quasi-separable: the more weights grow, the less the cost."""
    theta = np.zeros(22)
    for _ in range(5):
        assert not self_concordance(theta, cars, 0.0)[1]
        theta = newton(theta, cars).theta
    assert loss_and_gradient(theta, *cars)[0] == pytest.approx(0.098194, abs=1e-6)
    assert self_concordance(newton(np.zeros(22), cars, 0.1).theta, cars, 0.1)[1]


@pytest.mark.parametrize("unit", [1e-10, 1e-8, 1e-4, 1e4, 1e8])
def test_the_unit_of_an_input_changes_neither_optimum_nor_bound(unit) -> None:
    """In a small unit its curvature is below the last bit of the bias', and is there all the same.

    Without a penalty, which does know units; where the classes overlap.
    """
    checked = 0
    for rows in PROBLEMS:
        X, y, weight = rows.examples
        best = newton(rows.start, rows.examples)
        bound, proven = self_concordance(best.theta * (1 + 1e-4), rows.examples, 0.0)
        if not proven:
            continue
        other = Examples(X * np.append(unit, np.ones(X.shape[1] - 1)), y, weight)
        scaled = best.theta / np.append(unit, np.ones(X.shape[1]))
        assert newton(rows.start, other).objective == pytest.approx(best.objective, abs=1e-12)
        again, proven = self_concordance(scaled * (1 + 1e-4), other, 0.0)
        assert proven
        if rows.kind == "one-hot":  # its largest value is 1 already, so the unit is undone exactly
            assert again == pytest.approx(bound, rel=1e-4)
        checked += 1
    assert checked > 50


def test_without_penalty_and_proof_the_cost_itself_is_the_bound(cars: Examples) -> None:
    """No cost is negative."""
    theta = np.random.default_rng(0).normal(size=22)
    value = loss_and_gradient(theta, *cars)[0]
    assert gap_bound(theta, cars) == pytest.approx(value, rel=1e-12)
    assert strong_convexity(theta, cars, 0.0) == np.inf


def test_rows_of_one_class_have_no_best_bias() -> None:
    one = Examples(np.ones((5, 1)), np.ones(5), np.ones(5))
    assert strong_convexity(np.zeros(2), one, 0.1) == np.inf
    assert gap_bound(np.zeros(2), one, 0.1) == pytest.approx(np.log(2), rel=1e-12)
