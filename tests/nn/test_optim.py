"""Optimisers: against the papers' equations, unrolled by hand or written out straight."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from nn import Transform, adam, gradient_descent, momentum

EPS = np.finfo(np.float64).eps

START = np.array([1.0, -2.0, 0.5])
CURVATURE = np.array([1.0, 3.0, 0.2])


def slope(theta: np.ndarray) -> np.ndarray:
    """Of the bowl ``sum(curvature * theta ** 2) / 2``."""
    return CURVATURE * theta


def path(optimiser: Transform, steps: int = 30) -> np.ndarray:
    theta, state = START, optimiser.init(START)
    points = []
    for _ in range(steps):
        update, state = optimiser.update(slope(theta), state)
        theta = theta + update
        points.append(theta)
    return np.array(points)


def assert_path(optimiser: Transform, expected: list[np.ndarray]) -> None:
    # About ten roundings a step, none of which the bowl makes larger.
    got = path(optimiser, len(expected))
    np.testing.assert_allclose(got, expected, atol=10 * len(expected) * EPS * np.abs(START).max())


def heavy_ball(learning_rate: float, decay: float, steps: int) -> list[np.ndarray]:
    """Polyak 1964 in its own two-point form: no velocity is kept."""
    before = here = START
    points = []
    for _ in range(steps):
        before, here = here, here - learning_rate * slope(here) + decay * (here - before)
        points.append(here)
    return points


def nesterov_look_ahead(learning_rate: float, decay: float, steps: int) -> list[np.ndarray]:
    """Sutskever et al. 2013, equations 3 and 4; the point at which the slope is taken."""
    theta, velocity = START, np.zeros_like(START)
    points = []
    for _ in range(steps):
        velocity = decay * velocity - learning_rate * slope(theta + decay * velocity)
        theta = theta + velocity
        points.append(theta + decay * velocity)
    return points


def kingma_and_ba(
    rate: float, beta1: float, beta2: float, epsilon: float, steps: int
) -> list[np.ndarray]:
    """Algorithm 1, one parameter and one line at a time, in Python floats."""
    columns = []
    for start, curvature in zip(START.tolist(), CURVATURE.tolist(), strict=True):
        theta, m, v = start, 0.0, 0.0
        column = []
        for t in range(1, steps + 1):
            g = curvature * theta
            m = beta1 * m + (1 - beta1) * g
            v = beta2 * v + (1 - beta2) * g * g
            m_hat = m / (1 - beta1**t)
            v_hat = v / (1 - beta2**t)
            theta = theta - rate * m_hat / (math.sqrt(v_hat) + epsilon)
            column.append(theta)
        columns.append(column)
    return list(np.array(columns).T)


def test_gradient_descent_shrinks_a_bowl_by_the_closed_form() -> None:
    assert_path(gradient_descent(0.1), [(1 - 0.1 * CURVATURE) ** k * START for k in range(1, 31)])


def test_momentum_is_polyaks_heavy_ball() -> None:
    assert_path(momentum(0.1, 0.9), heavy_ball(0.1, 0.9, 30))


def test_two_steps_of_momentum_by_hand() -> None:
    optimiser = momentum(0.5, 0.9)
    first, state = optimiser.update(np.array([2.0]), optimiser.init(np.zeros(1)))
    second, _ = optimiser.update(np.array([1.0]), state)
    assert first[0] == -0.5 * 2
    assert second[0] == -0.5 * (1 + 0.9 * 2)


def test_momentum_without_decay_is_gradient_descent() -> None:
    np.testing.assert_array_equal(path(momentum(0.1, 0.0)), path(gradient_descent(0.1)))


def test_nesterov_walks_along_sutskevers_look_ahead() -> None:
    assert_path(momentum(0.1, 0.9, nesterov=True), nesterov_look_ahead(0.1, 0.9, 30))


def test_adam_is_kingma_and_bas_algorithm_1() -> None:
    assert_path(adam(0.05, 0.9, 0.99, 1e-8), kingma_and_ba(0.05, 0.9, 0.99, 1e-8, 30))


def test_adams_first_step_is_the_learning_rate_against_the_sign() -> None:
    optimiser = adam(0.05, epsilon=1e-300)
    gradient = np.array([1e-6, -3.0, 1e6])
    update, _ = optimiser.update(gradient, optimiser.init(gradient))
    np.testing.assert_allclose(update, -0.05 * np.sign(gradient), rtol=10 * EPS)


def test_adam_forgets_the_scale_of_the_gradient() -> None:
    gradients = np.random.default_rng(0).normal(size=(20, 3))
    small, large = adam(0.05, epsilon=1e-300), adam(0.05, epsilon=1e-300)
    state, large_state = small.init(START), large.init(START)
    for gradient in gradients:
        update, state = small.update(gradient, state)
        scaled, large_state = large.update(1024 * gradient, large_state)
        np.testing.assert_allclose(scaled, update, rtol=10 * EPS)


def test_adam_stands_still_where_there_is_no_slope() -> None:
    """I02: 0 / 0 never happens, thanks to epsilon."""
    update, _ = adam(0.05).update(np.zeros(3), adam(0.05).init(START))
    np.testing.assert_array_equal(update, 0.0)


@pytest.mark.parametrize(
    "optimiser", [gradient_descent(0.1), momentum(0.1), momentum(0.1, nesterov=True), adam(0.1)]
)
def test_update_and_init_change_nothing_that_they_are_given(optimiser: Transform) -> None:
    theta, gradient = START.copy(), slope(START)
    state = optimiser.init(theta)
    first, _ = optimiser.update(gradient, state)
    again, _ = optimiser.update(gradient, state)
    np.testing.assert_array_equal(first, again)
    np.testing.assert_array_equal(theta, START)
    np.testing.assert_array_equal(gradient, slope(START))


WRONG: dict[str, tuple[Transform, Callable[[], list[np.ndarray]]]] = {
    "momentum with 1 - decay": (momentum(0.1 * (1 - 0.9)), lambda: heavy_ball(0.1, 0.9, 30)),
    "nesterov without the look-ahead": (
        momentum(0.1, 0.9),
        lambda: nesterov_look_ahead(0.1, 0.9, 30),
    ),
    "a learning rate wrong by one part in a million": (
        momentum(0.1 * (1 + 1e-6), 0.9),
        lambda: heavy_ball(0.1, 0.9, 30),
    ),
    "uphill": (
        gradient_descent(-0.1),
        lambda: [(1 - 0.1 * CURVATURE) ** k * START for k in range(1, 31)],
    ),
    "epsilon wrong": (
        adam(0.05, 0.9, 0.99, 1e-3),
        lambda: kingma_and_ba(0.05, 0.9, 0.99, 1e-8, 30),
    ),
    "betas swapped": (adam(0.05, 0.99, 0.9), lambda: kingma_and_ba(0.05, 0.9, 0.99, 1e-8, 30)),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_optimiser_is_caught(fault: str) -> None:
    optimiser, expected = WRONG[fault]
    with pytest.raises(AssertionError):
        assert_path(optimiser, expected())


def test_adam_without_bias_correction_is_caught() -> None:
    def uncorrected(rate: float, beta1: float, beta2: float) -> Transform:
        def update(
            g: np.ndarray, state: tuple[np.ndarray, np.ndarray]
        ) -> tuple[np.ndarray, object]:
            m, v = beta1 * state[0] + (1 - beta1) * g, beta2 * state[1] + (1 - beta2) * g**2
            return -rate * m / (np.sqrt(v) + 1e-8), (m, v)

        return Transform(lambda theta: (np.zeros_like(theta), np.zeros_like(theta)), update)

    with pytest.raises(AssertionError):
        assert_path(uncorrected(0.05, 0.9, 0.99), kingma_and_ba(0.05, 0.9, 0.99, 1e-8, 30))
