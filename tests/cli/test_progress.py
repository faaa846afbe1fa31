"""A live bar about a long training: on a terminal, one that is cleared; in a log, none."""

import contextlib
import io
import os
import pty
import re
import subprocess
import sys

import numpy as np
import pytest
from builders import copy_project

from nn import Epoch
from pipeline.cli import progress
from pipeline.cli.progress import TrainingProgress

NAN = float("nan")
CLEAR = "\x1b[2K"  # the terminal forgets the line
LONG = "train.epochs=20000"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def epoch(number: int, valid_loss: float = 0.5) -> Epoch:
    return Epoch(number, np.zeros(2), 0.7, 0.6931, 0.5, valid_loss, 0.5)


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    monkeypatch.setattr(progress, "EVERY_S", 0.0)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")


def test_epochs_are_shown_on_one_line_that_is_cleared(at_once):
    terminal = Terminal()
    with TrainingProgress(2000, terminal) as shown:
        shown.show(epoch(0))
        shown.show(epoch(1500))
        assert "epoch 1,500 of 2,000, train loss 0.6931, validation 0.5000" in terminal.getvalue()
        shown.show(epoch(3, NAN))
        assert re.search(r"epoch 3 of 2,000, train loss 0\.6931 ", terminal.getvalue())
        assert "nan" not in terminal.getvalue()
    assert CLEAR in terminal.getvalue().rpartition("epoch")[2]


def test_the_line_is_cleared_when_training_raises(at_once):
    terminal = Terminal()
    with contextlib.suppress(KeyError), TrainingProgress(9, terminal) as shown:
        shown.show(epoch(3))
        raise KeyError
    assert CLEAR in terminal.getvalue().rpartition("epoch")[2]


def test_a_short_training_is_not_shown_and_a_log_never(at_once, monkeypatch):
    log = io.StringIO()
    with TrainingProgress(9, log) as shown:
        shown.show(epoch(3))
    monkeypatch.setattr(progress, "QUIET_S", 1000.0)
    terminal = Terminal()
    with TrainingProgress(9, terminal) as shown:
        shown.show(epoch(0))
        shown.show(epoch(3))
    assert log.getvalue() == terminal.getvalue() == ""


@pytest.mark.exhaustive
def test_a_long_training_shows_a_line_on_a_terminal_and_none_in_a_pipe(tmp_path, store_template):
    project = copy_project(tmp_path / "project", store_template)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", LONG], cwd=project,
        env={**os.environ, "PYTHONPATH": str(project), "TERM": "xterm", "COLUMNS": "120"},
        stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True,
    ) as process:  # fmt: skip
        os.close(theirs)
        assert process.stdout is not None
        out = process.stdout.read()
        shown = read_all(ours)
    assert process.returncode == 0, out
    assert len(re.findall(r"epoch [\d,]+ of 20,000, train loss 0\.\d{4}", shown)) > 1
    assert CLEAR in shown.rpartition("epoch")[2]
    assert out.startswith("One neuron on car")
    assert "epoch 1" not in out


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
