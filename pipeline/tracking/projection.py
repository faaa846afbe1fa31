"""A record becomes what MLflow shows of it: parameters, points, tags and files. No MLflow here."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nn.arrays import Array
from pipeline.record import Head, Record
from pipeline.record.contents import curve_name, json_bytes
from pipeline.record.head import RESULT
from pipeline.record.write import result_bytes
from pipeline.tracking.names import MAX_PARAM, MAX_TAG, escaped, flatten, safe_names, safe_value

# Of a series; the whole curve is in curve.csv. MLflow's charts draw 320 points of a series, and a
# point costs 0.2 ms to store.
MAX_POINTS = 40
MAX_TITLE = 250  # characters
KEY = "oneuron.key"
ATTEMPT = "oneuron.attempt"
OWNER = "oneuron.owner"  # the machine and the folder of records that the run is published from


@dataclass(frozen=True)
class Point:
    """One value of a series at a step; its time is the start of the run plus ``step`` ms."""

    name: str
    value: float
    step: int


@dataclass(frozen=True)
class Projection:
    """Everything that a run in MLflow is given."""

    key: str
    name: str
    params: dict[str, str]
    points: tuple[Point, ...]
    tags: dict[str, str]
    files: dict[str, bytes]


def project(record: Record, views: Mapping[str, bytes] | None = None) -> Projection:
    """What MLflow is given for ``record``; every file in it is verified on the way."""
    config = record.config
    # Names keep their parts: a name mapped in one kind is mapped alike in the others.
    pairs = flatten(config)
    curves = {series: curve_name(series) for series in record.curve if series != "epoch"}
    names = safe_names([name for name, _ in pairs])
    metric_names = safe_names([*record.head.metrics, *curves.values()])
    params = {names[name]: safe_value(canonical(value), MAX_PARAM) for name, value in pairs}
    points = [
        *_single_points(record, metric_names),
        *_curve_points(record, {s: metric_names[name] for s, name in curves.items()}),
    ]
    mapped = {new: old for old, new in (names | metric_names).items() if new != old}
    files = {**record.files, **(views or {}), RESULT: result_bytes(record.head)}
    if mapped:
        files["names.json"] = json_bytes(mapped)
    return Projection(key(record.head), _title(record), params, tuple(points), _tags(record), files)


def key(head: Head) -> str:
    """What a run in MLflow is found by: results are one run, each failed attempt is another."""
    if head.status == "FINISHED":
        return head.identity
    return f"{head.identity}.{head.attempt}"


def canonical(value: Any) -> str:
    """The one text of a value: 0.1 however it was typed, true, null, lists as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)  # a float by repr, which reads back exactly


def thinned(n: int, best: int | None, limit: int = MAX_POINTS) -> npt.NDArray[np.int64]:
    """Return positions of at most ``limit`` of ``n`` points, evenly by logarithm.

    First, last and best are among them.
    """
    if n <= limit:
        return np.arange(n)
    kept = np.rint(np.geomspace(1, n - 1, limit - 2)).astype(np.int64)
    return np.unique([0, *kept, n - 1, *([] if best is None else [best])])


def _curve_points(record: Record, series: dict[str, str]) -> list[Point]:
    curve = record.curve
    if "epoch" not in curve:
        return []
    epochs: Array = curve["epoch"]
    best = np.flatnonzero(epochs == record.head.best_epoch)
    kept = thinned(len(epochs), int(best[0]) if len(best) else None)
    return [
        Point(name, float(curve[old][i]), int(epochs[i]))
        for old, name in series.items()
        for i in kept
    ]


def _single_points(record: Record, names: dict[str, str]) -> list[Point]:
    """Figures of the kept neuron, at step 0: MLflow draws those as bars, others as lonely dots."""
    return [
        Point(names[name], value, 0)
        for name, value in record.head.metrics.items()
        if math.isfinite(value)
    ]


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
    if record.failure is not None:
        tags["oneuron.reason"] = record.failure.kind
        tags["oneuron.error"] = record.failure.message
    if any(name.startswith("not_held_out/") for name in head.metrics):
        tags["oneuron.held_out"] = "false"
    return {name: safe_value(str(value), MAX_TAG) for name, value in tags.items() if value}


def _title(record: Record) -> str:
    """The overrides: what makes the run different from others; of a default run, what it is."""
    config, overrides = record.config, record.head.overrides
    default = f"{config['data']['name']} {config['optimiser']['name']} {record.identity[:8]}"
    text = escaped(" ".join(overrides) or default)
    return text if len(text) <= MAX_TITLE else text[: MAX_TITLE - 1] + "…"
