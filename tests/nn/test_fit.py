"""The loop over data: what an epoch is, how batches are dealt, and what cannot go wrong quietly."""

import itertools
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from builders import scipy_objective, written_out
from exact import exact_objective, infimum
from scipy.optimize import minimize

from nn import (
    Epoch,
    Examples,
    ShapeError,
    Transform,
    adam,
    fit,
    fit_newton,
    gradient,
    gradient_descent,
    initial_theta,
    momentum,
    newton,
    objective,
)
from nn.arrays import Array
from nn.optimum import newton_steps
from pipeline.files import PROJECT

EPS = np.finfo(np.float64).eps


def run(rows: Examples, optimiser: Transform, epochs: int, **options: object) -> list[Epoch]:
    start = initial_theta(rows.X.shape[1], np.random.default_rng(0))
    return list(fit(start, rows, optimiser, epochs, **options))


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
        slope = gradient(before.theta, noisy, 0.03)
        np.testing.assert_array_equal(after.theta, before.theta - 0.1 * slope)


def test_an_epoch_holds_the_losses_of_its_own_neuron(noisy: Examples) -> None:
    valid = Examples(noisy.X[:7], noisy.y[:7], noisy.count[:7])
    for epoch in run(noisy, momentum(0.1), 4, valid=valid, l2=0.03):
        weights, bias = epoch.theta[:-1], epoch.theta[-1]
        for rows, loss, share in (
            (noisy, epoch.train_loss, epoch.train_accuracy),
            (valid, epoch.valid_loss, epoch.valid_accuracy),
        ):
            p = 1 / (1 + np.exp(-(rows.X @ weights + bias)))
            losses = -np.log(np.where(rows.y == 1, p, 1 - p))
            assert loss == pytest.approx(np.average(losses, weights=rows.count), rel=1e-12)
            right = (p >= 0.5) == (rows.y == 1)
            assert share == pytest.approx(np.average(right, weights=rows.count), rel=1e-12)
        expected = epoch.train_loss + 0.03 / 2 * weights @ weights
        assert epoch.objective == pytest.approx(expected, rel=1e-12)


def test_valid_figures_are_absent_without_valid_rows(noisy: Examples) -> None:
    last = run(noisy, gradient_descent(0.1), 1)[-1]
    assert math.isnan(last.valid_loss)
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
    options = {"xtol": 1e-9, "ftol": 1e-15}
    best = minimize(scipy_objective, np.zeros(6), (noisy, 0.1), "Powell", options=options).x
    trained = run(noisy, optimiser, 3000, l2=0.1)[-1].theta
    np.testing.assert_allclose(trained, best, atol=1e-6)


def test_counts_train_as_rows_written_as_often(noisy: Examples) -> None:
    long = written_out(noisy)
    for optimiser in (gradient_descent(0.3), momentum(0.1), adam(0.05)):
        short_run = run(noisy, optimiser, 300, l2=0.1)
        long_run = run(long, optimiser, 300, l2=0.1)
        # 300 steps towards a unique optimum, each with two sums of up to 80 terms.
        np.testing.assert_allclose(
            [epoch.theta for epoch in short_run],
            [epoch.theta for epoch in long_run],
            atol=300 * 160 * EPS,
        )


def test_counts_that_are_ignored_train_otherwise(noisy: Examples) -> None:
    ignored = noisy._replace(count=np.ones(40))
    honest, wrong = (run(r, momentum(0.1), 300, l2=0.1)[-1].theta for r in (noisy, ignored))
    assert np.abs(honest - wrong).max() > 0.01


# --- Newton's method -------------------------------------------------------------------------


def run_newton(rows: Examples, epochs: int = 100, start: float = 0.0, **options) -> list[Epoch]:
    return list(fit_newton(np.full(rows.X.shape[1] + 1, start), rows, epochs, **options))


@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_newton_ends_at_the_optimum_by_itself(noisy: Examples, l2: float) -> None:
    seen = run_newton(noisy, l2=l2)
    assert [epoch.number for epoch in seen] == list(range(len(seen)))
    assert len(seen) < 12
    assert np.all(np.diff([epoch.objective for epoch in seen]) < 0)
    best = newton(np.zeros(6), noisy, l2)
    assert seen[-1].objective == pytest.approx(best.objective, rel=4 * EPS)
    np.testing.assert_allclose(seen[-1].theta, best.theta, atol=1e-7)


def ends(steps: Callable[..., list[Any]], rows: Examples, l2: float) -> list[bytes]:
    """The neuron that is found from zeros, a stronger penalty's optimum and afar, as bytes."""
    starts = [np.zeros(6), newton(np.zeros(6), rows, 3 * l2).theta, np.full(6, 0.7)]
    return [steps(start, rows, l2)[-1].theta.tobytes() for start in starts]


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e6])
def test_newtons_end_has_the_same_bits_wherever_it_began(noisy: Examples, scale: float) -> None:
    """With a penalty; whatever the unit of an input. The control: ends that were not settled."""
    rows = noisy._replace(X=noisy.X * np.array([scale, 1, 1, 1, 1]))

    def whole(start: Array, rows: Examples, l2: float) -> list[Epoch]:
        return list(fit_newton(start, rows, 100, l2=l2))

    def unsettled(start: Array, rows: Examples, l2: float) -> list[Any]:
        return list(newton_steps(start, rows, l2))

    penalties = [1.0, 0.1, 0.01, 1e-4]
    assert all(len({*ends(whole, rows, l2)}) == 1 for l2 in penalties)
    assert any(len({*ends(unsettled, rows, l2)}) > 1 for l2 in penalties)


def test_newtons_settled_end_is_as_near_to_the_optimum(noisy: Examples) -> None:
    """The oracle: the objective and its minimum in numbers of 60 digits."""
    theta = run_newton(noisy, l2=0.01)[-1].theta
    assert 0 <= exact_objective(theta, noisy, 0.01) - infimum(noisy, 0.01)[0] < 2e-17


def test_newtons_first_epoch_is_the_neuron_before_training(noisy: Examples) -> None:
    first = run_newton(noisy, l2=0.1, start=0.3)[0]
    np.testing.assert_array_equal(first.theta, np.full(6, 0.3))
    assert first.objective == objective(first.theta, noisy, 0.1)


@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_newton_takes_no_more_steps_than_epochs(noisy: Examples, epochs: int) -> None:
    seen, longer = run_newton(noisy, epochs, l2=0.1), run_newton(noisy, l2=0.1)
    assert len(seen) == epochs + 1
    np.testing.assert_array_equal(seen[-1].theta, longer[epochs].theta)


def test_newtons_epochs_hold_losses_and_accuracies_as_those_of_descent(noisy: Examples) -> None:
    """Each is what descent finds of the same neuron before it moves."""
    valid = Examples(noisy.X[:7], noisy.y[:7], noisy.count[:7])
    for epoch in run_newton(noisy, l2=0.1, valid=valid):
        still = next(fit(epoch.theta, noisy, gradient_descent(1.0), 0, valid=valid, l2=0.1))
        assert epoch[2:] == still[2:]
    assert math.isnan(run_newton(noisy, 0)[0].valid_loss)


@pytest.mark.parametrize("epochs", [5, 1000])
def test_newton_on_rows_that_separate_ends_without_a_warning(epochs: int) -> None:
    """Without a penalty there is no minimum: the loss falls until nothing is left of it."""
    rows = Examples(np.array([[1.0], [2.0], [3.0], [4.0]]), np.array([0.0, 0, 1, 1]), np.ones(4))
    seen = run_newton(rows, epochs)
    assert len(seen) <= min(epochs, 60) + 1
    assert np.all(np.diff([epoch.objective for epoch in seen]) < 0)
    assert all(np.isfinite(epoch.theta).all() for epoch in seen)
    assert seen[-1].train_loss < (0.1 if epochs == 5 else 1e-15)


def test_newton_refuses_a_curvature_that_overflows(noisy: Examples) -> None:
    with pytest.raises(np.linalg.LinAlgError, match="overflow"):
        run_newton(noisy._replace(X=noisy.X * 1e200))


@pytest.mark.parametrize("method", ["descent", "batches", "newton"])
def test_a_caller_keeps_its_own_warnings_between_epochs(noisy: Examples, method: str) -> None:
    """What training switches off for itself is on again whenever it hands out an epoch."""
    start, rng = np.zeros(6), np.random.default_rng(0)
    epochs = {
        "descent": lambda: fit(start, noisy, adam(0.1), 3),
        "batches": lambda: fit(start, noisy, adam(0.1), 3, batch_size=7, rng=rng),
        "newton": lambda: fit_newton(start, noisy, 3),
    }[method]()
    with np.errstate(all="raise"):
        for _ in epochs:
            assert set(np.geterr().values()) == {"raise"}


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


def test_counts_that_would_broadcast_are_refused(noisy: Examples) -> None:
    for count in (np.ones(1), np.ones((40, 1))):
        with pytest.raises(ShapeError, match=r"^count must have shape \(40,\)"):
            run(noisy._replace(count=count), gradient_descent(0.1), 1)


@pytest.mark.parametrize("batch_size", [None, 3])
@pytest.mark.parametrize(
    "optimiser",
    [gradient_descent(1e308), momentum(1e308), momentum(1e308, nesterov=True), adam(1e308)],
)
def test_a_huge_learning_rate_ends_in_plain_sight(
    noisy: Examples, optimiser: Transform, batch_size: int | None
) -> None:
    """I02: infinity or NaN in the loss, no warning, no exception."""
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
        share = np.average(noisy.y, weights=noisy.count)
        entropy = -share * math.log(share) - (1 - share) * math.log(1 - share)
        assert last.train_loss == pytest.approx(entropy, rel=1e-9)


def test_one_class_alone_drives_the_loss_towards_zero(noisy: Examples) -> None:
    ones = noisy._replace(y=np.ones(40))
    losses = [epoch.train_loss for epoch in run(ones, gradient_descent(0.5), 500)]
    assert np.all(np.diff(losses) < 0)
    assert 0 < losses[-1] < 0.02


SCRIPT = """
import numpy as np
from nn import Examples, adam, fit, initial_theta
rng = np.random.default_rng(0)
X = rng.normal(size=(500, 9))
rows = Examples(X, (X[:, 0] > 0).astype(float), rng.integers(1, 4, 500).astype(float))
start = initial_theta(9, rng)
for epoch in fit(start, rows, adam(0.05), 20, l2=1e-3, batch_size=64, rng=rng):
    print(epoch.theta.tobytes().hex(), epoch.objective.hex(), epoch.train_loss.hex())
"""


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
