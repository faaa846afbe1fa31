"""A neuron becomes an answer to the article's question: which attributes matter, and how."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effect:
    """What one input does to the log-odds of class 1, against the mean of its attribute.

    ``log_odds`` is identified: weights centred over the categories of the attribute, so it depends
    neither on the random start nor on the bias. ``low`` and ``high`` bound it at 95 %.
    ``odds_ratio`` is its exponential. ``standard_error`` is None where the data do not bound it.
    """

    attribute: str
    label: str
    log_odds: float
    standard_error: float | None
    odds_ratio: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Importance:
    """How much the cost (nats per row) rises when the attribute is taken away."""

    attribute: str
    cost_rise: float


@dataclass(frozen=True)
class Effects:
    """``effects`` in the order of the inputs; ``ranking`` from the most important attribute."""

    effects: tuple[Effect, ...]
    ranking: tuple[Importance, ...]
