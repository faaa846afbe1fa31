"""A search from its words to its end: draw a point, run it on every repeat, keep the mean loss.

A trial is a small sweep: its runs are planned, made, resumed, isolated and published as those of
any other, and stand in the same list of members.
"""

from __future__ import annotations

import gc
import math
import os
import socket
import statistics
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from pipeline import files
from pipeline.compare.comparison import VALID_LOSS
from pipeline.compare.ties import MAX_LOSS
from pipeline.compare.trials import Point, Trial
from pipeline.console.progress import Working
from pipeline.errors import (
    OK,
    ConfigError,
    DataError,
    DiskError,
    StopRequest,
    TrackingError,
    TrainingError,
)
from pipeline.record import read, read_head
from pipeline.sweeps.child import RunReport
from pipeline.sweeps.grid import UNNAMED, Grid
from pipeline.sweeps.host import Host
from pipeline.sweeps.manifest import Member, new_sweep, read_sweep, write_sweep
from pipeline.sweeps.plan import Step, plan
from pipeline.sweeps.pruning import PruningHost
from pipeline.sweeps.publishing import Publishing
from pipeline.sweeps.report import format_failures, report_sweep
from pipeline.sweeps.space import Space, read_space
from pipeline.sweeps.study import FILE, Study
from pipeline.sweeps.sweep import make_missing
from pipeline.sweeps.sweep_progress import SweepProgress
from pipeline.text import counted, redact, say
from pipeline.tracking import check_address

LOCK = ".search_lock"


def run_search(words: Sequence[str]) -> int:
    """Make the trials of a search that are not made yet, and say how they compare."""
    gc.enable()
    stop = StopRequest()
    stop.listen()
    with Working():
        space = _space(words)
    experiments: dict[int, str] = {}  # of runs by number
    with (
        _alone(files.SWEEPS / space.id) as folder,
        Publishing(space.settings.tracking, experiments) as publishing,
    ):
        with Working():
            study = Study(space, folder / FILE)
        say("\n".join(_format(space, study.n_kept)))
        search = _Search(space, words, study, publishing, experiments, stop)
        search.make_trials()
        with Working():
            publisher = publishing.finish()
        say("\n".join(format_failures(search.sweep, search.reports, publishing)))
        code = stop.exit_code or search.exit_code
        try:
            with Working():
                report_sweep(search.sweep, publisher)
        except DiskError as refusal:
            say(str(refusal))
            code = code or refusal.exit_code
    return code


def show_space(words: Sequence[str]) -> int:
    """Say what a search would draw from, and how much of it is left. Nothing is made."""
    with Working():
        space = _space(words)
        n_kept = Study(space, files.SWEEPS / space.id / FILE).n_kept
    say("\n".join(_format(space, n_kept)))
    return OK


def _space(words: Sequence[str]) -> Space:
    space = read_space(words)
    if space.launcher and space.settings.search.prune != "none":
        got = space.settings.search.prune
        raise ConfigError(f"search.prune must be none with a launcher; got {got}")
    if space.settings.sweep.prune != "none":
        raise ConfigError(
            "sweep.prune must be none in a search, which looks for the lowest validation loss; got "
            f"{space.settings.sweep.prune}: search.prune=median"
        )
    check_address(space.settings.tracking)
    return space


def _format(space: Space, n_kept: int) -> list[str]:
    """Return the space in words, and how many trials and runs are left."""
    settings, n_repeats = space.settings.search, space.n_repeats
    name = space.id if space.name == UNNAMED else f"{space.name} ({space.id})"
    each = f" of {n_repeats} runs each ({space.format_repeats()})" if space.repeats else ""
    width = max(len(each.key) for each in space.dimensions)
    left = max(settings.trials - n_kept, 0)
    return [
        f"Search {name}: {counted(settings.trials, 'trial')}{each}, drawn by {settings.name}",
        *(f"  {each.key:{width}}  {each}" for each in space.dimensions),
        f"{counted(n_kept, 'trial')} done already, {left} to make: at most "
        f"{counted(left * n_repeats, 'run')}",
    ]


@contextmanager
def _alone(folder: Path) -> Iterator[Path]:
    """Hold the search, whose folder it is; ConfigError that says which process has it."""
    files.make_private(folder)
    path = folder / LOCK
    descriptor = files.try_lock(path)
    if descriptor is None:
        who = path.read_text(encoding="utf-8").strip() or "another process"
        raise ConfigError(
            f"a search must be made by one process at a time; got it held by {who}: wait until "
            "that has ended"
        )
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield folder
    finally:
        os.close(descriptor)


class _Search:
    """The trials as they are made: ``sweep`` remembers their runs, ``reports`` how those ended."""

    def __init__(
        self,
        space: Space,
        words: Sequence[str],
        study: Study,
        publishing: Publishing,
        experiments: dict[int, str],
        stop: StopRequest,
    ) -> None:
        self._space, self._study, self._stop = space, study, stop
        self._publishing, self._experiments = publishing, experiments
        self._settings = space.settings
        self._host = PruningHost(space.n_repeats) if self._prunes else Host()
        if self._host.warning:
            say(self._host.warning, error=True)
        self._members: list[Member] = []
        self._numbers: dict[str, int] = {}  # of members by identity
        self._failed = 0  # trials
        self.reports: dict[int, RunReport] = {}
        last = read_sweep(files.SWEEPS / space.id)
        self.sweep = new_sweep(space.first, words, last.members if last else (), space.id)
        write_sweep(self.sweep)

    @property
    def _prunes(self) -> bool:
        return self._settings.search.prune != "none"

    @property
    def exit_code(self) -> int:
        """4 if a trial has failed, 5 if a run could not be published, else 0."""
        if self._failed:
            return TrainingError.exit_code
        return TrackingError.exit_code if self._publishing.failed else OK

    def make_trials(self) -> None:
        """Make every trial that is not made yet, until a signal or a failure ends the search."""
        n = self._settings.search.trials
        with SweepProgress(n * self._space.n_repeats, 0) as progress:
            for number in range(n):
                trial = self._trial(number, progress)
                if trial is None:
                    break
                self._study.finish(trial)
                self._failed += trial.ended == "failed"
                if trial.ended == "failed" and self._settings.sweep.on_failure == "stop":
                    break
        say(progress.counts)

    def _trial(self, number: int, progress: SweepProgress) -> Trial | None:
        """Return how the trial ended; None where a signal has ended it."""
        point = self._study.draw(number)
        try:
            steps = self._steps(self._space.grid(point))
        except ConfigError as refusal:
            progress.skip(self._space.n_repeats)
            return Trial(number, point, "failed", reason=str(refusal))
        kept = self._kept(number, steps)
        if kept is not None:
            self._remember(steps[: len(kept.runs)])
            for step in steps[: len(kept.runs)]:
                self._publishing.put(str(step.identity), self.sweep, step.job.number)
            progress.skip(self._space.n_repeats)
            return kept
        self._remember(steps)
        progress.skip(sum(step.is_done for step in steps))
        ended = self._make(steps, progress)
        if ended is None and self._stop.signal is not None:
            return None
        trial = self._ended(number, point, steps, ended)
        progress.skip(len(steps) - len(trial.runs))
        return trial

    def _steps(self, grid: Grid) -> list[Step]:
        """Return what is to be made for a point; a run that an earlier trial has made is that."""
        steps, fresh = [], len(self._members)
        for step in plan(grid, self._host, None):
            if step.refusal is not None:  # the table is that of every trial
                raise DataError(step.refusal.message)
            number = self._numbers.get(str(step.identity), fresh)
            fresh += number == fresh
            steps.append(replace(step, job=replace(step.job, number=number)))
        return steps

    def _kept(self, number: int, steps: Sequence[Step]) -> Trial | None:
        """Return a trial that did not succeed and would be the same again, by what is on file."""
        kept = self._study.kept(number)
        if kept is None or kept.ended == "complete" or not self._settings.sweep.resume:
            return None
        identities = [str(step.identity) for step in steps]
        return kept if [*kept.runs] == identities[: len(kept.runs)] else None

    def _make(self, steps: Sequence[Step], progress: SweepProgress) -> RunReport | None:
        """Make the runs; return the first that did not end as it should, and make none after it."""
        jobs = {step.job.number: step.job for step in steps}
        if isinstance(self._host, PruningHost):
            self._host.repeats = {step.job.number: i for i, step in enumerate(steps)}
        grid = Grid(self.sweep.name, {}, tuple(jobs.values()), 0, self._space.launcher)
        arguments = grid, self.sweep, steps, self._publishing, self._host, self._stop
        with closing(make_missing(*arguments)) as made:
            for report in made:
                self.reports[report.number] = report
                progress.count(report, jobs[report.number].overrides)
                if report.failure is not None:
                    return report
        return None

    def _ended(
        self, number: int, point: Point, steps: Sequence[Step], ended: RunReport | None
    ) -> Trial:
        """Return the trial whose runs have ended, the last of them as ``ended`` if not well."""
        made = [s for s in steps if s.is_done or s.job.number in self.reports]
        runs = tuple(str(step.identity) for step in made)
        if ended is not None and ended.failure is not None:
            self._forget({str(step.identity) for step in steps} - {*runs})
            if ended.is_pruned:
                seen, reason = _seen(runs), ended.failure.message
                return Trial(number, point, "pruned", seen=seen, reason=reason, runs=runs)
            reason = redact(f"{ended.failure.kind}: {ended.failure.message}")
            return Trial(number, point, "failed", reason=reason, runs=runs)
        losses = [read_head(files.RUNS / run).metrics.get(VALID_LOSS, math.nan) for run in runs]
        loss = statistics.fmean(losses)
        if not loss <= MAX_LOSS:
            reason = f"validation loss must be at most {MAX_LOSS:g} nats per row; got {loss:g}"
            return Trial(number, point, "failed", reason=reason, runs=runs)
        if isinstance(self._host, PruningHost):
            for repeat, run in enumerate(runs):
                self._host.pruning.add(repeat, read(files.RUNS / run))
        return Trial(number, point, "complete", loss, runs=runs)

    def _remember(self, steps: Sequence[Step]) -> None:
        """Add the runs to the members of the sweep, unless they are known."""
        for step in steps:
            number = step.job.number
            if number == len(self._members):
                self._members.append(step.member)
                self._numbers[str(step.identity)] = number
                self._experiments[number] = step.job.configuration.tracking.experiment
        if self.sweep.members[: len(self._members)] != tuple(self._members):
            self._write()

    def _forget(self, identities: set[str]) -> None:
        """Take the last members away that were not made."""
        was = tuple(self._members)
        while self._members and self._members[-1].identity in identities:
            del self._numbers[str(self._members.pop().identity)]
        if self.sweep.members == was != tuple(self._members):
            self._write()

    def _write(self) -> None:
        self.sweep = replace(self.sweep, members=tuple(self._members))
        write_sweep(self.sweep)


def _seen(runs: Sequence[str]) -> tuple[int, float]:
    """Return how many epochs the runs made, and the lowest validation loss of the last of them."""
    curves = [read(files.RUNS / run).curve for run in runs]
    epochs = sum(int(curve["epoch"][-1]) for curve in curves)
    return epochs, float(curves[-1]["valid_loss"].min())
