"""Classes that count as much in training, and probabilities that are right all the same."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from nn import Examples, newton, predict_proba
from pipeline.stages.balance import balance


def rare(n: int = 4000, seed: int = 0) -> Examples:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = (X[:, 0] - 3.5 + rng.logistic(size=n) > 0).astype(float)
    return Examples(X, y, rng.integers(1, 4, n).astype(float))


def test_each_class_has_half_of_the_counts_and_their_sum_stays():
    rows = rare()
    found = balance(rows, "balanced").rows
    assert found.count.sum() == pytest.approx(rows.count.sum())
    assert found.count @ found.y == pytest.approx(rows.count.sum() / 2)
    assert balance(rows, None).rows is rows


def test_the_optimum_is_scikit_learns_of_balanced_classes():
    rows, l2 = rare(), 0.01
    balanced = balance(rows, "balanced")
    theta = newton(np.zeros(4), balanced.rows, l2).theta
    n = rows.count.sum()
    long = np.repeat(np.arange(len(rows.y)), rows.count.astype(int))
    model = LogisticRegression(C=1 / (n * l2), class_weight="balanced", tol=1e-10)
    model.fit(rows.X[long], rows.y[long])
    assert theta == pytest.approx([*model.coef_[0], *model.intercept_], abs=1e-6)


def test_probabilities_are_those_of_the_rows_as_they_were():
    """The negative control is the neuron that is not corrected."""
    rows, others = rare(seed=0), rare(40_000, seed=1)
    balanced = balance(rows, "balanced")
    theta = newton(np.zeros(4), balanced.rows, 1e-4).theta
    share = np.average(others.y, weights=others.count)
    for parameters, near in ((balanced.correct(theta), True), (theta, False)):
        mean = np.average(predict_proba(parameters, others.X), weights=others.count)
        assert (abs(mean - share) < 0.1 * share) == near


def test_what_was_balanced_already_is_not_corrected():
    rows = Examples(np.zeros((4, 1)), np.array([0.0, 1, 1, 0]), np.ones(4))
    assert balance(rows, "balanced").shift == 0
