"""What is printed suits what it is printed on: colour, characters and columns."""

import io
import re
import sys

import pytest
from rich.cells import cell_len

from pipeline.console.tty import coloured, columns, encodable, fitted, folded, has_colour, wrapped
from pipeline.text import say

TEXT = """\
One neuron on car: newton, l2 0.1, seed 0

Data      rows
          warning: few of a class
Training  converged: 0.0e+00 nats above the optimum
NOT HELD OUT: these are figures on the rows that trained the neuron
run KILLED: ended by SIGTERM"""
CODE = re.compile(r"\x1b\[\d+m")


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def bare(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.mark.parametrize(
    ("variables", "on_terminal", "in_log"),
    [
        ({}, True, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False, False),
    ],
)
def test_colour_is_for_terminals_that_have_it_and_for_people_who_want_it(
    bare, monkeypatch, variables, on_terminal, in_log
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (has_colour(Terminal()), has_colour(io.StringIO())) == (on_terminal, in_log)


def test_a_verdict_has_the_colour_of_its_kind_and_the_text_is_the_same_without(bare, monkeypatch):
    terminal, log = Terminal(), io.StringIO()
    for stream in (terminal, log):
        monkeypatch.setattr(sys, "stdout", stream)
        say(TEXT)
    assert log.getvalue() == CODE.sub("", terminal.getvalue()) == f"{TEXT}\n"
    shown = dict(re.findall(r"\x1b\[(\d+)m(.*?)\x1b\[0m", coloured(TEXT)))
    assert shown["32"] == "converged"
    assert shown["33"] == "warning"
    assert shown["31"] == "run KILLED"
    assert "\x1b[31mNOT HELD OUT\x1b[0m" in coloured(TEXT)
    assert "\x1b[1mTraining\x1b[0m  " in coloured(TEXT)


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "── ██ … 3 × 4 ≥ ∞ café λ 長"),
        ("latin-1", "-- ## ... 3 × 4 >= inf café \\u03bb \\u9577"),
        ("ascii", "-- ## ... 3 x 4 >= inf caf\\xe9 \\u03bb \\u9577"),
        ("iso8859-7", "-- ## ... 3 x 4 >= inf caf\\xe9 λ \\u9577"),
    ],
)
def test_a_character_that_an_encoding_lacks_becomes_a_plain_one_or_is_escaped(encoding, shown):
    """J16."""
    text = "── ██ … 3 × 4 ≥ ∞ café λ 長"
    assert encodable(text, encoding) == shown
    encodable(text, encoding).encode(encoding)


@pytest.mark.parametrize("error", [True, False])
def test_where_a_stream_was_closed_nothing_is_said(monkeypatch, error):
    """As by ``2>&-``; the control is the other one, which is open."""
    other = io.StringIO()
    monkeypatch.setattr(sys, "stderr" if error else "stdout", None)
    monkeypatch.setattr(sys, "stdout" if error else "stderr", other)
    say("lost", error=error)
    say("kept", error=not error)
    assert other.getvalue() == "kept\n"


def test_a_name_of_a_file_that_is_no_text_is_escaped():
    """As Linux allows: it reaches Python with a half of a surrogate pair."""
    assert encodable("caf\udce9.csv", "utf-8") == "caf\\udce9.csv"


@pytest.mark.parametrize(
    "text", ["plain words here", "長い名前 の列 x", "e\u0301te\u0301 ou", "🚗 cars 🚗🚗"]
)
def test_a_text_takes_the_columns_that_rich_counts_and_is_wrapped_and_cut_by_them(text):
    assert columns(text) == cell_len(text)
    for width in range(4, 20):
        assert cell_len(fitted(text, width)) == width
        lines = wrapped(text, width)
        assert max(map(cell_len, lines)) <= width
        assert "".join("".join(lines).split()) == "".join(text.split())


def test_a_wide_line_goes_on_below_what_stands_beside_its_title():
    words = "word " * 20
    assert folded(f"Data      {words}", 40).splitlines() == [
        "Data      word word word word word word",
        *["          word word word word word word"] * 2,
        "          word word",
    ]
    assert all(line.startswith("   word") for line in folded(f"   {words}", 40).splitlines())
    assert folded(words, 40).startswith("word word word word word word word word\nword")
    table = "name                0.5  ████\n\n          x"
    assert folded(table, 40) == table  # the control: what fits stays as it is
