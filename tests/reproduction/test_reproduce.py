"""A run is made again from its record alone; what is not the same is told with its cause."""

import ast
import dataclasses
import hashlib
import json
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from projects import copy_project, edit, git, launch, make_record, reseal, start

from pipeline import car, paths
from pipeline.compose import configuration
from pipeline.errors import ConfigError
from pipeline.record import Record, RecordError, find, read, write
from pipeline.reproduction.difference import difference
from pipeline.reproduction.reproduce import SCRIPT, Reproduction, causes, reproduce, told
from pipeline.reproduction.retrain import answer
from pipeline.reuse import Reuse
from pipeline.run import run
from pipeline.shipped import breast_cancer
from pipeline.tracking import publish

QUICK = "train.epochs=12"

# Thirty runs of every kind: each optimiser, encoding, split, table, way of ending.
KINDS = [
    [],
    ["seed=1"],
    ["seed=4294967295"],
    ["split.seed=3"],
    ["split.valid=0"],
    ["split.test=0.5", "split.valid=0.1"],
    ["split=none"],
    ["split=none", "encode=crosses"],
    ["experiment=article"],
    ["experiment=crosses"],
    ["encode=crosses"],
    ["encode=crosses", "optimiser=adam", "train.l2=0"],
    ["encode.crosses=[[doors,persons]]"],
    ["optimiser=gradient_descent"],
    ["optimiser=gradient_descent", "optimiser.learning_rate=3", "train.l2=0.1"],
    ["optimiser=gradient_descent", "train.batch_size=64"],
    ["optimiser=momentum", "optimiser.nesterov=true"],
    ["optimiser=momentum", "optimiser.decay=0"],
    ["optimiser=momentum", "train.batch_size=1", "train.epochs=2"],
    ["optimiser=adam"],
    ["optimiser=adam", "optimiser.learning_rate=0.1", "optimiser.beta1=0"],
    ["optimiser=adam", "train.batch_size=100", "train.l2=0.01", "seed=7"],
    ["train.l2=0"],
    ["train.l2=10"],
    ["train.batch_size=5000"],
    ["train.patience=2", "optimiser.learning_rate=30", "train.epochs=60"],
    ["train.blas_threads=2"],
    ["data=breast_cancer"],
    ["data=breast_cancer", "optimiser=adam", "train.batch_size=32"],
    ["data=breast_cancer", "train.patience=3", "train.epochs=40", "seed=2"],
]


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tables")
    (folder / "car.data").write_bytes(car.content())
    (folder / "breast_cancer.csv").write_bytes(breast_cancer())
    return {"car": folder / "car.data", "breast_cancer": folder / "breast_cancer.csv"}


@pytest.fixture(scope="module")
def reuse() -> Reuse:
    """Stages before training are not made again for each test."""
    return Reuse()


@pytest.fixture
def make(tables, tmp_path, reuse) -> Callable[..., Record]:
    """Makes the record of a run of this process; ``lineage`` is what stands on record instead."""

    def make(*words: str, shift: float = 0.0, data: Path | None = None, **lineage: object):
        config = configuration([QUICK, *words]).run_config()
        path = str(data or tables[config.data.name])
        settings = config.data.model_copy(update={"path": path})
        result = run(config.model_copy(update={"data": settings}), call=reuse)
        theta = result.trained.theta.copy()
        theta[4] += shift
        result.trained = dataclasses.replace(result.trained, theta=theta)
        result.lineage = dataclasses.replace(result.lineage, **lineage)
        return write(result, tmp_path / "records" / secrets.token_hex(4))

    return make


def again(record: Record, *words: str) -> Reproduction:
    """The run made again by the function that a clean process calls, in this one."""
    return reproduce(
        record, words, from_source=False, retrain=lambda _, tree, target: answer(tree, str(target))
    )


def first_epoch(one: Record, other: Record) -> int | None:
    """The oracle: the first epoch at which a point of the curve is another, by plain loops."""
    for epoch in range(len(one.curve["epoch"])):
        for name in one.curve:
            a, b = float(one.curve[name][epoch]), float(other.curve[name][epoch])
            if abs(a - b) > 1e-12 * max(1.0, abs(a)):
                return epoch
    return None


def test_thirty_runs_of_every_kind_are_bit_identical_in_a_clean_process(make, tmp_path):
    script = (
        "import sys, json; sys.path[0] = sys.argv[1]\n"
        "from pipeline.reproduction.retrain import answer\n"
        "for line in sys.stdin:\n"
        "    assert 'refused' not in answer(*json.loads(line))\n"
    )
    records = [make(*words) for words in KINDS]
    assert len({record.identity for record in records}) == 30
    targets = [tmp_path / f"{number}.npz" for number in range(30)]
    asked = zip(records, targets, strict=True)
    subprocess.run(
        [sys.executable, "-c", script, str(paths.PROJECT)],
        input="".join(json.dumps([record.config, str(path)]) + "\n" for record, path in asked),
        text=True, check=True, capture_output=True,
    )  # fmt: skip
    for words, record, target in zip(KINDS, records, targets, strict=True):
        with np.load(target, allow_pickle=False) as again:
            assert again.files == list(record.arrays)
            for name, array in record.arrays.items():
                assert array.tobytes() == again[name].tobytes(), (words, name)
            assert difference(record.arrays, dict(again), record.best_epoch).identical


def test_the_same_bits_are_the_same_though_all_else_has_changed(make):
    """What is on record is another version, another platform: said, and no fault."""
    honest = make()
    versions = honest.lineage["versions"] | {"numpy": "1.26.4", "pandas": "2.2.0"}
    other = make(versions=versions, platform="darwin-arm64", blas="openblas 0.3.21 NEON")
    found = reproduce(other, from_source=False)
    assert found.exit_code == 0
    library, machine = found.causes
    now = honest.lineage
    assert library == (
        f"library: numpy {now['versions']['numpy']}, it was 1.26.4; "
        f"pandas {now['versions']['pandas']}, it was 2.2.0"
    )
    assert machine == (
        f"platform: {now['platform']}, it was darwin-arm64; "
        f"{now['blas']}, it was openblas 0.3.21 NEON"
    )
    lines = told(other, found)
    assert lines[0].startswith(
        "Same      bit-identical: 22 parameters and 13 points of each of 5 series, in "
    )
    assert lines[1].startswith("though    library: numpy")


def test_other_bits_are_laid_to_what_is_not_as_it_was(make):
    """Planted: the weights on record are others, by 1e-6, and so is every circumstance."""
    versions = make().lineage["versions"] | {"python": "3.9.1"}
    record = make(shift=1e-6, versions=versions, arithmetic="glibc 2.1, MMX", blas_threads=4,
                  data_digest="e" * 64, code_files={"nn/gone.py": "f" * 64})  # fmt: skip
    found = again(record)
    assert found.exit_code == 3
    assert found.found.epoch == 12
    lines = told(record, found)
    assert lines[0].startswith("Differs   first at epoch 12: theta[4] is ")
    assert [line[10:].partition(":")[0] for line in lines[2:]] == [
        "data", "code", "library", "threads", "platform",
    ]  # fmt: skip
    assert lines[2].startswith("because   data: digest ")


@pytest.mark.parametrize(
    ("was", "threads", "cause"),
    [
        ({}, 1, None),
        ({"versions": {"python": "3.9.1"}}, 1, "library: python 3.11.9, it was 3.9.1"),
        ({"versions": {"xgboost": "1.0"}}, 1, "library: xgboost gone, it was 1.0"),
        ({"platform": "a-b"}, 1, "platform: linux-x86_64, it was a-b"),
        ({"arithmetic": "musl, AVX2"}, 1, "platform: none, it was musl, AVX2"),
        ({}, 4, "threads: 4, it was 1"),
        ({"data_digest": "e" * 64}, 1, "data: digest dddddddddddd, it was eeeeeeeeeeee"),
        ({"code_files": {"nn/loss.py": "f" * 64}}, 1, "code: nn/loss.py"),
        ({"code_files": {"nn/gone.py": "f" * 64}}, 1, "code: nn/gone.py, nn/loss.py"),
        (
            {"code_files": {f"{i}.py": "" for i in range(20)}}, 1,
            "code: 0.py, 1.py, 10.py, 11.py, 12.py, 13.py, 14.py, 15.py and 13 more",
        ),
    ],
)  # fmt: skip
def test_each_cause_has_its_name_and_no_other_is_named(lineages, was, threads, cause):
    now = dataclasses.asdict(lineages())
    assert list(causes(now | was, now, threads)) == ([cause] if cause else [])


def test_an_older_record_that_does_not_tell_of_the_machine_is_not_held_against_it(lineages):
    now = dataclasses.asdict(lineages(arithmetic="glibc 2.36, AVX512"))
    was = {name: value for name, value in now.items() if name != "arithmetic"}
    assert list(causes(was, now, 1)) == []


def test_other_bits_without_any_cause_are_told_as_unknown(make):
    record = make(shift=1e-6)
    found = again(record)
    assert found.exit_code == 3
    assert "unknown" in told(record, found)[-1]


def test_a_changed_cell_is_named_as_data_and_its_first_epoch_is_the_true_one(make, tmp_path):
    """The file is pinned by its sha256: reproduction looks at the cells instead."""
    record = make()
    other = tmp_path / "other.data"
    other.write_bytes(car.content().replace(b"low,unacc", b"low,acc", 1))
    found = again(record, f"data.path={other}")
    trained = make("data.sha256=null", data=other)
    assert found.exit_code == 3
    assert found.found.epoch == first_epoch(record, trained)
    digests = [r.lineage["data_digest"][:12] for r in (trained, record)]
    assert found.causes == (f"data: digest {digests[0]}, it was {digests[1]}",)


def test_other_bytes_of_the_same_cells_change_nothing(make, tmp_path):
    """Lines in another order, with another end: the file's sha256 is another, its cells are not."""
    record = make()
    other = tmp_path / "other.data"
    other.write_bytes(b"\r\n".join(reversed(car.content().splitlines())))
    found = again(record, f"data.path={other}")
    assert found.found.identical
    assert found.causes == ()


def test_a_missing_file_is_named_with_its_digest_and_the_cure(make, tmp_path):
    record = make()
    found = again(record, f"data.path={tmp_path}/gone.csv")
    assert found.exit_code == 3
    lines = told(record, found)
    assert lines[0] == "Unknown   it could not be trained again"
    assert lines[1].startswith("because   data: ")
    assert "no such file" in lines[1]
    assert record.lineage["data_digest"][:12] in lines[2]
    assert "data.path=" in lines[2]


def test_refused_data_are_a_cause_too(make, tmp_path):
    record = make()
    other = tmp_path / "other.data"
    other.write_bytes(car.content().replace(b"5more", b"6more", 1))
    found = again(record, f"data.path={other}")
    assert found.exit_code == 3
    assert found.causes[0].startswith("data: column doors must be one of")


@pytest.mark.parametrize(
    "word",
    ["seed=1", "train.blas_threads=x", "train.blas_threads=0", "train.blas_threads=100",
     "train.epochs=2", "data.path=", "data.path"],
)  # fmt: skip
def test_nothing_but_where_and_how_may_be_told(make, word):
    record = make()
    with pytest.raises(ConfigError, match="reproduce must be told"):
        again(record, word)


def test_another_number_of_threads_is_named_and_here_it_changes_nothing(make, tmp_path):
    record = make()
    found = again(record, "train.blas_threads=2")
    assert found.exit_code == 0
    assert found.causes == ("threads: 2, it was 1",)


def test_a_run_that_diverged_diverges_again_at_the_same_epoch(make):
    words = ["optimiser=gradient_descent", "optimiser.learning_rate=1e308"]
    record = make(*words)
    assert record.status == "FAILED"
    assert again(record).found.identical


def test_a_run_that_did_not_end_by_itself_cannot_be_made_again(results, failed_results, tmp_path):
    for result in (results(status="KILLED"), failed_results()):
        record = write(result, tmp_path / result.status)
        with pytest.raises(ConfigError, match="must name a run that trained to its end"):
            reproduce(record, from_source=False)


def test_a_record_of_another_version_is_told_as_such(result, tmp_path):
    record = write(result, tmp_path)
    tree = json.loads((record.path / "result.json").read_bytes())
    reseal(record.path, format=7)
    commit = tree["lineage"]["git_commit"]
    with pytest.raises(RecordError, match=r"must be 1; got 7 .* another version") as refusal:
        find(record.identity[:8], tmp_path)
    assert refusal.value.exit_code == 3
    assert f"commit {commit} reads it" in str(refusal.value)


# With the real command, in a copy of the project.


@pytest.fixture
def copied(project, reuse) -> Path:
    """The code, the table, and the record of a run of it."""
    copy_project(project)
    write(run(configuration([QUICK]).run_config(), call=reuse), paths.RUNS)
    return project


def only(folder: Path) -> Record:
    (path,) = (path for path in (folder / "runs").iterdir() if path.name[0] != ".")
    return read(path)


@pytest.mark.slow
def test_mlflow_alone_is_enough(copied, settings):
    """The folder of records is gone."""
    record = only(copied)
    publish(record, settings)
    shutil.rmtree(copied / "runs")
    code, out, err = launch(copied, "reproduce")
    assert code == 0, err
    assert f"Run       {record.identity[:12]}, car, seed 0: made 20" in out
    assert "bit-identical: 22 parameters and 13 points of each of 5 series" in out
    assert not (copied / "runs").exists()


@pytest.mark.slow
def test_a_changed_line_is_named_and_differs_first_where_it_acts(copied):
    """Planted in epoch 7, so that epoch 8 is the first with another cost."""
    here = "                slope = gradient_from_residual("
    edit(copied / "nn" / "fit.py", here, f"{here}(1 + 1e-6 * (number == 7)) * ")
    code, out, _ = launch(copied, "reproduce")
    assert code == 3
    assert "Differs   first at epoch 8: " in out
    assert "because   code: nn/fit.py\n" in out
    assert "FROM=source" in out


@pytest.mark.slow
def test_a_change_of_the_last_bit_is_equal_to_1e_12(copied):
    path = copied / "nn" / "neuron.py"
    edit(path, "    return float(values @ weight / weight.sum())",
         "    return float(np.nextafter(values @ weight / weight.sum(), 9))")  # fmt: skip
    record = only(copied)
    found = reproduce(record, from_source=False)
    assert found.exit_code == 0
    lines = told(record, found)
    assert lines[0].startswith("Same      equal to 1e-12: 22 parameters and 13 points")
    assert "values differ in their last bits, by " in lines[0]
    assert lines[1] == "because   code: nn/neuron.py"
    assert found.found.bits == 13 * 5  # every figure is an average
    assert 0 < found.found.largest < 1e-15


@pytest.mark.slow
def test_code_that_does_not_know_a_setting_any_more_is_a_cause(copied):
    edit(copied / "pipeline" / "config.py", "    calibration_bins: ", "    bins: ")
    found = reproduce(only(copied), from_source=False)
    assert found.exit_code == 3
    (cause,) = found.causes
    assert cause.startswith("code: evaluate.calibration_bins must be a known setting")


# From the source on record.


@pytest.fixture
def history(past, tmp_path) -> Path:
    return Path(shutil.copytree(past, tmp_path / "history"))


@pytest.fixture(scope="module")
def past(tmp_path_factory) -> Path:
    """A run of an older commit with changes that were not committed, and newer code on top."""
    copied = copy_project(tmp_path_factory.mktemp("past") / "project")
    (copied / ".gitignore").write_text("data/\nruns/\nmlflow.db*\nmlartifacts/\n__pycache__/\n")
    git(copied, "init", "-q")
    git(copied, "add", "-A")
    git(copied, "commit", "-qm", "first")
    loss = "    return cost, sign * np.where(wrong > 0, 1.0, small) / (1.0 + small)"
    edit(copied / "nn" / "loss.py", loss, f"{loss} * SCALE")
    (copied / "nn" / "extra.py").write_text("SCALE = 1 - 1e-9\n")
    edit(copied / "nn" / "loss.py", "import numpy as np\n",
         "import numpy as np\n\nfrom nn.extra import SCALE\n")  # fmt: skip
    make_record(copied, QUICK)
    (copied / "nn" / "extra.py").write_text("SCALE = 1 - 1e-7\n")
    git(copied, "add", "-A")
    git(copied, "commit", "-qm", "second")
    edit(copied / "nn" / "optim.py", "import numpy as np\n", "import numpy as np\n\nWORK = 1\n")
    return copied


# What is on record was altered by a test, and so is not what was made here.
SOURCE = ["reproduce", "--from", "source", "--trust", "yes"]


def state(folder: Path) -> tuple[str, ...]:
    """What of git must stay as it is: commit, index, changes, worktrees, branches."""
    words = [["rev-parse", "HEAD"], ["ls-files", "-s"], ["diff"], ["worktree", "list"],
             ["branch", "-a"], ["status", "--porcelain"]]  # fmt: skip
    return tuple(git(folder, *each) for each in words)


@pytest.mark.slow
def test_the_recorded_source_gives_the_recorded_bits_and_nothing_else_is_touched(history):
    hook = history / ".git" / "hooks" / "post-checkout"
    hook.write_text("#!/bin/sh\ntouch $(dirname $0)/ran\nexit 1\n")
    hook.chmod(0o755)
    before = state(history)
    code, out, _ = launch(history, "reproduce")
    assert code == 3
    assert "because   code: nn/extra.py, nn/optim.py\n" in out
    code, out, err = launch(history, "reproduce", "--from", "source")
    assert code == 0, out + err
    assert "and uncommitted changes" in out
    assert "bit-identical" in out
    assert "though" not in out
    assert state(history) == before
    assert not (history / ".git" / "hooks" / "ran").exists()


@pytest.mark.slow
def test_the_worktree_is_removed_when_it_fails_too(history):
    """The code on record crashes; the commit is not there; a signal ends it."""
    record = only(history)
    before = state(history)
    diff = record.path / "source.diff"
    honest = diff.read_bytes()
    spoilt = honest.replace(b"+SCALE = 1 - 1e-9", b"+SCALE = 1 / 0 - 9")
    replace_file(record.path, "source.diff", spoilt)
    code, out, _ = launch(history, *SOURCE)
    assert code == 3
    assert "because   code: it ended with 1: ZeroDivisionError" in out
    assert state(history) == before

    replace_file(
        record.path, "source.diff", honest.replace(b"import numpy as np", b"import nonsense")
    )
    code, out, err = launch(history, *SOURCE)
    assert code == 2
    assert "FROM=source needs the commit on record in the project's git, and its diff to fit" in err
    assert state(history) == before

    tree = json.loads((record.path / "lineage.json").read_bytes()) | {"git_commit": "a" * 40}
    replace_file(record.path, "lineage.json", json.dumps(tree).encode())
    code, out, err = launch(history, *SOURCE)
    assert code == 2
    assert "FROM=source needs the commit on record" in err
    assert "Traceback" not in err
    assert state(history) == before


@pytest.mark.slow
def test_a_signal_removes_the_worktree(history):
    record = only(history)
    before = state(history)
    slow = (record.path / "source.diff").read_bytes()
    slow = slow.replace(b"+SCALE = 1 - 1e-9", b"+import time; time.sleep(30); SCALE = 1")
    replace_file(record.path, "source.diff", slow)
    process = start(history, *SOURCE)
    deadline = time.monotonic() + 30
    while git(history, "worktree", "list").count("\n") < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    assert state(history) == before


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """Another content of a file of a record, listed as it is."""
    (folder / name).write_bytes(content)
    files = json.loads((folder / "result.json").read_bytes())["files"]
    files[name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    reseal(folder, files=files)


def test_without_git_there_is_no_source_to_go_back_to(make):
    record = make(git_commit=None, git_dirty=None, git_diff=None)
    with pytest.raises(ConfigError, match="needs a commit on record; got none"):
        reproduce(record, from_source=True)


def test_what_trains_again_is_a_script_that_any_commit_can_answer():
    """It asks of the code nothing but these, which older commits have as well."""
    names = {
        f"{node.module}.{alias.name}"
        for node in ast.walk(ast.parse(SCRIPT.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pipeline")
        for alias in node.names
    }
    asked = {"pipeline.config.RunConfig", "pipeline.run.run", "pipeline.errors.PipelineError"}
    assert names == asked
