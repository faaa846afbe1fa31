"""The command line: ``python -m pipeline [key=value ...]`` runs, ``... predict|ui|sync|data`` more.

Exit codes: 0 ok, 1 a defect of ours, 2 command line or configuration, 3 data refused, 4 the run
failed, 5 tracking unavailable (the record is kept), 128 + n ended by a signal. Whatever is slow to
import stands in the function that needs it, so that help and refusals come at once.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NoReturn

from pipeline.errors import OK, ConfigError, PipelineError
from pipeline.paths import CONF

if TYPE_CHECKING:
    from omegaconf import DictConfig

HELP = """\
One neuron, every number tracked.

python -m pipeline [key=value ...]              train, evaluate and track one neuron
python -m pipeline --cfg job [key=value ...]    print the configuration that this would run
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
    if any(word.startswith("-") for word in words):
        composed = _compose_by_hydra(words)
        if not composed:  # --cfg, --info, --version
            return OK
        from pipeline.compose import parse_all

        jobs = parse_all(composed)
    else:
        from pipeline.compose import configuration

        jobs = [(configuration(words), words)]
    from pipeline.command import run_jobs

    gc.enable()
    return run_jobs(jobs)


def predict(words: list[str]) -> int:
    """Score a file with the model of a run."""
    parser = argparse.ArgumentParser(prog="python -m pipeline predict")
    parser.add_argument("--run", default="latest", help="identity (or its beginning), or latest")
    parser.add_argument("--input", required=True, help="rows to score: csv, csv.gz or parquet")
    parser.add_argument("--output", required=True, help="CSV to write")
    options = parser.parse_args(words)
    if not (options.input and options.output):
        raise ConfigError(
            "INPUT and OUTPUT must be given: make predict RUN=latest INPUT=new.csv OUTPUT=out.csv; "
            f"got {options.input!r} and {options.output!r}"
        )
    from pipeline.command import score

    return score(options.run, Path(options.input), Path(options.output))


def ui(words: list[str]) -> int:
    """Serve MLflow's page until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m pipeline ui")
    parser.add_argument("--port", type=int, default=5000, help="a free one is taken if it is not")
    options = parser.parse_args(words)
    from pipeline.ui import serve

    return serve(options.port)


def sync(words: list[str]) -> int:
    """Publish every record that the store or server does not have."""
    from pipeline.compose import configuration

    tracking = configuration(words).tracking
    from pipeline.command import publish_missing

    return publish_missing(tracking)


def data(_: list[str]) -> int:
    """Write the tables that come with the project."""
    from pipeline.shipped import TABLES, write_if_missing

    for path in TABLES:
        print(f"{'written' if write_if_missing(path) else 'there already'}: {path}")
    return OK


COMMANDS = {"predict": predict, "ui": ui, "sync": sync, "data": data}


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    os.umask(0o077)  # results are their owner's alone
    # Nothing to collect until a run begins: without collections, imports take a fifth less.
    gc.disable()
    words = sys.argv[1:]
    try:
        named = COMMANDS.get(words[0]) if words else None
        code = named(words[1:]) if named else run(words)
    except PipelineError as refusal:
        from pipeline.redact import redact

        print(redact(str(refusal)), file=sys.stderr)
        code = refusal.exit_code
    except KeyboardInterrupt:  # outside of training nothing is half-done: leave
        code = 128 + signal.SIGINT
    sys.exit(code)


def _compose_by_hydra(words: list[str]) -> list[tuple[DictConfig, list[str]]]:
    """What Hydra composes where there are flags: one tree and its overrides, with -m one a job.

    The runs themselves are none of Hydra's business: it would swallow their errors.
    """
    import hydra
    from hydra.core.hydra_config import HydraConfig

    composed: list[tuple[DictConfig, list[str]]] = []

    @hydra.main(version_base="1.3", config_path="../conf", config_name="config")
    def take(tree: DictConfig) -> None:
        composed.append((tree, list(HydraConfig.get().overrides.task)))

    os.environ["HYDRA_FULL_ERROR"] = "1"  # raises what it would otherwise print and swallow
    # A sweep writes its overrides to multirun.yaml, secrets included, wherever it is told to.
    with TemporaryDirectory() as discarded:
        overrides = [word for word in words if "=" in word and not word.startswith("-")]
        flags = [word for word in words if word not in overrides]
        sys.argv[1:] = [*flags, f"hydra.sweep.dir={discarded}", *overrides]
        try:
            take()
        except Exception as refusal:
            from pipeline.compose import REFUSALS, explain

            if not isinstance(refusal, REFUSALS):
                raise
            raise explain(refusal, overrides) from None
    return composed


def _groups() -> str:
    options: dict[str, list[str]] = {}
    for path in sorted(CONF.glob("*/*.yaml")):
        options.setdefault(path.parent.name, []).append(path.stem)
    return "".join(f"  {group:12}{' | '.join(names)}\n" for group, names in options.items())


if __name__ == "__main__":
    main()
