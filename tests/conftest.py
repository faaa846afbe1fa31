"""Shared fixtures: a project folder with a store of its own, and children that end alone."""

import copy
import os
import shutil
import signal
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from builders import CONFIG

from pipeline import files
from pipeline.config.schema import TrackingSettings

signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may be run under nohup
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # or in the background of a script
    signal.signal(signal.SIGINT, signal.default_int_handler)
if not hasattr(sys.modules["__main__"], "__file__"):  # a worker, which Spark takes for a doctest
    sys.modules["__main__"].__file__ = None  # which a spawned process does not look for
os.environ.pop("ARGS", None)  # of make, for pytest


@pytest.fixture
def tiny_config() -> dict[str, Any]:
    """A configuration as plain values, to be changed at will."""
    return copy.deepcopy(CONFIG)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder that stands for the real one."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.setattr(files, "PROJECT", folder)
    monkeypatch.setattr(files, "CODE", folder)
    monkeypatch.setattr(files, "RUNS", folder / "runs")
    monkeypatch.setattr(files, "SWEEPS", folder / "sweeps")
    monkeypatch.setattr(files, "STORE", folder / "mlflow.db")
    monkeypatch.setattr(files, "ARTIFACTS", folder / "mlartifacts")
    return folder


@pytest.fixture(scope="session")
def store_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real, empty store: copying it takes 0.02 s, making one 1.4 s."""
    from pipeline.tracking.sqlite import ensure_store

    folder = tmp_path_factory.mktemp("template")
    ensure_store(folder / "mlflow.db", folder / "mlartifacts")
    return folder / "mlflow.db"


@pytest.fixture
def settings(project: Path, store_template: Path) -> TrackingSettings:
    """Where a run is published in the project folder, in which a fresh store stands."""
    shutil.copy2(store_template, project / "mlflow.db")
    return TrackingSettings(experiment="tiny")


def fork(function: Callable[[], Any]) -> int:
    """The process id of a child that calls ``function`` and ends: 0, or 1 if it raised.

    A child of this process has MLflow imported already, which else takes seconds.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking next to xdist's threads
        child = os.fork()
    if child:
        return child
    code = 1
    try:
        function()
        code = 0
    except BaseException as error:
        print(f"child: {type(error).__name__}: {error}", file=sys.__stderr__, flush=True)
    finally:
        os._exit(code)


def exit_codes(children: list[int]) -> list[int]:
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


@pytest.fixture(name="fork")
def fork_fixture() -> Callable[[Callable[[], Any]], int]:
    return fork


@pytest.fixture(name="exit_codes")
def exit_codes_fixture() -> Callable[[list[int]], list[int]]:
    return exit_codes


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Headless Chromium. Its absence is the only reason to skip what needs it."""
    driver = shutil.which("chromedriver")
    if driver is None:
        pytest.skip("no chromedriver on PATH")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for option in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--enable-unsafe-swiftshader", f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):  # fmt: skip
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as opened:
        opened.get("about:blank")
        yield opened
