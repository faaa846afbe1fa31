"""The leaderboard has a row for each candidate with the figures of its runs."""

import compare_builders as made
import numpy as np

from pipeline.compare.comparison import VALID_LOSS
from pipeline.compare.leaderboard import FIGURES, leaderboard
from pipeline.stages.certify import Certificate


def test_each_candidate_has_the_means_over_its_seeds():
    comparison = made.grid()
    rows = leaderboard(comparison)
    assert [row.rank for row in rows] == list(range(1, 31))
    for row, candidate in zip(rows, comparison.candidates, strict=True):
        losses = [run.metrics[VALID_LOSS] for run in candidate.runs]
        assert list(row.figures) == list(FIGURES)
        assert row.figures["validation loss"] == f"{np.mean(losses):.4f}"
        assert row.figures["runs"] == "5"
        assert row.figures["sd"] == f"{np.std(losses, ddof=1):.4f}"
        assert row.figures["accuracy"] == f"{1 - np.mean(losses) / 2:.4f}"
        assert row.figures["train loss"] == f"{0.9 * np.mean(losses):.4f}"


def test_parameters_are_short_with_the_whole_beside_them():
    comparison = made.grid({made.RATE: (0.9767978278601162, 0.1)})
    assert leaderboard(comparison)[1].params == (("0.9768", "0.9767978278601162"),)


def test_the_best_the_tied_and_the_chosen_are_marked():
    rows = leaderboard(made.grid())
    assert [row.verdict for row in rows[:5]] == ["best", "tied", "tied", "tied", "worse"]
    assert [row.leads for row in rows[:5]] == [True, True, True, True, False]
    assert [row.rank for row in rows if row.chosen] == [2]


def test_without_validation_rows_there_is_no_verdict_but_the_loss_of_the_metrics():
    row = leaderboard(made.grid(board=None, chosen=None))[0]
    assert (row.verdict, row.leads, row.figures["excess"]) == ("", False, "–")
    assert row.figures["validation loss"].startswith("0.1")


def test_runs_that_did_not_finish_are_counted_beside_those_that_did():
    rows = leaderboard(made.with_failures(made.grid()))
    assert rows[-1].figures["runs"] == "5 of 6"
    assert rows[0].figures["runs"] == "5"


def test_one_seed_has_no_standard_deviation():
    assert {row.figures["sd"] for row in leaderboard(made.grid(seeds=1))} == {"–"}


def test_a_candidate_of_which_a_run_stopped_too_early_is_marked():
    early = Certificate("stopped early", 0.04)
    comparison = made.certified(
        made.grid(seeds=2), lambda place, seed: early if (place, seed) == (1, 1) else made.CONVERGED
    )
    rows = leaderboard(comparison)
    assert [row.figures["convergence"] for row in rows[:3]] == [
        "converged", "stopped +0.04", "converged",
    ]  # fmt: skip
    assert [row.early for row in rows[:3]] == [False, True, False]
    assert early.text in rows[1].detail
