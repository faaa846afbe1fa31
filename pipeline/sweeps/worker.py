"""The other end of ``isolation``: asks a process to make runs, and survives whatever it does."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from pipeline.config import RunConfig
from pipeline.errors import TrainingError
from pipeline.signals import StopRequest
from pipeline.sweeps.task import Outcome, Task, Traced

POLL_S = 0.1
GRACE_S = 10.0  # beyond the limit of a run, for what surrounds it


class Worker:
    """Makes runs, one at a time, in processes of their own; to be used in a ``with`` statement.

    ``log`` takes what the process prints that no run does; None: nothing does.
    """

    def __init__(self, log: Path | None = None) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def trace(self, config: RunConfig, *, make: bool) -> Traced:
        """What the identity of a run of ``config`` follows from; ``make``: its table if it ships.

        Data that cannot be read are no error here: the answer says why.
        """
        self._ask({"trace": config.model_dump(), "make": make})
        answer = self._answer(None, StopRequest())
        if answer is None:
            return Traced(None, refusal=f"data must be readable; {self._died()}", exit_code=3)
        return Traced(**answer)

    def run(self, task: Task, stop: StopRequest) -> Outcome:
        """Make the run. SIGTERM and SIGHUP go on to it; Ctrl-C does not: it is to end in peace."""
        begun = time.monotonic()
        self._ask({"run": json.loads(task.to_json())})
        limit = None if task.timeout_s is None else task.timeout_s + GRACE_S
        answer = self._answer(limit, stop)
        if answer is None:
            return Outcome(
                task.number, "FAILED", None, "Worker", f"run must be prepared; {self._died()}",
                TrainingError.exit_code, time.monotonic() - begun,
            )  # fmt: skip
        return Outcome(**answer)

    def __enter__(self) -> Self:
        self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the process; a run that it makes ends with it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def _start(self) -> None:
        log = os.open(self._log or os.devnull, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "pipeline.sweeps.isolation"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the one who asks
            )
        finally:
            os.close(log)

    def _ask(self, question: dict[str, Any]) -> None:
        if self._process is None or self._process.poll() is not None:
            self._start()
        questions = cast(IO[bytes], cast(subprocess.Popen[bytes], self._process).stdin)
        try:
            questions.write(json.dumps(question).encode() + b"\n")
            questions.flush()
        except BrokenPipeError:  # it has died; the answer will say so
            return

    def _answer(self, limit: float | None, stop: StopRequest) -> dict[str, Any] | None:
        """The next line of the process; None where it died or took longer than ``limit`` s."""
        process = cast(subprocess.Popen[bytes], self._process)
        answers = cast(IO[bytes], process.stdout)
        deadline = None if limit is None else time.monotonic() + limit
        told = False
        with selectors.DefaultSelector() as selector:
            selector.register(answers, selectors.EVENT_READ)
            while not selector.select(POLL_S):
                if deadline is not None and time.monotonic() > deadline:
                    process.kill()
                    return None
                if stop.signal not in (None, signal.SIGINT) and not told:
                    self._ask({"stop": stop.signal})
                    told = True
        line = answers.readline()
        return dict(json.loads(line)) if line else None

    def _died(self) -> str:
        """How the process ended; the next question starts another one."""
        process, self._process = cast(subprocess.Popen[bytes], self._process), None
        code = process.wait()
        process.communicate()
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"its process ended with {how}"
