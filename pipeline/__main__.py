"""The command line: ``python -m pipeline [key=value ...]`` runs, ``... predict|ui|sync|data`` more.

Exit codes: 0 ok, 1 a defect of ours, 2 command line or configuration, 3 data refused, 4 the run
failed, 5 tracking unavailable (the record is kept), 128 + n ended by a signal. Whatever is slow to
import stands in the function that needs it, so that help and refusals come at once.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from pipeline.errors import OK, ConfigError, PipelineError, disk_error
from pipeline.paths import CONF
from pipeline.words import Parser, ask_hydra, typed

HELP = """\
One neuron, every number tracked.

python -m pipeline [key=value ...]              train, evaluate and track one neuron
python -m pipeline --cfg job [key=value ...]    print the configuration that this would run
python -m pipeline -m [--plan] [key=a,b ...]    a run for each point of a grid, and how they compare
python -m pipeline compare|promote              compare runs again, make the best one champion
python -m pipeline reproduce|export|import      make a run again; hand it on; take one in
python -m pipeline predict|ui|sync|data         score rows, look at runs, publish, write the tables

Every key=value replaces one of the configuration, and a group takes one of its options:
{groups}
for example: python -m pipeline data=breast_cancer optimiser=adam optimiser.learning_rate=0.1
"""


def run(words: list[str]) -> int:
    """Run what the overrides ``words`` describe: one configuration, or with -m each in turn."""
    if {"--help", "-h"} & set(words):  # Hydra's own takes ten times as long
        print(HELP.format(groups=_groups()), end="")
        return OK
    if {"--multirun", "-m"} & set(words):
        return sweep(words)
    if any(word.startswith("-") for word in words):
        ask_hydra(words)
        return OK
    from pipeline.compose import configuration

    job = configuration(words)
    from pipeline.command import run_one

    gc.enable()
    return run_one(job, words)


def sweep(words: list[str]) -> int:
    """Run every point of a grid that is not done yet, or with --plan say which those are."""
    from pipeline.sweeps.sweep import run_sweep, show_plan

    gc.enable()
    flags = {word for word in words if word.startswith("-")}
    unknown = flags - {"--multirun", "-m", "--plan"}
    if unknown:
        raise ConfigError(
            f"-m must go with --plan or no other flag; got {' '.join(sorted(unknown))}"
        )
    overrides = [word for word in words if word not in flags]
    return show_plan(overrides) if "--plan" in flags else run_sweep(overrides)


def predict(words: list[str]) -> int:
    """Score a file with the model of a run."""
    parser = Parser("predict", "evaluate.threshold", "tracking")
    parser.add_argument("--run", default="latest", help="identity, latest, or champion")
    parser.add_argument("--input", default="", help="rows to score: csv, csv.gz or parquet")
    parser.add_argument("--output", default="", help="CSV to write")
    options, overrides, given = parser.read(words)
    if not (options.input and options.output):
        raise ConfigError(
            "INPUT and OUTPUT must be given: make predict RUN=latest INPUT=new.csv OUTPUT=out.csv; "
            f"got {options.input!r} and {options.output!r}"
        )
    from pipeline.command import score

    threshold = given.get("evaluate.threshold")
    return score(options.run, Path(options.input), Path(options.output), overrides, threshold)


def ui(words: list[str]) -> int:
    """Serve MLflow's page until Ctrl-C."""
    parser = Parser("ui")
    parser.add_argument("--port", type=int, default=5000, help="a free one is taken if it is not")
    options, _, _ = parser.read(words)
    from pipeline.ui import serve

    return serve(options.port)


def sync(words: list[str]) -> int:
    """Publish every record that the store or server does not have."""
    _, overrides, _ = Parser("sync", "tracking").read(words)
    from pipeline.compose import configuration

    tracking = configuration(overrides).tracking
    from pipeline.command import publish_missing

    return publish_missing(tracking)


def compare(words: list[str]) -> int:
    """Compare the runs of a sweep, or of any filter of MLflow."""
    parser = Parser("compare", "tracking")
    parser.add_argument("--sweep", default="latest", help="name, id (or its beginning), or latest")
    parser.add_argument("--filter", default="", help="of MLflow, as: params.seed = '0'")
    options, overrides, _ = parser.read(words)
    from pipeline.sweeps.conclude import compare_again

    return compare_again(options.sweep, options.filter, overrides)


def promote(words: list[str]) -> int:
    """Make the best of a sweep the champion of the registry, if it passes the gate."""
    parser = Parser("promote", "promote", "tracking")
    parser.add_argument("--sweep", default="latest", help="name, id (or its beginning), or latest")
    options, overrides, _ = parser.read(words)
    from pipeline.sweeps.promote import promote

    return promote(options.sweep, overrides)


def reproduce(words: list[str]) -> int:
    """Train a run again from its record, and say whether it is the same."""
    parser = Parser("reproduce", "data.path", "train.blas_threads", "tracking")
    parser.add_argument("--run", default="latest", help="identity, id in MLflow, latest, champion")
    parser.add_argument("--from", dest="source", default="", help="source: the code on record")
    parser.add_argument("--trust", default="", help="yes: also code that was not made here")
    options, overrides, given = parser.read(words)
    if options.source not in ("", "source"):
        raise ConfigError(f"FROM must be source, or not be given; got {options.source!r}")
    if options.trust not in ("", "yes"):
        raise ConfigError(f"TRUST must be yes, or not be given; got {options.trust!r}")
    from pipeline.command import make_again

    changes = [f"{key}={value}" for key, value in given.items() if not key.startswith("tracking")]
    source, trusted = bool(options.source), bool(options.trust)
    return make_again(options.run, overrides, changes, from_source=source, trusted=trusted)


def export(words: list[str]) -> int:
    """Write the record of a run to a zip."""
    parser = Parser("export", "tracking")
    parser.add_argument("--run", default="latest", help="identity, id in MLflow, latest, champion")
    parser.add_argument("--output", default="", help="zip to write")
    options, overrides, _ = parser.read(words)
    if not options.output:
        raise ConfigError("OUTPUT must be given: make export RUN=latest OUTPUT=run.zip; got ''")
    from pipeline.command import export

    return export(options.run, Path(options.output), overrides)


def take_in(words: list[str]) -> int:
    """Take in a run that was exported elsewhere."""
    parser = Parser("import", "tracking")
    parser.add_argument("--input", default="", help="zip that export has written")
    options, overrides, _ = parser.read(words)
    if not options.input:
        raise ConfigError("INPUT must be given: make import INPUT=run.zip; got ''")
    from pipeline.compose import configuration

    tracking = configuration(overrides).tracking
    from pipeline.command import take_in

    return take_in(Path(options.input), tracking, overrides)


def data(words: list[str]) -> int:
    """Write the tables that come with the project, or with --remove take them away again."""
    parser = Parser("data")
    parser.add_argument("--remove", action="store_true", help="those that could be written again")
    options, _, _ = parser.read(words)
    from pipeline.shipped import TABLES, remove_written, write_if_missing

    if options.remove:
        print("".join(f"removed: {path}\n" for path in remove_written()), end="")
        return OK
    for path in TABLES:
        print(f"{'written' if write_if_missing(path) else 'there already'}: {path}")
    return OK


COMMANDS = {
    "compare": compare,
    "promote": promote,
    "predict": predict,
    "reproduce": reproduce,
    "export": export,
    "import": take_in,
    "ui": ui,
    "sync": sync,
    "data": data,
}


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    os.umask(0o077)  # results are their owner's alone
    # Nothing to collect until a run begins: without collections, imports take a fifth less.
    gc.disable()
    try:
        words = typed(sys.argv[1:])
        named = COMMANDS.get(words[0]) if words else None
        code = named(words[1:]) if named else run(words)
    except PipelineError as refusal:
        code = _refuse(refusal)
    except BrokenPipeError:  # whoever read our output has left
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 128 + signal.SIGPIPE
    except OSError as error:
        told = disk_error(error)
        if told is None:
            raise
        code = _refuse(told)
    except KeyboardInterrupt:  # outside of training nothing is half-done: leave
        code = 128 + signal.SIGINT
    sys.exit(code)


def _refuse(refusal: PipelineError) -> int:
    """Say what is refused; the exit code."""
    from pipeline.redact import redact

    print(redact(str(refusal)), file=sys.stderr)
    return refusal.exit_code


def _groups() -> str:
    options: dict[str, list[str]] = {}
    for path in sorted(CONF.glob("*/*.yaml")):
        options.setdefault(path.parent.name, []).append(path.stem)
    return "".join(f"  {group:12}{' | '.join(names)}\n" for group, names in options.items())


if __name__ == "__main__":
    main()
