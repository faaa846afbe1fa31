"""What several commands write and say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import files
from pipeline.errors import OK, ConfigError, TrackingError, reason_of
from pipeline.text import say

if TYPE_CHECKING:
    from pipeline.config.schema import TrackingSettings
    from pipeline.record import Record, Repeat
    from pipeline.tracking import Published


def published(
    record: Record, tracking: TrackingSettings, publish: Callable[[Record], Published]
) -> int:
    """Publish the record; return 0, or the exit code of a store that cannot be used."""
    try:
        done = publish(record)
    except TrackingError as refusal:
        say(str(refusal), error=True)
        say_next(record)
        return refusal.exit_code
    say(f"{'MLflow':10}run {done.run_id} of experiment {tracking.experiment}")
    say_next(record, done.charts or "make ui")
    return OK


def write_output(path: Path, content: bytes) -> None:
    """Write the file that OUTPUT names; ConfigError if it cannot be written."""
    try:
        files.replace(path.resolve(), content)
    except OSError as error:
        raise ConfigError(f"OUTPUT must be writable; got {reason_of(error)} at {path}") from None


def say_next(record: Record, *more: str) -> None:
    """Name the page of the run, where it was drawn, as the next thing to open."""
    from pipeline.report.views import PAGE

    path = record.path / PAGE
    steps = [f"open {files.shown(path)}", *more] if path.is_file() else more
    if steps:
        say(f"{'Next':10}{', or '.join(steps)}")


def other_machine(record: Record, repeat: Repeat) -> str:
    """Return that another machine gave other bits, and how to see how far apart they are."""
    return (
        f"{'':10}other bits than those of run {record.identity[:12]}, which stays; the machine is\n"
        f"{'':10}another: {repeat.elsewhere}\n"
        f"{'':10}make reproduce RUN={record.identity[:12]} says how far they are apart"
    )
