"""A comparison becomes plain text that fits the terminal and says the same as the page."""

import unicodedata
from dataclasses import replace

import compare_builders as made
import numpy as np
import pytest

from pipeline.compare.labels import format_difference
from pipeline.compare.text_table import text_table
from pipeline.stages.certify import Certificate

WIDTHS = [40, 60, 80, 100, 140, 200]


def columns(line: str) -> int:
    """How many columns a terminal gives the line: the definition of East Asian Width."""
    return sum(1 + (unicodedata.east_asian_width(c) in "FW") for c in line)


def board(text: str) -> tuple[str, list[str]]:
    """The heading of the leaderboard and its rows; a rule between two of them is one."""
    lines = text.splitlines()
    first = next(i for i, line in enumerate(lines) if set(line) == {"─"})
    rows = [line for line in lines[first + 1 :] if " 0." in line or set(line) == {"─"}]
    return f"{lines[first - 2]} {lines[first - 1]}", rows


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
    lines = text_table(comparison, width).splitlines()
    assert max(map(columns, lines)) <= width


def test_the_sentences_stand_first_and_whole():
    sentences = ("One thing is known. " * 9, "Another.")
    text = text_table(made.grid(sentences=sentences), 60)
    assert " ".join(text.split()).startswith(
        "rates: 150 finished runs of 30 candidates - "
        + " ".join(" - ".join(sentence.strip() for sentence in sentences).split())
    )


def test_the_first_fifteen_are_shown_with_their_figures():
    comparison = made.grid()
    text = text_table(comparison, 200)
    rows = [row for row in board(text)[1] if row[:3].strip(" =*").isdigit()]
    assert len(rows) == 15
    for row, candidate in zip(rows, comparison.candidates, strict=False):
        loss = np.mean([run.validation_loss for run in candidate.runs])
        assert {f"{loss:.4f}", candidate.params[made.CHOICE]} <= set(row.split())
    assert "… and 15 more" in text.splitlines()


def test_the_tied_are_marked_and_a_rule_stands_below_them():
    comparison = made.grid(tied=3)
    text = text_table(comparison, 200)
    rows = board(text)[1]
    assert [row[:3].strip() for row in rows[:5]] == ["1", "=2*", "=3", "───", "4"]
    assert {"95", "%", "="} <= set(text.partition("more")[2].split())
    assert "*  chosen: the simplest" in text
    assert f"it costs {format_difference(comparison.board.excess[1])} nats per row" in text


def test_a_tie_further_down_is_marked_too_and_those_unseen_are_counted():
    comparison = made.grid(tied=[0, 5, 20, 21])
    text = text_table(comparison, 200)
    assert [row[:3].strip() for row in board(text)[1] if row.startswith("=")] == ["=6"]
    assert "… and 15 more, of which 2 tied" in text


def test_without_ties_nothing_is_marked():
    text = text_table(made.grid(tied=1, chosen=0), 200)
    assert not [line for line in text.splitlines() if line.startswith("=")]


def test_the_unfinished_and_the_left_out_are_counted():
    comparison = made.with_failures(made.grid(left_out=(("another table", 3),)))
    text = text_table(comparison, 200)
    assert "Not finished: 1 diverged, 1 failed" in text
    assert "Left out: 3 runs, another table" in text
    assert "Not finished" not in text_table(made.grid(), 200)


def test_without_validation_rows_no_one_is_tied_or_best():
    text = text_table(made.grid(board=None, chosen=None), 200)
    assert "tied" not in text
    assert "–" in text


@pytest.mark.parametrize("place", ["name", "sentence", "value", "reason"])
def test_no_text_of_a_run_commands_the_terminal(place):
    evil = "\x1b[2J\x07\u202eevil[red]\r\n\ud800"
    comparison = {
        "name": made.grid(name=evil),
        "sentence": made.grid(sentences=(evil,)),
        "value": made.grid({f"p.{evil}": (evil, "b")}),
        "reason": made.grid(left_out=((evil, 1),)),
    }[place]
    text = text_table(comparison, 200)
    assert all(c.isprintable() or c == "\n" for c in text)
    assert "\\x1b[2J" in text
    assert "evil[red]" in text  # markup of rich is text
    assert not all(c.isprintable() or c == "\n" for c in evil)  # the control


@pytest.mark.parametrize("width", [80, 100, 200])
def test_how_far_training_got_is_shown_by_the_worst_seed(width):
    """Of the first candidate all runs converged, of the second one stopped, of others none said."""
    early = Certificate("stopped early", 0.1312)
    places = {0: made.CONVERGED, 1: made.CONVERGED}
    comparison = made.certified(
        made.grid(tied=1),
        lambda place, seed: early if (place, seed) == (1, 2) else places.get(place),
    )
    text = text_table(comparison, width)
    heading, rows = board(text)
    assert "convergence" in heading
    assert " converged" in rows[0]
    assert " stopped +0.13" in rows[2]
    assert " unknown" in rows[3]
    assert "\nstopped +x " in text
    assert "\nstopped +x " not in text_table(made.grid(), width)


def test_a_narrow_terminal_loses_figures_before_names():
    heading = board(text_table(made.grid(), 80))[0]
    assert "learning_ra" in heading
    assert {"validation", "loss"} <= set(heading.split())
    assert "train" not in heading
    assert "train" in board(text_table(made.grid(), 200))[0]


def test_without_seeds_of_their_own_figures_stand_as_plain_text():
    text = text_table(replace(made.grid(seeds=1), sentences=()), 200)
    assert "–" in board(text)[1][0].split()  # no standard deviation
