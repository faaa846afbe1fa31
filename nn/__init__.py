"""One neuron, written from scratch in NumPy.

Conventions
-----------
Every function of this package uses these letters, shapes and units, and nothing else.

=========  ========  ==============================================================================
``X``      (n, d)    inputs, float64
``y``      (n,)      labels, each exactly 0.0 or 1.0
``count``  (n,)      how many times each row counts, >= 0; n rows that count 2 equal 2n rows
``theta``  (d + 1,)  parameters: the d weights, then the bias (the article's W and b in one vector)
``z``      (n,)      logits, log-odds of class 1
``p``      (n,)      probabilities of class 1
``l2``     ()        strength of the penalty ``l2 / 2 * sum(weights ** 2)``; the bias is free
=========  ========  ==============================================================================

``Examples`` are ``(X, y, count)``. Rows that are too many to hold are ``Blocks`` of them: every
pass makes each block anew, and its sums are added in a fixed tree, whoever makes them.

Losses are in nats per row; the *objective* is the mean loss plus the penalty. Nothing is broadcast:
labels of shape (n, 1) less probabilities of shape (n,) would make an (n, n) matrix, so a shape that
does not fit is refused by name.

"Article" is *Building your first neural network, part 1* (Heba, 2022); its equation numbers are
used throughout. ``docs/article.md`` maps each of them to the function that holds it.
"""

from nn.arrays import ShapeError
from nn.blocks import Blocks, InMemoryBlocks, tree_sum
from nn.fit import Epoch, fit, fit_newton, initial_theta
from nn.gradcheck import five_point_gradient
from nn.loss import binary_cross_entropy, loss_slope, sigmoid
from nn.neuron import (
    Examples,
    Pass,
    examine,
    gradient,
    hessian,
    logits,
    mean_loss,
    objective,
    penalty,
    predict_proba,
    row_logits,
)
from nn.optim import Transform, adam, gradient_descent, momentum
from nn.optimum import Optimum, newton

__all__ = [
    "Blocks",
    "Epoch",
    "Examples",
    "InMemoryBlocks",
    "Optimum",
    "Pass",
    "ShapeError",
    "Transform",
    "adam",
    "binary_cross_entropy",
    "examine",
    "fit",
    "fit_newton",
    "five_point_gradient",
    "gradient",
    "gradient_descent",
    "hessian",
    "initial_theta",
    "logits",
    "loss_slope",
    "mean_loss",
    "momentum",
    "newton",
    "objective",
    "penalty",
    "predict_proba",
    "row_logits",
    "sigmoid",
    "tree_sum",
]
