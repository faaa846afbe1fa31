"""Optimisers as pairs of pure functions, and as compositions of them.

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
    return _scale(-learning_rate)


def momentum(learning_rate: float, decay: float = 0.9, nesterov: bool = False) -> Transform:
    """Return gradient descent along a decaying sum of the gradients.

    Heavy ball (Polyak 1964), or Nesterov's variant in the form of Sutskever et al. 2013.
    """
    return chain(_trace(decay, nesterov), _scale(-learning_rate))


def adam(
    learning_rate: float, beta1: float = 0.9, beta2: float = 0.999, epsilon: float = 1e-8
) -> Transform:
    """Return Adam with bias correction, epsilon outside the root (Kingma, Ba 2015, Algorithm 1)."""
    return chain(_scale_by_moments(beta1, beta2, epsilon), _scale(-learning_rate))


def chain(*transforms: Transform) -> Transform:
    """Return the transforms applied one after the other, each to what the one before made."""

    def init(theta: Array) -> tuple[Any, ...]:
        return tuple(t.init(theta) for t in transforms)

    def update(update_: Array, states: tuple[Any, ...]) -> tuple[Array, tuple[Any, ...]]:
        new = []
        for transform, state in zip(transforms, states, strict=True):
            update_, new_state = transform.update(update_, state)
            new.append(new_state)
        return update_, tuple(new)

    return Transform(init, update)


def _scale(factor: float) -> Transform:
    return Transform(lambda _: (), lambda gradient, state: (factor * gradient, state))


def _trace(decay: float, nesterov: bool) -> Transform:
    def update(gradient: Array, trace: Array) -> tuple[Array, Array]:
        trace = gradient + decay * trace
        return (gradient + decay * trace if nesterov else trace), trace

    return Transform(np.zeros_like, update)


class _Moments(NamedTuple):
    step: int
    first: Array
    second: Array


def _scale_by_moments(beta1: float, beta2: float, epsilon: float) -> Transform:
    def init(theta: Array) -> _Moments:
        return _Moments(0, np.zeros_like(theta), np.zeros_like(theta))

    def update(gradient: Array, state: _Moments) -> tuple[Array, _Moments]:
        step = state.step + 1
        first = beta1 * state.first + (1 - beta1) * gradient
        second = beta2 * state.second + (1 - beta2) * gradient**2
        unbiased_first = first / (1 - beta1**step)
        unbiased_second = second / (1 - beta2**step)
        update_ = unbiased_first / (np.sqrt(unbiased_second) + epsilon)
        return update_, _Moments(step, first, second)

    return Transform(init, update)
