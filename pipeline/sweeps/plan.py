"""A grid becomes a plan: what is done already, what is to run, and why."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline import paths
from pipeline.lineage import COMPUTING
from pipeline.record import Record, RecordError, read, records
from pipeline.sweeps.grid import UNNAMED, Grid, Job, ranges
from pipeline.sweeps.labels import counted
from pipeline.sweeps.manifest import Sweep
from pipeline.sweeps.task import Traced
from pipeline.sweeps.worker import Worker


@dataclass(frozen=True)
class Step:
    """One job of a plan. ``done``: a FINISHED run of it is there; ``why`` it is run again."""

    job: Job
    traced: Traced
    done: Record | None
    why: str = ""

    @property
    def identity(self) -> str | None:
        """The identity of its run; None where the data are refused."""
        return self.traced.identity


def plan(grid: Grid, worker: Worker, last: Sweep | None, *, resume: bool, make: bool) -> list[Step]:
    """A step for each job.

    Parameters
    ----------
    grid
        The jobs.
    worker
        Reads the data.
    last
        The sweep as it was started last, for the reasons.
    resume
        Whether FINISHED runs are taken as they are.
    make
        Whether a table that ships with the project is written where it is missing.
    """
    return [_step(job, worker, last, resume=resume, make=make) for job in grid.jobs]


def _step(job: Job, worker: Worker, last: Sweep | None, *, resume: bool, make: bool) -> Step:
    traced = worker.trace(job.configuration.run_config(), make=make)
    if traced.identity is None:
        return Step(job, traced, None, traced.refusal)
    record, damage = _standing(paths.RUNS / traced.identity)
    if record is not None and record.status == "FINISHED":
        return Step(job, traced, record if resume else None, "" if resume else "resume=false")
    if record is not None:
        return Step(job, traced, None, f"{record.status.lower()} before")
    return Step(job, traced, None, damage or _change(job, traced, last))


def _standing(folder: Path) -> tuple[Record | None, str]:
    """The record in the folder, or what is wrong with it."""
    if not folder.exists():
        return None, ""
    try:
        return read(folder), ""
    except RecordError as error:
        return None, f"record damaged: {str(error).partition(';')[0]}"


def _change(job: Job, traced: Traced, last: Sweep | None) -> str:
    """What has changed since the run of the same configuration in the same sweep."""
    before = last.members[job.number].identity if last else None
    if before is None or before == traced.identity:
        return "interrupted before" if before else ""
    try:
        lineage = read(paths.RUNS / before).lineage
    except RecordError:
        return ""
    old, new = lineage["code_files"], traced.code_files or {}
    changed = sorted(name for name in old | new if old.get(name) != new.get(name))
    reasons = [f"code changed: {', '.join(changed)}"] if changed else []
    if lineage["data_digest"] != traced.data_digest:
        was, now = lineage["data_digest"][:8], traced.data_digest[:8]
        reasons.insert(0, f"data changed: digest {now}, it was {was}")
    versions, earlier = traced.versions or {}, lineage["versions"]
    reasons += [
        f"{name} changed: {versions.get(name)}, it was {earlier.get(name)}"
        for name in ("python", *COMPUTING)
        if versions.get(name) != earlier.get(name)
    ]
    return "; ".join(reasons)


def seconds_each(steps: Sequence[Step]) -> float | None:
    """How long a run of the plan took the records of equally long ones; None without any."""
    epochs = {step.job.configuration.train.epochs for step in steps}
    took = [
        (record.ended_ms - record.started_ms) / 1000
        for record in records(paths.RUNS)
        if record.status == "FINISHED" and record.config["train"]["epochs"] in epochs
    ]
    return statistics.median(took) if took else None


def told(grid: Grid, steps: Sequence[Step], sweep_id: str) -> list[str]:
    """The plan in words."""
    done = [step for step in steps if step.done]
    refused = [step for step in steps if step.identity is None]
    left = len(steps) - len(done) - len(refused)
    axes = " x ".join(f"{len(values)} {key}" for key, values in grid.axes.items())
    runs = counted(len(steps), "run")
    name = sweep_id if grid.name == UNNAMED else f"{grid.name} ({sweep_id})"
    lines = [f"Sweep {name}: {runs}" + (f", {axes}" if axes else "")]
    if grid.repeated:
        lines.append(f"{counted(grid.repeated, 'point')} of the grid repeat others: they run once")
    lines.append(f"{len(done)} done already, {len(refused)} refused, {left} to run")
    reasons: dict[str, list[int]] = {}
    for step in steps:
        if step.why:
            reasons.setdefault(step.why, []).append(step.job.number)
    lines += [f"{why}: number {ranges(numbers)}" for why, numbers in reasons.items()]
    return lines
