"""A neuron becomes an answer to the article's question: which attributes matter, and how."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

from nn import Examples
from nn.arrays import Array
from pipeline.stages.attribute_tests import AttributeTest
from pipeline.stages.blocks.keyed import KeyedBlocks
from pipeline.stages.curves import Curve, curve_contrasts
from pipeline.stages.encode import ABSENT, Encoder, Standard
from pipeline.stages.importance import Importance, importance
from pipeline.stages.infer import NO_WEIGHT, Effect, Inference
from pipeline.stages.one_thread import on_one_thread


@dataclass(frozen=True)
class Effects:
    """``effects`` in the order of the inputs; ``ranking`` from the most important attribute.

    ``intercept`` is the log-odds where every weight is 0; intercept plus weights is the logit.
    """

    effects: tuple[Effect, ...]
    ranking: tuple[Importance, ...]
    intercept: float
    tests: tuple[AttributeTest, ...] = ()
    method: str = ""  # of the estimates, as a sentence
    curves: tuple[Curve, ...] = ()  # of numbers that are no straight line
    sample: int | None = None  # rows that the ranking is of, where it is not of all

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> Self:
        """Return the effects that were written as plain values."""
        return cls(
            tuple(Effect(**effect) for effect in tree["effects"]),
            tuple(Importance(**item) for item in tree["ranking"]),
            tree["intercept"],
            tuple(AttributeTest(**test) for test in tree["tests"]),
            tree["method"],
            tuple(Curve(**curve) for curve in tree.get("curves", ())),
            tree.get("sample"),
        )


@on_one_thread
def explain(
    theta: Array, encoder: Encoder, inference: Inference, test: Examples | KeyedBlocks
) -> Effects:
    """Return what each attribute does to the odds, and how much the loss rises without it.

    Estimates come from the training rows, weights from the neuron, the ranking from ``test``, of
    blocks from their sample.
    """
    weights = (inference.centring @ theta).tolist()
    effects = tuple(
        replace(effect, weight=None if effect.note in NO_WEIGHT else weight)
        for effect, weight in zip(_per_unit(inference, encoder), weights[:-1], strict=True)
    )
    contrasts = [curve_contrasts(c, encoder, inference.centring) for c in inference.curves]
    curves = tuple(
        replace(curve, weight=tuple((rows @ theta).tolist()))
        for curve, rows in zip(inference.curves, contrasts, strict=True)
    )
    rows = test if isinstance(test, Examples) else test.sample
    ranking = importance(theta, encoder, rows)
    sample = None if rows is test else int(rows.count.sum())
    return Effects(effects, ranking, weights[-1], inference.tests, inference.method, curves, sample)


def _per_unit(inference: Inference, encoder: Encoder) -> Iterator[Effect]:
    """Yield the effects, those of straight lines with the odds ratio of one unit of the column."""
    deviations = {b.name: b.deviation for b in encoder.blocks if isinstance(b, Standard)}
    for effect in inference.effects:
        deviation = 0.0 if effect.label == ABSENT else deviations.get(effect.attribute, 0.0)
        if effect.log_odds is None or not deviation:
            yield effect
        else:
            slope = min(max(effect.log_odds / deviation, -700.0), 700.0)  # exp(710) overflows
            yield replace(effect, per_unit=math.exp(slope))
