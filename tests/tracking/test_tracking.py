"""MLflow shows what the record holds, however often and with whatever interruptions it is told."""

import contextlib
import dataclasses
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from builders import (
    CONFIG,
    make_environment,
    make_evaluation,
    make_failed_record,
    make_finished,
    make_record,
    make_refused,
    store_rows,
    store_state,
)
from servers import free_port, mlflow_server

from pipeline import files
from pipeline.config.schema import RunConfig, TrackingSettings
from pipeline.errors import Failure, TrackingError
from pipeline.record import published_runs, write
from pipeline.record.transfer import export_record
from pipeline.stages.importance import Importance
from pipeline.text import flatten
from pipeline.tracking import Synced, open_store, publish, sync
from pipeline.tracking.model_files import of_run
from pipeline.tracking.projection import MAX_IMPORTANCES, MAX_POINTS, thinned
from pipeline.tracking.publish import publish_to
from pipeline.tracking.store import TRAINING

VIEWS = {"figures/a.png": b"png", "report.html": b"<html>"}


def settled(settings):
    record = make_record(started_ms=1_000_000)
    (record.path / "figures").mkdir()
    for name, content in VIEWS.items():
        (record.path / name).write_bytes(content)
    return record, publish(record, settings)


def test_run_in_mlflow_shows_what_the_record_holds(settings):
    record, published = settled(settings)
    store = open_store(settings)
    run = store.client.get_run(published.run_id)
    assert published.new
    assert (run.info.status, run.info.start_time) == ("FINISHED", record.head.started_ms)
    assert run.info.run_name == f"tiny gradient_descent {record.identity[:8]}"
    assert run.data.params["optimiser.learning_rate"] == "0.1"
    assert run.data.params["data.columns.safety.categories"] == '["low", "high"]'
    assert run.data.metrics["test/accuracy"] == 0.75
    assert run.data.metrics["rows.train"] == 12
    for series, name in (("train_loss", "train/loss"), ("valid_accuracy", "valid/accuracy")):
        history = sorted(
            store.client.get_metric_history(published.run_id, name), key=lambda m: m.step
        )
        assert [m.value for m in history] == record.curve[series].tolist()
        assert [m.step for m in history] == [0, 1, 2, 3, 4]
        assert [m.timestamp for m in history] == [record.head.started_ms + i for i in range(5)]
    assert run.data.tags["oneuron.data_digest"] == "d" * 64
    assert run.data.tags["mlflow.source.git.commit"] == "b" * 40
    assert run.data.tags["oneuron.git_dirty"] == "false"
    dataset = run.inputs.dataset_inputs[0].dataset
    assert (dataset.name, dataset.digest) == ("tiny", "d" * 36)
    assert published_runs(record.identity)["sqlite:///mlflow.db"].run_id == published.run_id


def test_artifacts_are_the_files_of_the_record_and_private(settings):
    """H05."""
    record, published = settled(settings)
    (folder,) = files.ARTIFACTS.glob("*/artifacts")
    assert folder.parent.name == published.run_id
    names = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file()}
    assert set(names) >= {"model/record.zip", *VIEWS, *of_run(record)}
    for name, content in VIEWS.items():
        assert names[name].read_bytes() == content
    exported = files.PROJECT / "run.zip"
    export_record(record, exported)
    assert names["model/record.zip"].read_bytes() == exported.read_bytes()
    exported.chmod(0o600)
    assert {path.stat().st_mode & 0o777 for path in files.ARTIFACTS.rglob("*")} == {0o600, 0o700}
    assert files.STORE.stat().st_mode & 0o777 == 0o600


def test_publishing_again_adds_nothing(settings):
    record, published = settled(settings)
    before = store_state()
    again = publish(record, settings)
    assert (again.run_id, again.new) == (published.run_id, False)
    (record.path / "published.json").unlink()
    assert publish(record, settings).run_id == published.run_id
    assert sync(files.RUNS, settings) == Synced()
    assert store_state() == before


def test_publishing_a_run_that_was_left_running_adds_only_what_is_missing(settings):
    """The whole is sent again: every point, parameter and file stands there already."""
    record, published = settled(settings)
    before = store_state()
    open_store(settings).client.update_run(published.run_id, status="RUNNING")
    assert publish(record, settings).new
    assert store_state() == before


class Killed(BaseException):
    """Stands for SIGKILL: nothing handles it."""


class Faulty:
    """A client whose k-th call does not come to be, or whose reply is lost."""

    def __init__(self, client, call: int, before: bool, error: type[BaseException]):
        self.client, self.left, self.before, self.error = client, call, before, error

    def __getattr__(self, name):
        method = getattr(self.client, name)

        def call(*args, **kwargs):
            self.left -= 1
            if self.left == 0 and self.before:
                raise self.error
            answer = method(*args, **kwargs)
            if self.left == 0:
                raise self.error
            return answer

        return call


@pytest.mark.parametrize("before", [True, False], ids=["before the call", "after it"])
@pytest.mark.parametrize("error", [Killed, ConnectionError])
def test_interruption_between_any_two_steps_is_made_good_by_publishing_again(
    before, error, settings, store_template
):
    """C01, C03, E06: for each call of the client in turn, the same final state to the last row."""
    record, _ = settled(settings)
    expected = store_state()
    n_calls = 0
    for call in range(1, 100):
        shutil.rmtree(files.ARTIFACTS)
        shutil.copy2(store_template, files.STORE)
        (record.path / "published.json").unlink(missing_ok=True)
        store = open_store(settings)
        faulty = dataclasses.replace(store, client=Faulty(store.client, call, before, error))
        try:
            publish_to(faulty, record)
        except (Killed, TrackingError):
            n_calls += 1
            with contextlib.suppress(TrackingError):
                assert published_runs(record.identity) == {}
            assert publish_to(store, record).run_id
        assert store_state() == expected
        if faulty.client.left > 0:
            break
    assert n_calls == 6  # search, create, log, name the data, search again, end


def test_finished_only_ever_means_complete(settings):
    """Whatever was interrupted before the last step, the run in the store is not FINISHED."""
    record = make_record()
    store = open_store(settings)
    for call in range(1, 6):
        faulty = dataclasses.replace(store, client=Faulty(store.client, call, True, Killed))
        with pytest.raises(Killed):
            publish_to(faulty, record)
        assert {status for (status,) in store_rows("runs", "status")} <= {"RUNNING"}


class Forgetful:
    """A client whose store says yes and keeps nothing of one kind."""

    def __init__(self, client, kind: str):
        self.client, self.kind = client, kind

    def __getattr__(self, name):
        if name == "log_batch" and self.kind == "metrics":
            return lambda run_id, metrics=(), **rest: self.client.log_batch(run_id, **rest)
        if name == "end_run" and self.kind == "status":
            return lambda run_id, *_: self.client.get_run(run_id).info
        return getattr(self.client, name)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("metrics", "metrics without"),
        ("artifacts", "another size than"),
        ("status", "another status"),
    ],
)
def test_store_that_says_yes_and_keeps_nothing_is_found_out(kind, why, settings, monkeypatch):
    """E12: by reading back, before the run is called FINISHED and the record published."""
    record = make_record()
    store = open_store(settings)
    forgetful = dataclasses.replace(store, client=Forgetful(store.client, kind))
    module = sys.modules["pipeline.tracking.publication"]
    honest = module.put
    if kind == "artifacts":
        monkeypatch.setattr(module, "put", lambda *_: None)
    with pytest.raises(TrackingError, match=why):
        publish_to(forgetful, record)
    monkeypatch.setattr(module, "put", honest)
    assert store_rows("runs", "status") == [("RUNNING",)]
    assert published_runs(record.identity) == {}
    publish_to(store, record)
    assert store_rows("runs", "status") == [("FINISHED",)]


@pytest.mark.parametrize("status", ["FAILED", "KILLED"])
def test_each_failed_attempt_is_a_run_of_its_own_and_says_why(status, settings):
    failure = Failure("SIGTERM", "ended at epoch 3", None, 143)
    for _ in range(2):
        record = make_failed_record(status=status, failure=failure)
        run_id = publish(record, settings).run_id
        assert publish(record, settings).run_id == run_id
    runs = open_store(settings).client.search_runs(["1"])
    assert [run.info.status for run in runs] == [status, status]
    assert runs[0].data.tags["oneuron.reason"] == "SIGTERM"
    assert runs[0].data.tags["oneuron.error"] == "ended at epoch 3"
    assert runs[0].data.metrics == {}


def test_same_result_of_another_checkout_is_the_same_run(settings, tmp_path):
    """A second record of that identity has other times; its points are there already."""
    _, first = settled(settings)
    before = store_state()
    other = make_record(0, tmp_path / "runs", started_ms=2_000_000)
    assert publish(other, settings).run_id == first.run_id
    assert store_state() == before


def test_clock_that_steps_back_before_publishing_changes_no_time(settings, monkeypatch):
    """B08: times are those of the record."""
    record = make_record(started_ms=5_000_000)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    publish(record, settings)
    assert min(store_rows("metrics", "timestamp")) == (5_000_000,)


def test_sync_publishes_what_a_new_store_does_not_have(settings, store_template):
    """Each record goes where it was meant to, and a store at the same address is asked."""
    other = RunConfig.parse({**CONFIG, "seed": 2})
    records = [make_record(0), make_record(1, experiment="other"), make_failed_record(config=other)]
    publish(records[0], settings)
    assert sync(files.RUNS, settings) == Synced(published=2)
    expected = store_state()
    assert sync(files.RUNS, settings) == Synced()
    shutil.rmtree(files.ARTIFACTS)
    shutil.copy2(store_template, files.STORE)
    assert sync(files.RUNS, settings) == Synced(published=3)
    assert store_state() == expected
    by_name = dict(store_rows("experiments", "name, experiment_id"))
    assert len(store_rows(f"runs WHERE experiment_id = {by_name['other']}")) == 1


def test_sync_goes_on_after_a_damaged_record_and_names_it(settings):
    a, _ = make_record(0), make_record(1)
    (a.path / "model.json").unlink()
    with pytest.raises(TrackingError, match=rf"{a.identity[:12]} .*model\.json"):
        sync(files.RUNS, settings)
    assert store_rows("runs", "status") == [("FINISHED",)]


def test_run_that_was_deleted_in_mlflow_is_not_brought_back_by_sync(settings):
    record, published = settled(settings)
    open_store(settings).client.delete_run(published.run_id)
    assert sync(files.RUNS, settings) == Synced(deleted=[published.run_id])
    assert publish(record, settings).run_id != published.run_id  # an explicit run again does
    assert sync(files.RUNS, settings) == Synced()


def test_hostile_names_and_values_of_a_table_are_published_and_listed(settings, tiny_config):
    """F01, F02, F04, F05, F12: all of them in one run."""
    columns = {
        "a=b [c]": {"kind": "numeric"},
        "größe 日本": {"kind": "numeric"},
        "x\ny\0z\ud800": {"kind": "numeric"},
        "n" * 400: {"kind": "numeric"},
        "many": {"kind": "categorical", "categories": [f"category {i}" for i in range(900)]},
    }
    tiny_config["data"]["columns"] = columns
    outcome = make_finished(config=tiny_config)
    effects = dataclasses.replace(outcome.effects, ranking=(Importance("a=b [c]", 0.25),))
    record = write(dataclasses.replace(outcome, effects=effects), here=make_environment())
    run = open_store(settings).client.get_run(publish(record, settings).run_id)
    params = run.data.params
    assert params["data.columns.a_x3d_b _x5b_c_x5d_.kind"] == "numeric"
    assert params["data.columns.größe 日本.kind"] == "numeric"
    assert params["data.columns.x_xa_y_x0_z_xd800_.kind"] == "numeric"
    assert params["data.columns.many.categories"].startswith("sha256:")
    assert run.data.metrics["importance.a_x3d_b _x5b_c_x5d_"] == 0.25
    (path,) = files.ARTIFACTS.glob("*/artifacts/names.json")
    table = json.loads(path.read_text())
    assert table["importance.a_x3d_b _x5b_c_x5d_"] == "importance/a=b [c]"
    shortened = [new for new, old in table.items() if old == f"data.columns.{'n' * 400}.kind"]
    assert shortened
    assert params[shortened[0]] == "numeric"


def test_many_parameters_and_points_arrive_to_the_last_one(settings, tiny_config):
    """F07: more than MLflow takes in one request."""
    tiny_config["data"]["columns"] = {f"c{i}": {"kind": "numeric"} for i in range(120)}
    outcome = make_finished(30, config=tiny_config)
    ranking = tuple(Importance(f"c{i}", 0.1) for i in range(1100))
    effects = dataclasses.replace(outcome.effects, ranking=ranking)
    record = write(dataclasses.replace(outcome, effects=effects), here=make_environment())
    publish(record, settings)
    assert len(store_rows("params")) == len(flatten(record.config)) > 480
    assert len(store_rows("metrics WHERE key = 'train/loss'")) == MAX_POINTS
    figures = len(record.head.metrics) - len(ranking) + MAX_IMPORTANCES
    assert len(store_rows("metrics")) == 5 * MAX_POINTS + figures


@pytest.mark.parametrize("n", [1, 2, MAX_POINTS, MAX_POINTS + 1, 501, 250_001])
def test_points_are_few_with_the_first_the_last_and_the_best(n):
    """F08. Also of curves that are flat, or not finite when their range is taken."""
    falling = 1 / np.arange(1.0, n + 1)
    for curve in (falling, np.zeros(n), np.where(np.arange(n) % 2, 1e308, -1e308)):
        for best in ([], [0], [n // 3], [n - 1]):
            kept = thinned(np.array([falling, curve]), best)
            assert len(kept) == min(n, MAX_POINTS)
            assert {0, *best, n - 1} <= set(kept.tolist())
            assert (np.diff(kept) > 0).all()


def test_lines_between_the_points_are_near_the_curve_with_its_dips():
    """A loss that swings before it settles. The control are as many points, log-spaced."""
    epoch = np.arange(1001.0)
    curve = np.exp(-epoch / 50) * (1 + 0.8 * np.cos(epoch / 12))
    kept = thinned(np.array([curve, -curve]), [])
    even = np.unique([0, *np.rint(np.geomspace(1, 1000, MAX_POINTS)).astype(int)])
    near, control = (
        np.abs(np.interp(epoch, places, curve[places]) - curve).max() / np.ptp(curve)
        for places in (kept, even)
    )
    assert near < 0.04 < 0.07 < control


@pytest.mark.exhaustive
def test_quarter_of_a_million_epochs_are_thinned_in_mlflow_and_whole_in_the_record(
    settings,
):
    """F08."""
    record = write(make_finished(250_000), here=make_environment())
    publish(record, settings)
    assert len(store_rows("metrics WHERE key = 'train/loss'")) <= MAX_POINTS + 1
    assert store_rows("latest_metrics WHERE key = 'train/loss'", "step, value") == [
        (250_000, 0.7 / 250_001)
    ]
    assert record.text("curve.csv").count("\n") == 250_002


def test_no_figure_that_is_not_finite_reaches_the_store(settings):
    """MLflow would store infinity as 1.8e308 and sort it as a value."""
    values = {"accuracy": 0.5, "roc_auc": float("inf"), "f1": float("nan")}
    outcome = make_finished(evaluation=make_evaluation(metrics=values))
    publish(write(outcome, here=make_environment()), settings)
    kept = {
        key: (value, nan) for key, value, nan in store_rows("latest_metrics", "key, value, is_nan")
    }
    assert kept["test/accuracy"] == (0.5, 0)
    assert "test/roc_auc" not in kept
    assert "test/f1" not in kept
    assert all(abs(value) < 1e300 and not nan for value, nan in kept.values())


def test_planted_secret_is_nowhere_in_store_artifacts_or_message(
    settings, tiny_config, monkeypatch
):
    """H04: planted in the environment, an override, the path, an exception and the diff."""
    secret = "hunter2-Tr0ub4dor"
    monkeypatch.setenv("DEPLOY_TOKEN", secret)
    tiny_config["data"]["path"] = f"data/{secret}.csv"
    failure = Failure("OSError", f"no answer from http://me:{secret}@host", f"at {secret}", 1)
    planted = make_refused(failure=failure, config=RunConfig.parse(tiny_config))
    here = make_environment(git_dirty=True, git_diff=f"+key = '{secret}'")
    record = write(planted, here=here, overrides=[f"data.path={secret}"])
    publish(record, settings)
    with pytest.raises(TrackingError) as raised:
        publish(record, TrackingSettings(uri=f"http://u:{secret}@127.0.0.1:9", experiment="x"))
    assert secret not in str(raised.value)
    found = [
        path
        for path in files.PROJECT.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    ]
    assert found == []
    assert "***" in open_store(settings).client.search_runs(["1"])[0].data.tags["oneuron.error"]


def test_tracking_module_does_not_import_mlflow_before_it_opens_a_store():
    """A refusal of the configuration must not wait for it."""
    code = "import pipeline.tracking, sys; sys.exit('mlflow' in sys.modules)"
    project = Path(__file__).parent.parent.parent
    assert subprocess.run([sys.executable, "-c", code], cwd=project, check=False).returncode == 0


@pytest.mark.exhaustive
def test_server_that_dies_loses_nothing_that_sync_does_not_bring(project, store_template, tmp_path):
    """E04, E05, E06: one run before, one while it is away, and replies that are lost."""
    shutil.copy2(store_template, tmp_path / "mlflow.db")
    port = free_port()
    settings = TrackingSettings(uri=f"http://127.0.0.1:{port}", experiment="tiny")
    first, second, third = (make_record(seed) for seed in range(3))
    with mlflow_server(tmp_path, port):
        published = publish(first, settings)
        assert (
            published.url
            == f"http://127.0.0.1:{port}/#/experiments/1/runs/{published.run_id}?{TRAINING}"
        )
        store = open_store(settings)
        for call in (2, 3, 4):  # the replies to: make the run, log, name the data
            faulty = Faulty(store.client, call, False, ConnectionError)
            with pytest.raises(TrackingError):
                publish_to(dataclasses.replace(store, client=faulty), third)
    with pytest.raises(TrackingError, match="make sync"):
        publish(second, settings)
    with mlflow_server(tmp_path, port):
        assert sync(project / "runs", settings) == Synced(published=2)
        client = open_store(settings).client
        runs = client.search_runs(["1"])
        assert [run.info.status for run in runs] == ["FINISHED"] * 3
        for run in runs:
            assert len(client.get_metric_history(run.info.run_id, "train/loss")) == 5
            names = {file.path for file in client.list_artifacts(run.info.run_id, "model")}
            assert "model/record.zip" in names
