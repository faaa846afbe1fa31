"""``python -m bench.sweep``: what a run of a sweep costs, against the floor and the naive way.

Costs are slopes: the time of a long sweep less that of a short one, over the runs between them, so
that start-up is not in them. The floor is a no-op job of Hydra's own multirun, plus one MLflow run
of the same content through the public client.
"""

import json
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.whole import copy_project, python

EPOCHS = 500
FEW, MANY = 10, 110  # runs of the two sweeps
LOGGED = 20  # runs of the floor in MLflow
NAIVE = 2  # a naive run takes ten seconds
ROUNDS = 2

NOOP = """
import hydra
@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config):
    pass
if __name__ == "__main__":
    main()
"""


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "oneuron"
        copy_project(folder)
        (folder / "noop.py").write_text(NOOP)
        python(folder, "-m", "pipeline", f"train.epochs={EPOCHS}")
        rounds = [_round(folder, number) for number in range(ROUNDS)]
        ours, noop, logged = np.median(np.array(rounds), axis=0)
        composing = _composing(folder)
        naive = _naive(folder)
    floor = noop + logged
    ratio = np.median([a / (b + c) for a, b, c in rounds])
    print(f"{MANY - FEW} runs of {EPOCHS} epochs with full curves, seconds per run after start-up")
    _line("python -m pipeline -m", ours)
    _line(
        "the floor", floor, f"a no-op job of Hydra {noop:.3f} + the same run in MLflow {logged:.3f}"
    )
    met = "met" if ratio <= 1.25 else "NOT met"
    print(f"  over the floor: {ratio:.2f} (goal 1.25: {met})")
    _line(
        "of it composing",
        composing,
        "values put into what Hydra composed once per choice of groups",
    )
    _line(
        "the naive way",
        naive,
        f"{naive / ours:,.0f} times; log_metric per epoch, inferred requirements",
    )


def _round(folder: Path, number: int) -> tuple[float, float, float]:
    """Seconds per run: of ours, of Hydra's no-op job, of the same run in MLflow."""
    first = 1000 * (number + 1)
    ours = _slope(folder, ["-m", "pipeline", "-m", f"train.epochs={EPOCHS}"], first)
    noop = _slope(folder, ["noop.py", "-m", "hydra.sweep.dir=noop"], first)
    return ours, noop, _logged(folder, number)


def _slope(folder: Path, words: list[str], first: int) -> float:
    """Seconds per job, from a sweep over few seeds and one over many others."""
    seconds = []
    for begin, end in ((first, first + FEW), (first + FEW, first + FEW + MANY)):
        start = time.perf_counter()
        python(folder, *words, f"seed=range({begin},{end})")
        seconds.append(time.perf_counter() - start)
    return (seconds[1] - seconds[0]) / (MANY - FEW)


def _logged(folder: Path, number: int) -> float:
    """Seconds of the public client for a run of the same content, in a store of its own."""
    script = folder / "logged.py"
    script.write_text(f"""
import json, sys, time
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
client = MlflowClient("sqlite:///{folder}/floor.db")
old = client.get_experiment_by_name("floor")
experiment = old.experiment_id if old else client.create_experiment("floor", "{folder}/floor")
content = json.load(open("content.json"))
def log():
    run = client.create_run(experiment).info.run_id
    client.log_batch(run, tags=[RunTag(k, v) for k, v in content["tags"].items()],
                     params=[Param(k, v) for k, v in content["params"].items()])
    points = content["points"]
    for i in range(0, len(points), 1000):
        client.log_batch(run, metrics=[Metric(n, v, s, s) for n, v, s in points[i:i + 1000]])
    client.log_artifacts(run, "content")
    client.set_terminated(run)
log()
start = time.perf_counter()
for _ in range({LOGGED}):
    log()
json.dump((time.perf_counter() - start) / {LOGGED}, open("seconds.json", "w"))
""")
    if number == 0:
        _take_content(folder)
    python(folder, str(script))
    return float(json.loads((folder / "seconds.json").read_text()))


def _take_content(folder: Path) -> None:
    """What one of our runs is given in MLflow, as files that need no code of ours."""
    from pipeline.record import records
    from pipeline.tracking.projection import project

    record = next(r for r in reversed(list(records(folder / "runs"))) if r.tree["overrides"])
    projection = project(record)
    content = {
        "tags": projection.tags,
        "params": projection.params,
        "points": [(point.name, point.value, point.step) for point in projection.points],
    }
    (folder / "content.json").write_text(json.dumps(content))
    shutil.rmtree(folder / "content", ignore_errors=True)
    for name, data in projection.files.items():
        path = folder / "content" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _composing(folder: Path) -> float:
    """Seconds per job of ``expand``: composing and checking."""
    script = folder / "composing.py"
    script.write_text(f"""
import json, time
from pipeline.sweeps.grid import expand
seconds = []
for n in ({FEW}, {FEW + MANY}):
    start = time.perf_counter()
    expand([f"seed=range({{n}})"])
    seconds.append(time.perf_counter() - start)
json.dump((seconds[1] - seconds[0]) / {MANY}, open("seconds.json", "w"))
""")
    python(folder, str(script))
    return float(json.loads((folder / "seconds.json").read_text()))


def _naive(folder: Path) -> float:
    """Seconds per run of a log_metric call per point, and a model that looks for its needs."""
    script = folder / "naive.py"
    script.write_text(f"""
import json, os, time
import mlflow, numpy, pandas
from sklearn.linear_model import LogisticRegression
mlflow.set_tracking_uri("sqlite:///{folder}/naive.db")
content = json.load(open("content.json"))
X = pandas.DataFrame(numpy.random.default_rng(0).normal(size=(100, 21)))
model = LogisticRegression().fit(X, X[0] > 0)
def log():
    with mlflow.start_run():
        mlflow.log_params(content["params"])
        for name, value, step in content["points"]:
            mlflow.log_metric(name, value, step=step)
        mlflow.sklearn.log_model(model, name="model", input_example=X[:2])
log()
start = time.perf_counter()
for _ in range({NAIVE}):
    log()
json.dump((time.perf_counter() - start) / {NAIVE}, open("seconds.json", "w"))
""")
    python(folder, str(script))
    return float(json.loads((folder / "seconds.json").read_text()))


def _line(name: str, seconds: float, told: str = "") -> None:
    print(f"  {name:24} {seconds:8.3f} s   {told}".rstrip())


if __name__ == "__main__":
    main()
