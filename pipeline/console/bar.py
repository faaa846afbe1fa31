"""The lines that progress draws, by rich: imported where one appears, as that takes a while."""

from __future__ import annotations

import math

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column


class Terminal(Console):
    """A console that never hides the cursor: a process that is killed could not bring it back."""

    def show_cursor(self, show: bool = True) -> bool:  # noqa: ARG002, D102
        return False


def counting(console: Console, text: str, total: int, done: int = 0) -> Progress:
    """Return a bar as wide as the terminal, with a text before it and the time left after it."""
    bar = BarColumn(bar_width=None, table_column=Column(ratio=1))
    return _progress(console, (_text(), bar, TimeRemainingColumn()), text, total, done)


def spinning(console: Console, text: str) -> Progress:
    """Return a line of what is done, where it cannot be counted, and for how long."""
    columns = SpinnerColumn("line"), _text(), TimeElapsedColumn()
    return _progress(console, columns, text, None, 0)


def _text() -> TextColumn:
    return TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True))


def _progress(
    console: Console, columns: tuple[ProgressColumn, ...], text: str, total: int | None, done: int
) -> Progress:
    made = Progress(
        *columns,
        console=console,
        expand=total is not None,
        transient=True,
        auto_refresh=False,  # no thread: runs of a sweep are forked
        speed_estimate_period=math.inf,  # of all runs: each may take minutes
        redirect_stdout=False,
        redirect_stderr=False,
        disable=not console.is_terminal,
    )
    made.add_task(text, total=total, completed=done)
    return made
