"""A line about what takes longer than a second: on a terminal alone, and no trace of it remains.

What the process is doing is read off the stack of its main thread: nothing that computes reports,
waits or knows of it. Only epochs are counted where they are watched anyway.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, Self, TextIO

from pipeline.console.tty import is_terminal

if TYPE_CHECKING:
    from rich.progress import Progress

QUIET_S = 1.0  # of work before the line appears
EVERY_S = 0.2  # between two changes of it
# The outermost of these modules, or of the packages, on the stack says what is done.
PHASES = {
    "pipeline.stages.read": "reading the table",
    "pipeline.stages.validate": "checking the rows",
    "pipeline.stages.blocks.open": "reading the table",
    "pipeline.stages.blocks.survey": "reading the table in blocks",
    "pipeline.stages.blocks.checked": "checking the rows",
    "pipeline.stages.blocks.prepare": "splitting and encoding the blocks",
    "pipeline.stages.blocks.judge": "evaluating on test rows",
    "pipeline.stages.split": "splitting the rows",
    "pipeline.stages.encode": "encoding the rows",
    "pipeline.stages.copies": "looking for copies",
    "pipeline.stages.drift": "comparing train with test",
    "pipeline.stages.infer": "estimating effects",
    "pipeline.stages.penalty": "choosing the penalty on folds",
    "pipeline.stages.balance": "weighing the classes",
    "pipeline.stages.train": "training",
    "pipeline.stages.certify": "certifying the optimum",
    "pipeline.stages.threshold": "choosing the threshold",
    "pipeline.stages.evaluate": "evaluating on test rows",
    "pipeline.stages.optimism": "refitting on bootstrap samples",
    "pipeline.stages.explain": "explaining the neuron",
    "pipeline.stages.surface": "drawing the objective",
    "pipeline.stages.predict": "scoring rows",
    "pipeline.draft": "drafting the contract",
    "pipeline.record.write": "writing the record",
    "pipeline.record.read": "reading records",
    "pipeline.record.find": "looking for the run",
    "pipeline.record.transfer": "checking the record",
    "pipeline.record.reproduce": "training the run again",
    "pipeline.report": "drawing the page",
    "pipeline.tracking.fetch": "fetching runs from MLflow",
    "pipeline.tracking.registry": "asking the registry of MLflow",
    "pipeline.tracking": "publishing to MLflow",
    "pipeline.compare.monitor": "scoring the file",
    "pipeline.compare": "comparing runs",
    "pipeline.sweeps.grid": "composing the grid",
    "pipeline.sweeps.plan": "looking for runs that are done",
    "pipeline.sweeps.publishing": "publishing to MLflow",
    "pipeline.sweeps.report": "comparing runs",
}
Count = tuple[int, int, Callable[[], str]]  # done, in all, and what else is to be said
_shown: list[Working] = []


def count(done: int, total: int, said: Callable[[], str]) -> None:
    """Count what the main thread does, as epochs; ``said`` is called where the line is shown."""
    for working in _shown:
        working.counted = done, total, said


def hide() -> None:
    """Take the line away, as something is to be printed; it comes back after a second."""
    for working in _shown:
        working.hide()


class Working:
    """Shows what this thread does; a ``with`` statement leaves no trace of it.

    Nothing may be forked in it: a thread draws the line.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._worker = threading.get_ident()
        self._ended, self._lock = threading.Event(), threading.Lock()
        self._thread: threading.Thread | None = None
        self._bar: Progress | None = None
        self._due = 0.0
        self.counted: Count | None = None

    def __enter__(self) -> Self:
        if is_terminal(self._stream):
            self.hide()
            self._thread = threading.Thread(target=self._draw, daemon=True)
            self._thread.start()
            _shown.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            _shown.remove(self)
            self._ended.set()
            self._thread.join()
            self.hide()

    def hide(self) -> None:
        """Take the line away for a second."""
        with self._lock:
            self._due = time.monotonic() + QUIET_S
            if self._bar is not None:
                self._bar.stop()
                self._bar = None

    def _draw(self) -> None:
        while not self._ended.wait(EVERY_S):
            phase = phase_of(sys._current_frames().get(self._worker))
            with self._lock:
                if phase and time.monotonic() > self._due:
                    self._show(phase)

    def _show(self, phase: str) -> None:
        if phase == PHASES["pipeline.stages.train"] and self.counted:
            done, total, said = self.counted
            self._update(f"epoch {done:,} of {total:,}, {said()}", done, total)
        else:
            self._update(phase, 0, None)

    def _update(self, text: str, done: int, total: int | None) -> None:
        if self._bar is not None and self._bar.tasks[0].total != total:
            self._bar.stop()
            self._bar = None
        if self._bar is None:
            from pipeline.console.bar import Terminal, counting, spinning

            console = Terminal(file=self._stream, force_terminal=True)
            self._bar = counting(console, text, total) if total else spinning(console, text)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], description=text, completed=done, refresh=True)


def phase_of(frame: FrameType | None) -> str:
    """Return which of PHASES a stack is in, the outermost one; "" for none."""
    found = ""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith("pipeline.") and frame.f_code.co_name == "<module>":
            found = ""  # a module is imported: what it would do is not done yet
        else:
            found = _phase(name) or found
        frame = frame.f_back
    return found


def _phase(module: str) -> str:
    """Return the phase of a module, or of the package that it is in."""
    while module.startswith("pipeline.") and module not in PHASES:
        module = module.rpartition(".")[0]
    return PHASES.get(module, "")
