"""A record becomes what MLflow shows of it: parameters, points, tags and files. No MLflow here."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nn.arrays import Array
from pipeline.record import Record
from pipeline.record.contents import curve_name, json_bytes
from pipeline.record.reading import RESULT, seal_of
from pipeline.tracking.names import MAX_PARAM, MAX_TAG, escaped, flatten, safe_names, safe_value

# Of a series; the whole curve is in curve.csv. MLflow's charts draw 320 points of a series, and a
# point costs 0.2 ms to store.
MAX_POINTS = 512
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


def project(record: Record) -> Projection:
    """What MLflow is given for ``record``; every file in it is verified on the way."""
    config = record.config
    # Names keep their parts: a name mapped in one kind is mapped alike in the others.
    pairs = flatten(config)
    curves = {series: curve_name(series) for series in record.curve if series != "epoch"}
    names = safe_names([name for name, _ in pairs])
    metric_names = safe_names([*record.metrics, *curves.values()])
    params = {names[name]: safe_value(canonical(value), MAX_PARAM) for name, value in pairs}
    points = [
        *_single_points(record, metric_names),
        *_curve_points(record, {s: metric_names[name] for s, name in curves.items()}),
    ]
    mapped = {new: old for old, new in (names | metric_names).items() if new != old}
    files = {name: record.content(name) for name in record.files} | {RESULT: _result(record)}
    if mapped:
        files["names.json"] = json_bytes(mapped)
    return Projection(key(record), _title(record), params, tuple(points), _tags(record), files)


def key(record: Record) -> str:
    """What a run in MLflow is found by: results are one run, each failed attempt is another."""
    if record.status == "FINISHED":
        return record.identity
    return f"{record.identity}.{record.attempt}"


def canonical(value: Any) -> str:
    """The one text of a value: 0.1 however it was typed, true, null, lists as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)  # a float by repr, which reads back exactly


def thinned(n: int, best: int | None, limit: int = MAX_POINTS) -> npt.NDArray[np.int64]:
    """Positions of at most ``limit`` of ``n`` points: every k-th, and first, last and best."""
    step = 1 if n <= limit else math.ceil((n - 1) / (limit - 3))
    kept = [*range(0, n, step), n - 1]
    return np.unique(kept if best is None else [*kept, best])


def _curve_points(record: Record, series: dict[str, str]) -> list[Point]:
    curve = record.curve
    if "epoch" not in curve:
        return []
    epochs: Array = curve["epoch"]
    best = np.flatnonzero(epochs == record.best_epoch)
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
        for name, value in record.metrics.items()
        if math.isfinite(value)
    ]


def _tags(record: Record) -> dict[str, str]:
    lineage, config = record.lineage, record.config
    dirty = lineage["git_dirty"]
    tags = {
        KEY: key(record),
        ATTEMPT: record.attempt,
        "oneuron.identity": record.identity,
        "oneuron.data_digest": lineage["data_digest"],
        "oneuron.code_digest": lineage["code_digest"],
        "oneuron.git_dirty": "" if dirty is None else canonical(dirty),
        "oneuron.seed": canonical(config["seed"]),
        "oneuron.blas": lineage["blas"],
        "oneuron.blas_threads": canonical(lineage["blas_threads"]),
        "oneuron.platform": lineage["platform"],
        "oneuron.overrides": " ".join(record.tree["overrides"]),
        "oneuron.ended": record.tree["ended"],
        "mlflow.source.name": "python -m pipeline",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": lineage["git_commit"],
        **{f"oneuron.version.{name}": text for name, text in lineage["versions"].items()},
    }
    if "certificate.json" in record.files:
        tags["oneuron.verdict"] = record.json("certificate.json")["text"]
    if record.failure is not None:
        tags["oneuron.reason"] = record.failure.kind
        tags["oneuron.error"] = record.failure.message
    if any(name.startswith("not_held_out/") for name in record.metrics):
        tags["oneuron.held_out"] = "false"
    return {name: safe_value(str(value), MAX_TAG) for name, value in tags.items() if value}


def _title(record: Record) -> str:
    """The overrides: what makes the run different from others; of a default run, what it is."""
    config, overrides = record.config, record.tree["overrides"]
    told = f"{config['data']['name']} {config['optimiser']['name']} {record.identity[:8]}"
    text = escaped(" ".join(overrides) or told)
    return text if len(text) <= MAX_TITLE else text[: MAX_TITLE - 1] + "…"


def _result(record: Record) -> bytes:
    return json_bytes({**record.tree, "seal": seal_of(record.tree)})
