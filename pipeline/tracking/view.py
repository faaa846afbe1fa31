"""The view that MLflow's page of an experiment opens with: the losses first, then what varies.

MLflow keeps views of an experiment as tags of it, and a link that names one opens it. The state in
the tag is that of MLflow 3.17's page (``compareRunCharts`` and so on), as JSON.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import zlib
from collections.abc import Container, Mapping, Sequence
from typing import Any

from pipeline.errors import TrackingError
from pipeline.tracking.projection import AXES
from pipeline.tracking.sqlite import varied_params
from pipeline.tracking.store import Store, asking

NAME = "oneuron"
TAG = f"mlflow.sharedViewState.{NAME}"
LINK = "#/experiments/{}/runs?workflowType=machine_learning&compareRunsMode=CHART"
LOOKED_AT = 100  # runs: one request, which a server answers in a second
MAX_AXES = 8
IDENTITY = "oneuron.identity"  # the tag of every run of a record
VALID_LOSS = "valid/best_loss"
SEED = "seed"
# What follows from other settings, or changes no neuron: no axis.
NO_AXIS = ("evaluate", "data")
L2 = "train.l2"  # may be a word (auto, cv); the metric l2 is what it came to


def link(experiment_id: str, *, has_view: bool) -> str:
    """Return the part of a link, after the server's address, that opens the runs as charts."""
    share = f"&viewStateShareKey={NAME}" if has_view else ""
    return f"{LINK.format(experiment_id)}{share}"


def write_view(store: Store) -> bool:
    """Give the experiment its view, in two requests; return whether the store took it.

    A user who may not write tags of an experiment, and a store that fails, leave it as it is: the
    runs are what counts. Of several who write at once each writes what is there.
    """
    try:
        with asking(store.address):
            value = shared_view(_varying_in(store))
            store.client.set_experiment_tag(store.experiment_id, TAG, value)
    except (TrackingError, sqlite3.Error):
        return False
    return True


def _varying_in(store: Store) -> list[str]:
    """Return what varies in the experiment: in a file of SQLite, in all of its runs.

    A server would take seconds for thousands of them. It is asked for the youngest, and the sweeps
    among them say what else they went through.
    """
    if store.address.path:
        return varying(varied_params(store.address.path, store.experiment_id))
    query = "attributes.status = 'FINISHED'"
    found = store.client.search_runs([store.experiment_id], query, max_results=LOOKED_AT)
    axes = {axis for run in found for axis in run.data.tags.get(AXES, "").split()}
    return varying([run.data.params for run in found if IDENTITY in run.data.tags], axes)


def shared_view(params: Sequence[str]) -> str:
    """Return the tag's value for an experiment in which these parameters vary."""
    text = json.dumps(view_state(params), separators=(",", ":"))
    packed = base64.b64encode(zlib.compress(text.encode(), 9)).decode()
    return json.dumps({"name": NAME, "createdAt": 0, "updatedAt": 0, "state": f"deflate;{packed}"})


def varying(runs: Sequence[Mapping[str, str]], axes: Container[str] = ()) -> list[str]:
    """Return the parameters that have several values in the runs, at most ``MAX_AXES``.

    Those of the ``axes`` count as well. A parameter that follows from another of its group (the
    decay of an optimiser from its name) is left out. The seed is the last.
    """
    kept: dict[str, list[str | None]] = {}
    names = {name for run in runs for name in run}
    for name in sorted(names, key=_rank):
        values = [run.get(name) for run in runs]
        group = name.partition(".")[0]
        varies = len(set(values)) > 1 or name.removesuffix(".name") in axes
        others = [kept[key] for key in kept if key.partition(".")[0] == group]
        is_axis = group not in NO_AXIS or name == "data.name"
        if varies and is_axis and not any(_follows(values, other) for other in others):
            kept[name] = values
    return sorted(list(kept)[:MAX_AXES], key=lambda name: (name == SEED, name))


def view_state(params: Sequence[str]) -> dict[str, Any]:
    """Return the state of the page: what is charted, what the table shows, how it is sorted."""
    metrics = [VALID_LOSS] if L2 not in params else ["l2", VALID_LOSS]
    axes = [name for name in params if name != L2]
    varied = [_column("params", name) for name in params]
    figures = [_column("metrics", name) for name in (VALID_LOSS, "test/log_loss", "test/accuracy")]
    verdict = _column("tags", "oneuron.verdict")
    columns = [*varied, *figures, verdict]
    loss, varies = "Loss", "What varies"
    return {
        "orderByKey": _column("metrics", VALID_LOSS),
        "orderByAsc": True,
        "selectedColumns": columns,
        "columnOrder": ["attributes.`Run Name`", figures[0], verdict, *varied, *figures[1:]],
        "columnWidths": {"attributes.`Run Name`": 320, verdict: 260},
        "runsHiddenMode": "FIRST_10_RUNS",
        "hideEmptyCharts": True,
        "isAccordionReordered": True,  # else MLflow sorts the sections by name
        "compareRunSections": [
            _section(loss, columns=2),
            _section(varies, columns=1),
            *(_section(name, display=False) for name in ("test", "train", "valid")),
            _section("Model metrics", display=False),
        ],
        "compareRunCharts": [
            _chart(
                "LINE", loss, "Loss: validation and training",
                metricKey="valid/loss", selectedMetricKeys=["valid/loss", "train/loss"],
                scaleType="log", xAxisScaleType="linear", xAxisKey="step", yAxisKey="metric",
                yAxisExpressions=[], lineSmoothness=0, range={},
                useGlobalXaxisKey=True, useGlobalLineSmoothing=True,
            ),
            _chart(
                "BAR", loss, "Test loss and that of its baseline",
                metricKey="test/log_loss",
                selectedMetricKeys=["test/log_loss", "test/baseline_log_loss"],
            ),
            _chart(
                "PARALLEL", varies, "What varies, and the validation loss",
                selectedParams=axes, selectedMetrics=metrics, showAllRuns=True,
            ),
        ],
    }  # fmt: skip


def _rank(name: str) -> tuple[bool, int, str]:
    """Sort the seed and choices first, and of the others those that are short."""
    return (name != SEED and not name.endswith(".name"), len(name), name)


def _follows(values: Sequence[str | None], other: Sequence[str | None]) -> bool:
    """Return whether each value of the other one comes with one of these values alone."""
    return len(set(zip(values, other, strict=True))) == len(set(other))


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"


def _section(name: str, *, columns: int = 3, display: bool = True) -> dict[str, Any]:
    return {
        "uuid": f"{NAME}-{name}", "name": name, "display": display, "columns": columns,
        "isReordered": True, "deleted": False, "isGenerated": False,
    }  # fmt: skip


def _chart(kind: str, section: str, title: str, **more: Any) -> dict[str, Any]:
    return {
        "type": kind, "uuid": f"{NAME}-{kind}", "metricSectionId": f"{NAME}-{section}",
        "displayName": title, "isGenerated": False, "deleted": False, "runsCountToCompare": 10,
    } | more  # fmt: skip
