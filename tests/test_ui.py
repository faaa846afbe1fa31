"""The page that shows the runs: found by its link, on this machine alone, gone with the command."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline import paths, ui
from pipeline.errors import ConfigError, TrackingError
from pipeline.paths import PROJECT
from pipeline.record import write
from pipeline.tracking import publish

START_S = 120  # on a machine that is busy with other tests


# --- refusals --------------------------------------------------------------------------------


def test_without_a_store_there_is_nothing_to_show(project):
    with pytest.raises(ConfigError, match=r"no mlflow\.db in the project: make run"):
        ui.serve()


def test_a_store_without_a_run_says_so(project, settings):
    with pytest.raises(TrackingError, match="store must hold a run; got none: make run"):
        ui.serve()


def test_a_store_that_is_no_database_is_refused_before_a_server_starts(project):
    """A04."""
    paths.STORE.write_text("no database, whatever its name says")
    with pytest.raises(TrackingError, match="store must be a SQLite database"):
        ui.serve()


@pytest.mark.parametrize("port", [-1, 65536, 10**9])
def test_a_port_that_cannot_be_is_refused(project, port):
    with pytest.raises(ConfigError, match=f"--port must be from 0 .any. to 65535; got {port}"):
        ui.serve(port)


def test_another_port_is_taken_where_the_preferred_one_is():
    with socket.create_server((ui.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with ui.free_port(port) as other:
            assert other != port
    with ui.free_port(port) as now_free:
        assert now_free == port


def test_a_port_that_another_of_us_will_serve_at_is_not_free():
    with ui.free_port(0) as first, ui.free_port(first) as second:
        assert second != first
    with ui.free_port(first) as again:
        assert again == first


# --- the command -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shown(tmp_path_factory, store_template) -> Path:
    """A copy of the project that holds two runs."""
    folder = tmp_path_factory.mktemp("ui") / "project"
    for name in ("nn", "pipeline", "conf"):
        shutil.copytree(PROJECT / name, folder / name)
    shutil.copy2(store_template, folder / "mlflow.db")
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
    assert len(processes_in(shown)) >= 3  # the control: the command, the keeper, the server
    process.send_signal(number)
    _, err = process.communicate(timeout=START_S)
    assert (process.returncode, err) == (code, "")
    wait_until(lambda: not processes_in(shown))


@pytest.mark.slow
def test_a_signal_before_the_server_answers_ends_it_too(launch, shown):
    process = launch()
    wait_until(lambda: len(processes_in(shown)) >= 3)
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


@pytest.mark.slow
def test_a_server_that_does_not_start_is_told_with_its_last_words(launch, shown, tmp_path):
    (tmp_path / "uvicorn.py").write_text("raise SystemExit('there is none here')\n")
    process = launch(PYTHONPATH=f"{shown}{os.pathsep}{tmp_path}")
    out, err = process.communicate(timeout=START_S)
    assert (process.returncode, out) == (5, "")
    assert "MLflow's server must go on; it ended: there is none here" in err
    assert "Traceback" not in err
    assert len(err.splitlines()) == 1
    wait_until(lambda: not processes_in(shown))


@pytest.mark.exhaustive
@pytest.mark.slow
def test_the_page_of_another_server_is_not_taken_for_ours(settings, result, monkeypatch, capsys):
    """A port that was free may be taken by the time the server starts."""

    class Other(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/health" else 404)
            self.end_headers()

        def log_message(self, *_):
            pass

    publish(write(result, paths.RUNS), settings)
    with ThreadingHTTPServer((ui.HOST, 0), Other) as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        monkeypatch.setattr(ui, "free_port", lambda _: contextlib.nullcontext(other.server_port))
        with pytest.raises(TrackingError, match="MLflow's server must go on; it ended"):
            ui.serve()
        other.shutdown()
    assert "http://" not in capsys.readouterr().out


@pytest.mark.slow
def test_two_that_start_at_once_serve_at_two_ports(launch):
    both = [launch(), launch()]
    assert len({link_of(process) for process in both}) == 2


# --- who may ask -----------------------------------------------------------------------------

WIDER = {
    "MLFLOW_SERVER_ALLOWED_HOSTS": "*",
    "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": "*",
    "MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE": "true",
    "MLFLOW_SERVER_X_FRAME_OPTIONS": "NONE",
    "MLFLOW_HOST": "0.0.0.0",
    "MLFLOW_GUNICORN_OPTS": "--bind 0.0.0.0:0",
    "MLFLOW_STATIC_PREFIX": "/elsewhere",
    "UVICORN_ROOT_PATH": "/elsewhere",
}
CREATE = ("/api/2.0/mlflow/experiments/create", "/ajax-api/2.0/mlflow/experiments/create")


def ask(port: int, path: str, body: str | None = None, **headers: str) -> int:
    """The status of the answer to a request with exactly these headers."""
    connection = http.client.HTTPConnection(ui.HOST, port, timeout=60)
    with contextlib.closing(connection):
        connection.putrequest("POST" if body else "GET", path, skip_host=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body or "")))
        connection.endheaders((body or "").encode())
        answer = connection.getresponse()
        answer.read()
        return answer.status


def experiments(folder: Path) -> set[str]:
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as store:
        return {name for (name,) in store.execute("select name from experiments")}


@pytest.mark.slow
@pytest.mark.parametrize("variables", [{}, WIDER], ids=["plainly", "with variables"])
def test_only_its_own_address_may_ask_and_only_its_own_page_may_write(launch, shown, variables):
    """Whatever the variables of the shell say that would let in more."""
    port = int(re.search(r":(\d+)/", link_of(launch(**variables)))[1])
    own = [f"127.0.0.1:{port}", f"localhost:{port}"]
    foreign = ["evil.com", f"evil.com:{port}", "10.evil.com", "192.168.evil.com", "172.16.evil.com",
               "10.0.0.1", f"0.0.0.0:{port}", "127.0.0.1", f"localhost:{port + 1}"]  # fmt: skip
    for path in ("/", "/health", "/version", "/graphql", "/api/2.0/mlflow/experiments/search"):
        assert {host: ask(port, path, Host=host) for host in foreign} == dict.fromkeys(foreign, 403)
    assert [ask(port, "/", Host=host) for host in own] == [200, 200]

    before = experiments(shown)
    others = [f"http://{host}" for host in foreign] + ["http://localhost:1", "http://localhost",
              "http://[::1]:1", f"https://localhost:{port}", "null"]  # fmt: skip
    for path in (*CREATE, "/graphql"):
        for origin in others:
            assert ask(port, path, '{"name": "planted"}', Host=own[0], Origin=origin) == 403, origin
    assert experiments(shown) == before

    for i, path in enumerate(CREATE):
        for host in own:
            name = f"made by {host} {i} {len(variables)}"
            body = json.dumps({"name": name})
            assert ask(port, path, body, Host=host, Origin=f"http://{host}") == 200
            assert name in experiments(shown)


# --- the browser -----------------------------------------------------------------------------


@pytest.fixture
def browser(tmp_path):
    """Headless Chromium. Its absence is the only reason to skip what needs it."""
    driver = shutil.which("chromedriver")
    if driver is None:
        pytest.skip("no chromedriver on PATH")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for option in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--window-size=1600,1200", f"--user-data-dir={tmp_path}/chromium",
    ):  # fmt: skip
        options.add_argument(option)
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as opened:
        opened.implicitly_wait(60)
        yield opened


@pytest.mark.slow
def test_the_link_opens_the_runs_as_charts_with_a_cost_curve_and_their_figures(launch, browser):
    link = link_of(launch())
    browser.get(link)
    names = browser.find_elements("xpath", "//a[contains(., 'seed=')]")
    assert len({name.text for name in names}) == 2

    browser.find_element("css selector", "input[placeholder='Search metric charts']").send_keys(
        "train/cost"
    )
    browser.find_element("xpath", "//*[@title='train/cost' or text()='train/cost']")
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
