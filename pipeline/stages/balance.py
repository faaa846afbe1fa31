"""Examples become examples whose classes count equally, and the neuron is corrected for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from nn import Examples, tree_sum
from nn.arrays import Array
from pipeline.stages.blocks.keyed import KeyedBlocks, Reweighted, reweighted

ClassWeight = Literal["balanced"] | None


R = TypeVar("R", Examples, Examples | KeyedBlocks)


@dataclass(frozen=True)
class Balanced(Generic[R]):
    """Rows of which a row of class 1 counts ``exp(shift)`` times as much as one of class 0."""

    rows: R
    shift: float

    def correct(self, theta: Array) -> Array:
        """Return the parameters (…, d + 1) whose probabilities are those of the rows as they were.

        Rows of class 1 that count w times as much raise the log-odds by log w, whatever the inputs
        (King and Zeng 2001, Political Analysis 9:137-163, equation 7: prior correction).
        """
        corrected = theta.copy()
        corrected[..., -1] -= self.shift
        return corrected


def balance(examples: R, class_weight: ClassWeight) -> Balanced[R]:
    """Return the rows with counts by which each class has half of their sum, which stays.

    Without a ``class_weight`` they are the rows as they are.
    """
    if class_weight is None:
        return Balanced(examples, 0.0)
    if isinstance(examples, Examples):
        total, positive = class_counts(examples)
    else:
        total, positive = tree_sum(examples.map(class_counts))
    factors = (total / 2 / (total - positive), total / 2 / positive)
    shift = math.log(total - positive) - math.log(positive)
    if isinstance(examples, Examples):
        return Balanced(reweighted(examples, factors), shift)
    return Balanced(Reweighted(examples, factors), shift)


def class_counts(examples: Examples) -> tuple[float, float]:
    """Return how much all rows count, and the positive ones among them."""
    return float(examples.count.sum()), float(examples.count @ examples.y)
