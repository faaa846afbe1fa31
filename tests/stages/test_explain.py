"""The answer to the article's question does not depend on the random start."""

import itertools

import numpy as np
import pytest
from builders import make_data, make_table

from nn import Examples, hessian, logits, mean_loss, newton
from pipeline.config.schema import EncodeSettings, Momentum, TrainSettings
from pipeline.stages.encode import encode, fit_encoder
from pipeline.stages.explain import centring, explain, standard_errors
from pipeline.stages.importance import importance
from pipeline.stages.train import train

NUMERIC = {"kind": "numeric"}
FAST = Momentum(name="momentum", learning_rate=1.0, decay=0.98)


@pytest.fixture(scope="module")
def noisy():
    """300 rows of two words and a number; the classes overlap, so that an optimum exists."""
    rng = np.random.default_rng(2)
    a, b, x = rng.choice(list("pqr"), 300), rng.choice(list("uv"), 300), rng.normal(size=300)
    z = np.select([a == "p", a == "q"], [1.0, -1.0], 0.0) + 0.5 * x - 0.2
    y = (rng.random(300) < 1 / (1 + np.exp(-z))).astype(float)
    table = make_table({"a": a, "b": b, "x": x}, y)
    kinds = {"a": "categorical", "b": "categorical", "x": "numeric"}
    data = make_data({name: {"kind": kind} for name, kind in kinds.items()})
    encoder = fit_encoder(table, EncodeSettings(), data)
    return encoder, encode(encoder, table, "all")


def trained(noisy, seed, epochs=3000, l2=0.0):
    encoder, examples = noisy
    return train(examples, None, encoder.inputs, FAST, TrainSettings(epochs=epochs, l2=l2), seed)


@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_effects_do_not_depend_on_the_seed_once_training_has_converged(noisy, l2):
    encoder, examples = noisy
    runs = [
        explain(trained(noisy, seed, l2=l2).theta, encoder, examples, examples, l2)
        for seed in range(4)
    ]
    for other in runs[1:]:
        for one, two in zip(runs[0].effects, other.effects, strict=True):
            assert one.log_odds == pytest.approx(two.log_odds, abs=1e-7)
        assert runs[0].intercept == pytest.approx(other.intercept, abs=1e-7)
        assert [i.attribute for i in runs[0].ranking] == [i.attribute for i in other.ranking]


def test_raw_weights_do_depend_on_the_seed_which_is_why_they_are_centred(noisy):
    """Negative control: along the directions that are not identified the start stays for ever."""
    one, two = trained(noisy, 0).theta, trained(noisy, 1).theta
    assert np.abs(one - two).max() > 0.01


def test_effects_sum_to_zero_over_the_categories_and_leave_every_logit_as_it_was(noisy):
    encoder, examples = noisy
    theta = np.random.default_rng(0).normal(size=len(encoder.inputs) + 1)
    centred = centring(encoder) @ theta
    assert centred[:3].sum() == pytest.approx(0, abs=1e-12)
    assert centred[3:5].sum() == pytest.approx(0, abs=1e-12)
    assert logits(centred, examples.X) == pytest.approx(logits(theta, examples.X), abs=1e-12)


def test_standard_errors_are_those_of_a_model_without_the_redundant_inputs(noisy):
    """Oracle: effect coding has full rank, so its covariance is a plain inverse."""
    encoder, examples = noisy
    theta = trained(noisy, 0).theta
    centre = centring(encoder)
    information = hessian(theta, examples)
    got = standard_errors(centre, information, 300.0)
    # The last category of each attribute is minus the sum of the others.
    full = np.zeros((7, 5))
    full[[0, 1, 3, 5, 6], [0, 1, 2, 3, 4]] = 1
    full[2, :2] = full[4, 2] = -1
    covariance = full @ np.linalg.inv(full.T @ information @ full) @ full.T / 300
    assert got == pytest.approx(np.sqrt(np.diag(covariance)), rel=1e-8)


def test_an_effect_that_the_data_do_not_bound_has_no_standard_error():
    """A category without a row: without a penalty, nothing is known of it."""
    table = make_table({"a": ["p", "q"] * 20}, [0, 1, 1, 0] * 10)
    data = make_data({"a": {"kind": "categorical", "categories": ["p", "q", "r"]}})
    encoder = fit_encoder(table, EncodeSettings(), data)
    examples = encode(encoder, table, "all")
    theta = np.zeros(4)
    free = explain(theta, encoder, examples, examples, 0.0).effects
    assert [effect.standard_error for effect in free] == [None, None, None]
    held = explain(theta, encoder, examples, examples, 0.01).effects
    assert all(effect.standard_error for effect in held)


def test_about_95_percent_of_the_intervals_hold_the_truth():
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(200):
        x = rng.normal(size=400)
        y = (rng.random(400) < 1 / (1 + np.exp(-0.8 * x))).astype(float)
        rows = Examples(x[:, None], y, np.ones(400))
        theta = newton(np.zeros(2), rows).theta
        (error, _) = standard_errors(np.eye(2), hessian(theta, rows), 400.0)
        held += abs(theta[0] - 0.8) <= 1.96 * error
    assert 0.90 <= held / 200 <= 0.99  # three standard errors of 200 draws are 4.6 points


def test_the_ranking_is_the_mean_over_all_permutations(noisy):
    """Oracle: on six rows, all 720 permutations of the attribute, one by one."""
    encoder, examples = noisy
    few = Examples(*(array[:6] for array in examples))
    theta = trained(noisy, 0).theta
    got = {item.attribute: item.loss_rise for item in importance(theta, encoder, few)}
    columns = dict(zip("abx", encoder.slices(), strict=True))
    base = mean_loss(logits(theta, few.X), few.y, few.count)
    for name, place in columns.items():
        losses = []
        for order in itertools.permutations(range(6)):
            X = few.X.copy()
            X[:, place] = few.X[list(order), place]
            losses.append(mean_loss(logits(theta, X), few.y, few.count))
        assert got[name] == pytest.approx(np.mean(losses) - base, abs=1e-12)


def test_an_attribute_that_does_nothing_ranks_last_with_no_rise(noisy):
    encoder, examples = noisy
    theta = np.array([1.0, -1.0, 0.0, 0.3, 0.3, 0.5, 0.0])  # b: the same for u and v
    ranking = importance(theta, encoder, examples)
    assert ranking[-1].attribute == "b"
    assert ranking[-1].loss_rise == pytest.approx(0, abs=1e-12)


def test_an_attribute_of_one_category_has_no_effect_and_no_interval():
    """Its contrast is zero: 0 / 0 without care, and warnings are errors here."""
    table = make_table({"a": ["p"] * 40, "x": np.linspace(-1, 1, 40)}, [0, 1, 1, 0] * 10)
    data = make_data({"a": {"kind": "categorical"}, "x": NUMERIC})
    encoder = fit_encoder(table, EncodeSettings(), data)
    rows = encode(encoder, table, "all")
    for l2 in (0.0, 0.1):
        found = explain(np.array([0.7, 0.2, -0.1]), encoder, rows, rows, l2)
        only, number = found.effects
        assert (only.log_odds, only.odds_ratio) == (0.0, 1.0)
        assert (only.standard_error, only.low, only.high) == (None, None, None)
        assert number.standard_error > 0
        assert {i.attribute: i.loss_rise for i in found.ranking}["a"] == pytest.approx(0, abs=1e-14)


def test_the_cars_are_decided_by_safety_and_seats(cars, car_data):
    encoder = fit_encoder(cars, EncodeSettings(), car_data)
    examples = encode(encoder, cars, "all")
    settings = TrainSettings(epochs=1000, l2=1e-4)
    theta = train(examples, None, encoder.inputs, FAST, settings, 0).theta
    ranking = [item.attribute for item in importance(theta, encoder, examples)]
    assert ranking == ["safety", "persons", "buying", "maint", "lug_boot", "doors"]
