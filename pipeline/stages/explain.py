"""A neuron becomes an answer to the article's question: which attributes matter, and how."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from nn import Examples
from nn.arrays import Array
from pipeline.stages.encode import Encoder
from pipeline.stages.importance import Importance, importance
from pipeline.stages.infer import NO_WEIGHT, AttributeTest, Effect, Inference
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

    @classmethod
    def from_tree(cls, tree: dict[str, Any]) -> Self:
        """Return the effects that were written as plain values."""
        return cls(
            tuple(Effect(**effect) for effect in tree["effects"]),
            tuple(Importance(**item) for item in tree["ranking"]),
            tree["intercept"],
            tuple(AttributeTest(**test) for test in tree["tests"]),
            tree["method"],
        )


@on_one_thread
def explain(theta: Array, encoder: Encoder, inference: Inference, test: Examples) -> Effects:
    """Return what each attribute does to the odds, and how much the loss rises without it.

    Estimates come from the training rows, weights from the neuron, the ranking from ``test``.
    """
    weights = (inference.centring @ theta).tolist()
    effects = tuple(
        replace(effect, weight=None if effect.note in NO_WEIGHT else weight)
        for effect, weight in zip(inference.effects, weights[:-1], strict=True)
    )
    ranking = importance(theta, encoder, test)
    return Effects(effects, ranking, weights[-1], inference.tests, inference.method)
