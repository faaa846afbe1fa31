"""What a run in MLflow is given, in few requests, and read back: a reply of 200 is no row yet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipeline.errors import TrackingError
from pipeline.record import Record
from pipeline.tracking.artifacts import repository
from pipeline.tracking.projection import Projection
from pipeline.tracking.store import Store

# What MLflow takes in one request.
MAX_PARAMS = 100
MAX_ENTITIES = 1000
MAX_DIGEST = 36


def log(store: Store, projection: Projection, run: Any, tags: Mapping[str, str]) -> None:
    """Write parameters and points, and the tags that the run lacks, in few requests."""
    from mlflow.entities import Metric

    t0 = run.info.start_time  # of the run found: another attempt gives the same bits at its time
    points = [Metric(p.name, p.value, t0 + p.step, p.step) for p in projection.points]
    params = list(projection.params.items())
    wanted = {**projection.tags, **tags}
    lacking = {name: v for name, v in wanted.items() if run.data.tags.get(name) != v}
    log_batch(store, run.info.run_id, tags=lacking)
    while params or points:
        some, params = params[:MAX_PARAMS], params[MAX_PARAMS:]
        room = MAX_ENTITIES - len(some)
        log_batch(store, run.info.run_id, params=dict(some), metrics=points[:room])
        points = points[room:]


def log_batch(
    store: Store,
    run_id: str,
    *,
    metrics: list[Any] | None = None,
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Write to the run in one request, if there is anything to write."""
    from mlflow.entities import Param, RunTag

    if metrics or params or tags:
        store.client.log_batch(
            run_id,
            metrics=metrics or [],
            params=[Param(name, value) for name, value in (params or {}).items()],
            tags=[RunTag(name, value) for name, value in (tags or {}).items()],
        )


def log_dataset(client: Any, run_id: str, record: Record) -> None:
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

    data, metrics = record.config["data"], record.head.metrics
    rows = {name: value for name, value in metrics.items() if name.startswith("rows/")}
    dataset = Dataset(
        name=data["name"],
        digest=record.head.lineage.data_digest[:MAX_DIGEST],  # the whole is in a tag
        source_type="local",
        source=json.dumps({"uri": data["path"]}),
        profile=json.dumps(rows),
    )
    return DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])


def read_back(store: Store, run: Any, projection: Projection) -> None:
    """Ask the store what it holds: a reply of 200 is not yet a row.

    Parameters, tags and the last value of every series; one whole series, the last of what was
    written; and the size of every file at the top of the artifacts.
    """
    data = store.client.get_run(run.info.run_id).data
    lasts = {point.name: point.value for point in projection.points}
    for kind, held, sent in (
        ("parameters", data.params, projection.params),
        ("tags", data.tags, projection.tags),
        ("metrics", data.metrics, lasts),
    ):
        lacking = [name for name, value in sent.items() if held.get(name) != value]
        if lacking:
            raise lost(store, f"{kind} without {lacking[0]}")
    _read_back_series(store, run.info.run_id, projection)
    sizes = sizes_of(store, run)
    for name, content in projection.files.items():
        if "/" not in name and sizes.get(name) != len(content):
            raise lost(store, f"{sizes.get(name)} of {len(content)} bytes of {name}")


def _read_back_series(store: Store, run_id: str, projection: Projection) -> None:
    if not projection.points:
        return
    name = projection.points[-1].name
    sent = sorted((p.step, p.value) for p in projection.points if p.name == name)
    history = store.client.get_metric_history(run_id, name)
    held = sorted((point.step, point.value) for point in history)
    if held != sent:
        raise lost(store, f"{len(held)} of {len(sent)} points of {name}")


def sizes_of(store: Store, run: Any) -> dict[str, int | None]:
    """Return the files and folders at the top of the run's artifacts, with their sizes."""
    held = repository(run.info.artifact_uri, store.address).list_artifacts()
    return {file.path: file.file_size for file in held}


def lost(store: Store, what: str) -> TrackingError:
    """Return that the store did not keep what it was sent."""
    return TrackingError(f"store must hold what it was sent; got {what} at {store.address.shown}")
