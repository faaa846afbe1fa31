"""How far a sweep is: one live line on a terminal, a plain line for each run in a log."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

from pipeline.redact import redact
from pipeline.sweeps.task import Outcome


class Tally:
    """Counts the runs of a sweep and shows how many are done, and how long the rest will take."""

    def __init__(self, total: int, skipped: int, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._total = total
        self._skipped = skipped
        self._done = 0
        self._failed = 0
        self._begun = time.monotonic()
        self._width = 0

    @property
    def left(self) -> int:
        """Runs that have not ended yet."""
        return self._total - self._skipped - self._done - self._failed

    def count(self, outcome: Outcome, overrides: tuple[str, ...], figures: str) -> None:
        """Count a run that has ended, and say so."""
        if outcome.status == "FINISHED":
            self._done += 1
        else:
            self._failed += 1
        told = figures if outcome.status == "FINISHED" else f"{outcome.status}: {outcome.message}"
        if not self._live or outcome.status != "FINISHED":
            self.clear()
            place = f"[{self._total - self.left:{len(str(self._total))}}/{self._total}]"
            line = redact(f"{place} {' '.join(overrides)}: {told}".replace("\n", "; "))
            print(line, file=self._stream, flush=True)
        self.show()

    def show(self) -> None:
        """Write the live line anew."""
        if not self._live:
            return
        line = f"{self.line()}"[: shutil.get_terminal_size().columns - 1]
        self._stream.write("\r" + line.ljust(self._width))
        self._stream.flush()
        self._width = len(line)

    def line(self) -> str:
        """The counts, and the time to go once a run has told how long one takes."""
        counts = (
            f"{self._done} done, {self._failed} failed, {self._skipped} skipped, {self.left} left"
        )
        ended = self._done + self._failed
        if not ended or not self.left:
            return counts
        seconds = (time.monotonic() - self._begun) / ended * self.left
        return f"{counts}, {clock(seconds)} to go"

    def clear(self) -> None:
        """Leave no trace of the live line."""
        if self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()
            self._width = 0


def clock(seconds: float) -> str:
    """The time as a person reads it."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
