"""Training keeps the right neuron, ends for the right reason, and gives equal bits."""

import numpy as np
import pytest

from nn import Examples, examine, logits, mean_loss, newton
from pipeline.config.train_settings import Adam, GradientDescent, Momentum, Newton, TrainSettings
from pipeline.errors import TrainingError
from pipeline.stages.train import Start, Trained, train, transform

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
        "epoch", "objective", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy",
    }  # fmt: skip
    assert trained.ended == "epochs"


def test_the_last_point_of_the_curve_is_the_loss_of_the_neuron_that_is_kept():
    trained = fitted(l2=0.01)
    expected = examine(trained.theta, TRAIN, 0.01)
    assert trained.curve["train_loss"][-1] == expected.loss
    assert trained.curve["objective"][-1] == expected.objective


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


def test_early_stopping_keeps_the_epoch_with_the_lowest_valid_loss():
    trained = overfitted(patience=20)
    losses = trained.curve["valid_loss"]
    assert trained.ended == "patience"
    assert trained.best_epoch == int(np.argmin(losses))
    assert len(losses) == trained.best_epoch + 20 + 1
    z = logits(trained.theta, VALID.X)
    assert mean_loss(z, VALID.y, VALID.count) == losses[trained.best_epoch]


def test_without_patience_the_last_neuron_is_kept_though_an_earlier_one_was_better():
    trained = overfitted()
    assert trained.best_epoch == 400
    assert np.argmin(trained.curve["valid_loss"]) < 400


def test_a_loss_that_overflows_ends_training_and_names_the_cure():
    """F06: the run fails at that epoch, and no infinity is kept."""
    wild = GradientDescent(name="gradient_descent", learning_rate=1e308)
    trained = fitted(optimiser=wild)
    assert trained.ended == "diverged"
    assert all(np.isfinite(column).all() for column in trained.curve.values())
    with pytest.raises(TrainingError, match=r"at epoch \d+: lower optimiser.learning_rate"):
        trained.require_finite(wild)
    fitted().require_finite(GENTLE)


def test_training_that_diverges_at_once_fails_and_names_the_penalty():
    wide = Examples(np.ones((2, 60)), np.array([0.0, 1.0]), np.ones(2))
    settings = TrainSettings(epochs=5, l2=1.7e308)
    trained = train(wide, None, ("x",) * 60, GENTLE, settings, 0)
    assert trained.ended == "diverged"
    assert not trained.rose
    assert all(not len(column) for column in trained.curve.values())
    with pytest.raises(TrainingError, match=r"at epoch 0: lower train.l2"):
        trained.require_finite(GENTLE)


def test_a_huge_but_finite_loss_is_reported_as_risen():
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


# --- optimisers ------------------------------------------------------------------------------

NEWTON = Newton(name="newton")


def test_every_optimiser_of_the_settings_is_the_one_of_nn():
    gradient = np.array([1.0, -2.0, 0.5])
    for settings, expected in (
        (GradientDescent(name="gradient_descent", learning_rate=0.3), -0.3 * gradient),
        (Momentum(name="momentum", learning_rate=0.3, decay=0.5), -0.3 * gradient),
        (Momentum(name="momentum", learning_rate=1.0, decay=0.5, nesterov=True), -1.5 * gradient),
        (Adam(name="adam", learning_rate=0.3, epsilon=1e-300), -0.3 * np.sign(gradient)),
    ):
        made = transform(settings)
        update, _ = made.update(gradient, made.init(gradient))
        assert update == pytest.approx(expected, rel=1e-12)


def test_newton_ends_at_the_optimum_whatever_the_seed():
    one, two = fitted(NEWTON, seed=0, l2=0.01), fitted(NEWTON, seed=1, l2=0.01)
    assert np.array_equal(one.theta, two.theta)
    assert one.ended == "optimum"
    assert len(one.curve["epoch"]) < 12
    best = newton(np.zeros(4), TRAIN, 0.01)
    assert one.curve["objective"][-1] == pytest.approx(best.objective, rel=1e-14)
    assert one.curve["valid_loss"][-1] == examine(one.theta, VALID).loss


def test_newton_from_another_optimum_finds_the_same_neuron_in_fewer_steps_and_says_where_it_began():
    cold = fitted(NEWTON, l2=0.01)
    start = Start("a" * 32, 0.012, fitted(NEWTON, l2=0.012).theta)
    settings = TrainSettings(epochs=100, l2=0.01)
    warm = train(TRAIN, VALID, cold.inputs, NEWTON, settings, 0, start=start)
    assert warm.theta.tobytes() == cold.theta.tobytes()
    assert (warm.start, cold.start) == (start, None)
    assert len(warm.curve["epoch"]) < len(cold.curve["epoch"])
    assert warm.curve["objective"][-1].hex() == cold.curve["objective"][-1].hex()


def test_newton_that_runs_out_of_epochs_has_not_arrived():
    trained = fitted(NEWTON, epochs=2)
    assert trained.ended == "epochs"
    assert trained.curve["epoch"].tolist() == [0, 1, 2]


def test_newton_stops_early_on_valid_rows_too():
    trained = fitted(NEWTON, patience=1)
    assert trained.ended in ("patience", "optimum")
    assert trained.best_epoch == int(np.argmin(trained.curve["valid_loss"]))
