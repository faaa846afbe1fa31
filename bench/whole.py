"""The whole of ``python -m pipeline`` against the floor: its imports and an open store."""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from bench.clock import Times, side_by_side
from pipeline.compose import configuration
from pipeline.paths import PROJECT
from pipeline.run import run
from pipeline.shipped import write_if_missing
from pipeline.stages.certify import certify

# What a run needs, and the history that its record names; it makes its own data and store.
COPIED = ("nn", "pipeline", "conf", ".git", "pyproject.toml", "requirements.lock")

FLOOR = """
import numpy, pandas, mlflow, hydra, pandera.pandas
from mlflow import MlflowClient
MlflowClient("sqlite:///{store}").search_experiments()
"""


def race(rounds: int) -> Times:
    """Seconds of a run with the default configuration and of the floor, in a copy of the project.

    Every run has a seed of its own, so that none finds its record there already; the floor opens
    the very store that the runs fill.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "oneuron"
        copy_project(copy)
        seeds = itertools.count()
        floor = FLOOR.format(store=copy / "mlflow.db")
        python(copy, "-m", "pipeline", "seed=1000")
        return side_by_side(
            {
                "python -m pipeline": lambda: python(copy, "-m", "pipeline", f"seed={next(seeds)}"),
                "five imports and the store": lambda: python(copy, "-c", floor),
            },
            rounds,
        )


def certificate_share(words: list[str], rounds: int) -> tuple[float, float]:
    """Which share of a run's stages certifying is, and its seconds; medians over rounds."""
    config = configuration(words).run_config()
    spent: list[float] = []

    def timed(*arguments: Any) -> Any:
        start = time.perf_counter()
        found = certify(*arguments)
        spent.append(time.perf_counter() - start)
        return found

    write_if_missing(config.data.path)
    wholes = []
    with mock.patch("pipeline.run.certify", timed):
        for _ in range(rounds + 1):  # the first one imports
            start = time.perf_counter()
            run(config)
            wholes.append(time.perf_counter() - start)
    shares = np.array(spent[1:]) / np.array(wholes[1:])
    return float(np.median(shares)), float(np.median(spent[1:]))


def copy_project(folder: Path) -> None:
    folder.mkdir()
    for name in COPIED:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, folder / name)
        elif source.exists():
            shutil.copy(source, folder / name)


def python(folder: Path, *words: str) -> None:
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{words} must succeed; got exit code {done.returncode}: {done.stderr}")
