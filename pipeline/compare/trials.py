"""What a search has tried: its trials in the order in which they were drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Drawn = float | str  # a number, or the word of a choice
Point = Mapping[str, Drawn]
Ended = Literal["complete", "pruned", "failed"]

MIN_IMPORTANCES = 10  # complete trials


@dataclass(frozen=True)
class Trial:
    """A point that was drawn and how its runs ended; ``loss`` is the mean over its repeats.

    The loss is the validation loss in nats per row; None where the trial is not complete. ``seen``
    is where a trial was pruned: how many epochs its runs had made, and the loss there.
    """

    number: int
    point: Point
    ended: Ended
    loss: float | None = None
    seen: tuple[int, float] | None = None
    reason: str = ""  # why it is not complete
    runs: tuple[str, ...] = ()  # identities


@dataclass(frozen=True)
class Scale:
    """What a number was drawn from, evenly on a linear or a logarithmic scale."""

    low: float
    high: float
    kind: Literal["linear", "log"]

    def place(self, value: float) -> float:
        """Return where the value lies, from 0 to 1."""
        low, high, at = self.low, self.high, value
        if self.kind == "log":
            low, high, at = math.log(low), math.log(high), math.log(value)
        return (at - low) / (high - low)


@dataclass(frozen=True)
class Search:
    """The trials of a search, and how much of the loss Optuna ascribes to each setting (0 to 1).

    ``scales`` are those of the settings whose values are numbers with an order.
    """

    trials: tuple[Trial, ...]
    scales: Mapping[str, Scale] = field(default_factory=dict)
    importances: Mapping[str, float] = field(default_factory=dict)

    @property
    def best(self) -> Trial | None:
        """The trial with the lowest loss; of equal ones the first."""
        known = [trial for trial in self.trials if trial.loss is not None]
        return min(known, key=lambda trial: trial.loss or 0.0) if known else None

    @property
    def best_so_far(self) -> list[float]:
        """The lowest loss after each trial; infinite before one is complete."""
        found, lowest = [], math.inf
        for trial in self.trials:
            lowest = min(lowest, math.inf if trial.loss is None else trial.loss)
            found.append(lowest)
        return found
