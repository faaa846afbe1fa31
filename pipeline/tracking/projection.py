"""A record becomes what MLflow shows of it: parameters, points, tags and files. No MLflow here."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nn.arrays import Array
from pipeline.config.source_settings import place_of
from pipeline.record import Head, Record
from pipeline.record.contents import curve_name, json_bytes
from pipeline.record.transfer import zip_bytes
from pipeline.text import canonical, flatten
from pipeline.tracking.model_files import FOLDER, of_run
from pipeline.tracking.names import (
    MAX_PARAM,
    MAX_TAG,
    grouped_name,
    run_name,
    safe_names,
    safe_value,
)

# Of a series; the whole curve is in curve.csv. A point costs 0.2 ms and 300 bytes to store.
MAX_POINTS = 18
LOOKED_AT = 2000  # epochs, evenly by logarithm
MAX_IMPORTANCES = 12  # the largest; every one is in effects.json
KEY = "oneuron.key"
ATTEMPT = "oneuron.attempt"
OWNER = "oneuron.owner"  # the machine and the folder of records that the run is published from
CLAIMED = "oneuron.claimed"  # when its owner began, in ns since 1970: who was first counts
ARCHIVE = "record.zip"  # the record as `make export` writes it
MAX_DIGEST = 36  # of a dataset in MLflow
AXES = "oneuron.axes"  # the settings that have several values in the run's sweep


class Point(NamedTuple):
    """One value of a series at a step; its time is the start of the run plus ``step`` ms."""

    name: str
    value: float
    step: int


@dataclass(frozen=True)
class Dataset:
    """The data of a run: by name, digest and place, with the number of rows of each part."""

    name: str
    digest: str
    place: str
    source_type: str  # local, or the engine that holds it
    rows: dict[str, float]


@dataclass(frozen=True)
class Projection:
    """Everything that a run in MLflow is given."""

    key: str
    name: str
    status: str
    started_ms: int
    ended_ms: int
    params: dict[str, str]
    points: tuple[Point, ...]
    tags: dict[str, str]
    dataset: Dataset | None
    files: dict[str, bytes]


@dataclass(frozen=True)
class Summary:
    """A run in MLflow that holds what is said of other runs: figures and one page, ``file``.

    ``key`` finds it again.
    """

    key: str
    name: str
    started_ms: int
    tags: dict[str, str]
    metrics: dict[str, float]
    file: Path

    def projection(self) -> Projection:
        """Return what its run is given; a step is a second, so that the newest figures are last."""
        now = max(time.time_ns() // 1_000_000, self.started_ms)
        step = (now - self.started_ms) // 1000
        return Projection(
            key=self.key,
            name=self.name,
            status="FINISHED",
            started_ms=self.started_ms,
            ended_ms=now,
            params={},
            points=tuple(Point(grouped_name(n), v, step) for n, v in self.metrics.items()),
            tags={name: safe_value(value, MAX_TAG) for name, value in self.tags.items()},
            dataset=None,
            files={self.file.name: self.file.read_bytes()},
        )


def project(
    record: Record,
    views: Mapping[str, bytes] | None = None,
    tags: Mapping[str, str] | None = None,
) -> Projection:
    """Return what MLflow is given for ``record``, with the ``views`` that were drawn of it.

    Of the ``tags`` of a sweep the run's name says what varies in it.
    """
    pairs = flatten(record.config)
    # Names keep their parts: a name mapped in one kind is mapped alike in the others.
    names = safe_names([name for name, _ in pairs])
    metrics = _shown_metrics(record.head.metrics)
    metric_names = safe_names(metrics)
    params = {names[name]: safe_value(canonical(value), MAX_PARAM) for name, value in pairs}
    # Figures of the kept neuron at step 0: MLflow draws those as bars, others as lonely dots.
    figures = [Point(grouped_name(metric_names[name]), v, 0) for name, v in metrics.items()]
    mapped = {new: old for old, new in names.items() if new != old}
    mapped |= {grouped_name(new): old for old, new in metric_names.items() if new != old}
    files = dict(views or {})
    if mapped:
        files["names.json"] = json_bytes(mapped)
    if record.status == "FINISHED":
        files |= of_run(record)
    axes = (tags or {}).get(AXES, "").split()
    return Projection(
        key=key(record.head),
        name=run_name(record.head.overrides, axes, default_name(record)),
        status=record.status,
        started_ms=record.head.started_ms,
        ended_ms=record.head.ended_ms,
        params=params,
        points=(*figures, *_curve_points(record)),
        tags=_tags(record),
        dataset=_dataset(record),
        files={archive_path(record.status): zip_bytes(record), **files},
    )


def archive_path(status: str) -> str:
    """Return where the record is among the files of a run: with its model, if it has one."""
    return f"{FOLDER}/{ARCHIVE}" if status == "FINISHED" else ARCHIVE


def key(head: Head) -> str:
    """Return what a run is found by: results are one run, each failed attempt is another."""
    if head.status == "FINISHED":
        return head.identity
    return f"{head.identity}.{head.attempt}"


@np.errstate(all="ignore")
def thinned(curves: Array, best: list[int], limit: int = MAX_POINTS) -> npt.NDArray[np.int64]:
    """Return positions of at most ``limit`` of the n points of each of the ``curves`` (k, n).

    First, last and ``best`` are among them. The others are added one by one, where a curve is
    farthest from the straight lines between those that are there (Ramer 1972), in its own range.
    """
    n = curves.shape[1]
    if n <= limit:
        return np.arange(n)
    x = np.unique([0, *best, *np.rint(np.geomspace(1, n - 1, LOOKED_AT)).astype(np.int64)])
    shapes = curves[:, x] / np.maximum(np.ptp(curves, axis=1, keepdims=True), 1e-300)
    kept = {0, *np.searchsorted(x, best).tolist(), len(x) - 1}
    while len(kept) < limit:
        nodes = sorted(kept)
        off = [np.abs(np.interp(x, x[nodes], shape[nodes]) - shape) for shape in shapes]
        farthest = np.max(off, axis=0)
        farthest[nodes] = -1.0
        kept.add(int(farthest.argmax()))
    places: npt.NDArray[np.int64] = x[sorted(kept)]
    return places


def _dataset(record: Record) -> Dataset:
    data, metrics = record.config["data"], record.head.metrics
    rows = {name: value for name, value in metrics.items() if name.startswith("rows/")}
    digest = record.head.lineage.data_digest[:MAX_DIGEST]  # the whole is in a tag
    source_type = data["source"]["engine"] if data.get("source") else "local"
    return Dataset(data["name"], digest, place_of(data), source_type, rows)


def _curve_points(record: Record) -> Iterator[Point]:
    if "epoch" not in record.curve:
        return
    epochs: Array = record.curve["epoch"]
    best = np.flatnonzero(epochs == record.head.best_epoch)
    curves = {series: values for series, values in record.curve.items() if series != "epoch"}
    kept = thinned(np.array([*curves.values()]), best.tolist())
    for series, values in curves.items():
        for i in kept:
            yield Point(curve_name(series), float(values[i]), int(epochs[i]))


def _tags(record: Record) -> dict[str, str]:
    head, lineage, config = record.head, record.head.lineage, record.config
    dirty = lineage.git_dirty
    tags = {
        KEY: key(head),
        ATTEMPT: head.attempt,
        "oneuron.identity": record.identity,
        "oneuron.data_digest": lineage.data_digest,
        "oneuron.code_digest": lineage.code_digest,
        "oneuron.git_dirty": "" if dirty is None else canonical(dirty),
        "oneuron.seed": canonical(config["seed"]),
        "oneuron.blas": lineage.blas,
        "oneuron.blas_threads": canonical(lineage.blas_threads),
        "oneuron.platform": lineage.platform,
        "oneuron.overrides": " ".join(head.overrides),
        "oneuron.ended": head.ended,
        "mlflow.source.name": "python -m pipeline",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": lineage.git_commit,
        **{f"oneuron.version.{name}": text for name, text in lineage.versions.items()},
    }
    if record.certificate is not None:
        tags["oneuron.verdict"] = record.certificate.text
    if record.start is not None:
        tags["oneuron.start"] = record.start_text
    if record.failure is not None:
        tags["oneuron.reason"] = record.failure.kind
        tags["oneuron.error"] = record.failure.message
    if any(name.startswith("not_held_out/") for name in head.metrics):
        tags["oneuron.held_out"] = "false"
    return {name: safe_value(str(value), MAX_TAG) for name, value in tags.items() if value}


def _shown_metrics(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return the metrics that MLflow is given: not the importance of each of many columns."""
    rises = {name: v for name, v in metrics.items() if name.startswith("importance/")}
    largest = sorted(rises, key=lambda name: (-rises[name], name))[:MAX_IMPORTANCES]
    return {name: v for name, v in metrics.items() if name not in rises or name in largest}


def default_name(record: Record) -> str:
    """Return the name of a run that nothing was typed for."""
    config = record.config
    return f"{config['data']['name']} {config['optimiser']['name']} {record.identity[:8]}"
