"""How long it takes to come as close to the best possible cost as scikit-learn does."""

import warnings
from collections.abc import Callable
from itertools import islice

import numpy as np

from bench.clock import Times, side_by_side
from bench.rivals import start
from nn import Examples, fit, loss_and_gradient, momentum
from nn.arrays import Array
from nn.newton import newton

L2 = 1e-4  # conf/train/default.yaml
LEARNING_RATE, DECAY = 1.0, 0.98  # conf/optimiser/momentum.yaml


def race(rows: Examples, gap: float, rounds: int) -> tuple[Times, dict[str, int]]:
    """Times to an objective within ``gap`` nats per row of the best, and the steps that it takes.

    Each rival is first asked for the fewest steps that it needs, then timed with so many.
    """
    goal = best_objective(rows) + gap
    steps = {
        "nn, momentum": _our_epochs(rows, goal),
        "scikit-learn, lbfgs": _fewest(lambda k: scikit_learns(rows, k), rows, goal),
    }
    rivals = {
        "nn, momentum": lambda: _run(rows, steps["nn, momentum"]),
        "scikit-learn, lbfgs": lambda: scikit_learns(rows, steps["scikit-learn, lbfgs"]),
    }
    return side_by_side(rivals, rounds), steps


def best_objective(rows: Examples) -> float:
    """The lowest objective there is, by Newton's method; in nats per row."""
    return newton(np.zeros(rows.X.shape[1] + 1), rows, L2).objective


def scikit_learns(rows: Examples, max_iter: int) -> Array:
    """Parameters after ``max_iter`` steps of LogisticRegression with the same penalty."""
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it has not converged is what is asked for
        model = LogisticRegression(C=1 / (L2 * rows.weight.sum()), tol=1e-14, max_iter=max_iter)
        model.fit(rows.X, rows.y)
    return np.append(model.coef_[0], model.intercept_[0])


def _run(rows: Examples, epochs: int) -> None:
    optimiser = momentum(LEARNING_RATE, DECAY)
    for _ in fit(start(rows), rows, optimiser, epochs, l2=L2):
        pass


def _our_epochs(rows: Examples, goal: float) -> int:
    epochs = fit(start(rows), rows, momentum(LEARNING_RATE, DECAY), 100_000, l2=L2)
    return next(epoch.number for epoch in islice(epochs, 100_000) if epoch.objective <= goal)


def _fewest(train: Callable[[int], Array], rows: Examples, goal: float) -> int:
    k = 1
    while loss_and_gradient(train(k), *rows, L2)[0] > goal:
        k += 1
    return k
