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
from servers import free_port

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
    """A copy of the project that holds a small sweep, and one run with figures."""
    folder = copy_project(tmp_path_factory.mktemp("ui") / "project", store_template)
    grid = ("encode=onehot,crosses", "optimiser.learning_rate=0.1,1", "evaluate.bootstrap=null")
    for words in (("sweep", *grid), ("run", "seed=7")):
        subprocess.run(
            [sys.executable, "-m", "pipeline", *words, "train.epochs=60"],
            cwd=folder,
            env=environment(folder),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
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


@pytest.mark.exhaustive
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
def opened(shown) -> Iterator[str]:
    """The link that the command prints in a shell that is set up for other servers (J14)."""
    nowhere = f"http://127.0.0.1:{free_port()}"
    shell = {
        "MLFLOW_SERVER_ALLOWED_HOSTS": "*", "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": "*",
        "MLFLOW_TRACKING_URI": nowhere, "MLFLOW_REGISTRY_URI": nowhere, "MLFLOW_BACKEND": nowhere,
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "soon", "MLFLOW_TRACKING_USERNAME": "me",
        "MLFLOW_STATIC_PREFIX": "/mlflow", "_MLFLOW_STATIC_PREFIX": "/mlflow",
        "_MLFLOW_SERVER_FILE_STORE": "/nowhere", "_MLFLOW_SERVER_ARTIFACTS_ONLY": "true",
        "HTTP_PROXY": nowhere, "HTTPS_PROXY": nowhere, "http_proxy": nowhere, "ALL_PROXY": nowhere,
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "ui"],
        cwd=shown, env=environment(shown) | shell, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield link_of(process)
    process.terminate()
    process.communicate()


@pytest.fixture(scope="module")
def served(opened) -> int:
    """The port at which the page is served."""
    return int(re.search(r":(\d+)/", opened)[1])


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


@pytest.mark.exhaustive
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


@pytest.mark.exhaustive
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


CARDS = """
const cards = [...document.querySelectorAll('[data-testid=experiment-view-compare-runs-card]')];
return cards.map(card => {
  const box = card.getBoundingClientRect();
  return {
    text: card.innerText, width: box.width, left: box.left, top: box.top,
    lines: [...new Set([...card.querySelectorAll('.js-plotly-plot path.js-line')]
      .map(path => getComputedStyle(path).strokeDasharray + ' ' + path.getAttribute('d')))],
    axes: [...card.querySelectorAll('svg text')].map(text => text.textContent),
    bars: card.querySelectorAll('.js-plotly-plot .bars .point').length,
  };
});"""


def cards(browser) -> list[dict]:
    """What the page has drawn so far, in the order of its charts."""
    return browser.execute_script(CARDS)


def open_page(browser, link: str, width: int, height: int = 1400) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.implicitly_wait(START_S)
    browser.get("about:blank")  # a change after the # alone loads nothing
    browser.get(link)


@pytest.mark.exhaustive
@pytest.mark.parametrize("width", [1280, 390])
def test_the_link_opens_on_the_losses_then_the_test_loss_then_what_varies(opened, browser, width):
    """Five runs: each has a line of validation and a dashed one of training, and two bars."""
    open_page(browser, opened, width, 2000)
    wait_until(lambda: len(cards(browser)) > 2 and "seed" in cards(browser)[2]["axes"])
    wait_until(lambda: len(cards(browser)[0]["lines"]) == 10)
    loss, test, varies = cards(browser)[:3]
    assert "valid/loss vs train/loss" in loss["text"]
    assert sum(line.startswith("none") for line in loss["lines"]) == 5
    assert all(line.count("L") > 5 for line in loss["lines"])
    assert "test/log_loss vs test/baseline" in test["text"]
    assert test["bars"] == 10
    assert {"encode.crosses", "seed", "valid/best_loss"} <= set(varies["axes"])
    assert 0 <= loss["left"] < loss["left"] + loss["width"] <= width
    assert loss["width"] >= 300
    assert loss["top"] < 700  # seen without scrolling
    assert "MLflow Assistant" not in browser.find_element("tag name", "body").text


@pytest.mark.exhaustive
def test_the_table_has_the_verdict_and_what_varies_and_is_sorted_by_the_validation_loss(
    opened, browser
):
    open_page(browser, opened.replace("compareRunsMode=CHART", "compareRunsMode=TABLE"), 1920)
    for head in ("valid/best_loss", "oneuron.verdict", "encode.crosses"):
        browser.find_element("xpath", f"//*[@role='columnheader'][contains(., '{head}')]")
    cells = browser.find_elements("css selector", "[role=gridcell][col-id*='valid/best_loss']")
    losses = [float(cell.text.rstrip("…")) for cell in cells if cell.text.startswith("0.")]
    assert len(losses) == 5
    assert losses == sorted(losses)
    names = {each.text for each in browser.find_elements("xpath", "//a[contains(., '·')]")}
    assert {"crosses · lr 1", "onehot · lr 0.1", "epochs 60 · seed 7"} <= names


@pytest.mark.exhaustive
def test_without_the_view_the_losses_come_before_the_certificate(opened, browser):
    open_page(browser, opened.partition("&viewStateShareKey")[0], 1280)
    browser.find_element("xpath", "//*[text()='Model metrics']")
    text = browser.find_element("tag name", "body").text
    headings = ("test", "train", "valid", "Model metrics")
    order = [text.index(f"\n{heading}\n(") for heading in headings]
    assert order == sorted(order)
    assert "certificate.gap" not in text[: order[-1]]


@pytest.mark.exhaustive
def test_figures_of_a_run_are_among_its_artifacts(opened, browser):
    open_page(browser, opened, 1600)
    browser.find_element("xpath", "//a[contains(., 'seed 7')]").click()
    browser.find_element("xpath", "//*[text()='Artifacts']").click()
    browser.find_element("xpath", "//*[text()='figures']").click()
    browser.find_element("xpath", "//*[text()='effects.png']").click()
    wait_until(lambda: any(width > 300 for width in widths_of_pictures(browser)))


def widths_of_pictures(browser) -> list[int]:
    """Pixels of the pictures that were loaded from the run."""
    return browser.execute_script(
        "return [...document.images].filter(image => image.src.startsWith('blob:'))"
        ".map(image => image.naturalWidth)"
    )
