"""A store is where its project is: in odd folders, moved and copied."""

import contextlib
import shutil
import sqlite3

import pytest
from builders import copy_project, launch, store_rows

from pipeline.tracking.address import sqlite_uri
from pipeline.tracking.sqlite import follow_project

ODD = "50% off%2Fx?y#z \"q'\nü"


def places(store):
    columns = {"experiments": "artifact_location", "runs": "artifact_uri"}
    return [row[0] for table, name in columns.items() for row in store_rows(table, name, store)]


@pytest.fixture
def copied(store_template, tmp_path):
    """A copy of a project whose original stands where it was, with a run and another's place."""
    store = tmp_path / "mlflow.db"
    shutil.copy2(store_template, store)
    root = (store_template.parent / "mlartifacts").as_uri()
    with contextlib.closing(sqlite3.connect(store)) as connection, connection:
        run = f"INSERT INTO runs (run_uuid, artifact_uri) VALUES ('a', '{root}/a/artifacts')"
        connection.execute(run)
        connection.execute(
            "INSERT INTO experiments (experiment_id, name, artifact_location) VALUES "
            "(7, 'chosen', 's3://bucket/mlartifacts'), (8, 'near', ?)",
            (f"{root}2/8",),
        )
    return store


def test_the_places_of_a_copy_are_in_the_copy_and_a_place_that_was_chosen_stays(copied):
    """J13."""
    artifacts = copied.parent / "mlartifacts"
    before = places(copied)
    follow_project(copied, artifacts)
    here = artifacts.as_uri()
    assert {f"{here}/0", f"{here}/a/artifacts", "s3://bucket/mlartifacts"} < {*places(copied)}
    assert {place for place in before if "mlartifacts2" in place} <= {*places(copied)}
    after = copied.read_bytes()
    follow_project(copied, artifacts)
    assert copied.read_bytes() == after


def test_a_project_that_was_moved_is_followed(copied):
    gone = copied.parent / "old" / "mlartifacts"
    follow_project(copied, gone)  # as if it had been made there
    assert f"{gone.as_uri()}/0" in places(copied)
    follow_project(copied, copied.parent / "mlartifacts")
    assert f"{(copied.parent / 'mlartifacts').as_uri()}/a/artifacts" in places(copied)


def test_artifacts_that_are_elsewhere_on_purpose_stay_there(copied, tmp_path):
    """Only the database was moved: what it names is still there, and no other store's."""
    kept = tmp_path / "kept" / "mlartifacts"
    follow_project(copied, kept)
    kept.mkdir(parents=True)
    before = places(copied)
    follow_project(copied, copied.parent / "mlartifacts")
    assert places(copied) == before


def test_an_address_is_read_by_sqlalchemy_as_the_path_that_it_is(tmp_path):
    from sqlalchemy.engine import make_url

    for name in (ODD, "plain", "a b", "%41"):
        assert make_url(sqlite_uri(tmp_path / name / "x.db")).database == str(
            tmp_path / name / "x.db"
        )


@pytest.mark.exhaustive
def test_a_run_in_an_odd_folder_is_whole_and_writes_nothing_beside_it(tmp_path):
    """J12. MLflow is in such a folder, too."""
    import mlflow

    site = tmp_path / "venv" / "50% site"
    site.parent.mkdir()
    site.symlink_to(next(p for p in map(type(tmp_path), mlflow.__path__)).parent)
    folder = copy_project(tmp_path / "work" / ODD / "project")
    code, _, err = launch(folder, "run", "train.epochs=3", PYTHONPATH=f"{folder}:{site}")
    assert (code, err) == (0, "")
    assert [path.name for path in (tmp_path / "work").iterdir()] == [ODD]
    assert [path.name for path in (tmp_path / "work" / ODD).iterdir()] == ["project"]
    (run,) = store_rows("runs", "status, artifact_uri", folder / "mlflow.db")
    assert run[0] == "FINISHED"
    assert list((folder / "mlartifacts").rglob("MLmodel"))
