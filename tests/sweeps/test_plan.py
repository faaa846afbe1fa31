"""A plan says what is done, what is to run, and why; it makes nothing."""

import re
import shutil

import pytest
from builders import reseal
from sweep_builders import QUICK, act, grid_of

from pipeline import files
from pipeline.errors import StopRequest
from pipeline.record import read
from pipeline.sweeps import host as host_module
from pipeline.sweeps.host import Host
from pipeline.sweeps.manifest import new_sweep
from pipeline.sweeps.plan import format_jobs, format_plan, plan

pytestmark = pytest.mark.exhaustive

WORDS = (QUICK, "seed=range(2)", "data.sha256=null")


def make(host: Host, *words: str):
    """Make the runs of the words; the sweep that is remembered of it."""
    grid = grid_of(*words)
    steps = plan(grid, host, None)
    for job in grid.jobs:
        host.run(job, files.PROJECT / "log", StopRequest())
    return new_sweep(grid, words, [step.member for step in steps])


def planned(host: Host, *words: str, last=None):
    return plan(grid_of(*words), host, last)


@pytest.fixture
def host(table) -> Host:
    return Host()


def test_a_run_is_done_where_a_finished_record_of_it_stands(host):
    make(host, *WORDS)
    steps = planned(host, QUICK, "seed=range(3)", "data.sha256=null")
    assert [step.is_done for step in steps] == [True, True, False]
    assert [step.is_left for step in steps] == [False, False, True]
    assert [step.why for step in steps] == ["", "", ""]
    again = planned(host, *WORDS, "sweep.resume=false")
    assert [(step.is_left, step.why) for step in again] == [(True, "resume=false")] * 2


def test_what_failed_before_or_is_damaged_is_to_run_again(host, monkeypatch):
    """C17: its files are not what result.json says."""
    act(monkeypatch, {1: lambda: 1 / 0})
    make(host, *WORDS)
    first, second = planned(host, *WORDS)
    assert (first.is_done, second.why) == (True, "failed before")
    path = files.RUNS / first.identity / "curve.csv"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    first, _ = planned(host, *WORDS)
    assert first.is_left
    assert first.why.startswith("record damaged: curve.csv must ")


def test_a_record_of_another_format_is_damaged(host):
    make(host, *WORDS)
    first, _ = planned(host, *WORDS)
    reseal(files.RUNS / first.identity, format=1)
    assert "format" in planned(host, *WORDS)[0].why


def test_edited_data_are_named_by_their_digests(host, table):
    """D09."""
    last = make(host, *WORDS)
    table.write_bytes(table.read_bytes().replace(b"low,unacc", b"low,acc", 1))
    for step in planned(host, *WORDS, last=last):
        assert step.is_left
        assert re.fullmatch(r"data changed: digest [0-9a-f]{12}, it was [0-9a-f]{12}", step.why)


def test_edited_code_is_named_by_its_files(host):
    """D06."""
    last = make(host, *WORDS)
    edited = host._here.code_files | {"nn/optim.py": "0" * 64}
    changes = {"code_files": edited, "code_digest": "0" * 64}
    host._here = host._here.model_copy(update=changes)
    assert {s.why for s in planned(host, *WORDS, last=last)} == {"code changed: nn/optim.py"}


def test_a_run_that_left_nothing_was_interrupted(host):
    last = make(host, *WORDS)
    for step in planned(host, *WORDS):
        shutil.rmtree(files.RUNS / step.identity)
    assert {s.why for s in planned(host, *WORDS, last=last)} == {"interrupted before"}


def test_data_that_cannot_be_read_refuse_their_runs_alone(host):
    steps = planned(host, "data=car,breast_cancer", "data.max_bytes=60000")
    assert [step.identity is None for step in steps] == [False, True]
    assert "data.max_bytes" in steps[1].refusal.message
    assert steps[1].member.message == steps[1].refusal.message


def test_a_plan_makes_nothing_not_even_the_table_that_it_reads(host, table):
    shutil.rmtree(table.parent)
    grid = grid_of(*WORDS)
    steps = plan(grid, Host(writes=False), None)
    assert [step.is_left for step in steps] == [True, True]
    assert list(files.PROJECT.iterdir()) == []
    lines = format_plan(grid, steps, "0123456789ab")
    assert lines == ["Sweep 0123456789ab: 2 runs, 2 seed", "0 done already, 0 refused, 2 to run"]
    assert format_jobs(steps) == [
        f"     {n}  train.epochs=5 seed={n} data.sha256=null" for n in range(2)
    ]


def test_a_plan_of_many_points_reads_the_data_once(host, monkeypatch):
    reads = []
    read_table = host_module.read_table
    monkeypatch.setattr(host_module, "read_table", lambda data: reads.append(1) or read_table(data))
    assert len(planned(host, "seed=range(100)")) == 100
    assert len(reads) == 1


@pytest.mark.exhaustive
def test_what_runs_share_is_prepared_once(host, monkeypatch):
    prepared = []
    prepare = host_module.prepare
    monkeypatch.setattr(host_module, "prepare", lambda *a: prepared.append(1) or prepare(*a))
    make(host, QUICK, "split.seed=1,2", "seed=range(3)")
    assert len(prepared) == 2


def test_how_long_it_may_take_is_told_by_records_of_as_many_epochs(host):
    make(host, *WORDS)
    head = read(next(files.RUNS.glob("[0-9a-f]*"))).head
    for path in files.RUNS.glob("[0-9a-f]*"):
        reseal(path, ended_ms=head.started_ms + 2000, started_ms=head.started_ms)
    lines = format_jobs(planned(host, QUICK, "seed=range(32)", "data.sha256=null"))
    assert lines[-1].startswith("about 0:01:00 ")
    other = format_jobs(planned(host, "train.epochs=6", "seed=range(70)"))
    assert other[-1].strip() == "… and 10 more"


def test_data_that_change_after_the_plan_make_another_run(host, table):
    """G24: a run is what the bytes are that it was made of."""
    grid = grid_of(*WORDS)
    steps = plan(grid, host, None)
    table.write_bytes(table.read_bytes().replace(b"low,unacc", b"low,acc", 1))
    report = host.run(grid.jobs[0], files.PROJECT / "log", StopRequest())
    assert report.identity != steps[0].identity
    assert report.identity == plan(grid, host, None)[0].identity
