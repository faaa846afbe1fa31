"""Real servers on this machine: MLflow with a store of its own, PostgreSQL with a database."""

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

POSTGRES = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=Path("/none")).parent
needs_postgres = pytest.mark.skipif(
    not (POSTGRES / "initdb").exists(), reason="PostgreSQL is not installed (Debian: postgresql)"
)


@contextlib.contextmanager
def mlflow_server(folder: Path, port: int, store: str = "", *words: str) -> Iterator[None]:
    """A real server with a store of its own in ``folder``, or at the address ``store``."""
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--backend-store-uri", store or f"sqlite:///{folder}/mlflow.db"),
        *("--artifacts-destination", str(folder / "artifacts"), *words),
    ]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    server = subprocess.Popen(
        command, env={**os.environ, **quiet}, start_new_session=True, stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, cwd=folder,
    )  # fmt: skip
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):  # also one that is busy starting
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                break
            time.sleep(0.1)
        yield
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass(frozen=True)
class Postgres:
    """A PostgreSQL server: its address for SQLAlchemy, and how to stop and start it again."""

    folder: Path
    port: int

    @property
    def uri(self) -> str:
        return f"postgresql+psycopg://oneuron:secret@127.0.0.1:{self.port}/oneuron"

    def start(self) -> None:
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c fsync=off "
            f"-c unix_socket_directories={self.folder}"
        )
        self._run("pg_ctl", "-D", "data", "-l", "log", "-o", options, "-w", "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")

    def create(self) -> None:
        """Make the cluster with the role and the database ``oneuron``."""
        (self.folder / "password").write_text("secret")
        self._own()
        words = ("-U", "oneuron", "--auth=scram-sha-256", "--pwfile=password", "--no-sync")
        self._run("initdb", "-D", "data", "-E", "UTF8", "--locale=C.UTF-8", *words)
        self.start()
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "oneuron", "oneuron")

    def _own(self) -> None:
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(self.folder, "postgres", "postgres")
            shutil.chown(self.folder / "password", "postgres", "postgres")

    def _run(self, name: str, *words: str) -> None:
        as_other = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        with (self.folder / "out").open("ab") as out:  # a pipe would stay open with the server
            subprocess.run(
                [*as_other, "env", "PGPASSWORD=secret", POSTGRES / name, *words],
                check=True, cwd=self.folder, stdout=out, stderr=out, stdin=subprocess.DEVNULL,
            )  # fmt: skip


@contextlib.contextmanager
def postgres(port: int | None = None) -> Iterator[Postgres]:
    """A PostgreSQL server of its own, gone with its files afterwards. Takes about 2 s."""
    # Not pytest's folder: its parents are closed to the other user that the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="oneuron-postgres-"))
    server = Postgres(folder, port or free_port())
    try:
        server.create()
        yield server
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)


SLURM_CONF = """\
ClusterName=oneuron
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MpiDefault=none
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=short Nodes={host} Default=YES
"""
needs_slurm = pytest.mark.skipif(
    not all(map(shutil.which, ("slurmctld", "slurmd", "munged"))) or os.getuid() != 0,
    reason="Slurm is not installed (Debian: slurmctld slurmd munge), or this is not root",
)


@contextlib.contextmanager
def slurm() -> Iterator[Path]:
    """A cluster of one node, this machine; where its configuration is. Takes about 2 s."""
    folder = Path(tempfile.mkdtemp(prefix="oneuron-slurm-"))
    conf, host = folder / "slurm.conf", socket.gethostname().partition(".")[0]
    ports = free_port(), free_port()
    conf.write_text(SLURM_CONF.format(folder=folder, host=host, ports=ports))
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    places = {
        "key-file": key,
        **{f"{n}-file": folder / f"munge.{n}" for n in ("pid", "log", "seed")},
    }
    options = [f"--{name}={path}" for name, path in places.items()]
    daemons = [
        ["munged", "--force", "--foreground", f"--socket={folder}/munge.socket", *options],
        ["slurmctld", "-D", "-i"],
        ["slurmd", "-D"],
    ]
    variables = {**os.environ, "SLURM_CONF": str(conf)}
    with (folder / "out").open("ab") as out, contextlib.ExitStack() as stack:
        for command in daemons:
            (folder / "state").mkdir(exist_ok=True)
            daemon = subprocess.Popen(command, env=variables, stdout=out, stderr=out)
            stack.callback(daemon.wait)
            stack.callback(daemon.terminate)
            time.sleep(0.5)
        yield conf
    shutil.rmtree(folder, ignore_errors=True)


SAIL = """
import sys
from pysail.spark import SparkConnectServer
server = SparkConnectServer("127.0.0.1", int(sys.argv[1]))
server.start(background=False)
"""


@contextlib.contextmanager
def sail_server(port: int | None = None, **settings: str) -> Iterator[tuple[str, int]]:
    """Sail in a process of its own, without the code of here: its address, and its number."""
    port = port or free_port()
    server = subprocess.Popen(
        [sys.executable, "-P", "-c", SAIL, str(port)], cwd="/",
        env={**os.environ, "RUST_LOG": "off", **settings},
    )  # fmt: skip
    try:
        for _ in range(200):
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            time.sleep(0.05)
        yield f"sc://127.0.0.1:{port}", server.pid
    finally:
        server.kill()
        server.wait()


@dataclass(frozen=True)
class TeamServer:
    """``make server`` in a folder of its own: its address, its process and who may do what."""

    folder: Path
    process: subprocess.Popen[str]
    uri: str

    def ask(
        self, method: str, path: str, user: str = "", body: object = None, **headers: str
    ) -> tuple[int, str]:
        """The status and the text of an answer; the password of a user is ``password_of(user)``."""
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        known = {"Content-Type": "application/json"}
        if user:
            pair = f"{user}:{self.password_of(user)}".encode()
            known["Authorization"] = f"Basic {base64.b64encode(pair).decode()}"
        request = urllib.request.Request(
            self.uri + path, content, {**known, **headers}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode(errors="replace")

    def add_user(self, user: str) -> None:
        body = {"username": user, "password": self.password_of(user)}
        status, text = self.ask("POST", "/api/2.0/mlflow/users/create", "admin", body)
        assert status == 200, text

    def grant(self, user: str, permission: str, kind: str, name: str) -> None:
        """Give a user a permission on an experiment, by its id, or on a registered_model."""
        body = {"username": user, "resource_type": kind, "resource_id": name}
        path = "/api/3.0/mlflow/users/permissions/grant"
        status, text = self.ask("POST", path, "admin", body | {"permission": permission})
        assert status == 200, text

    def password_of(self, user: str) -> str:
        if user == "admin":
            return (self.folder / "admin_password").read_text()
        return f"password of {user}"


@contextlib.contextmanager
def team_server(folder: Path, *words: str, **variables: str) -> Iterator[TeamServer]:
    """``make server`` with its own PostgreSQL in ``folder``, which any user of this machine finds.

    Takes about 4 s, 2 s where the folder was served before.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "server", "--folder", folder, "--port", "0", *words],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent), **variables},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        line = process.stdout.readline()
        yield TeamServer(folder, process, line.rpartition(" ")[2].strip())
    finally:
        process.terminate()
        process.communicate()
