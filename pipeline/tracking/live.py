"""A long training is a run in MLflow before it ends: its curve so far, for whoever watches it.

The process that trains hands over points now and then, and waits for nothing. They are points of
the curve at their own epochs, so the run that is published at the end holds them beside its own.
Until then the run goes by a key of its own, whose lock the publishing process holds: what a kill
leaves is closed as KILLED by the next start.
"""

from __future__ import annotations

import math
import os
import re
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nn import Epoch
from pipeline import files
from pipeline.record import Record
from pipeline.record.contents import curve_name
from pipeline.text import redact
from pipeline.tracking.names import MAX_TAG, run_name, safe_value
from pipeline.tracking.projection import ATTEMPT, CLAIMED, KEY, OWNER, Point, default_name, key
from pipeline.tracking.publish import owner
from pipeline.tracking.store import Store, asking

FIRST_S = 5.0  # of training before the run is there
EVERY_S = 3.0  # between points at first,
SHARE = 1 / 30  # and then a thirtieth of the time so far: 200 points of a day
SERIES = ("objective", "train_loss", "train_accuracy", "valid_loss", "valid_accuracy")
_KEY = re.compile("live[.][0-9a-f]{32}")


@dataclass(frozen=True)
class Partial:
    """The curve so far: points that were not handed over yet, of a run that is to be named so."""

    name: str
    started_ms: int
    folder: Path  # of records
    points: tuple[Point, ...]


class LiveCurve:
    """Hands over the curve of a training as it grows, by ``hand_over`` if that is not busy.

    Besides the epoch at that moment these are the epochs 0, 1, 2, 4, 8 …, where a curve falls most.
    """

    def __init__(
        self,
        words: Sequence[str],
        default: str,
        started_ms: int,
        hand_over: Callable[[Partial], bool],
    ) -> None:
        self._name = run_name([redact(word) for word in words], (), default)
        self._started_ms = started_ms
        self._hand_over = hand_over
        self._begun = time.monotonic()
        self._due = self._begun + FIRST_S
        self._points: list[Point] = []

    def watch(self, epoch: Epoch) -> None:
        """Look at the epoch; hand it over if it is time to."""
        is_due = time.monotonic() >= self._due
        if is_due or epoch.number & (epoch.number - 1) == 0:
            self._points += _points(epoch)
        if is_due:
            partial = Partial(self._name, self._started_ms, files.RUNS, tuple(self._points))
            if self._hand_over(partial):
                self._points = []
            now = time.monotonic()
            self._due = now + max(EVERY_S, SHARE * (now - self._begun))


class LiveRun:
    """The run of a training that has not ended, in a store; for the process that publishes."""

    def __init__(self) -> None:
        self._key = f"live.{uuid.uuid4().hex}"
        self._lock: int | None = None
        self._lock_file = Path()
        self._run: Any = None

    def show(self, store: Store, partial: Partial) -> None:
        """Give the run these points; make it if it is not there. TrackingError if it fails."""
        with asking(store.address):
            from mlflow.entities import Metric

            self._run = self._run or self._create(store, partial)
            t0 = self._run.info.start_time
            points = [Metric(p.name, p.value, t0 + p.step, p.step) for p in partial.points]
            store.client.log_batch(self._run.info.run_id, metrics=points)

    def become(self, store: Store, record: Record) -> None:
        """Make the run that of the record, if it is there: publishing finds it and completes it."""
        if self._run is None or self._run.info.experiment_id != store.experiment_id:
            return
        with asking(store.address):
            from mlflow.entities import RunTag

            head = record.head
            known = {KEY: key(head), ATTEMPT: head.attempt, "mlflow.runName": default_name(record)}
            if head.overrides:
                del known["mlflow.runName"]
            store.client.log_batch(
                self._run.info.run_id, tags=[RunTag(name, value) for name, value in known.items()]
            )
        self._run = None
        self._lock_file.unlink(missing_ok=True)

    def _create(self, store: Store, partial: Partial) -> Any:
        files.make_private(partial.folder)
        self._lock_file = partial.folder / f".{self._key}"
        self._lock = files.try_lock(self._lock_file)
        tags = {
            KEY: self._key,
            ATTEMPT: self._key[-8:],
            OWNER: owner(partial.folder),
            CLAIMED: str(time.time_ns()),
        }
        return store.client.create_run(
            store.experiment_id, partial.started_ms, tags, safe_value(partial.name, MAX_TAG)
        )


def is_abandoned(folder: Path, run_key: str) -> bool:
    """Return whether the key is of a live run whose process has ended; its lock is removed."""
    path = folder / f".{run_key}"
    if not _KEY.fullmatch(run_key):
        return False
    lock = files.try_lock(path)
    if lock is None:
        return False
    path.unlink(missing_ok=True)
    os.close(lock)
    return True


def _points(epoch: Epoch) -> list[Point]:
    values = [(name, float(getattr(epoch, name))) for name in SERIES]
    return [Point(curve_name(n), v, epoch.number) for n, v in values if math.isfinite(v)]
