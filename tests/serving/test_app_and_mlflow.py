"""The app gives the answers of MLflow's own scoring server around the same model."""

import json
import os
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import serving_builders as made
from builders import make_record
from serving_builders import CSV, GOOD, JSON, PARQUET, Client

from pipeline.tracking.model_files import model_files

pytestmark = pytest.mark.filterwarnings("ignore")  # of MLflow

ROWS = [
    GOOD,
    GOOD | {"colour": "blue", "code": 3, "size": None, "x": 99.5, "w": None, "ok": True},
    GOOD | {"code": 2.0, "x": 7, "flag": None, "seen": None, "ok": False},
]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A request to the app, and the same to MLflow's scoring server around the pyfunc."""
    import mlflow.pyfunc
    from mlflow.pyfunc import scoring_server

    folder, before = tmp_path_factory.mktemp("model"), dict(os.environ)
    model, record = made.make_model(), make_record(folder=tmp_path_factory.mktemp("runs"))
    parts = SimpleNamespace(model=model, head=record.head, identity=record.identity)
    for name, content in model_files(parts).items():
        (folder / name).write_bytes(content)
    loaded = mlflow.pyfunc.load_model(str(folder))
    yield Client(model), Client(model, app=scoring_server.init(loaded))
    for name in {*os.environ} - {*before}:
        del os.environ[name]


BODIES = {
    "dataframe_split": {"columns": [*GOOD], "data": [[*row.values()] for row in ROWS]},
    "dataframe_records": ROWS,
    "instances": [row | {"code": str(int(row["code"]))} for row in ROWS],  # MLflow makes 2.0 text
    "instances by column": {name: [row[name] for row in ROWS] for name in GOOD},
    "inputs": {name: [row[name] for row in ROWS] for name in GOOD},
    "inputs of objects": ROWS,
    "inputs of a row": ROWS[1],
}


@pytest.mark.parametrize("form", BODIES)
def test_json_is_answered_with_the_bytes_of_mlflow(both, form):
    body = {form.split()[0]: BODIES[form]}
    ours, theirs = (client.ask(body) for client in both)
    assert ours[0] == theirs[0] == 200, (ours, theirs)
    assert ours[2] == theirs[2]
    assert ours[1]["content-type"] == theirs[1]["content-type"] == JSON


@pytest.mark.parametrize("kind", [CSV, PARQUET])
def test_a_file_is_answered_with_the_bytes_of_mlflow(both, kind):
    frame = pd.DataFrame(ROWS).assign(
        code=[1, 3, 2], x=[1.5, 99.5, 7.0], w=[0.5, np.nan, 0.5], ok=[True, True, False]
    )
    body = frame.to_csv(index=False).encode() if kind == CSV else made.in_parquet(frame)
    ours, theirs = (client.ask(body, kind=kind) for client in both)
    assert ours[0] == theirs[0] == 200, (ours, theirs)
    assert ours[2] == theirs[2]


def test_params_skip_bad_rows_in_both(both):
    rows = [*ROWS, GOOD | {"x": "many"}, GOOD | {"code": "4", "x": 101}]
    body = {"dataframe_records": rows, "params": {"on_bad_row": "skip"}}
    ours, theirs = (client.ask(body)[2] for client in both)
    assert json.loads(ours) == json.loads(theirs, parse_constant=lambda _: None)  # a bare NaN


@pytest.mark.parametrize("path", ["/ping", "/health", "/version"])
def test_the_small_endpoints_are_those_of_mlflow(both, path):
    ours, theirs = (client.ask(path=path, method="GET", kind=None) for client in both)
    assert (ours[0], ours[1]["content-type"], ours[2]) == (200, JSON, theirs[2])


def test_both_refuse_a_bad_row_by_the_same_rule(both):
    body = {"dataframe_records": [GOOD | {"x": "many"}]}
    ours, theirs = (client.ask(body) for client in both)
    assert ours[0] == theirs[0] == 400
    assert b"column x must be a number" in ours[2]
    assert b"column x must be a number" in theirs[2]
