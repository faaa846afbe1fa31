"""What the project's SQLite store and its artifacts hold, asked of the files alone."""

import contextlib
import sqlite3
from pathlib import Path

from pipeline import paths

# All that MLflow keeps of a run, without the ids that it makes up.
TABLES = {
    "runs": "name, status, start_time, end_time, lifecycle_stage",
    "params": "key, value",
    "metrics": "key, value, timestamp, step, is_nan",
    "latest_metrics": "key, value, timestamp, step, is_nan",
    "tags": "key, value",
    "datasets": "name, digest, dataset_source_type, dataset_source, dataset_profile",
    "inputs": "source_type, destination_type",
    "input_tags": "name, value",
}


def rows(table: str, columns: str = "*", store: Path | None = None) -> list[tuple]:
    with contextlib.closing(sqlite3.connect(store or paths.STORE)) as connection:
        return sorted(connection.execute(f"SELECT {columns} FROM {table}"))


def state(project: Path | None = None) -> dict[str, list]:
    """Everything that the store holds, but for the ids that MLflow makes up, and every artifact."""
    folder = project or paths.PROJECT
    store, artifacts = folder / paths.STORE.name, folder / paths.ARTIFACTS.name
    held = {table: rows(table, columns, store) for table, columns in TABLES.items()}
    held["artifacts"] = sorted(
        (path.relative_to(artifacts).as_posix().partition("/")[2], path.read_bytes())
        for path in artifacts.rglob("*")
        if path.is_file()
    )
    return held
