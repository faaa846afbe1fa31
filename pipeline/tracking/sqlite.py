"""A SQLite store: looked at before MLflow opens it, and made whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from pipeline import files
from pipeline.errors import TrackingError, reason_of
from pipeline.tracking.address import sqlite_uri
from pipeline.tracking.quiet import mend_percent, quiet_mlflow

# Where MLflow keeps places of artifacts.
PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
)


def ensure_store(path: Path, artifacts: Path) -> None:
    """Make sure that a store of this MLflow stands at ``path``: look at it, or make it.

    A new store is made under a lock as a file of another name and then renamed, so that several
    processes may start at once and a kill leaves nothing half-made. Raise TrackingError if what
    stands there is no store, is damaged, or cannot be written.
    """
    if "%" in sqlite_uri(path) + str(find_spec("mlflow")):
        with quiet_mlflow():
            mend_percent()
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
    if not path.is_file():  # reading a pipe would wait for ever
        raise TrackingError(f"store must be a regular file; got another kind at {path}")
    # SQLite would open it to read, and fail at the first write.
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        rule = "store and its folder must be writable"
        raise TrackingError(f"{rule}; got no permission to write {path}: chmod u+w")
    try:
        with contextlib.closing(_connect(path, wait_s=0)) as connection:
            connection.execute("SELECT version_num FROM alembic_version").fetchall()
            connection.execute("BEGIN IMMEDIATE")  # whether it can be written, only a try can say
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        if "locked" in str(error):  # MLflow waits for a writer, 20 s
            return
        raise TrackingError(
            f"store must be an intact database of MLflow; got {error} at {path}: put a backup in "
            "its place, or move it away and fill a new one from the records with: make sync"
        ) from None


def latest_run(path: Path) -> tuple[str, str] | None:
    """Return the ids of the youngest run and of its experiment; None where there is no run."""
    check_store(path)
    with contextlib.closing(_connect(path, wait_s=20)) as connection:
        found = connection.execute(
            "SELECT run_uuid, experiment_id FROM runs WHERE lifecycle_stage = 'active' "
            "ORDER BY start_time DESC LIMIT 1"
        ).fetchone()
    return (str(found[0]), str(found[1])) if found else None


def follow_project(path: Path, artifacts: Path) -> None:
    """Have a store that was moved or copied with its project name the artifacts beside it.

    MLflow records absolute places. Those below the folder where the artifacts were are rewritten in
    one transaction. Places of another kind are somebody's choice and stay.
    """
    new = artifacts.as_uri()
    try:
        with contextlib.closing(_connect(path, wait_s=20)) as connection:
            old = [root for root in _roots(connection, artifacts.name) if root != new]
            moved = [root for root in old if _has_moved(root, path)]
            if not moved:
                return
            connection.execute("BEGIN IMMEDIATE")
            for root in moved:
                _rewrite(connection, root, new)
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        rule = "store must name the artifacts of this project"
        raise TrackingError(f"{rule}; got {error} at {path}: repeat the command") from None


def _roots(connection: sqlite3.Connection, name: str) -> set[str]:
    """Return where this package has had artifacts kept: those of the first experiment tell."""
    rows = connection.execute("SELECT experiment_id, artifact_location FROM experiments")
    ends = {"": None, "/0": 0}
    return {
        place.removesuffix(end)
        for number, place in rows
        for end, only in ends.items()
        if str(place).startswith("file:") and place.endswith(f"/{name}{end}")
        if only in (None, number)
    }


def _has_moved(root: str, path: Path) -> bool:
    """Return whether the store is no longer beside that folder: it has gone, or is another's."""
    folder = url2pathname(urlsplit(root).path)
    store = os.path.join(os.path.dirname(folder), path.name)  # noqa: PTH118, PTH120
    if os.path.exists(store):  # noqa: PTH110  (which never raises: it may be another user's)
        return not path.samefile(store)
    return not os.path.exists(folder)  # noqa: PTH110


def _rewrite(connection: sqlite3.Connection, old: str, new: str) -> None:
    for table, column in PLACES:
        connection.execute(
            f"UPDATE {table} SET {column} = ? || substr({column}, ?) "  # noqa: S608  (our own names)
            f"WHERE {column} = ? OR substr({column}, 1, ?) = ?",
            (new, len(old) + 1, old, len(old) + 1, f"{old}/"),
        )


def varied_params(path: Path, experiment_id: str) -> list[dict[str, str]]:
    """Return for each finished run of the experiment the parameters that differ between them.

    One that some runs lack differs, and is lacking there.
    """
    with contextlib.closing(_connect(path, wait_s=20)) as connection:
        connection.execute(
            "CREATE TEMP TABLE found AS SELECT run_uuid, key, value FROM params JOIN runs "
            "USING (run_uuid) WHERE experiment_id = ? AND status = 'FINISHED' "
            "AND lifecycle_stage = 'active'",
            (experiment_id,),
        )
        rows = connection.execute(
            "SELECT run_uuid, key, value FROM found WHERE key IN (SELECT key FROM found GROUP BY "
            "key HAVING COUNT(DISTINCT value) > 1 OR COUNT(*) < "
            "(SELECT COUNT(DISTINCT run_uuid) FROM found)) ORDER BY run_uuid"
        ).fetchall()
    runs: dict[str, dict[str, str]] = {}
    for run_id, name, value in rows:
        runs.setdefault(run_id, {})[name] = value
    return list(runs.values())


def _is_absent(path: Path) -> bool:
    """Return whether nothing is there, or the empty file that an interrupted start leaves."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return True
    return stat.S_ISREG(status.st_mode) and status.st_size == 0


def _create(path: Path, artifacts: Path) -> None:
    partial = path.with_name(f"{path.name}.tmp")
    _remove(partial)  # of a start that was killed
    try:
        files.write_new(partial, b"")  # SQLite gives its other files the mode of this one
        _fill(partial, artifacts)
        files.sync(partial)
        partial.rename(path)
        files.sync(path.parent)
    finally:
        _remove(partial)


def _remove(partial: Path) -> None:
    for stale in partial.parent.glob(f"{partial.name}*"):
        stale.unlink(missing_ok=True)


def _fill(partial: Path, artifacts: Path) -> None:
    with quiet_mlflow():
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        open_: Callable[[str, str], Any] = SqlAlchemyStore
        store = open_(sqlite_uri(partial), artifacts.as_uri())
        store.engine.dispose()


def _connect(path: Path, wait_s: float) -> sqlite3.Connection:
    uri = f"{path.as_uri()}?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=wait_s, isolation_level=None)
