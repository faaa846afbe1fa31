"""A record is whole or damaged and says so; what is whole is never lost."""

import csv
import dataclasses
import io
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline import disk, paths
from pipeline.errors import ConfigError, PipelineError
from pipeline.record import (
    CommitError,
    RecordError,
    find,
    mark_published,
    published_runs,
    read,
    records,
    write,
)
from pipeline.record.reading import seal_of
from pipeline.run import Failure
from pipeline.stages.explain import Importance


def reseal(path: Path, **changes) -> None:
    """Write result.json anew with these changes, as a careful forger would."""
    tree = json.loads((path / "result.json").read_text()) | changes
    del tree["seal"]
    (path / "result.json").write_text(json.dumps({**tree, "seal": seal_of(tree)}))


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_record_holds_what_the_run_found_out(result, tmp_path):
    record = write(result, tmp_path, {"figures/curves.png": b"png"}, started_ms=123)
    assert record.path == tmp_path / result.lineage.identity
    assert (record.identity, record.status, record.started_ms) == (
        result.lineage.identity,
        "FINISHED",
        123,
    )
    assert set(record.files) == {
        "config.json", "config.yaml", "lineage.json", "validation.json", "validation.html",
        "model.json", "weights.json", "weights.npz", "curve.csv", "metrics.json", "effects.json",
        "effects.csv", "figures/curves.png", "certificate.json",
    }  # fmt: skip
    assert record.config == result.config.model_dump(mode="json")
    assert record.lineage["data_digest"] == "d" * 64
    assert record.content("figures/curves.png") == b"png"
    assert record.inputs == ("safety=low", "safety=high")
    assert record.metrics["test/accuracy"] == 0.75
    assert record.metrics["valid/best_cost"] == result.trained.curve["valid_cost"][-1]


def test_weights_and_curve_read_back_to_the_last_bit_in_each_form(result, tmp_path):
    record = write(result, tmp_path)
    theta, curve = result.trained.theta, result.trained.curve
    assert record.theta.tobytes() == theta.tobytes()
    assert np.array(record.json("weights.json")["values"]).tobytes() == theta.tobytes()
    assert record.json("weights.json")["names"] == ["safety=low", "safety=high", "bias"]
    rows = list(csv.DictReader(io.StringIO(record.text("curve.csv"))))
    for name, series in curve.items():
        assert record.curve[name].tobytes() == series.tobytes()
        assert np.array([float(row[name]) for row in rows]).tobytes() == series.tobytes()


def test_failed_run_leaves_what_it_reached_and_why_it_stopped(failed_results, tmp_path):
    record = write(failed_results(), tmp_path)
    assert record.status == "FAILED"
    assert record.failure == failed_results().failure
    assert record.arrays == {}
    assert set(record.files) == {
        "config.json", "config.yaml", "lineage.json", "validation.json", "validation.html",
        "failure.json",
    }  # fmt: skip


def test_difference_of_a_dirty_tree_is_kept(results, lineages, tmp_path):
    dirty = lineages(git_dirty=True, git_diff="-a\n+b\n")
    assert write(results(lineage=dirty), tmp_path).text("source.diff") == "-a\n+b\n"


def test_figures_that_are_not_held_out_never_stand_in_the_column_of_honest_ones(result, tmp_path):
    evaluation = dataclasses.replace(result.evaluation, held_out=False)
    metrics = write(dataclasses.replace(result, evaluation=evaluation), tmp_path).metrics
    assert metrics["not_held_out/accuracy"] == 0.75
    assert not [name for name in metrics if name.startswith("test/")]


def test_infinity_is_null_in_tables_and_absent_from_figures(result, tmp_path):
    evaluation = dataclasses.replace(
        result.evaluation, metrics={"accuracy": 0.5, "roc_auc": float("nan")}
    )
    record = write(dataclasses.replace(result, evaluation=evaluation), tmp_path)
    assert record.json("metrics.json")["roc"][0] == [0.0, 0.0, None]
    assert "test/roc_auc" not in record.metrics
    for name in record.files:
        if name.endswith(".json"):
            json.loads(record.content(name), parse_constant=pytest.fail)


def test_label_that_a_spreadsheet_would_run_is_quoted(result, tmp_path):
    """H06, for the one CSV file with words in it."""
    hostile = dataclasses.replace(result.effects.effects[0], label="=cmd|' /C calc'!A0")
    effects = dataclasses.replace(result.effects, effects=(hostile,))
    record = write(dataclasses.replace(result, effects=effects), tmp_path)
    row = next(csv.DictReader(io.StringIO(record.text("effects.csv"))))
    assert row["label"] == "'=cmd|' /C calc'!A0"
    assert row["log_odds"] == repr(-1 / 3)  # a negative number stays a number


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o777])
def test_files_are_0600_and_folders_0700_whatever_the_umask_is(mask, result, tmp_path):
    """H05: also where the umask would take our own access away."""
    before = os.umask(mask)
    try:
        record = write(result, tmp_path / "runs", {"figures/curves.png": b"png"})
        mark_published(record, "sqlite:///mlflow.db", "1")
    finally:
        os.umask(before)
    modes = {
        (path.is_dir(), stat.S_IMODE(path.stat().st_mode))
        for path in [tmp_path / "runs", *(tmp_path / "runs").rglob("*")]
    }
    assert modes == {(True, 0o700), (False, 0o600)}


def test_same_run_again_leaves_the_record_and_says_that_every_bit_is_the_same(result, tmp_path):
    first = write(result, tmp_path)
    before = snapshot(tmp_path)
    again = write(result, tmp_path)
    assert again.repeat is not None
    assert again.repeat.identical
    assert (first.repeat, again.attempt) == (None, first.attempt)
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("name", ["theta", "train_cost", "valid_accuracy"])
def test_a_single_bit_is_noticed_and_named(name, result, tmp_path):
    write(result, tmp_path)
    trained = result.trained
    old = trained.theta if name == "theta" else trained.curve[name]
    new = old.copy()
    new[1] = np.nextafter(new[1], 9)
    changed = (
        dataclasses.replace(trained, theta=new)
        if name == "theta"
        else dataclasses.replace(trained, curve={**trained.curve, name: new})
    )
    repeat = write(dataclasses.replace(result, trained=changed), tmp_path).repeat
    assert not repeat.identical
    assert repeat.difference == f"{name}[1] is {float(new[1])!r}, {float(old[1])!r} on record"


def test_sign_of_zero_is_a_bit(result, tmp_path):
    positive = dataclasses.replace(result.trained, theta=np.array([0.0, 0.0, 0.0]))
    negative = dataclasses.replace(result.trained, theta=np.array([0.0, -0.0, 0.0]))
    write(dataclasses.replace(result, trained=positive), tmp_path)
    repeat = write(dataclasses.replace(result, trained=negative), tmp_path).repeat
    assert repeat.difference == "theta[1] is -0.0, 0.0 on record"


def test_shorter_curve_is_a_difference(results, tmp_path):
    write(results(4), tmp_path)
    assert "shape" in write(results(3), tmp_path).repeat.difference


def test_finished_record_survives_a_run_that_was_killed(result, failed_results, tmp_path):
    first = write(result, tmp_path)
    killed = failed_results(
        status="KILLED", failure=Failure("SIGTERM", "ended", None, 143), trained=result.trained
    )
    kept = write(killed, tmp_path)
    assert (kept.status, kept.attempt, kept.repeat) == ("FINISHED", first.attempt, None)


def test_failed_record_makes_way_for_any_other(result, failed_results, tmp_path):
    first = write(failed_results(), tmp_path)
    second = write(failed_results(), tmp_path)
    assert first.attempt != second.attempt
    assert write(result, tmp_path).status == "FINISHED"
    assert [path.name for path in tmp_path.iterdir() if path.name[0] != "."] == [first.identity]


def altered(path: Path) -> None:
    content = bytearray((path / "weights.npz").read_bytes())
    content[-1] ^= 1
    (path / "weights.npz").write_bytes(content)


def flipped_figure(path: Path) -> None:
    text = (path / "result.json").read_text()
    (path / "result.json").write_text(text.replace("0.75", "0.95"))


def linked(path: Path) -> None:
    shutil.copy(path / "weights.npz", path.parent / "elsewhere.npz")
    (path / "weights.npz").unlink()
    (path / "weights.npz").symlink_to(path.parent / "elsewhere.npz")


def piped(path: Path) -> None:
    (path / "weights.npz").unlink()
    os.mkfifo(path / "weights.npz")


DAMAGES = {
    "weights missing": lambda path: (path / "weights.npz").unlink(),
    "weights altered": altered,
    "weights shortened": lambda path: os.truncate(path / "weights.npz", 100),
    "model altered": lambda path: (path / "model.json").write_text("{}"),
    "weights elsewhere": linked,
    "weights a pipe": piped,
    "figure altered": flipped_figure,
    "result missing": lambda path: (path / "result.json").unlink(),
    "result cut": lambda path: os.truncate(path / "result.json", 1000),
    "result empty": lambda path: os.truncate(path / "result.json", 0),
    "result another's": lambda path: reseal(path, identity="f" * 32),
    "result nested too deep": lambda path: (path / "result.json").write_text("[" * 10**5),
    "result no object": lambda path: (path / "result.json").write_text("[1]"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_record_is_refused_and_replaced_by_the_next_run(damage, result, tmp_path):
    """C17, H02: each file by its sha256, and none through a link or a pipe."""
    first = write(result, tmp_path)
    read(first.path)  # the control: it was whole
    damage(first.path)
    with pytest.raises(RecordError) as refusal:
        read(first.path)
    assert len(str(refusal.value)) < 500 + len(str(tmp_path))
    second = write(result, tmp_path)
    assert (second.repeat, second.attempt != first.attempt) == (None, True)
    read(second.path)


def test_file_that_is_altered_after_reading_is_refused_when_it_is_used(result, tmp_path):
    """H02: what is used is what was verified."""
    record = read(write(result, tmp_path).path)
    (record.path / "model.json").write_text(record.text("model.json").replace("low", "LOW"))
    with pytest.raises(RecordError, match=r"model\.json must have sha256"):
        record.content("model.json")


BAD_NAMES = ["/etc/passwd", "../x", "a/../../x", "..", ".", "", "a//b", "a/", "./a", "a\\b", "a\0b",
             "C:x", "a\nb"]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_name_that_leads_out_of_the_record_is_refused_by_writer_and_reader(name, result, tmp_path):
    """H07: also where result.json itself was forged to name it."""
    with pytest.raises(RecordError, match="must be plain"):
        write(result, tmp_path, {name: b""})
    assert not list(tmp_path.glob("*"))
    record = write(result, tmp_path)
    reseal(record.path, files={name: {"sha256": "0" * 64, "bytes": 0}})
    with pytest.raises(RecordError, match="must be plain"):
        read(record.path)


def test_folder_that_leads_out_of_the_record_is_refused(result, tmp_path):
    """H07: a link on the way is a link."""
    record = write(result, tmp_path, {"figures/curves.png": b"png"})
    (record.path / "figures").rename(tmp_path / "outside")
    (record.path / "figures").symlink_to(tmp_path / "outside")
    with pytest.raises(RecordError, match="got a link"):
        read(record.path)


@pytest.mark.parametrize("name", ["result.json", "published.json", ".hidden"])
def test_own_names_of_the_record_are_refused(name, result, tmp_path):
    with pytest.raises(RecordError, match="own"):
        write(result, tmp_path, {name: b""})


@pytest.mark.parametrize("identity", ["../escape", "", "a/b", "UPPER123", "." * 32])
def test_identity_that_is_no_plain_folder_is_refused(identity, results, tmp_path):
    """H07."""
    with pytest.raises(RecordError, match="hex digits"):
        write(results(identity=identity), tmp_path / "runs")
    assert not list(tmp_path.iterdir())


def test_litter_of_the_dead_is_removed_and_the_folder_of_the_living_stays(result, tmp_path):
    """C18: alive is who holds the lock; the id of a process may be another's by now."""
    dead = tmp_path / f".tmp.{'a' * 32}.{os.getpid()}.00000000"
    alive = tmp_path / f".tmp.{'b' * 32}.1.00000000"
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "weights.npz").write_bytes(b"x")
    with disk.locked(alive):
        write(result, tmp_path)
        assert not dead.exists()
        assert (alive / "weights.npz").exists()
    write(dataclasses.replace(result, status="FAILED"), tmp_path)


def test_kill_while_writing_leaves_no_record_and_the_next_run_cleans_up(
    result, tmp_path, monkeypatch, fork, exit_codes
):
    """C18: SIGKILL in the middle of the files."""

    def die(path, content):
        if path.name == "weights.npz":
            os.kill(os.getpid(), signal.SIGKILL)
        write_new(path, content)

    write_new = disk.write_new
    with monkeypatch.context() as patch:
        patch.setattr(disk, "write_new", die)
        assert exit_codes([fork(lambda: write(result, tmp_path))]) == [-signal.SIGKILL]
    assert len(list(tmp_path.glob(".tmp.*"))) == 1
    assert list(records(tmp_path)) == []
    assert write(result, tmp_path).repeat is None
    assert not list(tmp_path.glob(".tmp.*"))


def test_full_disk_leaves_nothing_behind_and_says_so(results, tmp_path):
    """B04: a limit on the size of files stands for the disk."""
    big = results(3000)
    write(results(identity="f" * 32), tmp_path)
    before = snapshot(tmp_path)
    signal_before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(CommitError, match="record must be written to") as refusal:
            write(big, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, signal_before)
    assert refusal.value.exit_code == 4
    assert "file too large" in str(refusal.value)
    assert snapshot(tmp_path) == before
    assert not list(tmp_path.glob(".tmp.*"))


def test_file_in_the_place_of_the_folder_of_records_is_refused(result, tmp_path):
    (tmp_path / "runs").write_text("")
    with pytest.raises(PipelineError, match="must be written"):
        write(result, tmp_path / "runs")


@pytest.mark.slow
def test_processes_that_commit_one_identity_at_once_make_one_record(
    result, tmp_path, fork, exit_codes
):
    """Every one of them succeeds, and all but one find the same bits."""

    def commit():
        record = write(result, tmp_path / "runs")
        told = f"{record.attempt} {record.repeat.identical if record.repeat else 'first'}"
        (tmp_path / str(os.getpid())).write_text(told)

    assert exit_codes([fork(commit) for _ in range(8)]) == [0] * 8
    told = [path.read_text().split() for path in tmp_path.iterdir() if path.is_file()]
    assert len({attempt for attempt, _ in told}) == 1
    assert sorted(again for _, again in told) == ["True"] * 7 + ["first"]
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {
        ".lock",
        ".made",
        result.lineage.identity,
    }


def test_planted_secret_is_in_no_file_of_the_record(
    results, lineages, tiny_config, tmp_path, monkeypatch
):
    """H04: in the environment, an override, an address, an exception, the diff and the path."""
    secret = "hunter2-Tr0ub4dor"
    tiny_config["data"]["path"] = f"data/{secret}.csv"
    tiny_config["data"]["name"] = f"cars {secret}"
    failure = Failure("OSError", f"cannot reach http://me:{secret}@host", f"at {secret}", 1)
    planted = results(
        config=tiny_config,
        status="FAILED",
        failure=failure,
        lineage=lineages(git_dirty=True, git_diff=f"+key = {secret}", platform=secret),
    )
    overrides = [f"data.path={secret}", "tracking.uri=http://u:p@host", "seed=1"]
    control = write(planted, tmp_path / "control", overrides=overrides)
    assert secret.encode() in b"".join(snapshot(control.path).values())
    monkeypatch.setenv("DEPLOY_TOKEN", secret)
    record = write(planted, tmp_path / "runs", overrides=overrides, experiment=secret)
    assert secret.encode() not in b"".join(snapshot(record.path).values())
    assert record.tree["overrides"] == ["data.path=***", "seed=1"]


def test_record_is_found_by_the_start_of_its_identity_by_latest_and_by_its_run(
    results, failed_results, tmp_path
):
    a = write(results(identity="aaaa1111" * 4), tmp_path, started_ms=2000)
    b = write(results(identity="aaaa2222" * 4), tmp_path, started_ms=1000)
    c = write(failed_results(identity="cccc3333" * 4), tmp_path, started_ms=3000)
    mark_published(b, "sqlite:///mlflow.db", "fedcba98" * 4)
    assert find("latest", tmp_path).identity == a.identity  # c did not finish
    assert find("aaaa2", tmp_path).identity == b.identity
    assert find("cccc", tmp_path).identity == c.identity
    assert find("fedcba98" * 4, tmp_path).identity == b.identity
    assert [record.identity for record in records(tmp_path)] == [
        b.identity,
        a.identity,
        c.identity,
    ]


@pytest.mark.parametrize("run", ["aaaa", "dddd", "", "aa", "*", "../x", "latest "])
def test_word_that_means_no_record_or_several_is_refused_with_candidates(run, results, tmp_path):
    write(results(identity="aaaa1111" * 4), tmp_path)
    write(results(identity="aaaa2222" * 4), tmp_path)
    with pytest.raises(ConfigError, match=r"aaaa2222aaaa \(FINISHED\)") as refusal:
        find(run, tmp_path)
    assert refusal.value.exit_code == 2


def test_latest_of_nothing_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="needs a FINISHED run; got none: make run"):
        find("latest", tmp_path / "runs")


def test_damaged_record_that_is_asked_for_is_told_as_damaged(result, tmp_path):
    record = write(result, tmp_path)
    (record.path / "result.json").write_text("{}")
    with pytest.raises(RecordError, match=r"result\.json must be whole"):
        find(record.identity[:6], tmp_path)


def test_publication_is_remembered_by_store_and_does_not_damage_the_record(result, tmp_path):
    record = write(result, tmp_path)
    mark_published(record, "sqlite:///mlflow.db", "1")
    mark_published(record, "http://host", "2")
    assert published_runs(read(record.path)) == {"sqlite:///mlflow.db": "1", "http://host": "2"}
    (record.path / "published.json").write_text("[")
    assert published_runs(read(record.path)) == {}


def test_ranking_is_a_figure_of_the_run(result, tmp_path):
    effects = dataclasses.replace(result.effects, ranking=(Importance("a:b=c", 0.25),))
    record = write(dataclasses.replace(result, effects=effects), tmp_path)
    assert record.metrics["cost_rise/a:b=c"] == 0.25


def test_reading_a_record_does_not_import_mlflow():
    """The record stands below MLflow."""
    code = "import pipeline.record, sys; sys.exit('mlflow' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], cwd=paths.PROJECT, check=False).returncode == 0
    )
