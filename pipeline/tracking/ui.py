"""MLflow's page on this machine alone: served by this process, and gone with it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.config.schema import TrackingSettings
from pipeline.errors import OK, ConfigError, TrackingError, leave_on_signals
from pipeline.serving.guard import HOST, guarded, listen, own_origins, run
from pipeline.tracking.address import check_address, sqlite_uri
from pipeline.tracking.quiet import quiet_mlflow
from pipeline.tracking.sqlite import ensure_store, follow_project, latest_run
from pipeline.tracking.store import Store
from pipeline.tracking.view import link, write_view

# Read before MLflow's own scripts: its assistant does not open by itself, over a third of the page,
# and on a narrow screen the charts have the room of the menu and of the list of runs.
FIRST = """<head>
<script>localStorage["mlflow.assistant.fab.autoOpenedOnFirstLoad_v1"] = "true"</script>
<style>@media (max-width: 700px) {
:has(+ main),
:has(+ [data-testid="experiment-view-compare-runs-chart-area"]) { display: none !important }
}</style>"""


def serve(port: int) -> int:
    """Serve the project's store until Ctrl-C; return the exit code of the command.

    Raise ConfigError if there is no store, TrackingError if it cannot be read or holds no run.
    """
    if not files.STORE.exists():
        raise ConfigError("store must hold a run; got no mlflow.db in the project: make run")
    ensure_store(files.STORE, files.ARTIFACTS)
    follow_project(files.STORE, files.ARTIFACTS)
    youngest = latest_run(files.STORE)
    if youngest is None:
        raise TrackingError("store must hold a run; got none: make run")
    leave_on_signals()
    with listen(port) as listening, suppress(KeyboardInterrupt):
        own = listening.getsockname()[1]
        app = guarded(_mlflow_app(), own_origins(own))
        charts = link(youngest[1], has_view=_has_view(youngest[1]))
        run(app, listening, f"runs as charts: http://{HOST}:{own}/{charts}\nCtrl-C ends it")
    return OK


def _has_view(experiment_id: str) -> bool:
    """Return whether the experiment has its view, which is made of the runs that it has now."""
    address = check_address(TrackingSettings(experiment=experiment_id))
    with quiet_mlflow():
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=address.uri, registry_uri=address.uri)
    return write_view(Store(client, address, experiment_id))


def _mlflow_app() -> Any:
    """Return MLflow's app on the project's store, whatever the user has set for other servers."""
    for name in [name for name in os.environ if name.startswith(("MLFLOW_", "_MLFLOW_"))]:
        del os.environ[name]
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # it starts 13 more processes
    with quiet_mlflow():
        from mlflow.server import constants

        os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = sqlite_uri(files.STORE)
        os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = files.ARTIFACTS.as_uri()
        from mlflow.server import app as pages
        from mlflow.server.fastapi_app import app

    page = Path(str(pages.static_folder), "index.html").read_text().replace("<head>", FIRST, 1)
    pages.view_functions["serve"] = lambda: page
    return app
