"""What runs have in common is made once: the rows of a table, its parts, the encoded examples."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from pipeline import files
from pipeline.config.contract import DataSettings
from pipeline.config.schema import RunConfig
from pipeline.errors import DiskError, Failure, PipelineError, StopRequest, failure_of
from pipeline.record import Record, RecordError, read
from pipeline.record.git import source_warning
from pipeline.record.identity import Lineage, environment, identity_of, trace
from pipeline.run import prepare
from pipeline.stages.blocks.open import read_table
from pipeline.stages.blocks.source import BlockRows
from pipeline.stages.outcome import Prepared, Refused, Unfinished
from pipeline.stages.read import Rows
from pipeline.stages.read.datasets import TABLES, write_if_missing
from pipeline.stages.read.source import state_of
from pipeline.stages.train import Start
from pipeline.sweeps.child import Attempt, Prune, RunReport, never, report_of, run_in_child
from pipeline.sweeps.grid import Job
from pipeline.sweeps.points import repr_of

MAX_KEPT = 4  # tables, and what is prepared of them

T = TypeVar("T")


class Host:
    """Reads and prepares tables once, and makes runs of them, each in a child.

    ``writes``: a table that comes with the project is written where it is missing.
    """

    def __init__(self, *, writes: bool = True) -> None:
        self._writes = writes
        self._here = environment()
        self.warning = source_warning(self._here.git_missing)
        self._rows: dict[str, Rows | BlockRows] = {}
        self._prepared: dict[str, Prepared | Refused] = {}

    def digest(self, data: DataSettings) -> str:
        """Return the digest of the data as they are now; DataError if they cannot be read."""
        if self._writes:
            write_if_missing(data.path)
        return self._read(data).digest

    def identity(self, config: RunConfig, data_digest: str) -> str:
        """Return the identity of a run of ``config`` on data with that digest."""
        return identity_of(config, data_digest, self._here)

    def trace(self, config: RunConfig, data_digest: str) -> Lineage:
        """Return what a run of ``config`` on data with that digest is made of."""
        return trace(config, data_digest, self._here)

    def run(
        self, job: Job, log: Path, stop: StopRequest, prune: Prune = never,
        start: Start | None = None,
    ) -> RunReport | None:  # fmt: skip
        """Make the run in a child, unless it is done; return how it ended.

        None where another process is making it. ``prune`` is asked in the child. Training begins at
        ``start``, but where a record stands it begins as that did.
        """
        try:
            prepared = self.prepare(job.config)
        except PipelineError as refusal:
            return RunReport(job.number, "FAILED", None, failure_of(refusal))
        identity = self.identity(job.config, prepared.data_digest)
        files.make_private(files.RUNS)
        # Two sweeps that meet at a run make it once. A few runs share a lock, which stays.
        lock = files.try_lock(files.RUNS / f".run_lock.{identity[:2]}")
        if lock is None:
            return None
        try:
            return self._make(job, log, prepared, files.RUNS / identity, stop, prune, start)
        finally:
            os.close(lock)

    def _make(
        self, job: Job, log: Path, prepared: Prepared | Refused, folder: Path, stop: StopRequest,
        prune: Prune, start: Start | None,
    ) -> RunReport:  # fmt: skip
        record = _whole_record(folder)
        if record and record.status == "FINISHED":
            if job.configuration.sweep.resume:
                return report_of(job.number, record)  # another process has made it
            start = record.start
        begun, started_ms = time.monotonic(), time.time_ns() // 1_000_000
        attempt = Attempt(job, log, self._here, started_ms, prune, start)
        report = run_in_child(attempt, prepared, stop)
        if isinstance(report, Failure):
            record = _whole_record(folder)
            if record and record.head.started_ms == started_ms:  # it died after its commit
                report = report_of(job.number, record)
            else:
                report = _unreported(attempt, prepared, report)
        return replace(report, seconds=time.monotonic() - begun)

    def _read(self, data: DataSettings) -> Rows | BlockRows:
        return _kept(self._rows, _state(data), lambda: _read_table(data))

    def prepare(self, config: RunConfig) -> Prepared | Refused:
        """Return the rows of the run, checked, split and encoded; DataError without any."""
        key = f"{_state(config.data)} {preparation(config)}"
        return _kept(self._prepared, key, lambda: prepare(config, self._read(config.data)))


def preparation(config: RunConfig) -> str:
    """Return what is equal for runs that have everything before training in common."""
    train = config.train
    groups = " ".join(map(repr_of, (config.data, config.split, config.encode)))
    return hashlib.sha256(f"{groups} {train.rows} {train.l2 == 'cv'}".encode()).hexdigest()


def _whole_record(folder: Path) -> Record | None:
    try:
        return read(folder)
    except RecordError:
        return None


def _unreported(attempt: Attempt, prepared: Prepared | Refused, failure: Failure) -> RunReport:
    """Record and report a failure that the run itself could not record."""
    identity = None
    with contextlib.suppress(DiskError):  # the report says it
        outcome = Unfinished(attempt.job.config, prepared, failure)
        identity = attempt.write(outcome).identity
    return RunReport(attempt.job.number, "FAILED", identity, failure)


def _kept(held: dict[str, T], key: str, make: Callable[[], T]) -> T:
    """Return what is held by that key, made if it is not; the last few are held."""
    if key not in held:
        while len(held) >= MAX_KEPT:
            del held[next(iter(held))]
        held[key] = make()
    return held[key]


def _state(data: DataSettings) -> str:
    """Return what changes with the contract, and when somebody writes to the file.

    A table in an engine is read once.
    """
    paths = [path for path in (data.path, data.valid, data.test) if path is not None]
    try:
        held = [state_of(files.PROJECT / path) for path in paths]
    except (OSError, ValueError):
        return repr(data)
    return f"{data!r} {held}"


def _read_table(data: DataSettings) -> Rows | BlockRows:
    """Read the table; of one that the project makes and that is not there yet, a copy."""
    if data.path is None or data.path not in TABLES or (files.PROJECT / data.path).exists():
        return read_table(data)
    with tempfile.NamedTemporaryFile(suffix=Path(data.path).suffix) as copy:
        copy.write(TABLES[data.path]())
        copy.flush()
        return read_table(data.model_copy(update={"path": copy.name}))
