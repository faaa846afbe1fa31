"""What a run finds out does not depend on how many threads the environment allows."""

import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from pipeline.config.schema import RunConfig
from pipeline.files import PROJECT
from pipeline.record import write
from pipeline.record.reproduce import Reproduction, reproduce
from pipeline.record.retrain import answer
from pipeline.run import learn, prepare

# Long and wide enough that BLAS takes several threads if it may, and then adds in another order.
N_ROWS = 10_000
CATEGORIES = [f"c{i:02}" for i in range(12)]
SCRIPT = """
import hashlib, json, sys
from pipeline.config.schema import RunConfig
from pipeline.record.contents import contents, metrics
from pipeline.run import learn, prepare
config = RunConfig.parse(json.loads(sys.argv[1]))
outcome = learn(prepare(config), config)
assert outcome.status == "FINISHED", outcome.failure
made = contents(outcome, None) | {"metrics": repr(metrics(outcome)).encode()}
del made["config.yaml"]
print(json.dumps({name: hashlib.sha256(made[name]).hexdigest() for name in made}))
"""


@pytest.fixture
def table(tmp_path) -> str:
    rng = np.random.default_rng(0)
    words = rng.choice(CATEGORIES, size=(2, N_ROWS))
    number = rng.normal(size=N_ROWS)
    label = np.where(number + rng.normal(size=N_ROWS) > 0, "yes", "no")
    rows = zip(*words, map(repr, number.tolist()), label, strict=True)
    path = tmp_path / "long.csv"
    path.write_text("a,b,x,y\n" + "".join(",".join(row) + "\n" for row in rows))
    return str(path)


def settings(path: str, blas_threads: int) -> dict[str, Any]:
    return {
        "seed": 0,
        "data": {
            "name": "long", "path": path, "target": {"name": "y", "positive": ["yes"]},
            "columns": {
                "a": {"kind": "categorical", "categories": CATEGORIES},
                "b": {"kind": "categorical", "categories": CATEGORIES},
                "x": {"kind": "numeric"},
            },
        },
        "split": {"name": "none"},
        "encode": {"crosses": [["a", "b"]]},
        "optimiser": {"name": "newton"},
        "train": {"epochs": 5, "l2": 1e-4, "blas_threads": blas_threads},
        "evaluate": {},
    }  # fmt: skip


def start(path: str, blas_threads: int, **variables: str) -> subprocess.Popen[str]:
    config = settings(path, blas_threads)
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, json.dumps(config)], cwd=PROJECT, text=True,
        env=os.environ | variables, stdout=subprocess.PIPE,
    )  # fmt: skip


@pytest.mark.exhaustive
def test_variables_of_the_environment_change_no_bit_of_any_file(table):
    """The control: two threads in training do, on this table."""
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    two = dict.fromkeys(one, "2")
    processes = [start(table, 1, **one), start(table, 1, **two), start(table, 2, **two)]
    single, double, control = [json.loads(process.communicate()[0]) for process in processes]
    assert single == double
    assert single != control
    assert set(single) >= {"model.json", "curve.csv", "evaluation.json", "effects.json", "metrics"}


@pytest.mark.exhaustive
def test_another_number_of_threads_is_named_as_the_cause_of_other_bits(table, tmp_path):
    config = RunConfig.parse(settings(table, 1))
    record = write(learn(prepare(config), config), tmp_path)

    def again(threads: int) -> Reproduction:
        return reproduce(
            record, {"train.blas_threads": threads}, from_source=False,
            retrain=lambda _, tree: answer(tree),
        )  # fmt: skip

    same, other = again(1), again(2)
    assert same.found.identical
    assert same.causes == ()
    assert other.found.bits > 0
    assert other.causes == ("threads: 2, it was 1",)
    assert other.exit_code == (0 if other.found.close else 3)
