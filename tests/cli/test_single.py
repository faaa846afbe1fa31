"""A run from its configuration to its record, its run in MLflow and what it prints."""

import io
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline import run as stages
from pipeline.cli import single
from pipeline.cli.arguments import parse
from pipeline.cli.commands import share
from pipeline.config.compose import configuration
from pipeline.errors import SIGNALS, DataError, StopRequest
from pipeline.record import find, heads, read, write
from pipeline.record.identity import environment
from pipeline.stages.read import car
from pipeline.stages.train import Start
from pipeline.tracking import publish

pytestmark = pytest.mark.exhaustive

QUICK = "train.epochs=30"


@pytest.fixture
def here(project, settings):
    """A project folder with the car table in it; the handlers of signals are put back."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    (project / "data").mkdir()
    (project / "data" / "car.data").write_bytes(car.content())
    yield project
    for number, handler in handlers.items():
        signal.signal(number, handler)


def launch(*words: str) -> int:
    job = configuration([QUICK, *words])
    stop = StopRequest()
    stop.listen()
    return single.make_run(job, words, lambda record: publish(record, job.tracking), stop)


def stored():
    from mlflow.tracking import MlflowClient

    from pipeline import files

    client = MlflowClient(f"sqlite:///{files.STORE}")
    experiments = [e.experiment_id for e in client.search_experiments()]
    return client.search_runs(experiments)


def statuses() -> list[str]:
    return sorted(run.info.status for run in stored())


def off_by_a_bit(honest):
    def train(*arguments):
        trained = honest(*arguments)
        trained.theta[0] = np.nextafter(trained.theta[0], np.inf)
        return trained

    return train


def test_a_run_again_proves_its_bits_and_adds_nothing(here, capsys, monkeypatch):
    assert launch() == 0
    out = capsys.readouterr().out
    for part in ("Data", "Split", "Training", "Test", "majority baseline", "Matters", "safety",
                 "Record", "MLflow", "make ui"):  # fmt: skip
        assert part in out
    record, (published,) = find("latest"), stored()
    assert record.status == published.info.status == "FINISHED"
    assert published.data.metrics["test/accuracy"] == record.head.metrics["test/accuracy"]
    assert published.data.params["optimiser.learning_rate"] == "1.0"
    before = {path: path.stat().st_mtime_ns for path in record.path.rglob("*")}
    assert launch() == 0
    assert "bit-identical" in capsys.readouterr().out
    after = {path: path.stat().st_mtime_ns for path in record.path.rglob("*")}
    assert {path.name for path in after if after[path] != before.get(path)} <= {"published.json"}
    assert len(stored()) == 1
    # Negative control: other bits on the same machine are an error, on another one they are not.
    monkeypatch.setattr(stages, "train", off_by_a_bit(stages.train))
    assert launch() == 1
    assert "NOT REPRODUCED" in capsys.readouterr().err
    elsewhere = environment().model_copy(update={"platform": "sunos-sparc"})
    monkeypatch.setattr(single, "write", lambda *a, **k: write(*a, **{**k, "here": elsewhere}))
    assert launch() == 0
    both = capsys.readouterr()
    assert "sunos-sparc" in both.out
    assert both.err == ""
    assert find("latest").model.theta.tobytes() == record.model.theta.tobytes()


def test_a_run_that_began_at_the_optimum_of_another_is_made_again_from_there(here, capsys):
    words = ("optimiser=newton", "train.epochs=200", "evaluate.bootstrap=null")
    strong, weak = (configuration([*words, f"train.l2={l2}"]).run_config() for l2 in (0.02, 0.01))
    prepared = stages.prepare(weak)
    start = Start("c" * 32, 0.02, stages.learn(prepared, strong).trained.theta)
    write(stages.learn(prepared, weak, start=start))
    assert launch(*words, "train.l2=0.01") == 0
    out = capsys.readouterr().out
    assert "from the optimum of run cccccccccccc, of l2 0.02" in out
    assert "bit-identical to run" in out
    assert stored()[0].data.tags["oneuron.start"] == "the optimum of run cccccccccccc (l2 0.02)"


def test_a_legacy_locale_loses_no_run(here, monkeypatch):
    """J16: the summary has characters that ASCII lacks; what comes after it still happens."""
    said = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", said)
    assert launch() == 0
    text = said.buffer.getvalue().decode("ascii")
    assert "  ########################\n" in text
    assert "MLflow    run " in text
    assert statuses() == ["FINISHED"]


def test_a_refused_table_leaves_a_failed_record_and_no_run_until_sync(here, capsys):
    text = car.content().replace(b"vhigh,vhigh,2,2,small,low", b"vhigh,vhigh,2,2,small,lowww")
    (here / "data" / "car.data").write_bytes(text)
    assert launch("data.sha256=null") == 3
    out, err = capsys.readouterr()
    assert "lowww" in err
    assert "Traceback" not in err
    (head,) = heads()
    assert head.status == "FAILED"
    record = read(here / "runs" / head.identity)
    (violation,) = record.json("validation.json")["violations"]
    assert (violation["column"], violation["examples"]) == ("safety", [["lowww", 1]])
    page = f"runs/{head.identity}/report.html"
    assert f"Next      open {page}\n" in out
    assert "lowww" in (here / page).read_text()
    assert stored() == []
    assert share.sync(parse("sync", [])) == 0
    assert statuses() == ["FAILED"]


def test_a_changed_car_file_is_refused_by_its_digest(here):
    """The file is pinned: exit code 3, and the message says how to get it back."""
    (here / "data" / "car.data").write_bytes(car.content()[:-1])
    with pytest.raises(DataError, match="make data") as caught:
        launch()
    assert caught.value.exit_code == 3
    assert not list(heads())


def test_a_run_that_diverges_is_failed_and_names_the_cure(here, capsys):
    """F06: the curve up to that epoch is kept, no infinity is logged."""
    assert launch("optimiser=gradient_descent", "optimiser.learning_rate=1e308") == 4
    assert "optimiser.learning_rate" in capsys.readouterr().err
    (head,), (published,) = heads(), stored()
    record = read(here / "runs" / head.identity)
    assert record.status == published.info.status == "FAILED"
    assert all(np.isfinite(column).all() for column in record.curve.values())
    assert all(np.isfinite(value) for value in published.data.metrics.values())


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_ends_the_run_as_killed_with_what_it_had_learned(here, capsys, monkeypatch, name):
    """C05, C06, C07: KILLED, 128 + n, and the curve up to there."""
    number = signal.Signals[name]

    def interrupt(done: int, *_: object) -> None:
        if done == 9:
            os.kill(os.getpid(), number)

    monkeypatch.setattr(single, "count", interrupt)
    assert launch() == 128 + number
    assert name in capsys.readouterr().err
    (head,) = heads()
    record = read(here / "runs" / head.identity)
    assert record.status == "KILLED"
    assert record.failure.kind == name
    assert statuses() == ["KILLED"]
    assert record.curve["epoch"].tolist() == list(range(10))
    assert record.model.theta.shape == (22,)


def test_a_hangup_that_nohup_ignores_ends_no_run(here, monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)

    def hang_up(done: int, *_: object) -> None:
        if done == 9:
            os.kill(os.getpid(), signal.SIGHUP)

    monkeypatch.setattr(single, "count", hang_up)
    try:
        assert launch() == 0
    finally:
        signal.signal(signal.SIGHUP, before)
    assert [head.status for head in heads()] == ["FINISHED"]


def test_a_crash_is_recorded_and_a_finished_run_may_follow(here, capsys, monkeypatch):
    """C08: an internal error is exit code 1 with a traceback, and its run says what it was."""
    honest = stages.evaluate
    monkeypatch.setattr(stages, "evaluate", lambda *_a, **_k: 1 / 0)
    assert launch() == 1
    assert "Traceback" in capsys.readouterr().err
    (head,) = heads()
    assert (head.status, head.failure.kind) == ("FAILED", "ZeroDivisionError")
    assert any("division" in value for value in stored()[0].data.tags.values())
    monkeypatch.setattr(stages, "evaluate", honest)
    assert launch() == 0
    assert [head.status for head in heads()] == ["FINISHED"]
    assert statuses() == ["FAILED", "FINISHED"]


def test_without_a_split_no_figure_is_called_test(here, capsys):
    launch("split=none")
    assert "NOT HELD OUT" in capsys.readouterr().out
    assert not any(name.startswith("test/") for name in find("latest").head.metrics)


def test_a_store_that_cannot_be_used_keeps_the_work_and_sync_publishes_it(
    here: Path, capsys, store_template
):
    """A03: the store's path is a directory."""
    (here / "mlflow.db").unlink()
    (here / "mlflow.db").mkdir()
    assert launch() == 5
    err = capsys.readouterr().err
    assert "make sync" in err
    assert "Traceback" not in err
    assert find("latest").status == "FINISHED"
    (here / "mlflow.db").rmdir()
    (here / "mlflow.db").write_bytes(store_template.read_bytes())
    for _ in range(2):
        assert share.sync(parse("sync", [])) == 0
        assert statuses() == ["FINISHED"]
