"""The activation and the cost of a row, from logits, exact over the whole range of float64.

Everything is written in the *margin* of a row, ``m = z`` for a label of 1 and ``m = -z`` for a
label of 0: how far the logit lies on the right side. Of the two terms of Eq. 4 only one is present
for a label of 0 or 1, and it is ``-log(sigmoid(m)) = log(1 + exp(-m))``. No probability is rounded
to 1 on the way, so nothing is lost at z = 40 and nothing overflows at z = 800.
"""

import numpy as np

from nn.arrays import Array


def sigmoid(z: Array) -> Array:
    """Probability of class 1 at logit ``z``: ``1 / (1 + exp(-z))`` (Eq. 3).

    Both branches use ``exp(-|z|)``, which cannot overflow. Relative error 3e-16 for ``|z| <= 740``.
    """
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, small) / (1.0 + small)


def binary_cross_entropy(z: Array, y: Array) -> Array:
    """Cost of each row in nats: ``-(y log p + (1 - y) log(1 - p))`` at ``p = sigmoid(z)``.

    One term of the sum in Eq. 4, as ``log(1 + exp(-margin))``.
    """
    return np.logaddexp(0.0, -_margin(z, y))


def residual(z: Array, y: Array) -> Array:
    """Derivative of the cost of each row by its logit: ``p - y`` (Eq. 5 times Eq. 6).

    Written ``p`` for a label of 0 and ``-(1 - p)`` with ``1 - p = sigmoid(-z)`` for a label of 1:
    the plain difference ``sigmoid(z) - y`` is 0.0 at y = 1, z = 40, where the truth is -4.2e-18.
    """
    return np.where(y == 1, -1.0, 1.0) * sigmoid(-_margin(z, y))


def _margin(z: Array, y: Array) -> Array:
    return np.where(y == 1, z, -z)
