"""A sweep as a person starts it: whatever its runs do, or is done to it, nothing is lost."""

import os
import random
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from swept import (
    configs,
    launch,
    points,
    sabotage,
    seeds_done,
    start,
    statuses,
    weights,
)

from pipeline.paths import PROJECT

pytestmark = pytest.mark.slow

# What one seed does in `train`, by name; all others train.
SABOTAGE = {
    1: "raise RuntimeError('planted')",
    2: "sys.exit(0)",
    3: "sys.exit(3)",
    4: "os._exit(0)",
    5: "os.kill(os.getpid(), signal.SIGSEGV)",
    6: "os.kill(os.getpid(), signal.SIGKILL)",
    7: "time.sleep(600)",
    8: "held = [np.empty(2**27) for _ in range(400)]",
}
TOLD = {
    1: "RuntimeError: planted",
    2: "exit code 0 and no result",
    3: "exit code 3 and no result",
    4: "exit code 0 and no result",
    5: "signal 11 (SIGSEGV)",
    6: "signal 9 (SIGKILL)",
    7: "sweep.timeout_s=4 s",
    8: "out of memory: a run must need less than sweep.memory_mb=",
}


JOBLIB = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=3"]


@pytest.mark.parametrize("launcher", [[], pytest.param(JOBLIB, marks=pytest.mark.exhaustive)])
def test_a_run_that_misbehaves_is_named_and_the_others_are_done(copied, launcher):
    """C08 to C14, D01, D02, D04, D05: raises, exits, crashes, is killed, hangs, fills memory."""
    sabotage(copied, SABOTAGE)
    words = ["seed=range(11)", "sweep.timeout_s=4", "sweep.memory_mb=6000", *launcher]
    code, out, err = launch(copied, *words)
    assert code == 4, err
    assert seeds_done(copied) == {0, 9, 10}
    assert "3 done, 8 failed, 0 skipped, 0 left" in out
    for seed, told in TOLD.items():
        named = re.search(rf"FAILED .*seed={seed}\b.*\n    (.*)\n    log (.*)\n    MLflow run", out)
        assert named, (seed, out)
        assert told in named[1]
        assert (copied / named[2]).exists()
    assert "RuntimeError: planted" in (copied / "sweeps").rglob("00001.log").__next__().read_text()
    assert "Traceback" not in out + err
    assert sorted(s for k, _, s in statuses(copied) if not k) == ["FAILED"] * 8 + ["FINISHED"] * 3


def test_an_honest_code_makes_only_what_failed_and_says_why(copied):
    """D06: the reason is the code that changed; runs that failed with the same code say so."""
    sabotage(copied, {1: SABOTAGE[4]})
    code, out, _ = launch(copied, "seed=range(3)")
    assert code == 4
    code, out, _ = launch(copied, "seed=range(3)")
    assert code == 4
    assert "2 done already, 0 refused, 1 to run" in out
    assert "failed before: number 1" in out
    path = copied / "pipeline" / "stages" / "train.py"
    path.write_text((PROJECT / "pipeline" / "stages" / "train.py").read_text())
    code, out, _ = launch(copied, "seed=range(3)")
    assert code == 0
    assert "code changed: pipeline/stages/train.py: number 0-2" in out


def test_the_same_command_again_makes_nothing(copied):
    """D07, and resume=false makes all again with the same bits."""
    assert launch(copied, "seed=range(3)")[0] == 0
    before = weights(copied)
    code, out, _ = launch(copied, "seed=range(3)")
    assert code == 0
    assert "3 done already, 0 refused, 0 to run" in out
    code, out, _ = launch(copied, "seed=range(3)", "sweep.resume=false")
    assert code == 0
    assert "3 done, 0 failed" in out
    assert weights(copied) == before
    assert [s for k, _, s in statuses(copied) if not k] == ["FINISHED"] * 3


def test_edited_data_are_named_by_their_digests(copied):
    """D09: old results stay."""
    words = ["seed=range(2)", "data.sha256=null"]
    assert launch(copied, *words)[0] == 0
    path = copied / "data" / "car.data"
    path.write_bytes(path.read_bytes().replace(b"low,unacc", b"low,acc", 1))
    code, out, _ = launch(copied, *words)
    assert code == 0
    assert re.search(r"data changed: digest [0-9a-f]{8}, it was [0-9a-f]{8}: number 0-1", out)
    assert len(weights(copied)) == 4


def test_a_plan_makes_nothing(copied):
    shutil.rmtree(copied / "data")
    before = sorted(p for p in copied.rglob("*") if "__pycache__" not in p.parts)
    code, out, _ = launch(copied, "seed=range(3)", "--plan")
    assert code == 0
    assert "3 to run" in out
    assert sorted(p for p in copied.rglob("*") if "__pycache__" not in p.parts) == before


def test_refused_data_are_a_failure_of_their_runs_alone(copied):
    code, out, _ = launch(copied, "data=car,breast_cancer", "data.max_bytes=60000")
    assert code == 4
    assert "data.max_bytes" in out
    assert "1 done, 1 failed" in out


def test_another_attempt_is_made_as_often_as_asked_and_all_are_kept(copied):
    """D14."""
    sabotage(copied, {1: SABOTAGE[4]})
    code, _, _ = launch(copied, "seed=range(2)", "sweep.retry=2")
    assert code == 4
    assert sorted(s for k, _, s in statuses(copied) if not k) == ["FAILED"] * 3 + ["FINISHED"]


def test_a_failure_may_end_the_sweep(copied):
    sabotage(copied, {0: SABOTAGE[1]})
    code, out, _ = launch(copied, "seed=range(3)", "sweep.on_failure=stop")
    assert code == 4
    assert "0 done, 1 failed, 0 skipped, 2 left" in out


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_the_sweep_and_the_same_command_goes_on(copied, name):
    """C05, C07: Ctrl-C lets the current run end, SIGTERM leaves it KILLED."""
    words = ["train.epochs=8000", "seed=range(3)"]
    process = start(copied, *words)
    deadline = time.monotonic() + 60
    while not list((copied / "sweeps").glob("*/logs/00000.log")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.Signals[name])
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signal.Signals[name]
    done = {"SIGINT": "1 done, 0 failed", "SIGTERM": "0 done, 1 failed"}[name]
    assert f"{done}, 0 skipped, 2 left" in out
    code, out, _ = launch(copied, *words)
    assert code == 0
    assert seeds_done(copied) == {0, 1, 2}
    assert all(status != "RUNNING" for _, _, status in statuses(copied))


def test_two_that_meet_make_each_run_once(copied):
    """B07."""
    both = [start(copied, "seed=range(6)") for _ in range(2)]
    told = [process.communicate(timeout=200) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert len(weights(copied)) == 6
    assert [s for k, _, s in statuses(copied) if not k] == ["FINISHED"] * 6


def test_serial_and_joblib_give_the_same_bits(copied, tmp_path):
    """D15."""
    assert launch(copied, "seed=range(4)")[0] == 0
    before = weights(copied)
    shutil.rmtree(copied / "runs")
    assert (
        launch(copied, "seed=range(4)", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")[0] == 0
    )
    assert weights(copied) == before


@pytest.mark.exhaustive
def test_slurms_launcher_makes_the_runs_on_this_machine(copied):
    words = ["seed=range(2)", "hydra/launcher=submitit_local", "hydra.launcher.timeout_min=2"]
    code, _, err = launch(copied, *words)
    assert code == 0, err
    assert seeds_done(copied) == {0, 1}


def test_a_run_id_in_the_environment_bends_nothing(copied):
    code, _, err = launch(copied, "seed=range(2)", env={"MLFLOW_RUN_ID": "f" * 32})
    assert code == 0, err
    assert [s for k, _, s in statuses(copied) if not k] == ["FINISHED"] * 2


def test_a_secret_is_in_no_file(copied):
    """H04: neither from an override nor from the environment."""
    secret = "s3cr3t-Value-9913"
    words = ["seed=range(2)", f"tracking.uri=http://user:{secret}@127.0.0.1:9"]
    code, out, err = launch(copied, *words, env={"A_TOKEN": secret})
    assert code == 5
    assert secret not in out + err
    for folder in ("runs", "sweeps"):
        for path in (copied / folder).rglob("*"):
            assert not path.is_file() or secret.encode() not in path.read_bytes(), path


def test_a_dead_server_costs_no_run_and_sync_brings_them_later(copied):
    """E01: exit code 5, every record kept."""
    code, out, _ = launch(copied, "seed=range(3)", "tracking.uri=http://127.0.0.1:9")
    assert code == 5
    assert "3 done, 0 failed" in out
    assert "3 runs were not published" in out


@pytest.mark.exhaustive
def test_kills_at_any_moment_lose_nothing(copied, tmp_path):
    """The whole group of processes is killed 20 times; then the runs are those of a calm sweep."""
    calm = tmp_path / "calm"
    shutil.copytree(copied, calm)
    words = ["seed=range(12)", "train.epochs=1500"]
    assert launch(calm, *words)[0] == 0
    rng = random.Random(0)
    done = []
    for _ in range(20):
        begun = time.time()
        process = start(copied, *words, start_new_session=True)
        wait_for_a_child(copied, begun)
        time.sleep(rng.uniform(0, 0.8))
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        done.append(len(configs(copied, "FINISHED")))
    assert done[0] < 12  # or nothing was interrupted
    print(f"done after each kill: {done}")
    assert launch(copied, *words)[0] == 0
    assert weights(copied) == weights(calm)
    found = sorted(i for k, i, s in statuses(copied) if not k and s == "FINISHED")
    assert found == sorted(i for k, i, s in statuses(calm) if not k)
    assert all(status == "FINISHED" for _, _, status in statuses(copied))
    assert points(copied) == points(calm)
    assert not orphans(copied)


def wait_for_a_child(folder: Path, begun: float) -> None:
    """Until a run of this start is busy, or all are done."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        logs = (folder / "sweeps").glob("*/logs/*.log")
        if any(log.stat().st_mtime > begun for log in logs) or len(weights(folder)) == 12:
            return
        time.sleep(0.02)


def orphans(folder: Path) -> list[str]:
    time.sleep(1)
    found = subprocess.run(
        ["ps", "axww", "-o", "pid,args"], check=True, capture_output=True, text=True
    )
    ours = [line for line in found.stdout.splitlines() if "pipeline.sweeps.isolation" in line]
    return [
        line for line in ours
        if Path(f"/proc/{line.split()[0]}/cwd").resolve() == folder.resolve()
    ]  # fmt: skip
