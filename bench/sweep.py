"""``python -m bench.sweep``: what a run of a sweep costs, against the floor and the naive way.

Costs are slopes: the time of a long sweep less that of a short one, over the runs between them, so
that start-up is not in them. The floor is a no-op job of Hydra's own multirun, plus one MLflow run
of the same content through the public client. The naive way logs every point by itself.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
COPIED = ("nn", "pipeline", "conf", "pyproject.toml", "requirements.lock")
EPOCHS = 500
WORDS = (f"train.epochs={EPOCHS}", "evaluate.bootstrap=null")
FEW, MANY = 4, 34  # runs of the two sweeps
ROUNDS = 2
LOGGED = 15  # runs of the floor in MLflow
NAIVE = 150  # points that the naive way is measured on

NOOP = """
import hydra
@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config):
    pass
if __name__ == "__main__":
    main()
"""

CONTENT = """
import json
from pathlib import Path
from pipeline.record import heads, read
from pipeline.files import RUNS
from pipeline.tracking.projection import project
record = next(read(RUNS / head.identity) for head in heads() if head.overrides)
made = project(record)
points = [(p.name, p.value, p.step) for p in made.points]
n_points = sum(map(len, record.curve.values()))
tree = {"tags": made.tags, "params": made.params, "points": points, "n_points": n_points}
Path("content.json").write_text(json.dumps(tree))
for name, data in made.files.items():
    path = Path("content", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
"""

LOG = """
import json, sys, time
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, RunTag
client = MlflowClient("sqlite:///floor.db")
experiment = client.create_experiment(sys.argv[1], "floor/" + sys.argv[1])
content = json.load(open("content.json"))
def log():
    run = client.create_run(experiment).info.run_id
    client.log_batch(run, tags=[RunTag(k, v) for k, v in content["tags"].items()],
                     params=[Param(k, v) for k, v in content["params"].items()])
    points = [Metric(name, value, step, step) for name, value, step in content["points"]]
    for i in range(0, len(points), 1000):
        client.log_batch(run, metrics=points[i:i + 1000])
    client.log_artifacts(run, "content")
    client.set_terminated(run)
log()
begun = time.perf_counter()
for _ in range(int(sys.argv[2])):
    log()
print((time.perf_counter() - begun) / int(sys.argv[2]))
"""

NAIVELY = """
import json, sys, time
import mlflow, numpy, pandas
from sklearn.linear_model import LogisticRegression
mlflow.set_tracking_uri("sqlite:///naive.db")
content = json.load(open("content.json"))
X = pandas.DataFrame(numpy.random.default_rng(0).normal(size=(100, 21)))
model = LogisticRegression().fit(X, X[0] > 0)
with mlflow.start_run():
    mlflow.log_metric("warm", 0)
    mlflow.log_params(content["params"])
    begun = time.perf_counter()
    mlflow.sklearn.log_model(model, name="model", input_example=X[:2])
    once = time.perf_counter() - begun
    n = int(sys.argv[1])
    for step in range(n):
        mlflow.log_metric("loss", 0.1, step=step)
    each = (time.perf_counter() - begun - once) / n
print(once + each * content["n_points"])
"""


@dataclass(frozen=True)
class Costs:
    """Seconds per run. ``making``: what a run takes in its process, publishing aside."""

    sweep: float
    making: float
    noop: float
    logged: float

    @property
    def floor(self) -> float:
        return self.noop + self.logged


def main() -> None:
    """Measure and print."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "oneuron"
        _copy_project(folder)
        (folder / "noop.py").write_text(NOOP)
        _sweep(folder, range(2))  # makes the table and the store
        _python(folder, "-c", CONTENT)
        rounds = [_round(folder, number) for number in range(ROUNDS)]
        naive = float(_python(folder, "-c", NAIVELY, str(NAIVE)))
        runs = len(list((folder / "runs").glob("*/result.json")))
        sizes = {name: (folder / name).stat().st_size / 1000 for name in ("mlflow.db", "floor.db")}
    _report(rounds, naive)
    floors = ROUNDS * (LOGGED + 1)
    print(f"  store: {sizes['mlflow.db'] / runs:.0f} kB per run; the floor's "
          f"{sizes['floor.db'] / floors:.0f} kB")  # fmt: skip
    print(f"  measured in {time.perf_counter() - begun:.0f} s")


def _report(rounds: list[Costs], naive: float) -> None:
    sweep, making = (statistics.median(getattr(r, n) for r in rounds) for n in ("sweep", "making"))
    noop, logged = (statistics.median(getattr(r, n) for r in rounds) for n in ("noop", "logged"))
    ratio = statistics.median(costs.sweep / costs.floor for costs in rounds)
    print(f"{MANY - FEW} runs of {EPOCHS} epochs with full curves, seconds per run after start-up")
    _line(
        "python -m pipeline -m", sweep, f"making a run takes {making:.3f}, the rest is publishing"
    )
    more = f"a no-op job of Hydra {noop:.3f} + the same content in MLflow {logged:.3f}"
    _line("the floor", noop + logged, more)
    _line("the naive way", naive, "log_metric for every point, inferred requirements")
    print(f"  over the floor: {ratio:.2f}; the naive way takes {naive / sweep:.0f} times as long")


def _line(name: str, seconds: float, more: str) -> None:
    print(f"  {name:24} {seconds:8.3f} s   {more}")


def _round(folder: Path, number: int) -> Costs:
    first = 1000 * (number + 1)
    short, long = range(first, first + FEW), range(first + FEW, first + FEW + MANY)
    short_s, _ = _sweep(folder, short)
    long_s, making = _sweep(folder, long)
    noops = [_seconds(folder, "noop.py", "-m", "hydra.sweep.dir=noop", _words(seeds))
             for seeds in (short, long)]  # fmt: skip
    logged = float(_python(folder, "-c", LOG, f"round-{number}", str(LOGGED)))
    more = MANY - FEW
    return Costs((long_s - short_s) / more, making, (noops[1] - noops[0]) / more, logged)


def _sweep(folder: Path, seeds: range) -> tuple[float, float]:
    """Seconds of a sweep over the seeds, and the median of those that its runs say they took."""
    begun = time.perf_counter()
    done = _run(folder, "-m", "pipeline", "-m", *WORDS, _words(seeds))
    seconds = time.perf_counter() - begun
    return seconds, statistics.median(map(float, re.findall(r"([\d.]+) s$", done.stderr, re.M)))


def _words(seeds: range) -> str:
    return f"seed=range({seeds.start},{seeds.stop})"


def _seconds(folder: Path, *words: str) -> float:
    begun = time.perf_counter()
    _run(folder, *words)
    return time.perf_counter() - begun


def _python(folder: Path, *words: str) -> str:
    """The last line that it prints."""
    return _run(folder, *words).stdout.rstrip().rpartition("\n")[2]


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"{words} must succeed; got exit code {done.returncode}: {done.stderr}")
    return done


def _copy_project(folder: Path) -> None:
    folder.mkdir()
    for name in COPIED:
        source = PROJECT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)


if __name__ == "__main__":
    main()
