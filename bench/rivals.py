"""The article's recipe, written as the article and a plain NumPy script would write it."""

import numpy as np
from scipy.special import xlogy

from nn import Epoch, Examples, fit, gradient_descent, initial_theta
from nn.arrays import Array
from pipeline.stages.read import car

LEARNING_RATE = 0.1


def cars(n: int = 1728) -> Examples:
    """Cars chosen at random, one-hot (n, 21)."""
    columns = [np.array(column) for column in zip(*car.rows(), strict=True)]
    one_hot = [
        (column[:, None] == np.array(values)).astype(np.float64)
        for column, values in zip(columns, car.ATTRIBUTES.values(), strict=False)
    ]
    y = (columns[-1] != "unacc").astype(np.float64)
    chosen = np.sort(np.random.default_rng(0).permutation(len(y))[:n])
    return Examples(np.hstack(one_hot)[chosen], y[chosen], np.ones(n))


def numbers(n: int = 200_000, d: int = 20) -> Examples:
    """Numbers of mean 0 and deviation 1, and classes that overlap."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, d))
    z = X @ rng.normal(size=d) * 0.6
    return Examples(X, (z + rng.logistic(size=n) > 0).astype(np.float64), np.ones(n))


def start(rows: Examples) -> Array:
    """Where every rival starts."""
    return initial_theta(rows.X.shape[1], np.random.default_rng(0))


def by_nn(rows: Examples, epochs: int) -> list[Epoch]:
    """The neuron and its curve, by nn."""
    return list(fit(start(rows), rows, gradient_descent(LEARNING_RATE), epochs))


def plain_numpy(rows: Examples, epochs: int) -> list[tuple[float, float]]:
    """The same curve, loss and accuracy, by the fewest NumPy calls; digits are lost on the way."""
    (X, y, _), theta = rows, start(rows)
    w, b, n, curve = theta[:-1], theta[-1], len(y), []
    for epoch in range(epochs + 1):
        z = X @ w + b
        p = 1 / (1 + np.exp(-z))
        loss = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
        curve.append((float(loss), float(np.mean((z >= 0) == (y == 1)))))
        if epoch < epochs:
            error = (p - y) / n
            w = w - LEARNING_RATE * (X.T @ error)
            b = b - LEARNING_RATE * error.sum()
    return curve


def the_articles_loop(rows: Examples, epochs: int) -> tuple[Array, float]:
    """The loop in the comments of cell 1, over every row and weight, and Step 7 in the same way."""
    (x, y, _), theta = rows, start(rows)
    W, b, (n, d) = theta[:-1, None].copy(), theta[-1], x.shape
    for _ in range(epochs):
        dW, db = np.zeros_like(W), 0.0
        for i in range(n):
            z = 0.0
            for j in range(d):
                z += W[j, 0] * x[i, j]
            z += b
            error = 1 / (1 + np.exp(-z)) - y[i]
            for j in range(d):
                dW[j, 0] += x[i, j] * error
            db += error
        W, b = W - LEARNING_RATE * dW / n, b - LEARNING_RATE * db / n
    return W, b


def the_notebooks_accident(rows: Examples, epochs: int) -> Array:
    """Outputs (n, 1) less labels (n,): n neurons with n biases each, as the notebook trains them.

    It starts from the shapes that the notebook has from its second epoch on.
    """
    (x, y, _), theta = rows, start(rows)
    n = len(y)
    W, b = np.tile(theta[:-1, None], n), np.zeros((n, n))
    for _ in range(epochs):
        p = 1 / (1 + np.exp(-(x @ W + b)))
        _ = -1 / n * (xlogy(y, p) + xlogy(1 - y, 1 - p))
        dZ = p - y
        W, b = W - LEARNING_RATE * (x.T @ dZ) / n, b - LEARNING_RATE * dZ / n
    return W
