"""Random problems for one neuron, none of them easy in the same way, and their cost by SciPy."""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_expit

from nn import Examples
from pipeline import car


def objective(theta: np.ndarray, rows: Examples, l2: float) -> float:
    """The cost in nats per row by SciPy, with nothing of ours in it."""
    z = rows.X @ theta[:-1] + theta[-1]
    costs = np.where(rows.y == 1, -log_expit(z), -log_expit(-z))
    return float(np.average(costs, weights=rows.weight) + l2 / 2 * np.sum(theta[:-1] ** 2))


def one_hot_cars() -> Examples:
    """All 1,728 cars, one-hot (1728, 21), without any code of ours but the table's."""
    columns = [np.array(column) for column in zip(*car.rows(), strict=True)]
    one_hot = [
        (column[:, None] == np.array(values)).astype(np.float64)
        for column, values in zip(columns, car.ATTRIBUTES.values(), strict=False)
    ]
    y = (columns[-1] != "unacc").astype(np.float64)
    return Examples(np.hstack(one_hot), y, np.ones(len(y)))


@dataclass(frozen=True)
class Problem:
    """Rows, a penalty and a start; ``str`` says which."""

    number: int
    kind: str
    examples: Examples
    l2: float
    start: np.ndarray

    def __str__(self) -> str:
        n, d = self.examples.X.shape
        return f"{self.number}-{self.kind}-{n}x{d}-l2={self.l2:.0e}"


def problem(number: int) -> Problem:
    """Numbers of several scales, one-hot columns with a bias, or both; counts; both classes."""
    rng = np.random.default_rng(number)
    kind = ("numbers", "one-hot", "mixed")[number % 3]
    n = int(rng.integers(8, 120))
    blocks = []
    if kind != "one-hot":
        d = int(rng.integers(1, 6))
        blocks.append(rng.normal(size=(n, d)) * 10 ** rng.uniform(-1, 1, d) + rng.normal(size=d))
    if kind != "numbers":
        blocks += [np.eye(k)[rng.integers(0, k, n)] for k in rng.integers(2, 5, rng.integers(1, 4))]
    X = np.hstack(blocks)
    strength = 10 ** rng.uniform(-1, 1.3)  # of the highest, most problems separate without l2
    z = strength * X @ rng.normal(size=X.shape[1]) / np.sqrt(X.shape[1])
    y = (z - np.median(z) + rng.logistic(size=n) > 0).astype(np.float64)
    y[:2] = 0.0, 1.0
    weight = rng.integers(1, 6, n).astype(np.float64)
    l2 = float(10 ** rng.uniform(-5, 0))
    start = rng.uniform(-0.5, 0.5, X.shape[1] + 1)
    return Problem(number, kind, Examples(X, y, weight), l2, start)


PROBLEMS = [problem(number) for number in range(200)]
