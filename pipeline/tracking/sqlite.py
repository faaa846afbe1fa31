"""A SQLite store: looked at before MLflow opens it, and made whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.errors import TrackingError, reason_of
from pipeline.tracking.quiet import quiet_mlflow

MAGIC = b"SQLite format 3\0"
_BUSY_S = 20.0  # as long as MLflow waits for who has the store to himself


def ensure_store(path: Path, artifacts: Path) -> None:
    """Make sure that a store of this MLflow stands at ``path``: look at it, or make it.

    A new store is made under a lock as a file of another name and then renamed, so that several
    processes may start at once and a kill leaves nothing half-made.

    Raises
    ------
    TrackingError
        If what stands there is no store, is of another version, or cannot be written.
    """
    if _is_absent(path):
        try:
            with files.locked(path.with_name(f".{path.name}.lock")):
                if _is_absent(path):
                    _create(path, artifacts)
        except OSError as error:
            raise TrackingError(f"store must be made at {path}; got {reason_of(error)}") from None
    check_store(path)


def check_store(path: Path) -> None:
    """Refuse what MLflow would fail on, slowly or at length; the file is not touched."""
    try:
        _check_file(path)
        with contextlib.closing(_connect(path)) as connection:
            _check_tables(connection, path)
            _check_writable(connection, path)
    except OSError as error:
        raise TrackingError(f"store must be readable; got {reason_of(error)} at {path}") from None
    except sqlite3.DatabaseError as error:
        raise TrackingError(
            f"store must be intact; got a damaged one ({error}) at {path}: put a backup in its "
            "place, or move it away and fill a new one from the records with: make sync"
        ) from None


def latest_run(path: Path) -> tuple[str, str] | None:
    """Return the ids of the youngest run and of its experiment; None where there is no run."""
    check_store(path)
    with contextlib.closing(_connect(path)) as connection:
        found = connection.execute(
            "SELECT run_uuid, experiment_id FROM runs WHERE lifecycle_stage = 'active' "
            "ORDER BY start_time DESC LIMIT 1"
        ).fetchone()
    return (str(found[0]), str(found[1])) if found else None


def _is_absent(path: Path) -> bool:
    """Return whether nothing is there, or the empty file that an interrupted start leaves."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return True
    return stat.S_ISREG(status.st_mode) and status.st_size == 0


def _create(path: Path, artifacts: Path) -> None:
    for stale in path.parent.glob(f"{path.name}.tmp.*"):  # of a start that was killed
        stale.unlink(missing_ok=True)
    partial = path.with_name(f"{path.name}.tmp.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        files.write_new(partial, b"")  # SQLite gives its other files the mode of this one
        _fill(partial, artifacts)
        files.sync_file(partial)
        partial.rename(path)
        files.sync_folder(path.parent)
    finally:
        for stale in path.parent.glob(f"{partial.name}*"):
            stale.unlink(missing_ok=True)


def _fill(partial: Path, artifacts: Path) -> None:
    with quiet_mlflow():
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        open_: Callable[[str, str], Any] = SqlAlchemyStore
        store = open_(f"sqlite:///{partial}", artifacts.as_uri())
        store.engine.dispose()


def _check_file(path: Path) -> None:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise TrackingError(f"store must be a file; got a folder at {path}")
    if not stat.S_ISREG(status.st_mode):
        raise TrackingError(f"store must be a regular file; got another kind at {path}")
    with path.open("rb") as file:
        header = file.read(16)
    # Whether it was cut off is SQLite's to say, which first takes back what a kill interrupted.
    if header != MAGIC:
        raise TrackingError(f"store must be a SQLite database; got another file at {path}")


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=_BUSY_S)
    connection.isolation_level = None
    return connection


def _check_tables(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse a database of another program; of another version MLflow itself is asked."""
    try:
        known = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.OperationalError as error:
        if "no such table" not in str(error):
            raise _unusable(error, path) from None
        known = []
    if len(known) != 1:
        raise TrackingError(f"store must be MLflow's; got another SQLite database at {path}")


def _check_writable(connection: sqlite3.Connection, path: Path) -> None:
    """Begin to write and take it back: the only question that SQLite answers honestly."""
    if not os.access(path.parent, os.W_OK):
        raise TrackingError(f"store must be in a folder that can be written; got {path.parent}")
    if not os.access(path, os.W_OK):  # SQLite would open it to read, and fail at the first write
        raise TrackingError(f"store must be writable; got no leave to write {path}: chmod u+w")
    try:
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):  # MLflow waits for a writer, 20 s
            raise _unusable(error, path) from None


def _unusable(error: sqlite3.Error, path: Path) -> TrackingError:
    return TrackingError(f"store must be readable and writable; got {error} at {path}")
