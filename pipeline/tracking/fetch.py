"""Runs that MLflow finds become their records: from here, or from the store.

Nothing that a server says becomes a path: names are matched, files come one by one under names that
the verified head lists, bounded, into a fresh folder, and are verified before they are used.
"""

from __future__ import annotations

import errno
import re
import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.config.schema import TrackingSettings
from pipeline.errors import ConfigError, PipelineError, TrackingError, reason_of
from pipeline.record import Record, RecordError, read
from pipeline.record.head import IDENTITY, RESULT, parse_head
from pipeline.record.read import MAX_RESULT, verified
from pipeline.text import one_line, printable
from pipeline.tracking.artifacts import repository
from pipeline.tracking.projection import ATTEMPT, KEY, OWNER
from pipeline.tracking.store import Store, asking, failures, open_store

PAGE = 1000  # runs that a search answers at once
MAX_PAGES = 100
MAX_BYTES = 2 * 2**30  # of the records of one search that are not here
RUN_ID = re.compile(r"[0-9A-Za-z][\w-]{0,255}", re.ASCII)


def fetch(settings: TrackingSettings, query: str, folder: Path) -> tuple[list[Record], list[str]]:
    """Return the records of the runs that ``query`` finds, and why the other runs have none.

    A record that is not in this project's ``runs/`` is downloaded to ``folder`` and verified. Of
    several attempts at one run the FINISHED one counts, or else the youngest.

    Raise ConfigError if MLflow does not understand the query, or it finds more than can be
    compared; TrackingError if the store fails.
    """
    store = open_store(settings)
    records: dict[str, Record] = {}
    lost: list[str] = []
    size = 0
    with asking(store.address):
        for run in list(_search(store, query)):
            try:
                record = record_of(store, run, folder)
            except RecordError as error:
                lost.append(str(error))
                continue
            size += sum(map(len, record.files.values())) if record.source else 0
            if size > MAX_BYTES:
                limit = f"{MAX_BYTES / 2**30:.0f} GiB of records that are not here"
                raise ConfigError(f"FILTER must find at most {limit}; got more: narrow it")
            held = records.setdefault(record.identity, record)
            if record.status == "FINISHED" != held.status:
                records[record.identity] = record
    return list(records.values()), lost


def fetch_run(name: str, settings: TrackingSettings, folder: Path) -> Record | None:
    """Return the record of the run that ``name`` means in MLflow; None where it means none there.

    ``name`` is ``latest`` (the FINISHED run that started last), the first characters of an
    identity, or the id of a run.

    Raise ConfigError if several runs are meant; RecordError if the record of the run is not whole
    there, or of another version; TrackingError if the store fails.
    """
    store = open_store(settings)
    queries = [f"tags.`oneuron.identity` LIKE '{name}%'", f"attributes.run_id = '{name}'"]
    if name == "latest":
        queries = ["attributes.status = 'FINISHED'"]
    with asking(store.address):
        # An identity has few runs, its attempts; of all that FINISHED the first is enough.
        runs = [run for query in queries for run in islice(_search(store, query), 20)]
        runs = runs[:1] if name == "latest" else runs
        names = sorted({_identity(run)[:12] for run in runs})
        if len(names) > 1:
            raise ConfigError(f"RUN must name one run; got {name!r}, have {', '.join(names)}")
        runs.sort(key=lambda run: run.info.status != "FINISHED")
        return record_of(store, runs[0], folder) if runs else None


def record_of(store: Store, run: Any, folder: Path) -> Record:
    """Return the record of a run of MLflow: this project's, or as ``download``."""
    existing = record_here(_identity(run))
    if existing and run.data.tags.get(ATTEMPT) == existing.head.attempt:
        return existing
    if existing and run.info.status == existing.status == "FINISHED":
        return existing
    return download(store, run, _identity(run), folder)


def download(store: Store, run: Any, identity: str, folder: Path) -> Record:
    """Return the record of the run, verified, from the store; nothing of it is left on disk.

    Raise RecordError if it is not whole there, of another shape, or not where such a store may have
    it.
    """
    place = f"run {run.info.run_id} of {store.address.shown}"
    owner = printable(str(run.data.tags.get(OWNER, "an unknown owner"))[:100])
    source = f"published by {owner} at {store.address.shown}"
    try:
        require_run_id(run.info.run_id or "")
        held = repository(run.info.artifact_uri, store.address)
        with tempfile.TemporaryDirectory(dir=folder) as name:

            def get(file: str, limit: int) -> bytes:
                return _download_file(held, file, limit, Path(name) / "file", place)

            head = parse_head(get(RESULT, MAX_RESULT), identity, place)
            return verified(Path(place), head, get, source)
    except PipelineError as error:  # names in it come from the server
        raise RecordError(printable(one_line(error, 600))) from None


def require_run_id(run_id: str) -> None:
    """Raise RecordError unless it is the id of a run of MLflow's."""
    if not RUN_ID.fullmatch(run_id):
        raise RecordError(f"run must have an id of MLflow's; got {run_id[:80]!r}")


def record_here(identity: str) -> Record | None:
    """Return this project's record of that identity; None where there is none that is whole.

    Raise RecordError unless it is an identity, and so the name of a folder.
    """
    if not IDENTITY.fullmatch(identity):
        raise RecordError(f"identity must be 32 hex digits; got {identity[:80]!r}")
    try:
        return read(files.RUNS / identity)
    except RecordError:
        return None


def _search(store: Store, query: str) -> Iterator[Any]:
    """Yield every run of a record that the query finds, the younger first; no deleted one."""
    from mlflow.exceptions import MlflowException

    experiments = [e.experiment_id for e in store.client.search_experiments()]
    token = None
    for _ in range(MAX_PAGES):
        try:
            page = store.client.search_runs(experiments, query, max_results=PAGE, page_token=token)
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            raise ConfigError(
                f"FILTER must be a filter of MLflow; got {query!r}: {printable(one_line(error))}"
            ) from None
        yield from (run for run in page if ATTEMPT in run.data.tags)
        token = page.token
        if not token:
            return
    raise TrackingError(
        f"search must end within {MAX_PAGES * PAGE:,} runs; got more at {store.address.shown}: "
        "narrow it with FILTER"
    )


def _identity(run: Any) -> str:
    return str(run.data.tags.get(KEY, "")).partition(".")[0]


def _download_file(held: Any, name: str, limit: int, target: Path, place: str) -> bytes:
    """Return the bytes of one file, at most ``limit`` of them; it comes under a name of our own.

    By its path alone: what reads whole folders goes by the names that the server lists.
    """
    try:
        with _at_most(limit):
            held._download_file(name, str(target))
        content = target.read_bytes()
        target.unlink()
    except failures() as error:
        if getattr(error, "errno", None) != errno.EFBIG:
            message = f"{name} must be readable; got {one_line(reason_of(error))} in {place}"
            raise RecordError(message) from None
        content = bytes(limit + 1)
    if len(content) > limit:
        raise RecordError(f"{name} must be at most {limit} bytes long; got more in {place}")
    return content


@contextmanager
def _at_most(size: int) -> Iterator[None]:
    """Have the system let no file of this process grow beyond ``size`` bytes.

    Whatever MLflow reads from, it writes what comes to a file, for as long as something comes.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limits = [limit for limit in (soft, hard, size) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_FSIZE, (min(limits), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
