"""Examples become a trained neuron and its learning curve."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from threadpoolctl import threadpool_limits

from nn import (
    Epoch,
    Examples,
    Transform,
    adam,
    fit,
    gradient_descent,
    initial_theta,
    momentum,
)
from nn.arrays import Array
from pipeline.config import Adam, GradientDescent, OptimiserSettings, TrainSettings
from pipeline.errors import TrainingError

Ended = Literal["epochs", "patience", "diverged", "stopped"]

# Shown every epoch; training stops after the epoch at which it answers True.
Watch = Callable[[Epoch], bool]


@dataclass(frozen=True)
class Trained:
    """The neuron that was kept, and how it came about.

    ``curve`` maps ``epoch``, ``objective``, ``train_cost``, ``train_accuracy`` and, where there are
    valid rows, ``valid_cost`` and ``valid_accuracy`` to arrays, one value per epoch, all finite;
    epoch 0 is the neuron before training. ``theta`` is the neuron of ``best_epoch``: the one with
    the lowest valid cost where ``patience`` is set, otherwise the last.
    """

    theta: Array
    inputs: tuple[str, ...]
    curve: dict[str, Array]
    best_epoch: int
    ended: Ended
    path: Array | None = None  # (epochs + 1, d + 1): theta of every epoch, where it was asked for

    def require(self, optimiser: OptimiserSettings) -> None:
        """Raise TrainingError if training diverged."""
        if self.ended == "diverged":
            raise TrainingError(
                f"cost must stay finite; got an infinite one at epoch {len(self.curve['epoch'])}: "
                f"lower optimiser.learning_rate (it was {optimiser.learning_rate!r})"
            )

    @property
    def rose(self) -> bool:
        """Whether the objective ended higher than it began: a learning rate that is too high."""
        return bool(self.curve["objective"][-1] > self.curve["objective"][0])


def train(
    examples: Examples,
    valid: Examples | None,
    inputs: tuple[str, ...],
    optimiser: OptimiserSettings,
    settings: TrainSettings,
    seed: int,
    watch: Watch = lambda _: False,
) -> Trained:
    """The neuron trained on ``examples``, stopped early on the cost of ``valid`` if so set.

    BLAS is held to ``settings.blas_threads`` threads: on long tables another number of threads adds
    in another order and changes the last bits.
    """
    start_rng, batch_rng = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    with threadpool_limits(settings.blas_threads, user_api="blas"):
        epochs = fit(
            initial_theta(len(inputs), start_rng),
            examples,
            transform(optimiser),
            settings.epochs,
            valid=valid,
            l2=settings.l2,
            batch_size=settings.batch_size,
            rng=batch_rng,
        )
        seen, best, ended = _follow(epochs, settings, watch)
    curve = _curve(seen, has_valid=valid is not None)
    path = np.array([epoch.theta for epoch in seen]) if settings.keep_path else None
    return Trained(best.theta, inputs, curve, best.number, ended, path)


def transform(settings: OptimiserSettings) -> Transform:
    """The optimiser that the settings describe."""
    if isinstance(settings, GradientDescent):
        return gradient_descent(settings.learning_rate)
    if isinstance(settings, Adam):
        return adam(settings.learning_rate, settings.beta1, settings.beta2, settings.epsilon)
    return momentum(settings.learning_rate, settings.decay, settings.nesterov)


def _follow(
    epochs: Iterator[Epoch], settings: TrainSettings, watch: Watch
) -> tuple[list[Epoch], Epoch, Ended]:
    """The epochs seen, the one to keep, and why training ended."""
    seen: list[Epoch] = []
    patience = settings.patience
    best = first = next(epochs)
    for epoch in itertools.chain([first], epochs):
        if not math.isfinite(epoch.objective) or math.isinf(epoch.valid_cost):
            return seen, best, "diverged"
        # The curve needs no parameters.
        seen.append(epoch if settings.keep_path else epoch._replace(theta=first.theta))
        if patience is None or epoch.valid_cost < best.valid_cost:
            best = epoch
        if watch(epoch):
            return seen, best, "stopped"
        if patience is not None and epoch.number - best.number >= patience:
            return seen, best, "patience"
    return seen, best, "epochs"


def _curve(seen: list[Epoch], *, has_valid: bool) -> dict[str, Array]:
    names = ["objective", "train_cost", "train_accuracy"]
    names += ["valid_cost", "valid_accuracy"] if has_valid else []
    columns = {name: np.array([getattr(epoch, name) for epoch in seen]) for name in names}
    return {"epoch": np.array([float(epoch.number) for epoch in seen]), **columns}
