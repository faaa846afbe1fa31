"""Where a store may keep the files of its runs, and how much of them is ever written here."""

import errno
import resource
from pathlib import Path

import pytest

from pipeline import files
from pipeline.errors import TrackingError
from pipeline.tracking.address import Address
from pipeline.tracking.artifacts import _wrong_place, local_folder, repository
from pipeline.tracking.fetch import at_most

SERVER = Address("http://me:word@host:5000/mlflow", "http", None, "host", 5000)
FILE = Address("sqlite:////data/mlflow.db", "sqlite", Path("/data/mlflow.db"), "", 0)
DATABASE = Address("postgresql+psycopg://host/db", "postgresql", None, "host", 5432)


@pytest.mark.parametrize("address", [SERVER, FILE, DATABASE], ids=lambda address: address.kind)
@pytest.mark.parametrize("scheme", ["s3", "gs", "wasbs", "abfss", "r2", "b2"])
def test_an_object_store_is_one_wherever_it_is_named(address, scheme):
    uri = f"{scheme}://bucket/1/abc/artifacts"
    assert _wrong_place(uri, address) == ""
    assert local_folder(uri, address) is None


@pytest.mark.parametrize("uri", ["mlflow-artifacts:/1/abc", "mlflow-artifacts://host:5000/1/abc"])
def test_a_server_may_keep_files_itself(uri):
    assert _wrong_place(uri, SERVER) == ""


@pytest.mark.parametrize(
    "uri",
    [
        "file:///etc", "file:/etc", "FILE:///etc", "\tfile:///etc", "/etc", "etc", "",
        "mlflow-artifacts://other:5000/1", "mlflow-artifacts://host:22/1", "http://host:5000/1",
        "ftp://host/1", "sftp://host/1", "dbfs:/1", "hdfs://host/1", "runs:/1", "models:/a/1",
        "file://[", "sqlite:////data/mlflow.db", "plugin://x",
    ],
)  # fmt: skip
def test_a_server_names_no_place_of_ours_and_no_other_server(uri):
    with pytest.raises(TrackingError, match="artifacts must be kept by the server") as refusal:
        repository(uri, SERVER)
    assert "word" not in str(refusal.value)
    assert local_folder(uri, SERVER) is None


def test_a_file_of_ones_own_names_folders_and_no_server():
    for uri in ("file:///srv/a%20b/1", "/srv/a b/1"):
        assert _wrong_place(uri, FILE) == ""
        assert local_folder(uri, FILE) == Path("/srv/a b/1")
    for uri in ("mlflow-artifacts:/1", "http://host/1", "ftp://host/1", "runs:/1", "file://["):
        assert _wrong_place(uri, FILE) == "in a folder or in an object store"


def test_a_database_that_others_write_to_names_the_folder_of_this_project_alone(project):
    files.ARTIFACTS.mkdir()
    (files.ARTIFACTS / "link").symlink_to("/etc")
    assert _wrong_place(f"file://{files.ARTIFACTS}/1/abc/artifacts", DATABASE) == ""
    outside = ["file:///etc", f"file://{files.ARTIFACTS}/../pipeline", f"{files.ARTIFACTS}-x/1"]
    for uri in [*outside, f"file://{files.ARTIFACTS}/link/x"]:
        assert _wrong_place(uri, DATABASE).startswith(f"below {files.ARTIFACTS}")


def test_no_file_grows_beyond_what_was_told_of_it(tmp_path):
    """By the system's own limit, which holds for whatever library writes; then it is as it was."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with at_most(1000):
        (tmp_path / "fits").write_bytes(bytes(1000))
        with pytest.raises(OSError, match="File too large") as refusal:
            (tmp_path / "grows").write_bytes(bytes(100_000))
    assert refusal.value.errno == errno.EFBIG
    assert (tmp_path / "grows").stat().st_size == 1000
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == before
    (tmp_path / "grows").write_bytes(bytes(2000))
