"""What a run in MLflow is given, in few requests, and read back: a reply of 200 is no row yet."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from pipeline.errors import TrackingError
from pipeline.tracking.projection import ATTEMPT, Dataset, Projection
from pipeline.tracking.store import Store, status_of

# What MLflow takes in one request.
MAX_PARAMS = MAX_TAGS = 100
MAX_POINTS = 1000 - MAX_PARAMS - MAX_TAGS
TOO_LARGE = "must be at most"  # of MLflow itself: a request of a megabyte


def lacking(run: Any, wanted: Projection, *, by_value: bool = False) -> Projection:
    """Return what the run lacks of ``wanted``, without its files.

    ``by_value``, or where the run is of this attempt. Another attempt gave the same result, but may
    have read its table elsewhere, and ended later: there each name has to have some value.
    """
    held, same = run.data, by_value or is_same_attempt(run, wanted)
    last = {metric.key: (metric.step, metric.value) for metric in held._metric_objs}
    ends = {point.name: (point.step, point.value) for point in wanted.points}
    series = _differing(last, ends, same).keys()
    datasets = [each.dataset for each in run.inputs.dataset_inputs] if run.inputs else []
    known = wanted.dataset is None or any(d.digest == wanted.dataset.digest for d in datasets)
    return replace(
        wanted,
        params=_differing(held.params, wanted.params, same),
        points=tuple(point for point in wanted.points if point.name in series),
        tags=_differing(held.tags, wanted.tags, same),
        dataset=None if known else wanted.dataset,
        files={},
    )


def is_same_attempt(run: Any, wanted: Projection) -> bool:
    """Return whether the run is of the very record that ``wanted`` is of, or of none yet."""
    attempt = run.data.tags.get(ATTEMPT)
    return attempt is None or bool(attempt == wanted.tags.get(ATTEMPT))


def is_complete(lack: Projection) -> bool:
    """Return whether nothing is lacking."""
    return not (lack.params or lack.points or lack.tags or lack.dataset)


def log(store: Store, run: Any, content: Projection) -> bool:
    """Write parameters, points, tags and the dataset; return whether all points went at once.

    Then the last point of a series proves the others. Where a request is too large it goes in two.
    """
    from mlflow.entities import Metric, Param, RunTag

    t0 = run.info.start_time  # of the run found: another attempt gives the same bits at its time
    points = [Metric(p.name, p.value, t0 + p.step, p.step) for p in content.points]
    params = [Param(name, value) for name, value in content.params.items()]
    tags = [RunTag(name, value) for name, value in content.tags.items()]
    n_requests = [
        _log_batch(store, run.info.run_id, batch) for batch in _batches(params, tags, points)
    ]
    if content.dataset is not None:
        _log_dataset(store.client, run.info.run_id, content.dataset)
    return len(points) <= MAX_POINTS and n_requests[:1] in ([], [1])


def require_content(store: Store, run: Any, wanted: Projection) -> None:
    """Raise TrackingError unless the run, as it was just read, holds what is ``wanted`` of it."""
    lack = lacking(run, wanted)
    for kind, names in (
        ("parameters", list(lack.params)),
        ("metrics", [point.name for point in lack.points]),
        ("tags", list(lack.tags)),
        ("its dataset", [lack.dataset.name] if lack.dataset else []),
    ):
        if names:
            raise lost(store, f"{kind} without {names[0]}")


def require_series(store: Store, run: Any, wanted: Projection) -> None:
    """Raise TrackingError unless the run holds each point of each series: a request for each."""
    by_name: dict[str, list[tuple[int, float]]] = {}
    for point in wanted.points:
        by_name.setdefault(point.name, []).append((point.step, point.value))
    for name, sent in by_name.items():
        if len(sent) > 1:
            history = store.client.get_metric_history(run.info.run_id, name)
            held = {(point.step, point.value) for point in history}
            if not held >= set(sent):
                raise lost(store, f"{len(held)} of {len(sent)} points of {name}")


def lost(store: Store, what: str) -> TrackingError:
    """Return that the store did not keep what it was sent."""
    return TrackingError(f"store must hold what it was sent; got {what} at {store.address.shown}")


def _differing(held: Mapping[str, Any], wanted: Mapping[str, Any], same: bool) -> dict[str, Any]:
    if not same:
        return {name: value for name, value in wanted.items() if name not in held}
    return {name: value for name, value in wanted.items() if held.get(name) != value}


def _batches(params: list[Any], tags: list[Any], points: list[Any]) -> Iterator[list[Any]]:
    """Yield what one request may hold; all points are in the first where there is room."""
    while params or tags or points:
        yield [*params[:MAX_PARAMS], *tags[:MAX_TAGS], *points[:MAX_POINTS]]
        params, tags, points = params[MAX_PARAMS:], tags[MAX_TAGS:], points[MAX_POINTS:]


def _log_batch(store: Store, run_id: str, batch: list[Any]) -> int:
    """Write the batch; return in how many requests."""
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.exceptions import MlflowException

    kinds: dict[str, type] = {"metrics": Metric, "params": Param, "tags": RunTag}
    parts = {name: [each for each in batch if isinstance(each, k)] for name, k in kinds.items()}
    try:
        store.client.log_batch(run_id, **parts)
    except MlflowException as error:
        is_too_large = status_of(error) == 413 or TOO_LARGE in str(error)
        if not is_too_large or len(batch) == 1:
            raise
        half = len(batch) // 2
        return sum(_log_batch(store, run_id, part) for part in (batch[:half], batch[half:]))
    return 1


def _log_dataset(client: Any, run_id: str, dataset: Dataset) -> None:
    """Name the data. Of two that do so at once for the first time one fails: then it is there."""
    from mlflow.entities import Dataset as MlflowDataset
    from mlflow.entities import DatasetInput, InputTag
    from mlflow.exceptions import MlflowException

    source, profile = json.dumps({"uri": dataset.place}), json.dumps(dataset.rows)
    entity = MlflowDataset(
        dataset.name, dataset.digest, dataset.source_type, source, profile=profile
    )
    data = DatasetInput(entity, [InputTag("mlflow.data.context", "training")])
    for again in (True, True, False):
        try:
            client.log_inputs(run_id, datasets=[data])
        except MlflowException as error:
            if not again or status_of(error) in (401, 403):
                raise
        else:
            return
