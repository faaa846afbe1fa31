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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, cast

from pipeline import paths
from pipeline.errors import OK, ConfigError, TrackingError
from pipeline.guard import HOST
from pipeline.redact import redact
from pipeline.signals import StopRequest
from pipeline.tracking import store_address, youngest_run

PREFERRED_PORT = 5000
START_S = 60.0  # until the server answers
STOP_S = 5.0  # until it is killed
POLL_S = 0.1
# Variables of these names would set options of the server, and let others in.
WIDENING = ("MLFLOW", "_MLFLOW", "UVICORN", "GUNICORN")
# Without the job executor it is 2 processes and 0.5 GB instead of 15 and 3 GB.
QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
# The page opens on its tracing mode; this link opens the runs as charts.
RUN = "api/2.0/mlflow/runs/get?run_id={}"
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
    run, experiment = youngest_run()
    stop = StopRequest()
    stop.listen()
    for wanted in (port, 0):  # another server may be faster to take a port that was free
        with free_port(wanted) as claimed:
            answered, said = _serve_at(claimed, run, experiment, stop)
        if stop.signal is not None:
            return OK if stop.signal == signal.SIGINT else stop.exit_code
        if answered:
            break
    raise TrackingError(f"MLflow's server must go on; it ended: {said}")


def _serve_at(port: int, run: str, experiment: str, stop: StopRequest) -> tuple[bool, str]:
    """Serve until the server or we are ended: whether it had answered, and its last words."""
    address = f"http://{HOST}:{port}"
    with tempfile.TemporaryFile() as log:
        server = _start(port, log)
        try:
            answered = _answers(server, f"{address}/{RUN.format(run)}", stop)
            if answered:
                print(f"runs as charts: {address}/{CHARTS.format(experiment)}")
                print("Ctrl-C ends it", flush=True)
            while stop.signal is None and server.poll() is None:
                time.sleep(POLL_S)
        finally:
            _stop(server)
        return answered, _last_line(log)


@contextmanager
def free_port(preferred: int) -> Iterator[int]:
    """``preferred`` if nothing listens there, otherwise a port that the system chooses; claimed.

    The server binds it seconds later. Until then, and as long as it runs, the UDP port of the same
    number says to others of us that it is taken; the system frees it however we end.
    """
    for port in (preferred, 0):
        with socket.socket() as probe, socket.socket(type=socket.SOCK_DGRAM) as claim:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
                chosen = int(probe.getsockname()[1])
                claim.bind((HOST, chosen))
            except OSError:
                continue
            probe.close()
            yield chosen
            return
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


def _answers(server: subprocess.Popen[bytes], question: str, stop: StopRequest) -> bool:
    """Whether the server has begun to answer, before it or we were ended.

    It is asked for a run of ours: the port may meanwhile be that of another server.
    """
    deadline = time.monotonic() + START_S
    while server.poll() is None and stop.signal is None:
        if time.monotonic() > deadline:
            raise TrackingError(f"MLflow's server must answer within {START_S:.0f} s; got silence")
        try:
            with urllib.request.urlopen(question, timeout=2):  # noqa: S310 (http)
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
    command = [sys.executable, "-m", "pipeline.guard", port, store_address()]
    kept = {name: text for name, text in os.environ.items() if not name.startswith(WIDENING)}
    server = subprocess.Popen(command, env={**kept, **QUIET}, stdin=subprocess.DEVNULL)
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
