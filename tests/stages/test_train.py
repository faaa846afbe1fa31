"""Training keeps the right neuron, ends for the right reason, and gives equal bits."""

import numpy as np
import pytest

from nn import Examples, logits, loss_and_gradient, mean_loss
from pipeline.config import GradientDescent, Momentum, TrainSettings
from pipeline.errors import TrainingError
from pipeline.stages.train import Trained, train

GENTLE = GradientDescent(name="gradient_descent", learning_rate=0.5)
INPUTS = ("a", "b", "c")


def make_examples(n: int, seed: int) -> Examples:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = (X @ np.array([2.0, -1.0, 0.0]) + rng.logistic(size=n) > 0).astype(float)
    return Examples(X, y, np.ones(n))


TRAIN, VALID = make_examples(60, 0), make_examples(40, 1)


def fitted(optimiser=GENTLE, valid=VALID, seed=0, watch=lambda _: False, **settings) -> Trained:
    parsed = TrainSettings.parse({"epochs": 50, **settings})
    return train(TRAIN, valid, INPUTS, optimiser, parsed, seed, watch)


def test_the_curve_holds_every_epoch_from_before_the_first():
    trained = fitted()
    assert trained.curve["epoch"].tolist() == list(range(51))
    assert set(trained.curve) == {
        "epoch", "objective", "train_cost", "train_accuracy", "valid_cost", "valid_accuracy",
    }  # fmt: skip
    assert trained.ended == "epochs"


def test_the_last_point_of_the_curve_is_the_cost_of_the_neuron_that_is_kept():
    trained = fitted(l2=0.01)
    expected = mean_loss(logits(trained.theta, TRAIN.X), TRAIN.y, TRAIN.weight)
    assert trained.curve["train_cost"][-1] == expected
    assert trained.curve["objective"][-1] == loss_and_gradient(trained.theta, *TRAIN, 0.01)[0]


def test_without_valid_rows_the_curve_has_no_valid_columns():
    assert not any(name.startswith("valid") for name in fitted(valid=None).curve)


def test_equal_seeds_give_equal_bits_and_other_seeds_do_not():
    assert np.array_equal(fitted(seed=3).theta, fitted(seed=3).theta)
    assert not np.array_equal(fitted(seed=3).theta, fitted(seed=4).theta)


def test_minibatches_are_drawn_from_the_seed():
    once, again = fitted(seed=3, batch_size=7), fitted(seed=3, batch_size=7)
    assert np.array_equal(once.theta, again.theta)
    assert not np.array_equal(once.theta, fitted(seed=3).theta)


def overfitted(**settings) -> Trained:
    fast = Momentum(name="momentum", learning_rate=1.0, decay=0.9)
    few = Examples(*(array[:8] for array in TRAIN))
    parsed = TrainSettings.parse({"epochs": 400, **settings})
    return train(few, VALID, INPUTS, fast, parsed, 0)


def test_early_stopping_keeps_the_epoch_with_the_lowest_valid_cost():
    trained = overfitted(patience=20)
    cost = trained.curve["valid_cost"]
    assert trained.ended == "patience"
    assert trained.best_epoch == int(np.argmin(cost))
    assert len(cost) == trained.best_epoch + 20 + 1
    z = logits(trained.theta, VALID.X)
    assert mean_loss(z, VALID.y, VALID.weight) == cost[trained.best_epoch]


def test_without_patience_the_last_neuron_is_kept_though_an_earlier_one_was_better():
    trained = overfitted()
    assert trained.best_epoch == 400
    assert np.argmin(trained.curve["valid_cost"]) < 400


def test_a_cost_that_overflows_ends_training_and_names_the_cure():
    """F06: the run fails at that epoch, and no infinity is kept."""
    wild = GradientDescent(name="gradient_descent", learning_rate=1e308)
    trained = fitted(optimiser=wild)
    assert trained.ended == "diverged"
    assert all(np.isfinite(column).all() for column in trained.curve.values())
    with pytest.raises(TrainingError, match=r"at epoch \d+: lower optimiser.learning_rate"):
        trained.require(wild)


def test_a_huge_but_finite_cost_is_reported_as_risen():
    trained = fitted(optimiser=GradientDescent(name="gradient_descent", learning_rate=1e6))
    assert trained.ended == "epochs"
    assert trained.rose
    assert not fitted().rose


def test_training_can_be_stopped_and_keeps_what_it_has_learned():
    trained = fitted(watch=lambda epoch: epoch.number == 7)
    assert trained.ended == "stopped"
    assert trained.curve["epoch"][-1] == trained.best_epoch == 7
    assert np.array_equal(trained.theta, fitted(epochs=7).theta)


def test_the_path_is_kept_where_it_is_asked_for_and_changes_nothing():
    with_path, without = fitted(epochs=9, keep_path=True), fitted(epochs=9)
    assert without.path is None
    assert with_path.path.shape == (10, len(without.theta))
    assert np.array_equal(with_path.path[-1], without.theta)
    assert np.array_equal(with_path.path[4], fitted(epochs=4).theta)
