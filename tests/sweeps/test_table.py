"""A comparison becomes plain text that fits the terminal and tells the same as the page."""

import unicodedata
from dataclasses import replace

import comparisons as made
import numpy as np
import pytest

from pipeline.sweeps.table import table

WIDTHS = [40, 60, 80, 100, 140, 200]


def columns(line: str) -> int:
    """How many columns a terminal gives the line: the definition of East Asian Width."""
    return sum(1 + (unicodedata.east_asian_width(c) in "FW") for c in line)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(
    "comparison",
    [
        made.with_failures(made.grid()),
        made.grid(name="数" * 99, sentences=("数 " * 99,), left_out=(("数" * 99, 2),)),
        made.grid({f"a.{'p' * 60}{i}": ("数" * 30, "b" * 90) for i in range(4)}, seeds=1),
        made.grid(candidates=(), board=None, chosen=None),
    ],
    ids=["usual", "wide characters", "long names", "nothing"],
)
def test_no_line_is_wider_than_the_terminal(comparison, width):
    lines = table(comparison, width).splitlines()
    assert max(map(columns, lines)) <= width


def test_the_sentences_stand_first_and_whole():
    sentences = ("One thing is known. " * 9, "Another.")
    text = table(made.grid(sentences=sentences), 60)
    assert " ".join(text.split()).startswith(
        "rates: 150 finished runs of 30 candidates " + " ".join(" ".join(sentences).split())
    )


def test_the_first_fifteen_are_shown_with_their_figures():
    comparison = made.grid()
    text = table(comparison, 200)
    lines = text.splitlines()
    head = next(i for i, line in enumerate(lines) if "valid cost" in line and "seeds" in line)
    shown = [line for line in lines[head + 1 :] if "0." in line and " to " in line]
    assert len(shown) == 15
    for line, candidate in zip(shown, comparison.candidates, strict=False):
        cost = np.mean([run.metrics["valid/best_cost"] for run in candidate.runs])
        assert f" {cost:.4f} " in line
        assert f" {candidate.params[made.CHOICE]} " in line
    assert "… and 15 more" in lines


def test_the_tied_are_marked_and_a_rule_stands_below_them():
    lines = table(made.grid(tied=3), 200).splitlines()
    marked = [line[:3].strip() for line in lines if line.startswith("=") and "0." in line]
    assert marked == ["=2*", "=3"]
    rule = next(i for i, line in enumerate(lines) if set(line) == {"-"})
    assert lines[rule - 1].startswith("=3")
    assert lines[rule + 1].startswith(" 4")
    assert "=  cannot be told apart from the first, at 95 % over all comparisons" in lines
    assert "*  chosen" in lines


def test_a_tie_further_down_is_marked_too_and_those_unseen_are_counted():
    comparison = made.grid(tied=1)
    tied = comparison.board.tied.copy()
    tied[[5, 20, 21]] = True
    text = table(replace(comparison, board=replace(comparison.board, tied=tied)), 200)
    assert next(line[:3].strip() for line in text.splitlines() if line.startswith("=")) == "=6"
    assert "… and 15 more, of which 2 tied" in text


def test_without_ties_nothing_is_marked():
    text = table(made.grid(tied=1, chosen=0), 200)
    assert not [line for line in text.splitlines() if line.startswith("=")]


def test_the_unfinished_and_the_left_out_are_counted():
    comparison = made.with_failures(made.grid(left_out=(("another table", 3),)))
    text = table(comparison, 200)
    assert "Not finished: 1 diverged, 1 failed" in text
    assert "Left out: 3 runs, another table" in text
    assert "Not finished" not in table(made.grid(), 200)


def test_without_validation_rows_no_one_is_tied_or_best():
    text = table(made.grid(board=None, chosen=None), 200)
    assert "cannot be told apart" not in text
    assert "–" in text


@pytest.mark.parametrize("place", ["name", "sentence", "value", "reason"])
def test_no_text_of_a_run_commands_the_terminal(place):
    evil = "\x1b[2J\x07\u202eevil\r\n\ud800"
    comparison = {
        "name": made.grid(name=evil),
        "sentence": made.grid(sentences=(evil,)),
        "value": made.grid({f"p.{evil}": (evil, "b")}),
        "reason": made.grid(left_out=((evil, 1),)),
    }[place]
    text = table(comparison, 200)
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "\\x1b[2J" in text
    assert not all(c.isprintable() or c == "\n" for c in evil)  # the control


def certified(comparison):
    """Of the first candidate all runs converged, of the second one stopped, of others nothing."""
    first, second, *others = comparison.candidates
    runs = tuple(replace(run, verdict="converged") for run in first.runs)
    early = {**second.runs[2].metrics, "certificate/gap": 0.1312}
    some = [replace(run, verdict="converged") for run in second.runs]
    some[2] = replace(some[2], verdict="stopped early", metrics=early)
    pair = (replace(first, runs=runs), replace(second, runs=tuple(some)))
    return replace(comparison, candidates=(*pair, *others))


@pytest.mark.parametrize("width", [80, 100, 200])
def test_how_far_training_got_is_told_by_the_worst_seed(width):
    lines = table(certified(made.grid()), width).splitlines()
    head = next(i for i, line in enumerate(lines) if "training" in line)
    assert " converged" in lines[head + 1]
    assert " stopped +0.13" in lines[head + 2]
    assert " unknown" in lines[head + 3]
    assert any(line.startswith("stopped +x  ended x nats per row above") for line in lines)
    assert not any("stopped +x" in line for line in table(made.grid(), width).splitlines())


def test_a_narrow_terminal_loses_figures_before_names():
    text = table(made.grid(), 80)
    assert "learning_ra…" in text or "learning_rate" in text
    assert "valid cost" in text
    assert "train cost" not in text
    assert "train cost" in table(made.grid(), 200)
