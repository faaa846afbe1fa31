"""The notebook's 100 %: an accident of shapes, reproduced in a few rows and refused by nn."""

import numpy as np
import pytest

from nn import (
    Epoch,
    Examples,
    ShapeError,
    fit,
    gradient,
    gradient_descent,
    initial_theta,
    predict_proba,
)

# Two inputs, one-hot, and their exclusive or: one neuron gets at most three of four rows right.
XOR = Examples(
    np.array([[1.0, 0, 1, 0], [1, 0, 0, 1], [0, 1, 1, 0], [0, 1, 0, 1]]),
    np.array([0.0, 1, 1, 0]),
    np.ones(4),
)


def recipe(rows: Examples, theta: np.ndarray, epochs: int = 500) -> list[Epoch]:
    return list(fit(theta, rows, gradient_descent(0.1), epochs))


def accident(rows: Examples, epochs: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, float]:
    """Weights, probabilities and accuracy as the notebook has them: outputs (n, 1), labels (n,)."""
    n, d = rows.X.shape
    W, b = np.random.default_rng(seed).uniform(-0.5, 0.5, (d, 1)), 0.0
    for _ in range(epochs):
        p = 1 / (1 + np.exp(-(rows.X @ W + b)))
        dZ = p - rows.y
        W = W - 0.1 * (rows.X.T @ dZ) / n
        b = b - 0.1 * dZ / n
    decisions = p[0] >= 0.5  # the answers of n neurons to the first row
    return W, p, float(np.mean(decisions == rows.y))


def test_the_notebooks_100_percent_is_an_accident_of_shapes() -> None:
    W, p, claimed = accident(XOR, 500)
    assert p.shape == (4, 4)
    assert W.shape == (4, 4)
    assert claimed == 1.0
    # Each neuron was shown one label for every row, and answers every row with it.
    np.testing.assert_array_equal(p >= 0.5, np.tile(XOR.y == 1, (4, 1)))
    # Neurons of equal labels are one neuron: there are two in all.
    assert len(np.unique(W.round(12), axis=1).T) == 2
    # What one neuron can do, whatever its weights:
    best = max(epoch.train_accuracy for epoch in recipe(XOR, initial_theta(4, _seeded())))
    assert best <= 0.75


def test_the_accident_claims_as_much_for_labels_that_are_noise(cars: Examples) -> None:
    rng = np.random.default_rng(1)
    chosen = rng.choice(1728, 60, replace=False)
    noise = Examples(cars.X[chosen], rng.integers(0, 2, 60).astype(np.float64), np.ones(60))
    assert accident(noise, 500)[2] == 1.0
    assert recipe(noise, initial_theta(21, rng))[-1].train_accuracy < 0.9


def test_shapes_refuse_the_accident() -> None:
    theta = initial_theta(4, _seeded())
    column = XOR._replace(y=XOR.y[:, None])
    with pytest.raises(ShapeError, match=r"^y must have shape \(4,\); got \(4, 1\)$"):
        recipe(column, theta)
    with pytest.raises(ShapeError, match=r"^theta must have shape \(5,\); got \(5, 1\)$"):
        recipe(XOR, theta[:, None])
    assert predict_proba(theta, XOR.X).shape == XOR.y.shape


def test_the_bias_of_cell_4_becomes_one_number_a_row_and_fits_no_new_row() -> None:
    p = np.full((4, 1), 0.5)
    db = (p - XOR.y[:, None]) / 4
    assert db.shape == (4, 1)
    new_rows = np.ones((3, 4))
    with pytest.raises(ValueError, match="broadcast"):
        np.add(new_rows @ np.zeros((4, 1)), 0.0 - 0.1 * db)
    slope = gradient(np.zeros(5), XOR)
    assert slope[-1] == db.sum() == 0.0  # summed, it is one number: half of the labels are 1


def test_the_transpose_in_cell_4_fits_no_column_of_errors() -> None:
    dZ = np.full((4, 1), 0.5) - XOR.y[:, None]
    with pytest.raises(ValueError, match="not aligned"):
        np.dot(XOR.X.T, dZ.T)
    slope = gradient(np.zeros(5), XOR)
    np.testing.assert_array_equal(slope[:-1], np.dot(XOR.X.T, dZ).ravel() / 4)


def _seeded() -> np.random.Generator:
    return np.random.default_rng(0)
