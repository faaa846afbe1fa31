"""A run in MLflow that holds what is said of other runs: figures and one page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pipeline.config import TrackingSettings
from pipeline.tracking.names import MAX_TAG, safe_name, safe_value
from pipeline.tracking.projection import KEY
from pipeline.tracking.publish import Published
from pipeline.tracking.quiet import quiet_mlflow
from pipeline.tracking.store import Store, failures, open_store, refusal


@dataclass(frozen=True)
class Summary:
    """What such a run is given. ``key`` finds it again, ``file`` is the path of the page."""

    key: str
    name: str
    started_ms: int
    tags: dict[str, str]
    metrics: dict[str, float]
    file: str


def publish_summary(summary: Summary, settings: TrackingSettings) -> Published:
    """The run of the summary; published again, it holds the newer figures and page.

    Raises
    ------
    TrackingError
        If the store fails.
    """
    store = open_store(settings)
    try:
        with quiet_mlflow():
            query = f"tags.`{KEY}` = '{summary.key}'"
            found = store.client.search_runs([store.experiment_id], query)
            run = found[0] if found else _create(store, summary)
            run_id = run.info.run_id
            for name, text in summary.tags.items():
                store.client.set_tag(run_id, safe_name(name), safe_value(text, MAX_TAG))
            for name, value in summary.metrics.items():
                store.client.log_metric(run_id, name, value, timestamp=summary.started_ms, step=0)
            store.client.log_artifact(run_id, summary.file)
            store.client.set_terminated(run_id, "FINISHED")
    except failures() as error:
        raise refusal(error, store.address) from None
    url = store.url(run_id)
    return Published(run_id, store.experiment_id, store.address.shown, url, not found)


def _create(store: Store, summary: Summary) -> Any:
    return store.client.create_run(
        store.experiment_id,
        start_time=summary.started_ms,
        tags={KEY: summary.key},
        run_name=summary.name,
    )
