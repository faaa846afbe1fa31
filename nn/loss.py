"""The activation and the loss of a row, from logits, exact over the whole range of float64.

Of the two terms of Eq. 4 only one is present for a label of 0 or 1. It is ``log(1 + exp(s))`` with
``s = z`` for a label of 0 and ``s = -z`` for a label of 1: how far the logit lies on the wrong
side. No probability is rounded to 1 on the way, so nothing is lost at z = 40 and nothing overflows
at z = 800.
"""

import numpy as np

from nn.arrays import Array, require_shape


def sigmoid(z: Array) -> Array:
    """Return the probability of class 1 at logit ``z``: ``1 / (1 + exp(-z))`` (Eq. 3).

    Both branches use ``exp(-|z|)``, which cannot overflow. Relative error 3e-16 for ``|z| <= 708``,
    as far as float64 has normal numbers; beyond, absolute error 5e-324.
    """
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, small) / (1.0 + small)


def binary_cross_entropy(z: Array, y: Array) -> Array:
    """Return the loss (n,) of each row in nats: ``-(y log p + (1 - y) log(1 - p))``.

    One term of the sum in Eq. 4, at ``p = sigmoid(z)``, as ``log(1 + exp(s))``.
    """
    return loss_and_slope(z, y)[0]


def loss_slope(z: Array, y: Array) -> Array:
    """Return the derivative (n,) of each row's loss by its logit: ``p - y`` (Eq. 5 times Eq. 6).

    Written ``p`` for a label of 0 and ``-(1 - p)`` with ``1 - p = sigmoid(-z)`` for a label of 1:
    the plain difference ``sigmoid(z) - y`` is 0.0 at y = 1, z = 40, where the truth is -4.2e-18.
    """
    return loss_and_slope(z, y)[1]


def loss_and_slope(z: Array, y: Array) -> tuple[Array, Array]:
    """Return the loss of each row in nats and its derivative by the logit, from one exponential.

    The exponential and the logarithm are most of the work of an epoch of full-batch descent, which
    needs both quantities at the same logits.

    Raises
    ------
    ShapeError
        If ``y`` does not have the shape of ``z``.
    """
    require_shape("y", y, z.shape)
    sign = 1.0 - 2.0 * y
    wrong = sign * z
    small = np.exp(-np.abs(z))
    loss = np.maximum(wrong, 0.0) + np.log1p(small)
    return loss, sign * np.where(wrong > 0, 1.0, small) / (1.0 + small)


def loss_curvature(z: Array) -> Array:
    """Return the second derivative (n,) of a row's loss by its logit: ``p (1 - p)``."""
    small = np.exp(-np.abs(z))
    curvature: Array = small / (1.0 + small) ** 2
    return curvature
