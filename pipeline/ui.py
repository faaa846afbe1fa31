"""MLflow's page on this machine alone: a light server that ends with the command.

The server runs below a keeper (``main``) in a session of their own. The keeper reads a pipe that
only the command holds open: however the command ends, the pipe does too, and the server with it.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from typing import IO, cast

from pipeline import paths
from pipeline.errors import OK, ConfigError, TrackingError
from pipeline.redact import redact
from pipeline.signals import StopRequest
from pipeline.tracking import experiment_of_latest_run, store_address

HOST = "127.0.0.1"
PREFERRED_PORT = 5000
START_S = 60.0  # until the server answers
STOP_S = 5.0  # until it is killed
POLL_S = 0.1
# The page opens on its tracing mode; this link opens the runs as charts.
CHARTS = "#/experiments/{}/runs?workflowType=machine_learning&compareRunsMode=CHART"


def serve(port: int = PREFERRED_PORT) -> int:
    """Serve the project's store until Ctrl-C; the exit code of the command.

    Raises
    ------
    ConfigError
        If there is no run to look at, or no such port.
    TrackingError
        If the store cannot be read, or the server does not start or ends by itself.
    """
    if not 0 <= port <= 65535:
        raise ConfigError(f"--port must be from 0 (any) to 65535; got {port}")
    if not paths.STORE.exists():
        raise ConfigError("store must hold a run; got no mlflow.db in the project: make run")
    experiment = experiment_of_latest_run()
    stop = StopRequest()
    stop.listen()
    port = free_port(port)
    address = f"http://{HOST}:{port}"
    with tempfile.TemporaryFile() as log:
        server = _start(port, log)
        try:
            if _answers(server, address, stop):
                print(f"runs as charts: {address}/{CHARTS.format(experiment)}")
                print("Ctrl-C ends it", flush=True)
            while stop.signal is None and server.poll() is None:
                time.sleep(POLL_S)
        finally:
            _stop(server)
        if stop.signal is None:
            raise TrackingError(f"MLflow's server must go on; it ended: {_last_line(log)}")
    return OK if stop.signal == signal.SIGINT else stop.exit_code


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


def _start(port: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.ui", str(port)],
        cwd=paths.PROJECT,
        stdin=subprocess.PIPE,  # ends with us
        stdout=subprocess.DEVNULL,
        stderr=log,
        start_new_session=True,  # Ctrl-C reaches us alone, and we end the whole group
    )


def _answers(server: subprocess.Popen[bytes], address: str, stop: StopRequest) -> bool:
    """Whether the server has begun to answer, before it or we were ended."""
    deadline = time.monotonic() + START_S
    while server.poll() is None and stop.signal is None:
        if time.monotonic() > deadline:
            raise TrackingError(f"MLflow's server must answer within {START_S:.0f} s; got silence")
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2):  # noqa: S310 (http)
                return server.poll() is None
        except (urllib.error.URLError, OSError):
            time.sleep(POLL_S)
    return False


def _stop(server: subprocess.Popen[bytes]) -> None:
    """End every process of the server's session."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with suppress(subprocess.TimeoutExpired):
            server.wait(STOP_S)
    cast(IO[bytes], server.stdin).close()


def _last_line(log: IO[bytes]) -> str:
    """The last thing that the server said, without secrets."""
    log.seek(0)
    said = log.read()[-4000:].decode("utf-8", "replace").strip().splitlines()
    return redact(said[-1])[:300] if said else "without a word"


def main() -> None:
    """Keep a server on the given port until standard input ends; the exit code is the server's."""
    port = sys.argv[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", port,
               "--workers", "1", "--backend-store-uri", store_address()]  # fmt: skip
    # Without the job executor it is 2 processes and 0.5 GB instead of 15 and 3 GB.
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    server = subprocess.Popen(command, env={**os.environ, **quiet}, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the group gets it; we leave after the server
    threading.Thread(target=_end_with_command, daemon=True).start()
    sys.exit(server.wait())


def _end_with_command() -> None:
    sys.stdin.read()
    os.killpg(0, signal.SIGTERM)
    time.sleep(STOP_S)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
