"""Sweeps whose runs Hydra's launchers make: side by side, on Slurm, on Ray, on faulty nodes."""

import os
import subprocess
from pathlib import Path

import pytest
from builders import FOREIGN, PROJECT, copy_project, launch
from servers import needs_slurm, slurm
from sweep_builders import QUICK, published, thetas

from pipeline import files
from pipeline.errors import StopRequest
from pipeline.sweeps.child import RunReport
from pipeline.sweeps.grid import expand
from pipeline.sweeps.launcher import launch as launch_jobs
from pipeline.sweeps.manifest import new_sweep, write_sweep

pytestmark = pytest.mark.exhaustive

ECOSYSTEM = PROJECT / ".venv-ecosystem" / "bin" / "python"
WORDS = ("-m", QUICK, "seed=range(3)")


@pytest.fixture(scope="module")
def serial(tmp_path_factory) -> dict[int, bytes]:
    """The weights of a sweep without a launcher, by their seeds."""
    folder = copy_project(tmp_path_factory.mktemp("serial") / "project")
    assert launch(folder, *WORDS)[0] == 0
    return thetas(folder)


def check(folder: Path, serial: dict[int, bytes], code: int, out: str) -> None:
    """Every run was made, recorded, published and compared, and has the bits of a serial one."""
    assert code == 0, out
    assert "3 done, 0 failed, 0 skipped, 0 left" in out
    assert "3 finished runs" in out
    assert thetas(folder) == serial
    runs = published(folder)
    assert {job: tags["status"] for job, tags in runs.items()} == dict.fromkeys(
        ["0", "1", "2", "sweep"], "FINISHED"
    )


def test_submitit_on_this_machine(serial, tmp_path):
    folder = copy_project(tmp_path / "project")
    code, out, err = launch(folder, *WORDS, "hydra/launcher=submitit_local")
    check(folder, serial, code, out + err)


@needs_slurm
def test_slurm(serial, tmp_path):
    folder = copy_project(tmp_path / "project")
    words = ["hydra/launcher=submitit_slurm", "hydra.launcher.partition=short"]
    with slurm() as conf:
        code, out, err = launch(folder, *WORDS, *words, SLURM_CONF=str(conf))
    check(folder, serial, code, out + err)


@pytest.mark.skipif(not ECOSYSTEM.exists(), reason="make .venv-ecosystem/.installed makes it")
def test_ray(serial, tmp_path):
    folder = copy_project(tmp_path / "project")
    words = ["hydra/launcher=ray", "+hydra.launcher.ray.init.num_cpus=2"]
    kept = {name: text for name, text in os.environ.items() if not name.startswith(FOREIGN)}
    done = subprocess.run(
        [ECOSYSTEM, "-m", "pipeline", *WORDS, *words],
        env={**kept, "PYTHONPATH": str(folder), "HOME": str(tmp_path)},
        cwd=folder, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    check(folder, serial, done.returncode, done.stdout + done.stderr)


def test_a_launcher_that_finds_no_cluster_says_so_in_each_run(tmp_path):
    folder = copy_project(tmp_path / "project")
    words = ["hydra/launcher=submitit_slurm", "seed=range(5)"]
    code, out, _ = launch(folder, *WORDS, *words, PATH="/usr/local/bin:/bin/none")
    assert code == 4
    assert out.count('got no report (RuntimeError: Could not detect "srun"') == 5
    log = next(folder.glob("sweeps/*/launcher/launcher.log")).read_text()
    assert (
        log.count("RuntimeError: Could not detect") == 1 + 3
    )  # all at once, and the first three alone


# --- launchers that go wrong, in a copy of the project ---

LAUNCHER = """
from pathlib import Path

from hydra._internal.core_plugins.basic_launcher import BasicLauncher


class Faulty(BasicLauncher):
    def launch(self, job_overrides, initial_job_idx):
        for job in self.make(job_overrides, initial_job_idx):
            job.return_value  # raises what the job raised
        return []

    def make(self, job_overrides, initial_job_idx):
        {fault}
"""


def made(folder: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> dict[int, RunReport]:
    """The reports of three runs that a launcher with that fault makes."""
    copied = copy_project(folder / "project")
    (copied / "hydra_plugins").mkdir()
    text = LAUNCHER.format(fault=fault.strip().replace("\n", "\n        "))
    (copied / "hydra_plugins" / "faulty.py").write_text(text)
    monkeypatch.setattr(files, "PROJECT", copied)
    monkeypatch.setattr(files, "SWEEPS", copied / "sweeps")
    monkeypatch.setenv("PYTHONPATH", str(copied))
    words = [QUICK, "seed=range(3)"]
    grid = expand(words)
    sweep = new_sweep(grid, words, [])
    write_sweep(sweep)
    chosen = ["hydra/launcher=basic", "hydra.launcher._target_=hydra_plugins.faulty.Faulty"]
    found = launch_jobs(grid.jobs, sweep, chosen, StopRequest())
    return {report.number: report for report in found}


def test_a_job_that_the_launcher_loses_is_named_and_the_others_are_done(tmp_path, monkeypatch):
    """D16: what the launcher says of its jobs is not needed."""
    lost = """
made = [words for words in job_overrides if "+number=1" not in words]
return super().launch(made, initial_job_idx)
"""
    reports = made(tmp_path, monkeypatch, lost)
    assert {number: report.status for number, report in reports.items()} == {
        0: "FINISHED", 1: "FAILED", 2: "FINISHED"
    }  # fmt: skip
    assert reports[1].failure.kind == "Launcher"
    assert set(thetas(tmp_path / "project")) == {0, 2}


def test_a_node_that_does_not_see_the_folder_is_named(tmp_path, monkeypatch):
    blind = """
other = [[w for w in words if "+folder" not in w] + ["+folder=/nowhere"] for words in job_overrides]
return super().launch(other, initial_job_idx)
"""
    reports = made(tmp_path, monkeypatch, blind)
    for number in range(3):
        message = reports[number].failure.message
        assert "ConfigError: folder of a sweep must be on storage that every node sees" in message
        assert "got none at /nowhere on node" in message
    assert thetas(tmp_path / "project") == {}


def test_code_that_was_edited_since_makes_no_other_run_than_the_planned_one(tmp_path, monkeypatch):
    edited = """
with Path("nn/loss.py").open("a") as file:
    file.write("X = 1\\n")
return super().launch(job_overrides, initial_job_idx)
"""
    reports = made(tmp_path, monkeypatch, edited)
    message = reports[0].failure.message
    assert "must have the code and the libraries that the sweep began with" in message
    assert "got code: nn/loss.py" in message
    assert thetas(tmp_path / "project") == {}
