"""``python -m pipeline`` against its imports and an open store; the share of certifying."""

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

from bench.clock import Times
from pipeline.config.compose import configuration
from pipeline.files import PROJECT
from pipeline.run import learn, prepare
from pipeline.stages.certify import certify
from pipeline.stages.read import car
from pipeline.stages.read.datasets import write_if_missing

# What a run needs, and the history that its record names; it makes its own data and store.
COPIED = ("nn", "pipeline", "conf", ".git", "pyproject.toml", "requirements.lock")

FLOOR = """
import numpy, pandas, mlflow, hydra, pandera.pandas
from mlflow import MlflowClient
MlflowClient("sqlite:///{store}").search_experiments()
"""
BAD = "bad.data"  # the cars, one of them with a word that the contract does not know


def race(rounds: int) -> Times:
    """Seconds of a run, of its summary, of a refused table and of the floor, in a copy.

    Every run has a seed of its own, so that none finds its record there already; the floor opens
    the very store that the runs fill. A round before them warms up.
    """
    names = ("the summary", "the whole run", "a refused table", "five imports and the store")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "oneuron"
        copy_project(copy)
        floor = FLOOR.format(store=copy / "mlflow.db")
        for round_ in range(rounds + 1):
            run = python(copy, "-m", "pipeline", f"seed={round_}", until="Record")
            refused = python(copy, "-m", "pipeline", f"data.path={BAD}", exit_code=3)
            imports = python(copy, "-c", floor)
            if round_ > 0:
                for name, value in zip(names, (*run, refused[1], imports[1]), strict=True):
                    seconds[name].append(value)
    return Times(seconds)


def python(folder: Path, *words: str, until: str = "", exit_code: int = 0) -> tuple[float, float]:
    """Seconds until a line of the output holds ``until``, and until the process has ended."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *words], cwd=folder, text=True,
        env={**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    seen, printed = float("nan"), ""
    for line in process.stdout or ():
        printed += line
        if until in line and np.isnan(seen):
            seen = time.perf_counter() - begun
    if process.wait() != exit_code:
        raise RuntimeError(
            f"{words} must end with {exit_code}; got {process.returncode}: {printed}"
        )
    return seen, time.perf_counter() - begun


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
            learn(prepare(config), config)
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
    (folder / BAD).write_bytes(car.content().replace(b"vhigh,vhigh", b"vhihg,vhigh", 1))
