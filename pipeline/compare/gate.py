"""The gate before the champion: a figure above the floor, and a difference that is not noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nn import Examples, binary_cross_entropy, row_logits, sigmoid
from nn.arrays import Array
from nn.neuron import average
from pipeline.compare.groups import by_group
from pipeline.compare.unseen_errors import flipped, p_value
from pipeline.config.schema import PromoteSettings
from pipeline.stages.blocks.keyed import KeyedBlocks
from pipeline.stages.blocks.logits import Cuts, bucket_losses, score_blocks


@dataclass(frozen=True)
class Scored:
    """How a neuron does on the distinct test rows, of which row i occurs ``count[i]`` times.

    ``loss`` (n,) in nats; ``right`` (n,) is 1.0 where the decision at the neuron's own threshold is
    the label, else 0.0. Rows of one ``group`` (n,) are one observation. Of a table that is read in
    blocks all are means of buckets of rows, each a group, and ``other`` (n,) the loss had one row
    of the bucket the other label.
    """

    loss: Array
    right: Array
    count: Array
    group: Array | None = None
    other: Array | None = None

    @property
    def flipped(self) -> Array:
        """The losses (n,) had labels been the other ones."""
        return flipped(self.loss) if self.other is None else self.other

    def error(self, metric: str) -> float:
        """Return the mean log loss in nats, or the share of rows that are decided wrong."""
        return average(self.loss if metric == "log_loss" else 1 - self.right, self.count)

    @property
    def figures(self) -> tuple[float, float]:
        """The mean log loss in nats, and the accuracy."""
        return self.error("log_loss"), 1 - self.error("accuracy")


@dataclass(frozen=True)
class Paired:
    """How much better the challenger is, row by row: positive is better.

    ``p`` is the probability of such a difference or a greater one where neither is better.
    """

    difference: float
    p: float
    test: str


def score_rows(
    theta: Array, examples: Examples, threshold: float, group: Array | None = None
) -> Scored:
    """Return how the neuron does on each row."""
    X, y, count = examples
    z = row_logits(theta, X)
    right = (sigmoid(z) >= threshold) == (y == 1)
    return Scored(binary_cross_entropy(z, y), right.astype(np.float64), count, group)


def score_buckets(theta: Array, blocks: KeyedBlocks, threshold: float) -> Scored:
    """Return how the neuron does on each bucket of rows."""
    found = score_blocks(theta, blocks, Cuts(decided=threshold))
    losses = bucket_losses(found)
    right = found.buckets[3] + found.buckets[6]  # negative, and positive, and decided so
    share = right[found.buckets[0] > 0] / losses.count
    return Scored(losses.loss, share, losses.count, losses.group, losses.other)


def paired(challenger: Scored, champion: Scored, metric: str) -> Paired:
    """Test, one-sided, whether the challenger is better than the champion on the same rows.

    Log losses are compared with one error more, the worst that could have happened on any of them:
    a mean over several rows would miss a challenger that is over-confident on few. So are
    decisions, by the worst of all, where rows have groups or weights: McNemar's test is of rows.
    """
    count, group = challenger.count, challenger.group
    if metric == "accuracy" and group is None and (count == np.floor(count)).all():
        return mcnemar(challenger.right, champion.right, count)
    if metric == "accuracy":
        difference, unit = challenger.right - champion.right, ""
        other = -np.ones(len(count))
        if challenger.other is not None:  # one row of the bucket
            other = difference + (other - difference) / count
    else:
        difference, unit = champion.loss - challenger.loss, " nats"
        other = champion.flipped - challenger.flipped
    n, (difference, other) = by_group(count, group, difference, other)
    worst = min(difference.min(), other.min())
    p = p_value(difference, np.full_like(difference, worst), n)
    word = "groups" if challenger.other is None else "buckets of rows"
    of_groups = "" if group is None else f" on {len(n):,} {word}"
    test = f"Gaffke's test{of_groups} with one error more, of {abs(worst):.3g}{unit}"
    return Paired(average(difference, n), p, test)


def mcnemar(challenger: Array, champion: Array, count: Array) -> Paired:
    """Test by McNemar's exact test (1947) the rows that only one of the two gets right.

    Where neither is better, each such row is the challenger's with probability 1/2.
    """
    from scipy.special import bdtrc

    won = int(count @ (challenger > champion))
    lost = int(count @ (challenger < champion))
    p = float(bdtrc(won - 1, won + lost, 0.5)) if won else 1.0
    return Paired((won - lost) / float(count.sum()), p, "McNemar's exact test")


def floor_fault(error: float, baseline: float, gate: PromoteSettings) -> str:
    """Return why an error is not enough below that of the majority baseline; "" if it is."""
    if error <= (1 - gate.floor) * baseline:
        return ""
    name = "log loss" if gate.metric == "log_loss" else "share of errors"
    return (
        f"{name} must be at most {(1 - gate.floor) * baseline:.4g}, below the majority baseline's "
        f"{baseline:.4g} by promote.floor={gate.floor:g} of it; got {error:.4g}"
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
