"""A line about what takes long: on a terminal, one that is cleared; in a log, none."""

import contextlib
import importlib
import io
import os
import pty
import re
import subprocess
import sys
import threading
import time

import pytest
from builders import FOREIGN, copy_project

from pipeline.console import progress
from pipeline.console.progress import PHASES, Working, count, phase_of
from pipeline.stages import infer, optimism
from pipeline.text import say

CLEAR = "\x1b[2K"  # the terminal forgets the line
HIDE_CURSOR = "\x1b[?25l"
LONG = "train.epochs=20000"
TRAINING = "pipeline.stages.train"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(progress, "QUIET_S", 0.0)
    monkeypatch.setattr(progress, "EVERY_S", 0.01)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "xterm")


def work(module: str, wait_s: float = 0.4) -> None:
    """Spend the time in a function of that module."""
    names = {"__name__": module}
    exec("def work(act): act()", names)
    names["work"](lambda: time.sleep(wait_s))


def test_what_is_done_is_shown_on_one_line_that_is_cleared(at_once):
    terminal = Terminal()
    with Working(terminal):
        work("pipeline.stages.optimism")
        count(1500, 2000, lambda: "train loss 0.6931")
        work(TRAINING)
    plain = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", terminal.getvalue())
    assert "refitting on bootstrap samples 0:00:0" in plain
    assert "epoch 1,500 of 2,000, train loss 0.6931" in plain
    assert CLEAR in terminal.getvalue().rpartition("epoch")[2]
    assert HIDE_CURSOR not in terminal.getvalue()  # a killed process could not bring it back
    assert max(map(len, re.split(r"[\r\n]", plain))) <= 80


def test_the_line_is_cleared_when_the_work_raises_and_before_something_is_said(
    at_once, monkeypatch
):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    with contextlib.suppress(KeyError), Working(terminal):
        work("pipeline.tracking.process")
        say("a word")
        work("pipeline.tracking.process")
        raise KeyError
    before, _, after = terminal.getvalue().partition("a word")
    assert CLEAR in before.rpartition("publishing")[2]
    assert "publishing" in after
    assert CLEAR in terminal.getvalue().rpartition("publishing")[2]


def test_short_work_is_not_shown_nor_what_has_no_name_and_a_log_shows_nothing(at_once, monkeypatch):
    terminal, log = Terminal(), io.StringIO()
    with Working(terminal):
        work("somewhere.else")
    with Working(log):
        work(TRAINING)
    monkeypatch.setenv("TERM", "dumb")
    with Working(terminal):
        work(TRAINING)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(progress, "QUIET_S", 1000.0)
    with Working(terminal):
        work(TRAINING)
    assert log.getvalue() == terminal.getvalue() == ""
    assert not [thread for thread in threading.enumerate() if "_draw" in thread.name]


def test_the_outermost_module_says_what_is_done_and_one_that_is_imported_says_nothing():
    def stack(*modules: str) -> str:
        """The phase of a stack of calls, the first outermost."""
        found = []

        def innermost():
            found.append(phase_of(sys._getframe()))

        act = innermost
        for module in reversed(modules):
            names = {"__name__": module, "act": act}
            exec("def work(): act()", names)
            act = names["work"]
        act()
        return found[0]

    assert (
        stack("pipeline.stages.penalty", "pipeline.stages.train")
        == PHASES["pipeline.stages.penalty"]
    )
    assert stack("pipeline.stages.encode.onehot") == PHASES["pipeline.stages.encode"]
    assert stack("pipeline.run", "nn.fit") == ""
    assert phase_of(None) == ""
    code = "found = find()"
    importing = {"__name__": "pipeline.record.find", "find": lambda: phase_of(sys._getframe())}
    exec(code, importing)  # as an import does
    assert importing["found"] == ""


def test_every_phase_is_a_module_and_every_stage_of_a_run_has_one():
    for name in PHASES:
        importlib.import_module(name)
    run = importlib.import_module("pipeline.run")
    for value in vars(run).values():
        module = getattr(value, "__module__", "")
        if (
            module.startswith("pipeline.stages.")
            and callable(value)
            and not isinstance(value, type)
        ):
            assert progress._phase(module), module
    assert progress._phase(optimism.__name__)
    assert progress._phase(infer.__name__)


@pytest.mark.exhaustive
def test_a_long_training_shows_a_line_on_a_terminal_and_none_in_a_pipe(tmp_path, store_template):
    project = copy_project(tmp_path / "project", store_template)
    ours, theirs = pty.openpty()
    kept = {name: text for name, text in os.environ.items() if not name.startswith(FOREIGN)}
    with subprocess.Popen(
        [sys.executable, "-m", "pipeline", LONG], cwd=project,
        env={**kept, "PYTHONPATH": str(project), "TERM": "xterm", "COLUMNS": "80"},
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
