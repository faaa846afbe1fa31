"""A run in MLflow that holds what is said of other runs: figures and one page."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.config.schema import TrackingSettings
from pipeline.tracking.artifacts import put
from pipeline.tracking.fetch import asking
from pipeline.tracking.names import MAX_TAG, safe_name, safe_value
from pipeline.tracking.projection import KEY
from pipeline.tracking.publish import Published
from pipeline.tracking.store import open_store


@dataclass(frozen=True)
class Summary:
    """What such a run is given. ``key`` finds it again, ``file`` is the path of the page."""

    key: str
    name: str
    started_ms: int
    tags: dict[str, str]
    metrics: dict[str, float]
    file: Path


def publish_summary(summary: Summary, settings: TrackingSettings) -> Published:
    """Publish the run of the summary; published again, it holds the newer figures and page.

    Raises
    ------
    TrackingError
        If the store fails.
    """
    store = open_store(settings)
    with asking(store):
        from mlflow.entities import Metric, RunTag

        client = store.client
        query = f"tags.`{KEY}` = '{summary.key}'"
        found = client.search_runs([store.experiment_id], query)
        run = found[0] if found else client.create_run(
            store.experiment_id, summary.started_ms, {KEY: summary.key}, summary.name
        )  # fmt: skip
        run_id = run.info.run_id
        tags = [RunTag(safe_name(k), safe_value(v, MAX_TAG)) for k, v in summary.tags.items()]
        time = summary.started_ms
        metrics = [Metric(name, value, time, 0) for name, value in summary.metrics.items()]
        client.log_batch(run_id, metrics=metrics, tags=tags)
        page = {summary.file.name: summary.file.read_bytes()}
        put(page, run.info.artifact_uri, store.address, summary.file.parent)
        client.set_terminated(run_id, "FINISHED")
    url = store.url(run_id)
    return Published(run_id, store.experiment_id, store.address.shown, url, not found)
