"""Where two trainings part is told to the epoch, and to the bit."""

import itertools

import numpy as np
import pytest

from pipeline.reproduction.difference import difference

N = 50
SERIES = ("objective", "train_cost", "train_accuracy", "valid_cost", "valid_accuracy")


def training(seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    series = {name: rng.uniform(0.1, 1, N + 1) for name in SERIES}
    return {"theta": rng.normal(size=7), "epoch": np.arange(N + 1.0), **series}


def test_the_same_bits_are_identical():
    found = difference(training(), training(), N)
    assert found.identical
    assert found.close
    assert (found.bits, found.largest, found.epoch) == (0, 0.0, None)


@pytest.mark.parametrize(("name", "epoch"), [*itertools.product(SERIES, [0, 1, 17, N])])
def test_a_planted_difference_is_found_at_its_epoch(name, epoch):
    again = training()
    again[name][epoch:] *= 1 + 1e-9
    found = difference(training(), again, N)
    assert not found.close
    assert found.epoch == epoch
    assert found.told.startswith(f"{name} is ")
    assert repr(float(training()[name][epoch])) in found.told
    assert found.bits == N + 1 - epoch


@pytest.mark.parametrize("name", SERIES)
def test_a_difference_in_the_last_bits_alone_is_close_and_not_identical(name):
    again = training()
    again[name][13] = np.nextafter(again[name][13], 2)
    found = difference(training(), again, N)
    assert (found.bits, found.identical, found.close) == (1, False, True)
    assert 0 < found.largest < 1e-15


@pytest.mark.parametrize(("factor", "close"), [(1 + 0.9e-12, True), (1 + 1.1e-12, False)])
def test_the_tolerance_is_relative_where_values_are_large(factor, close):
    was = training()
    was["theta"] = np.full(7, 3e5)
    again = {**was, "theta": was["theta"] * factor}
    assert difference(was, again, N).close is close


def test_a_sign_of_zero_is_a_bit():
    was = training()
    was["theta"][2] = 0.0
    again = {**was, "theta": was["theta"].copy()}
    again["theta"][2] = -0.0
    found = difference(was, again, N)
    assert (found.bits, found.close) == (1, True)


@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_what_is_not_finite_any_more_differs(odd):
    again = training()
    again["objective"][9] = odd
    found = difference(training(), again, N)
    assert (found.epoch, found.largest) == (9, np.inf)


def test_the_earliest_of_several_is_told():
    again = training()
    again["train_cost"][20] += 1
    again["valid_cost"][5] += 1
    again["theta"][0] += 1
    found = difference(training(), again, N)
    assert found.epoch == 5
    assert found.told.startswith("valid_cost is ")


def test_weights_belong_to_the_epoch_that_was_kept():
    """With patience that is not the last one."""
    again = training()
    again["theta"][3] += 1e-3
    found = difference(training(), again, 31)
    assert found.epoch == 31
    assert found.told.startswith("theta[3] is ")


@pytest.mark.parametrize("shorter", [0, 1])
def test_a_training_that_ends_at_another_epoch_differs_from_there_on(shorter):
    both = [training(), {name: a if name == "theta" else a[:41] for name, a in training().items()}]
    found = difference(both[shorter], both[1 - shorter], 40)
    assert found.epoch == 41
    assert found.largest == np.inf
    assert "missing" in found.told


def test_a_series_that_is_gone_differs_from_the_start():
    again = training()
    del again["valid_cost"]
    assert difference(training(), again, N).epoch == 0


def test_other_inputs_are_another_training():
    again = training()
    again["theta"] = np.append(again["theta"], 0.0)
    found = difference(training(), again, N)
    assert found.epoch == N
    assert "theta[7] is 0.0, it was missing" in found.told
