"""The strength of the penalty that the training rows call for."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from nn import Examples, mean_loss, newton, row_logits
from pipeline.config.schema import Newton, TrainSettings
from pipeline.stages.penalty import auto_l2
from pipeline.stages.train import train

NEWTON = Newton(name="newton")
LOGISTIC_VARIANCE = np.random.default_rng(0).logistic(size=1_000_000).var()


def rows(n, d, rng, *, signal=0.0):
    X = rng.normal(size=(n, d)) * rng.uniform(0.1, 5, d) + rng.normal(size=d)
    y = (signal * X[:, 0] + rng.logistic(size=n) > 0).astype(float)
    return Examples(X, y, rng.integers(1, 4, n).astype(float))


@pytest.mark.parametrize("d", [1, 7, 60])
def test_before_any_row_is_seen_logits_vary_as_the_logistic_distribution_however_many_inputs(d):
    rng = np.random.default_rng(d)
    examples = rows(200, d, rng)
    X = np.repeat(examples.X, examples.count.astype(int), axis=0)
    weights = rng.normal(0, 1 / np.sqrt(len(X) * auto_l2(examples)), (d, 20_000))
    logits = (X - X.mean(axis=0)) @ weights
    assert logits.var() == pytest.approx(LOGISTIC_VARIANCE, rel=0.1)  # two digits, and chance


def test_the_penalty_falls_with_the_number_of_rows_and_counts_are_rows():
    examples = rows(100, 5, np.random.default_rng(0))
    many = examples._replace(count=examples.count * 1000)
    assert auto_l2(many) == pytest.approx(auto_l2(examples) / 1000, rel=1e-12)
    written = Examples(*(np.repeat(a, examples.count.astype(int), axis=0) for a in examples))
    assert auto_l2(written._replace(count=np.ones(len(written.y)))) == auto_l2(examples)


def test_inputs_that_do_not_vary_need_no_penalty():
    assert auto_l2(Examples(np.ones((4, 2)), np.array([0.0, 1, 1, 0]), np.ones(4))) == 0


def test_the_number_that_is_shown_gives_the_same_bits():
    examples = rows(50, 60, np.random.default_rng(1))
    chosen = train(examples, None, ("x",) * 60, NEWTON, TrainSettings(epochs=50, l2="auto"), 0)
    shown = float(f"{chosen.l2:g}")
    given = train(examples, None, ("x",) * 60, NEWTON, TrainSettings(epochs=50, l2=shown), 0)
    assert given.theta.tobytes() == chosen.theta.tobytes()


def test_sixty_inputs_of_noise_do_little_harm_and_less_than_scikit_learns_default():
    """80 rows; the baseline is half. The negative control is C = 1."""
    harm, harm_of_c1 = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        X, y = rng.normal(size=(2080, 60)), rng.integers(0, 2, 2080).astype(float)
        some, others = (
            Examples(X[s], y[s], np.ones(len(y[s]))) for s in (slice(80), slice(80, None))
        )
        theta = newton(np.zeros(61), some, auto_l2(some)).theta
        harm.append(mean_loss(row_logits(theta, others.X), others.y, others.count) - np.log(2))
        z = LogisticRegression().fit(some.X, some.y).decision_function(others.X)
        harm_of_c1.append(mean_loss(z, others.y, others.count) - np.log(2))
    assert np.mean(harm) < 0.15
    assert np.mean(harm_of_c1) > 0.5
