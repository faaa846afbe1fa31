"""The tracking server of a team that is killed, loses its database, or is behind TLS."""

import contextlib
import json
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import TeamServer, needs_postgres, postgres, team_server

pytestmark = [pytest.mark.exhaustive, needs_postgres]
API = "/api/2.0/mlflow"


@pytest.fixture
def place() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="oneuron-server-"))
    folder.chmod(0o711)
    yield folder / "server"
    shutil.rmtree(folder, ignore_errors=True)


def write(server: TeamServer, name: str) -> None:
    status, text = server.ask("POST", f"{API}/experiments/create", "admin", {"name": name})
    assert status == 200, text


def names(server: TeamServer) -> set[str]:
    text = server.ask("GET", f"{API}/experiments/search?max_results=100", "admin")[1]
    return {each["name"] for each in json.loads(text)["experiments"]}


def test_a_server_that_is_killed_loses_nothing_that_it_answered(place):
    for turn in range(3):
        with team_server(place) as server:
            assert {f"of turn {n}" for n in range(turn)} <= names(server)
            write(server, f"of turn {turn}")
            password = server.password_of("admin")
            server.process.kill()
        assert (place / "admin_password").read_text() == password  # it is made once


def test_a_server_whose_own_database_ends_says_so_and_ends(place):
    with team_server(place) as server:
        write(server, "before")
        pid = int((place / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])
        subprocess.run(["kill", "-INT", str(pid)], check=True)
        _, told = server.process.communicate(timeout=60)
        assert server.process.returncode == 5
        assert told.count("\n") == 1
        assert told.startswith("PostgreSQL of the server must run; got ")
    with team_server(place) as server:
        assert "before" in names(server)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 128 + signal.SIGTERM)]
)
def test_nothing_of_a_server_that_ends_goes_on(place, number, code):
    with team_server(place) as server:
        pid = int((place / "postgres" / "data" / "postmaster.pid").read_text().splitlines()[0])
        server.process.send_signal(number)
        _, told = server.process.communicate(timeout=60)
        assert (server.process.returncode, told) == (code, "")
        assert not Path(f"/proc/{pid}").exists()


def test_a_database_that_comes_back_is_used_again(place):
    """One of its users', which the server does not start; behind TLS and under another name."""
    certificate, key = self_signed(place.parent)
    words = ("--certificate", certificate, "--key", key, "--origin", "https://team.example")
    with postgres() as database:
        address = database.uri.replace("+psycopg", "")
        with team_server(place, *words, MLFLOW_BACKEND_STORE_URI=address) as server:
            known = ssl.create_default_context(cafile=certificate)
            opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=known))
            urllib.request.install_opener(opener)
            local = TeamServer(
                place, server.process, f"https://localhost:{listening_port(server.process.pid)}"
            )
            write(local, "before")
            assert local.ask("GET", "/", "admin", Host="team.example")[0] == 200
            assert local.ask("GET", "/", "admin", Host="other.example")[0] == 403
            body = {"name": "by its proxy's page"}
            named = {"Host": "team.example", "Origin": "https://team.example"}
            path = f"{API}/experiments/create"
            assert local.ask("POST", path, "admin", body, **named)[0] == 200
            named["Origin"] = "http://team.example"
            assert local.ask("POST", path, "admin", body, **named)[0] == 403
            database.stop()
            status, text = local.ask("GET", f"{API}/experiments/search?max_results=9", "admin")
            assert status >= 500, text
            database.start()
            wait_until(lambda: local.ask("GET", f"{API}/experiments/search", "admin")[0] != 503)
            wait_until(lambda: "before" in text_of(local))
            assert "secret" not in (place / "basic_auth.ini").read_text()


@pytest.fixture(autouse=True)
def default_opener() -> Iterator[None]:
    yield
    urllib.request.install_opener(None)


def text_of(server: TeamServer) -> str:
    return server.ask("GET", f"{API}/experiments/search?max_results=9", "admin")[1]


def listening_port(pid: int) -> int:
    """The port at which the process listens."""
    sockets = set()
    for path in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            sockets.add(str(path.readlink()).removeprefix("socket:[").rstrip("]"))
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return next(
        int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == "0A" and row[9] in sockets
    )


def wait_until(holds) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def self_signed(folder: Path) -> tuple[str, str]:
    certificate, key = str(folder / "cert.pem"), str(folder / "key.pem")
    subprocess.run(
        [
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout",
            key, "-out", certificate, "-subj", "/CN=localhost",
            "-addext", "subjectAltName=DNS:localhost",
        ],
        check=True, capture_output=True,
    )  # fmt: skip
    return certificate, key
