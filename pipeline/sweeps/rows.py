"""A comparison becomes the rows of its leaderboard: one plain row of figures per candidate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pipeline.sweeps.comparison import Candidate, Comparison, Run, Value
from pipeline.sweeps.gather import value_of
from pipeline.sweeps.training import Training, training

VALID_COST = "valid/best_cost"
VALID_ACCURACY = "valid/best_accuracy"
TRAIN_COST = "train/best_cost"


@dataclass(frozen=True)
class Row:
    """What is known of one candidate; costs are in nats per row, NaN is what is not known."""

    rank: int  # from 1
    values: tuple[Value, ...]  # of the parameters that vary, in their order
    cost: float  # on the validation rows, the mean over seeds
    low: float
    high: float
    deviation: float  # over seeds
    n_finished: int
    n_unfinished: int
    accuracy: float
    train_cost: float
    training: Training
    excess: float  # over the best
    excess_low: float
    excess_high: float
    best: bool
    tied: bool  # with the best, or the best itself
    chosen: bool


def leaderboard(comparison: Comparison) -> list[Row]:
    """A row for each candidate, the best first."""
    return [_row(comparison, i, c) for i, c in enumerate(comparison.candidates)]


def mean_metric(candidate: Candidate, name: str) -> float:
    """The mean of a metric over the runs that have it; NaN where none has."""
    values = [run.metrics[name] for run in candidate.runs if name in run.metrics]
    return float(np.mean(values)) if values else math.nan


def mean_costs(comparison: Comparison) -> list[float]:
    """The mean valid cost of each candidate: the board's, or that of the metrics without one."""
    if comparison.board is not None:
        return [float(cost) for cost in comparison.board.mean]
    return [mean_metric(candidate, VALID_COST) for candidate in comparison.candidates]


def known_params(run: Run, varying: tuple[str, ...]) -> dict[str, Value]:
    """The parameters that are known of a run, be it by its record or by its overrides alone."""
    words = (word.lstrip("+").partition("=") for word in run.overrides)
    given = {name: value_of(text) for name, _, text in words} | dict(run.settings)
    return {name: given[name] for name in varying if name in given}


def n_leading(rows: list[Row]) -> int:
    """How many rows stand above the first that is not tied with the best."""
    return next((i for i, row in enumerate(rows) if not row.tied), len(rows))


def _row(comparison: Comparison, i: int, candidate: Candidate) -> Row:
    board = comparison.board

    def known(array: str) -> float:
        return math.nan if board is None else float(getattr(board, array)[i])

    return Row(
        rank=i + 1,
        values=tuple(candidate.params.get(name) for name in comparison.varying),
        cost=mean_metric(candidate, VALID_COST) if board is None else known("mean"),
        low=known("low"),
        high=known("high"),
        deviation=known("deviation"),
        n_finished=len(candidate.runs),
        n_unfinished=len(candidate.unfinished),
        accuracy=mean_metric(candidate, VALID_ACCURACY),
        train_cost=mean_metric(candidate, TRAIN_COST),
        training=training(candidate.runs),
        excess=known("excess"),
        excess_low=known("excess_low"),
        excess_high=known("excess_high"),
        best=board is not None and i == 0,
        tied=board is not None and (i == 0 or bool(board.tied[i])),
        chosen=comparison.chosen == i,
    )
