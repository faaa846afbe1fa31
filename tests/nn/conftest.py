"""Tables for the tests of nn: the cars, one-hot by plain NumPy, and a noisy one."""

import numpy as np
import pytest
from builders import one_hot_cars

from nn import Examples


@pytest.fixture(scope="session")
def cars() -> Examples:
    """All 1,728 cars, one-hot (1728, 21), without any code of nn."""
    return one_hot_cars()


@pytest.fixture
def noisy() -> Examples:
    """40 rows of 5 numbers with overlapping classes and counts from 0 to 4."""
    rng = np.random.default_rng(7)
    X = rng.normal(size=(40, 5)) * np.array([1.0, 0.3, 2.0, 1.0, 1.0])
    y = (X @ np.array([1.0, -2.0, 0.5, 0.0, 0.3]) + rng.logistic(size=40) > 0.2).astype(np.float64)
    return Examples(X, y, rng.integers(0, 5, 40).astype(np.float64))


@pytest.fixture
def theta() -> np.ndarray:
    """Parameters for the inputs of ``noisy``."""
    return np.random.default_rng(3).normal(size=6)
