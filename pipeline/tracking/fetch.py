"""Runs that a search in MLflow finds become their records, from here or from the store."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline import paths
from pipeline.config import TrackingSettings
from pipeline.errors import ConfigError, TrackingError
from pipeline.record import Record, RecordError, read
from pipeline.record.reading import check_identity
from pipeline.redact import printable
from pipeline.tracking.download import download
from pipeline.tracking.projection import ATTEMPT, KEY
from pipeline.tracking.quiet import quiet_mlflow
from pipeline.tracking.store import Store, failures, open_store, refusal

PAGE = 1000  # runs that a search answers at once
MOST_PAGES = 100
MOST_BYTES = 8 * 2**30  # of the records of one search that are not here


def fetch(settings: TrackingSettings, query: str, folder: Path) -> tuple[list[Record], list[str]]:
    """The records of the runs that ``query`` finds in all experiments, and why others have none.

    A record that is not in this project's ``runs/`` is downloaded to ``folder`` and verified. Of
    several attempts at one run the FINISHED one counts, or else the youngest.

    Raises
    ------
    ConfigError
        If MLflow does not understand the query, or it finds more than can be compared.
    TrackingError
        If the store fails.
    """
    store = open_store(settings)
    fetched = 0
    records: dict[str, Record] = {}
    lost: list[str] = []
    try:
        with quiet_mlflow():
            for run in list(_search(store, query)):
                try:
                    record = _record(store, run, folder)
                except RecordError as fault:
                    lost.append(str(fault))
                    continue
                fetched += _size(record) if record.source else 0
                if fetched > MOST_BYTES:
                    raise ConfigError(_too_much())
                held = records.setdefault(record.identity, record)
                if record.status == "FINISHED" != held.status:
                    records[record.identity] = record
    except failures() as error:
        raise refusal(error, store.address) from None
    return list(records.values()), lost


def fetch_run(name: str, settings: TrackingSettings, folder: Path) -> Record | None:
    """The record of the run that ``name`` means in MLflow; None where it means none there.

    ``name`` is ``latest`` (the FINISHED run that started last), the first characters of an
    identity, or the id of a run.

    Raises
    ------
    ConfigError
        If several runs are meant.
    RecordError
        If the record of the run is not whole there, or of another version.
    TrackingError
        If the store fails.
    """
    store = open_store(settings)
    queries = [f"tags.`oneuron.identity` LIKE '{name}%'", f"attributes.run_id = '{name}'"]
    if name == "latest":
        queries = ["attributes.status = 'FINISHED'"]
    try:
        with quiet_mlflow():
            # An identity has few runs, its attempts; of all that FINISHED the first is enough.
            runs = [run for query in queries for run in islice(_search(store, query), 20)]
            runs = runs[:1] if name == "latest" else runs
            identities = {_identity(run)[:12] for run in runs}
            if len(identities) > 1:
                raise ConfigError(
                    f"RUN must name one run; got {name!r}, have {', '.join(sorted(identities))}"
                )
            runs.sort(key=lambda run: run.info.status != "FINISHED")
            return _record(store, runs[0], folder) if runs else None
    except failures() as error:
        raise refusal(error, store.address) from None


def _search(store: Store, query: str) -> Iterator[Any]:
    """Every run of ours that the query finds, the younger first; deleted ones are left out."""
    from mlflow.exceptions import MlflowException

    experiments = [e.experiment_id for e in store.client.search_experiments()]
    token = None
    for _ in range(MOST_PAGES):
        try:
            page = store.client.search_runs(experiments, query, max_results=PAGE, page_token=token)
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            told = printable(" ".join(str(error).split())[:300])
            raise ConfigError(f"FILTER must be a filter of MLflow; got {query!r}: {told}") from None
        yield from (run for run in page if ATTEMPT in run.data.tags)
        token = page.token
        if not token:
            return
    raise TrackingError(
        f"search must end within {MOST_PAGES * PAGE:,} runs; got more at {store.address.shown}: "
        "narrow it with FILTER"
    )


def _size(record: Record) -> int:
    return sum(entry["bytes"] for entry in record.files.values())


def _too_much() -> str:
    limit = f"{MOST_BYTES / 2**30:.0f} GiB of records that are not here"
    return f"FILTER must find at most {limit}; got more: narrow it"


def _identity(run: Any) -> str:
    return check_identity(str(run.data.tags.get(KEY, "")).partition(".")[0])


def _record(store: Store, run: Any, folder: Path) -> Record:
    """The record of the run, from here or from the store.

    Raises
    ------
    RecordError
        If neither the project nor the store has it whole.
    """
    identity, attempt = _identity(run), run.data.tags[ATTEMPT]
    record = record_here(paths.RUNS / identity)
    if record and (record.attempt == attempt or run.info.status == record.status == "FINISHED"):
        return record
    return download(store, run, identity, folder)


def record_here(folder: Path) -> Record | None:
    """The record in the folder; None where there is none that is whole."""
    try:
        return read(folder)
    except RecordError:
        return None
