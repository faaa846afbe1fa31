"""The loss of a row and its two derivatives, against arithmetic with hundreds of digits."""

from collections.abc import Callable
from decimal import Decimal, localcontext
from functools import cache

import numpy as np
import pytest
from scipy.special import expit, log_expit
from sklearn.metrics import log_loss

from nn import ShapeError, binary_cross_entropy, five_point_gradient, loss_slope, sigmoid
from nn.loss import loss_curvature

EPS = np.finfo(np.float64).eps
TINY = np.finfo(np.float64).tiny  # below it float64 has fewer digits

EXTREMES = [
    0.0,
    1e-300,
    1e-9,
    0.3,
    1.0,
    5.0,
    36.7,
    37.0,
    40.0,
    100.0,
    500.0,
    700.0,
    708.0,
    745.0,
    800.0,
]
LOGITS = np.array([-z for z in reversed(EXTREMES)] + EXTREMES)

# exp, 1 + x and the division or logarithm are each within one unit in the last place.
FEW_ROUNDINGS = 3 * EPS


@cache
def exact(function: Callable[[Decimal], Decimal]) -> np.ndarray:
    """``function`` of each of LOGITS with 400 digits, so that 1 + exp(-800) is more than 1."""
    with localcontext(prec=400):
        return np.array([float(function(Decimal(float(z)))) for z in LOGITS])


def true_sigmoid(z: Decimal) -> Decimal:
    return 1 / (1 + (-z).exp())


def true_loss_of_0(z: Decimal) -> Decimal:
    return (1 + z.exp()).ln()


def true_loss_of_1(z: Decimal) -> Decimal:
    return true_loss_of_0(-z)


def true_curvature(z: Decimal) -> Decimal:
    return true_sigmoid(z) * true_sigmoid(-z)


def assert_close(got: np.ndarray, expected: np.ndarray) -> None:
    np.testing.assert_allclose(
        got, expected, rtol=FEW_ROUNDINGS, atol=FEW_ROUNDINGS * TINY + 5e-324
    )


def assert_sigmoid(function: Callable[[np.ndarray], np.ndarray]) -> None:
    assert_close(function(LOGITS), exact(true_sigmoid))


def assert_loss(function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
    zeros = np.zeros_like(LOGITS)
    assert_close(function(LOGITS, zeros), exact(true_loss_of_0))
    assert_close(function(LOGITS, zeros + 1), exact(true_loss_of_1))


def assert_slope(function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
    zeros = np.zeros_like(LOGITS)
    assert_close(function(LOGITS, zeros), exact(true_sigmoid))
    assert_close(function(LOGITS, zeros + 1), -exact(true_sigmoid)[::-1])


def assert_curvature(function: Callable[[np.ndarray], np.ndarray]) -> None:
    assert_close(function(LOGITS), exact(true_curvature))


def test_sigmoid_has_every_digit_over_the_whole_range() -> None:
    assert_sigmoid(sigmoid)


def test_loss_has_every_digit_over_the_whole_range() -> None:
    assert_loss(binary_cross_entropy)


def test_slope_has_every_digit_over_the_whole_range() -> None:
    assert_slope(loss_slope)


def test_curvature_has_every_digit_over_the_whole_range() -> None:
    assert_curvature(loss_curvature)


@pytest.mark.parametrize("y", [0.0, 1.0])
def test_curvature_is_the_derivative_of_the_slope(y: float) -> None:
    for z in (-7.0, -0.3, 0.0, 2.0):
        slope = five_point_gradient(
            lambda at: float(loss_slope(at, np.array([y]))[0]), np.array([z])
        )
        assert loss_curvature(np.array([z]))[0] == pytest.approx(slope[0], rel=1e-7)


def test_sigmoid_is_scipys() -> None:
    z = np.random.default_rng(0).normal(0, 20, 10_000)
    np.testing.assert_allclose(sigmoid(z), expit(z), rtol=FEW_ROUNDINGS)


def test_loss_is_scipys() -> None:
    z = np.random.default_rng(0).normal(0, 20, 10_000)
    np.testing.assert_allclose(
        binary_cross_entropy(z, np.ones_like(z)), -log_expit(z), rtol=FEW_ROUNDINGS
    )
    np.testing.assert_allclose(
        binary_cross_entropy(z, np.zeros_like(z)), -log_expit(-z), rtol=FEW_ROUNDINGS
    )


def test_mean_loss_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    z, y = rng.normal(0, 3, 1000), rng.integers(0, 2, 1000).astype(np.float64)
    # scikit-learn is given p, and 1 - p then carries an absolute error of eps.
    assert binary_cross_entropy(z, y).mean() == pytest.approx(log_loss(y, expit(z)), rel=1e-12)


def test_hand_values() -> None:
    zero, one = np.array([0.0]), np.array([1.0])
    assert sigmoid(zero)[0] == 0.5
    assert binary_cross_entropy(zero, one)[0] == np.log(2)
    assert loss_slope(zero, one)[0] == -0.5
    assert loss_slope(zero, zero)[0] == 0.5
    assert binary_cross_entropy(np.array([40.0]), one)[0] == pytest.approx(4.2484e-18, rel=1e-4)
    assert loss_slope(np.array([40.0]), one)[0] == pytest.approx(-4.2484e-18, rel=1e-4)
    assert binary_cross_entropy(np.array([800.0]), zero)[0] == 800.0


def test_a_logit_of_1000_loses_1000_or_nothing_and_warns_of_nothing() -> None:
    """I02: both signs, both labels, and infinity; warnings are errors here."""
    z = np.array([1000.0, -1000.0, np.inf, -np.inf])
    ones, zeros = np.ones(4), np.zeros(4)
    np.testing.assert_array_equal(sigmoid(z), [1, 0, 1, 0])
    np.testing.assert_array_equal(binary_cross_entropy(z, ones), [0, 1000, 0, np.inf])
    np.testing.assert_array_equal(binary_cross_entropy(z, zeros), [1000, 0, np.inf, 0])
    np.testing.assert_array_equal(loss_slope(z, ones), [0, -1, 0, -1])
    np.testing.assert_array_equal(loss_slope(z, zeros), [1, 0, 1, 0])
    np.testing.assert_array_equal(loss_curvature(z), [0, 0, 0, 0])


def test_a_logit_that_is_no_number_stays_none() -> None:
    z, y = np.array([np.nan, np.nan]), np.array([0.0, 1.0])
    for values in (sigmoid(z), binary_cross_entropy(z, y), loss_slope(z, y), loss_curvature(z)):
        assert np.isnan(values).all()


@pytest.mark.parametrize("function", [binary_cross_entropy, loss_slope])
def test_labels_of_shape_n_1_are_refused_by_name(
    function: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> None:
    with pytest.raises(ShapeError, match=r"^y must have shape \(3,\); got \(3, 1\)$"):
        function(np.zeros(3), np.zeros((3, 1)))


def naive_sigmoid(z: np.ndarray) -> np.ndarray:
    """The article's Eq. 3 as its cell 2 has it."""
    return 1 / (1 + np.exp(-z))


# Each is a form that is in use somewhere; style says which digits it loses.
WRONG_SIGMOIDS = {
    "twice the logit": lambda z: sigmoid(2 * z),
    "tanh form": lambda z: 0.5 * (1 + np.tanh(z / 2)),
    "a few units in the last place": lambda z: sigmoid(z) * (1 + 5 * EPS),
}
WRONG_LOSSES = {
    "logaddexp minus y z": lambda z, y: np.logaddexp(0, z) - y * z,
    "from probabilities": lambda z, y: (
        -np.log(np.where(y == 1, naive_sigmoid(z), 1 - naive_sigmoid(z)))
    ),
    "clipped probabilities": lambda z, y: (
        -np.log(np.clip(np.where(y == 1, naive_sigmoid(z), 1 - naive_sigmoid(z)), 1e-15, 1))
    ),
    "log(1 + exp)": lambda z, y: np.log(1 + np.exp(np.where(y == 1, -z, z))),
    "labels swapped": lambda z, y: binary_cross_entropy(z, 1 - y),
    "twice the logit": lambda z, y: binary_cross_entropy(2 * z, y),
    "in bits": lambda z, y: binary_cross_entropy(z, y) / np.log(2),
}
WRONG_SLOPES = {
    "sigmoid(z) - y": lambda z, y: sigmoid(z) - y,
    "sign": lambda z, y: -loss_slope(z, y),
    "one part in a million": lambda z, y: loss_slope(z, y) * (1 + 1e-6),
}


WRONG_CURVATURES = {
    "p (1 - p)": lambda z: sigmoid(z) * (1 - sigmoid(z)),
    "p": sigmoid,
    "one part in a million": lambda z: loss_curvature(z) * (1 + 1e-6),
}
CHECKS: list[tuple[Callable[..., None], dict[str, Callable[..., np.ndarray]]]] = [
    (assert_sigmoid, WRONG_SIGMOIDS),
    (assert_loss, WRONG_LOSSES),
    (assert_slope, WRONG_SLOPES),
    (assert_curvature, WRONG_CURVATURES),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    ("check", "wrong"),
    [
        pytest.param(check, wrong, id=f"{check.__name__}-{name}")
        for check, wrongs in CHECKS
        for name, wrong in wrongs.items()
    ],
)
def test_a_wrong_form_is_caught(
    check: Callable[..., None], wrong: Callable[..., np.ndarray]
) -> None:
    with pytest.raises(AssertionError):
        check(wrong)
