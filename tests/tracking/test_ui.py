"""The page that shows the runs: found by its link, on this machine alone, gone with the command."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from builders import copy_project, store_rows

from pipeline import files
from pipeline.errors import ConfigError, TrackingError
from pipeline.serving.guard import HOST
from pipeline.tracking import ui

START_S = 120  # on a machine that is busy with other tests


# --- refusals --------------------------------------------------------------------------------


def test_without_a_store_there_is_nothing_to_show(project):
    with pytest.raises(ConfigError, match=r"no mlflow\.db in the project: make run"):
        ui.serve(0)


def test_a_store_without_a_run_says_so(project, settings):
    with pytest.raises(TrackingError, match="store must hold a run; got none: make run"):
        ui.serve(0)


def test_a_store_that_is_no_database_is_refused_before_a_server_starts(project):
    """A04."""
    files.STORE.write_text("no database, whatever its name says")
    with pytest.raises(TrackingError, match="file is not a database"):
        ui.serve(0)


# --- the command -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown(tmp_path_factory, store_template) -> Path:
    """A copy of the project that holds two runs."""
    folder = copy_project(tmp_path_factory.mktemp("ui") / "project", store_template)
    for seed in ("seed=0", "seed=1"):
        subprocess.run(
            [sys.executable, "-m", "pipeline", "train.epochs=60", seed],
            cwd=folder,
            env=environment(folder),
            stdout=subprocess.DEVNULL,
            check=True,
        )
    return folder


def environment(folder: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPATH": str(folder)}


Launch = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def launch(shown) -> Iterator[Launch]:
    """Starts ``python -m pipeline ui``; whatever a failing test leaves of it is killed."""
    started = []

    def start(*words: str, **more: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipeline", "ui", *words],
            cwd=shown,
            env=environment(shown) | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
    for pid in processes_in(shown):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def link_of(process: subprocess.Popen[str]) -> str:
    line = process.stdout.readline()
    assert line, process.stderr.read()
    return re.search(r"http://127\.0\.0\.1:\d+/\S+", line)[0]


def processes_in(folder: Path) -> list[int]:
    """Every process whose working folder is ``folder``, but for the dead that were not waited for.

    The command, its server and what that starts run there, and nothing else does.
    """
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            alive = (path / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            if alive and (path / "cwd").readlink() == folder:
                found.append(int(path.name))
    return found


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + START_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.exhaustive
@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 0),  # the way to end it that it names
        (signal.SIGTERM, 128 + signal.SIGTERM),
        (signal.SIGHUP, 128 + signal.SIGHUP),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_no_process_of_the_server_outlives_the_command(launch, shown, number, code):
    process = launch()
    link_of(process)
    assert len(processes_in(shown)) == 1  # the control: the command itself serves
    process.send_signal(number)
    _, err = process.communicate(timeout=START_S)
    assert (process.returncode, err) == (code, "")
    wait_until(lambda: not processes_in(shown))


@pytest.mark.exhaustive
def test_a_signal_before_the_server_answers_ends_it_too(launch, shown):
    process = launch()
    status = Path(f"/proc/{process.pid}/status")
    taken = 1 << (signal.SIGTERM - 1)  # the signals that the process takes, as bits
    caught = re.compile(r"SigCgt:\s+(\w+)")
    wait_until(lambda: int(caught.search(status.read_text())[1], 16) & taken)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=START_S)
    assert (process.returncode, out, err) == (128 + signal.SIGTERM, "", "")
    wait_until(lambda: not processes_in(shown))


@pytest.mark.slow
def test_the_server_listens_on_this_machine_alone_and_on_a_port_that_is_free(launch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        link = link_of(launch("--port", str(port)))
    served = int(re.search(r":(\d+)/", link)[1])
    assert served != port
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    addresses = {
        row[1] for row in listening if row[3] == "0A" and row[1].endswith(f":{served:04X}")
    }
    assert addresses == {f"0100007F:{served:04X}"}
    tcp6 = Path("/proc/net/tcp6")
    assert f":{served:04X} " not in (tcp6.read_text() if tcp6.exists() else "")


@pytest.fixture(scope="module")
def served(shown) -> Iterator[int]:
    """The port at which the page is served, to a shell that would open it to everyone."""
    opened = {"MLFLOW_SERVER_ALLOWED_HOSTS": "*", "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": "*"}
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "ui"],
        cwd=shown, env=environment(shown) | opened, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield int(re.search(r":(\d+)/", link_of(process))[1])
    process.terminate()
    process.communicate()


def ask(
    port: int, path: str, host: str, origin: str | None = None, body: bytes | None = None
) -> int:
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    headers = {"Host": host, "Content-Type": "application/json"}
    headers |= {"Origin": origin} if origin else {}
    with contextlib.closing(connection):
        connection.request("POST" if body else "GET", path, body, headers)
        with connection.getresponse() as response:
            return response.status


@pytest.mark.slow
@pytest.mark.parametrize(
    "host",
    ["10.evil.com", "192.168.evil.com", "172.16.evil.com", "evil.com", "localhost", "0.0.0.0"],
)
def test_a_page_under_another_name_gets_nothing(served, host):
    """J05: a name that a stranger's page points at this machine."""
    path = "/api/2.0/mlflow/experiments/search?max_results=1"
    assert ask(served, path, f"127.0.0.1:{served}") == 200  # the control
    assert ask(served, path, f"localhost:{served}") == 200
    assert ask(served, path, host) == 403
    assert ask(served, "/health", host) == 403


@pytest.mark.slow
@pytest.mark.parametrize(
    "origin", ["http://evil.com", "http://localhost:1", "http://127.0.0.1", "null"]
)
def test_a_page_from_elsewhere_writes_nothing(served, shown, origin):
    """J05: also one that another program of this machine serves."""
    own = f"127.0.0.1:{served}"
    for path in ("/api/2.0/mlflow/experiments/create", "/ajax-api/2.0/mlflow/experiments/create"):
        name = f"{path} {origin}"
        assert ask(served, path, own, origin, json.dumps({"name": name}).encode()) == 403
        names = store_rows("experiments", "name", shown / "mlflow.db")
        assert (name,) not in names
    body = json.dumps({"name": origin}).encode()
    assert ask(served, "/api/2.0/mlflow/experiments/create", own, f"http://{own}", body) == 200
    assert (origin,) in store_rows("experiments", "name", shown / "mlflow.db")  # the control


# --- the browser -----------------------------------------------------------------------------


@pytest.mark.slow
def test_the_link_opens_the_runs_as_charts_with_a_loss_curve_and_their_figures(launch, browser):
    link = link_of(launch())
    browser.set_window_size(1600, 1200)
    browser.implicitly_wait(60)
    browser.get(link)
    names = browser.find_elements("xpath", "//a[contains(., 'seed=')]")
    assert len({name.text for name in names}) == 2

    browser.find_element("css selector", "input[placeholder='Search metric charts']").send_keys(
        "train/loss"
    )
    browser.find_element("xpath", "//*[@title='train/loss' or text()='train/loss']")
    wait_until(lambda: len(curves(browser)) >= 2)
    assert all(path.count("L") + path.count("C") > 5 for path in curves(browser))

    names[0].click()
    browser.find_element("xpath", "//*[text()='Artifacts']").click()
    browser.find_element("xpath", "//*[text()='figures']").click()
    browser.find_element("xpath", "//*[text()='effects.png']").click()
    wait_until(lambda: any(width > 300 for width in widths_of_pictures(browser)))


def curves(browser) -> list[str]:
    """The paths of the lines that the chart holds; its background is none of them."""
    return browser.execute_script(
        "return [...document.querySelectorAll('.js-plotly-plot path.js-line')]"
        ".map(path => path.getAttribute('d'))"
    )


def widths_of_pictures(browser) -> list[int]:
    """Pixels of the pictures that were loaded from the run."""
    return browser.execute_script(
        "return [...document.images].filter(image => image.src.startsWith('blob:'))"
        ".map(image => image.naturalWidth)"
    )
