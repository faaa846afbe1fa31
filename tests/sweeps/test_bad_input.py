"""What a sweep and a comparison refuse: in a few lines, with an exit code, and nothing is lost."""

import contextlib
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from swept import copy_project, launch, sabotage, seeds_done, statuses

from pipeline.tracking.sqlite import schema_versions

pytestmark = pytest.mark.slow


def refused(folder: Path, *words: str, **more) -> str:
    """What is said of words that are refused, at exit code 2."""
    code, out, err = launch(folder, *words, **more)
    assert code == 2, out + err
    assert len(err) <= 2000
    assert "Traceback" not in out + err
    return err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["seed=0,1", "train.epohcs=5,6"], "did you mean train.epochs"),
        (["seed=0,1", "+train.epohcs=5,6"], "train.epohcs"),
        (["seed=range(0)"], "seed must have a value to sweep over; got none from 'seed=range(0)'"),
        (["optimiser.learning_rate=interval(0,1)"], "must be a list or a range of values"),
        (["sweep.zip=seed", "seed=0,1"], "sweep.zip must be a list of lists of axes"),
        (["optimiser.learning_rate=0.1,nan,-1,x", "seed=0,1"], "in 2 of 8 jobs"),
    ],
)
def test_a_grid_that_cannot_be_is_refused_before_anything_is_made(copied, words, told):
    """F10, F11."""
    assert told in refused(copied, *words)
    assert not (copied / "runs").exists()
    assert not (copied / "sweeps").exists()


def test_a_sweep_that_does_not_exist_is_refused_with_those_that_do(copied):
    compare = ("compare", "--sweep", "nonesuch")
    assert "have none: make sweep" in refused(copied, command=compare)
    assert launch(copied, "seed=range(2)", "sweep.name=rates")[0] == 0
    assert re.search(
        r"got 'nonesuch', have rates \([0-9a-f]{12}\)", refused(copied, command=compare)
    )
    code, out, _ = launch(copied, command=("compare", "--sweep", "rates"))
    assert code == 0
    assert "2 finished runs" in out


def test_a_filter_that_finds_no_run_or_is_none_is_refused(copied):
    assert launch(copied, "seed=range(2)")[0] == 0
    none = refused(copied, command=("compare", "--filter", "params.seed = '99'"))
    assert "FILTER must find runs; got none for \"params.seed = '99'\"" in none
    assert "FILTER must be a filter" in refused(copied, command=("compare", "--filter", "hello"))
    code, out, _ = launch(copied, command=("compare", "--filter", "params.seed = '1'"))
    assert code == 0
    assert "1 finished run" in out


def test_runs_on_other_data_are_left_out_with_their_digests(copied):
    """The larger group is compared; the other is told."""
    assert launch(copied, "seed=range(3)", "data=car")[0] == 0
    assert launch(copied, "seed=range(2)", "data=breast_cancer")[0] == 0
    every = "tags.oneuron.attempt != ''"
    code, out, err = launch(copied, command=("compare", "--filter", every))
    assert code == 0, err
    told = " ".join(out.split())
    assert "3 finished runs" in told
    assert re.search(
        r"2 runs, measured on other data \(breast_cancer, digest [0-9a-f]{8}; here [0-9a-f]{8}\)",
        told,
    )


def test_runs_that_lack_a_figure_are_left_out_and_counted(copied):
    """Without a split there are no validation rows, and no figure of them."""
    assert launch(copied, "seed=range(2)")[0] == 0
    assert launch(copied, "seed=range(2)", "split=none")[0] == 0
    every = "tags.oneuron.attempt != ''"
    code, out, err = launch(copied, command=("compare", "--filter", every))
    assert code == 0, err
    told = " ".join(out.split())
    assert "2 finished runs" in told
    assert "measured on no validation rows" in told


def test_a_store_of_an_older_mlflow_keeps_every_run_and_says_how_to_bring_it_up(copied):
    """A08: exit code 5; the store stays as it was, and sync publishes afterwards."""
    store = copied / "mlflow.db"
    head, known = schema_versions()
    kept = store.with_name("kept")
    shutil.copy2(store, kept)
    with contextlib.closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (min(known - {head}),))
    before = store.read_bytes()
    code, out, err = launch(copied, "seed=range(2)")
    assert code == 5, err
    assert "2 done, 0 failed" in out
    assert "2 runs were not published: store must have the schema of this MLflow" in out
    assert "mlflow db upgrade" in out
    assert "Traceback" not in out + err
    assert store.read_bytes() == before
    assert seeds_done(copied) == {0, 1}
    shutil.copy2(kept, store)
    assert launch(copied, command=("sync",))[0] == 0
    assert [status for kind, _, status in statuses(copied) if not kind] == ["FINISHED"] * 2


def test_six_workers_on_a_fresh_folder_make_one_store_and_all_runs(tmp_path):
    """A01: the store is made before any job, by one process."""
    folder = copy_project(tmp_path / "project", None)
    words = ["seed=range(6)", "hydra/launcher=joblib", "hydra.launcher.n_jobs=6"]
    code, out, err = launch(folder, *words)
    assert code == 0, out + err
    assert [status for kind, _, status in statuses(folder) if not kind] == ["FINISHED"] * 6


SEEN = """
    files = [os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    with open("seen.txt", "a") as file:
        file.write(repr([*files, *sorted(sys.modules)]))
"""


def test_no_run_touches_the_store_that_its_parent_has_open(copied):
    """B06: the process of a run has no file of the store open, and knows no MLflow."""
    indented = SEEN.replace("\n    ", "\n        ")
    sabotage(copied, dict.fromkeys(range(2), f"pass{indented}"))
    assert launch(copied, "seed=range(2)")[0] == 0
    seen = (copied / "seen.txt").read_text()
    assert seen.count("'numpy'") == 2  # the control
    assert "/logs/00001.log" in seen
    assert "mlflow" not in seen.replace(str(copied), "")
    assert "sqlalchemy" not in seen
