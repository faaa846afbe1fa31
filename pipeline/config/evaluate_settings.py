"""How probabilities become decisions and figures."""

from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import Discriminator, Field, Tag, model_serializer, model_validator

from pipeline.config.strict import Settings, require


class Costs(Settings):
    """What a wrong decision costs, in any unit; a right one costs nothing."""

    false_positive: Annotated[float, Field(gt=0)]
    false_negative: Annotated[float, Field(gt=0)]


class ThresholdRule(Settings):
    """What decisions must achieve on the validation rows: one of these."""

    cost: Costs | None = None  # the least of it
    recall: Annotated[float, Field(gt=0, le=1)] | None = None  # at least, with the fewest alerts
    precision: Annotated[float, Field(gt=0, le=1)] | None = None  # at least, with the most alerts
    rate: Annotated[float, Field(gt=0, lt=1)] | None = None  # of rows decided positive, at most

    @model_validator(mode="after")
    def _one(self) -> Self:
        rules = [*self.model_dump()]
        rest = " ".join(f"evaluate.threshold.{name}=null" for name in rules[1:])
        cure = f": keep one, as with {rest}" if rest else ""
        require(
            len(rules) == 1,
            " must have one of cost, recall, precision and rate; got "
            f"{', '.join(rules) or 'none'}{cure}",
        )
        return self

    @model_serializer(mode="wrap")
    def _given(self, plain: Callable[[Self], dict[str, Any]]) -> dict[str, Any]:
        return {name: value for name, value in plain(self).items() if value is not None}


def _kind_of_threshold(value: Any) -> str:
    return "rule" if isinstance(value, dict | ThresholdRule) else "number"


class EvaluateSettings(Settings):
    """How probabilities become decisions and figures."""

    threshold: Annotated[
        Annotated[float, Field(gt=0, lt=1), Tag("number")] | Annotated[ThresholdRule, Tag("rule")],
        Discriminator(_kind_of_threshold),
    ] = 0.5
    calibration_bins: Annotated[int, Field(ge=2, le=100)] = 10
    bootstrap: Annotated[int, Field(ge=2, le=10_000)] | None = 200  # refits; null: none
