"""``python -m bench.sweep [1000]``: what a run of a sweep costs, beside the floor and a naive way.

The number is that of the runs of a long sweep, of which it is then seen what grows: seconds per run
at its beginning and at its end, the memory of its processes, what is done with all runs.

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
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
COPIED = ("nn", "pipeline", "conf", "pyproject.toml", "requirements.lock")
EPOCHS = 500
WORDS = (f"train.epochs={EPOCHS}", "evaluate.bootstrap=null")
FEW, MANY = 4, 34  # runs of the two sweeps
ROUNDS = 2
POLL_S = 0.1
PEAK = re.compile(r"VmHWM:\s+(\d+) kB")
PUBLISHER = "multiprocessing.spawn"  # in its command line
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
client = MlflowClient("sqlite:///floor.db", registry_uri="sqlite:///floor.db")
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
mlflow.set_registry_uri("sqlite:///naive.db")
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


@dataclass(frozen=True)
class Measured:
    """A sweep. ``making``: the median of the seconds that its runs say they took.

    ``ends`` are the times at which runs ended; ``peaks`` MB of the sweep's process and of the
    publisher's.
    """

    seconds: float
    making: float
    ends: tuple[float, ...]
    peaks: tuple[float, float]

    def each(self, part: slice) -> float:
        """Seconds per run in a part of the sweep."""
        ends = self.ends[part]
        return (ends[-1] - ends[0]) / (len(ends) - 1)


def main(many: int = MANY) -> None:
    """Measure and print; ``many`` runs are made in a long sweep, if that is more than usual."""
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "oneuron"
        _copy_project(folder)
        (folder / "noop.py").write_text(NOOP)
        _sweep(folder, range(2))  # makes the table and the store
        _python(folder, "-c", CONTENT)
        rounds = [_round(folder, number) for number in range(ROUNDS)]
        large = _large(folder, many) if many > MANY else None
        naive = float(_python(folder, "-c", NAIVELY, str(NAIVE)))
        runs = len(list((folder / "runs").glob("*/result.json")))
        sizes = {name: (folder / name).stat().st_size / 1000 for name in ("mlflow.db", "floor.db")}
    _report(rounds, naive)
    if large:
        _report_large(*large)
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


def _report_large(few: Measured, many: Measured, again: dict[str, float]) -> None:
    n, fifth = len(many.ends), len(many.ends) // 5
    first, last = many.each(slice(fifth)), many.each(slice(-fifth, None))
    print(f"{n:,} runs in one sweep: {many.seconds / n:.3f} s a run with start-up and comparison")
    print(f"  in the first fifth {first:.3f}, in the last {last:.3f}")
    for name, a, b in zip(("the sweep", "the publisher"), few.peaks, many.peaks, strict=True):
        print(f"  peak memory of {name}: {a:.0f} MB at {len(few.ends)} runs, {b:.0f} MB at {n:,}")
    for name, seconds in again.items():
        print(f"  {name:30} {seconds:6.1f} s")


def _line(name: str, seconds: float, more: str) -> None:
    print(f"  {name:24} {seconds:8.3f} s   {more}")


def _round(folder: Path, number: int) -> Costs:
    first = 1000 * (number + 1)
    short, long = range(first, first + FEW), range(first + FEW, first + FEW + MANY)
    short_s, measured = _sweep(folder, short).seconds, _sweep(folder, long)
    noops = [_seconds(folder, "noop.py", "-m", "hydra.sweep.dir=noop", _words(seeds))
             for seeds in (short, long)]  # fmt: skip
    logged = float(_python(folder, "-c", LOG, f"round-{number}", str(LOGGED)))
    more = MANY - FEW
    seconds, making = (measured.seconds - short_s) / more, measured.making
    return Costs(seconds, making, (noops[1] - noops[0]) / more, logged)


def _large(folder: Path, many: int) -> tuple[Measured, Measured, dict[str, float]]:
    """A usual sweep, a large one, and seconds of what is then done with all of its runs."""
    few, seeds = _sweep(folder, range(9000, 9000 + MANY)), range(10**6, 10**6 + many)
    long = _sweep(folder, seeds)
    words = {
        "the same sweep, all of it done": ["-m", *WORDS, _words(seeds)],
        "make compare SWEEP=latest": ["compare", "--sweep=latest"],
        "make sync, with nothing to do": ["sync"],
    }
    return few, long, {n: _seconds(folder, "-m", "pipeline", *w) for n, w in words.items()}


def _sweep(folder: Path, seeds: range) -> Measured:
    """Make a sweep over the seeds, and look at its processes meanwhile."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "-m", *WORDS, _words(seeds)], cwd=folder, text=True,
        env=_environment(folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    peaks = [0.0, 0.0]
    watcher = threading.Thread(target=_watch, args=(process, peaks), daemon=True)
    watcher.start()
    lines = [(time.perf_counter() - begun, line) for line in process.stderr or ()]
    if process.wait() != 0:
        raise RuntimeError(f"a sweep must succeed; got {''.join(line for _, line in lines[-9:])}")
    watcher.join()
    ended = [(at, found[1]) for at, line in lines if (found := re.search(r"([\d.]+) s$", line))]
    making = statistics.median(float(took) for _, took in ended)
    ends = tuple(at for at, _ in ended)
    return Measured(time.perf_counter() - begun, making, ends, (peaks[0], peaks[1]))


def _watch(process: subprocess.Popen[str], peaks: list[float]) -> None:
    """Keep the peaks of memory, in MB, of the process and of the publisher; on Linux."""
    while process.poll() is None:
        peaks[0] = max(peaks[0], _peak(process.pid))
        with suppress(OSError):
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
            for child in children.split():
                if PUBLISHER in Path(f"/proc/{child}/cmdline").read_text():
                    peaks[1] = max(peaks[1], _peak(int(child)))
        time.sleep(POLL_S)


def _peak(pid: int) -> float:
    with suppress(OSError):
        if found := PEAK.search(Path(f"/proc/{pid}/status").read_text()):
            return int(found[1]) / 1024
    return 0.0


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
    done = subprocess.run(
        [sys.executable, *words], cwd=folder, env=_environment(folder), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"{words} must succeed; got exit code {done.returncode}: {done.stderr}")
    return done


def _environment(folder: Path) -> dict[str, str]:
    return {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "PYTHONPATH": str(folder)}


def _copy_project(folder: Path) -> None:
    folder.mkdir()
    for name in COPIED:
        source = PROJECT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
