"""How far a sweep is: a live line on a terminal, a line for each run in a log."""

import io

from rich.console import Console

from pipeline.errors import PRUNED, Failure
from pipeline.sweeps.child import RunReport
from pipeline.sweeps.sweep_progress import SweepProgress

DONE = RunReport(0, "FINISHED", "a" * 32, None, "train loss 0.1", 0.25)
LOST = RunReport(1, "FAILED", "b" * 32, Failure("RuntimeError", "planted\nand more", None, 4))

PRUNED_RUN = RunReport(2, "KILLED", "c" * 32, Failure(PRUNED, "0.5 is above 0.4", None, 0), saved=9)


def shown(total: int, skipped: int, *ended, terminal: bool = False) -> str:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=terminal, width=100)
    with SweepProgress(total, skipped, console) as progress:
        for report, overrides in ended:
            progress.count(report, overrides)
    return stream.getvalue()


def test_a_log_gets_a_plain_line_for_each_run_with_its_place_and_figures():
    text = shown(12, 2, (DONE, ("seed=0", "encode.crosses=[[a,b]]")), (LOST, ("seed=1",)))
    assert text.splitlines() == [
        "[3/12] seed=0 encode.crosses=[[a,b]]: train loss 0.1, 0.25 s",
        "[4/12] seed=1: FAILED: planted and more",
    ]


def test_a_terminal_gets_one_line_that_is_written_anew_and_leaves_no_trace():
    text = shown(3, 1, (DONE, ("seed=0",)), terminal=True)
    assert "seed=0" not in text
    assert "1 done, 0 failed, 1 skipped, 1 left" in text
    assert text.rstrip("\x1b[?25h").endswith("\x1b[2K")  # the line is erased


def test_a_failure_stays_on_a_terminal():
    assert "[1/3] seed=1: FAILED: planted and more\n" in shown(
        3, 0, (LOST, ("seed=1",)), terminal=True
    )


def test_a_run_that_was_pruned_is_no_failure_and_says_what_it_saved():
    text = shown(2, 0, (PRUNED_RUN, ("seed=2",)), (DONE, ("seed=0",)))
    assert text.splitlines()[0] == "[1/2] seed=2: pruned: 0.5 is above 0.4"
    progress = SweepProgress(2, 0, Console(file=io.StringIO()))
    progress.count(PRUNED_RUN, ())
    assert progress.counts == "0 done, 0 failed, 1 pruned (9 epochs saved), 0 skipped, 1 left"
    assert (PRUNED_RUN.failed, LOST.failed) == (False, True)


def test_the_time_to_go_is_shown_once_runs_have_told_how_long_one_takes():
    assert "-:--:--" in shown(3, 0, terminal=True)
    text = shown(4, 0, *[(DONE, ())] * 3, terminal=True)
    assert "0:00:01" in text.rpartition("3 done")[2]


def test_a_secret_in_an_override_is_masked(monkeypatch):
    monkeypatch.setenv("A_TOKEN", "s3cr3t-Value-9913")
    assert "s3cr3t" not in shown(1, 0, (DONE, ("data.path=s3cr3t-Value-9913",)))
