"""The gate before the champion: a figure above the floor, and a difference that is not noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nn import Examples, binary_cross_entropy, row_logits, sigmoid
from nn.arrays import Array
from nn.neuron import average
from pipeline.config.schema import PromoteSettings


@dataclass(frozen=True)
class Scored:
    """How a neuron does on the distinct test rows, of which row i occurs ``count[i]`` times.

    ``loss`` (n,) in nats; ``right`` (n,) is 1.0 where the decision at the neuron's own threshold is
    the label, else 0.0.
    """

    loss: Array
    right: Array
    count: Array

    def figure(self, metric: str) -> float:
        """Return the mean log loss in nats, or the accuracy."""
        return average(self.loss if metric == "log_loss" else self.right, self.count)


@dataclass(frozen=True)
class Paired:
    """How much better the challenger is, row by row: positive is better.

    ``p`` is the probability of such a difference or a greater one where neither is better.
    """

    difference: float
    p: float
    test: str


def score_rows(theta: Array, examples: Examples, threshold: float) -> Scored:
    """Return how the neuron does on each row."""
    X, y, count = examples
    z = row_logits(theta, X)
    right = (sigmoid(z) >= threshold) == (y == 1)
    return Scored(binary_cross_entropy(z, y), right.astype(np.float64), count)


def paired(challenger: Scored, champion: Scored, metric: str) -> Paired:
    """Test, one-sided, whether the challenger is better than the champion on the same rows."""
    if metric == "log_loss":
        return paired_t(champion.loss - challenger.loss, challenger.count)
    return mcnemar(challenger.right, champion.right, challenger.count)


def paired_t(difference: Array, count: Array) -> Paired:
    """Test by Student's paired t-test that the mean ``difference`` (n,) is above 0, rows counted.

    ``t = mean / sqrt(s^2 / n)`` with n - 1 degrees of freedom (Student 1908); rows that all differ
    by the same are no evidence of spread, and their sign decides.
    """
    from scipy.special import stdtr

    n, mean = float(count.sum()), average(difference, count)
    variance = float(count @ (difference - mean) ** 2) / max(n - 1, 1)
    if variance == 0:
        return Paired(mean, 0.0 if mean > 0 else 1.0, "paired t-test")
    t = mean / np.sqrt(variance / n)
    return Paired(mean, float(stdtr(n - 1, -t)), "paired t-test")


def mcnemar(challenger: Array, champion: Array, count: Array) -> Paired:
    """Test by McNemar's exact test (1947) the rows that only one of the two gets right.

    Where neither is better, each such row is the challenger's with probability 1/2.
    """
    from scipy.special import bdtrc

    won = int(count @ (challenger > champion))
    lost = int(count @ (challenger < champion))
    p = float(bdtrc(won - 1, won + lost, 0.5)) if won else 1.0
    return Paired((won - lost) / float(count.sum()), p, "McNemar's exact test")


def floor_fault(figure: float, baseline: float, gate: PromoteSettings) -> str:
    """Return why the figure does not reach the floor; "" if it does."""
    above = baseline - figure if gate.metric == "log_loss" else figure - baseline
    if above >= gate.floor:
        return ""
    return (
        f"{gate.metric} must be better than the majority baseline by promote.floor={gate.floor:g} "
        f"or more; got {figure:.4f}, the baseline has {baseline:.4f}"
    )


def noise_fault(found: Paired, gate: PromoteSettings) -> str:
    """Return why the difference does not count as better; "" if it does."""
    if found.p < 1 - gate.confidence:
        return ""
    return (
        f"{gate.metric} must be better than the champion's by more than noise, p below "
        f"{1 - gate.confidence:.3g}; got {found.difference:+.4g} and p = {found.p:.3g} "
        f"({found.test})"
    )
