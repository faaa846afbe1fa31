"""Runs that a search in MLflow finds become their records, from here or from the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline import disk, paths
from pipeline.config import TrackingSettings
from pipeline.errors import ConfigError
from pipeline.record import Record, RecordError, read
from pipeline.tracking.projection import ATTEMPT, KEY
from pipeline.tracking.quiet import quiet_mlflow
from pipeline.tracking.store import Store, failures, open_store, refusal

PAGE = 1000  # runs that a search answers at once


def fetch(settings: TrackingSettings, query: str, folder: Path) -> tuple[list[Record], int]:
    """The records of the runs that ``query`` finds in all experiments, and how many have none.

    A record that is not in this project's ``runs/`` is downloaded to ``folder`` and verified.

    Raises
    ------
    ConfigError
        If MLflow does not understand the query.
    TrackingError
        If the store fails.
    """
    store = open_store(settings)
    try:
        with quiet_mlflow():
            runs = list(_search(store, query))
            found = [_record(store, run, folder) for run in runs]
    except failures() as error:
        raise refusal(error, store.address) from None
    records = {record.identity: record for record in found if record is not None}
    return list(records.values()), sum(record is None for record in found)


def _search(store: Store, query: str) -> Iterator[Any]:
    """Every run of ours that the query finds, the younger first; deleted ones are left out."""
    from mlflow.exceptions import MlflowException

    experiments = [e.experiment_id for e in store.client.search_experiments()]
    token = None
    while True:
        try:
            page = store.client.search_runs(experiments, query, max_results=PAGE, page_token=token)
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            told = " ".join(str(error).split())[:300]
            raise ConfigError(f"FILTER must be a filter of MLflow; got {query!r}: {told}") from None
        yield from (run for run in page if ATTEMPT in run.data.tags)
        token = page.token
        if not token:
            return


def _record(store: Store, run: Any, folder: Path) -> Record | None:
    """The record of the run; None where neither the project nor the store has it whole."""
    identity, attempt = run.data.tags[KEY].partition(".")[0], run.data.tags[ATTEMPT]
    record = record_here(paths.RUNS / identity)
    if record and (record.attempt == attempt or run.info.status == record.status == "FINISHED"):
        return record
    target = folder / identity
    disk.make_private(target)
    try:
        store.client.download_artifacts(run.info.run_id, "", str(target))
        return record_here(target)
    except failures():
        return None


def record_here(folder: Path) -> Record | None:
    """The record in the folder; None where there is none that is whole."""
    try:
        return read(folder)
    except RecordError:
        return None
