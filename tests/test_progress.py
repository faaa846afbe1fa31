"""A live line about a long training: on a terminal, one; in a log, none."""

import contextlib
import io
import os
import pty
import re
import subprocess
import sys

import numpy as np
import pytest

from nn import Epoch
from pipeline import car, progress
from pipeline.paths import PROJECT
from pipeline.progress import Progress

NAN = float("nan")


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and what a person sees on it."""

    def isatty(self) -> bool:
        return True

    @property
    def seen(self) -> list[str]:
        return seen(self.getvalue())


def seen(text: str) -> list[str]:
    """The lines on the screen: a carriage return goes back, and what comes is written over."""
    lines = []
    for line in text.replace("\r\n", "\n").split("\n"):
        shown = ""
        for part in line.split("\r"):
            shown = part + shown[len(part) :]
        lines.append(shown.rstrip())
    return lines


def epoch(number: int, valid_cost: float = 0.5) -> Epoch:
    return Epoch(number, np.zeros(2), 0.7, 0.6931, 0.5, valid_cost, 0.5)


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(progress, "QUIET", 0.0)
    monkeypatch.setattr(progress, "EVERY", 0.0)


def test_epochs_are_shown_on_one_line_that_is_cleared(at_once):
    terminal = Terminal()
    with Progress(2000, terminal) as shown:
        shown.show(epoch(0))
        shown.show(epoch(1500))
        assert terminal.seen[0].startswith(
            "epoch 1,500 of 2,000, train cost 0.6931, valid 0.5000, 0 s left"
        )
        shown.show(epoch(3, NAN))
        assert terminal.seen[0].startswith("epoch 3 of 2,000, train cost 0.6931, ")
        assert "nan" not in terminal.seen[0]
    assert terminal.seen == [""]


def test_the_line_is_cleared_when_training_raises(at_once):
    terminal = Terminal()
    with contextlib.suppress(KeyError), Progress(9, terminal) as shown:
        shown.show(epoch(3))
        assert terminal.seen != [""]
        raise KeyError
    assert terminal.seen == [""]


def test_a_short_line_leaves_nothing_of_a_longer_one(at_once):
    terminal = Terminal()
    shown = Progress(10**6, terminal)
    for number in (999_999, 1):
        shown.show(epoch(number))
    assert len(terminal.seen) == 1
    assert terminal.seen[0].count("left") == 1
    assert terminal.seen[0].startswith("epoch 1 of")


def test_the_line_fits_a_narrow_terminal(at_once, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    terminal = Terminal()
    with Progress(2000, terminal) as shown:
        shown.show(epoch(1500))
        assert len(terminal.seen[0]) <= 19
    assert terminal.seen == [""]


def test_a_short_training_is_not_shown_and_a_log_never(at_once, monkeypatch):
    log = io.StringIO()
    Progress(9, log).show(epoch(3))
    monkeypatch.setattr(progress, "QUIET", 1000.0)
    terminal = Terminal()
    with Progress(9, terminal) as shown:
        shown.show(epoch(0))
        shown.show(epoch(3))
    assert log.getvalue() == terminal.getvalue() == ""


LONG = """
import sys
from pathlib import Path
from pipeline import command, paths
from pipeline.compose import configuration
from pipeline.signals import StopRequest
from pipeline.tracking import Published
paths.RUNS = Path(sys.argv[1])
words = ["train.epochs=20000", f"data.path={sys.argv[2]}"]
published = Published("0" * 32, "1", "nowhere", None, True)
command.run_and_track(configuration(words), words, lambda record: published, StopRequest())
"""


@pytest.fixture
def long_training(tmp_path) -> list[str]:
    (tmp_path / "car.data").write_bytes(car.content())
    return [sys.executable, "-c", LONG, str(tmp_path / "runs"), str(tmp_path / "car.data")]


@pytest.mark.slow
def test_a_long_training_on_a_terminal_shows_a_line_and_clears_it_before_the_summary(long_training):
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        long_training, cwd=PROJECT, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        text = read_all(ours)
    assert process.returncode == 0, text
    told = re.findall(r"epoch [\d,]+ of 20,000, train cost 0\.\d{4}", text)
    assert len(told) > 1
    on_screen = "\n".join(seen(text))
    assert "epoch " not in on_screen.partition("One neuron")[0]
    assert on_screen.lstrip().startswith("One neuron on car")


@pytest.mark.slow
def test_a_long_training_in_a_pipe_shows_nothing_but_its_summary(long_training):
    done = subprocess.run(long_training, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "\r" not in done.stdout
    assert done.stdout.startswith("One neuron on car")


def read_all(descriptor: int) -> str:
    """What was written to the other end of a terminal until it was closed."""
    chunks = []
    with os.fdopen(descriptor, "rb", buffering=0) as terminal:
        while True:
            try:
                chunk = terminal.read(4096)
            except OSError:  # Linux says so where the other end is closed
                break
            if not chunk:
                break
            chunks.append(chunk)
    return b"".join(chunks).decode()
