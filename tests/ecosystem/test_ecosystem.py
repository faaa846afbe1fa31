"""Libraries around scikit-learn and MLflow work with a neuron, in an environment of their own."""

import os
import shutil
import subprocess
from pathlib import Path

import blocks_tables
import numpy as np
import pyarrow as pa
import pytest
from builders import PROJECT
from engines import table_of_kinds, write_parquet

from pipeline.config.compose import configuration
from pipeline.record import write
from pipeline.run import learn, prepare
from pipeline.stages.predict import score
from pipeline.stages.read import car, read_rows
from pipeline.tracking.model_files import model_files

ENVIRONMENT = PROJECT / ".venv-ecosystem"
PYTHON = ENVIRONMENT / "bin" / "python"
SCRIPT = Path(__file__).with_name("in_environment.py")
pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.skipif(
        not (ENVIRONMENT / ".installed").exists(),
        reason="make .venv-ecosystem/.installed makes the environment",
    ),
]


def run(name: str, *words: str) -> str:
    """Run a function of the script there, which asserts what it finds; return what it warns of."""
    variables = {"PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests'}", "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(
        [PYTHON, SCRIPT, name, *words], capture_output=True, text=True, check=False,
        env={**os.environ, **variables, "PYSPARK_PYTHON": str(PYTHON)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stderr


@pytest.mark.parametrize(
    "name",
    [
        "shap_values_are_weights_times_distances_from_the_mean",
        "fairlearn_narrows_the_gap_between_groups",
        "skore_reports_what_scikit_learn_measures",
    ],
)
def test_in_the_ecosystem(name):
    run(name)


def test_a_failure_there_is_a_failure_here():
    with pytest.raises(AssertionError, match="KeyError: 'nothing'"):
        run("nothing")


needs_java = pytest.mark.skipif(shutil.which("java") is None, reason="no java on PATH")


@needs_java
def test_spark_on_java_gives_the_run_of_the_file_to_the_bit(tmp_path):
    kinds = table_of_kinds()
    parquet = write_parquet(kinds, tmp_path / "kinds.parquet")
    words = kinds["word"].to_pylist()
    other = kinds.set_column(0, "word", pa.array([*words[:-1], f"{words[-1]}x"]))
    changed = write_parquet(other, tmp_path / "changed.parquet")
    said = run("spark_on_java_gives_the_run_of_the_file", str(parquet), str(changed))
    assert said == ""


@needs_java
def test_spark_scores_rows_as_the_pipeline(project, tmp_path):
    (tmp_path / "car.data").write_bytes(car.content())
    words = ["data=car", f"data.path={tmp_path}/car.data", "optimiser=newton"]
    config = configuration([*words, "evaluate.bootstrap=null"]).run_config()
    record = write(learn(prepare(config), config))
    folder = tmp_path / "model"
    folder.mkdir()
    for name, content in model_files(record).items():
        (folder / name).write_bytes(content)
    rows = read_rows(config.data).frame[[*config.data.features]]
    p, _, _ = score(record.model, rows, np.arange(len(rows)), "the table")
    rows.assign(probability=[*map(repr, p.tolist())]).to_csv(tmp_path / "rows.csv", index=False)
    run("spark_scores_rows_as_the_pipeline", str(folder), str(tmp_path / "rows.csv"))


@pytest.mark.skipif(shutil.which("java") is None, reason="no java on PATH")
def test_spark_workers_have_the_bits_of_threads(tmp_path):
    path = blocks_tables.write_parquet(tmp_path / "t.parquet", blocks_tables.make_rows(3000), 500)
    run("spark_workers_have_the_bits_of_threads", path)
