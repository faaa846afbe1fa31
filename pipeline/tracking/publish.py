"""A record becomes a run in MLflow; doing it again, after whatever happened, adds nothing.

Each step is one that may be repeated: the run is found by its key or made with it, the time of a
point is the start of the run plus its step, so that the same point is the same row, a file is put
where it stands already. FINISHED is said last, after the store was asked what it holds.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.config.schema import TrackingSettings
from pipeline.errors import PipelineError, TrackingError
from pipeline.record import Head, Record, heads, mark_published, published_runs, read
from pipeline.record.head import IDENTITY
from pipeline.report.views import written_views
from pipeline.text import bounded, redact
from pipeline.tracking.artifacts import put
from pipeline.tracking.names import MAX_TAG, safe_name, safe_value
from pipeline.tracking.projection import ATTEMPT, KEY, OWNER, Projection, Summary, project
from pipeline.tracking.run_content import log, log_batch, log_dataset, lost, read_back, sizes_of
from pipeline.tracking.store import Store, asking, open_store

ENDED = ("FINISHED", "FAILED", "KILLED")


@dataclass(frozen=True)
class Published:
    """A run in MLflow. ``new`` is false where it stood there already, complete."""

    run_id: str
    url: str | None  # of the run's page, where a server stands behind the address
    new: bool


def publish(
    record: Record,
    settings: TrackingSettings,
    tags: Mapping[str, str] | None = None,
) -> Published:
    """Publish ``record``, and what was drawn from it, to the store of ``settings``.

    ``tags`` go beside the run's own. Raise ConfigError if no store can be at that address;
    TrackingError, which says how to publish the record later, if the store fails.
    """
    try:
        return publish_to(open_store(settings), record, tags)
    except TrackingError as error:
        raise TrackingError(f"{error}\n{kept(record.path, settings)}") from None


def publish_summary(summary: Summary, settings: TrackingSettings) -> Published:
    """Publish the run of the summary; published again, it holds the newer figures and page.

    Raise TrackingError if the store fails.
    """
    store, time = open_store(settings), summary.started_ms
    with asking(store.address):
        from mlflow.entities import Metric

        found = _find(store, summary.key)
        run = found or store.client.create_run(
            store.experiment_id, time, {KEY: summary.key}, summary.name
        )
        run_id = run.info.run_id
        metrics = [Metric(name, value, time, 0) for name, value in summary.metrics.items()]
        log_batch(store, run_id, metrics=metrics, tags=_safe(summary.tags))
        page = {summary.file.name: summary.file.read_bytes()}
        put(page, run.info.artifact_uri, store.address, summary.file.parent)
        store.client.set_terminated(run_id, "FINISHED")
    return Published(run_id, store.url(run_id), not found)


def sync(folder: Path, settings: TrackingSettings) -> int:
    """Publish each record in ``folder`` that the store of ``settings`` lacks; return how many.

    Each record goes to the experiment that it was meant for. One that fails does not stop the rest.
    Raise ConfigError or TrackingError if the store cannot be opened, or, after the rest was
    published, if a record failed.
    """
    n_published, failed = 0, []
    stores: dict[str, Store] = {settings.experiment: open_store(settings)}
    for head in heads(folder):
        name = head.experiment
        try:
            if name not in stores:
                stores[name] = open_store(settings.model_copy(update={"experiment": name}))
            if not _is_published(stores[name], head, folder):
                publish_to(stores[name], read(folder / head.identity))
                n_published += 1
        except PipelineError as error:
            failed.append(f"record {head.identity[:12]} was not published: {error}")
    if failed:
        raise TrackingError(bounded([*failed, f"published beside them: {n_published}"]))
    return n_published


def publish_to(
    store: Store,
    record: Record,
    tags: Mapping[str, str] | None = None,
) -> Published:
    """Publish ``record`` to an open store, as ``publish``."""
    with asking(store.address), files.locked(record.path):
        _remove_stale(record.path)
        run_id, new = _publish(store, record, _safe(tags or {}))
        mark_published(record, store.address.shown, run_id, store.url(run_id))
    return Published(run_id, store.url(run_id), new)


def close_orphans(store: Store, folder: Path) -> None:
    """Finish or close what a killed process left RUNNING; runs of a living one are left alone.

    The process that publishes a record holds its lock, and FINISHED is said last. So a RUNNING run
    whose record is here and free is published to its end. What another machine publishes, or
    another folder of this one, is left: whether its process lives is not to be seen from here.
    """
    with asking(store.address):
        query = f"attributes.status = 'RUNNING' AND tags.`{ATTEMPT}` != ''"
        found = store.client.search_runs([store.experiment_id], query)
        here = {head.attempt: head for head in heads(folder)} if found else {}
        for run in found:
            if run.data.tags.get(OWNER) != _owner(folder) or not _is_unlocked(folder, run):
                continue
            head = here.get(run.data.tags[ATTEMPT])
            if head is not None:
                publish_to(store, read(folder / head.identity))
            elif store.client.get_run(run.info.run_id).info.status == "RUNNING":
                store.client.set_terminated(run.info.run_id, status="KILLED")


def kept(folder: Path, settings: TrackingSettings) -> str:
    """Return where the record is, and the command that publishes it to the same store."""
    address = f' ARGS="tracking.uri={redact(settings.uri)}"' if settings.uri else ""
    return f"the record is kept in {files.shown(folder)}; publish it with: make sync{address}"


def _publish(store: Store, record: Record, tags: Mapping[str, str]) -> tuple[str, bool]:
    projection = project(record, written_views(record))
    run = _find(store, projection.key)
    if run is not None and run.info.status in ENDED:
        _complete(store, record, projection, run, tags)
        return run.info.run_id, False
    if run is None:
        run = _create(store, record, projection, tags)
    log(store, projection, run, tags)
    log_dataset(store.client, run.info.run_id, record)
    put(projection.files, run.info.artifact_uri, store.address, record.path)
    read_back(store, run, projection)
    ended = run.info.start_time + record.head.ended_ms - record.head.started_ms
    store.client.set_terminated(run.info.run_id, status=record.status, end_time=ended)
    if store.client.get_run(run.info.run_id).info.status != record.status:
        raise lost(store, f"another status than {record.status}")
    return run.info.run_id, True


def _complete(
    store: Store, record: Record, projection: Projection, run: Any, tags: Mapping[str, str]
) -> None:
    """Add to a run that stands there what it lacks: files, and the tags of another sweep."""
    held = sizes_of(store, run)
    if any(name.partition("/")[0] not in held for name in projection.files):
        put(projection.files, run.info.artifact_uri, store.address, record.path)
    if any(run.data.tags.get(name) != value for name, value in tags.items()):
        log_batch(store, run.info.run_id, tags=tags)


def _find(store: Store, key: str) -> Any:
    """Return the run with that key, the oldest where there are several; None without any."""
    found = store.client.search_runs(
        [store.experiment_id], f"tags.`{KEY}` = '{key}'", order_by=["attributes.start_time ASC"]
    )
    return found[0] if found else None


def _create(store: Store, record: Record, projection: Projection, tags: Mapping[str, str]) -> Any:
    known = {KEY: projection.key, ATTEMPT: record.head.attempt, OWNER: _owner(record.path.parent)}
    run = store.client.create_run(
        store.experiment_id,
        start_time=record.head.started_ms,
        tags={**projection.tags, **tags, **known},
        run_name=projection.name,
    )
    if not run.info.run_id:
        raise TrackingError(f"store must make a run; got none at {store.address.shown}")
    return run


def _safe(tags: Mapping[str, str]) -> dict[str, str]:
    return {safe_name(name): safe_value(value, MAX_TAG) for name, value in tags.items()}


def _owner(folder: Path) -> str:
    """Return who publishes from the folder of records, without saying where it is."""
    place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    return f"{socket.gethostname()} {place}"


def _is_unlocked(folder: Path, run: Any) -> bool:
    """Return whether no process here publishes the run: its record is free, or has gone."""
    identity = str(run.data.tags.get(KEY, "")).partition(".")[0]
    if not IDENTITY.fullmatch(identity):
        return False  # no run of a record, whatever its tags say
    path = folder / identity
    if not path.is_dir():
        return True
    lock = files.try_lock(path)
    if lock is None:
        return False
    os.close(lock)
    return True


def _is_published(store: Store, head: Head, folder: Path) -> bool:
    """Return whether the store holds the record's run, or somebody deleted it there on purpose."""
    known = published_runs(head.identity, folder).get(store.address.shown)
    if known is None:
        return False
    with asking(store.address):
        from mlflow.exceptions import MlflowException

        try:
            return bool(store.client.get_run(known.run_id).info.status == head.status)
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return False  # another store at the same address


def _remove_stale(folder: Path) -> None:
    """Remove what killed processes left beside the record's files; its lock is held."""
    for path in folder.glob(".*"):  # no file of a record has such a name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
