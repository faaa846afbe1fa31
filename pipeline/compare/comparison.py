"""What a comparison of runs is made of: runs, candidates (their repeats), and what is known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np

from nn.arrays import Array
from pipeline.compare.trials import Search
from pipeline.stages.certify import Certificate
from pipeline.stages.outcome import Status
from pipeline.text import counted

Value = str | int | float | bool | None

VALID_LOSS = "valid/best_loss"
MIN_SEEDS = 3  # of two the spread is next to unknown: Student's t has one degree of freedom


def is_number(value: Value) -> TypeGuard[int | float]:
    """Return whether the value is a finite number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class Run:
    """A run of the set, as its record holds it.

    ``losses`` (n,) are the binary cross-entropies in nats of the distinct validation rows, of which
    row i occurs ``count[i]`` times and is about ``group[i]``; None where there are none. Of a table
    that is read in blocks they are those of buckets of rows, and ``other`` (n,) what they were had
    one row of each the other label. ``curve`` maps ``epoch``, ``train_loss`` … to arrays of one
    value per epoch; empty where nothing trained.
    """

    identity: str
    status: Status
    settings: Mapping[str, Value]  # the whole configuration, by dotted name
    metrics: Mapping[str, float]  # by their names in MLflow
    curve: Mapping[str, Array]
    losses: Array | None = None
    count: Array | None = None
    group: Array | None = None
    other: Array | None = None
    data_digest: str = ""
    overrides: tuple[str, ...] = ()
    run_id: str | None = None  # in MLflow
    url: str | None = None
    ended: str | None = None  # epochs, patience, diverged, stopped
    pruned: bool = False  # ended on purpose, as it could not win
    reason: str | None = None  # why it did not finish
    log: str | None = None  # where its output is, with the traceback
    certificate: Certificate | None = None

    @property
    def diverged(self) -> bool:
        """Whether training ended because the loss was no longer finite."""
        return self.ended == "diverged"

    @property
    def is_out_of_fold(self) -> bool:
        """Whether its losses are of the training rows, each by folds that are without it."""
        return self.losses is not None and self.metrics.get("rows/valid") == 0

    @property
    def outcome(self) -> str:
        """How a run that did not finish ended, in one word."""
        if self.pruned:
            return "pruned"
        return "diverged" if self.diverged else self.status.lower()

    @property
    def split(self) -> tuple[int, int]:
        """Which rows validate, of one way to split: the seed of the split, and the fold."""
        seed, fold = self.settings.get("split.seed"), self.settings.get("split.fold")
        return int(seed or 0), int(fold or 0)

    @property
    def seed(self) -> tuple[int, tuple[int, int]]:
        """What distinguishes repeats: the seed of the start, and the split."""
        return int(self.settings.get("seed") or 0), self.split

    @property
    def validation_loss(self) -> float:
        """Mean loss on the validation rows in nats per row; NaN where it is not known."""
        return self.metrics.get(VALID_LOSS, math.nan)


def has_folds(runs: Iterable[Run]) -> bool:
    """Return whether the runs validate on folds of one table."""
    return any("split.fold" in run.settings for run in runs)


def format_repeats(runs: Sequence[Run]) -> str:
    """Return with how many seeds, and on how many folds, the runs were made."""
    if not has_folds(runs):
        return counted(len({run.seed for run in runs}), "seed")
    seeds = counted(len({(start, seed) for start, (seed, _) in (run.seed for run in runs)}), "seed")
    return f"{seeds} of {counted(len({run.split[1] for run in runs}), 'fold')}"


@dataclass(frozen=True)
class Candidate:
    """One configuration: runs that differ in their seeds, or folds, alone."""

    params: Mapping[str, Value]  # those that vary in the set, seeds left out
    runs: tuple[Run, ...]  # FINISHED, by seed
    unfinished: tuple[Run, ...] = ()

    @property
    def n_seeds(self) -> int:
        """How many times it was trained: with how many seeds, of the start or of the split."""
        return len({run.seed for run in self.runs})

    def mean_metric(self, name: str) -> float:
        """Return the mean of a metric over the runs that have it; NaN where none has."""
        values = [run.metrics[name] for run in self.runs if name in run.metrics]
        return float(np.mean(values)) if values else math.nan


@dataclass(frozen=True)
class Leaderboard:
    """What the validation rows say of k candidates; every array is (k,), in nats per row.

    ``tied`` is True where the candidate cannot be distinguished from the best, at the family-wise
    ``confidence`` over all comparisons.
    """

    mean: Array
    low: Array
    high: Array
    deviation: Array  # of the mean over seeds, standard deviation; NaN where there is one seed
    excess: Array  # over the best one
    excess_low: Array  # simultaneous over all pairs
    excess_high: Array
    error: Array  # of the excess, standard error: of this difference alone
    tied: Array  # of bool
    confidence: float


@dataclass(frozen=True)
class Shares:
    """How the variance of the validation loss over a full grid divides: the shares add up to 1.

    ``main`` maps each parameter, ``pairs`` each pair of parameters to its share; ``rest`` is what
    needs three parameters or more, ``seeds`` what repeats of one configuration differ by.
    """

    main: Mapping[str, float]
    pairs: Mapping[tuple[str, str], float]
    rest: float
    seeds: float


@dataclass(frozen=True)
class Comparison:
    """Everything that is known of a set of runs. ``candidates`` and ``board``: the best first."""

    name: str
    varying: tuple[str, ...]  # dotted names of the parameters that vary, seeds left out
    candidates: tuple[Candidate, ...]
    board: Leaderboard | None  # None where no run has validation rows
    shares: Shares | None
    no_shares: str  # why there are no shares; "" where there are
    unfinished: tuple[Run, ...]
    left_out: tuple[tuple[str, int], ...] = ()  # why some runs are not compared, and how many
    sentences: tuple[str, ...] = ()  # what is known, in plain words
    chosen: int | None = None  # position of the candidate that is chosen
    test: Mapping[str, float] | None = None  # figures of the chosen one on the test rows
    test_uses: int = 0  # runs that promotion has judged by them; 0 where none was
    search: Search | None = None  # whose trials the runs are of

    @property
    def finished(self) -> list[Run]:
        """The runs of all candidates, the best candidate first."""
        return [run for candidate in self.candidates for run in candidate.runs]
