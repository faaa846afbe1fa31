"""Sweeps in this process, whose runs are forked from it; what a sweep in a copy has left."""

import contextlib
import functools
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import pytest

import pipeline.run
from pipeline import files
from pipeline.config.schema import TrackingSettings
from pipeline.errors import StopRequest, TrackingError
from pipeline.record import Record, heads, mark_published, read
from pipeline.stages.read import car
from pipeline.stages.train import Trained
from pipeline.sweeps.child import Prune, RunReport
from pipeline.sweeps.grid import Grid, expand
from pipeline.sweeps.host import Host
from pipeline.tracking import Published, Summary

QUICK = "train.epochs=5"


def use_project(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Path:
    """Have the folder stand for the project's, with the car table in it; the table."""
    monkeypatch.setattr(files, "PROJECT", folder)
    monkeypatch.setattr(files, "RUNS", folder / "runs")
    monkeypatch.setattr(files, "SWEEPS", folder / "sweeps")
    monkeypatch.setattr(files, "STORE", folder / "mlflow.db")
    monkeypatch.setattr(files, "ARTIFACTS", folder / "mlartifacts")
    monkeypatch.setattr(pipeline.run, "bootstrap_optimism", lambda *_: None)  # 0.1 s each
    path = folder / "data" / "car.data"
    path.parent.mkdir()
    path.write_bytes(car.content())
    return path


def act(monkeypatch: pytest.MonkeyPatch, acts: dict[int, Callable[[], object]]) -> None:
    """Have the runs of these seeds do something before they train."""
    train = pipeline.run.train

    def acting(*args: Any) -> Trained:
        acts.get(args[5], int)()
        return train(*args)

    monkeypatch.setattr(pipeline.run, "train", acting)


def thetas(folder: Path) -> dict[int, bytes]:
    """The bytes of the weights of each finished run of a copy of the project, by its seed.

    A run that is being made again may replace a record that is not finished meanwhile.
    """
    done = [head for head in heads(folder / "runs") if head.status == "FINISHED"]
    records = [read(folder / "runs" / head.identity) for head in done]
    return {record.config["seed"]: record.model.theta.tobytes() for record in records}


def published(folder: Path) -> dict[str, dict[str, str]]:
    """Status and tags of each run of the copy's store, by the number of its job."""
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as store:
        found = {
            run: {"status": status}
            for run, status in store.execute("select run_uuid, status from runs")
        }
        for run, key, value in store.execute("select run_uuid, key, value from tags"):
            found[run][key] = value
    return {tags.get("oneuron.job", tags.get("oneuron.kind")): tags for tags in found.values()}


def points(folder: Path) -> list[tuple[Any, ...]]:
    """Every point of every series of the finished runs in the copy's store.

    Identity, name, epoch, value. An attempt that failed is a run of its own, with the numbers of
    rows that it had found.
    """
    with contextlib.closing(sqlite3.connect(folder / "mlflow.db")) as store:
        return store.execute(
            "select t.value, m.key, m.step, m.value from metrics m join tags t on "
            "t.run_uuid = m.run_uuid and t.key = 'oneuron.identity' join runs r on "
            "r.run_uuid = m.run_uuid and r.status = 'FINISHED' order by 1, 2, 3, 4"
        ).fetchall()


@functools.cache
def grid_of(*words: str) -> Grid:
    """The grid of the words, composed once."""
    return expand(words)


def make_run(
    *words: str,
    host: Host | None = None,
    stop: StopRequest | None = None,
    prune: Prune = lambda _: "",
) -> RunReport:
    """How the one run ended that the words are."""
    (job,) = grid_of(QUICK, *words).jobs
    report = (host or Host()).run(job, files.PROJECT / "log", stop or StopRequest(), prune)
    assert report is not None
    return report


class StandInPublisher:
    """Stands for the process that publishes: fails so often, and never takes some records."""

    def __init__(self) -> None:
        self.failures = 0
        self.refused: set[str] = set()
        self.started = 0
        self.asked: list[str] = []
        self.tags: dict[str, dict[str, str]] = {}
        self.summaries: list[Summary] = []

    def __call__(self, _: TrackingSettings) -> Self:
        self.started += 1
        return self

    def publish(self, record: Record, tags: dict[str, str]) -> Published:
        self.asked.append(record.identity)
        self.failures -= 1
        if self.failures >= 0 or record.identity in self.refused:
            raise TrackingError("store must answer; got silence")
        self.tags[record.identity] = tags
        mark_published(record, "sqlite:///mlflow.db", "f" * 32)
        return Published("f" * 32, None, new=True)

    def publish_all(self, requests) -> list[Published | TrackingError]:
        found = []
        for request in requests:
            try:
                found.append(self.publish(read(request.folder), dict(request.tags)))
            except TrackingError as refusal:
                found.append(refusal)
        return found

    def summarise(self, summary: Summary) -> Published:
        self.summaries.append(summary)
        return Published("e" * 32, None, new=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass
