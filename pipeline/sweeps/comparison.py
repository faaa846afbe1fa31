"""What a comparison of runs is made of: runs, candidates (their repeats), and what is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nn.arrays import Array
from pipeline.run import Status
from pipeline.stages.certify import Verdict

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Run:
    """A run of the set, as its record tells it.

    ``losses`` (n,) are the binary cross-entropies in nats of the distinct validation rows, of which
    row i occurs ``count[i]`` times; None where there are none. ``curve`` maps ``epoch``,
    ``train_cost``, ``valid_cost`` … to arrays of one value per epoch; empty where nothing trained.
    """

    identity: str
    status: Status
    settings: Mapping[str, Value]  # the whole configuration, by dotted name
    metrics: Mapping[str, float]  # by their names in MLflow
    curve: Mapping[str, Array]
    losses: Array | None = None
    count: Array | None = None
    data_digest: str = ""
    overrides: tuple[str, ...] = ()
    run_id: str | None = None  # in MLflow
    url: str | None = None
    ended: str | None = None  # epochs, patience, diverged, stopped
    reason: str | None = None  # why it did not finish
    log: str | None = None  # where its output is, with the traceback
    verdict: Verdict | None = None  # of its certificate; None where it has none
    separated_on: tuple[str, ...] = ()  # inputs whose weights would grow without end

    @property
    def diverged(self) -> bool:
        """Whether training ended because the cost was no longer finite."""
        return self.ended == "diverged"

    @property
    def seed(self) -> tuple[int, int]:
        """What tells repeats apart: the seed of the start and the seed of the split."""
        start, split = self.settings.get("seed"), self.settings.get("split.seed")
        return int(start or 0), int(split or 0)


def worth(runs: Iterable[Run]) -> float:
    """How many independent rows a validation row is worth, of several splits side by side.

    Splits deal the same table anew. A row is held out by each of m splits with the probability v,
    its luck is the same each time, and so the variance of a mean over all of them is
    1 + (m - 1) v times that of as many rows that are all different.
    """
    splits = {run.seed[1]: run.settings.get("split.valid") for run in runs}
    shares = [v for v in splits.values() if isinstance(v, int | float) and 0 < v < 1]
    share = max(shares, default=1.0) if len(shares) == len(splits) else 1.0
    return 1 / (1 + max(len(splits) - 1, 0) * share)


@dataclass(frozen=True)
class Candidate:
    """One configuration: runs that differ in their seeds alone."""

    params: Mapping[str, Value]  # those that vary in the set, seeds left out
    runs: tuple[Run, ...]  # FINISHED, by seed
    unfinished: tuple[Run, ...] = ()


@dataclass(frozen=True)
class Leaderboard:
    """What the validation rows say of k candidates; every array is (k,), in nats per row.

    ``tied`` is True where the candidate cannot be told apart from the best, at the family-wise
    ``confidence`` over all comparisons.
    """

    mean: Array
    low: Array
    high: Array
    deviation: Array  # of the mean over seeds, standard deviation; NaN where there is one seed
    excess: Array  # over the best one
    excess_low: Array  # simultaneous over all pairs
    excess_high: Array
    tied: Array  # of bool
    confidence: float


@dataclass(frozen=True)
class Shares:
    """How the variance of a response over a full grid divides, exactly: the shares add up to 1.

    ``main`` maps each parameter, ``pairs`` each pair of parameters to its share; ``rest`` is what
    needs three parameters or more, ``seeds`` what repeats of one configuration differ by.
    """

    main: Mapping[str, float]
    pairs: Mapping[tuple[str, str], float]
    rest: float
    seeds: float


@dataclass(frozen=True)
class Comparison:
    """Everything that is told about a set of runs. ``candidates`` and ``board``: the best first."""

    name: str
    varying: tuple[str, ...]  # dotted names of the parameters that vary, seeds left out
    candidates: tuple[Candidate, ...]
    board: Leaderboard | None  # None where no run has validation rows
    shares: Shares | None
    no_shares: str  # why there are no shares; "" where there are
    unfinished: tuple[Run, ...]
    left_out: tuple[tuple[str, int], ...] = ()  # why some runs are not compared, and how many
    sentences: tuple[str, ...] = ()  # what is known, in plain words
    chosen: int | None = None  # position of the candidate that a tie is broken for
    test: Mapping[str, float] | None = None  # figures of the chosen one on the test rows
