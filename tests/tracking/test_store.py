"""A store opens or says in one line why not, and nothing that stands there is harmed."""

import contextlib
import http.server
import os
import shutil
import signal
import socket
import sqlite3
import stat
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
from builders import make_record
from mlflow import MlflowClient

from pipeline import files
from pipeline.config.schema import TrackingSettings
from pipeline.errors import ConfigError, TrackingError
from pipeline.tracking import Publisher, check_address, open_store, publish
from pipeline.tracking.sqlite import check_store, ensure_store, latest_run
from pipeline.tracking.store import probe

pytestmark = pytest.mark.exhaustive

LOCAL = TrackingSettings(experiment="tiny")
ADDRESS = sys.modules["pipeline.tracking.address"]


def at(uri: str, **changes) -> TrackingSettings:
    return TrackingSettings(uri=uri, experiment="tiny", **changes)


def refusal(settings: TrackingSettings, error=TrackingError) -> str:
    """What opening says: one line, under 2 kB."""
    with pytest.raises(error) as raised:
        open_store(settings)
    message = str(raised.value)
    assert "\n" not in message
    assert len(message) < 2000
    assert raised.value.exit_code == (5 if error is TrackingError else 2)
    return message


def experiments(store: Path) -> list[str]:
    with contextlib.closing(sqlite3.connect(store)) as connection:
        return sorted(name for (name,) in connection.execute("SELECT name FROM experiments"))


def set_schema(store: Path, version: str) -> None:
    with contextlib.closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))


@pytest.mark.exhaustive
def test_new_store_is_made_in_the_project_and_is_private(project):
    """H05: the store, its folder of artifacts and its lock."""
    before = os.umask(0)
    try:
        store = open_store(LOCAL)
    finally:
        os.umask(before)
    assert store.address.shown == "sqlite:///mlflow.db"
    assert experiments(files.STORE) == ["Default", "tiny"]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in project.iterdir()}
    assert modes == {"mlflow.db": 0o600, "mlartifacts": 0o700, ".mlflow.db.lock": 0o600}
    experiment = store.client.get_experiment(store.experiment_id)
    assert experiment.artifact_location == (project / "mlartifacts").as_uri()


def test_project_with_spaces_and_letters_of_all_kinds_in_its_path(
    tmp_path, store_template, monkeypatch
):
    """F12: also with the characters that mean something in addresses."""
    project = tmp_path / "my café 100% #1 ✓"
    project.mkdir()
    monkeypatch.setattr(files, "PROJECT", project)
    monkeypatch.setattr(files, "STORE", project / "mlflow.db")
    shutil.copy2(store_template, project / "mlflow.db")
    published = publish(make_record(0, project / "runs"), LOCAL)
    assert (project / "mlartifacts" / published.run_id / "artifacts/model/record.zip").is_file()


@pytest.mark.exhaustive
def test_processes_that_start_at_once_on_a_fresh_folder_make_one_store(project, fork, exit_codes):
    """A01, A12: store and experiment, three times over."""
    import mlflow  # noqa: F401 (the children need not)

    for number in range(3):
        folder = project / str(number)
        folder.mkdir()
        settings = at(f"sqlite:///{number}/mlflow.db")
        start = time.time() + 0.2

        def open_at_once(settings=settings, start=start):
            time.sleep(max(0.0, start - time.time()))
            open_store(settings)

        assert exit_codes([fork(open_at_once) for _ in range(8)]) == [0] * 8
        assert experiments(folder / "mlflow.db") == ["Default", "tiny"]
        assert {path.name for path in folder.iterdir()} == {
            "mlflow.db",
            "mlartifacts",
            ".mlflow.db.lock",
        }


@pytest.mark.exhaustive
def test_kill_at_any_instant_of_the_first_start_leaves_no_half_store(project, fork, exit_codes):
    """A02: SIGKILL at ten instants; the next start finds nothing or all, and no litter."""
    import mlflow  # noqa: F401

    artifacts = project / "mlartifacts"
    n_killed = 0
    for instant in range(10):
        child = fork(lambda: ensure_store(files.STORE, artifacts))
        time.sleep(0.15 * instant)
        os.kill(child, signal.SIGKILL)
        n_killed += exit_codes([child]) == [-signal.SIGKILL]
        if files.STORE.exists():
            check_store(files.STORE)
            files.STORE.unlink()
    assert n_killed
    ensure_store(files.STORE, artifacts)
    assert {path.name for path in project.iterdir()} == {"mlflow.db", ".mlflow.db.lock"}


def test_folder_in_the_place_of_the_store_is_refused(project):
    """A03."""
    files.STORE.mkdir()
    assert "must be a regular file" in refusal(LOCAL)


def test_pipe_in_the_place_of_the_store_is_refused(project):
    """A03: reading it would wait for ever."""
    os.mkfifo(files.STORE)
    assert "must be a regular file" in refusal(LOCAL)


def test_text_file_in_the_place_of_the_store_is_refused_and_stays(project):
    """A04."""
    files.STORE.write_text("my notes\n")
    assert "file is not a database" in refusal(LOCAL)
    assert files.STORE.read_text() == "my notes\n"


@pytest.mark.parametrize("size", [50, 100, 4096, 100_000, -4096])
def test_truncated_store_is_refused_and_stays(size, settings):
    """A04: cut in the header, after the first page, in the middle, before the last page."""
    check_store(files.STORE)  # the control: it was whole
    whole = files.STORE.read_bytes()
    files.STORE.write_bytes(whole[:size])
    assert "must be an intact database" in refusal(settings)
    assert files.STORE.read_bytes() == whole[:size]


def test_database_of_something_else_is_refused_and_stays(project):
    """A04: MLflow would fill it with its own tables."""
    with contextlib.closing(sqlite3.connect(files.STORE)) as connection, connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    before = files.STORE.read_bytes()
    assert "database of MLflow; got no such table" in refusal(LOCAL)
    assert files.STORE.read_bytes() == before


def test_empty_file_is_made_into_a_store(project):
    """A05."""
    files.STORE.touch()
    open_store(LOCAL)
    assert experiments(files.STORE) == ["Default", "tiny"]


@pytest.mark.parametrize("version", ["ffffffffffff", "451aebb31d03"])
def test_store_of_another_mlflow_is_refused_with_the_commands_that_help(settings, version):
    """A07, A08: a copy first; the file stays."""
    set_schema(files.STORE, version)
    before = files.STORE.read_bytes()
    message = refusal(settings)
    assert f"cp {files.STORE} {files.STORE}.backup && " in message
    assert f"mlflow db upgrade sqlite:///{files.STORE}" in message
    assert "newer MLflow" in message
    assert files.STORE.read_bytes() == before


@pytest.mark.parametrize("what", ["file", "folder"])
def test_read_only_store_is_refused_and_the_record_is_kept(
    what, store_template, fork, exit_codes, monkeypatch
):
    """A09: as a user whom the modes bind, which root is not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copy2(store_template, folder / "mlflow.db")
        record = make_record(0, folder / "runs")
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o777)
        monkeypatch.setattr(files, "PROJECT", folder)
        monkeypatch.setattr(files, "STORE", folder / "mlflow.db")
        (folder / "mlflow.db" if what == "file" else folder).chmod(0o555)

        def publish_as_nobody():
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            with pytest.raises(TrackingError, match=r"the record is kept in runs/\w+") as raised:
                publish(record, LOCAL)
            assert len(str(raised.value).splitlines()) == 2

        try:
            assert exit_codes([fork(publish_as_nobody)]) == [0]
        finally:
            folder.chmod(0o700)


def test_store_in_a_folder_that_does_not_exist_is_refused_before_anything_is_made(project):
    """A10: exit code 2."""
    message = refusal(at(f"sqlite:///{project}/mistyped/mlflow.db"), ConfigError)
    assert "must name a file in a folder that exists" in message
    assert list(project.iterdir()) == []


def test_new_store_outside_the_project_is_made_only_where_that_was_asked_for(project, tmp_path):
    """A10."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    assert "tracking.create=true" in refusal(at(uri), ConfigError)
    assert not (tmp_path / "mlflow.db").exists()
    open_store(at(uri, create=True))
    open_store(at(uri))  # now it exists
    assert experiments(tmp_path / "mlflow.db") == ["Default", "tiny"]


def test_deleted_experiment_is_refused_with_the_command_that_restores_it(settings):
    """A11."""
    store = open_store(settings)
    store.client.delete_experiment(store.experiment_id)
    message = refusal(settings)
    assert message.endswith(f"mlflow experiments restore --experiment-id {store.experiment_id}")
    store.client.restore_experiment(message.rpartition(" ")[2])
    open_store(settings)


@pytest.mark.parametrize(
    ("installed", "driver"),
    [(["psycopg"], "psycopg"), (["psycopg2"], "psycopg2"), (["psycopg", "psycopg2"], "psycopg")],
)
def test_driver_of_a_database_is_the_one_that_is_installed(installed, driver, monkeypatch):
    """A14: SQLAlchemy's own choice may be another."""
    monkeypatch.setattr(ADDRESS, "find_spec", lambda name: name in installed or None)
    address = check_address(at("postgresql://u:secret@db:5433/mlflow"))
    assert address.uri == f"postgresql+{driver}://u:secret@db:5433/mlflow"
    assert (address.host, address.port) == ("db", 5433)
    assert "secret" not in address.shown


def test_database_without_a_driver_is_refused_with_what_to_install(monkeypatch):
    """A14."""
    monkeypatch.setattr(ADDRESS, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=r"pip install 'psycopg\[binary\]'"):
        check_address(at("postgresql://u:secret@db/mlflow"))


HOPELESS = [
    "mlruns", "./mlruns", "file:///tmp/mlruns", "ftp://host", "http:/host", "http://", "http://:5000",
    "http://host:port", "http://ho st", "sqlite:mlflow.db", "sqlite://", "sqlite:///", "sqlite:///:memory:",
    "sqlite:///a?b", "sqlite+aiosqlite:///mlflow.db", "databricks", "", "//", "http://host:99999999",
]  # fmt: skip


@pytest.mark.parametrize("uri", HOPELESS)
def test_address_at_which_no_store_can_be_is_refused_before_anything_trains(uri, project):
    """E03: exit code 2, one line."""
    with pytest.raises(ConfigError, match=r"^tracking\.uri must .*; got") as raised:
        check_address(at(uri))
    assert len(str(raised.value).splitlines()) == 1


def test_refused_address_does_not_tell_its_password():
    """H04."""
    with pytest.raises(ConfigError) as raised:
        check_address(at("ftp://me:hunter2@host/x"))
    assert "hunter2" not in str(raised.value)


def test_page_of_runs_finds_the_experiment_of_the_youngest_run(settings):
    for number, name in enumerate(["tiny", "later", "earlier"]):
        record = make_record(number, started_ms=[2, 3, 1][number])
        publish(record, settings.model_copy(update={"experiment": name}))
    client = open_store(settings).client
    assert client.get_experiment(latest_run(files.STORE)[1]).name == "later"


@contextlib.contextmanager
def serving(answer):
    """The address of a server on this machine that answers as told: {path: (status, body)}."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            status, body = answer.get(self.path.partition("?")[0], answer["*"])
            self.send_response(status)
            self.send_header("Retry-After", "3600")
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 (the name that http.server looks for)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://me:hunter2@127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"*": (200, b"<html>Welcome to the hotel</html>")}, "not an MLflow server's"),
        ({"*": (200, b"{}")}, "must name its experiments"),
        ({"*": (404, b"")}, "not an MLflow server's"),
        ({"*": (401, b"")}, "credentials refused .set MLFLOW_TRACKING_USERNAME"),
        ({"*": (403, b"")}, "403, this user may not do that .*EDIT of the experiment"),
        ({"*": (503, b"")}, "error 503"),
        ({"*": (500, b"oops")}, "500"),
    ],
)
def test_server_that_is_no_mlflow_or_refuses_is_named(answer, why, project):
    """E09, E11: and the password is not."""
    with serving(answer) as uri:
        with pytest.raises(TrackingError, match=why) as raised:
            open_store(at(uri))
        assert "hunter2" not in str(raised.value)
        assert len(str(raised.value).splitlines()) == 1


@pytest.mark.timeout(10)
def test_absent_server_is_named_and_the_record_is_kept(project):
    """E01."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        record = make_record()
        with pytest.raises(TrackingError, match="connection refused") as raised:
            publish(record, at(f"http://127.0.0.1:{port}"))
    assert str(raised.value).endswith(
        f"the record is kept in runs/{record.identity}; "
        f'publish it with: make sync ARGS="tracking.uri=http://127.0.0.1:{port}"'
    )


def test_a_driver_that_is_asked_for_and_not_installed_is_named(project):
    """A14: also where the address names it."""
    with pytest.raises(ConfigError, match=r"got postgresql\+psycopg2:// \(install one"):
        check_address(at("postgresql+psycopg2://u:p@127.0.0.1/db"))


@pytest.mark.exhaustive
@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["http", "postgresql"])
def test_silent_server_costs_seconds(kind, project, tmp_path, monkeypatch):
    """E02: it takes the connection, or not even that, and says nothing."""
    (tmp_path / "psycopg.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        address = check_address(at(f"{kind}://{place}/x"))
        client = MlflowClient(f"http://{place}")
        with (
            socket.create_connection(silent.getsockname()),  # the queue is full now
            pytest.raises(TrackingError, match=r"got (silence|no whole answer in time)"),
        ):
            probe(client, address)


@pytest.mark.exhaustive
@pytest.mark.timeout(15)
def test_server_that_falls_silent_after_the_first_word_costs_at_most_15_seconds(project):
    """E02: the probe is answered, nothing after it."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            if "get-by-name" in self.path:
                time.sleep(30)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        do_POST = do_GET  # noqa: N815 (the name that http.server looks for)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # its words reach nobody any more
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        assert "store must do as asked" in refusal(at(f"http://127.0.0.1:{server.server_port}"))
    finally:
        server.shutdown()
        server.server_close()


def test_name_that_dns_does_not_know_is_refused_before_anything_trains(project):
    """E03: exit code 2. RFC 6761 keeps .invalid free for ever."""
    for check in (open_store, Publisher):
        with pytest.raises(ConfigError, match="DNS does not know at http://tracking") as raised:
            check(at("http://me:hunter2@tracking.invalid"))
        assert "hunter2" not in str(raised.value)
