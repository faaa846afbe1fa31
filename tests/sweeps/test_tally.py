"""How far a sweep is: a live line on a terminal, a line for each run in a log."""

import io

import pytest

from pipeline.sweeps.tally import Tally, clock
from pipeline.sweeps.task import Outcome

DONE = Outcome(0, "FINISHED", "a" * 32, "", "", 0)
LOST = Outcome(1, "FAILED", "b" * 32, "RuntimeError", "planted\nand more", 4)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_log_gets_a_line_for_each_run_with_its_place():
    stream = io.StringIO()
    tally = Tally(12, 2, stream)
    tally.count(DONE, ("seed=0",), "train cost 0.1")
    tally.count(LOST, ("seed=1",), "")
    assert stream.getvalue().splitlines() == [
        "[ 3/12] seed=0: train cost 0.1",
        "[ 4/12] seed=1: FAILED: planted; and more",
    ]


def test_a_terminal_gets_one_line_that_is_written_anew_and_leaves_no_trace():
    stream = Terminal()
    tally = Tally(3, 1, stream)
    tally.count(DONE, ("seed=0",), "train cost 0.1")
    assert "\n" not in stream.getvalue()
    assert "1 done, 0 failed, 1 skipped, 1 left, 0.0 s to go" in stream.getvalue()
    tally.clear()
    assert stream.getvalue().endswith(" \r")


def test_a_failure_stays_on_a_terminal():
    stream = Terminal()
    Tally(3, 0, stream).count(LOST, ("seed=1",), "")
    assert "[1/3] seed=1: FAILED: planted; and more\n" in stream.getvalue()


def test_there_is_no_time_to_go_before_a_run_has_told_how_long_one_takes():
    assert Tally(3, 0, io.StringIO()).line() == "0 done, 0 failed, 0 skipped, 3 left"


def test_a_secret_in_an_override_is_masked(monkeypatch):
    monkeypatch.setenv("A_TOKEN", "s3cr3t-Value-9913")
    stream = io.StringIO()
    Tally(1, 0, stream).count(DONE, ("data.path=s3cr3t-Value-9913",), "")
    assert "s3cr3t" not in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.04, "0.0 s"), (9.96, "10.0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (3599.6, "1 h 00 min"),
     (7384, "2 h 03 min")],
)  # fmt: skip
def test_the_clock(seconds, told):
    assert clock(seconds) == told
