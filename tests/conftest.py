"""Shared fixtures: a small result made by hand, and a project folder with a store of its own."""

import copy
import dataclasses
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import paths
from pipeline.config import RunConfig, TrackingSettings
from pipeline.lineage import Lineage
from pipeline.run import Failure, RunResult
from pipeline.stages.certify import Certificate
from pipeline.stages.encode import Encoder, OneHot
from pipeline.stages.evaluate import Evaluation
from pipeline.stages.explain import Effect, Effects, Importance
from pipeline.stages.train import Trained
from pipeline.stages.validate import Category, ColumnProfile, Validation

IDENTITY = "0123456789abcdef0123456789abcdef"

CONFIG: dict[str, Any] = {
    "seed": 0,
    "data": {
        "name": "tiny",
        "path": "data/tiny.csv",
        "target": {"name": "class", "positive": ["yes"]},
        "columns": {"safety": {"kind": "categorical", "categories": ["low", "high"]}},
    },
    "split": {"name": "stratified", "seed": 0, "valid": 0.2, "test": 0.2},
    "encode": {"crosses": [], "unseen": "refuse"},
    "optimiser": {"name": "gradient_descent", "learning_rate": 0.1},
    "train": {"epochs": 4, "l2": 0.001},
    "evaluate": {"threshold": 0.5},
}


def make_result(
    n_epochs: int = 4,
    *,
    identity: str = IDENTITY,
    config: dict[str, Any] | None = None,
    **changes: Any,
) -> RunResult:
    """A FINISHED result with every stage filled; ``changes`` replaces fields of it."""
    epoch = np.arange(n_epochs + 1.0)
    curve = {
        "epoch": epoch,
        "objective": 0.7 / (1 + epoch) + 0.01,
        "train_cost": 0.7 / (1 + epoch),
        "train_accuracy": 1 - 0.3 / (1 + epoch),
        "valid_cost": 0.7 / (1 + epoch) + 0.1 / 3,
        "valid_accuracy": 1 - 0.4 / (1 + epoch),
    }
    theta = np.array([-1 / 3, 1 / 3, 0.1 + 0.2])
    inputs = ("safety=low", "safety=high")
    result = RunResult(
        config=RunConfig.parse(config or CONFIG),
        lineage=make_lineage(identity),
        validation=Validation(
            20, 2, 10, (), (), (
                ColumnProfile("safety", "categorical", 0, (Category("low", 10, 0.0),
                              Category("high", 10, 1.0)), None, None, None),
            ), None,
        ),
        n_train=12,
        n_valid=4,
        n_test=4,
        encoder=Encoder((OneHot(("safety",), (("low",), ("high",))),), "refuse"),
        trained=Trained(theta, inputs, curve, n_epochs, "epochs"),
        certificate=Certificate("converged", 2e-9, 3e-9, 0.15, 1e-6, 1e-11),
        evaluation=Evaluation(
            True, 4, 2, 0.5,
            {"accuracy": 0.75, "accuracy_low": 0.3, "accuracy_high": 0.95, "roc_auc": 1.0},
            {"accuracy": 0.5},
            ((1, 1), (0, 2)),
            np.array([[0.0, 0.0, np.inf], [1.0, 1.0, 0.1]]),
            np.array([[1.0, 1.0]]),
            np.array([[0.5, 0.5, 4.0]]),
        ),
        effects=Effects(
            (
                Effect("safety", "low", -1 / 3, 0.1, 0.7, -0.5, -0.1),
                Effect("safety", "high", 1 / 3, None, 1.4, None, None),
            ),
            (Importance("safety", 0.3),),
            0.3,
        ),
    )  # fmt: skip
    return dataclasses.replace(result, **changes)


def make_lineage(identity: str = IDENTITY, **changes: Any) -> Lineage:
    lineage = Lineage(
        identity=identity,
        data_digest="d" * 64,
        code_digest="c" * 64,
        code_files={"nn/loss.py": "a" * 64},
        git_commit="b" * 40,
        git_dirty=False,
        git_diff=None,
        versions={"python": "3.11.9", "numpy": "2.4.0"},
        platform="linux-x86_64",
        blas="openblas 0.3.30 Haswell",
        blas_threads=1,
    )
    return dataclasses.replace(lineage, **changes)


def make_failed(**changes: Any) -> RunResult:
    """A result that failed before anything was trained."""
    failure = Failure("DataError", "column safety must be low or high; got 'hihg'", None, 3)
    empty = dict.fromkeys(("encoder", "trained", "certificate", "evaluation", "effects"))
    return make_result(**{"status": "FAILED", "failure": failure, **empty, **changes})


@pytest.fixture
def result() -> RunResult:
    return make_result()


@pytest.fixture
def results() -> Callable[..., RunResult]:
    return make_result


@pytest.fixture
def failed_results() -> Callable[..., RunResult]:
    return make_failed


@pytest.fixture
def lineages() -> Callable[..., Lineage]:
    return make_lineage


@pytest.fixture
def tiny_config() -> dict[str, Any]:
    """A configuration as plain values, to be changed at will."""
    return copy.deepcopy(CONFIG)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project folder that stands for the real one."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.setattr(paths, "PROJECT", folder)
    monkeypatch.setattr(paths, "RUNS", folder / "runs")
    monkeypatch.setattr(paths, "SWEEPS", folder / "sweeps")
    monkeypatch.setattr(paths, "STORE", folder / "mlflow.db")
    monkeypatch.setattr(paths, "ARTIFACTS", folder / "mlartifacts")
    return folder


@pytest.fixture(scope="session")
def store_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real, empty store: copying it takes 0.02 s, making one 1.4 s."""
    from pipeline.tracking.sqlite import ensure_store

    folder = tmp_path_factory.mktemp("template")
    ensure_store(folder / "mlflow.db", folder / "mlartifacts")
    return folder / "mlflow.db"


@pytest.fixture
def settings(project: Path, store_template: Path) -> TrackingSettings:
    """Where a run is published in the project folder, in which a fresh store stands."""
    shutil.copy2(store_template, project / "mlflow.db")
    return TrackingSettings(experiment="tiny")


def fork(function: Callable[[], Any]) -> int:
    """The process id of a child that calls ``function`` and ends: 0, or 1 if it raised.

    A child of this process has MLflow imported already, which else takes seconds.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking next to xdist's threads
        child = os.fork()
    if child:
        return child
    code = 1
    try:
        function()
        code = 0
    except BaseException as error:
        print(f"child: {type(error).__name__}: {error}", file=sys.__stderr__, flush=True)
    finally:
        os._exit(code)


def exit_codes(children: list[int]) -> list[int]:
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


@pytest.fixture(name="fork")
def fork_fixture() -> Callable[[Callable[[], Any]], int]:
    return fork


@pytest.fixture(name="exit_codes")
def exit_codes_fixture() -> Callable[[list[int]], list[int]]:
    return exit_codes
