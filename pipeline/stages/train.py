"""Examples become a trained neuron and its learning curve."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

import nn
from nn import Epoch, Examples, Transform
from nn.arrays import Array
from nn.optimum import LOG_2
from pipeline.config.train_settings import FirstOrder, Newton, OptimiserSettings, TrainSettings
from pipeline.errors import ConfigError, TrainingError
from pipeline.stages.blocks.keyed import KeyedBlocks
from pipeline.stages.one_thread import LIBRARIES
from pipeline.stages.penalty import auto_l2

MAX_PASSES = 100  # over a table in blocks, by descent

Ended = Literal["epochs", "patience", "optimum", "diverged", "stopped"]

# Called with every epoch; training stops after the epoch at which it answers True.
Watch = Callable[[Epoch], bool]


@dataclass(frozen=True)
class Start:
    """Where Newton's method began: the optimum (d + 1,) of another run, which had another l2."""

    run: str  # its identity
    l2: float
    theta: Array


@dataclass(frozen=True)
class Trained:
    """The neuron that was kept, and how it came about.

    ``curve`` maps ``epoch``, ``objective``, ``train_loss``, ``train_accuracy`` and, where there are
    validation rows, ``valid_loss`` and ``valid_accuracy`` to arrays, one value per epoch, all
    finite; epoch 0 is the neuron before training. ``theta`` is the neuron of ``best_epoch``: the
    one with the lowest validation loss where ``patience`` is set, otherwise the last. ``ended`` is
    ``optimum`` where Newton's method found nothing lower.
    """

    theta: Array
    inputs: tuple[str, ...]
    curve: dict[str, Array]
    best_epoch: int
    ended: Ended
    l2: float = 0.0  # of the penalty, as it was used
    path: Array | None = None  # (epochs + 1, d + 1): theta of every epoch, where it was asked for
    start: Start | None = None  # None where training began at zeros, or where the seed says

    def require_finite(self, optimiser: OptimiserSettings) -> None:
        """Raise TrainingError if training diverged."""
        if self.ended == "diverged":
            epoch, rate = len(self.curve["epoch"]), getattr(optimiser, "learning_rate", None)
            cure = f": lower optimiser.learning_rate (it was {rate!r})" if rate else ""
            cure = cure if epoch else ": lower train.l2 or the largest values of the inputs"
            raise TrainingError(f"loss must stay finite; got infinity at epoch {epoch}{cure}")

    @property
    def rose(self) -> bool:
        """Whether the objective ended higher than it began: a learning rate that is too high."""
        objective = self.curve["objective"]
        return bool(objective.size and objective[-1] > objective[0])


def train(
    examples: Examples | KeyedBlocks,
    valid: Examples | KeyedBlocks | None,
    inputs: tuple[str, ...],
    optimiser: OptimiserSettings,
    settings: TrainSettings,
    seed: int,
    watch: Watch = lambda _: False,
    start: Start | None = None,
) -> Trained:
    """Train a neuron on ``examples``; stop early on the loss of ``valid`` if so set.

    Newton's method begins at ``start`` if it is given; it ends at the same neuron.
    BLAS is held to ``settings.blas_threads`` threads: of a hundred inputs or more another number of
    threads adds in another order and changes the last bits. Of rows in blocks the validation loss
    of an epoch is a pass of its own: it is computed where ``settings.patience`` needs it.
    """
    if not isinstance(examples, Examples):
        _require_passes(optimiser, settings)
        start = None  # the optimum of a sample is as near
        valid = None if settings.patience is None else valid
    l2 = auto_l2(examples) if isinstance(settings.l2, str) else settings.l2
    with LIBRARIES.limit(limits=settings.blas_threads, user_api="blas"):
        epochs = _epochs(examples, valid, optimiser, settings, l2, seed, start)
        seen, best, ended = _follow(epochs, settings, watch)
    curve = _curve(seen, has_valid=valid is not None)
    path = np.array([epoch.theta for epoch in seen]) if settings.keep_path else None
    return Trained(best.theta, inputs, curve, best.number, ended, l2, path, start)


def _require_passes(optimiser: OptimiserSettings, settings: TrainSettings) -> None:
    """Raise ConfigError where training would read the files too often, or in batches."""
    where = "where the table is read in blocks"
    if settings.batch_size is not None:
        got = settings.batch_size
        raise ConfigError(f"train.batch_size must be null {where}; got {got}: optimiser=newton")
    if not isinstance(optimiser, Newton) and settings.epochs > MAX_PASSES:
        raise ConfigError(
            f"train.epochs must be at most {MAX_PASSES} {where}, as each reads all rows; got "
            f"{settings.epochs}: set optimiser=newton, which takes about four, or fewer epochs"
        )


def transform(settings: FirstOrder) -> Transform:
    """Return the optimiser that the settings describe: the function of nn that has their name."""
    made: Transform = getattr(nn, settings.name)(**settings.model_dump(exclude={"name"}))
    return made


def _epochs(
    examples: Examples | KeyedBlocks,
    valid: Examples | KeyedBlocks | None,
    optimiser: OptimiserSettings,
    settings: TrainSettings,
    l2: float,
    seed: int,
    begin: Start | None,
) -> Iterator[Epoch]:
    options: dict[str, Any] = {"valid": valid, "l2": l2}
    d = examples.X.shape[1] if isinstance(examples, Examples) else examples.d
    if isinstance(optimiser, Newton):  # from zeros: what it finds does not depend on the seed
        theta = np.zeros(d + 1) if begin is None else begin.theta
        if isinstance(examples, Examples):
            return nn.fit_newton(theta, examples, settings.epochs, **options)
        return _from_sample(theta, examples, settings.epochs, options)
    start, batches = (np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2))
    options |= {"batch_size": settings.batch_size, "rng": batches}
    return nn.fit(
        nn.initial_theta(d, start), examples, transform(optimiser), settings.epochs, **options
    )


def _from_sample(
    zeros: Array, blocks: KeyedBlocks, epochs: int, options: dict[str, Any]
) -> Iterator[Epoch]:
    """Yield the steps from the optimum of the sample, two or three, or from all zeros if lower."""
    near = nn.newton(zeros, blocks.sample, options["l2"]).theta
    steps = nn.fit_newton(near, blocks, epochs, **options)
    if not (first := next(steps)).objective <= LOG_2:  # the sample separates
        return nn.fit_newton(zeros, blocks, epochs, **options)
    return itertools.chain([first], steps)


def _follow(
    epochs: Iterator[Epoch], settings: TrainSettings, watch: Watch
) -> tuple[list[Epoch], Epoch, Ended]:
    """Return the epochs seen, the one to keep, and why training ended."""
    seen: list[Epoch] = []
    patience = settings.patience
    best = first = next(epochs)
    for epoch in itertools.chain([first], epochs):
        if not math.isfinite(epoch.objective) or math.isinf(epoch.valid_loss):
            return seen, best, "diverged"
        # The curve needs no parameters.
        seen.append(epoch if settings.keep_path else epoch._replace(theta=first.theta))
        if patience is None or epoch.valid_loss < best.valid_loss:
            best = epoch
        if watch(epoch):
            return seen, best, "stopped"
        if patience is not None and epoch.number - best.number >= patience:
            return seen, best, "patience"
    return seen, best, "epochs" if len(seen) > settings.epochs else "optimum"


def _curve(seen: list[Epoch], *, has_valid: bool) -> dict[str, Array]:
    names = ["objective", "train_loss", "train_accuracy"]
    names += ["valid_loss", "valid_accuracy"] if has_valid else []
    columns = {name: np.array([getattr(epoch, name) for epoch in seen]) for name in names}
    return {"epoch": np.array([float(epoch.number) for epoch in seen]), **columns}
