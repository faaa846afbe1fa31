"""A run is made again from its record alone; what is not the same is named with its cause."""

import ast
import hashlib
import json
import platform
import re
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import (
    copy_project,
    edit,
    git,
    make_environment,
    make_finished,
    make_refused,
    make_stopped,
    reseal,
    start,
)

from pipeline import files
from pipeline.config.compose import configuration
from pipeline.config.schema import RunConfig
from pipeline.errors import ConfigError
from pipeline.record import Record, read, write
from pipeline.record.difference import difference
from pipeline.record.identity import Environment, environment
from pipeline.record.reproduce import SCRIPT, Reproduction, causes, format_reproduction, reproduce
from pipeline.record.retrain import answer
from pipeline.record.transfer import export_record, import_record
from pipeline.run import learn, prepare
from pipeline.stages.outcome import Outcome
from pipeline.stages.read import car
from pipeline.stages.read.datasets import breast_cancer
from pipeline.stages.train import Start

pytestmark = pytest.mark.exhaustive

QUICK = "train.epochs=12"

# Runs of every kind: each optimiser, encoding, split, table, way of ending.
KINDS = [
    [],
    ["seed=4294967295", "train.blas_threads=2"],
    ["optimiser=adam", "train.batch_size=100", "train.l2=0.01", "seed=7"],
    ["optimiser=newton"],
    ["data=breast_cancer", "train.patience=3", "train.epochs=40", "seed=2"],
]
MORE_KINDS = [
    ["experiment=article"],
    ["train.patience=2", "optimiser.learning_rate=30", "train.epochs=60"],
    ["optimiser=gradient_descent", "train.batch_size=64"],
    ["split=none", "encode=crosses"],
    ["seed=1"],
    ["split.seed=3"],
    ["split.valid=0"],
    ["split.test=0.5", "split.valid=0.1"],
    ["split=none"],
    ["experiment=crosses"],
    ["encode=crosses"],
    ["encode=crosses", "optimiser=adam", "train.l2=0"],
    ["encode.crosses=[[doors,persons]]"],
    ["optimiser=gradient_descent"],
    ["optimiser=gradient_descent", "optimiser.learning_rate=3", "train.l2=0.1"],
    ["optimiser=momentum", "optimiser.nesterov=true"],
    ["optimiser=momentum", "optimiser.decay=0"],
    ["optimiser=momentum", "train.batch_size=1", "train.epochs=2"],
    ["optimiser=adam"],
    ["optimiser=adam", "optimiser.learning_rate=0.1", "optimiser.beta1=0"],
    ["train.l2=0"],
    ["train.l2=10"],
    ["train.batch_size=5000"],
    ["data=breast_cancer"],
    ["data=breast_cancer", "optimiser=adam", "train.batch_size=32"],
]


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tables")
    (folder / "car.data").write_bytes(car.content())
    (folder / "breast_cancer.csv").write_bytes(breast_cancer())
    return {"car": folder / "car.data", "breast_cancer": folder / "breast_cancer.csv"}


@pytest.fixture(scope="module")
def here() -> Environment:
    return environment()


def settings(tables: dict[str, Path], *words: str) -> RunConfig:
    config = configuration([QUICK, *words]).run_config()
    data = config.data.model_copy(update={"path": str(tables[config.data.name])})
    return config.model_copy(update={"data": data})


@pytest.fixture(scope="module")
def outcome(tables) -> Outcome:
    config = settings(tables)
    return learn(prepare(config), config)


@pytest.fixture(scope="module")
def record(outcome, here, tmp_path_factory) -> Record:
    return write(outcome, tmp_path_factory.mktemp("runs"), here=here)


@pytest.fixture
def changed(outcome, here, tmp_path) -> Callable[..., Record]:
    """The record of the run with other weights, other data or another environment on it."""

    def make(shift: float = 0.0, data_digest: str | None = None, **environment: Any) -> Record:
        theta = outcome.trained.theta.copy()
        theta[4] += shift
        digest = data_digest or outcome.prepared.data_digest
        other = replace(
            outcome,
            prepared=replace(outcome.prepared, data_digest=digest),
            trained=replace(outcome.trained, theta=theta),
        )
        folder = tmp_path / secrets.token_hex(4)
        return write(other, folder, here=here.model_copy(update=environment))

    return make


def again(record: Record, changes: dict[str, Any] | None = None) -> Reproduction:
    """The run made again by the function that a clean process calls, in this one."""
    return reproduce(record, changes, from_source=False, retrain=lambda _, tree: answer(tree))


def test_a_run_that_began_at_the_optimum_of_another_is_made_again_from_there(tables, tmp_path):
    """To the last bit of its curve; from zeros its curve is another one (the control)."""
    words = ("optimiser=newton", "evaluate.bootstrap=null", "train.epochs=100")
    strong, weak = (settings(tables, *words, f"train.l2={l2}") for l2 in (0.02, 0.01))
    prepared = prepare(strong)
    start = Start("c" * 32, 0.02, learn(prepared, strong).trained.theta)
    record = write(learn(prepared, weak, start=start), tmp_path)
    assert again(record).is_same
    files = {name: content for name, content in record.files.items() if name != "start.json"}
    cold = again(replace(record, files=files)).found
    assert (cold.close, cold.epoch) == (False, 0)
    assert write(learn(prepared, weak), tmp_path).repeat.start.startswith("the same bits")


def first_epoch(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> int | None:
    """The oracle: the first epoch at which a point of the curve is another, by plain loops."""
    for epoch in range(len(one["epoch"])):
        for name in one:
            a, b = float(one[name][epoch]), float(other[name][epoch])
            if abs(a - b) > 1e-12 * max(1.0, abs(a)):
                return epoch
    return None


def check_in_a_clean_process(kinds: list[list[str]], tables: dict[str, Path]) -> None:
    """Make every run here and in one other process, and compare theta and curve to the bit."""
    script = (
        "import sys, json; sys.path[0] = sys.argv[1]\n"
        "from pipeline.record.retrain import answer\n"
        "for line in sys.stdin:\n"
        "    print(json.dumps(answer(json.loads(line))['arrays']))\n"
    )
    configs = [settings(tables, *words) for words in kinds]
    question = "".join(json.dumps(config.model_dump(mode="json")) + "\n" for config in configs)
    done = subprocess.run(
        [sys.executable, "-c", script, str(files.PROJECT)],
        input=question, text=True, check=True, capture_output=True,
    )  # fmt: skip
    for words, config, line in zip(kinds, configs, done.stdout.splitlines(), strict=True):
        trained = learn(prepare(config), config).trained
        arrays = {"theta": trained.theta, **trained.curve}
        there = {name: np.array(values) for name, values in json.loads(line).items()}
        assert [*there] == [*arrays]
        assert difference(arrays, there, trained.best_epoch).identical, words
        assert all(arrays[name].tobytes() == there[name].tobytes() for name in arrays), words


@pytest.mark.exhaustive
def test_runs_of_every_kind_are_bit_identical_in_a_clean_process(tables):
    """D15."""
    check_in_a_clean_process(KINDS, tables)


@pytest.mark.exhaustive
def test_many_more_runs_are_bit_identical_in_a_clean_process(tables):
    """D15."""
    check_in_a_clean_process(MORE_KINDS, tables)


def test_the_same_bits_are_the_same_though_all_else_has_changed(changed, here):
    """What is on record is another version, another platform: said, and no fault."""
    versions = here.versions | {"numpy": "1.26.4"}
    found = again(changed(versions=versions, platform="darwin-arm64"))
    assert (found.is_same, found.exit_code) == (True, 0)
    assert found.causes == (
        f"library: numpy {here.versions['numpy']}, it was 1.26.4",
        f"platform: {here.platform}, it was darwin-arm64",
    )


def test_other_bits_are_laid_to_everything_that_is_not_as_it_was(changed, here):
    """Planted: the weights on record are others, by 1e-6, and so is every circumstance."""
    record = changed(
        1e-6, "e" * 64, versions=here.versions | {"python": "3.9.1"}, arithmetic="glibc 2.1, MMX",
        code_files={"nn/gone.py": "f" * 64},
    )  # fmt: skip
    found = again(record, {"train.blas_threads": 2})
    assert (found.exit_code, found.found.epoch) == (3, 12)
    assert found.found.where.startswith("theta[4] is ")
    kinds = [cause.partition(":")[0] for cause in found.causes]
    assert kinds == ["data", "code", "library", "threads", "platform"]


def test_each_answer_has_its_lines(tmp_path):
    """Golden: same, close, different with a cause and without, and not to be had."""
    record = write(make_finished(), tmp_path, here=make_environment())
    arrays = record.arrays
    close = {**arrays, "theta": np.nextafter(arrays["theta"], 9)}
    other = {**arrays, "theta": arrays["theta"] + [0, 0, 1]}

    def lines(found: dict[str, np.ndarray] | None, *causes: str) -> list[str]:
        apart = difference(arrays, found, 4) if found is not None else None
        return format_reproduction(record, Reproduction(apart, causes, 2.0))

    compared = "3 parameters and 5 points of 5 series"
    assert lines(arrays, "a: b", "c: d") == [
        f"Same      bit-identical: {compared}, in 2.0 s",
        "though    a: b",
        "          c: d",
    ]
    assert lines(close, "a: b") == [
        f"Same      equal to 1e-12: {compared}; 3 values differ in their last bits, by 6e-17 at "
        "the most",
        "because   a: b",
    ]
    assert lines(other) == [
        "Differs   first at epoch 4: theta[2] is 1.3, it was 0.30000000000000004",
        "          largest difference 1",
        "because   unknown: all on record is as it was; an internal error, or one of the machine",
    ]
    assert lines(None, "data: gone") == [
        "Unknown   it could not be trained again",
        "because   data: gone",
    ]


@pytest.mark.parametrize(
    ("was", "cause"),
    [
        ({}, None),
        ({"versions": {"python": "3.9.1"}}, "library: python 3.11.9, it was 3.9.1"),
        ({"versions": {"xgboost": "1.0"}}, "library: xgboost gone, it was 1.0"),
        ({"platform": "a-b"}, "platform: linux-x86_64, it was a-b"),
        ({"arithmetic": ""}, "platform: glibc 2.36, AVX2, it was none"),
        ({"blas_threads": 4}, "threads: 1, it was 4"),
        ({"data_digest": "e" * 64}, "data: digest dddddddddddd, it was eeeeeeeeeeee"),
        ({"code_files": {"nn/loss.py": "f" * 64}}, "code: nn/loss.py"),
        ({"code_files": {"nn/gone.py": "f" * 64}}, "code: nn/gone.py, nn/loss.py"),
        (
            {"code_files": {f"{i}.py": "" for i in range(20)}},
            "code: 0.py, 1.py, 10.py, 11.py, 12.py, 13.py, 14.py, 15.py and 13 more",
        ),
    ],
)
def test_each_cause_has_its_name_and_no_other_is_named(was, cause):
    now = make_environment().model_dump() | {"data_digest": "d" * 64, "blas_threads": 1}
    assert [*causes(now | was, now)] == ([cause] if cause else [])


def test_a_changed_cell_is_named_as_data_and_its_first_epoch_is_the_true_one(
    record, tables, tmp_path
):
    """The file is pinned by its sha256: reproduction looks at the cells instead."""
    other = tmp_path / "other.data"
    other.write_bytes(car.content().replace(b"low,unacc", b"low,acc", 1))
    found = again(record, {"data.path": str(other)})
    config = settings(tables | {"car": other}, "data.sha256=null")
    trained = learn(prepare(config), config).trained
    assert found.exit_code == 3
    assert found.found.epoch == first_epoch(record.curve, trained.curve)
    (cause,) = found.causes
    assert cause.startswith("data: digest ")
    assert cause.endswith(f"it was {record.head.lineage.data_digest[:12]}")


def test_other_bytes_of_the_same_cells_change_nothing(record, tmp_path):
    """Lines in another order, with another end: the file's sha256 is another, its cells are not."""
    other = tmp_path / "other.data"
    other.write_bytes(b"\r\n".join(reversed(car.content().splitlines())))
    found = again(record, {"data.path": str(other)})
    assert (found.is_same, found.causes) == (True, ())


def test_a_missing_file_is_named_with_its_digest_and_the_cure(record, tmp_path):
    found = again(record, {"data.path": f"{tmp_path}/gone.csv"})
    assert (found.found, found.exit_code) == (None, 3)
    assert found.causes[0].startswith("data: ")
    assert record.head.lineage.data_digest[:12] in found.causes[1]
    assert found.causes[1].endswith('ARGS="data.path=…"')


def test_refused_data_are_a_cause_too(record, tmp_path):
    other = tmp_path / "other.data"
    other.write_bytes(car.content().replace(b"5more", b"6more", 1))
    found = again(record, {"data.path": str(other)})
    assert (found.found, found.exit_code) == (None, 3)
    assert found.causes[0].startswith("data: column doors ")


def test_another_number_of_threads_is_named_and_here_it_changes_nothing(record):
    found = again(record, {"train.blas_threads": 2})
    assert (found.exit_code, found.causes) == (0, ("threads: 2, it was 1",))


def test_a_run_that_diverged_diverges_again_at_the_same_epoch(tables, here, tmp_path):
    words = ["optimiser=gradient_descent", "optimiser.learning_rate=1e308"]
    config = settings(tables, *words)
    record = write(learn(prepare(config), config), tmp_path, here=here)
    assert record.status == "FAILED"
    assert again(record).is_same


@pytest.mark.parametrize("outcome", [make_stopped(), make_refused()])
def test_a_run_that_did_not_end_by_itself_cannot_be_made_again(outcome, tmp_path):
    record = write(outcome, tmp_path, here=make_environment())
    with pytest.raises(ConfigError, match="trained to its end"):
        reproduce(record, from_source=False, retrain=pytest.fail)


# --- with the code of a copy of the project -------------------------------------------------------


@pytest.fixture
def copied(project, outcome, here) -> Path:
    """The code, the table, and the record of a run of it."""
    copy_project(project)
    write(outcome, files.RUNS, here=here)
    return project


@pytest.mark.exhaustive
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the kernel is one of x86-64")
@pytest.mark.exhaustive
def test_the_kernel_that_openblas_is_told_to_use_is_kept_and_is_a_part_of_the_machine(
    copied, monkeypatch
):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Nehalem")
    (cause,) = reproduce(only(), from_source=False).causes
    assert re.match("platform: openblas [^ ]+ Nehalem, it was ", cause)


def bend(folder: Path, factor: str) -> None:
    """Have training hand out losses that are multiplied."""
    with (folder / "nn" / "fit.py").open("a") as file:
        file.write(
            "\n\n_honest = fit\n\n\n"
            "def fit(*args, **words):\n"
            "    for epoch in _honest(*args, **words):\n"
            f"        yield epoch._replace(train_loss=epoch.train_loss * ({factor}))\n"
        )


def only() -> Record:
    (path,) = (path for path in files.RUNS.iterdir() if path.is_dir())
    return read(path)


@pytest.mark.exhaustive
def test_a_changed_line_is_named_and_differs_first_where_it_acts(copied):
    """Planted from epoch 8 on, of 12."""
    bend(copied, "1 + 1e-6 * (epoch.number >= 8)")
    found = reproduce(only(), from_source=False)
    assert (found.exit_code, found.found.epoch, found.found.bits) == (3, 8, 5)
    assert found.found.where.startswith("train_loss[8] is ")
    assert found.causes == ("code: nn/fit.py",)


@pytest.mark.exhaustive
def test_code_that_does_not_know_a_setting_any_more_is_a_cause(copied):
    settings = copied / "pipeline" / "config" / "evaluate_settings.py"
    edit(settings, "    calibration_bins: ", "    bins: ")
    found = reproduce(only(), from_source=False)
    assert found.exit_code == 3
    (cause,) = found.causes
    assert cause.startswith("code: evaluate.calibration_bins ")


# --- from the source on record --------------------------------------------------------------------


@pytest.fixture(scope="module")
def past(outcome, tmp_path_factory) -> Path:
    """A run of an older commit with changes that were not committed, and newer code on top."""
    copied = copy_project(tmp_path_factory.mktemp("past") / "project")
    (copied / ".gitignore").write_text("data/\nruns/\nmlflow.db*\nmlartifacts/\n__pycache__/\n")
    git(copied, "init", "-q")
    git(copied, "add", "-A")
    git(copied, "commit", "-qm", "first")
    bend(copied, "SCALE")
    edit(
        copied / "nn" / "fit.py",
        "import numpy as np\n",
        "import numpy as np\nfrom nn.extra import SCALE\n",
    )
    (copied / "nn" / "extra.py").write_text("SCALE = 1 - 1e-9\n")
    curve = outcome.trained.curve
    curve = curve | {"train_loss": curve["train_loss"] * (1 - 1e-9)}
    bent = replace(outcome, trained=replace(outcome.trained, curve=curve))
    write(bent, copied / "runs", here=environment(copied))
    (copied / "nn" / "extra.py").write_text("SCALE = 1 - 1e-7\n")
    git(copied, "add", "-A")
    git(copied, "commit", "-qm", "second")
    return copied


@pytest.fixture
def history(past, project) -> Path:
    shutil.copytree(past, project, dirs_exist_ok=True)
    return project


def state(folder: Path) -> tuple[str, ...]:
    """What of git must stay as it is: commit, index, changes, worktrees, branches."""
    words = [["rev-parse", "HEAD"], ["ls-files", "-s"], ["diff"], ["worktree", "list"],
             ["branch", "-a"], ["status", "--porcelain"]]  # fmt: skip
    return tuple(git(folder, *each) for each in words)


def replaced(name: str, old: bytes, new: bytes) -> Record:
    """The record with other content of a file, listed and sealed as it is."""
    path = only().path
    content = (path / name).read_bytes()
    assert old in content
    content = content.replace(old, new)
    (path / name).write_bytes(content)
    entries = json.loads((path / "result.json").read_bytes())["files"]
    digest = hashlib.sha256(content).hexdigest()
    reseal(path, files=entries | {name: {"sha256": digest, "bytes": len(content)}})
    return read(path)


@pytest.mark.exhaustive
def test_the_recorded_source_gives_the_recorded_bits_and_nothing_else_is_touched(history):
    hook = history / ".git" / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\ntouch $(dirname $0)/ran\nexit 1\n")
    hook.chmod(0o755)
    before = state(history)
    found = reproduce(only(), from_source=True)
    assert (found.is_same, found.causes) == (True, ())
    assert state(history) == before
    assert not (history / ".git" / "hooks" / "ran").exists()


@pytest.mark.exhaustive
def test_code_on_record_that_crashes_is_a_cause_and_its_worktree_goes(history):
    record = replaced("source.diff", b"+SCALE = 1 - 1e-9", b"+SCALE = 1 / 0 - 9")
    before = state(history)
    found = reproduce(record, from_source=True, trust=True)
    assert (found.found, found.exit_code) == (None, 3)
    assert found.causes == ("code: it ended with 1: ZeroDivisionError: division by zero",)
    assert state(history) == before


@pytest.mark.parametrize("damage", ["diff", "commit"])
def test_a_source_that_is_not_to_be_had_is_refused_and_its_worktree_goes(damage, history):
    if damage == "diff":
        record = replaced("source.diff", b"import numpy as np", b"import nonsense")
    else:
        path = only().path
        lineage = only().head.lineage.model_dump() | {"git_commit": "a" * 40}
        reseal(path, lineage=lineage)
        record = read(path)
    before = state(history)
    with pytest.raises(ConfigError, match=r"^FROM=source needs") as refusal:
        reproduce(record, from_source=True, trust=True, retrain=pytest.fail)
    assert refusal.value.exit_code == 2
    assert state(history) == before


@pytest.mark.exhaustive
def test_a_signal_removes_the_worktree(history):
    """SIGTERM while the code on record is running."""
    begun = history.parent / "begun"
    wait = f"+import os, time; os.mkfifo({str(begun)!r}); open({str(begun)!r}, 'w'); time.sleep(99)"
    replaced("source.diff", b"+SCALE = 1 - 1e-9", f"{wait}; SCALE = 1".encode())
    before = state(history)
    process = start(history, "reproduce", "--from", "source", "--trust", "yes")
    try:
        while not begun.exists():
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        begun.read_bytes()  # the code has begun
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + signal.SIGTERM
    assert state(history) == before


def test_without_git_there_is_no_source_to_go_back_to(changed):
    record = changed(git_commit=None, git_dirty=None)
    with pytest.raises(ConfigError, match="commit on record"):
        reproduce(record, from_source=True, retrain=pytest.fail)


def imported(tmp_path: Path) -> Record:
    """The record of the history as somebody else hands it on; its commit is known here."""
    export_record(only(), tmp_path / "run.zip")
    shutil.rmtree(files.RUNS)
    return import_record(tmp_path / "run.zip")[0]


def run_with(record: Record, **words: bool) -> list[str]:
    """What the code that is run has in its file."""
    seen = []

    def retrain(code: Path, tree: dict[str, Any]) -> dict[str, Any]:
        seen.append((code / "nn" / "extra.py").read_text())
        return {"refused": "code", "message": "none"}

    reproduce(record, retrain=retrain, **words)
    return seen


def test_code_that_was_not_made_here_runs_only_when_it_is_trusted(history, tmp_path):
    """J02."""
    record = imported(tmp_path)
    before = state(history)
    with pytest.raises(ConfigError, match="TRUST=yes"):
        run_with(record, from_source=True)
    assert state(history) == before
    assert run_with(record, from_source=True, trust=True) == ["SCALE = 1 - 1e-9\n"]
    assert run_with(record, from_source=False) == ["SCALE = 1 - 1e-7\n"]  # that of this project
    assert state(history) == before


@pytest.mark.parametrize("name", ["source.diff", "curve.csv"])
def test_a_record_that_was_changed_since_it_was_made_here_is_not_trusted(name, history):
    record = replaced(name, b"1", b"2")
    with pytest.raises(ConfigError, match="TRUST=yes"):
        run_with(record, from_source=True)


def test_what_trains_again_is_a_script_that_any_commit_can_answer():
    """It asks of the code nothing but these, which the commits of its records have as well."""
    names = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(SCRIPT.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pipeline")
        for alias in node.names
    }
    assert names == {
        "pipeline.config.schema.RunConfig",
        "pipeline.errors.PipelineError",
        "pipeline.record.identity.environment",
        "pipeline.record.identity.trace",
        "pipeline.run.learn",
        "pipeline.run.prepare",
        "pipeline.stages.train.Start",  # of records that have one
    }
