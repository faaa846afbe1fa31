"""The five-point rule itself: exact where theory says so, and sharp enough to be an oracle."""

import numpy as np
import pytest

from nn import five_point_gradient

# Rounding: four values of order 1, each within eps, times 8 over 12 h.
ROUNDING = 8 * np.finfo(np.float64).eps / 1e-3


def test_it_is_exact_for_polynomials_up_to_degree_four() -> None:
    theta = np.array([0.5, -1.0, 0.25])
    got = five_point_gradient(lambda t: float(np.sum(t**4 - 2 * t**3 + t)), theta)
    np.testing.assert_allclose(got, 4 * theta**3 - 6 * theta**2 + 1, atol=6 * ROUNDING)


def test_it_is_not_exact_for_degree_five_by_the_amount_that_theory_says() -> None:
    h = 0.1
    got = five_point_gradient(lambda t: float(t[0] ** 5), np.array([0.0]), h)
    assert got[0] == pytest.approx(-4 * h**4)  # h^4 / 30 times the fifth derivative, 120


def test_each_parameter_has_its_own_derivative() -> None:
    theta = np.array([0.3, 1.2])
    got = five_point_gradient(lambda t: float(np.sin(t[0]) * np.exp(t[1])), theta)
    expected = np.exp(1.2) * np.array([np.cos(0.3), np.sin(0.3)])
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-11)


def test_the_parameters_are_left_alone() -> None:
    theta = np.array([1.0, 2.0])
    five_point_gradient(lambda t: float(t @ t), theta)
    np.testing.assert_array_equal(theta, [1.0, 2.0])
