"""A multirun from its words to its end: plan it, make what is missing, publish, compare."""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing

from pipeline import files
from pipeline.console.progress import Working
from pipeline.errors import OK, DataError, DiskError, StopRequest, TrackingError, TrainingError
from pipeline.sweeps.child import RunReport
from pipeline.sweeps.grid import Grid, Job, expand
from pipeline.sweeps.host import Host, preparation
from pipeline.sweeps.incumbents import Incumbents, by_promise
from pipeline.sweeps.manifest import Sweep, new_sweep, read_sweep, sweep_id, write_sweep
from pipeline.sweeps.paths import Paths, place_on_path
from pipeline.sweeps.plan import Step, format_jobs, format_plan, plan
from pipeline.sweeps.publishing import Publishing
from pipeline.sweeps.report import format_failures, report_sweep
from pipeline.sweeps.sweep_progress import SweepProgress
from pipeline.text import say
from pipeline.tracking import check_address

BUSY_POLL_S = 0.5
FINAL = ("DataError", "TrainingError", "ConfigError", "Repeat")  # failures that would come again


def run_sweep(words: Sequence[str]) -> int:
    """Make every run of a multirun that is not done yet, and say how they compare."""
    gc.enable()
    stop = StopRequest()
    stop.listen()
    with Working():
        grid = expand(words)
    check_address(grid.settings.tracking)
    experiments = {job.number: job.configuration.tracking.experiment for job in grid.jobs}
    with Publishing(grid.settings.tracking, experiments) as publishing:
        host = Host()
        if host.warning:
            say(host.warning, error=True)
        with Working():
            steps, known = _plan(grid, host)
        sweep = new_sweep(grid, words, [step.member for step in steps])
        write_sweep(sweep)
        with closing(make_missing(grid, sweep, steps, publishing, host, stop, known)) as made:
            reports = _follow(grid, steps, made)
        with Working():
            publisher = publishing.finish()
        say("\n".join([*known.incumbents.lines(), *format_failures(sweep, reports, publishing)]))
        code = stop.exit_code or _exit_code(reports, publishing)
        try:
            with Working():
                report_sweep(sweep, publisher)
        except DiskError as refusal:
            say(str(refusal))
            code = code or refusal.exit_code
    return code


def show_plan(words: Sequence[str]) -> int:
    """Say what a multirun would do. Nothing is made."""
    gc.enable()
    with Working():
        grid = expand(words)
        check_address(grid.settings.tracking)
        steps, _ = _plan(grid, Host(writes=False))
    say("\n".join(format_jobs(steps)))
    return DataError.exit_code if any(step.refusal for step in steps) else OK


class _Known:
    """What finished runs of the sweep are to others: optima to begin at, an objective to reach."""

    def __init__(self, grid: Grid) -> None:
        self.paths, self.incumbents = Paths(), Incumbents(grid)

    def add(self, job: Job, identity: str) -> None:
        """Take a run that has ended."""
        self.paths.add(job, identity)
        self.incumbents.add(job, identity)


def _known(grid: Grid, steps: Sequence[Step]) -> _Known:
    known = _Known(grid)
    for step in steps:
        if step.is_done:
            known.add(step.job, str(step.identity))
    return known


def _plan(grid: Grid, host: Host) -> tuple[list[Step], _Known]:
    number = sweep_id(grid)
    steps = plan(grid, host, read_sweep(files.SWEEPS / number))
    known = _known(grid, steps)
    steps = known.incumbents.keep_pruned(steps)
    say("\n".join(format_plan(grid, steps, number)))
    return steps, known


def make_missing(
    grid: Grid,
    sweep: Sweep,
    steps: Sequence[Step],
    publishing: Publishing,
    host: Host,
    stop: StopRequest,
    known: _Known | None = None,
) -> Generator[RunReport]:
    """Yield how each run ended that is not done, after the last of its attempts; publish all."""
    known = known or _known(grid, steps)
    for step in steps:
        if step.is_done:
            publishing.put(str(step.identity), sweep, step.job.number)
    yield from (RunReport(s.job.number, "FAILED", None, s.refusal) for s in steps if s.refusal)
    by_number = {step.job.number: step.job for step in steps}
    jobs = _in_order([step.job for step in steps if step.is_left])
    for retries in range(grid.settings.sweep.retry, -1, -1):
        again = []
        for report in _attempt(grid, sweep, jobs, host, stop, known):
            if report.identity is not None:
                publishing.put(report.identity, sweep, report.number)
            if retries and _may_end_otherwise(report):
                again.append(by_number[report.number])
            else:
                yield report
        jobs = again
        if jobs:
            publishing.flush()  # the record of an attempt is replaced by the next one's


def _in_order(jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs so that what they share is made once, and what helps others comes first."""
    if jobs and jobs[0].configuration.sweep.prune != "none":
        return by_promise(jobs)

    def place(job: Job) -> tuple[str, float]:
        return preparation(job.configuration), -(place_on_path(job.configuration) or 0)

    return sorted(jobs, key=place)


def _may_end_otherwise(report: RunReport) -> bool:
    failure = report.failure
    return report.status == "FAILED" and failure is not None and failure.kind not in FINAL


def _attempt(
    grid: Grid, sweep: Sweep, jobs: Sequence[Job], host: Host, stop: StopRequest, known: _Known
) -> Iterator[RunReport]:
    """Yield how each job ended; those that another process makes are waited for."""
    if grid.has_launcher:
        from pipeline.sweeps.launcher import launch

        yield from launch(jobs, sweep, grid.launcher, stop)
        return
    waiting = deque(jobs)
    while waiting and stop.signal is None:
        job = waiting.popleft()
        prune, start = known.incumbents.prune(job, host), known.paths.start(job)
        report = host.run(job, sweep.log(job.number), stop, prune, start)
        if report is not None:
            if report.identity is not None:
                known.add(job, report.identity)
            yield report
        else:
            waiting.append(job)
            time.sleep(BUSY_POLL_S / len(waiting))


def _follow(grid: Grid, steps: Sequence[Step], made: Iterator[RunReport]) -> dict[int, RunReport]:
    """Show how the runs end; return their reports by number."""
    reports: dict[int, RunReport] = {}
    with SweepProgress(len(steps), sum(step.is_done for step in steps)) as progress:
        for report in made:
            reports[report.number] = report
            progress.count(report, grid.jobs[report.number].overrides)
            if report.status == "FAILED" and grid.settings.sweep.on_failure == "stop":
                break
    say(progress.counts)
    return reports


def _exit_code(reports: dict[int, RunReport], publishing: Publishing) -> int:
    """Return 4 if a run failed, 5 if one could not be published, else 0."""
    if any(report.failed for report in reports.values()):
        return TrainingError.exit_code
    return TrackingError.exit_code if publishing.failed else OK
