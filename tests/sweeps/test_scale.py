"""What a sweep costs per run does not grow with the number of its runs: counted, never timed."""

import os
import sys
from collections.abc import Callable

import pytest
from sweep_builders import grid_of

from pipeline import files
from pipeline.sweeps.host import Host
from pipeline.sweeps.plan import plan

_opened: list[str] = []
_counting = [False]


def _count(event: str, arguments: tuple[object, ...]) -> None:
    if _counting[0] and event in ("open", "os.listdir", "os.scandir"):
        _opened.append(str(arguments[0]))


sys.addaudithook(_count)  # it stays for as long as the process


def opened(work: Callable[[], object]) -> list[str]:
    """The files that are opened, and the folders that are listed, while the work is done."""
    _opened.clear()
    _counting[0] = True
    try:
        work()
    finally:
        _counting[0] = False
    return [*_opened]


def test_what_opens_files_is_counted(tmp_path):
    path = tmp_path / "file"
    assert [*map(os.fspath, opened(path.touch))] == [str(path)]
    assert len(opened(lambda: [path.read_bytes() for _ in range(3)])) == 3


@pytest.mark.exhaustive
def test_a_plan_of_many_runs_opens_no_more_files_than_one_of_few(table):
    files.make_private(files.RUNS)
    host = Host()
    few, many = (grid_of("seed=range(2)", f"train.l2=range({n})") for n in (2, 1000))
    plan(few, host, None)
    counted = [opened(lambda grid=grid: plan(grid, host, None)) for grid in (few, many)]
    assert len(counted[1]) == len(counted[0]) <= 2
