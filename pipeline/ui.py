"""MLflow's page on this machine alone: a light server that ends with the command."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

from pipeline.errors import ConfigError, TrackingError
from pipeline.paths import PROJECT, STORE
from pipeline.tracking import experiment_of_latest_run, store_address

HOST = "127.0.0.1"
PREFERRED_PORT = 5000
START_S = 60.0  # until the server answers
STOP_S = 5.0  # until it is killed
# The page opens on its tracing mode; this link opens the runs as charts.
CHARTS = "#/experiments/{}/runs?workflowType=machine_learning&compareRunsMode=CHART"


def serve(port: int = PREFERRED_PORT) -> int:
    """Serve the project's store until Ctrl-C; the exit code of the command.

    Raises
    ------
    ConfigError
        If there is no run to look at.
    TrackingError
        If the server does not start.
    """
    if not STORE.exists():
        raise ConfigError("store must hold a run; got no mlflow.db in the project: make run")
    port = free_port(port)
    address = f"http://{HOST}:{port}"
    server = _start(port)
    try:
        experiment = experiment_of_latest_run()
        _await(server, address)
        print(f"runs as charts: {address}/{CHARTS.format(experiment)}")
        print("Ctrl-C ends it", flush=True)
        server.wait()
        raise TrackingError(f"MLflow's server must go on; got exit code {server.returncode}")
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(server)


def free_port(preferred: int) -> int:
    """``preferred`` if nothing listens there, otherwise a port that the system chooses."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise TrackingError(f"a port of {HOST} must be free; got none")


def _start(port: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", str(port),
               "--workers", "1", "--backend-store-uri", store_address()]  # fmt: skip
    # Without the job executor it is 2 processes and 0.5 GB instead of 15 and 3 GB.
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    return subprocess.Popen(
        command,
        cwd=PROJECT,
        env={**os.environ, **quiet},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches us alone, and we end the whole group
    )


def _await(server: subprocess.Popen[bytes], address: str) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):  # noqa: S310 (http)
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise TrackingError(f"MLflow's server must answer within {START_S:.0f} s; got no answer")


def _stop(server: subprocess.Popen[bytes]) -> None:
    for number, wait in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, None)):
        try:
            os.killpg(server.pid, number)
            server.wait(wait)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
