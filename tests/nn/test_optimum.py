"""Newton's method against solvers of SciPy and scikit-learn, on hundreds of random problems."""

import numpy as np
import pytest
from builders import PROBLEMS, Problem, scipy_objective, written_out
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression

from nn import Examples, examine, gradient, newton, objective, optimum
from nn.optimum import newton_steps


@pytest.mark.parametrize("rows", PROBLEMS[::10], ids=str)
def test_the_optimum_is_that_of_scipy(rows: Problem) -> None:
    """BFGS on the objective by SciPy, whose gradient it finds by differences."""
    found = newton(rows.start, rows.examples, rows.l2)
    there = minimize(
        lambda t: scipy_objective(t, rows.examples, rows.l2),
        np.zeros_like(rows.start),
        jac="3-point",
        method="BFGS",
        options={"gtol": 1e-9},
    )
    # BFGS with differences ends within about 1e-10 of the optimum, above it.
    assert found.objective <= there.fun + 1e-13
    assert found.objective == pytest.approx(there.fun, abs=1e-8)
    assert found.objective == pytest.approx(
        scipy_objective(found.theta, rows.examples, rows.l2), 1e-13
    )


@pytest.mark.parametrize("rows", PROBLEMS[::10], ids=str)
def test_the_objective_agrees_with_scikit_learns_logistic_regression(rows: Problem) -> None:
    X, y, count = rows.examples
    model = LogisticRegression(
        C=1 / (rows.l2 * count.sum()), solver="newton-cholesky", tol=1e-12, max_iter=1000
    ).fit(X, y, sample_weight=count)
    theirs = np.append(model.coef_[0], model.intercept_)
    found = newton(rows.start, rows.examples, rows.l2)
    assert found.objective == pytest.approx(
        scipy_objective(theirs, rows.examples, rows.l2), rel=0, abs=1e-8
    )


def test_no_gradient_is_left_at_any_optimum() -> None:
    for rows in PROBLEMS:
        found = newton(rows.start, rows.examples, rows.l2)
        scale = np.abs(rows.examples.X).max(initial=1.0)
        # A step would gain less than the last bit of the loss, so nu^2 / 2 is at most about 1e-16.
        assert np.abs(found.gradient).max() < 1e-7 * scale, rows
        assert np.array_equal(found.gradient, gradient(found.theta, rows.examples, rows.l2))


def test_the_optimum_does_not_depend_on_the_start(noisy: Examples) -> None:
    """From afar a full step overshoots: probabilities are 0 or 1 there, and curvature is gone."""
    rng = np.random.default_rng(0)
    at_zero = newton(np.zeros(6), noisy, 0.01)
    for scale in (1.0, 30.0, 1e4, 1e200):
        far = newton(scale * rng.normal(size=6), noisy, 0.01)
        assert far.objective == pytest.approx(at_zero.objective, rel=1e-14)
        assert far.theta == pytest.approx(at_zero.theta, abs=1e-7)


def test_it_never_ends_above_its_start() -> None:
    for rows in PROBLEMS:
        value = objective(rows.start, rows.examples, rows.l2)
        assert newton(rows.start, rows.examples, rows.l2).objective <= value


def test_a_start_at_the_optimum_takes_no_step(noisy: Examples) -> None:
    there = newton(np.zeros(6), noisy, 0.1).theta
    again = newton(there, noisy, 0.1)
    assert again.steps <= 1
    assert np.allclose(again.theta, there, rtol=0, atol=1e-8)


def test_convergence_is_quadratic(cars: Examples) -> None:
    assert newton(np.zeros(22), cars, 1e-4).steps <= 12


def test_counts_are_rows_repeated(noisy: Examples) -> None:
    short = newton(np.zeros(6), noisy, 0.05)
    long = newton(np.zeros(6), written_out(noisy), 0.05)
    assert long.theta == pytest.approx(short.theta, abs=1e-9)


def test_one_hot_inputs_that_add_up_to_the_bias_are_no_obstacle() -> None:
    """Without a penalty the optimum is a line: each group's log-odds are what is identified."""
    group = np.repeat([0, 1, 2], [20, 30, 50])
    y = np.concatenate([np.arange(20) < 5, np.arange(30) < 21, np.arange(50) < 10]).astype(float)
    examples = Examples(np.eye(3)[group], y, np.ones(100))
    found = newton(np.array([0.3, -0.2, 0.1, 0.4]), examples)
    odds = [5 / 15, 21 / 9, 10 / 40]
    assert found.theta[:3] + found.theta[3] == pytest.approx(np.log(odds), abs=1e-9)


# --- what makes it fast ----------------------------------------------------------------------


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of the rows is solved first, from 17 rows on."""
    monkeypatch.setattr(optimum, "BLOCK", 1)


@pytest.mark.usefixtures("few_are_many")
def test_a_part_of_the_rows_to_start_from_changes_no_optimum() -> None:
    for rows in PROBLEMS[::9]:
        found = newton(rows.start, rows.examples, rows.l2)
        assert found.objective == pytest.approx(minimum_by_steps(rows), rel=1e-13), rows


def minimum_by_steps(rows: Problem) -> float:
    """Every step by the Hessian of its own point, from all zeros."""
    theta = np.zeros_like(rows.start)
    for _ in range(60):
        found = examine(theta, rows.examples, rows.l2, curvature=True)
        step = np.linalg.lstsq(found.hessian, found.gradient, rcond=1e-13)[0]
        share = 1.0
        while objective(theta - share * step, rows.examples, rows.l2) > found.objective:
            share /= 2
            if share < 1e-9:
                return found.objective
        theta = theta - share * step
    return found.objective


@pytest.mark.usefixtures("few_are_many")
@pytest.mark.parametrize("l2", [0.0, 1e-4])
def test_a_part_that_is_no_likeness_is_no_start(l2: float) -> None:
    """Every sixteenth row, where the part is taken, is of one class; the rest overlaps."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(160, 2))
    y = (X[:, 0] + rng.logistic(size=160) > 0).astype(np.float64)
    y[::16] = 1.0
    X[::16] = [50.0, -50.0]
    rows = Examples(X, y, np.ones(160))
    found = newton(np.zeros(3), rows, l2)
    assert found.objective <= np.log(2)
    steps = list(newton_steps(np.zeros(3), rows, l2))
    assert found.objective == pytest.approx(steps[-1].found.objective, abs=1e-10)


def test_fast_steps_share_a_hessian_and_slow_ones_do_not(
    cars: Examples, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def watched(*arguments, curvature=False):
        asked.append(curvature)
        return examine(*arguments, curvature=curvature)

    monkeypatch.setattr(optimum, "examine", watched)
    newton(np.zeros(22), cars, 1e-2)
    assert asked[0]
    assert not all(asked)
    asked.clear()
    newton(np.zeros(22), cars)  # no minimum: steps gain e times less than the one before
    assert sum(asked) > 0.9 * len(asked)
