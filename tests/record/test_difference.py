"""Where two trainings part is known to the epoch, and to the bit."""

import itertools

import numpy as np
import pytest

from pipeline.record.difference import difference

N = 50
SERIES = ("objective", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy")


def training(**changes: np.ndarray) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    series = {name: rng.uniform(0.1, 1, N + 1) for name in SERIES}
    return {"theta": rng.normal(size=7), "epoch": np.arange(N + 1.0), **series} | changes


def test_the_same_bits_are_identical():
    found = difference(training(), training(), N)
    assert (found.identical, found.close) == (True, True)
    assert (found.bits, found.largest, found.epoch, found.where) == (0, 0.0, None, "")


@pytest.mark.parametrize(("name", "epoch"), [*itertools.product(SERIES, [0, 1, 17, N])])
def test_a_planted_difference_is_found_at_its_epoch(name, epoch):
    again = training()
    again[name][epoch:] *= 1 + 1e-9
    found = difference(training(), again, N)
    was, now = (float(arrays[name][epoch]) for arrays in (training(), again))
    assert (found.close, found.epoch, found.bits) == (False, epoch, N + 1 - epoch)
    assert found.where == f"{name}[{epoch}] is {now!r}, it was {was!r}"


@pytest.mark.parametrize("name", [*SERIES, "theta"])
def test_a_difference_in_the_last_bits_alone_is_close_and_not_identical(name):
    again = training()
    again[name][3] = np.nextafter(again[name][3], 2)
    found = difference(training(), again, N)
    assert (found.bits, found.identical, found.close, found.epoch) == (1, False, True, None)
    assert 0 < found.largest < 1e-15
    assert found.where.startswith(f"{name}[3] is ")


@pytest.mark.parametrize(("factor", "close"), [(1 + 0.9e-12, True), (1 + 1.1e-12, False)])
def test_the_tolerance_is_relative_where_values_are_large(factor, close):
    large = np.full(7, 3e5)
    assert difference(training(theta=large), training(theta=large * factor), N).close is close


def test_a_sign_of_zero_is_a_bit():
    found = difference(training(theta=np.array([0.0])), training(theta=np.array([-0.0])), N)
    assert (found.bits, found.largest, found.close) == (1, 0.0, True)
    assert found.where == "theta[0] is -0.0, it was 0.0"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_any_more_differs(value):
    again = training()
    again["objective"][9] = value
    found = difference(training(), again, N)
    assert (found.epoch, found.largest) == (9, np.inf)
    assert difference(again, again, N).identical


def test_the_earliest_of_several_is_named():
    again = training()
    for name, epoch in (("train_loss", 20), ("valid_loss", 5), ("theta", 0)):
        again[name][epoch] += 1
    found = difference(training(), again, N)
    assert found.epoch == 5
    assert found.where.startswith("valid_loss[5] is ")


def test_a_difference_beyond_the_tolerance_is_named_before_an_earlier_one_of_a_bit():
    again = training()
    again["objective"][2] = np.nextafter(again["objective"][2], 2)
    again["valid_loss"][30] += 1
    found = difference(training(), again, N)
    assert (found.epoch, found.bits) == (30, 2)


def test_weights_belong_to_the_epoch_that_was_kept():
    """With patience that is not the last one."""
    again = training()
    again["theta"][3] += 1e-3
    found = difference(training(), again, 31)
    assert found.epoch == 31
    assert found.where.startswith("theta[3] is ")


@pytest.mark.parametrize("order", [1, -1])
def test_a_training_that_ends_at_another_epoch_differs_from_there_on(order):
    whole = training()
    short = {name: a if name == "theta" else a[:41] for name, a in training().items()}
    found = difference(*[whole, short][::order], 40)
    assert (found.epoch, found.largest, found.bits) == (41, np.inf, 6 * 10)
    assert "missing" in found.where


def test_a_series_that_is_gone_or_new_differs_from_the_start():
    again = training()
    del again["valid_loss"]
    assert difference(training(), again, N).epoch == 0
    assert difference(again, training(), N).epoch == 0


def test_other_inputs_are_another_training():
    again = training(theta=np.append(training()["theta"], 0.0))
    found = difference(training(), again, N)
    assert (found.epoch, found.bits) == (N, 1)
    assert found.where == "theta[7] is 0.0, it was missing"
