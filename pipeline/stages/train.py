"""Examples become a trained neuron and its learning curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nn.arrays import Array


@dataclass(frozen=True)
class Trained:
    """The neuron that was kept, and how it came about.

    ``curve`` maps ``epoch``, ``objective``, ``train_cost``, ``train_accuracy`` and, where there are
    valid rows, ``valid_cost`` and ``valid_accuracy`` to arrays (epochs + 1,); all finite. Epoch 0
    is the neuron before training. ``best_epoch`` is the epoch of ``theta``.
    """

    theta: Array
    inputs: tuple[str, ...]
    curve: dict[str, Array]
    best_epoch: int
    ended: Literal["epochs", "patience", "diverged", "stopped"]
    gradient_norm: float  # of the objective at theta; near 0 where training has converged
