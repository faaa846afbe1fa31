"""The command line: ``python -m pipeline COMMAND …``, the same as ``oneuron`` and make.

Whatever is slow to import stands in the function that needs it, so that help and refusals come at
once.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import nullcontext
from importlib.metadata import version
from typing import NoReturn

from pipeline import files
from pipeline.console.progress import Working
from pipeline.errors import OK, PipelineError, disk_error
from pipeline.text import say, say_as_installed


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    os.umask(0o077)  # results are their owner's alone
    # Nothing to collect until a run begins: without collections, imports take a fifth less.
    gc.disable()
    try:
        code = _run(sys.argv[1:])
    except PipelineError as refusal:
        code = _refuse(refusal)
    except BrokenPipeError:  # whoever read our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 128 + signal.SIGPIPE
    except OSError as error:
        refused = disk_error(error)
        if refused is None:
            raise
        code = _refuse(refused)
    except KeyboardInterrupt:  # outside of training nothing is half-done: leave
        code = 128 + signal.SIGINT
    sys.exit(code)


def _run(words: list[str]) -> int:
    """Run the command that the words begin with; without one, ``run``, or ``sweep`` with -m."""
    from pipeline.cli.arguments import parse
    from pipeline.cli.help import command_help, overview
    from pipeline.cli.table import BY_NAME

    name, rest = (words[0], words[1:]) if words and words[0] in BY_NAME else ("run", words)
    if name == "run" and {"-m", "--multirun"} & {*rest}:
        name, rest = "sweep", [word for word in rest if word not in ("-m", "--multirun")]
    if words[:1] in (["--help"], ["-h"]):
        say(overview())
        return OK
    if words == ["--version"]:
        say(f"oneuron {version('oneuron')}")
        return OK
    if {"--help", "-h"} & {*rest}:
        say(command_help(BY_NAME[name]))
        return OK
    if files.IS_INSTALLED:
        say_as_installed(BY_NAME)
        if name not in ("init", "completion"):
            files.require_project()
    command, given = BY_NAME[name], parse(name, rest)
    with Working() if command.is_watched else nullcontext():
        return command.handler(given)


def _refuse(refusal: PipelineError) -> int:
    say(str(refusal), error=True)
    return refusal.exit_code


if __name__ == "__main__":
    main()
