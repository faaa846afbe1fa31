"""A grid becomes a plan: what is done already, what is to run, and why."""

from __future__ import annotations

import statistics
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pipeline import files
from pipeline.config.contract import DataSettings
from pipeline.errors import Failure, PipelineError, failure_of
from pipeline.record import RecordError, heads, read, read_head
from pipeline.record.identity import Lineage
from pipeline.record.reproduce import causes
from pipeline.sweeps.grid import UNNAMED, Grid, Job, ranges
from pipeline.sweeps.host import Host
from pipeline.sweeps.manifest import Member, Sweep
from pipeline.text import counted

SHOWN = 60  # jobs of a plan
LOOKED_AT = 200  # runs, the last that were made, for how long one takes


@dataclass(frozen=True)
class Step:
    """One job of a plan, and why it is to be made; ``refusal``: its data cannot be read."""

    job: Job
    identity: str | None = None
    is_done: bool = False  # a FINISHED run of it is there
    why: str = ""
    refusal: Failure | None = None

    @property
    def is_left(self) -> bool:
        """Whether the run is to be made."""
        return not self.is_done and self.refusal is None

    @property
    def member(self) -> Member:
        """What the sweep remembers of it."""
        job, message = self.job, self.refusal.message if self.refusal else ""
        return Member(job.number, job.overrides, self.identity, message)


def plan(grid: Grid, host: Host, last: Sweep | None) -> list[Step]:
    """Return a step for each job; ``last`` is the sweep as it was started last, for the reasons."""
    before = {member.number: member.identity for member in last.members} if last else {}
    there = {path.name for path in files.RUNS.iterdir()} if files.RUNS.is_dir() else set()
    digests: dict[int, str | PipelineError] = {}  # of the data, which many jobs share
    steps = []
    for job in grid.jobs:
        data = job.configuration.data
        if id(data) not in digests:
            digests[id(data)] = _digest(host, data)
        steps.append(_step(job, host, digests[id(data)], before.get(job.number), there))
    return steps


def _digest(host: Host, data: DataSettings) -> str | PipelineError:
    try:
        return host.digest(data)
    except PipelineError as refusal:
        return refusal


def _step(
    job: Job, host: Host, digest: str | PipelineError, before: str | None, there: Container[str]
) -> Step:
    if isinstance(digest, PipelineError):
        return Step(job, why=str(digest), refusal=failure_of(digest))
    identity = host.identity(job.configuration, digest)
    status, why = _standing(identity) if identity in there else ("", "")
    if status == "FINISHED":
        is_done = job.configuration.sweep.resume
        return Step(job, identity, is_done, "" if is_done else "resume=false")
    if not why and before == identity:
        why = "interrupted before"
    elif not why and before is not None and before in there:
        why = _change(before, host.trace(job.config, digest))
    return Step(job, identity, why=why)


def _standing(identity: str) -> tuple[str, str]:
    """Return the status of the record that stands there, and why it does not do."""
    try:
        record = read(files.RUNS / identity)
    except RecordError as error:
        return "", f"record damaged: {str(error).partition(';')[0]}"
    how = "pruned" if record.failure and record.failure.is_pruned else record.status.lower()
    return record.status, f"{how} before"


def _change(before: str, lineage: Lineage) -> str:
    """Return what has changed since the run of the same configuration in the same sweep."""
    try:
        was = read_head(files.RUNS / before).lineage.model_dump()
    except RecordError:
        return ""
    now = lineage.model_dump() | {"blas_threads": was["blas_threads"]}
    changes = [
        cause for cause in causes(was, now) if not cause.startswith("platform")
    ]  # no reason to repeat
    return "; ".join(cause.replace(":", " changed:", 1) for cause in changes)


def format_plan(grid: Grid, steps: Sequence[Step], sweep_id: str) -> list[str]:
    """Return the plan in words: the grid, how much is left of it, and why."""
    n_done, n_left = sum(step.is_done for step in steps), sum(step.is_left for step in steps)
    axes = " x ".join(f"{n} {key}" for key, n in grid.axes.items())
    name = sweep_id if grid.name == UNNAMED else f"{grid.name} ({sweep_id})"
    lines = [f"Sweep {name}: {counted(len(steps), 'run')}" + (f", {axes}" if axes else "")]
    if grid.repeated:
        lines.append(f"{counted(grid.repeated, 'point')} of the grid repeat others: they run once")
    n_refused = len(steps) - n_done - n_left
    lines.append(f"{n_done} done already, {n_refused} refused, {n_left} to run")
    reasons: dict[str, list[int]] = {}
    for step in steps:
        if step.why:
            reasons.setdefault(step.why, []).append(step.job.number)
    return lines + [f"{why}: number {ranges(numbers)}" for why, numbers in reasons.items()]


def format_jobs(steps: Sequence[Step]) -> list[str]:
    """Return a line for each run that is to be made, and how long all of them may take."""
    left = [step.job for step in steps if step.is_left]
    lines = [f"{job.number:6}  {' '.join(job.overrides)}" for job in left[:SHOWN]]
    if len(left) > SHOWN:
        lines.append(f"        … and {len(left) - SHOWN} more")
    epochs = {job.configuration.train.epochs for job in left}
    seconds = [
        (head.ended_ms - head.started_ms) / 1000
        for head in heads(newest=LOOKED_AT)
        if head.status == "FINISHED" and head.config["train"]["epochs"] in epochs
    ]
    if left and seconds:
        each = timedelta(seconds=round(statistics.median(seconds) * len(left)))
        lines.append(f"about {each} (h:mm:ss), as runs of as many epochs took")
    return lines
