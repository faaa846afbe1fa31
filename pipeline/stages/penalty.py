"""Training rows become the strength of the penalty: by a rule that falls with n, or by folds."""

from __future__ import annotations

import math

import numpy as np

from nn import Examples
from nn.arrays import Array
from pipeline.stages.one_thread import on_one_thread

LOGIT_VARIANCE = math.pi**2 / 3  # of the logistic distribution: each probability is as likely
DIGITS = 2  # of l2: what is shown is what was used


@on_one_thread
def auto_l2(examples: Examples) -> float:
    """Return the strength of the penalty per row that the number of rows and the inputs call for.

    The penalty is a prior, as the objective times n is: each weight is normal with the variance
    ``1 / (n l2)``, and a logit with that times the sum of the variances of the inputs. It is chosen
    so that this is the logistic distribution's: before any row is seen, every probability of class
    1 is as likely as another, however many inputs there are.

        l2 = sum_j var(x_j) / (n pi^2 / 3)

    of two digits. C = 1 of scikit-learn is ``1 / n``, which lets logits of 60 inputs be 8 wide.
    """
    n = float(examples.count.sum())
    return _rounded(float(_variances(examples).sum()) / (LOGIT_VARIANCE * n))


def _variances(examples: Examples) -> Array:
    """Return the variance (d,) of each input over the rows."""
    X, _, count = examples
    share = count / count.sum()
    mean = share @ X
    variances: Array = np.array([share @ (x - m) ** 2 for x, m in zip(X.T, mean, strict=True)])
    return variances


def _rounded(l2: float) -> float:
    return float(f"{l2:.{DIGITS}g}")
