"""MLflow's page on this machine alone: served by this process, and gone with it."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import Any

from pipeline import files
from pipeline.errors import OK, ConfigError, TrackingError, leave_on_signals
from pipeline.text import say
from pipeline.tracking.quiet import quiet_mlflow
from pipeline.tracking.sqlite import latest_run

HOST = "127.0.0.1"
# The page opens on its tracing mode; this link opens the runs as charts.
CHARTS = "#/experiments/{}/runs?workflowType=machine_learning&compareRunsMode=CHART"


def serve(port: int) -> int:
    """Serve the project's store until Ctrl-C; return the exit code of the command.

    Raise ConfigError if there is no store, TrackingError if it cannot be read or holds no run.
    """
    if not files.STORE.exists():
        raise ConfigError("store must hold a run; got no mlflow.db in the project: make run")
    youngest = latest_run(files.STORE)
    if youngest is None:
        raise TrackingError("store must hold a run; got none: make run")
    leave_on_signals()
    with listen(port) as listening, suppress(KeyboardInterrupt):
        own = listening.getsockname()[1]
        _run(own, listening, f"http://{HOST}:{own}/{CHARTS.format(youngest[1])}")
    return OK


def listen(port: int) -> socket.socket:
    """Return a socket that listens at ``port``, or at a free one where that is taken."""
    try:
        return socket.create_server((HOST, port))
    except OSError:
        return socket.create_server((HOST, 0))


def _run(port: int, listening: socket.socket, link: str) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            say(f"runs as charts: {link}\nCtrl-C ends it")

    app = _guarded(_mlflow_app(), port)
    Server(uvicorn.Config(app, log_level="critical", timeout_graceful_shutdown=1)).run([listening])


def _mlflow_app() -> Any:
    """Return MLflow's app on the project's store, whatever the user has set for other servers."""
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        del os.environ[name]
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # it starts 13 more processes
    with quiet_mlflow():
        from mlflow.server import constants

        os.environ[constants.BACKEND_STORE_URI_ENV_VAR] = f"sqlite:///{files.STORE}"
        os.environ[constants.ARTIFACT_ROOT_ENV_VAR] = files.ARTIFACTS.as_uri()
        from mlflow.server.fastapi_app import app

        return app


def _guarded(app: Any, port: int) -> Any:
    """Return the app behind a door that knows its own address alone.

    MLflow lets every page of this machine write, whatever origins it is set to allow, and takes
    hosts such as 10.evil.com for private addresses. Here another Host or Origin is refused.
    """
    hosts = {f"{name}:{port}".encode() for name in (HOST, "localhost")}
    origins = {b"http://" + host for host in hosts}

    async def guarded(scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers", ()))
        origin = headers.get(b"origin")
        is_own = headers.get(b"host") in hosts and (origin is None or origin in origins)
        if scope["type"] == "lifespan" or is_own:
            await app(scope, receive, send)
        else:
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"another host or origin"})

    return guarded
