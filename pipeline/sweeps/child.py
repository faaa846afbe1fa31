"""One run in a child of its own: whatever it does, it does to itself.

A child raises, exits, crashes, hangs or runs out of memory alone, and ends with its parent. It is
forked, so that it has what its parent prepared.
"""

from __future__ import annotations

import ctypes
import gc
import math
import multiprocessing
import os
import resource
import signal
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from pathlib import Path

from nn import Epoch
from pipeline import files
from pipeline.errors import (
    OK,
    PRUNED,
    SIGNALS,
    Failure,
    PipelineError,
    StopRequest,
    TrainingError,
    disk_error,
    failure_of,
)
from pipeline.record import Record, write
from pipeline.record.identity import Environment
from pipeline.report.terminal import summarise
from pipeline.run import learn
from pipeline.stages.outcome import Outcome, Prepared, Refused, Status
from pipeline.stages.train import Start
from pipeline.sweeps.grid import Job
from pipeline.text import say

POLL_S = 0.1  # how soon a signal is passed on
GRACE_S = 10.0  # for a child to end that has said how its run did
PR_SET_PDEATHSIG = 1  # of linux/prctl.h
FORK = multiprocessing.get_context("fork")

# Asked after every epoch: why the run is pruned, "" where it goes on. It is asked in the child.
Prune = Callable[[Epoch], str]


def never(_: Epoch) -> str:
    """Prune no run."""
    return ""


@dataclass(frozen=True)
class Attempt:
    """A run that is to be made now, and all that its record says of that but the outcome."""

    job: Job
    log: Path
    here: Environment
    started_ms: int
    prune: Prune = never
    start: Start | None = None

    def write(self, outcome: Outcome) -> Record:
        """Commit the record of the run."""
        return write(
            outcome,
            here=self.here,
            overrides=self.job.overrides,
            experiment=self.job.configuration.tracking.experiment,
            started_ms=self.started_ms,
        )


@dataclass(frozen=True)
class RunReport:
    """How a run ended, as its committed record says; without one, ``identity`` is None."""

    number: int
    status: Status
    identity: str | None
    failure: Failure | None = None
    figures: str = ""  # the losses that it ended with
    seconds: float = 0.0
    saved: int = 0  # epochs that were not made, of a run that was pruned

    @property
    def is_pruned(self) -> bool:
        """Whether the run was ended because it could not win."""
        return self.failure is not None and self.failure.is_pruned

    @property
    def failed(self) -> bool:
        """Whether the run ended otherwise than it should."""
        return self.failure is not None and not self.is_pruned


def run_failure(kind: str, message: str) -> Failure:
    """Return the failure of one run among many."""
    return Failure(kind, message, None, TrainingError.exit_code)


def report_of(number: int, record: Record) -> RunReport:
    """Return how the run ended that left the record; other bits than before are a failure."""
    repeat = record.repeat
    if repeat and repeat.is_error:
        failure = run_failure("Repeat", f"bits must be the same again; got {repeat.difference}")
        return RunReport(number, "FAILED", record.identity, failure)
    metrics = record.head.metrics
    losses = {part: metrics.get(f"{part}/best_loss") for part in ("train", "valid")}
    figures = [f"{part} loss {loss:.4f}" for part, loss in losses.items() if loss is not None]
    report = RunReport(number, record.status, record.identity, record.failure, ", ".join(figures))
    return replace(report, saved=epochs_saved(record)) if report.is_pruned else report


def epochs_saved(record: Record) -> int:
    """Return how many epochs of its configuration the run did not make."""
    return int(record.config["train"]["epochs"] - record.curve["epoch"][-1])


def run_in_child(
    attempt: Attempt, prepared: Prepared | Refused, stop: StopRequest
) -> RunReport | Failure:
    """Make the run; return what the child reports, or how it ended without a word.

    SIGTERM and SIGHUP are passed on to it. Ctrl-C is not: it is to end in peace.
    """
    receiver, sender = FORK.Pipe(duplex=False)
    child = FORK.Process(target=_make, args=(sender, attempt, prepared))
    _start(child)
    sender.close()
    limit_s = attempt.job.configuration.sweep.timeout_s
    with receiver:
        in_time = _wait(receiver, child, limit_s, stop)
        try:
            report: RunReport | Failure | None = receiver.recv() if in_time else None
        except EOFError:
            report = None
    child.join(GRACE_S if in_time else 0)
    child.kill()
    child.join()
    return report or _ending(child.exitcode or 0, None if in_time else limit_s)


def _start(child: ForkProcess) -> None:
    """Start the child; a signal that comes before it listens waits until it does."""
    import sklearn.metrics  # noqa: F401  (or each child would)
    import yaml  # noqa: F401

    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    with warnings.catch_warnings():
        # Python 3.12 warns of forking next to threads: ours only waits for the publisher's answer.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)


def _wait(
    receiver: Connection, child: ForkProcess, timeout_s: float | None, stop: StopRequest
) -> bool:
    """Wait until the child has reported or ended; return False where it took too long."""
    deadline = time.monotonic() + (timeout_s or math.inf)
    passed_on = False
    while not receiver.poll(POLL_S):
        if time.monotonic() > deadline:
            return False
        if stop.signal not in (None, signal.SIGINT) and not passed_on:
            os.kill(child.pid or 0, stop.signal)
            passed_on = True
    return True


def _ending(code: int, limit_s: float | None) -> Failure:
    """Return why there is no report: how the process ended, or the limit that it ran into."""
    if limit_s is not None:
        rule = f"run must end within sweep.timeout_s={limit_s:g} s"
        return run_failure("Timeout", f"{rule}; it was killed")
    if code < 0:
        name = signal.Signals(-code).name
        hint = ", by a person or for lack of memory" if -code == signal.SIGKILL else ""
        return run_failure(name, f"run must leave a record; got signal {-code} ({name}){hint}")
    return run_failure("Exit", f"run must leave a record; got exit code {code} and no record")


def _make(sender: Connection, attempt: Attempt, prepared: Prepared | Refused) -> None:
    """Make the run in this child, commit its record and report it."""
    gc.freeze()  # or collecting would copy the parent's memory
    os.setsid()  # the terminal's signals are for the parent
    end_with_parent()
    stop = StopRequest()
    stop.listen()
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    try:
        _print_to(attempt.log)
        say(f"{' '.join(attempt.job.overrides)}\n")
        outcome = _learn(attempt, prepared, stop)
        record = attempt.write(outcome)
    except (PipelineError, OSError) as error:  # of the disk: there is no record to hold it
        refusal = disk_error(error, "the run") if isinstance(error, OSError) else None
        sender.send(failure_of(refusal or error))
    else:
        report = report_of(attempt.job.number, record)
        if outcome.status != "FINISHED":  # the record may be older
            report = replace(report, status=outcome.status, failure=outcome.failure)
        sender.send(report)
        say(summarise(outcome))
        if outcome.status != "FINISHED":
            say(f"\n{outcome.failure.traceback or ''}{outcome.failure.message}")


def _learn(attempt: Attempt, prepared: Prepared | Refused, stop: StopRequest) -> Outcome:
    job, pruned = attempt.job, list[str]()

    def watch(epoch: Epoch) -> bool:
        if reason := attempt.prune(epoch):
            pruned.append(reason)
        return bool(pruned) or stop.signal is not None

    limit_mb = job.configuration.sweep.memory_mb
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = soft if limit_mb is None else limit_mb * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    outcome = learn(prepared, job.config, watch, attempt.start)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))  # the record needs memory, too
    if outcome.status == "KILLED":
        failure = Failure(PRUNED, pruned[0], None, OK) if pruned else stop.failure
        return replace(outcome, failure=failure)
    if outcome.status == "FAILED" and outcome.failure.kind.endswith("MemoryError"):
        rule = "less than there is" if limit_mb is None else f"at most sweep.memory_mb={limit_mb}"
        failure = run_failure("OutOfMemory", f"memory of a run must be {rule}; got more")
        return replace(outcome, failure=replace(failure, traceback=outcome.failure.traceback))
    return outcome


def end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, however that ends. On Linux."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))
    parent = multiprocessing.parent_process()
    if parent is not None and os.getppid() != parent.pid:  # it has ended already
        os._exit(1)


def _print_to(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, files.PRIVATE_FILE)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
