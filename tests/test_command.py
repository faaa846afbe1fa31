"""A run from its configuration to its record, its run in MLflow and what it prints."""

import dataclasses
import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from pipeline import car, command, paths, run
from pipeline.compose import configuration
from pipeline.errors import DataError
from pipeline.record import find, records
from pipeline.signals import SIGNALS, StopRequest
from pipeline.stages.train import Epoch
from pipeline.tracking import publish

QUICK = ["train.epochs=30"]


@pytest.fixture
def here(project, settings):
    """A project folder with the car table in it; the handlers of signals are put back."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    (project / "data").mkdir()
    (project / "data" / "car.data").write_bytes(car.content())
    yield project
    for number, handler in handlers.items():
        signal.signal(number, handler)


def launch(here: Path, *words: str) -> int:
    job = configuration([f"data.path={here}/data/car.data", *QUICK, *words])
    stop = StopRequest()
    stop.listen()
    return command.run_and_track(job, list(words), lambda r: publish(r, job.tracking), stop)


def stored(here: Path):
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{here}/mlflow.db")
    experiments = [e.experiment_id for e in client.search_experiments()]
    return client.search_runs(experiments)


def test_a_run_ends_with_a_summary_a_record_and_a_run_in_mlflow(here, capsys):
    assert launch(here) == 0
    said = capsys.readouterr().out
    for part in ("Data", "Split", "Training", "Test", "95 % interval", "majority baseline",
                 "Matters", "safety", "Record", "MLflow", "make ui"):  # fmt: skip
        assert part in said
    (record,) = records(paths.RUNS)
    (stored_run,) = stored(here)
    assert record.status == stored_run.info.status == "FINISHED"
    assert stored_run.data.metrics["test/accuracy"] == record.metrics["test/accuracy"]
    assert stored_run.data.params["optimiser.learning_rate"] == "1.0"


def test_the_same_run_again_adds_nothing_and_proves_its_bits(here, capsys):
    launch(here)
    before = {path: path.stat().st_mtime_ns for path in paths.RUNS.rglob("*.json")}
    capsys.readouterr()
    assert launch(here) == 0
    assert "bit-identical to run" in capsys.readouterr().out
    after = {path: path.stat().st_mtime_ns for path in paths.RUNS.rglob("*.json")}
    changed = {path.name for path in before if before[path] != after[path]}
    assert after.keys() == before.keys()
    assert changed <= {"published.json"}
    assert len(stored(here)) == 1


def test_a_run_that_does_not_repeat_its_bits_shouts(here, capsys, monkeypatch):
    launch(here)
    honest = run.train

    def off_by_a_bit(*arguments):
        trained = honest(*arguments)
        trained.theta[0] = np.nextafter(trained.theta[0], np.inf)
        return trained

    monkeypatch.setattr(run, "train", off_by_a_bit)
    assert launch(here) == 1
    assert "NOT REPRODUCED" in capsys.readouterr().err


def test_other_bits_on_another_machine_are_told_and_are_no_fault(here, capsys, monkeypatch):
    """The record that stands stays; the negative control is the test above."""
    launch(here)
    (record,) = records(paths.RUNS)
    honest, around = run.train, run.surroundings()

    def off_by_a_bit(*arguments):
        trained = honest(*arguments)
        trained.theta[0] = np.nextafter(trained.theta[0], np.inf)
        return trained

    monkeypatch.setattr(run, "train", off_by_a_bit)
    elsewhere = dataclasses.replace(around, platform="sunos-sparc", arithmetic="libm")
    monkeypatch.setattr(run, "surroundings", lambda: elsewhere)
    capsys.readouterr()
    assert launch(here) == 0
    said = capsys.readouterr()
    assert f"other bits than those of run {record.identity[:12]}, which stays" in said.out
    assert f"another: sunos-sparc, it was {around.platform}; libm, it was " in said.out
    assert said.err == ""
    (standing,) = records(paths.RUNS)
    assert standing.theta.tobytes() == record.theta.tobytes()
    assert len(stored(here)) == 1


def test_a_refused_table_leaves_a_failed_run_that_carries_the_report(here, capsys):
    text = car.content().replace(b"vhigh,vhigh,2,2,small,low", b"vhigh,vhigh,2,2,small,lowww")
    (here / "data" / "car.data").write_bytes(text)
    assert launch(here, "data.sha256=null") == 3
    said = capsys.readouterr().err
    assert "lowww" in said
    assert "Traceback" not in said
    (record,) = records(paths.RUNS)
    (stored_run,) = stored(here)
    assert record.status == stored_run.info.status == "FAILED"
    assert "lowww" in record.text("validation.json")
    assert "lowww" in record.text("validation.html")


def test_a_changed_car_file_is_refused_by_its_digest(here):
    """The file is pinned: exit code 3, and the message says how to get it back."""
    (here / "data" / "car.data").write_bytes(car.content()[:-1])
    with pytest.raises(DataError, match="make data") as caught:
        launch(here)
    assert caught.value.exit_code == 3
    assert not list(records(paths.RUNS))


def test_a_run_that_diverges_is_failed_and_names_the_cure(here, capsys):
    """F06: the curve up to that epoch is kept, no infinity is logged."""
    words = ["optimiser=gradient_descent", "optimiser.learning_rate=1e308"]
    assert launch(here, *words) == 4
    assert "lower optimiser.learning_rate" in capsys.readouterr().err
    (record,) = records(paths.RUNS)
    (stored_run,) = stored(here)
    assert record.status == stored_run.info.status == "FAILED"
    assert all(np.isfinite(column).all() for column in record.curve.values())
    assert all(np.isfinite(value) for value in stored_run.data.metrics.values())


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_ends_the_run_as_killed_with_what_it_had_learned(here, capsys, monkeypatch, name):
    """C05, C06, C07: KILLED, 128 + n, and the curve up to there."""
    number = signal.Signals[name]
    told = command.Progress.show

    def interrupt(self, epoch: Epoch) -> None:
        told(self, epoch)
        if epoch.number == 9:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(command.Progress, "show", interrupt)
    assert launch(here) == 128 + number
    assert name in capsys.readouterr().err
    (record,) = records(paths.RUNS)
    (stored_run,) = stored(here)
    assert record.status == stored_run.info.status == "KILLED"
    assert record.curve["epoch"].tolist() == list(range(10))
    assert record.theta.shape == (22,)


def test_a_crash_is_failed_with_the_error_told_and_a_traceback_on_stderr(here, capsys, monkeypatch):
    """C08: a defect of ours is exit code 1, and its run says what it was."""

    def broken(*_arguments, **_settings):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(run, "evaluate", broken)
    assert launch(here) == 1
    assert "Traceback" in capsys.readouterr().err
    (record,) = records(paths.RUNS)
    (stored_run,) = stored(here)
    assert record.status == stored_run.info.status == "FAILED"
    assert json.loads(record.text("failure.json"))["kind"] == "ZeroDivisionError"
    assert any("planted" in value for value in stored_run.data.tags.values())


def test_a_finished_run_follows_a_failed_one_of_the_same_identity(here, monkeypatch):
    honest = run.evaluate
    monkeypatch.setattr(run, "evaluate", lambda *_a, **_k: 1 / 0)
    launch(here)
    monkeypatch.setattr(run, "evaluate", honest)
    assert launch(here) == 0
    (record,) = records(paths.RUNS)
    assert record.status == "FINISHED"
    assert sorted(r.info.status for r in stored(here)) == ["FAILED", "FINISHED"]


def test_without_a_split_no_figure_is_called_test(here, capsys):
    launch(here, "split=none")
    said = capsys.readouterr().out
    assert "NOT HELD OUT" in said
    assert "NONE: all 1,728 rows both train and test the neuron" in said
    assert not any(name.startswith("test/") for name in find("latest", paths.RUNS).metrics)


def test_a_store_that_cannot_be_used_keeps_the_work_and_exits_with_5(here, capsys):
    """A03: the store's path is a directory."""
    (here / "mlflow.db").unlink()
    (here / "mlflow.db").mkdir()
    assert launch(here) == 5
    said = capsys.readouterr().err
    assert "make sync" in said
    assert "Traceback" not in said
    assert find("latest", paths.RUNS).status == "FINISHED"


def test_sync_publishes_what_a_store_has_missed(here, capsys, store_template):
    (here / "mlflow.db").unlink()
    (here / "mlflow.db").mkdir()
    launch(here)
    (here / "mlflow.db").rmdir()
    (here / "mlflow.db").write_bytes(store_template.read_bytes())
    tracking = configuration([]).tracking
    assert command.publish_missing(tracking) == 0
    assert "published: 1" in capsys.readouterr().out
    assert [r.info.status for r in stored(here)] == ["FINISHED"]
    assert command.publish_missing(tracking) == 0
    assert len(stored(here)) == 1
