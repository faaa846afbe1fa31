"""MLflow's page on this machine alone: served by this process, and gone with it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from pipeline import files
from pipeline.errors import OK, ConfigError, TrackingError, leave_on_signals
from pipeline.serving.guard import HOST, guarded, listen, own_origins, run
from pipeline.tracking.address import sqlite_uri
from pipeline.tracking.quiet import quiet_mlflow
from pipeline.tracking.sqlite import ensure_store, latest_run

# The page opens on its tracing mode; this link opens the runs as charts.
CHARTS = "#/experiments/{}/runs?workflowType=machine_learning&compareRunsMode=CHART"


def serve(port: int) -> int:
    """Serve the project's store until Ctrl-C; return the exit code of the command.

    Raise ConfigError if there is no store, TrackingError if it cannot be read or holds no run.
    """
    if not files.STORE.exists():
        raise ConfigError("store must hold a run; got no mlflow.db in the project: make run")
    ensure_store(files.STORE, files.ARTIFACTS)
    youngest = latest_run(files.STORE)
    if youngest is None:
        raise TrackingError("store must hold a run; got none: make run")
    leave_on_signals()
    with listen(port) as listening, suppress(KeyboardInterrupt):
        own = listening.getsockname()[1]
        link = f"http://{HOST}:{own}/{CHARTS.format(youngest[1])}"
        app = guarded(_mlflow_app(), own_origins(own))
        run(app, listening, f"runs as charts: {link}\nCtrl-C ends it")
    return OK


def _mlflow_app() -> Any:
    """Return MLflow's app on the project's store, whatever the user has set for other servers."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        del os.environ[name]
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # it starts 13 more processes
    with quiet_mlflow():
        from mlflow.server import constants

        os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = sqlite_uri(files.STORE)
        os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = files.ARTIFACTS.as_uri()
        from mlflow.server.fastapi_app import app

        return app
