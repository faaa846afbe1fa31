"""Examples become examples whose classes count equally, and the neuron is corrected for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nn import Examples
from nn.arrays import Array

ClassWeight = Literal["balanced"] | None


@dataclass(frozen=True)
class Balanced:
    """Rows of which a row of class 1 counts ``exp(shift)`` times as much as one of class 0."""

    rows: Examples
    shift: float

    def correct(self, theta: Array) -> Array:
        """Return the parameters (…, d + 1) whose probabilities are those of the rows as they were.

        Rows of class 1 that count w times as much raise the log-odds by log w, whatever the inputs
        (King and Zeng 2001, Political Analysis 9:137-163, equation 7: prior correction).
        """
        corrected = theta.copy()
        corrected[..., -1] -= self.shift
        return corrected


def balance(examples: Examples, class_weight: ClassWeight) -> Balanced:
    """Return the rows with counts by which each class has half of their sum, which stays.

    Without a ``class_weight`` they are the rows as they are.
    """
    if class_weight is None:
        return Balanced(examples, 0.0)
    X, y, count = examples
    total, positive = float(count.sum()), float(count @ y)
    half = np.where(y == 1, total / 2 / positive, total / 2 / (total - positive))
    shift = math.log(total - positive) - math.log(positive)
    return Balanced(Examples(X, y, count * half), shift)
