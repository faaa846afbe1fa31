"""Sweeps as a person starts them: in processes, with MLflow and a launcher."""

import contextlib
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from builders import PROJECT, copy_project, launch, sabotage, store_rows
from sweep_builders import QUICK, published, thetas

pytestmark = pytest.mark.exhaustive

OLDER = "451aebb31d03"  # of MLflow 1.0
SECRET = "s3cr3t-Value-9913"
SEEN = """
        files = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
        with open("seen.txt", "a") as file:
            file.write(repr([*files, *sorted(sys.modules), os.environ["OPENBLAS_NUM_THREADS"]]))
"""


def sweep(folder: Path, *words: str, **variables: str) -> tuple[int, str, str]:
    code, out, err = launch(folder, "-m", QUICK, *words, **variables)
    assert "Traceback" not in out + err
    assert "Warning" not in out + err
    return code, out, err


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A copy of the project without a store, in which one run crashes and one looks around."""
    folder = copy_project(tmp_path_factory.mktemp("whole") / "project")
    sabotage(folder, {1: "os._exit(0)", 2: f"pass{SEEN}"})
    return folder


@pytest.fixture(scope="module")
def first(project) -> tuple[int, str, str]:
    """What a first sweep says, with a secret and an id that MLflow would take in its variables."""
    variables = {"A_TOKEN": SECRET, "MLFLOW_RUN_ID": "f" * 32}
    return sweep(project, "seed=range(4)", f"+sweep.name={SECRET}", **variables)


def test_it_makes_its_store_and_all_runs_but_the_one_that_crashed(first, project):
    """A01: and everything is in MLflow, whatever the environment holds."""
    code, out, _ = first
    assert code == 4
    assert "3 done, 1 failed, 0 skipped, 0 left" in out
    runs = published(project)
    assert {job: tags["status"] for job, tags in runs.items()} == {
        "0": "FINISHED", "1": "FAILED", "2": "FINISHED", "3": "FINISHED", "sweep": "FINISHED"
    }  # fmt: skip
    (number,) = {tags["oneuron.sweep"] for tags in runs.values()}
    assert runs["3"][f"oneuron.sweep.{number}"] == "3"
    artifacts = {path.name for path in (project / "mlartifacts").rglob("*") if path.is_file()}
    assert {"comparison.html", "record.zip", "MLmodel"} <= artifacts


def test_a_failure_is_named_with_its_log_and_its_run_in_mlflow(first, project):
    _, out, _ = first
    named = re.search(r"FAILED .*seed=1\n    Exit: (.*)\n    log (.*)\n    MLflow run (.*)\n", out)
    assert "exit code 0" in named[1]
    assert (project / named[2]).read_text().startswith("train.epochs=5 seed=1")
    assert published(project)["1"]["mlflow.runName"]
    assert named[3] in dict(store_rows("runs", "run_uuid, status", project / "mlflow.db"))


def test_no_run_touches_the_store_that_is_published_to(first, project):
    """B06: the process of a run has no file of the store open, and knows no MLflow."""
    seen = (project / "seen.txt").read_text()
    assert "'numpy'" in seen  # the control
    assert "/logs/00002.log" in seen
    assert "mlflow" not in seen.replace(str(project), "")
    assert "sqlalchemy" not in seen


def test_a_secret_is_in_no_file(first, project):
    """H04: neither from an override nor from the environment, in no record and no store."""
    _, out, err = first
    assert SECRET not in out + err
    holding = [p for p in project.rglob("*") if p.is_file() and SECRET.encode() in p.read_bytes()]
    assert holding == []


@pytest.fixture(scope="module")
def parallel(first, project) -> tuple[int, str, str]:
    """What the same sweep says by joblib, once the code is honest."""
    (project / "serial").mkdir()
    shutil.copytree(project / "runs", project / "serial" / "runs")
    honest = PROJECT / "pipeline" / "stages" / "train.py"
    shutil.copy(honest, project / "pipeline" / "stages" / "train.py")
    words = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    return sweep(project, "seed=range(4)", f"+sweep.name={SECRET}", *words)


@pytest.mark.exhaustive
def test_edited_code_makes_the_runs_again_and_joblib_gives_the_same_bits(parallel, project):
    """D06, D15."""
    code, out, err = parallel
    assert code == 0, out + err
    assert "code changed: pipeline/stages/train.py: number 0-3" in out
    assert "4 done, 0 failed" in out
    serial, both = thetas(project / "serial"), thetas(project)
    assert (len(serial), len(both)) == (3, 4)
    assert {seed: both[seed] for seed in serial} == serial


@pytest.mark.exhaustive
def test_a_store_of_an_older_mlflow_costs_no_run_and_sync_publishes_them(copied):
    """A08, E01: exit code 5; the store stays as it was, and sync publishes with the tags."""
    store = copied / "mlflow.db"
    kept = store.with_name("kept")
    shutil.copy2(store, kept)
    with contextlib.closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (OLDER,))
    before = store.read_bytes()
    code, out, _ = sweep(copied, "seed=range(2)")
    assert code == 5
    assert "2 done, 0 failed" in out
    assert "2 runs not published: store must have the schema of this MLflow" in out
    assert store.read_bytes() == before
    shutil.copy2(kept, store)
    assert launch(copied, "sync")[0] == 0
    runs = published(copied)
    assert {job: tags["status"] for job, tags in runs.items()} == dict.fromkeys("01", "FINISHED")
