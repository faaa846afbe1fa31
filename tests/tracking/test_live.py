"""The curve of a long training is in MLflow before the training ends, and the run is one."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from builders import copy_project, make_environment, make_finished, make_stopped, store_rows

from nn import Epoch
from pipeline import files
from pipeline.record import write
from pipeline.tracking import Publisher, close_orphans, live, open_store, publish
from pipeline.tracking.live import LiveCurve, LiveRun, Partial
from pipeline.tracking.projection import MAX_POINTS, Point

pytestmark = pytest.mark.exhaustive

START_MS = 1_000_000


def epoch(number: int) -> Epoch:
    return Epoch(number, np.zeros(1), 0.8 / (number + 1), 0.7 / (number + 1), 0.5, np.nan, np.nan)


def partial(steps: list[int], losses: dict[int, float]) -> Partial:
    points = tuple(Point("train/loss", losses[step], step) for step in steps)
    return Partial("tiny", START_MS, files.RUNS, points)


def runs() -> list[tuple]:
    return store_rows("runs WHERE lifecycle_stage = 'active'", "name, status")


# --- what is handed over ---------------------------------------------------------------------


def test_points_are_those_of_the_curve_and_what_is_not_taken_is_offered_again(monkeypatch):
    monkeypatch.setattr(live, "FIRST_S", 0.05)
    monkeypatch.setattr(live, "EVERY_S", 0.05)
    offered, taken = [], []

    def take(partial: Partial) -> bool:
        offered.append(partial)
        is_taken = len(offered) != 2
        taken.extend(partial.points if is_taken else ())
        return is_taken

    curve = LiveCurve(["seed=3"], "tiny", START_MS, take)
    for number in range(100_000):
        curve.watch(epoch(number))
        if len(offered) == 4:
            break
        time.sleep(0.001)
    assert offered[0].name == "seed 3"
    steps = [point.step for point in taken if point.name == "train/loss"]
    assert steps == sorted(set(steps))
    assert {0, 1, 2, 4, 8} <= set(steps)
    assert {p.name for p in taken} == {"train/objective", "train/loss", "train/accuracy"}
    assert all(p.value == 0.7 / (p.step + 1) for p in taken if p.name == "train/loss")
    assert set(offered[1].points) < set(offered[2].points)


def test_a_short_training_hands_nothing_over():
    curve = LiveCurve([], "tiny", START_MS, lambda _: pytest.fail("handed over"))
    started = time.perf_counter()
    for number in range(20_000):
        curve.watch(epoch(number))
    assert time.perf_counter() - started < 1  # 50 µs an epoch; it takes less than one


def test_days_of_training_are_few_points():
    """An interval is 3 s at first and a thirtieth of the time so far later."""
    at = live.FIRST_S
    n = 0
    while at < 7 * 86_400:
        at += max(live.EVERY_S, live.SHARE * at)
        n += 1
    assert n < 350


# --- the run ---------------------------------------------------------------------------------


def test_the_run_that_was_watched_is_the_one_that_is_published(settings):
    record = write(make_finished(300), here=make_environment(), started_ms=START_MS)
    losses = dict(enumerate(record.curve["train_loss"].tolist()))
    store, shown = open_store(settings), LiveRun()
    shown.show(store, partial([0, 1, 2], losses))
    assert runs() == [("tiny", "RUNNING")]
    shown.show(store, partial([77, 123], losses))
    shown.become(store, record)
    done = publish(record, settings)
    assert runs() == [(f"tiny gradient_descent {record.identity[:8]}", "FINISHED")]
    history = store.client.get_metric_history(done.run_id, "train/loss")
    held = {(m.step, m.value, m.timestamp) for m in history}
    assert all((step, losses[step], START_MS + step) in held for step in (0, 1, 2, 77, 123, 300))
    assert len(held) <= MAX_POINTS + 5
    assert all(losses[step] == value for step, value, _ in held)
    before = store_rows("metrics")
    assert not publish(record, settings).new
    assert store_rows("metrics") == before
    assert not list(files.RUNS.glob(".live*"))


def test_a_training_that_was_stopped_is_the_same_run_too(settings):
    record = write(make_stopped(), here=make_environment(), started_ms=START_MS)
    store, shown = open_store(settings), LiveRun()
    shown.show(store, partial([0], {0: float(record.curve["train_loss"][0])}))
    shown.become(store, record)
    publish(record, settings)
    assert [status for _, status in runs()] == ["KILLED"]


def test_a_result_that_stands_already_stays_the_only_run(settings):
    record = write(make_finished(), here=make_environment(), started_ms=START_MS)
    first = publish(record, settings)
    store, shown = open_store(settings), LiveRun()
    shown.show(store, partial([0], {0: 0.7}))
    shown.become(store, record)
    assert publish(record, settings).run_id == first.run_id
    assert [status for _, status in runs()] == ["FINISHED"]


def test_the_run_of_a_living_process_is_left_alone_and_that_of_a_dead_one_is_closed(
    settings, fork, exit_codes
):
    store = open_store(settings)
    ready, done = os.pipe(), os.pipe()

    def train() -> None:
        shown = LiveRun()
        shown.show(open_store(settings), partial([0], {0: 0.7}))
        os.write(ready[1], b".")
        os.read(done[0], 1)

    child = fork(train)
    os.read(ready[0], 1)
    close_orphans(store, files.RUNS)
    assert runs() == [("tiny", "RUNNING")]
    os.kill(child, signal.SIGKILL)
    assert exit_codes([child]) == [-signal.SIGKILL]
    close_orphans(store, files.RUNS)
    assert runs() == [("tiny", "KILLED")]
    assert not list(files.RUNS.glob(".live*"))


@pytest.mark.exhaustive
def test_a_process_that_does_not_take_the_curve_stops_no_training(settings):
    record = write(make_finished(), here=make_environment(), started_ms=START_MS)
    store = f"sqlite:///{files.STORE}"  # the process has the project's own
    with Publisher(settings.model_copy(update={"uri": store})) as publisher:
        os.kill(publisher._process.pid, signal.SIGSTOP)
        started = time.perf_counter()
        handed = [publisher.show(partial([0], {0: 0.7})) for _ in range(10_000)]
        assert time.perf_counter() - started < 2
        assert handed == [True] + [False] * 9_999
        os.kill(publisher._process.pid, signal.SIGCONT)
        assert publisher.publish(record, draw=True).new
    assert [status for _, status in runs()] == ["FINISHED"]


@pytest.mark.exhaustive
def test_a_training_is_seen_while_it_lasts_and_closed_after_a_kill(tmp_path, store_template):
    folder = copy_project(tmp_path / "project", store_template)
    words = [sys.executable, "-m", "pipeline", "train.epochs=1000000", "seed=4"]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    store = folder / "mlflow.db"
    process = subprocess.Popen(words, cwd=folder, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(store_rows("metrics WHERE key = 'valid/loss'", "step", store)) < 20:
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert store_rows("runs", "name, status", store) == [("epochs 1000000 · seed 4", "RUNNING")]
    process.kill()
    process.wait()
    words[-2:] = ["train.epochs=20", "seed=5"]
    subprocess.run(words, cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    assert sorted(store_rows("runs", "name, status", store)) == [
        ("epochs 1000000 · seed 4", "KILLED"), ("epochs 20 · seed 5", "FINISHED"),
    ]  # fmt: skip
