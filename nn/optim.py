"""Optimisers as pairs of pure functions.

The form is optax's: a ``Transform`` turns gradients into updates, ``init`` makes its state from the
parameters, ``update`` returns the new update and the new state. An update is *added* to the
parameters; the minus of Step 7 of the article is in the learning rate.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from nn.arrays import Array


class Transform(NamedTuple):
    """``init(theta) -> state`` and ``update(gradient, state) -> (update, state)``."""

    init: Callable[[Array], Any]
    update: Callable[[Array, Any], tuple[Array, Any]]


def gradient_descent(learning_rate: float) -> Transform:
    """Return the update ``-learning_rate * gradient``: Step 7 of the article (its code has 0.1)."""
    return Transform(lambda _: (), lambda gradient, state: (-learning_rate * gradient, state))


def momentum(learning_rate: float, decay: float = 0.9, nesterov: bool = False) -> Transform:
    """Return gradient descent along a decaying sum of the gradients.

    Heavy ball (Polyak 1964), or Nesterov's variant in the form of Sutskever et al. 2013.
    """

    def update(gradient: Array, trace: Array) -> tuple[Array, Array]:
        trace = gradient + decay * trace
        return -learning_rate * (gradient + decay * trace if nesterov else trace), trace

    return Transform(np.zeros_like, update)


def adam(
    learning_rate: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
) -> Transform:
    """Return Adam with bias correction, epsilon outside the root (Kingma, Ba 2015, Algorithm 1)."""

    def init(theta: Array) -> tuple[int, Array, Array]:
        return 0, np.zeros_like(theta), np.zeros_like(theta)

    def update(gradient: Array, state: tuple[int, Array, Array]) -> tuple[Array, Any]:
        step, first, second = state
        step += 1
        first = beta1 * first + (1 - beta1) * gradient
        second = beta2 * second + (1 - beta2) * gradient**2
        unbiased_first = first / (1 - beta1**step)
        unbiased_second = second / (1 - beta2**step)
        change = -learning_rate * (unbiased_first / (np.sqrt(unbiased_second) + epsilon))
        return change, (step, first, second)

    return Transform(init, update)
