"""A PostgreSQL cluster of the server's own, in a private folder, gone with the command.

It listens on a socket in that folder alone, and knows who asks from the system (``peer``): it has
no password. As root it runs as the user ``postgres``, since PostgreSQL refuses to be root.
"""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pipeline import files
from pipeline.errors import ConfigError, TrackingError
from pipeline.text import cut, printable

INSTALLED = Path("/usr/lib/postgresql")  # Debian: one folder for each version
OWNER = "postgres"
START_S = 60.0
SOCKET = ".s.PGSQL.5432"
SOCKET_BYTES = 107  # the longest path that a socket may have


@dataclass(frozen=True)
class Cluster:
    """A cluster in its folder, with the programs of its version."""

    folder: Path
    programs: Path

    @property
    def uri(self) -> str:
        """Its address for SQLAlchemy."""
        role, place = quote(getpass.getuser(), safe=""), quote(str(self.folder), safe="/")
        return f"postgresql+psycopg://{role}@/postgres?host={place}"

    @property
    def log(self) -> Path:
        """What its programs say; it is not the other user's to replace."""
        return self.folder.parent / "postgres.log"

    def make(self) -> None:
        """Make it if it is not there, in one step that a kill does not leave half done."""
        files.make_private(self.folder)
        if os.getuid() == 0:
            self.folder.parent.chmod(0o711)  # the other user passes through; files in it are 0600
            shutil.chown(self.folder, OWNER, OWNER)
        if (self.folder / "data").exists():
            return
        shutil.rmtree(self.folder / "partial", ignore_errors=True)
        words = ["-U", getpass.getuser(), "-E", "UTF8", "--locale=C.UTF-8"]
        access = ["--auth-local=peer", "--auth-host=reject"]
        if self.start("initdb", "-D", "partial", *words, *access).wait():
            raise TrackingError(self.refused("be made"))
        (self.folder / "partial").rename(self.folder / "data")

    def stop(self) -> None:
        """Stop it if it runs, also that of a command that was killed."""
        self.start("pg_ctl", "stop", "-D", "data", "-m", "fast", "-w").wait()

    def serve(self) -> subprocess.Popen[bytes]:
        """Start it; it ends with this process, however that ends."""
        words = ["-D", "data", "-k", str(self.folder), "-c", "listen_addresses="]
        served = self.start("postgres", *words, "-c", "unix_socket_permissions=0700")
        deadline = time.monotonic() + START_S
        while served.poll() is None and time.monotonic() < deadline:
            if self._answers():
                return served
            time.sleep(0.05)
        raise TrackingError(self.refused("start"))

    def start(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        """Start one of its programs as its owner; what it says is in the log."""
        # SIGINT is the server's fast and clean end.
        tied = ["setpriv", "--pdeathsig=INT"] if shutil.which("setpriv") else []
        owner = OWNER if os.getuid() == 0 else None
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, files.PRIVATE_FILE)
        with os.fdopen(log, "wb") as out:
            return subprocess.Popen(
                [*tied, str(self.programs / program), *words],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                start_new_session=True,  # Ctrl-C is not for it
                user=owner, group=owner, extra_groups=[] if owner else None,
            )  # fmt: skip

    def refused(self, rule: str) -> str:
        """Return what it says of its end, on one line."""
        lines = self.log.read_text(errors="replace").splitlines() or ["nothing"]
        wrong = [line for line in lines if "FATAL" in line or "error:" in line or "PANIC" in line]
        said = cut(printable((wrong or lines)[-1]), 300)
        return f"PostgreSQL of the server must {rule}; got {said!r}: see {files.shown(self.log)}"

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.uri.replace("+psycopg", "")).close()
        except psycopg.OperationalError:
            return False
        return True


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Serve the cluster in ``folder``, made if need be; yield its address and its process.

    Raise ConfigError where PostgreSQL is not installed, TrackingError where it does not start, and
    where it ends by itself.
    """
    if len(os.fsencode(folder / SOCKET)) > SOCKET_BYTES:
        raise ConfigError(
            "folder of the server must have a shorter path, for PostgreSQL's socket; got "
            f"{files.shown(folder.parent)}: --folder /srv/mlflow"
        )
    own = Cluster(folder, _programs(folder / "data" / "PG_VERSION"))
    own.make()
    own.stop()
    process = own.serve()
    try:
        yield own.uri, process
    finally:
        has_ended = process.poll() is not None
        own.stop()
        process.wait()
        if has_ended:
            raise TrackingError(own.refused("run"))


def _programs(version: Path) -> Path:
    """Return the folder of the programs of the cluster's version, or else of the newest one."""
    wanted = version.read_text().strip() if version.exists() else "*"
    found = [path.parent for path in INSTALLED.glob(f"{wanted}/bin/initdb")]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    elsewhere = shutil.which("initdb")
    if elsewhere and wanted == "*":
        return Path(elsewhere).parent
    package = "postgresql" if wanted == "*" else f"postgresql-{wanted}"
    raise ConfigError(
        f"PostgreSQL must be installed; got no initdb: apt-get install {package}, or name a server "
        "of yours: MLFLOW_BACKEND_STORE_URI=postgresql://user:password@host/database make server"
    )
