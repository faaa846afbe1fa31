"""A record becomes a run in MLflow; doing it again, after whatever happened, adds nothing.

Each step is one that may be repeated: the run is found by its key or made with it, the time of a
point is the start of the run plus its step, so that the same point is the same row, a file is put
where it stands already. FINISHED is said last, after the store was asked what it holds.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pipeline import disk, paths
from pipeline.config import TrackingSettings
from pipeline.errors import PipelineError, TrackingError, bounded
from pipeline.record import (
    Record,
    mark_published,
    published_runs,
    read,
    records,
    remove_litter,
)
from pipeline.record.reading import IDENTITY
from pipeline.redact import redact
from pipeline.tracking.names import MAX_TAG, safe_name, safe_value
from pipeline.tracking.projection import ATTEMPT, KEY, OWNER, Point, Projection, key, project
from pipeline.tracking.quiet import quiet_mlflow
from pipeline.tracking.store import Store, failures, open_store, refusal

T = TypeVar("T")

# What MLflow takes in one request.
MAX_PARAMS = 100
MAX_METRICS = 1000
MAX_DIGEST = 36


@dataclass(frozen=True)
class Published:
    """A run in MLflow. ``new`` is false where it stood there already, complete."""

    run_id: str
    experiment_id: str
    address: str  # without secrets
    url: str | None  # of the run's page, where a server stands behind the address
    new: bool


def publish(
    record: Record, settings: TrackingSettings, tags: Mapping[str, str] | None = None
) -> Published:
    """The run of ``record`` in the store of ``settings``, with these ``tags`` beside its own.

    Raises
    ------
    ConfigError
        If no store can be at that address.
    TrackingError
        If the store fails. The record is kept, and the message says how to publish it.
    """
    try:
        return publish_to(open_store(settings), record, tags)
    except TrackingError as error:
        raise TrackingError(f"{error}\n{kept(record, settings)}") from None


def sync(folder: Path, settings: TrackingSettings) -> tuple[Published, ...]:
    """The runs of every record in ``folder`` that the store of ``settings`` did not have.

    Each record goes to the experiment that it was meant for. One that fails does not stop the rest.

    Raises
    ------
    ConfigError, TrackingError
        If the store cannot be opened, or, after the rest was published, if a record failed.
    """
    published: list[Published] = []
    failed: list[str] = []
    stores: dict[str, Store] = {settings.experiment: open_store(settings)}
    for record in records(folder):
        name = str(record.tree["experiment"])
        try:
            if name not in stores:
                stores[name] = open_store(settings.model_copy(update={"experiment": name}))
            if not _stands(stores[name], record):
                published.append(publish_to(stores[name], read(record.path)))
        except PipelineError as error:
            failed.append(f"record {record.identity[:12]} was not published: {error}")
    if failed:
        raise TrackingError(bounded([*failed, f"published beside them: {len(published)}"]))
    return tuple(published)


def publish_to(store: Store, record: Record, tags: Mapping[str, str] | None = None) -> Published:
    """The run of ``record`` in an open store."""
    try:
        with quiet_mlflow(), disk.locked(record.path):
            remove_litter(record)
            run_id, new = _publish(store, record)
            for name, value in (tags or {}).items():  # a run may be in several sweeps
                store.client.set_tag(run_id, safe_name(name), safe_value(value, MAX_TAG))
            mark_published(record, store.address.shown, run_id, store.url(run_id))
    except failures() as error:
        raise refusal(error, store.address) from None
    return Published(run_id, store.experiment_id, store.address.shown, store.url(run_id), new)


def _publish(store: Store, record: Record) -> tuple[str, bool]:
    run = _find(store, key(record))
    if run is not None and run.info.status in ("FINISHED", "FAILED", "KILLED"):
        held = {file.path for file in store.client.list_artifacts(run.info.run_id)}
        if not {name.partition("/")[0] for name in record.files} <= held:
            _log_files(store, run, record, project(record).files)  # the same bits, more beside them
        return run.info.run_id, False
    projection = project(record)
    if run is None:
        run = _create(store, record, projection)
    _write(store, record, projection, run)
    return run.info.run_id, True


def _find(store: Store, key: str) -> Any:
    """The run with that key, the oldest where there are several; None where there is none."""
    found = store.client.search_runs(
        [store.experiment_id], f"tags.`{KEY}` = '{key}'", order_by=["attributes.start_time ASC"]
    )
    return found[0] if found else None


def _create(store: Store, record: Record, projection: Projection) -> Any:
    run = store.client.create_run(
        store.experiment_id,
        start_time=record.started_ms,
        tags={KEY: projection.key, ATTEMPT: record.attempt, OWNER: _owner(record.path.parent)},
        run_name=projection.name,
    )
    if not run.info.run_id:
        raise TrackingError(f"store must make a run; got none at {store.address.shown}")
    return run


def _write(store: Store, record: Record, projection: Projection, run: Any) -> None:
    from mlflow.entities import Metric, Param, RunTag

    client, run_id = store.client, run.info.run_id
    t0 = run.info.start_time  # of the run found: another attempt gives the same bits at its time
    for tags in _chunks(projection.tags.items(), MAX_PARAMS):
        client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags])
    for params in _chunks(projection.params.items(), MAX_PARAMS):
        client.log_batch(run_id, params=[Param(name, value) for name, value in params])
    for points in _chunks(projection.points, MAX_METRICS):
        metrics = [Metric(p.name, p.value, t0 + p.step, p.step) for p in points]
        client.log_batch(run_id, metrics=metrics)
    _log_dataset(client, run_id, record)
    _log_files(store, run, record, projection.files)
    _read_back(store, run_id, projection)
    client.set_terminated(run_id, status=record.status, end_time=t0 + _duration(record))
    if client.get_run(run_id).info.status != record.status:
        raise _lost(store, f"another status than {record.status}")


def _log_dataset(client: Any, run_id: str, record: Record) -> None:
    """Name the data. Of two that do so at once for the first time one fails: then it is there."""
    from mlflow.exceptions import MlflowException

    for again in (True, True, False):
        try:
            client.log_inputs(run_id, datasets=[_dataset(record)])
        except MlflowException:
            if not again:
                raise
        else:
            return


def _dataset(record: Record) -> Any:
    from mlflow.entities import Dataset, DatasetInput, InputTag

    data, digest = record.config["data"], record.lineage["data_digest"]
    rows = {name: value for name, value in record.metrics.items() if name.startswith("rows/")}
    dataset = Dataset(
        name=data["name"],
        digest=digest[:MAX_DIGEST],  # the whole is in the tag oneuron.data_digest
        source_type="local",
        source=json.dumps({"uri": data["path"]}),
        profile=json.dumps(rows),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def _log_files(store: Store, run: Any, record: Record, files: dict[str, bytes]) -> None:
    """Upload the files as they were verified, from a private folder that a kill cannot strand."""
    with tempfile.TemporaryDirectory(prefix=".upload.", dir=record.path) as name:
        for file, content in files.items():
            path = Path(name) / file
            disk.make_private(path.parent)
            path.write_bytes(content)
        store.client.log_artifacts(run.info.run_id, name)


def _read_back(store: Store, run_id: str, projection: Projection) -> None:
    """Ask the store what it holds: a reply of 200 is not yet a row.

    One whole series is compared, the last of what was written, and the size of every file at the
    top of the artifacts.
    """
    for points in _last_series(projection.points):
        history = store.client.get_metric_history(run_id, points[0].name)
        held = sorted((point.step, point.value) for point in history)
        if held != sorted((p.step, p.value) for p in points):
            raise _lost(store, f"{len(held)} of {len(points)} points of {points[0].name}")
    sizes = {file.path: file.file_size for file in store.client.list_artifacts(run_id)}
    for name, content in projection.files.items():
        if "/" not in name and sizes.get(name) != len(content):
            raise _lost(store, f"{sizes.get(name)} of {len(content)} bytes of {name}")


def _last_series(points: tuple[Point, ...]) -> Iterator[list[Point]]:
    if points:
        yield [point for point in points if point.name == points[-1].name]


def _lost(store: Store, what: str) -> TrackingError:
    return TrackingError(f"store must hold what it was sent; got {what} at {store.address.shown}")


def _duration(record: Record) -> int:
    return record.ended_ms - record.started_ms


def close_orphans(store: Store, folder: Path) -> None:
    """Finish or close what a killed process left RUNNING; runs of a living one are left alone.

    The process that publishes a record holds its lock, and FINISHED is said last. So a RUNNING run
    whose record is here and free is published to its end. What another machine publishes, or
    another folder of this one, is left: whether its process lives is not to be seen from here.
    """
    with quiet_mlflow():
        found = store.client.search_runs(
            [store.experiment_id], f"attributes.status = 'RUNNING' AND tags.`{ATTEMPT}` != ''"
        )
    here = {record.attempt: record for record in records(folder)} if found else {}
    for run in found:
        if run.data.tags.get(OWNER) != _owner(folder) or not _lonely(folder, run):
            continue
        record = here.get(run.data.tags[ATTEMPT])
        with quiet_mlflow():
            if record is not None:
                publish_to(store, read(record.path))
            elif store.client.get_run(run.info.run_id).info.status == "RUNNING":
                store.client.set_terminated(run.info.run_id, status="KILLED")


def _owner(folder: Path) -> str:
    """Who publishes from the folder of records, without telling where it is."""
    place = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    return f"{socket.gethostname()} {place}"


def _lonely(folder: Path, run: Any) -> bool:
    """Whether no process here publishes the run: its record has gone, or has made way."""
    identity = run.data.tags.get(KEY, "").partition(".")[0]
    if not IDENTITY.fullmatch(identity):
        return False  # none of ours, whatever it says of itself
    path = folder / identity
    if not path.is_dir():
        return True
    lock = disk.try_lock(path)
    if lock is None:
        return False
    os.close(lock)
    return True


def _stands(store: Store, record: Record) -> bool:
    """Whether the store holds the record's run, or somebody deleted it there on purpose."""
    run_id = published_runs(record).get(store.address.shown)
    if run_id is None:
        return False
    from mlflow.exceptions import MlflowException

    try:
        with quiet_mlflow():
            return bool(store.client.get_run(run_id).info.status == record.status)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":  # another store at the same address
            return False
        raise refusal(error, store.address) from None


def kept(record: Record, settings: TrackingSettings) -> str:
    """Where the record is, and the command that publishes it to the same store."""
    where = record.path
    if where.is_relative_to(paths.PROJECT):
        where = where.relative_to(paths.PROJECT)
    address = f' ARGS="tracking.uri={redact(settings.uri)}"' if settings.uri else ""
    return f"the record is kept in {where}; publish it with: make sync{address}"


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk
