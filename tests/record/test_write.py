"""A run leaves one record, in one step; what is whole is never lost, and no secret is in it."""

import csv
import io
import json
import os
import resource
import shutil
import signal
import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import (
    CONFIG,
    make_environment,
    make_evaluation,
    make_finished,
    make_prepared,
    make_refused,
    make_stopped,
    make_trained,
)
from kill_points import io_calls, kill_at

from nn.arrays import Array
from pipeline import files
from pipeline.config.schema import RunConfig
from pipeline.errors import DiskError, Failure
from pipeline.record import Record, RecordError, adopt, heads, mark_published, read
from pipeline.record import write as write_record
from pipeline.record.trust import MADE
from pipeline.record.write import LOCK
from pipeline.stages.explain import Effects
from pipeline.stages.importance import Importance
from pipeline.stages.outcome import Finished
from pipeline.stages.train import Start

FINISHED = {
    "config.yaml", "curve.csv", "distributions.json", "effects.csv", "effects.json",
    "evaluation.json", "model.json", "optimism.json", "split.json", "test_losses.npy",
    "validation.json", "validation_losses.npy",
}  # fmt: skip


def write(outcome, folder: Path, **words) -> Record:
    return write_record(outcome, folder, **{"here": make_environment(), **words})


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file of the records."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in (LOCK, MADE)
    }


def test_a_record_holds_what_the_run_found_out(tmp_path):
    outcome = make_finished()
    record = write(outcome, tmp_path, started_ms=123, experiment="e", overrides=["seed=0"])
    head = record.head
    assert record.path == tmp_path / record.identity
    assert (head.status, head.started_ms, head.experiment) == ("FINISHED", 123, "e")
    assert (head.overrides, head.best_epoch, head.ended) == (("seed=0",), 4, "epochs")
    assert {*record.files} == FINISHED
    assert record.config == outcome.config.model_dump(mode="json")
    assert record.certificate == outcome.certificate
    assert head.lineage.data_digest == "d" * 64
    assert head.metrics["test/accuracy"] == 0.75
    assert head.metrics["valid/best_loss"] == outcome.trained.curve["valid_loss"][-1]
    assert head.metrics["importance/safety"] == 0.3
    assert head.metrics["optimism/log_loss_corrected"] == 0.375
    assert record.optimism == outcome.optimism


def test_what_is_returned_is_what_is_on_disk_in_private_files(tmp_path):
    record = write(make_finished(), tmp_path / "runs")
    again = read(record.path)
    assert (again.head, again.files) == (record.head, record.files)
    assert {path.name for path in record.path.iterdir()} == {*FINISHED, "result.json"}


def test_weights_curve_and_losses_read_back_to_the_last_bit(tmp_path):
    outcome = make_finished()
    record = read(write(outcome, tmp_path).path)
    assert record.model.theta.tobytes() == outcome.trained.theta.tobytes()
    assert record.model.encoder == outcome.prepared.encoder
    assert [*record.arrays] == ["theta", *outcome.trained.curve]
    for name, series in outcome.trained.curve.items():
        assert record.curve[name].tobytes() == series.tobytes()
    for name in ("validation_losses", "test_losses"):
        held, made = getattr(record, name), getattr(outcome, name)
        assert held.loss.tobytes() == made.loss.tobytes()
        assert held.count.tobytes() == made.count.tobytes()
    assert record.distributions == outcome.prepared.distributions
    assert record.effects == outcome.effects
    assert record.evaluation.metrics == outcome.evaluation.metrics


def test_a_refused_run_leaves_what_it_reached_and_why_it_stopped(tmp_path):
    outcome = make_refused()
    record = write(outcome, tmp_path)
    assert (record.status, record.failure, record.arrays) == ("FAILED", outcome.failure, {})
    assert {*record.files} == {"config.yaml", "validation.json"}


def test_a_stopped_run_leaves_what_it_had_learned(tmp_path):
    outcome = make_stopped()
    record = write(outcome, tmp_path)
    assert (record.status, record.failure) == ("KILLED", outcome.failure)
    files = {"config.yaml", "validation.json", "split.json", "curve.csv", "model.json"}
    assert {*record.files} == files
    assert record.arrays["theta"].tobytes() == outcome.trained.theta.tobytes()


START = Start("c" * 32, 0.5, np.array([0.1, -0.2, 1 / 3]))


def began(start: Start | None, theta: Array | None = None) -> Finished:
    """An outcome whose training began there, and has one epoch less from another optimum."""
    trained = make_trained(3 if start else 4)
    theta = trained.theta if theta is None else theta
    return make_finished(trained=replace(trained, theta=theta, start=start))


def test_where_newton_began_is_on_record_to_the_last_bit(tmp_path):
    start = read(write(began(START), tmp_path).path).start
    assert (start.run, start.l2) == (START.run, START.l2)
    assert start.theta.tobytes() == START.theta.tobytes()
    assert write(began(None), tmp_path / "other").start is None


def test_a_start_of_another_shape_is_refused(tmp_path):
    theta = np.zeros(4)
    record = write(began(replace(START, theta=theta)), tmp_path)
    with pytest.raises(RecordError, match=r"^start\.json must have 3 weights; got 4 in "):
        _ = read(record.path).start


def test_another_start_with_the_same_end_is_said_and_no_error(tmp_path):
    """Whichever of the two is on record; other weights or the same start are an error."""
    theta = began(None).trained.theta
    for first, second in ((START, None), (None, START)):
        folder = tmp_path / str(first is None)
        write(began(first), folder)
        repeat = write(began(second), folder).repeat
        assert (repeat.identical, repeat.is_error) == (False, False)
        assert repeat.start.startswith("the same bits, from ")
        assert "the optimum of run cccccccccccc (l2 0.5)" in repeat.start
        close = write(began(second, theta + 5e-11), folder).repeat
        assert close.start.startswith("the same weights to 5e-11")
        assert write(began(second, theta + 3e-10), folder).repeat.is_error
        assert write(began(first, theta + 5e-11), folder).repeat.is_error
        assert write(began(first), folder).repeat.identical
        elsewhere = write(began(second), tmp_path / f"elsewhere {first is None}")
        assert adopt(elsewhere, folder)[1] is False  # the one that stands stays
        with pytest.raises(RecordError, match="one of the two was altered"):
            adopt(
                write(began(second, theta + 3e-10), tmp_path / f"altered {first is None}"), folder
            )


def test_a_run_that_diverged_at_once_leaves_an_empty_curve(tmp_path):
    trained = make_trained(ended="diverged", best_epoch=0)
    empty = {name: series[:0] for name, series in trained.curve.items()}
    record = write(make_stopped(status="FAILED", trained=replace(trained, curve=empty)), tmp_path)
    assert {len(series) for series in read(record.path).curve.values()} == {0}


def test_the_changes_of_a_dirty_tree_are_kept(tmp_path):
    here = make_environment(git_dirty=True, git_diff="-a\n+b\n")
    record = write(make_finished(), tmp_path, here=here)
    assert record.text("source.diff") == "-a\n+b\n"
    assert "git_diff" not in (record.path / "result.json").read_text()


def test_figures_that_are_not_held_out_never_stand_in_the_column_of_honest_ones(tmp_path):
    outcome = make_finished(evaluation=make_evaluation(held_out=False))
    metrics = write(outcome, tmp_path).head.metrics
    assert metrics["not_held_out/accuracy"] == 0.75
    assert not [name for name in metrics if name.startswith("test/")]


def test_what_is_not_finite_is_null_in_tables_and_absent_from_figures(tmp_path):
    evaluation = make_evaluation(metrics={"accuracy": 0.5, "roc_auc": float("nan")})
    record = write(make_finished(evaluation=evaluation), tmp_path)
    assert record.json("evaluation.json")["roc"][0] == [0.0, 0.0, None]
    assert "test/roc_auc" not in record.head.metrics
    for name, content in {**record.files, "result.json": b"{}"}.items():
        if name.endswith(".json"):
            json.loads(content, parse_constant=pytest.fail)


def test_a_label_that_a_spreadsheet_would_run_is_quoted(tmp_path):
    """H06, for the one CSV file with words in it."""
    effects = make_finished().effects
    hostile = replace(effects.effects[0], label="=cmd|' /C calc'!A0")
    outcome = make_finished(effects=replace(effects, effects=(hostile,)))
    row = next(csv.DictReader(io.StringIO(write(outcome, tmp_path).text("effects.csv"))))
    assert row["label"] == "'=cmd|' /C calc'!A0"
    assert row["log_odds"] == repr(-1 / 3)  # a negative number stays a number


def test_a_name_that_is_no_text_is_kept_as_it_is(tmp_path):
    outcome = make_finished()
    named = Effects(outcome.effects.effects, (Importance("a:b=c\udcff", 0.25),), 0.0)
    record = write(replace(outcome, effects=named), tmp_path, experiment="\ud800")
    again = read(record.path).head
    assert again.metrics["importance/a:b=c\udcff"] == 0.25
    assert again.experiment == "\ud800"


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
def test_files_are_0600_and_folders_0700_whatever_the_umask_is(mask, tmp_path):
    """H05: also where the umask would take our own access away."""
    before = os.umask(mask)
    try:
        record = write(make_finished(), tmp_path / "runs")
        mark_published(record, "sqlite:///mlflow.db", "1")
    finally:
        os.umask(before)
    paths = [tmp_path / "runs", *(tmp_path / "runs").rglob("*")]
    modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in paths}
    assert modes == {(True, 0o700), (False, 0o600)}


# --- the same run again ---------------------------------------------------------------------------


def test_the_same_run_again_leaves_the_record_and_finds_every_bit_the_same(tmp_path):
    first = write(make_finished(), tmp_path)
    before = snapshot(tmp_path)
    again = write(make_finished(), tmp_path)
    assert again.repeat is not None
    assert (again.repeat.identical, again.repeat.difference) == (True, "")
    assert (first.repeat, again.head.attempt) == (None, first.head.attempt)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["theta", "train_loss", "valid_accuracy"])
def test_a_single_bit_is_noticed_and_named(name, tmp_path):
    trained = make_trained()
    write(make_finished(), tmp_path)
    old = trained.theta if name == "theta" else trained.curve[name]
    new = old.copy()
    new[1] = np.nextafter(new[1], 9)
    curve = {**trained.curve, name: new} if name != "theta" else trained.curve
    theta = new if name == "theta" else trained.theta
    other = make_finished(trained=replace(trained, theta=theta, curve=curve))
    repeat = write(other, tmp_path).repeat
    assert (repeat.identical, repeat.elsewhere) == (False, "")
    assert repeat.difference == f"{name}[1] is {float(new[1])!r}, it was {float(old[1])!r}"


def test_other_bits_of_another_machine_name_the_machine(tmp_path):
    write(make_finished(), tmp_path)
    other = make_finished(trained=make_trained(theta=np.zeros(3)))
    arm = make_environment(platform="linux-aarch64")
    assert write(other, tmp_path, here=arm).repeat.elsewhere == "linux-aarch64, it was linux-x86_64"
    assert write(make_finished(), tmp_path, here=arm).repeat.elsewhere == ""  # the same bits


def test_a_shorter_curve_is_a_difference(tmp_path):
    write(make_finished(4), tmp_path)
    assert "missing" in write(make_finished(3), tmp_path).repeat.difference


@pytest.mark.parametrize("lesser", [make_stopped(), make_refused()])
def test_a_finished_record_survives_a_run_that_did_not_finish(lesser, tmp_path):
    first = write(make_finished(), tmp_path)
    kept = write(lesser, tmp_path)
    assert (kept.status, kept.head.attempt, kept.repeat) == ("FINISHED", first.head.attempt, None)


def test_a_failed_record_is_replaced_by_any_other(tmp_path):
    attempts = {write(make_refused(), tmp_path).head.attempt for _ in range(2)}
    assert len(attempts) == 2
    record = write(make_finished(), tmp_path)
    assert read(record.path).status == "FINISHED"
    assert {path.name for path in tmp_path.iterdir()} == {LOCK, MADE, record.identity}


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_in_the_place_of_a_record_is_replaced(kind, tmp_path):
    place = tmp_path / "runs" / write(make_finished(), tmp_path / "other").identity
    place.parent.mkdir()
    (tmp_path / "elsewhere").mkdir()
    place.write_text("") if kind == "file" else place.symlink_to(tmp_path / "elsewhere")
    write(make_finished(), tmp_path / "runs")
    assert read(place).status == "FINISHED"
    assert not [*(tmp_path / "elsewhere").iterdir()]


# --- kills, full disks, several at once -----------------------------------------------------------


@pytest.mark.parametrize("name", ["curve.csv", "result.json"])
def test_a_kill_while_writing_leaves_no_record_and_the_next_run_cleans_up(
    name, tmp_path, monkeypatch, fork, exit_codes
):
    """C18: SIGKILL in the middle of the files."""

    def die(path, content):
        if path.name == name:
            os.kill(os.getpid(), signal.SIGKILL)
        write_new(path, content)

    write_new = files.write_new
    with monkeypatch.context() as patch:
        patch.setattr(files, "write_new", die)
        child = fork(lambda: write(make_finished(), tmp_path))
        assert exit_codes([child]) == [-signal.SIGKILL]
    assert len([*tmp_path.glob(".tmp/*")]) == 1
    assert heads(tmp_path) == []
    assert write(make_finished(), tmp_path).repeat is None
    assert not (tmp_path / ".tmp").exists()


def test_what_a_killed_run_was_about_to_replace_is_put_back(
    tmp_path, monkeypatch, fork, exit_codes
):
    """The record that stood there has been moved aside, the new one is not yet in its place."""

    def die(path):
        if not first.path.exists():
            os.kill(os.getpid(), signal.SIGKILL)

    first = write(make_refused(), tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", lambda path, target: (die(path), os.rename(path, target)))  # noqa: PTH104
        child = fork(lambda: write(make_stopped(), tmp_path))
        assert exit_codes([child]) == [-signal.SIGKILL]
    assert heads(tmp_path) == []
    other = make_finished(config=CONFIG | {"seed": 1})
    write(other, tmp_path)
    assert read(first.path).head.attempt == first.head.attempt
    assert not (tmp_path / ".tmp").exists()


@pytest.mark.exhaustive
@pytest.mark.parametrize("existing", [None, make_refused()], ids=["nothing", "a failed run"])
def test_a_kill_at_any_io_call_of_a_commit_loses_nothing(existing, tmp_path, fork):
    """C01, C18: what stood there or what was made stands there, whole; and the same again."""
    runs = tmp_path / "runs"
    other = make_finished(config=CONFIG | {"seed": 1})

    def prepare() -> None:
        shutil.rmtree(runs, ignore_errors=True)
        if existing is not None:
            write(existing, runs)

    prepare()
    calls = io_calls(fork, lambda: write(make_finished(), runs))
    assert len(calls) > 40
    for place in range(len(calls) + 1):
        prepare()
        before = place == 0 or (place % 2 == 0 and place < len(calls))
        kill_at(fork, lambda: write(make_finished(), runs), place + before, before=before)
        cleaned = write(other, runs)  # the next commit is of another run
        there = [head.status for head in heads(runs) if head.identity != cleaned.identity]
        assert there in ([], ["FINISHED"]) if existing is None else len(there) == 1
        record = write(make_finished(), runs)
        assert read(record.path).status == "FINISHED"
        assert {path.name for path in runs.iterdir()} == {
            LOCK, MADE, record.identity, cleaned.identity,
        }  # fmt: skip


def test_a_full_disk_leaves_nothing_behind_and_says_so(tmp_path):
    """B04: a limit on the size of files stands for the disk."""
    write(make_refused(), tmp_path)
    before = snapshot(tmp_path)
    signal_before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(DiskError) as refusal:
            write(make_finished(3000), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, signal_before)
    assert refusal.value.exit_code == 4
    assert str(refusal.value).startswith(f"record must be written to {tmp_path}")
    assert "got file too large: " in str(refusal.value)
    assert snapshot(tmp_path) == before
    assert not (tmp_path / ".tmp").exists()


def test_a_file_in_the_place_of_the_folder_of_records_is_refused(tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(DiskError):
        write(make_finished(), tmp_path / "runs")


def test_processes_that_commit_one_identity_at_once_make_one_record(tmp_path, fork, exit_codes):
    """Every one of them succeeds, and all but one find the same bits."""

    def commit():
        record = write(make_finished(), tmp_path / "runs")
        found = record.repeat.identical if record.repeat else "first"
        (tmp_path / str(os.getpid())).write_text(f"{record.head.attempt} {found}")

    assert exit_codes([fork(commit) for _ in range(8)]) == [0] * 8
    found = [path.read_text().split() for path in tmp_path.iterdir() if path.is_file()]
    assert len({attempt for attempt, _ in found}) == 1
    assert sorted(again for _, again in found) == ["True"] * 7 + ["first"]
    assert len([*(tmp_path / "runs").iterdir()]) == 3  # the record, its lock, who made it


# --- secrets --------------------------------------------------------------------------------------


def test_a_planted_secret_is_in_no_file_of_the_record(tiny_config, tmp_path, monkeypatch):
    """H04: in the environment, an override, an address, an exception, the diff and the path."""
    secret = "hunter2-Tr0ub4dor"
    tiny_config["data"] |= {"path": f"data/{secret}.csv", "name": f"cars {secret}"}
    failure = Failure("OSError", f"cannot reach http://me:{secret}@host", f"at {secret}", 1)
    planted = make_stopped(
        config=RunConfig.parse(tiny_config), prepared=make_prepared(), failure=failure
    )
    here = make_environment(git_dirty=True, git_diff=f"+key = {secret}", platform=secret)
    words = {
        "here": here,
        "overrides": [f"data.path={secret}", "tracking.uri=http://u:p@host", "seed=1"],
        "experiment": secret,
    }
    control = write(planted, tmp_path / "control", **words)
    assert secret.encode() in b"".join(snapshot(control.path).values())
    monkeypatch.setenv("DEPLOY_TOKEN", secret)
    record = write(planted, tmp_path / "runs", **words)
    assert secret.encode() not in b"".join(snapshot(record.path).values())
    assert record.head.overrides == ("data.path=***", "seed=1")
    assert read(record.path).head == record.head
