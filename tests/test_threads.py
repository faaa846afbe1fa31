"""What a run finds out does not depend on how many threads the surroundings allow."""

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from pipeline.config import RunConfig
from pipeline.paths import PROJECT
from pipeline.record import write
from pipeline.reproduction.reproduce import Reproduction, reproduce, told
from pipeline.reproduction.retrain import answer
from pipeline.run import run

# Long and wide enough that BLAS takes several threads if it may.
N_ROWS = 20_000
SCRIPT = """
import hashlib, json, sys
from pipeline.config import RunConfig
from pipeline.record.contents import contents, scalars
from pipeline.run import run
result = run(RunConfig.parse(json.loads(sys.argv[1])))
assert result.status == "FINISHED", result.failure
made = contents(result) | {"figures": repr(scalars(result)).encode()}
told = ("config.json", "config.yaml", "lineage.json", "source.diff")
print(json.dumps({n: hashlib.sha256(c).hexdigest() for n, c in made.items() if n not in told}))
"""


@pytest.fixture
def table(tmp_path) -> str:
    rng = np.random.default_rng(0)
    words = rng.integers(0, 6, size=(2, N_ROWS)).astype(str)
    number = rng.normal(size=N_ROWS)
    label = np.where(number + rng.normal(size=N_ROWS) > 0, "yes", "no")
    rows = zip(*words, map(repr, number.tolist()), label, strict=True)
    path = tmp_path / "long.csv"
    path.write_text("a,b,x,y\n" + "".join(",".join(row) + "\n" for row in rows))
    return str(path)


def settings(path: str, blas_threads: int) -> dict[str, Any]:
    categories = list("012345")
    return {
        "seed": 0,
        "data": {
            "name": "long", "path": path, "target": {"name": "y", "positive": ["yes"]},
            "columns": {
                "a": {"kind": "categorical", "categories": categories},
                "b": {"kind": "categorical", "categories": categories},
                "x": {"kind": "numeric"},
            },
        },
        "split": {"name": "none"},
        "encode": {"crosses": [["a", "b"]]},
        "optimiser": {"name": "momentum", "learning_rate": 1.0},
        "train": {"epochs": 5, "l2": 1e-4, "blas_threads": blas_threads},
        "evaluate": {},
    }  # fmt: skip


def start(path: str, blas_threads: int, **variables: str) -> subprocess.Popen[str]:
    config = settings(path, blas_threads)
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, json.dumps(config)], cwd=PROJECT, text=True,
        env=os.environ | variables, stdout=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.slow
def test_variables_of_the_environment_change_no_bit_of_any_file(table):
    """The control: two threads in training do, on this table."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    two = dict.fromkeys(one, "2")
    processes = [start(table, 1, **one), start(table, 1, **two), start(table, 2, **two)]
    single, double, control = [json.loads(process.communicate()[0]) for process in processes]
    assert single == double
    assert single != control
    assert all(
        word in single for word in ("weights.npz", "metrics.json", "effects.json", "figures")
    )


def test_another_number_of_threads_is_named_as_the_cause_of_other_bits(table, tmp_path):
    record = write(run(RunConfig.parse(settings(table, 1))), tmp_path)

    def again(threads: int) -> Reproduction:
        return reproduce(
            record, [f"train.blas_threads={threads}"], from_source=False,
            retrain=lambda _, tree, target: answer(tree, str(target)),
        )  # fmt: skip

    same, other = again(1), again(2)
    assert same.found.identical
    assert same.causes == ()
    assert other.found.bits > 0
    assert other.causes == ("threads: 2, it was 1",)
    assert told(record, other)[-1] == "because   threads: 2, it was 1"
    assert other.exit_code == (0 if other.found.close else 3)
