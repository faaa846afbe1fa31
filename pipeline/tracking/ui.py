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
from typing import IO, Any, cast

from pipeline import files
from pipeline.errors import OK, ConfigError, StopRequest, TrackingError
from pipeline.text import cut, redact, say
from pipeline.tracking.store import youngest_run

HOST = "127.0.0.1"
START_S = 60.0  # until the server answers
STOP_S = 5.0  # until it is killed
POLL_S = 0.1
APP = "oneuron"  # the entry point in pyproject.toml that names ``create_app``
PORT_VARIABLE = "ONEURON_UI_PORT"
# The page opens on its tracing mode; this link opens the runs as charts.
RUN = "api/2.0/mlflow/runs/get?run_id={}"
CHARTS = "#/experiments/{}/runs?workflowType=machine_learning&compareRunsMode=CHART"


def serve(port: int) -> int:
    """Serve the project's store until Ctrl-C; return the exit code of the command.

    Raises
    ------
    ConfigError
        If there is no run to look at.
    TrackingError
        If the store cannot be read, or the server does not start or ends by itself.
    """
    if not files.STORE.exists():
        raise ConfigError("store must hold a run; got no mlflow.db in the project: make run")
    run, experiment = youngest_run()
    stop = StopRequest()
    stop.listen()
    for wanted in (port, 0, 0):  # another server may be faster to take a port that was free
        answered, last_line = _serve_at(free_port(wanted), run, experiment, stop)
        if stop.signal is not None:
            return OK if stop.signal == signal.SIGINT else stop.exit_code
        if answered:
            break
    raise TrackingError(f"MLflow's server must go on; it ended: {last_line}")


def free_port(preferred: int) -> int:
    """Return ``preferred`` if nothing listens there, otherwise a port that the system chooses."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((HOST, port))
                return int(probe.getsockname()[1])
    raise TrackingError(f"a port of {HOST} must be free; got none")


def create_app() -> Any:
    """Return MLflow's app behind a door that knows its own address alone.

    MLflow lets every page of this machine write, whatever origins it is told to allow, and takes
    hosts such as 10.evil.com for private addresses. Here another Host or Origin is refused.
    """
    from mlflow.server.fastapi_app import app

    port = os.environ[PORT_VARIABLE]
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


def main() -> None:
    """Keep a server on the given port until standard input ends; exit with the server's code."""
    port = sys.argv[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", HOST, "--port", port,
               "--workers", "1", "--app-name", APP,
               "--backend-store-uri", f"sqlite:///{files.STORE}",
               "--allowed-hosts", f"{HOST}:{port},localhost:{port}",
               "--cors-allowed-origins", f"http://{HOST}:{port}"]  # fmt: skip
    # The user's own settings are of other servers. Without the job executor it is 2 processes and
    # 0.5 GB instead of 15 and 3 GB.
    kept = {name: text for name, text in os.environ.items() if not name.startswith("MLFLOW_")}
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    environment = {**kept, **quiet, PORT_VARIABLE: port}
    server = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the group gets it; we leave after the server
    threading.Thread(target=_end_with_command, daemon=True).start()
    sys.exit(server.wait())


def _serve_at(port: int, run: str, experiment: str, stop: StopRequest) -> tuple[bool, str]:
    """Serve until the server or we are ended; return whether it had answered, and its last line."""
    address = f"http://{HOST}:{port}"
    with tempfile.TemporaryFile() as log:
        server = _start(port, log)
        try:
            answered = _answers(server, f"{address}/{RUN.format(run)}", stop)
            if answered:
                say(f"runs as charts: {address}/{CHARTS.format(experiment)}")
                say("Ctrl-C ends it")
            while stop.signal is None and server.poll() is None:
                time.sleep(POLL_S)
        finally:
            _stop(server)
        return answered, _last_line(log)


def _start(port: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline.tracking.ui", str(port)],
        cwd=files.PROJECT,
        stdin=subprocess.PIPE,  # ends with us
        stdout=subprocess.DEVNULL,
        stderr=log,
        start_new_session=True,  # Ctrl-C reaches us alone, and we end the whole group
    )


def _answers(server: subprocess.Popen[bytes], question: str, stop: StopRequest) -> bool:
    """Return whether the server has begun to answer, before it or we were ended.

    It is asked for a run of the project: the port may meanwhile be that of another server.
    """
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_S
    while server.poll() is None and stop.signal is None:
        if time.monotonic() > deadline:
            raise TrackingError(f"MLflow's server must answer within {START_S:.0f} s; got silence")
        try:
            with direct.open(question, timeout=2):
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
    cast("IO[bytes]", server.stdin).close()


def _last_line(log: IO[bytes]) -> str:
    """Return the last thing that the server said, without secrets."""
    log.seek(0)
    lines = log.read()[-4000:].decode("utf-8", "replace").strip().splitlines()
    return cut(redact(lines[-1]), 300) if lines else "without a word"


def _end_with_command() -> None:
    sys.stdin.read()
    os.killpg(0, signal.SIGTERM)
    time.sleep(STOP_S)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
