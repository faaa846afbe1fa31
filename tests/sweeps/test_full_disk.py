"""A disk that is full or read-only: told in a line, and nothing is lost."""

import re
from pathlib import Path

import pytest
from disks import Disk, fill, small_disk
from swept import copy_project, launch, points, statuses, weights

pytestmark = pytest.mark.slow

WORDS = ("seed=range(6)", "train.epochs=300", "sweep.name=full")
LITTER = re.compile(r"\.tmp\.|\.upload\.|^\..*\.\d+\.[0-9a-f]{8}$")
FULL = re.compile("no space left|disk is full|disk i/o error")


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", "size=64m") as made:
        yield made


def sweep(folder: Path) -> tuple[int, str]:
    code, out, err = launch(folder, *WORDS, env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert "Traceback" not in out + err, out + err
    return code, (out + err).lower()


def finished(folder: Path) -> int:
    found = statuses(folder)
    assert "RUNNING" not in {status for _, _, status in found}
    return sum(not kind and status == "FINISHED" for kind, _, status in found)


@pytest.fixture(scope="module")
def calm(tmp_path_factory, store_template) -> Path:
    """The same sweep where there is room."""
    folder = copy_project(tmp_path_factory.mktemp("calm") / "project", store_template)
    assert sweep(folder)[0] == 0
    return folder


@pytest.mark.exhaustive
@pytest.mark.parametrize("leave", [0, 60_000, 400_000, 1_200_000])
def test_a_full_disk_is_told_and_with_room_the_same_command_ends_the_sweep(
    disk, calm, store_template, leave
):
    """B04, B05: so many bytes are free, from none to enough for some of the runs."""
    project = copy_project(disk.folder / "project", store_template)
    filled = fill(disk.folder, leave)
    code, told = sweep(project)
    assert code in (4, 5), told
    assert FULL.search(told), told
    filled.unlink()
    code, told = sweep(project)
    assert code == 0, told
    assert weights(project) == weights(calm)
    assert points(project) == points(calm)
    assert finished(project) == 6
    assert [p for p in project.rglob("*") if LITTER.search(p.name)] == []


def test_a_read_only_folder_is_told_and_nothing_is_lost(disk: Disk, calm, store_template):
    """A09: at the start, and where it becomes so after a sweep."""
    project = copy_project(disk.folder / "project", store_template)
    disk.remount("ro")
    code, told = sweep(project)
    assert code in (4, 5)
    assert "read-only file system" in told
    assert len(told) < 2000
    disk.remount("rw")
    assert sweep(project)[0] == 0
    disk.remount("ro")
    code, told = sweep(project)
    assert code in (4, 5)
    assert "read-only file system" in told
    code, out, err = launch(project, command=("compare",))
    assert code == 4
    assert "6 finished runs" in out
    assert "the page must be written; got read-only file system" in out + err
    assert "Traceback" not in out + err
    disk.remount("rw")
    assert weights(project) == weights(calm)
    assert points(project) == points(calm)
