"""A process that makes runs, each in a child of its own: whatever a run does, it does to itself.

It reads questions from standard input and answers on standard output, a line each. What runs have
in common (the rows, the parts, the encoded examples) it makes once, before it forks, so that every
child has it. A child raises, exits, crashes, hangs or runs out of memory alone; whether its run is
done is decided by the record that it committed, and where it left none, one is committed that says
how it ended. This process ends with the one that asks.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import json
import os
import resource
import selectors
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NoReturn

from pipeline import paths
from pipeline.config import DataSettings, RunConfig
from pipeline.errors import OK, PipelineError, TrainingError, disk_error
from pipeline.lineage import surroundings, trace
from pipeline.record import CommitError, Record, RecordError, read, write
from pipeline.redact import redact
from pipeline.reuse import Reuse
from pipeline.run import Failure, RunResult, Stopped, run
from pipeline.shipped import TABLES, write_if_missing
from pipeline.signals import StopRequest
from pipeline.stages.read import Rows, read_rows
from pipeline.stages.train import train
from pipeline.summary import summarise
from pipeline.sweeps.task import Outcome, Task, Traced

CODE = TrainingError.exit_code
PR_SET_PDEATHSIG = 1  # of linux/prctl.h


def main() -> None:
    """Answer questions until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that asks decides when to stop
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not look like an answer
    host = _Host()
    while (question := host.next_question()) is not None:
        if "stop" in question:  # for a run that has ended meanwhile
            continue
        answer = host.trace(question) if "trace" in question else host.run(question["run"])
        answers.write(json.dumps(asdict(answer)) + "\n")
        answers.flush()


@functools.cache
def _preload() -> None:
    """Import what a run imports when it comes to it: a child would do it again each time."""
    import sklearn.metrics  # noqa: F401
    import yaml  # noqa: F401

    from pipeline.validation_report import template

    template()
    gc.collect()
    gc.freeze()  # children share what stands until now


class _Host:
    def __init__(self) -> None:
        self._reuse = Reuse()
        self._pending = b""
        self._reuse(surroundings)

    def next_question(self) -> dict[str, Any] | None:
        """The next line of standard input; None where there will be none."""
        while b"\n" not in self._pending:
            chunk = os.read(0, 1 << 20)
            if not chunk:
                return None
            self._pending += chunk
        line, _, self._pending = self._pending.partition(b"\n")
        question: dict[str, Any] = json.loads(line)
        return question

    def trace(self, question: dict[str, Any]) -> Traced:
        """The identity of a configuration on its data as they are now."""
        config = RunConfig.parse(question["trace"])
        try:
            if question["make"]:
                write_if_missing(config.data.path)
            reader = _rows if config.data.path in TABLES and not question["make"] else read_rows
            rows = self._reuse(reader, config.data)
        except PipelineError as error:
            return Traced(None, refusal=redact(str(error)), exit_code=error.exit_code)
        lineage = trace(config, rows.digest, self._reuse(surroundings))
        return Traced(lineage.identity, rows.digest, lineage.code_files, lineage.versions)

    def run(self, tree: dict[str, Any]) -> Outcome:
        """Make the run in a child; how it ended."""
        _preload()
        task = Task.from_tree(tree)
        begun, before = time.monotonic(), self._reuse.reused.copy()
        try:
            run(task.config, call=self._prepare)
            rows = self._reuse(read_rows, task.config.data)
        except PipelineError as error:
            told = redact(str(error))
            kind = type(error).__name__
            return Outcome(task.number, "FAILED", None, kind, told, error.exit_code)
        lineage = trace(task.config, rows.digest, self._reuse(surroundings))
        blank = RunResult(task.config, lineage, status="FAILED")
        stood = _attempt(task, blank)
        outcome = self._outcome(task, blank, stood, *self._child(task))
        reused = self._reuse.reused - before
        return replace(outcome, seconds=time.monotonic() - begun, reused=dict(reused))

    def _prepare(self, stage: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call what comes before training, and no more."""
        if stage is train:
            raise Stopped
        return self._reuse(stage, *args, **kwargs)

    def _child(self, task: Task) -> tuple[str, int]:
        """What the child that made the run said, and how it ended; -SIGXCPU: it took too long."""
        ours, its = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(ours)
            _make(task, self._reuse, its)
        os.close(its)
        try:
            in_time = self._wait(pid, ours, task.timeout_s)
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            said = os.read(ours, 1 << 16).decode() if in_time else ""
        finally:
            os.close(ours)
        return said, code if in_time else -signal.SIGXCPU

    def _wait(self, pid: int, ours: int, timeout_s: float | None) -> bool:
        """Wait for the child's last words or its end; False where it had to be killed."""
        deadline = time.monotonic() + timeout_s if timeout_s is not None else None
        with selectors.DefaultSelector() as selector:
            selector.register(ours, selectors.EVENT_READ)
            selector.register(0, selectors.EVENT_READ)
            while True:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                ready = {key.fd for key, _ in selector.select(left)}
                if not ready:
                    os.kill(pid, signal.SIGKILL)
                    return False
                if 0 in ready:
                    self._interrupted(pid)
                if ours in ready:
                    return True

    def _interrupted(self, pid: int) -> None:
        """A line while the child runs asks it to stop; the end of the input ends us both."""
        question = self.next_question()
        if question is None:
            os.kill(pid, signal.SIGKILL)
            sys.exit(OK)
        os.kill(pid, question["stop"])

    def _outcome(
        self, task: Task, blank: RunResult, stood: str | None, said: str, code: int
    ) -> Outcome:
        """What the record says; one is made where the child left none.

        It is the child's if the child named it, or if another one stood there before.
        """
        record = _record_of(task, blank)
        told = json.loads(said) if said else {}
        if record is None or record.attempt not in (told.get("attempt"), _new(record, stood)):
            blank.failure = failure = _ending(task, code, told)
            if record is None or record.status != "FINISHED":
                record = _write(task, blank)
            failed = failure.kind, failure.message, CODE
            return Outcome(task.number, "FAILED", record.identity if record else None, *failed)
        if told.get("difference"):
            return Outcome(task.number, "FAILED", record.identity, "Repeat", told["difference"], 1)
        why = record.failure
        ended = (why.kind, why.message, why.exit_code) if why else ("", "", OK)
        return Outcome(task.number, record.status, record.identity, *ended)


def _rows(data: DataSettings) -> Rows:
    """The rows of a table that ships; where it is not there yet, of a copy that does not stay."""
    if (paths.PROJECT / data.path).exists():
        return read_rows(data)
    with tempfile.NamedTemporaryFile(suffix=Path(data.path).suffix) as copy:
        copy.write(TABLES[data.path]())
        copy.flush()
        return read_rows(data.model_copy(update={"path": copy.name}))


def _record_of(task: Task, blank: RunResult) -> Record | None:
    try:
        return read(task.runs / blank.lineage.identity)
    except RecordError:
        return None


def _attempt(task: Task, blank: RunResult) -> str | None:
    """Which attempt is on record."""
    record = _record_of(task, blank)
    return record.attempt if record else None


def _new(record: Record, stood: str | None) -> str | None:
    return record.attempt if record.attempt != stood else None


def _write(task: Task, result: RunResult) -> Record | None:
    """The record of the result; None where the disk is full: the outcome tells it."""
    try:
        return write(result, task.runs, overrides=task.overrides, experiment=task.experiment)
    except CommitError:
        return None


def _ending(task: Task, code: int, told: dict[str, Any]) -> Failure:
    """Why there is no record, from its last words or from how the process ended."""
    if "message" in told:
        return Failure(told["kind"], told["message"], None, CODE)
    if code == -signal.SIGXCPU:
        why = f"run must end within sweep.timeout_s={task.timeout_s:g} s; it was killed"
        return Failure("Timeout", why, None, CODE)
    if code < 0:
        name = signal.Signals(-code).name
        hint = ", by a person or for lack of memory" if -code == signal.SIGKILL else ""
        why = f"run must leave a record; it was ended by signal {-code} ({name}){hint}"
        return Failure(name, why, None, CODE)
    why = f"run must leave a record; it ended itself with exit code {code} and no result"
    return Failure("Exit", why, None, CODE)


def _make(task: Task, reuse: Reuse, its: int) -> NoReturn:
    """In the child: make the run, commit its record, say which, and end."""
    code = 1
    try:
        _end_with_parent()
        _to_log(task)
        stop = StopRequest()
        stop.listen()
        record, difference = _run_and_commit(task, reuse, stop)
        os.write(its, json.dumps({"attempt": record.attempt, "difference": difference}).encode())
        code = OK
    except SystemExit as request:
        code = request.code if isinstance(request.code, int) else int(request.code is not None)
    except (PipelineError, OSError) as error:  # of the disk: there is no record to tell it
        why = disk_error(error, "the run") if isinstance(error, OSError) else error
        told = {"kind": type(why or error).__name__, "message": redact(str(why or error))}
        os.write(its, json.dumps(told).encode())
        with contextlib.suppress(OSError):
            traceback.print_exc()
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code & 0xFF)


def _run_and_commit(task: Task, reuse: Reuse, stop: StopRequest) -> tuple[Record, str]:
    started_ms = time.time_ns() // 1_000_000
    print(f"{' '.join(task.overrides)}\n", flush=True)
    with _memory(task.memory_mb):
        result = run(task.config, lambda _: stop.signal is not None, reuse)
    if result.status == "KILLED" and stop.signal:
        told = f"ended by {stop.signal.name}; what it had learned is kept"
        result.failure = Failure(stop.signal.name, told, None, stop.exit_code)
    if result.failure and result.failure.kind.endswith("MemoryError"):  # NumPy has its own
        limit = f" sweep.memory_mb={task.memory_mb} MiB" if task.memory_mb else " what there is"
        told = f"out of memory: a run must need less than{limit}"
        result.failure = Failure("OutOfMemory", told, result.failure.traceback, CODE)
    record = write(
        result,
        task.runs,
        overrides=task.overrides,
        experiment=task.experiment,
        started_ms=started_ms,
    )
    print(redact(summarise(result)))
    if result.failure:
        print(redact(f"\n{result.failure.traceback or ''}{result.failure.message}"))
    again = record.repeat
    same = again is None or again.identical or again.elsewhere  # another machine rounds otherwise
    return record, "" if same or again is None else f"not the same: {again.difference}"


def _end_with_parent() -> None:
    """Have the kernel kill this process when its parent ends, however that ends. On Linux."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))


@contextlib.contextmanager
def _memory(limit_mb: int | None) -> Iterator[None]:
    """Hold the address space to so many MiB; what a failure needs is there again afterwards."""
    if limit_mb is None:
        yield
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit_mb * 2**20, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _to_log(task: Task) -> None:
    """Send what the child prints to its log."""
    log = os.open(task.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)


if __name__ == "__main__":
    main()
