"""The loop over data: what an epoch is, how batches are dealt, and what cannot go wrong quietly."""

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from scipy.optimize import minimize

from nn import (
    Epoch,
    Examples,
    ShapeError,
    Transform,
    adam,
    fit,
    gradient_descent,
    initial_theta,
    loss_and_gradient,
    momentum,
)
from pipeline.paths import PROJECT

EPS = np.finfo(np.float64).eps


def run(rows: Examples, optimiser: Transform, epochs: int, **options: object) -> list[Epoch]:
    start = initial_theta(rows.X.shape[1], np.random.default_rng(0))
    return list(fit(start, rows, optimiser, epochs, **options))


def written_out_twice(rows: Examples) -> Examples:
    order = np.repeat(np.arange(len(rows.y)), rows.weight.astype(int))
    return Examples(rows.X[order], rows.y[order], np.ones(len(order)))


# --- epochs ----------------------------------------------------------------------------------


def test_the_start_is_drawn_from_half_around_zero_with_no_bias() -> None:
    theta = initial_theta(100_000, np.random.default_rng(0))
    assert theta.shape == (100_001,)
    assert theta[-1] == 0.0
    assert -0.5 <= theta.min() < -0.4999
    assert 0.4999 < theta.max() < 0.5
    # A mean of n uniform numbers has the deviation 1 / sqrt(12 n).
    assert abs(theta.mean()) < 4 / math.sqrt(12 * 100_000)


def test_epochs_are_numbered_from_the_neuron_before_training(noisy: Examples) -> None:
    seen = run(noisy, gradient_descent(0.1), 5)
    assert [epoch.number for epoch in seen] == [0, 1, 2, 3, 4, 5]
    np.testing.assert_array_equal(seen[0].theta, initial_theta(5, np.random.default_rng(0)))
    assert len(run(noisy, gradient_descent(0.1), 0)) == 1


def test_an_epoch_is_one_step_of_step_7(noisy: Examples) -> None:
    seen = run(noisy, gradient_descent(0.1), 3, l2=0.03)
    for before, after in itertools.pairwise(seen):
        _, slope = loss_and_gradient(before.theta, *noisy, 0.03)
        np.testing.assert_array_equal(after.theta, before.theta - 0.1 * slope)


def test_an_epoch_holds_the_costs_of_its_own_neuron(noisy: Examples, cars: Examples) -> None:
    valid = Examples(noisy.X[:7], noisy.y[:7], noisy.weight[:7])
    for epoch in run(noisy, momentum(0.1), 4, valid=valid, l2=0.03):
        weights, bias = epoch.theta[:-1], epoch.theta[-1]
        for rows, cost, share in (
            (noisy, epoch.train_cost, epoch.train_accuracy),
            (valid, epoch.valid_cost, epoch.valid_accuracy),
        ):
            p = 1 / (1 + np.exp(-(rows.X @ weights + bias)))
            costs = -np.log(np.where(rows.y == 1, p, 1 - p))
            assert cost == pytest.approx(np.average(costs, weights=rows.weight), rel=1e-12)
            right = (p >= 0.5) == (rows.y == 1)
            assert share == pytest.approx(np.average(right, weights=rows.weight), rel=1e-12)
        expected = epoch.train_cost + 0.03 / 2 * weights @ weights
        assert epoch.objective == pytest.approx(expected, rel=1e-12)


def test_valid_figures_are_absent_without_valid_rows(noisy: Examples) -> None:
    last = run(noisy, gradient_descent(0.1), 1)[-1]
    assert math.isnan(last.valid_cost)
    assert math.isnan(last.valid_accuracy)


def test_valid_rows_do_not_touch_training(noisy: Examples) -> None:
    valid = noisy._replace(y=1 - noisy.y)
    alone = run(noisy, adam(0.1), 5)
    watched = run(noisy, adam(0.1), 5, valid=valid)
    np.testing.assert_array_equal(alone[-1].theta, watched[-1].theta)


def test_an_epoch_that_was_handed_out_never_changes(noisy: Examples) -> None:
    start = initial_theta(5, np.random.default_rng(0))
    epochs = fit(start, noisy, adam(0.1), 3)
    first = next(epochs)
    copy = first.theta.copy()
    list(epochs)
    np.testing.assert_array_equal(first.theta, copy)


def test_read_only_rows_are_enough(noisy: Examples) -> None:
    for array in noisy:
        array.setflags(write=False)
    run(noisy, gradient_descent(0.1), 2)
    run(noisy, gradient_descent(0.1), 2, batch_size=3, rng=np.random.default_rng(0))


@pytest.mark.parametrize("optimiser", [gradient_descent(0.3), momentum(0.1), adam(0.01)])
def test_training_ends_at_the_optimum_that_scipy_finds(
    noisy: Examples, optimiser: Transform
) -> None:
    def cost(theta: np.ndarray) -> float:
        z = noisy.X @ theta[:-1] + theta[-1]
        costs = np.logaddexp(0, np.where(noisy.y == 1, -z, z))
        return float(np.average(costs, weights=noisy.weight) + 0.05 * theta[:-1] @ theta[:-1])

    best = minimize(cost, np.zeros(6), method="Powell", options={"xtol": 1e-9, "ftol": 1e-15}).x
    trained = run(noisy, optimiser, 3000, l2=0.1)[-1].theta
    np.testing.assert_allclose(trained, best, atol=1e-6)


def test_weights_train_as_rows_written_as_often(noisy: Examples) -> None:
    long = written_out_twice(noisy)
    for optimiser in (gradient_descent(0.3), momentum(0.1), adam(0.05)):
        short_run = run(noisy, optimiser, 300, l2=0.1)
        long_run = run(long, optimiser, 300, l2=0.1)
        # 300 steps towards a unique optimum, each with two sums of up to 80 terms.
        np.testing.assert_allclose(
            [epoch.theta for epoch in short_run],
            [epoch.theta for epoch in long_run],
            atol=300 * 160 * EPS,
        )


def test_weights_that_are_ignored_train_otherwise(noisy: Examples) -> None:
    ignored = noisy._replace(weight=np.ones(40))
    honest, wrong = (run(r, momentum(0.1), 300, l2=0.1)[-1].theta for r in (noisy, ignored))
    assert np.abs(honest - wrong).max() > 0.01


# --- what cannot go wrong quietly ------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 3])
def test_labels_in_a_column_are_refused(noisy: Examples, batch_size: int | None) -> None:
    column = noisy._replace(y=noisy.y[:, None])
    rng = np.random.default_rng(0)
    with pytest.raises(ShapeError, match=r"^y must have shape \(40,\); got \(40, 1\)$"):
        run(column, gradient_descent(0.1), 1, batch_size=batch_size, rng=rng)


def test_valid_labels_in_a_column_are_refused(noisy: Examples) -> None:
    column = noisy._replace(y=noisy.y[:, None])
    with pytest.raises(ShapeError, match=r"^y must have shape"):
        run(noisy, gradient_descent(0.1), 1, valid=column)


def test_weights_that_would_broadcast_are_refused(noisy: Examples) -> None:
    for weight in (np.ones(1), np.ones((40, 1))):
        with pytest.raises(ShapeError, match=r"^weight must have shape \(40,\)"):
            run(noisy._replace(weight=weight), gradient_descent(0.1), 1)


@pytest.mark.parametrize("batch_size", [None, 3])
@pytest.mark.parametrize(
    "optimiser",
    [gradient_descent(1e308), momentum(1e308), momentum(1e308, nesterov=True), adam(1e308)],
)
def test_a_huge_learning_rate_ends_in_plain_sight(
    noisy: Examples, optimiser: Transform, batch_size: int | None
) -> None:
    """I02: infinity or NaN in the cost, no warning, no exception."""
    seen = run(noisy, optimiser, 20, l2=0.1, batch_size=batch_size, rng=np.random.default_rng(0))
    assert len(seen) == 21
    assert math.isfinite(seen[0].objective)
    assert not math.isfinite(seen[-1].objective)


@pytest.mark.parametrize("value", [0.0, 1.0, -3e5, 1e-300])
def test_inputs_that_do_not_vary_train_without_a_warning(noisy: Examples, value: float) -> None:
    """I02: zero variance, and all zeros: only the share of class 1 can be learned, and is."""
    blind = noisy._replace(X=np.full_like(noisy.X, value))
    rate = 0.5 if abs(value) <= 1 else 1e-13
    last = run(blind, gradient_descent(rate), 2000)[-1]
    assert math.isfinite(last.objective)
    if value in (0.0, 1e-300):
        share = np.average(noisy.y, weights=noisy.weight)
        entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
        assert last.train_cost == pytest.approx(entropy, rel=1e-9)


def test_one_class_alone_drives_the_cost_towards_zero(noisy: Examples) -> None:
    ones = noisy._replace(y=np.ones(40))
    costs = [epoch.train_cost for epoch in run(ones, gradient_descent(0.5), 500)]
    assert np.all(np.diff(costs) < 0)
    assert 0 < costs[-1] < 0.02


SCRIPT = """
import numpy as np
from nn import Examples, adam, fit, initial_theta
rng = np.random.default_rng(0)
X = rng.normal(size=(500, 9))
rows = Examples(X, (X[:, 0] > 0).astype(float), rng.integers(1, 4, 500).astype(float))
start = initial_theta(9, rng)
for epoch in fit(start, rows, adam(0.05), 20, l2=1e-3, batch_size=64, rng=rng):
    print(epoch.theta.tobytes().hex(), epoch.objective.hex(), epoch.train_cost.hex())
"""


@pytest.mark.slow
def test_equal_inputs_give_equal_bits_in_two_processes() -> None:
    def output(script: str) -> str:
        command = [sys.executable, "-W", "error", "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PROJECT)
        return done.stdout

    first = output(SCRIPT)
    assert len(first.splitlines()) == 21
    assert output(SCRIPT) == first
    assert output(SCRIPT.replace("default_rng(0)", "default_rng(1)")) != first
    assert output(SCRIPT.replace("adam(0.05)", "adam(0.05 + 1e-17)")) != first
