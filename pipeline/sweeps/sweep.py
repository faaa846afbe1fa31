"""A multirun from its words to its end: plan it, make what is missing, publish, compare."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from pipeline import disk, paths
from pipeline.config import SweepSettings
from pipeline.errors import OK, DataError, DiskError, TrackingError, TrainingError
from pipeline.record import Record, RecordError, read
from pipeline.record.reading import read_unverified
from pipeline.redact import redact
from pipeline.signals import StopRequest
from pipeline.sweeps.claims import Claims
from pipeline.sweeps.conclude import conclude
from pipeline.sweeps.grid import expand
from pipeline.sweeps.manifest import Member, Sweep, new_sweep, read_sweep, sweep_id, write_sweep
from pipeline.sweeps.plan import Step, plan, seconds_each, told
from pipeline.sweeps.publishing import Parcel, Publishing
from pipeline.sweeps.tally import Tally, clock
from pipeline.sweeps.task import Outcome, Task
from pipeline.sweeps.worker import Worker
from pipeline.tracking import check_address

BUSY_POLL_S = 0.5
SHOWN = 60  # jobs of a plan
# What the same configuration, data and code would do again.
FINAL = ("DataError", "TrainingError", "ConfigError", "Repeat")


def show_plan(words: Sequence[str]) -> int:
    """Say what a multirun would do. Nothing is made."""
    grid = expand(words)
    settings = grid.jobs[0].configuration
    check_address(settings.tracking)
    number = sweep_id(grid)
    with Worker() as worker:
        last = read_sweep(paths.SWEEPS / number)
        steps = plan(grid, worker, last, resume=settings.sweep.resume, make=False)
    print(redact("\n".join(told(grid, steps, number))))
    todo = [step for step in steps if step.done is None and step.identity]
    for step in todo[:SHOWN]:
        print(redact(f"{step.job.number:6}  {' '.join(step.job.overrides)}"))
    if len(todo) > SHOWN:
        print(f"        … and {len(todo) - SHOWN} more")
    each = seconds_each(todo)
    if todo and each is None:
        print("how long it will take is not known: no run of as many epochs has finished yet")
    elif todo and each is not None:
        print(f"about {clock(each * len(todo))}, as runs of as many epochs took")
    return DataError.exit_code if any(step.identity is None for step in steps) else OK


def run_sweep(words: Sequence[str]) -> int:
    """Make every run of a multirun that is not done yet, and say how they compare."""
    stop = StopRequest()
    stop.listen()
    grid = expand(words)
    settings = grid.jobs[0].configuration
    check_address(settings.tracking)
    number = sweep_id(grid)
    logs = paths.SWEEPS / number / "logs"
    disk.make_private(logs)
    last = read_sweep(logs.parent)
    with Publishing(settings.tracking) as publishing, Worker(logs / "worker.log") as worker:
        steps = plan(grid, worker, last, resume=settings.sweep.resume, make=True)
        sweep = new_sweep(grid, words, [_member(step) for step in steps])
        write_sweep(sweep)
        print(redact("\n".join(told(grid, steps, number))), flush=True)
        conductor = Conductor(sweep, steps, publishing, stop)
        conductor.run(worker, grid.launcher)
        publishing.finish()
        sweep = conductor.remembered()
        print(conductor.report(), end="", flush=True)
        code = stop.exit_code or conductor.exit_code()
        try:
            conclude(sweep, publishing.publisher())
        except DiskError as refusal:
            print(redact(str(refusal)))
            code = code or refusal.exit_code
    return code


class Conductor:
    """Makes the runs of a sweep that are not done; knows how each of them ended."""

    def __init__(
        self, sweep: Sweep, steps: Sequence[Step], publishing: Publishing, stop: StopRequest
    ) -> None:
        self._sweep = sweep
        self._steps = {step.job.number: step for step in steps}
        self._settings: SweepSettings = steps[0].job.configuration.sweep
        self._publishing = publishing
        self._stop = stop
        self._claims = Claims(paths.RUNS)
        self._reused: Counter[str] = Counter()
        self._halted = False
        self._attempt = 0
        self.outcomes: dict[int, Outcome] = {}  # of those that are over; done ones are not in here
        done = [step for step in steps if step.done]
        self._tally = Tally(len(steps), len(done))
        for step in done:
            self._publish(step, step.identity)

    def run(self, worker: Worker, launcher: Sequence[str]) -> None:
        """Make what is to be made, and what failed again as often as the settings say."""
        for step in self._steps.values():
            if step.identity is None:
                self._ended(_refused(step))
        todo = [s for s in self._steps.values() if s.done is None and s.identity is not None]
        while todo and not self._over:
            self._round(todo, worker, launcher)
            todo = [step for step in todo if step.job.number not in self.outcomes]
            self._attempt += 1
            self._publishing.flush()  # the record of an attempt makes way for the next one's
        self._tally.clear()
        self._claims.close()

    def remembered(self) -> Sweep:
        """The sweep with what became of its runs, as it is written."""
        members = [
            replace(m, message=o.message) if (o := self.outcomes.get(m.number)) else m
            for m in self._sweep.members
        ]
        sweep = replace(self._sweep, members=tuple(members))
        with suppress(OSError):  # a full disk: the report is told all the same
            write_sweep(sweep)
        return sweep

    def report(self) -> str:
        """What is left to be said of the runs: reuse, failures, what was not published."""
        lines = [self._tally.line()]
        if self._reused:
            counts = ", ".join(f"{name} {n} times" for name, n in self._reused.most_common())
            lines.append(f"computed once and reused: {counts}")
        failed = [o for o in self.outcomes.values() if o.status != "FINISHED"]
        lines += [line for outcome in failed for line in self._failure(outcome)]
        messages = {outcome.message for outcome in failed}
        if len(failed) > 1 and len(messages) == 1 and len(failed) == len(self._steps):
            lines.append("every run failed with the same error: look at what they have in common")
        if self._publishing.failed:
            n, why = len(self._publishing.failed), next(iter(self._publishing.failed.values()))
            lines.append(f"{n} runs were not published: {why.splitlines()[0]}")
            lines.append("their records are kept; publish them with: make sync")
        return redact("\n".join(lines)) + "\n"

    def exit_code(self) -> int:
        """4 if a run failed, 5 if one could not be published, else 0."""
        if any(outcome.status != "FINISHED" for outcome in self.outcomes.values()):
            return TrainingError.exit_code
        return TrackingError.exit_code if self._publishing.failed else OK

    @property
    def _over(self) -> bool:
        return self._halted or self._stop.signal is not None

    def _round(self, todo: Sequence[Step], worker: Worker, launcher: Sequence[str]) -> None:
        """One attempt at each step; those that another process makes are waited for."""
        waiting = deque(todo)
        if any("hydra/launcher" in word for word in launcher):
            waiting = deque(self._launched(todo, launcher))
        while waiting and not self._over:
            step = waiting.popleft()
            if self._claims.take(str(step.identity)):
                self._make(step, worker)
                self._claims.release(str(step.identity))
            else:
                waiting.append(step)
                time.sleep(BUSY_POLL_S / len(waiting))

    def _make(self, step: Step, worker: Worker) -> None:
        if not self._made_meanwhile(step):
            self._ended(worker.run(self._task(step), self._stop))

    def _launched(self, todo: Sequence[Step], launcher: Sequence[str]) -> list[Step]:
        """Have a launcher make the steps; those that are another process's are given back."""
        from pipeline.sweeps.launcher import launch

        mine = [step for step in todo if self._claims.take(str(step.identity))]
        tasks = [self._task(step) for step in mine if not self._made_meanwhile(step)]
        launch(tasks, launcher, self._sweep.folder / "launcher", self._stop, self._ended)
        for step in mine:
            self._claims.release(str(step.identity))
        return [step for step in todo if step not in mine]

    def _made_meanwhile(self, step: Step) -> bool:
        """Whether another process has finished the run since it was planned."""
        record = _finished(str(step.identity)) if self._settings.resume else None
        if record is None:
            return False
        self._ended(Outcome(step.job.number, "FINISHED", record.identity))
        return True

    def _task(self, step: Step) -> Task:
        configuration = step.job.configuration
        return Task(
            step.job.number,
            configuration.run_config(),
            step.job.overrides,
            configuration.tracking.experiment,
            paths.RUNS,
            self._sweep.folder / "logs" / _log(step.job.number),
            self._settings.timeout_s,
            self._settings.memory_mb,
        )

    def _ended(self, outcome: Outcome) -> bool:
        """Take note of how a run ended; whether to go on with others."""
        step = self._steps[outcome.number]
        if outcome.identity is not None:
            self._publish(step, outcome.identity)
        self._reused.update(outcome.reused or {})
        failed = outcome.status == "FAILED"
        if failed and outcome.kind not in FINAL and self._attempt < self._settings.retry:
            return True  # it has another attempt
        self.outcomes[outcome.number] = outcome
        self._tally.count(outcome, step.job.overrides, _figures(outcome))
        self._halted = self._halted or (failed and self._settings.on_failure == "stop")
        return not self._halted

    def _publish(self, step: Step, identity: str | None) -> None:
        tags = {
            "oneuron.sweep": self._sweep.id,
            "oneuron.sweep_name": self._sweep.name,
            "oneuron.job": str(step.job.number),
            f"oneuron.sweep.{self._sweep.id}": str(step.job.number),
        }
        self._publishing.put(Parcel(paths.RUNS / str(identity), self._sweep.id, tags))

    def _failure(self, outcome: Outcome) -> list[str]:
        step = self._steps[outcome.number]
        what = " ".join(step.job.overrides) or "the run"
        kind = f"{outcome.kind}: " if outcome.kind else ""
        first, *more = outcome.message.splitlines() or [""]
        lines = [f"{outcome.status} {what}", f"    {kind}{first}", *(f"    {m}" for m in more[:3])]
        log = self._sweep.folder / "logs" / _log(outcome.number)
        if log.exists():
            lines.append(f"    log {_short(str(log))}")
        published = self._publishing.published.get(paths.RUNS / str(outcome.identity))
        if published:
            lines.append(f"    MLflow {published.url or 'run ' + published.run_id}")
        return lines


def _member(step: Step) -> Member:
    log = _log(step.job.number)
    message = step.traced.refusal
    return Member(step.job.number, step.job.overrides, step.identity, message, log)


def _refused(step: Step) -> Outcome:
    refusal, code = step.traced.refusal, step.traced.exit_code
    return Outcome(step.job.number, "FAILED", None, "DataError", refusal, code)


def _finished(identity: str) -> Record | None:
    try:
        record = read(paths.RUNS / identity)
    except RecordError:
        return None
    return record if record.status == "FINISHED" else None


def _figures(outcome: Outcome) -> str:
    """The costs that a finished run ended with."""
    if outcome.status != "FINISHED":
        return ""
    metrics = read_unverified(paths.RUNS / str(outcome.identity)).metrics
    names = {"train": "train/best_cost", "valid": "valid/best_cost"}
    costs = [f"{part} cost {metrics[name]:.4f}" for part, name in names.items() if name in metrics]
    return ", ".join([*costs, f"{outcome.seconds:.2f} s"])


def _log(number: int) -> str:
    return f"{number:05}.log"


def _short(path: str) -> str:
    return path.removeprefix(f"{paths.PROJECT}/")
