"""MLflow in a process of its own, which imports it and opens the store while the neuron trains.

The record is on disk when it is published, so a folder's name is all that goes over, and the run's
identity in MLflow is all that comes back. Nothing that trains waits for a tracker, a crash of one
is not a crash of the other, and a server that hangs costs ``PATIENCE_S`` at most.
"""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

from pipeline import paths
from pipeline.config import TrackingSettings
from pipeline.errors import PipelineError, TrackingError
from pipeline.record import Record, read
from pipeline.redact import redact
from pipeline.tracking import (
    Published,
    Summary,
    check_address,
    close_orphans,
    kept,
    open_store,
    publish,
    publish_summary,
)

PATIENCE_S = 15.0  # for a server's whole answer; a store on this machine is waited for


class Publisher:
    """Publishes records to one store; to be used in a ``with`` statement."""

    def __init__(self, settings: TrackingSettings) -> None:
        self._settings = settings
        self._patience = None if check_address(settings).path else PATIENCE_S
        # In a session of its own: Ctrl-C is for the run, which still has to be published.
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pipeline.publisher"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._questions = cast(IO[bytes], self._process.stdin)
        self._answers = cast(IO[bytes], self._process.stdout)
        self._silent = False
        self._send(settings.model_dump_json())  # not an argument: it may hold a password

    def publish(self, record: Record, tags: Mapping[str, str] | None = None) -> Published:
        """The run of ``record`` in the store, with these ``tags`` beside its own.

        Raises
        ------
        TrackingError
            If the store fails, does not answer in time or brings its process down.
        """
        return self._asked(
            {"record": str(record.path), "tags": dict(tags or {})},
            f"\n{kept(record, self._settings)}",
        )

    def summarise(self, summary: Summary) -> Published:
        """The run that holds the summary, in the store.

        Raises
        ------
        TrackingError
            As ``publish``.
        """
        return self._asked({"summary": asdict(summary)}, "")

    def _asked(self, question: dict[str, Any], cure: str) -> Published:
        self._send(json.dumps(question))
        answer = self._receive()
        if answer is None:
            raise TrackingError(f"MLflow must answer; {self._silence()}{cure}")
        if "refusal" in answer:
            raise TrackingError(answer["refusal"])
        return Published(**answer)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()  # it has answered, or nothing is wanted of it any more
        self._process.communicate()

    def _send(self, line: str) -> None:
        try:
            self._questions.write(line.encode() + b"\n")
            self._questions.flush()
        except BrokenPipeError:  # it has died; no answer will say so
            return

    def _silence(self) -> str:
        """Why there is no answer. It is not waited for again: it would be taken for the next."""
        if self._silent:
            return "it did not for an earlier run, and was not asked again"
        self._silent = True
        with suppress(subprocess.TimeoutExpired):
            return f"its process ended, exit code {self._process.wait(timeout=1)}"
        self._process.kill()
        return f"got silence for {self._patience:.0f} s"

    def _receive(self) -> dict[str, Any] | None:
        if self._silent:
            return None
        with selectors.DefaultSelector() as selector:
            selector.register(self._answers, selectors.EVENT_READ)
            if not selector.select(self._patience):
                return None
        line = self._answers.readline()
        return dict(json.loads(line)) if line else None


def main() -> None:
    """Publish each record and summary that standard input names, until it ends."""
    first = sys.stdin.readline()
    if not first:  # whoever started us has gone
        return
    settings = TrackingSettings.parse(json.loads(first))
    answers = sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever a library prints must not look like an answer
    with suppress(Exception):  # a first look, while the neuron trains; publishing says why not
        close_orphans(open_store(settings), paths.RUNS)
    with suppress(BrokenPipeError):  # nobody wants the answer any more
        for line in sys.stdin:
            answer = _answer(json.loads(line), settings)
            answers.write(json.dumps(answer).encode() + b"\n")
            answers.flush()


def _answer(question: dict[str, Any], settings: TrackingSettings) -> dict[str, Any]:
    try:
        if "summary" in question:
            return asdict(publish_summary(Summary(**question["summary"]), settings))
        return asdict(publish(read(Path(question["record"])), settings, question["tags"]))
    except PipelineError as refusal:
        return {"refusal": str(refusal)}
    except Exception as error:  # of MLflow, which is told on a line; the record is kept
        told = " ".join(f"{type(error).__name__}: {error}".split())
        return {"refusal": f"MLflow must publish the run; got {redact(told)[:300]}: make sync"}


if __name__ == "__main__":
    main()
