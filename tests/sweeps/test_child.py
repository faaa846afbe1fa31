"""A run is made in a child of its own: whatever it does, it costs that run alone."""

import errno
import faulthandler
import os
import signal
import sys
from dataclasses import replace

import numpy as np
import pytest
from sweep_builders import act, grid_of, make_run, use_project

from pipeline import files
from pipeline.errors import PRUNED, DiskError, StopRequest
from pipeline.record import Record, read
from pipeline.sweeps import child
from pipeline.sweeps.child import RunReport
from pipeline.sweeps.host import Host

pytestmark = pytest.mark.exhaustive


def fail():
    raise RuntimeError("planted")


def end_by(number: int):
    return lambda: (faulthandler.disable(), os.kill(os.getpid(), number))


def fill_memory():
    return [np.empty(2**27) for _ in range(400)]


# What the run of each seed does, how its failure is named, and what its message names.
ACTS = {
    1: (fail, "RuntimeError", "planted"),
    2: (lambda: sys.exit(0), "Exit", "exit code 0"),
    3: (lambda: sys.exit(3), "Exit", "exit code 3"),
    4: (lambda: os._exit(0), "Exit", "exit code 0"),
    5: (end_by(signal.SIGSEGV), "SIGSEGV", "signal 11"),
    6: (end_by(signal.SIGKILL), "SIGKILL", "signal 9"),
    7: (signal.pause, "Timeout", "sweep.timeout_s=2"),
    8: (fill_memory, "OutOfMemory", "sweep.memory_mb=9000"),
}
SESSION = 9


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> dict[int, tuple[RunReport, Record, str]]:
    """Report, record and log of each of ten runs, most of which do not train."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("made")
        use_project(patch, folder)
        acts = {seed: does for seed, (does, _, _) in ACTS.items()}
        act(patch, acts | {SESSION: lambda: print("session", os.getsid(0) == os.getpid())})
        patch.setattr(sys, "stdout", sys.__stdout__)  # or pytest would have what a run prints
        patch.setattr(sys, "stderr", sys.__stderr__)
        host, limits = Host(), ["sweep.timeout_s=2", "sweep.memory_mb=9000"]
        for seed in range(10):
            report = make_run(f"seed={seed}", *limits, host=host)
            record = read(files.RUNS / report.identity)
            found[seed] = report, record, (folder / "log").read_text()
        assert (folder / "log").stat().st_mode & 0o777 == 0o600
    return found


@pytest.mark.parametrize("seed", ACTS)
def test_whatever_a_run_does_is_its_own_failure_and_on_record(made, seed):
    """C08 to C14: it raises, exits, crashes, is killed, hangs, fills the memory."""
    (report, record, log), (_, kind, said) = made[seed], ACTS[seed]
    assert (report.status, report.failure.kind) == ("FAILED", kind)
    assert said in report.failure.message
    assert (record.status, record.failure.kind) == ("FAILED", kind)
    assert log.startswith(f"train.epochs=5 seed={seed}\n")


def test_the_others_are_done(made):
    assert [seed for seed, (report, _, _) in made.items() if not report.failure] == [0, 9]


def test_the_log_of_an_internal_error_has_its_traceback(made):
    assert "Traceback (most recent call last)" in made[1][2]


def test_a_run_is_in_a_session_of_its_own_where_the_terminal_cannot_reach_it(made):
    assert "session True" in made[SESSION][2]


def test_a_run_that_is_killed_after_its_commit_is_done(table, monkeypatch):
    """C11: it dies before it can say so, and its record decides."""
    monkeypatch.setattr(child, "report_of", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    report = make_run("seed=1")
    assert (report.status, report.failure) == ("FINISHED", None)
    assert read(files.RUNS / report.identity).status == "FINISHED"


def test_a_disk_that_takes_no_record_is_named(table, monkeypatch):
    """B04."""

    def full(*_, **__):
        raise DiskError("no space left")

    monkeypatch.setattr(child, "write", full)
    report = make_run("seed=1")
    assert (report.identity, report.failure.kind) == (None, "DiskError")
    assert "no space left" in report.failure.message


def test_a_disk_that_takes_no_log_is_named_in_a_record(table, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(child, "say", full)
    report = make_run("seed=1")
    assert (report.status, report.failure.kind) == ("FAILED", "DiskError")
    assert read(files.RUNS / report.identity).failure.kind == "DiskError"


def test_a_run_that_another_process_makes_is_left_to_it(table):
    assert make_run("seed=1").identity is not None
    lock = files.try_lock(next(files.RUNS.glob(".run_lock.*")))
    (job,) = grid_of("train.epochs=5", "seed=1").jobs
    assert Host().run(job, files.PROJECT / "log", StopRequest()) is None
    os.close(lock)
    assert Host().run(job, files.PROJECT / "log", StopRequest()).status == "FINISHED"


def test_a_run_that_is_done_is_not_made_again(table, monkeypatch):
    assert make_run("seed=1").status == "FINISHED"
    act(monkeypatch, {1: fail})
    assert make_run("seed=1").status == "FINISHED"
    # The control: it would fail.
    assert make_run("seed=1", "sweep.resume=false").status == "FAILED"


def test_a_run_that_is_made_again_must_give_the_same_bits_and_its_record_stays(table, monkeypatch):
    first = make_run("seed=1")
    attempt = read(files.RUNS / first.identity).head.attempt
    assert make_run("seed=1", "sweep.resume=false").status == "FINISHED"
    learn = child.learn

    def other_bits(*args):
        outcome = learn(*args)
        theta = outcome.trained.theta.copy()
        theta[0] = np.nextafter(theta[0], 9)
        return replace(outcome, trained=replace(outcome.trained, theta=theta))

    monkeypatch.setattr(child, "learn", other_bits)
    again = make_run("seed=1", "sweep.resume=false")
    assert (again.status, again.failure.kind) == ("FAILED", "Repeat")
    assert "theta[0]" in again.failure.message
    assert read(files.RUNS / first.identity).head.attempt == attempt


def test_a_run_that_is_pruned_keeps_what_it_learned_and_is_no_failure(table):
    report = make_run("seed=1", prune=lambda epoch: "it cannot win" if epoch.number == 2 else "")
    record = read(files.RUNS / report.identity)
    assert (report.status, report.failed, report.saved) == ("KILLED", False, 3)
    assert (record.failure.kind, record.failure.message) == (PRUNED, "it cannot win")
    assert record.failure.exit_code == 0
    assert record.curve["epoch"].tolist() == [0, 1, 2]
    assert make_run("seed=1").status == "FINISHED"  # the control: nobody prunes it


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, "KILLED"), (signal.SIGHUP, "KILLED"),
                           (signal.SIGINT, "FINISHED")],
)  # fmt: skip
def test_a_signal_but_ctrl_c_goes_on_to_the_run_which_keeps_what_it_learned(table, number, status):
    """C05 to C07."""
    stop = StopRequest()
    stop.signal = number
    report = make_run("train.epochs=2000", stop=stop)
    assert report.status == status
    curve = read(files.RUNS / report.identity).curve["epoch"]
    assert 0 < len(curve) <= 2001
    assert (len(curve) == 2001) == (status == "FINISHED")


def test_a_run_ends_with_the_process_that_makes_it(table, monkeypatch, fork):
    """However that ends: here by SIGKILL."""
    ready, begun = os.pipe()

    def hang():
        os.write(begun, b"!")
        signal.pause()

    with monkeypatch.context() as patch:
        act(patch, {1: hang})
        parent = fork(lambda: make_run("seed=1"))
    os.close(begun)
    assert os.read(ready, 1) == b"!"
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    assert os.read(ready, 1) == b""  # nobody is left who could write
    assert make_run("seed=1").status == "FINISHED"  # nor who holds its lock
