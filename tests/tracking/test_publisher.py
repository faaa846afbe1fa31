"""The publisher's process: what kills or stops it costs seconds, and no record."""

import contextlib
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import PROJECT, make_record

from pipeline.config.schema import TrackingSettings
from pipeline.errors import TrackingError
from pipeline.record import read
from pipeline.tracking.process import Publisher

PASSWORD = "hunter2swordfish"


def server_settings(port: int) -> TrackingSettings:
    return TrackingSettings(uri=f"http://me:{PASSWORD}@127.0.0.1:{port}", experiment="e")


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def portal() -> Iterator[int]:
    """The port of a server that answers everything with a page of HTML."""

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<html>please log in</html>")

        do_POST = do_GET  # noqa: N815 (the name that http.server looks for)

        def log_message(self, *_arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def child_of(publisher: Publisher) -> int:
    return publisher._process.pid


def wait_until(holds, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def refusal(publisher: Publisher, record, **options: bool) -> str:
    with pytest.raises(TrackingError) as caught:
        publisher.publish(record, **options)
    text = str(caught.value)
    assert len(text.splitlines()) <= 2
    assert PASSWORD not in text
    assert "make sync" in text
    assert read(record.path).status == "FINISHED"
    return text


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_process_that_dies_is_named_and_the_record_is_kept(project, silent, number):
    record = make_record()
    with Publisher(server_settings(silent)) as publisher:
        os.kill(child_of(publisher), number)
        assert f"its process ended, exit code -{number}" in refusal(publisher, record)


def test_a_process_that_falls_silent_is_ended_and_not_asked_again(project, silent, capfd):
    """E02: of a sweep, every run but the first is refused at once."""
    record = make_record()
    with Publisher(server_settings(silent)) as publisher:
        publisher._starting = publisher._patience = 1.0
        os.kill(child_of(publisher), signal.SIGSTOP)
        assert "got silence for 1 s" in refusal(publisher, record)
        assert "earlier run" in refusal(publisher, record)
    assert publisher._process.exitcode is not None


@pytest.mark.exhaustive
def test_the_probe_says_that_a_server_is_silent_and_the_page_is_drawn(project, silent):
    record = make_record()
    with Publisher(server_settings(silent)) as publisher:
        publisher._patience = 60.0  # to import MLflow takes long where all cores are busy
        assert "got no whole answer in time" in refusal(publisher, record, draw=True)
    assert (record.path / "report.html").is_file()


def test_a_page_of_html_is_not_a_server_of_mlflows(project, portal, capfd):
    """E11: a captive portal."""
    record = make_record()
    with Publisher(server_settings(portal)) as publisher:
        assert "not an MLflow server" in refusal(publisher, record)
    assert capfd.readouterr() == ("", "")


def test_no_argument_of_a_process_holds_the_password(silent):
    with Publisher(server_settings(silent)) as publisher:
        shown = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
        assert "multiprocessing" in shown.stdout
        assert PASSWORD not in shown.stdout
        assert PASSWORD.encode() not in Path(f"/proc/{child_of(publisher)}/cmdline").read_bytes()


def test_the_process_ends_with_the_with_statement_whatever_is_raised_in_it(silent):
    with contextlib.suppress(KeyError), Publisher(server_settings(silent)) as publisher:
        raise KeyError
    assert publisher._process.exitcode == -signal.SIGKILL


PARENT = """
import sys, time
from pipeline.config.schema import TrackingSettings
from pipeline.tracking.process import Publisher
publisher = Publisher(TrackingSettings(uri=sys.argv[1], experiment="e"))
print(publisher._process.pid, flush=True)
time.sleep(1000)
"""


@pytest.mark.exhaustive
def test_the_process_ends_by_itself_when_its_parent_is_killed(silent):
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, f"http://127.0.0.1:{silent}"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    wait_until(lambda: not lives(child))


def lives(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def in_group_of(folder: Path) -> list[str]:
    """The command lines of every process whose working folder is ``folder``."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (path / "cwd").readlink() == folder and lives(int(path.name)):
                found.append((path / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


@pytest.fixture
def launched(tmp_path) -> Iterator[subprocess.Popen[str]]:
    """A command in a folder of its own, by which its processes are told from all others."""

    def start(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "pipeline", *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


@pytest.mark.exhaustive
def test_a_run_that_is_refused_leaves_no_process(launched, tmp_path, silent):
    process = launched(
        "data.path=/nowhere.csv", "data.sha256=null", f"tracking.uri=http://127.0.0.1:{silent}"
    )
    _, err = process.communicate(timeout=100)
    assert process.returncode == 3, err
    wait_until(lambda: not in_group_of(tmp_path))


@pytest.mark.exhaustive
def test_a_run_that_is_killed_leaves_no_process(launched, tmp_path, silent):
    process = launched("train.epochs=1000000", f"tracking.uri=http://127.0.0.1:{silent}")
    wait_until(lambda: len(in_group_of(tmp_path)) >= 2)  # the control: there is one to leave
    process.kill()
    process.communicate(timeout=100)
    wait_until(lambda: not in_group_of(tmp_path))


@pytest.mark.exhaustive
def test_a_module_in_the_current_folder_does_not_stand_for_pythons_own(
    project, settings, tmp_path, monkeypatch
):
    record = make_record()
    for name in ("signal", "selectors", "struct"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('shadowed')\n")
    monkeypatch.chdir(tmp_path)
    with Publisher(settings) as publisher:
        assert publisher.publish(record).new
    assert "PYTHONSAFEPATH" not in os.environ
