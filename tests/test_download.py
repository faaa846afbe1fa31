"""Where a store may keep the files of its runs, and how much of them is ever written here."""

import errno
import resource
from pathlib import Path

import pytest

from pipeline import paths
from pipeline.tracking.address import Address
from pipeline.tracking.artifacts import artifact_fault, local_folder
from pipeline.tracking.download import _at_most

SERVER = Address("http://me:word@host:5000/mlflow", "http", None, "host", 5000)
FILE = Address("sqlite:////data/mlflow.db", "sqlite", Path("/data/mlflow.db"), "", 0)
DATABASE = Address("postgresql+psycopg://host/db", "postgresql", None, "host", 5432)


@pytest.mark.parametrize("address", [SERVER, FILE, DATABASE], ids=lambda address: address.kind)
def test_an_object_store_is_one_wherever_it_is_named(address):
    for scheme in ("s3", "gs", "wasbs", "abfss", "r2", "b2"):
        assert artifact_fault(f"{scheme}://bucket/1/abc/artifacts", address) == ""
        assert local_folder(f"{scheme}://bucket/1", address) is None


def test_a_server_keeps_files_itself_and_names_no_place_of_ours_and_no_other_server():
    for uri in ("mlflow-artifacts:/1/abc/artifacts", "mlflow-artifacts://host:5000/1/abc"):
        assert artifact_fault(uri, SERVER) == ""
    for uri in (
        *("file:///etc", "file:/etc", "FILE:///etc", "\tfile:///etc", "/etc", "etc", ""),
        *("mlflow-artifacts://other:5000/1", "mlflow-artifacts://host:22/1", "http://host:5000/1"),
        *("ftp://host/1", "sftp://host/1", "dbfs:/1", "hdfs://host/1", "runs:/1", "models:/a/1"),
        *("file://[", "sqlite:////data/mlflow.db", "plugin://x"),
    ):
        told = artifact_fault(uri, SERVER)
        assert told.startswith("artifacts must be kept by the server or in an object store; got ")
        assert told.endswith(" at http://***@host:5000/mlflow")
        assert local_folder(uri, SERVER) is None


def test_a_file_of_ones_own_names_folders_and_no_server():
    for uri in ("file:///srv/a%20b/1", "/srv/a b/1"):
        assert artifact_fault(uri, FILE) == ""
        assert local_folder(uri, FILE) == Path("/srv/a b/1")
    for uri in ("mlflow-artifacts:/1", "http://host/1", "ftp://host/1", "runs:/1", "file://["):
        assert artifact_fault(uri, FILE).startswith("artifacts must be kept in a folder or in an")


def test_a_database_that_others_write_to_names_the_folder_of_this_project_alone(project):
    inside = f"file://{paths.ARTIFACTS}/1/abc/artifacts"
    assert artifact_fault(inside, DATABASE) == ""
    for uri in ("file:///etc", f"file://{paths.ARTIFACTS}/../pipeline", f"{paths.ARTIFACTS}-x/1"):
        told = artifact_fault(uri, DATABASE)
        assert told.startswith(f"artifacts must be kept below {paths.ARTIFACTS} or in an object")
    (paths.ARTIFACTS).mkdir()
    (paths.ARTIFACTS / "link").symlink_to("/etc")
    assert artifact_fault(f"file://{paths.ARTIFACTS}/link/x", DATABASE) != ""


def test_a_server_that_changes_its_mind_is_asked_once(project, store_template, tmp_path):
    """What was checked is what is used."""
    from types import SimpleNamespace

    from pipeline.tracking.client import Client

    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "file").write_text("ours")
    client = Client(Address(f"sqlite:///{store_template}", "sqlite", store_template, "", 0))
    answers = iter([tmp_path / "first", tmp_path / "second", tmp_path / "third"])
    client.get_run = lambda _: SimpleNamespace(info=SimpleNamespace(artifact_uri=next(answers)))
    client.log_artifacts("a", str(tmp_path / "from"))
    assert [file.path for file in client.list_artifacts("a")] == ["file"]
    assert {path.name for path in tmp_path.iterdir()} == {"first", "from", "project"}
    assert (tmp_path / "first" / "file").stat().st_mode & 0o777 == 0o600


def test_no_file_grows_beyond_what_was_told_of_it(tmp_path):
    """By the system's own limit, which holds for whatever library writes; then it is as it was."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with _at_most(1000):
        (tmp_path / "fits").write_bytes(bytes(1000))
        with pytest.raises(OSError, match="File too large") as refusal:
            (tmp_path / "grows").write_bytes(bytes(100_000))
    assert refusal.value.errno == errno.EFBIG
    assert (tmp_path / "grows").stat().st_size == 1000
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == before
    (tmp_path / "grows").write_bytes(bytes(2000))
