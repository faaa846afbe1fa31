"""What takes minutes: kills at any moment, launchers whose workers die, a store that is held."""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from builders import copy_project, launch, results, sabotage, start, store_rows
from disks import held
from sweep_builders import QUICK, points, published, thetas

from pipeline.record import heads

pytestmark = pytest.mark.exhaustive

JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=3"]
# What the run of one seed does, by seed.
ACTS = {
    1: "raise RuntimeError('planted')",
    2: "sys.exit(0)",
    3: "sys.exit(3)",
    4: "os._exit(0)",
    5: "os.kill(os.getpid(), signal.SIGSEGV)",
    6: "os.kill(os.getpid(), signal.SIGKILL)",
    7: "time.sleep(600)",
    8: "held = [np.empty(2**27) for _ in range(400)]",
}


def test_runs_that_misbehave_cost_a_parallel_sweep_no_other(copied):
    """D02, D05: each is named, and its failure is in MLflow."""
    sabotage(copied, ACTS)
    words = ["seed=range(11)", "sweep.timeout_s=4", "sweep.memory_mb=9000", *JOBLIB]
    code, out, err = launch(copied, "-m", QUICK, *words)
    assert code == 4, err
    assert set(thetas(copied)) == {0, 9, 10}
    assert "3 done, 8 failed, 0 skipped, 0 left" in out
    kinds = {head.config["seed"]: head.failure.kind for head in heads(copied / "runs")
             if head.failure}  # fmt: skip
    assert kinds == {1: "RuntimeError", 2: "Exit", 3: "Exit", 4: "Exit", 5: "SIGSEGV",
                     6: "SIGKILL", 7: "Timeout", 8: "OutOfMemory"}  # fmt: skip
    runs = published(copied)
    assert [runs[str(seed)]["status"] == "FAILED" for seed in range(11)] == [
        seed in ACTS for seed in range(11)
    ]


def test_a_worker_of_joblib_that_is_killed_costs_its_run_alone(copied):
    """D04: each time that the run is made."""
    sabotage(copied, {1: "os.kill(os.getppid(), signal.SIGKILL); time.sleep(5)"})
    code, out, err = launch(copied, "-m", QUICK, "seed=range(4)", *JOBLIB)
    assert code == 4, out + err
    assert "3 done, 1 failed" in out
    assert set(thetas(copied)) == {0, 2, 3}
    assert "Launcher: launcher must make the run" in out
    assert "Traceback" not in out


def test_six_workers_on_a_fresh_folder_make_one_store_and_all_runs(tmp_path):
    """A01: the store is made before any job, by one process."""
    folder = copy_project(tmp_path / "project")
    words = ["seed=range(6)", "hydra/launcher=joblib", "hydra.launcher.n_jobs=6"]
    code, out, err = launch(folder, "-m", QUICK, *words)
    assert code == 0, out + err
    assert {tags["status"] for tags in published(folder).values()} == {"FINISHED"}
    assert set(thetas(folder)) == set(range(6))


def test_slurms_launcher_makes_the_runs_on_this_machine(copied):
    words = ["seed=range(2)", "hydra/launcher=submitit_local", "hydra.launcher.timeout_min=2"]
    code, _, err = launch(copied, "-m", QUICK, *words)
    assert code == 0, err
    assert set(thetas(copied)) == {0, 1}


@pytest.mark.parametrize("how", ["reader", "writer"])
def test_who_holds_the_store_for_too_long_costs_a_sweep_no_run(copied, how):
    """B02, B03: MLflow gives up after 20 s, the sweep asks again at its end."""
    words = [QUICK, "seed=range(2)", "tracking.experiment=Default"]
    with held(copied / "mlflow.db", how, 24):
        code, out, err = launch(copied, "-m", *words)
    assert code == 0, out + err
    assert "not published" not in out
    assert {tags["status"] for tags in published(copied).values()} == {"FINISHED"}
    assert len(points(copied)) == len(set(points(copied)))


def test_kills_at_any_moment_lose_nothing(copied, tmp_path):
    """The sweep is killed 20 times; then the runs are those of a calm one."""
    calm = tmp_path / "calm"
    shutil.copytree(copied, calm)
    words = ["-m", "seed=range(12)", "train.epochs=1500"]
    assert launch(calm, *words)[0] == 0
    rng = random.Random(0)
    done = []
    for _ in range(20):
        begun = time.time()
        process = start(copied, *words)
        wait_for_a_run(copied, begun)
        time.sleep(rng.uniform(0, 0.8))
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        done.append(len(thetas(copied)))
    assert done[0] < 12  # or nothing was interrupted
    assert launch(copied, *words)[0] == 0
    assert thetas(copied) == thetas(calm)
    assert {tags["status"] for tags in published(copied).values()} == {"FINISHED"}
    assert points(copied) == points(calm)
    assert len(results(copied)) == len(store_rows("runs", "run_uuid", copied / "mlflow.db")) - 1
    assert still_running(copied) == []


def wait_for_a_run(folder: Path, begun: float) -> None:
    """Until a run of this start is busy, or all are done."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        logs = (folder / "sweeps").glob("*/logs/*.log")
        if any(log.stat().st_mtime > begun for log in logs) or len(thetas(folder)) == 12:
            return
        time.sleep(0.02)


def still_running(folder: Path) -> list[str]:
    """The processes that work in the folder, as soon as none does or after five seconds."""
    deadline = time.monotonic() + 5
    while found := [path.parent.name for path in Path("/proc").glob("[0-9]*/cwd")
                    if os.path.realpath(path) == str(folder.resolve())]:  # fmt: skip
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    return found
