"""What tests are made of: tables, problems, outcomes, records, copies of the project, its store."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import log_expit

from nn import Examples
from pipeline import files
from pipeline.config.contract import DataSettings
from pipeline.config.schema import RunConfig
from pipeline.errors import Failure
from pipeline.record import Record, write
from pipeline.record.head import seal_of
from pipeline.record.identity import COMPUTING, RECORDED, Environment
from pipeline.stages.certify import Certificate
from pipeline.stages.copies import Copies
from pipeline.stages.drift import Distribution
from pipeline.stages.encode import Encoder, OneHot
from pipeline.stages.evaluate import Evaluation, RowLosses
from pipeline.stages.explain import Effects
from pipeline.stages.importance import Importance
from pipeline.stages.infer import Effect, Inference
from pipeline.stages.optimism import Corrected, Optimism
from pipeline.stages.outcome import Finished, Prepared, Refused, Unfinished
from pipeline.stages.read import car
from pipeline.stages.split import Dealing
from pipeline.stages.train import Trained
from pipeline.stages.validate import Table, Validation
from pipeline.stages.validate.profile import Category, ColumnProfile
from pipeline.tracking.projection import CLAIMED

PROJECT = Path(__file__).resolve().parent.parent

# --- tables -----------------------------------------------------------------------------------


def make_table(
    columns: dict[str, Sequence[object]], y: Sequence[float], count: Sequence[int] | None = None
) -> Table:
    counts = np.ones(len(y), np.int64) if count is None else np.array(count, np.int64)
    return Table(pd.DataFrame(columns), np.array(y, np.float64), counts)


def make_data(columns: dict[str, dict[str, object]]) -> DataSettings:
    target = {"name": "class", "positive": ["yes"]}
    return DataSettings.parse({"name": "t", "path": "t.csv", "target": target, "columns": columns})


def repeated(table: Table) -> Table:
    """The table written out: every row as often as it counts."""
    rows = np.repeat(np.arange(len(table.y)), table.count)
    frame = table.frame.iloc[rows].reset_index(drop=True)
    return Table(frame, table.y[rows], np.ones(len(rows), np.int64))


# --- problems for one neuron --------------------------------------------------------------------


def written_out(rows: Examples) -> Examples:
    """The rows, each written as often as it counts, by whole numbers."""
    order = np.repeat(np.arange(len(rows.y)), rows.count.astype(int))
    return Examples(rows.X[order], rows.y[order], np.ones(len(order)))


def scipy_objective(theta: np.ndarray, rows: Examples, l2: float) -> float:
    """The objective in nats per row by SciPy, with nothing of ours in it."""
    z = rows.X @ theta[:-1] + theta[-1]
    losses = np.where(rows.y == 1, -log_expit(z), -log_expit(-z))
    return float(np.average(losses, weights=rows.count) + l2 / 2 * np.sum(theta[:-1] ** 2))


def one_hot_cars() -> Examples:
    """All 1,728 cars, one-hot (1728, 21), without any code of ours but the table's."""
    columns = [np.array(column) for column in zip(*car.rows(), strict=True)]
    one_hot = [
        (column[:, None] == np.array(values)).astype(np.float64)
        for column, values in zip(columns, car.ATTRIBUTES.values(), strict=False)
    ]
    y = (columns[-1] != "unacc").astype(np.float64)
    return Examples(np.hstack(one_hot), y, np.ones(len(y)))


@dataclass(frozen=True)
class Problem:
    """Rows, a penalty and a start; ``str`` says which."""

    number: int
    kind: str
    examples: Examples
    l2: float
    start: np.ndarray

    def __str__(self) -> str:
        n, d = self.examples.X.shape
        return f"{self.number}-{self.kind}-{n}x{d}-l2={self.l2:.0e}"


def problem(number: int) -> Problem:
    """Numbers of several scales, one-hot columns with a bias, or both; counts; both classes."""
    rng = np.random.default_rng(number)
    kind = ("numbers", "one-hot", "mixed")[number % 3]
    n = int(rng.integers(8, 120))
    blocks = []
    if kind != "one-hot":
        d = int(rng.integers(1, 6))
        blocks.append(rng.normal(size=(n, d)) * 10 ** rng.uniform(-1, 1, d) + rng.normal(size=d))
    if kind != "numbers":
        blocks += [np.eye(k)[rng.integers(0, k, n)] for k in rng.integers(2, 5, rng.integers(1, 4))]
    X = np.hstack(blocks)
    strength = 10 ** rng.uniform(-1, 1.3)  # of the highest, most problems separate without l2
    z = strength * X @ rng.normal(size=X.shape[1]) / np.sqrt(X.shape[1])
    y = (z - np.median(z) + rng.logistic(size=n) > 0).astype(np.float64)
    y[:2] = 0.0, 1.0
    count = rng.integers(1, 6, n).astype(np.float64)
    l2 = float(10 ** rng.uniform(-5, 0))
    start = rng.uniform(-0.5, 0.5, X.shape[1] + 1)
    return Problem(number, kind, Examples(X, y, count), l2, start)


PROBLEMS = [problem(number) for number in range(200)]

# --- outcomes -----------------------------------------------------------------------------------

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


def make_environment(**changes: Any) -> Environment:
    here = Environment(
        code_digest="c" * 64,
        code_files={"nn/loss.py": "a" * 64},
        git_commit="b" * 40,
        git_dirty=False,
        versions={"python": "3.11.9", **dict.fromkeys((*COMPUTING, *RECORDED), "1.0")},
        platform="linux-x86_64",
        blas="openblas 0.3.30 Haswell",
        arithmetic="glibc 2.36, AVX2",
    )
    return here.model_copy(update=changes)


def make_validation(**changes: Any) -> Validation:
    categories = (Category("low", 10, 0.0), Category("high", 10, 1.0))
    profile = (ColumnProfile("safety", "categorical", 0, categories, None, None, None),)
    return replace(Validation(20, 2, 10, (), (), profile, None), **changes)


def make_prepared(**changes: Any) -> Prepared:
    rows = Examples(np.eye(2), np.array([0.0, 1.0]), np.array([6.0, 6.0]))
    prepared = Prepared(
        data_digest="d" * 64,
        validation=make_validation(),
        dealing=Dealing((12, 4, 4)),
        held_out=True,
        train_share=0.5,
        encoder=Encoder((OneHot(("safety",), (("low",), ("high",))),), "refuse"),
        unseen={},
        train=rows,
        valid=rows,
        test=rows,
        copies=Copies(np.zeros(2, bool)),
        inference=Inference((), (), "profile likelihood", np.eye(3)),
        distributions=(
            Distribution("safety", (), ("high", "low"), (6.0, 6.0, 0.0)),
            Distribution("class", (), ("negative", "positive"), (6.0, 6.0, 0.0)),
        ),
        drift=(),
    )
    return replace(prepared, **changes)


def make_trained(n_epochs: int = 4, **changes: Any) -> Trained:
    epoch = np.arange(n_epochs + 1.0)
    curve = {
        "epoch": epoch,
        "objective": 0.7 / (1 + epoch) + 0.01,
        "train_loss": 0.7 / (1 + epoch),
        "train_accuracy": 1 - 0.3 / (1 + epoch),
        "valid_loss": 0.7 / (1 + epoch) + 0.1 / 3,
        "valid_accuracy": 1 - 0.4 / (1 + epoch),
    }
    theta = np.array([-1 / 3, 1 / 3, 0.1 + 0.2])
    trained = Trained(theta, ("safety=low", "safety=high"), curve, n_epochs, "epochs", 0.001)
    return replace(trained, **changes)


def make_evaluation(**changes: Any) -> Evaluation:
    evaluation = Evaluation(
        held_out=True,
        n_rows=4,
        n_positive=2,
        n_seen=0,
        threshold=0.5,
        metrics={
            "accuracy": 0.75, "accuracy_low": 0.3, "accuracy_high": 0.95,
            "balanced_accuracy": 0.75, "precision": 2 / 3, "recall": 1.0, "f1": 0.8,
            "roc_auc": 1.0, "roc_auc_low": 0.4, "roc_auc_high": 1.0, "pr_auc": 1.0,
            "log_loss": 0.3, "brier": 0.1, "expected_calibration_error": 0.05,
            "expected_calibration_error_chance": 0.02,
            "expected_calibration_error_chance_high": 0.04,
        },
        baseline={"accuracy": 0.5, "log_loss": 0.693},
        confusion=((1, 1), (0, 2)),
        roc=np.array([[0.0, 0.0, np.inf], [1.0, 1.0, 0.1]]),
        pr=np.array([[1.0, 1.0]]),
        calibration=np.array([[0.5, 0.5, 4.0, 0.0, 1.0]]),
        decision_curve=np.array([[0.5, 0.25, 0.0]]),
        gain=np.array([[0.0, 0.0], [1.0, 1.0]]),
        thresholds=np.array([[0.1, 1.0, 0.5, 1.0], [0.5, 0.75, 2 / 3, 1.0]]),
    )  # fmt: skip
    return replace(evaluation, **changes)


def make_finished(
    n_epochs: int = 4, config: dict[str, Any] | None = None, **changes: Any
) -> Finished:
    """An outcome with every stage filled; ``changes`` replaces fields of it."""
    effects = (
        Effect("safety", "low", -0.4, -1 / 3, 0.1, 0.7, -0.5, -0.1),
        Effect("safety", "high", 0.4, 1 / 3, None, 1.4, None, None),
    )
    outcome = Finished(
        config=RunConfig.parse(config or CONFIG),
        prepared=make_prepared(),
        trained=make_trained(n_epochs),
        certificate=Certificate("converged", 2e-9, 3e-9, 0.15, 1e-6, 1e-11),
        validation_losses=RowLosses(np.array([0.1, 0.2]), np.array([1.0, 3.0])),
        test_losses=RowLosses(np.array([0.1, 0.5]), np.array([2.0, 2.0])),
        evaluation=make_evaluation(),
        effects=Effects(effects, (Importance("safety", 0.3),), 0.3),
        optimism=Optimism(200, 12, 0, 0, {"log_loss": Corrected(0.25, -0.125, 0.01, 0.375)}),
        surface=None,
    )
    return replace(outcome, **changes)


def make_refused(**changes: Any) -> Unfinished:
    """An outcome that failed before anything was trained."""
    failure = Failure("DataError", "column safety must be low or high; got 'hihg'", None, 3)
    refused = Refused("d" * 64, make_validation(), failure)
    return replace(Unfinished(RunConfig.parse(CONFIG), refused, failure), **changes)


def make_record(seed: int = 0, folder: Path | None = None, **more: Any) -> Record:
    """A FINISHED record, another one for each seed; ``more`` goes to ``write``."""
    return write(
        make_finished(config={**CONFIG, "seed": seed}), folder, here=make_environment(), **more
    )


def make_failed_record(folder: Path | None = None, **changes: Any) -> Record:
    """A record that did not finish; ``changes`` are of its outcome."""
    return write(make_refused(**changes), folder, here=make_environment())


def make_stopped(**changes: Any) -> Unfinished:
    """An outcome that a signal ended while it trained."""
    config, failure = RunConfig.parse(CONFIG), Failure("SIGTERM", "ended by SIGTERM", None, 143)
    stopped = Unfinished(config, make_prepared(), failure, "KILLED", make_trained())
    return replace(stopped, **changes)


# --- a copy of the project ------------------------------------------------------------------------

FOREIGN = ("GIT_", "HYDRA", "MLFLOW", "PYTHON")  # variables that must not reach a command


def copy_project(folder: Path, store: Path | None = None) -> Path:
    """The code and the configuration, the car table, and a store where one is given."""
    for name in ("nn", "pipeline", "conf"):
        shutil.copytree(PROJECT / name, folder / name)  # compiled files too: they save seconds
    edit(
        folder / "conf" / "evaluate" / "default.yaml", "bootstrap: 200", "bootstrap: null"
    )  # 0.1 s
    (folder / "data").mkdir()
    (folder / "data" / "car.data").write_bytes(car.content())
    if store is not None:
        shutil.copy2(store, folder / "mlflow.db")
    return folder


def start(folder: Path, *words: str, **variables: str) -> subprocess.Popen[str]:
    """Start a command of the copy; a warning of Python is an error of it."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(FOREIGN)}
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *words], cwd=folder, text=True,
        env={**kept, "PYTHONPATH": str(folder), "PYTHONWARNINGS": "error", **variables},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def launch(folder: Path, *words: str, **variables: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command of the copy."""
    process = start(folder, *words, **variables)
    out, err = process.communicate(timeout=250)
    return process.returncode, out, err


def edit(path: Path, old: str, new: str) -> None:
    """Replace the one place where ``old`` stands."""
    text = path.read_text()
    assert text.count(old) == 1, (path, text.count(old))
    path.write_text(text.replace(old, new))


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    kept = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", "-C", str(folder), *who, *words],
        check=True, capture_output=True, text=True, env=kept,
    ).stdout  # fmt: skip


def sabotage(folder: Path, acts: dict[int, str]) -> None:
    """Have the runs of these seeds do something else when they train."""
    path = folder / "pipeline" / "stages" / "train.py"
    lines = [f"    if seed == {seed}:\n        {act}\n" for seed, act in acts.items()]
    source = path.read_text()
    place = source.index("    with LIBRARIES.limit(")
    imports = "    import os, signal, sys, time\n"
    path.write_text(source[:place] + imports + "".join(lines) + source[place:])


def reseal(folder: Path, **changes: object) -> None:
    """Change ``result.json`` as somebody would who knows how it is sealed."""
    path = folder / "result.json"
    tree = json.loads(path.read_bytes()) | changes
    tree.pop("seal")
    path.write_text(json.dumps({**tree, "seal": seal_of(tree)}))


def results(folder: Path) -> list[dict[str, Any]]:
    """Every ``result.json`` of the copy."""
    return [json.loads(path.read_bytes()) for path in (folder / "runs").glob("*/result.json")]


# --- what a SQLite store holds ------------------------------------------------------------------

# All that MLflow keeps of a run, without the ids that it makes up.
STORE_TABLES = {
    "runs": "name, status, start_time, end_time, lifecycle_stage",
    "params": "key, value",
    "metrics": "key, value, timestamp, step, is_nan",
    "latest_metrics": "key, value, timestamp, step, is_nan",
    "tags": "key, value",
    "datasets": "name, digest, dataset_source_type, dataset_source, dataset_profile",
    "inputs": "source_type, destination_type",
    "input_tags": "name, value",
}


def store_rows(table: str, columns: str = "*", store: Path | None = None) -> list[tuple]:
    with contextlib.closing(sqlite3.connect(store or files.STORE)) as connection:
        return sorted(connection.execute(f"SELECT {columns} FROM {table}"))


def store_state(project: Path | None = None) -> dict[str, list]:
    """Everything that the store holds, and every artifact.

    But for the ids that MLflow makes up, and the times at which runs were claimed.
    """
    folder = project or files.PROJECT
    store, artifacts = folder / files.STORE.name, folder / files.ARTIFACTS.name
    held = {t: store_rows(t, columns, store) for t, columns in STORE_TABLES.items()}
    held["tags"] = [(key, value) for key, value in held["tags"] if key != CLAIMED]
    held["artifacts"] = sorted(
        (path.relative_to(artifacts).as_posix().partition("/")[2], path.read_bytes())
        for path in artifacts.rglob("*")
        if path.is_file()
    )
    return held
