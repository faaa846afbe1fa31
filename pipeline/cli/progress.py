"""A bar about a long training, on a terminal; nothing in a log."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Self, TextIO

from nn import Epoch

if TYPE_CHECKING:
    from rich.progress import Progress

QUIET_S = 1.0  # of training before the bar appears
EVERY_S = 0.2  # between two changes of it


class TrainingProgress:
    """Shows epochs on a terminal as they pass; a ``with`` statement leaves no trace of it there."""

    def __init__(self, epochs: int, stream: TextIO | None = None) -> None:
        self._epochs = epochs
        self._stream = stream or sys.stderr
        self._is_live = self._stream.isatty()
        self._due = time.monotonic() + QUIET_S
        self._bar: Progress | None = None

    def show(self, epoch: Epoch) -> None:
        """Show the epoch, if it is time to."""
        if not self._is_live or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + EVERY_S
        self._bar = self._bar or self._started()
        task = self._bar.task_ids[0]
        self._bar.update(task, completed=epoch.number, losses=_losses(epoch), refresh=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def _started(self) -> Progress:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        text = "epoch {task.completed:,.0f} of {task.total:,.0f}, {task.fields[losses]}"
        bar = Progress(
            TextColumn(text),
            BarColumn(),
            TimeRemainingColumn(),
            console=Console(file=self._stream),
            transient=True,
            auto_refresh=False,
        )
        bar.add_task("", total=self._epochs, losses="")
        bar.start()
        return bar


def _losses(epoch: Epoch) -> str:
    has_valid = epoch.valid_loss == epoch.valid_loss
    valid = f", validation {epoch.valid_loss:.4f}" if has_valid else ""
    return f"train loss {epoch.train_loss:.4f}{valid}"
