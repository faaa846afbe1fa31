"""The answer to the article's question does not depend on the random start."""

import itertools

import numpy as np
import pytest
from builders import make_data, make_table

from nn import Examples, logits, mean_loss
from pipeline.config.schema import EncodeSettings
from pipeline.config.train_settings import Momentum, TrainSettings
from pipeline.stages.encode import encode, fit_encoder
from pipeline.stages.explain import explain
from pipeline.stages.importance import importance
from pipeline.stages.infer import centring, infer
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
    found = infer(examples, encoder)
    runs = [
        explain(trained(noisy, seed, l2=l2).theta, encoder, found, examples) for seed in range(4)
    ]
    for other in runs[1:]:
        for one, two in zip(runs[0].effects, other.effects, strict=True):
            assert one.weight == pytest.approx(two.weight, abs=1e-7)
        assert runs[0].intercept == pytest.approx(other.intercept, abs=1e-7)
        assert [i.attribute for i in runs[0].ranking] == [i.attribute for i in other.ranking]


def test_raw_weights_do_depend_on_the_seed_which_is_why_they_are_centred(noisy):
    """Negative control: along the directions that are not identified the start stays for ever."""
    one, two = trained(noisy, 0).theta, trained(noisy, 1).theta
    assert np.abs(one - two).max() > 0.01


def test_effects_sum_to_zero_over_the_categories_and_leave_every_logit_as_it_was(noisy):
    encoder, examples = noisy
    theta = np.random.default_rng(0).normal(size=len(encoder.inputs) + 1)
    centred = centring(encoder, np.full(6, True)) @ theta
    assert centred[:3].sum() == pytest.approx(0, abs=1e-12)
    assert centred[3:5].sum() == pytest.approx(0, abs=1e-12)
    assert logits(centred, examples.X) == pytest.approx(logits(theta, examples.X), abs=1e-12)


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


def test_the_cars_are_decided_by_safety_and_seats(cars, car_data):
    encoder = fit_encoder(cars, EncodeSettings(), car_data)
    examples = encode(encoder, cars, "all")
    settings = TrainSettings(epochs=1000, l2=1e-4)
    theta = train(examples, None, encoder.inputs, FAST, settings, 0).theta
    ranking = [item.attribute for item in importance(theta, encoder, examples)]
    assert ranking == ["safety", "persons", "buying", "maint", "lug_boot", "doors"]
