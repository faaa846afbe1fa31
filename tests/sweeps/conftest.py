"""Sweeps in this process, with runs forked from it, and whole ones in a copy of the project."""

import functools
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import copy_project
from sweep_builders import StandInPublisher, use_project

from pipeline.errors import SIGNALS
from pipeline.sweeps import host, publishing


@pytest.fixture
def copied(tmp_path: Path, store_template: Path) -> Path:
    """A copy of the project with a fresh store and its table."""
    return copy_project(tmp_path / "project", store_template)


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The car table, in a project folder that has nothing else."""
    return use_project(monkeypatch, tmp_path)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    """Signals are handled as before afterwards."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> StandInPublisher:
    """Where sweeps publish to."""
    publisher = StandInPublisher()
    monkeypatch.setattr(publishing, "Publisher", publisher)
    monkeypatch.setattr(publishing, "PAUSE_S", 0.0)
    return publisher


@pytest.fixture(scope="module", autouse=True)
def _one_environment() -> Iterator[None]:
    """The environment of this process stays the same: it is found out once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "environment", functools.cache(host.environment))
        yield
