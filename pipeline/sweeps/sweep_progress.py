"""How far a sweep is: one live line on a terminal, a plain line for each run in a log."""

from __future__ import annotations

import sys
from typing import Self

from rich.console import Console

from pipeline.console.bar import Terminal, counting
from pipeline.console.tty import is_terminal
from pipeline.sweeps.child import RunReport
from pipeline.text import one_line, redact


class SweepProgress:
    """Counts the runs of a sweep that end; a ``with`` statement leaves no live line behind."""

    def __init__(self, total: int, skipped: int, console: Console | None = None) -> None:
        # FORCE_COLOR makes no terminal of a log.
        self._console = console or Terminal(stderr=True, force_terminal=is_terminal(sys.stderr))
        self._total, self._skipped, self._done, self._failed = total, skipped, 0, 0
        self._pruned, self._saved = 0, 0
        self._bar = counting(self._console, self.counts, total, skipped)

    @property
    def _left(self) -> int:
        return self._total - self._skipped - self._done - self._failed - self._pruned

    @property
    def counts(self) -> str:
        """How many runs are done, failed, skipped and left, and pruned if any were."""
        saved = f"{self._pruned} pruned ({self._saved:,} epochs saved), " if self._pruned else ""
        rest = f"{self._skipped} skipped, {self._left} left"
        return f"{self._done} done, {self._failed} failed, {saved}{rest}"

    def count(self, report: RunReport, overrides: tuple[str, ...]) -> None:
        """Count a run that has ended, and say so: on a terminal only where it failed."""
        self._done += report.failure is None
        self._failed += report.failed
        self._pruned += report.is_pruned
        self._saved += report.saved
        ended = self._total - self._left
        how = f"{report.figures}, {report.seconds:.2f} s"
        if report.failure:
            word = "pruned" if report.is_pruned else report.status
            how = f"{word}: {report.failure.message}"
        if report.failed or not self._console.is_terminal:
            line = f"[{ended}/{self._total}] {' '.join(overrides)}: {how}"
            text = one_line(redact(line), 1000)
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        self._update()

    def skip(self, n: int) -> None:
        """Count runs that are not to be made."""
        self._skipped += n
        self._update()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def _update(self) -> None:
        ended = self._total - self._left
        self._bar.update(
            self._bar.task_ids[0], completed=ended, description=self.counts, refresh=True
        )
