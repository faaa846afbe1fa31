"""A run that provably cannot reach the lowest training objective of its sweep is ended early.

The bound is of the objective itself, loss and penalty on the rows that train, which is convex. A
validation loss has no such bound: what prunes by it is a heuristic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from nn import Epoch, Examples
from nn.arrays import Array
from pipeline import files
from pipeline.config.schema import RunConfig
from pipeline.errors import ConfigError, PipelineError
from pipeline.record import Head, RecordError, read_head
from pipeline.stages.balance import balance
from pipeline.stages.bounds import duality_gap, minimum, rounding
from pipeline.stages.outcome import Prepared
from pipeline.stages.penalty import auto_l2
from pipeline.sweeps.child import Prune, never
from pipeline.sweeps.grid import Grid, Job
from pipeline.sweeps.host import Host, preparation
from pipeline.sweeps.plan import Step
from pipeline.text import redact

# Passes over the rows, as an epoch is one: what a bound costs. It may take a tenth of training.
GAP, PART = 12, 10
NEWTON_STEPS, PRODUCTS = 12, 10  # a pass takes so many times as long with a Hessian: 1 + d / 10
CLEAR = 1e-9  # nats per row, more than rounding, by which the bound must be above


@dataclass(frozen=True)
class Incumbent:
    """The run that has the lowest training objective, in nats per row, of those on its rows."""

    identity: str
    objective: float
    overrides: tuple[str, ...] = ()

    def is_out_of_reach(self, bound: float) -> bool:
        """Return whether an objective that is never below ``bound`` is always above this one."""
        return bound > self.objective + CLEAR

    @property
    def text(self) -> str:
        """The objective and whose it is, in words."""
        what, name = f"training objective {self.objective:.6g} nats per row", self.identity[:12]
        return redact(f"{what}: run {name}, {' '.join(self.overrides)}")


class Incumbents:
    """The lowest training objectives of a sweep, each of the runs that train on the same rows.

    A bound that one run has proven serves all that minimise the same objective, whatever their
    optimiser and seed. There are no objectives where ``sweep.prune`` is none. Raise ConfigError if
    a launcher makes the runs.
    """

    def __init__(self, grid: Grid) -> None:
        self._is_on = grid.settings.sweep.prune != "none"
        self._resumes = grid.settings.sweep.resume
        self._lowest: dict[str, Incumbent] = {}
        self._bounds: dict[str, float] = {}  # by objective
        if self._is_on and grid.has_launcher:
            rule = "sweep.prune must be none with a launcher, whose runs do not wait for each other"
            raise ConfigError(f"{rule}; got objective: sweep.prune=none")

    def lines(self) -> list[str]:
        """Return what the lowest objectives are, for people."""
        return [f"{'Lowest':10}{incumbent.text}" for incumbent in self._lowest.values()]

    def add(self, job: Job, identity: str) -> None:
        """Take what this run has proven, and its objective if it FINISHED and is the lowest."""
        head = _head(identity) if self._is_on else None
        if head is None or (head.status != "FINISHED" and not _is_pruned(head)):
            return
        objective, digest = head.metrics["train/best_objective"], head.lineage.data_digest
        place, same = _rows(job.config, digest), _objective(job.config, digest)
        self._bounds[same] = max(_proven(head), self._bounds.get(same, -math.inf))
        if head.status != "FINISHED":
            return
        made = Incumbent(identity, objective, job.overrides)
        lowest = self._lowest.setdefault(place, made)
        if made.objective < lowest.objective:
            self._lowest[place] = made

    def keep_pruned(self, steps: Sequence[Step]) -> list[Step]:
        """Return the plan in which a run that was pruned is done, while one is there to lose to."""
        if not (self._is_on and self._resumes):
            return [*steps]
        return [
            replace(step, is_done=True) if step.is_left and self._is_lost(step) else step
            for step in steps
        ]

    def _is_lost(self, step: Step) -> bool:
        job, head = step.job, _head(str(step.identity))
        if head is None or not _is_pruned(head):
            return False
        self.add(job, str(step.identity))
        incumbent = self._lowest.get(_rows(job.config, head.lineage.data_digest))
        return incumbent is not None and incumbent.is_out_of_reach(_proven(head))

    def prune(self, job: Job, host: Host) -> Prune:
        """Return what ends the run when it cannot reach the lowest objective so far."""
        if not self._lowest:
            return never
        try:
            prepared = host.prepare(job.config)
        except PipelineError:  # which the run will meet
            return never
        incumbent = self._lowest.get(_rows(job.config, prepared.data_digest))
        if incumbent is None or not isinstance(prepared, Prepared) or job.config.train.l2 == "cv":
            return never
        if not prepared.examples:  # rows in blocks: a bound would be a pass over the files
            return never
        rows = balance(prepared.examples[0], job.config.train.class_weight).rows
        l2 = job.config.train.l2
        known = self._bounds.get(_objective(job.config, prepared.data_digest), -math.inf)
        return Bound(rows, auto_l2(rows) if isinstance(l2, str) else l2, incumbent, known)


class Bound:
    """Asked after every epoch whether the objective can still fall to that of the incumbent.

    ``known`` is what was proven before. At epochs 128, 256, 512, … it computes the duality gap of
    the neuron as it is; and once, when that takes a tenth of the time so far, the optimum by
    Newton's method.
    """

    def __init__(
        self, rows: Examples, l2: float, incumbent: Incumbent, known: float = -math.inf
    ) -> None:
        self._rows, self._l2, self._incumbent, self._known = rows, l2, incumbent, known
        passes = NEWTON_STEPS * (1 + rows.X.shape[1] / PRODUCTS)
        self._next, self._last = float(2 ** (GAP * PART).bit_length()), math.ceil(PART * passes)

    def __call__(self, epoch: Epoch) -> str:
        """Return why the run is pruned; "" where it goes on."""
        lowest, by = self._known, "by a run with the same objective"
        if not self._incumbent.is_out_of_reach(lowest):
            if epoch.number < self._next:
                return ""
            lowest, by = self._lowest(epoch), f"at epoch {epoch.number:,}"
        if not self._incumbent.is_out_of_reach(lowest):
            return ""
        name, objective = self._incumbent.identity[:12], self._incumbent.objective
        rule = f"objective must be able to fall to {objective:.6g} nats per row, as of run {name}"
        return f"{rule}; got {lowest:.6g} at the least, proven {by}"

    @np.errstate(all="ignore")
    def _lowest(self, epoch: Epoch) -> float:
        """Return what no objective is below; minus infinity or NaN where that is not known."""
        if self._next < self._last:
            self._next = min(2 * self._next, self._last)
            return lower_bound(epoch.theta, epoch.objective, self._rows, self._l2)
        self._next = math.inf
        with suppress(np.linalg.LinAlgError):  # numbers that overflow
            return minimum(epoch.theta, self._rows, self._l2).lower
        return -math.inf


def lower_bound(theta: Array, objective: float, rows: Examples, l2: float) -> float:
    """Return what no objective is below, by the dual at ``theta``; minus infinity without l2."""
    return objective - duality_gap(theta, rows, l2) - rounding(theta, rows, l2)


def by_promise(jobs: Iterable[Job]) -> list[Job]:
    """Return the jobs in an order in which a low objective is likely to come first.

    The weakest penalty of each preparation, with the highest learning rate, comes before all else.
    """
    ordered = sorted(jobs, key=lambda job: (preparation(job.config), *_promise(job.config)))
    first = {preparation(job.config): job.number for job in reversed(ordered)}
    return sorted(ordered, key=lambda job: first[preparation(job.config)] != job.number)


def _promise(config: RunConfig) -> tuple[float, float]:
    l2 = config.train.l2
    return 0.0 if isinstance(l2, str) else l2, -getattr(config.optimiser, "learning_rate", 1e9)


def _rows(config: RunConfig, digest: str) -> str:
    """Return what is equal for runs whose objectives can be compared."""
    train = config.train
    return f"{digest} {config.data!r} {config.split!r} {train.rows} {train.class_weight}"


def _objective(config: RunConfig, digest: str) -> str:
    """Return what is equal for runs that minimise the same objective."""
    return f"{_rows(config, digest)} {config.encode!r} {config.train.l2}"


def _is_pruned(head: Head) -> bool:
    return head.failure is not None and head.failure.is_pruned


def _proven(head: Head) -> float:
    """Return what no objective is below, by the certificate of a run that minimises it."""
    bound = head.certificate.bound if head.certificate else None
    return -math.inf if bound is None else head.metrics["train/best_objective"] - bound


def _head(identity: str) -> Head | None:
    try:
        return read_head(files.RUNS / identity)
    except RecordError:
        return None
