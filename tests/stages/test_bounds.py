"""The bounds are never below the gap, close to it near the optimum, and known by other formulas."""

import numpy as np
import pytest
from builders import PROBLEMS, one_hot_cars, scipy_objective
from scipy.optimize import brentq
from scipy.special import entr, expit

from nn import Examples, newton, objective
from pipeline.stages.bounds import coordinates, duality_gap, self_concordance, weighted, whitener

ROUNDING = 1e-12  # nats per row: what a gap may be below zero, and below a bound above it


def curvature_bound(theta: np.ndarray, examples: Examples, l2: float) -> float:
    """The bound by curvature, in coordinates that are whitened until they are as good as any."""
    rows = weighted(examples, l2)
    basis, bounds = coordinates(rows), []
    for _ in range(4):
        here = self_concordance(theta, rows, basis)
        bounds.append(here.bound)
        basis = basis @ whitener(here.curvature)
    return min(bounds)


def places(rows):
    """The start, all zeros, half-way, near, nearer, far, and the optimum itself."""
    best = newton(rows.start, rows.examples, rows.l2)
    rng = np.random.default_rng(rows.number)
    away = rng.normal(size=len(best.theta)) * (1 + np.abs(best.theta))
    shares = (0.0, 1e-9, 1e-6, 1e-4, 1e-2, 0.1, 1.0, 10.0)
    thetas = [rows.start, np.zeros_like(rows.start), best.theta / 2]
    return best.objective, thetas + [best.theta + share * away for share in shares]


@pytest.fixture(scope="module")
def measured() -> np.ndarray:
    """The gap, the duality gap and the bound by curvature at every place; (2200, 3)."""
    return np.array(
        [
            (
                scipy_objective(theta, rows.examples, rows.l2) - optimum,
                duality_gap(theta, rows.examples, rows.l2),
                curvature_bound(theta, rows.examples, rows.l2),
            )
            for rows in PROBLEMS
            for optimum, thetas in [places(rows)]
            for theta in thetas
        ]
    )


def test_the_bound_is_never_below_the_gap_and_the_gap_never_below_zero(
    measured: np.ndarray,
) -> None:
    assert measured.shape == (2200, 3)
    gap, *bounds = measured.T
    assert gap.min() >= -ROUNDING
    for bound in bounds:
        assert np.all(bound >= gap - ROUNDING)


def test_half_of_either_bound_would_be_below_the_gap_somewhere(measured: np.ndarray) -> None:
    """A negative control: neither bound is safe only because it is loose."""
    gap, *bounds = measured.T
    for bound in bounds:
        assert np.sum(bound / 2 < gap - ROUNDING) > 20


def test_the_duality_gap_is_the_objective_less_a_feasible_value_of_the_dual() -> None:
    """The dual (Yu, Huang and Lin 2011, eq. 8) by SciPy, at the best bias and anywhere."""
    for rows in PROBLEMS[::5]:
        X, y, count = rows.examples
        side, share = 2 * y - 1, count / count.sum()
        for theta in (rows.start, np.append(rows.start[:-1], best_bias(rows.start, rows.examples))):
            alpha = expit(-side * (X @ theta[:-1] + theta[-1]))
            sums = {label: (share * alpha)[y == label].sum() for label in (0, 1)}
            alpha *= min(sums.values()) / np.where(y == 1, sums[1], sums[0])
            assert abs(share @ (side * alpha)) < 1e-15  # the constraint of the dual
            dual = share @ (entr(alpha) + entr(1 - alpha)) - np.sum(
                ((share * side * alpha) @ X) ** 2
            ) / (2 * rows.l2)
            gap = scipy_objective(theta, rows.examples, rows.l2) - dual
            assert duality_gap(theta, rows.examples, rows.l2) == pytest.approx(gap, rel=1e-6)


def best_bias(theta: np.ndarray, examples: Examples) -> float:
    """By SciPy's root finder."""
    z = examples.X @ theta[:-1]
    mean = np.average(examples.y, weights=examples.count)
    return brentq(
        lambda b: np.average(expit(z + b), weights=examples.count) - mean, -500, 500, xtol=1e-14
    )


@pytest.mark.parametrize("bias", [0.0, 40.0, -800.0, 1e4])
def test_the_duality_gap_is_a_number_whatever_the_logits(bias: float) -> None:
    rows = PROBLEMS[3]
    theta = np.append(np.zeros(len(rows.start) - 1), bias)
    value = objective(theta, rows.examples, 0.1)
    gap = value - newton(np.zeros_like(theta), rows.examples, 0.1).objective
    assert gap - ROUNDING <= duality_gap(theta, rows.examples, 0.1) <= 2 * value


def test_near_the_optimum_curvature_tells_the_gap_itself() -> None:
    for rows in PROBLEMS[::10]:
        best = newton(rows.start, rows.examples, rows.l2)
        away = np.random.default_rng(0).normal(size=len(best.theta)) * 1e-5
        gap = scipy_objective(best.theta + away, rows.examples, rows.l2) - best.objective
        bound = curvature_bound(best.theta + away, rows.examples, rows.l2)
        assert bound == pytest.approx(gap, rel=0.02, abs=2e-12), rows


def test_no_minimum_is_proven_where_there_is_none() -> None:
    """The cars are quasi-separable: the more weights grow, the less the loss."""
    cars, theta = one_hot_cars(), np.zeros(22)
    for _ in range(2):
        assert curvature_bound(theta, cars, 0.0) == np.inf
        theta = newton(theta, cars).theta
    assert objective(theta, cars) == pytest.approx(0.098194, abs=1e-6)
    assert curvature_bound(newton(np.zeros(22), cars, 0.1).theta, cars, 0.1) < 1e-11


@pytest.mark.parametrize("unit", [1e-10, 1e-8, 1e-4, 1e4, 1e8])
def test_the_unit_of_an_input_changes_neither_optimum_nor_bound(unit) -> None:
    """In a small unit its curvature is below the last bit of the bias', and is there all the same.

    Without a penalty, which does know units; where the classes overlap.
    """
    checked = 0
    for rows in PROBLEMS[::4]:
        X, y, count = rows.examples
        best = newton(rows.start, rows.examples)
        bound = curvature_bound(best.theta * (1 + 1e-4), rows.examples, 0.0)
        if bound == np.inf:
            continue
        other = Examples(X * np.append(unit, np.ones(X.shape[1] - 1)), y, count)
        scaled = best.theta / np.append(unit, np.ones(X.shape[1]))
        assert newton(rows.start, other).objective == pytest.approx(best.objective, abs=1e-12)
        again = curvature_bound(scaled * (1 + 1e-4), other, 0.0)
        assert again == pytest.approx(bound, rel=1e-4)
        checked += 1
    assert checked > 12


def test_of_one_class_the_gap_is_the_objective() -> None:
    """The bias alone takes the loss to 0."""
    one = Examples(np.ones((5, 1)), np.ones(5), np.ones(5))
    assert duality_gap(np.zeros(2), one, 0.1) == pytest.approx(np.log(2), rel=1e-12)
    assert duality_gap(np.zeros(2), one, 0.0) == np.inf
