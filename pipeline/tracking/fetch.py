"""Runs that MLflow finds become their records: from here, or from the store.

Nothing that a server says becomes a path: a record comes as one zip, bounded, under a name of our
own into a fresh folder, and is verified there as one that is imported.
"""

from __future__ import annotations

import errno
import re
import resource
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.config.schema import TrackingSettings
from pipeline.errors import ConfigError, PipelineError, TrackingError, reason_of
from pipeline.record import Record, RecordError, read
from pipeline.record.head import IDENTITY
from pipeline.record.read import MAX_BYTES as MAX_RECORD
from pipeline.record.transfer import read_zip
from pipeline.text import one_line, printable
from pipeline.tracking.artifacts import repository
from pipeline.tracking.patience import BYTES_PER_S, TRANSFER_S, within
from pipeline.tracking.projection import ATTEMPT, KEY, OWNER, archive_path
from pipeline.tracking.store import Store, asking, failures, open_store

PAGE = 250  # runs that a search answers at once, within a second or two
MAX_PAGES = 400
AT_ONCE = 8  # downloads
MAX_BYTES = 2 * 2**30  # of the records of one search that are not here
RUN_ID = re.compile(r"[0-9A-Za-z][\w-]{0,255}", re.ASCII)


def fetch(settings: TrackingSettings, query: str, folder: Path) -> tuple[list[Record], list[str]]:
    """Return the records of the runs that ``query`` finds, and why the other runs have none.

    A record that is not in this project's ``runs/`` is downloaded to ``folder`` and verified. Of
    several attempts at one run the FINISHED one counts, or else the youngest; of several
    experiments that hold it, that of ``settings``: whoever may write elsewhere can claim it there.

    Raise ConfigError if MLflow does not understand the query, or it finds more than can be
    compared; TrackingError if the store fails.
    """
    store = open_store(settings, make=False)
    records: dict[str, Record] = {}
    lost: list[str] = []
    with asking(store.address):
        own = _experiment(store, settings)
        runs = list(_search(store, query))
        known = {_identity(run) for run in runs if run.info.experiment_id in own}
        runs = [r for r in runs if r.info.experiment_id in own or _identity(r) not in known]
        for found in _records(store, runs, folder):
            if isinstance(found, RecordError):
                lost.append(str(found))
                continue
            held = records.setdefault(found.identity, found)
            if found.status == "FINISHED" != held.status:
                records[found.identity] = found
    return list(records.values()), lost


def _records(store: Store, runs: list[Any], folder: Path) -> Iterator[Record | RecordError]:
    """Yield the record of each run, or why it has none; several are downloaded at a time."""

    def get(run: Any) -> Record | RecordError:
        try:
            return record_of(store, run, folder)
        except RecordError as error:
            return error

    size = 0
    with at_most(MAX_RECORD), ThreadPoolExecutor(AT_ONCE) as threads:
        for start in range(0, len(runs), AT_ONCE):
            for found in threads.map(get, runs[start : start + AT_ONCE]):
                if isinstance(found, Record) and found.source:
                    size += sum(map(len, found.files.values()))
                if size > MAX_BYTES:
                    limit = f"{MAX_BYTES / 2**30:.0f} GiB of records that are not here"
                    raise ConfigError(f"FILTER must find at most {limit}; got more: narrow it")
                yield found


def fetch_run(name: str, settings: TrackingSettings, folder: Path) -> Record | None:
    """Return the record of the run that ``name`` means in MLflow; None where it means none there.

    ``name`` is ``latest`` (the FINISHED run that started last), the first characters of an
    identity, or the id of a run. The experiment of ``settings`` is searched, and the others if it
    has none: whoever may write elsewhere can claim an identity there.

    Raise ConfigError if several runs are meant; RecordError if the record of the run is not whole
    there, or of another version; TrackingError if the store fails.
    """
    store = open_store(settings, make=False)
    queries = [f"tags.`oneuron.identity` LIKE '{name}%'", f"attributes.run_id = '{name}'"]
    if name == "latest":
        queries = ["attributes.status = 'FINISHED'"]
    with asking(store.address):
        # An identity has few runs, its attempts; of all that FINISHED the first is enough.
        own = _experiment(store, settings)
        runs = [r for query in queries for r in _search(store, query, 20, own)] if own else []
        runs = runs or [run for query in queries for run in _search(store, query, 20)]
        runs = runs[:1] if name == "latest" else runs
        names = sorted({_identity(run)[:12] for run in runs})
        if len(names) > 1:
            raise ConfigError(f"RUN must name one run; got {name!r}, have {', '.join(names)}")
        runs.sort(key=lambda run: run.info.status != "FINISHED")
        with at_most(MAX_RECORD):
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
        name = archive_path(run.info.status)
        with tempfile.TemporaryDirectory(dir=folder) as fresh:
            path = Path(fresh) / "file"
            _download(held, name, path, place)
            record = read_zip(path, Path(place), source, f"{name} of {place}")
    except PipelineError as error:  # names in it come from the server
        raise RecordError(printable(one_line(error, 600))) from None
    if record.identity != identity:
        got = f"that of run {record.identity[:12]}"
        raise RecordError(f"record must be that of run {identity[:12]}; got {got} in {place}")
    return record


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


def _experiment(store: Store, settings: TrackingSettings) -> list[str]:
    """Return the id of the experiment of ``settings``, if the store has it."""
    found = store.client.get_experiment_by_name(settings.experiment)
    return [found.experiment_id] if found else []


def _search(
    store: Store, query: str, limit: int = 0, experiments: list[str] | None = None
) -> Iterator[Any]:
    """Yield the runs of records that the query finds, the younger first; no deleted one.

    All of them, or of the first ``limit`` runs; of some ``experiments`` or of all.
    """
    from mlflow.exceptions import MlflowException

    experiments = experiments or [e.experiment_id for e in store.client.search_experiments()]
    token = None
    for _ in range(MAX_PAGES):
        try:
            page = store.client.search_runs(
                experiments, query, max_results=limit or PAGE, page_token=token
            )
        except MlflowException as error:
            if error.error_code != "INVALID_PARAMETER_VALUE":
                raise
            raise ConfigError(
                f"FILTER must be a filter of MLflow; got {query!r}: {printable(one_line(error))}"
            ) from None
        yield from (run for run in page if ATTEMPT in run.data.tags)
        token = page.token
        if not token or limit:
            return
    raise TrackingError(
        f"search must end within {MAX_PAGES * PAGE:,} runs; got more at {store.address.shown}: "
        "narrow it with FILTER"
    )


def _identity(run: Any) -> str:
    return str(run.data.tags.get(KEY, "")).partition(".")[0]


def _download(held: Any, name: str, target: Path, place: str) -> None:
    """Write one file of a run to ``target``: by its path alone.

    What reads whole folders goes by the names that the server lists.
    """
    try:
        within(TRANSFER_S + MAX_RECORD / BYTES_PER_S, held._download_file, name, str(target))
    except failures() as error:
        if getattr(error, "errno", None) == errno.EFBIG:
            rule = f"{name} must be at most {MAX_RECORD} bytes long"
            raise RecordError(f"{rule}; got more in {place}") from None
        message = f"{name} must be readable; got {one_line(reason_of(error))} in {place}"
        raise RecordError(message) from None


@contextmanager
def at_most(size: int) -> Iterator[None]:
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
