"""One live line about a long training, on a terminal; nothing in a log."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import Self, TextIO

from nn import Epoch

QUIET = 1.0  # seconds of training before the first line
EVERY = 0.2  # seconds between two lines


class Progress:
    """Shows epochs on a terminal as they pass; a ``with`` statement leaves no trace of it there."""

    def __init__(self, epochs: int, stream: TextIO | None = None) -> None:
        self._epochs = epochs
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._begun: float | None = None
        self._shown = 0.0
        self._width = 0

    def show(self, epoch: Epoch) -> None:
        """Show the epoch, if it is time to."""
        if not self._live:
            return
        now = time.monotonic()
        if self._begun is None:
            self._begun = now
        if now - self._begun < QUIET or now - self._shown < EVERY:
            return
        self._shown = now
        left = (now - self._begun) / max(epoch.number, 1) * (self._epochs - epoch.number)
        self._write(
            f"epoch {epoch.number:,} of {self._epochs:,}, {_costs(epoch)}, {_clock(left)} left"
        )

    def clear(self) -> None:
        """Leave no trace on the terminal."""
        if self._width:
            self._write("")
            self._stream.write("\r")
            self._stream.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.clear()

    def _write(self, line: str) -> None:
        line = line[: shutil.get_terminal_size().columns - 1]  # one that wraps could not be cleared
        self._stream.write("\r" + line.ljust(self._width))
        self._stream.flush()
        self._width = len(line)


def _costs(epoch: Epoch) -> str:
    valid = "" if epoch.valid_cost != epoch.valid_cost else f", valid {epoch.valid_cost:.4f}"
    return f"train cost {epoch.train_cost:.4f}{valid}"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
