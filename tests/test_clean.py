"""`make clean` in a copy of the project: what can be made again goes, what is a person's stays."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from builders import FOREIGN, copy_project

from pipeline.files import PROJECT
from pipeline.stages.read import car
from pipeline.stages.read.datasets import breast_cancer

pytestmark = pytest.mark.exhaustive

MAKES_OWN = ("ARGS", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")  # of the make that runs the tests


@pytest.fixture
def cleaned(tmp_path) -> Path:
    """A copy with both tables that ship, and a .venv whose python is that of the tests."""
    folder = copy_project(tmp_path / "project")
    (folder / "Makefile").write_bytes((PROJECT / "Makefile").read_bytes())
    for name in ("tests", "bench"):
        (folder / name).mkdir()
    (folder / "data" / "breast_cancer.csv").write_bytes(breast_cancer())
    set_python(folder, f'exec "{sys.executable}" "$@"')
    return folder


def set_python(folder: Path, script: str) -> None:
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)


def clean(folder: Path) -> subprocess.CompletedProcess[str]:
    odd = (*FOREIGN, *MAKES_OWN)
    kept = {name: text for name, text in os.environ.items() if not name.startswith(odd)}
    environment = {**kept, "PYTHONPATH": str(folder), "ARGS": "seed=3"}
    return subprocess.run(
        ["make", "clean"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def left(folder: Path) -> dict[str, bytes]:
    """What data/ holds, by name."""
    data = folder / "data"
    return {str(p.relative_to(data)): p.read_bytes() for p in data.rglob("*") if p.is_file()}


def test_tables_of_ones_own_and_results_stay_and_what_make_data_writes_goes(cleaned):
    own = {
        "loans.csv": b"a;b\n",
        "deep/in/it.parquet": b"PAR1",
        ".hidden": b"",
        "car.data.old": b"1",
    }
    for name, content in own.items():
        (cleaned / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (cleaned / "data" / name).write_bytes(content)
    (cleaned / "runs").mkdir()
    (cleaned / "mlflow.db").write_bytes(b"results")
    done = clean(cleaned)
    assert (done.returncode, done.stderr) == (0, "")
    assert left(cleaned) == own
    assert not (cleaned / ".venv").exists()
    assert not list(cleaned.rglob("__pycache__"))
    assert (cleaned / "runs").exists()
    assert (cleaned / "mlflow.db").read_bytes() == b"results"


def test_data_goes_where_nothing_but_shipped_tables_was_in_it(cleaned):
    assert clean(cleaned).returncode == 0
    assert not (cleaned / "data").exists()


@pytest.mark.parametrize(
    "edit",
    [
        lambda old: old[:-1],
        pytest.param(lambda old: b"1" + old[1:], marks=pytest.mark.exhaustive),
        pytest.param(lambda _: b"", marks=pytest.mark.exhaustive),
    ],
)
def test_a_shipped_table_that_was_edited_stays(cleaned, edit):
    edited = {name: edit(content) for name, content in left(cleaned).items()}
    for name, content in edited.items():
        (cleaned / "data" / name).write_bytes(content)
    assert clean(cleaned).returncode == 0
    assert left(cleaned) == edited
    assert len(edited) == 2


def test_a_link_stays_and_so_does_what_it_leads_to(cleaned, tmp_path):
    table = cleaned / "data" / "car.data"
    table.rename(tmp_path / "mine.csv")
    table.symlink_to(tmp_path / "mine.csv")
    assert clean(cleaned).returncode == 0
    assert left(cleaned) == {"car.data": car.content()}
    assert table.is_symlink()


def test_without_venv_data_is_left_as_it_is(cleaned):
    (cleaned / ".venv" / "bin" / "python").unlink()
    before = left(cleaned)
    for _ in range(2):  # the second time there is no .venv at all
        done = clean(cleaned)
        assert (done.returncode, done.stderr) == (0, "")
        assert left(cleaned) == before


def test_a_venv_that_is_broken_goes_and_data_is_left_as_it_is(cleaned):
    set_python(cleaned, "echo Traceback >&2; exit 1")
    before = left(cleaned)
    done = clean(cleaned)
    assert done.returncode == 0
    assert done.stderr == "data/ stays as it is: .venv cannot say which tables are make data's\n"
    assert left(cleaned) == before
    assert not (cleaned / ".venv").exists()


def test_without_data_there_is_nothing_to_do(cleaned):
    for table in (cleaned / "data").iterdir():
        table.unlink()
    (cleaned / "data").rmdir()
    done = clean(cleaned)
    assert (done.returncode, done.stderr) == (0, "")
