"""A disk that is full or read-only: said in a line, and nothing is lost."""

import re
from pathlib import Path

import pytest
from builders import copy_project, launch
from disks import Disk, fill, small_disk
from sweep_builders import points, published, thetas

pytestmark = pytest.mark.exhaustive

WORDS = ("-m", "seed=range(6)", "train.epochs=300", "sweep.name=full")
STALE = re.compile(r"\.tmp\.|\.upload\.|^\..*\.\d+\.[0-9a-f]{8}$")
FULL = re.compile("no space left|disk is full|disk i/o error")


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", "size=64m") as made:
        yield made


def sweep(folder: Path) -> tuple[int, str]:
    code, out, err = launch(folder, *WORDS, PYTHONDONTWRITEBYTECODE="1")
    assert "Traceback" not in out + err, out + err
    return code, (out + err).lower()


def finished(folder: Path) -> int:
    statuses = [tags["status"] for job, tags in published(folder).items() if job != "sweep"]
    assert "RUNNING" not in statuses
    return statuses.count("FINISHED")


@pytest.fixture(scope="module")
def calm(tmp_path_factory, store_template) -> Path:
    """The same sweep where there is room."""
    folder = copy_project(tmp_path_factory.mktemp("calm") / "project", store_template)
    assert sweep(folder)[0] == 0
    return folder


@pytest.mark.parametrize("leave", [0, 60_000, 400_000, 1_200_000])
def test_a_full_disk_is_named_and_with_room_the_same_command_ends_the_sweep(
    disk, calm, store_template, leave
):
    """B04, B05: so many bytes are free, from none to enough for some of the runs."""
    project = copy_project(disk.folder / "project", store_template)
    filled = fill(disk.folder, leave)
    code, said = sweep(project)
    assert code in (4, 5), said
    assert FULL.search(said), said
    filled.unlink()
    code, said = sweep(project)
    assert code == 0, said
    assert thetas(project) == thetas(calm)
    assert points(project) == points(calm)
    assert finished(project) == 6
    assert [p for p in project.rglob("*") if STALE.search(p.name)] == []


def test_a_read_only_folder_is_said_and_nothing_is_lost(disk: Disk, calm, store_template):
    """A09: at the start, and where it becomes so after a sweep."""
    project = copy_project(disk.folder / "project", store_template)
    disk.remount("ro")
    code, said = sweep(project)
    assert code in (4, 5)
    assert "read-only file system" in said
    assert len(said) < 2000
    disk.remount("rw")
    assert sweep(project)[0] == 0
    disk.remount("ro")
    code, said = sweep(project)
    assert code in (4, 5)
    assert "read-only file system" in said
    code, out, err = launch(project, "compare")
    assert code == 4
    assert "6 finished runs" in out
    assert "the page must be written; got read-only file system" in out + err
    assert "Traceback" not in out + err
    disk.remount("rw")
    assert thetas(project) == thetas(calm)
    assert points(project) == points(calm)
