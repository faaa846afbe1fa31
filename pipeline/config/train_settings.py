"""How a neuron is trained: by which optimiser, for how long, and with which penalty."""

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field

from pipeline.config.strict import Settings, require

LearningRate = Annotated[float, Field(gt=0)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class GradientDescent(Settings):
    """Step 7 of the article."""

    name: Literal["gradient_descent"]
    learning_rate: LearningRate


class Momentum(Settings):
    """Heavy ball, or Nesterov's variant."""

    name: Literal["momentum"]
    learning_rate: LearningRate
    decay: Decay = 0.9
    nesterov: bool = False


class Adam(Settings):
    """Kingma and Ba 2015."""

    name: Literal["adam"]
    learning_rate: LearningRate
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    epsilon: Annotated[float, Field(gt=0)] = 1e-8


class Newton(Settings):
    """Damped Newton to the optimum; each step is an epoch."""

    name: Literal["newton"]


FirstOrder = GradientDescent | Momentum | Adam
OptimiserSettings = Annotated[FirstOrder | Newton, Field(discriminator="name")]


def _penalty(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    known = value in ("auto", "cv") or (is_number and 0 <= float(str(value)) < math.inf)
    require(known, f" must be auto, cv or a number of 0 or more; got {value!r}")
    return value


Penalty = Annotated[float | Literal["auto", "cv"], BeforeValidator(_penalty)]


class TrainSettings(Settings):
    """How long and on how much at a time."""

    epochs: Annotated[int, Field(ge=1, le=1_000_000)]
    batch_size: Annotated[int, Field(ge=1)] | None = None  # null: all rows, one step per epoch
    l2: Penalty = 0.0  # auto: falls with the number of rows; cv: chosen by folds of them
    rows: Literal["train", "train_and_valid"] = "train"  # which rows train
    class_weight: Literal["balanced"] | None = None  # in the loss; probabilities are corrected
    patience: Annotated[int, Field(ge=1)] | None = None  # epochs without a better validation loss
    blas_threads: Annotated[int, Field(ge=1, le=64)] = 1  # more may change the last bit
    keep_path: bool = False  # theta of every epoch, to draw the descent on the loss surface

    def with_l2(self, l2: Penalty) -> Self:
        """Return the settings with another strength of the penalty."""
        return self.model_copy(update={"l2": l2})
