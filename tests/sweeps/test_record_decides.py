"""Whether a run is done is decided by its record: by no exit code, no reply and no launcher."""

import json
import re
from pathlib import Path

import pytest
from swept import configs, launch, sabotage, seeds_done, statuses, weights

pytestmark = pytest.mark.slow


def replace_once(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def test_a_run_that_is_killed_after_its_commit_is_done(copied):
    """C11: it dies before it can say so."""
    path = copied / "pipeline" / "sweeps" / "isolation.py"
    replace_once(
        path, "    print(redact(summarise(result)))\n", "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    code, out, err = launch(copied, "seed=range(2)")
    assert code == 0, out + err
    assert "2 done, 0 failed" in out
    assert seeds_done(copied) == {0, 1}
    assert [s for kind, _, s in statuses(copied) if not kind] == ["FINISHED"] * 2


LAUNCHER = '''
import subprocess
import sys

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher


class Forgetful(Launcher):
    """Starts each job elsewhere, and collects nothing: it does not even say whether any ended."""

    def setup(self, *, hydra_context, task_function, config):
        self.config = config

    def launch(self, job_overrides, initial_job_idx):
        lost = {lost}
        for overrides in job_overrides:
            words = [*overrides, "hydra.job.chdir=false", "hydra.output_subdir=null"]
            words += ["hydra/job_logging=none", "hydra/hydra_logging=none"]
            code = "import sys; from pipeline.sweeps.launcher import make; make()"
            if not any(word in ("+number=1", "number=1") and lost for word in overrides):
                subprocess.run([sys.executable, "-c", code, *words], check=True)
        return []
'''


@pytest.mark.parametrize("lost", [False, True])
def test_a_launcher_that_collects_nothing_is_not_needed_to(copied, lost):
    """D16: a job that it never makes is named, the others are done."""
    plugins = copied / "hydra_plugins"
    plugins.mkdir()
    (plugins / "forgetful.py").write_text(LAUNCHER.replace("{lost}", str(lost)))
    (copied / "conf" / "hydra" / "launcher").mkdir(parents=True)
    words = [
        "seed=range(3)",
        "hydra/launcher=basic",
        "hydra.launcher._target_=hydra_plugins.forgetful.Forgetful",
    ]
    code, out, err = launch(copied, *words)
    assert code == (4 if lost else 0), out + err
    assert seeds_done(copied) == ({0, 2} if lost else {0, 1, 2})
    told = "2 done, 1 failed" if lost else "3 done, 0 failed"
    assert told in out
    if lost:
        assert re.search(r"FAILED .*seed=1\n    Launcher: launcher must make the run", out)


def test_an_edited_configuration_makes_new_runs_and_keeps_the_old(copied):
    """D08: what has run stays as it is, and is found again."""
    path = copied / "conf" / "train" / "default.yaml"
    before = path.read_text()
    assert launch(copied, "seed=range(2)")[0] == 0
    old = weights(copied)
    path.write_text(re.sub(r"(?m)^l2: \S+", "l2: 0.5", before))
    code, out, err = launch(copied, "seed=range(2)")
    assert code == 0, err
    assert "0 done already, 0 refused, 2 to run" in out
    new = weights(copied)
    assert len(new) == 4
    assert {name: new[name] for name in old} == old
    path.write_text(before)
    code, out, _ = launch(copied, "seed=range(2)")
    assert "2 done already, 0 refused, 0 to run" in out
    assert weights(copied) == new


def test_a_run_that_diverges_is_recorded_as_such_and_never_ranked(copied):
    """D11, F06: a cost that is not finite is no figure, and the page tells it apart."""
    words = ["optimiser=gradient_descent", "optimiser.learning_rate=0.1,1e308", "seed=range(2)"]
    code, out, err = launch(copied, *words)
    assert code == 4, err
    assert "2 done, 2 failed" in out
    assert out.count("lower optimiser.learning_rate") >= 2
    assert "2 diverged" in out
    (page,) = (copied / "sweeps").glob("*/comparison.html")
    assert "diverged" in page.read_text()
    failed = configs(copied, "FAILED")
    assert {tree["optimiser"]["learning_rate"] for tree in failed} == {1e308}
    trees = [json.loads(p.read_text()) for p in (copied / "runs").glob("*/result.json")]
    assert sorted(tree["ended"] for tree in trees) == ["diverged"] * 2 + ["epochs"] * 2
    code, out, _ = launch(copied, command=("compare",))
    assert code == 0
    assert "2 of 4 runs did not finish; training diverged" in out
    assert re.search(r"(?m)^ 1\* +0\.1 ", out)
    assert "1e+308" not in out


def test_a_record_that_was_altered_is_made_again_with_the_same_bits(copied):
    """C17: its files are not what result.json says, and the plan tells it."""
    assert launch(copied, "seed=range(2)")[0] == 0
    before = weights(copied)
    one, other = sorted((copied / "runs").glob("*/weights.npz"))
    one.write_bytes(one.read_bytes()[:-1] + b"!")
    other.unlink()
    code, out, _ = launch(copied, "seed=range(2)")
    assert code == 0
    assert "0 done already, 0 refused, 2 to run" in out
    assert out.count("record damaged: weights.npz must") == 2
    assert weights(copied) == before
    assert [s for kind, _, s in statuses(copied) if not kind] == ["FINISHED"] * 2


def test_an_error_that_all_share_is_said_to_be(copied):
    """D13: and is not where one differs."""
    path = copied / "pipeline" / "stages" / "train.py"
    honest = path.read_text()
    place = honest.index("    start_rng, batch_rng")
    path.write_text(honest[:place] + "    raise RuntimeError('planted')\n" + honest[place:])
    code, out, _ = launch(copied, "seed=range(3)")
    assert code == 4
    assert "every run failed with the same error" in out
    assert len(re.findall(r"FAILED .*seed=\d\n    RuntimeError: planted", out)) == 3
    other = "    raise RuntimeError('planted ' + str(seed))\n"
    path.write_text(honest[:place] + other + honest[place:])
    code, out, _ = launch(copied, "seed=range(3)")
    assert code == 4
    assert "every run failed with the same error" not in out


PARENT = "int(open(f'/proc/{{{}}}/stat').read().rpartition(')')[2].split()[1])"
HOST = "os.getppid()"  # which makes runs in processes of their own
ASKER = PARENT.format(HOST)  # who asks it to: the sweep, or one of joblib's workers


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("victim", "launcher", "told"),
    [
        (HOST, [], "Worker: run must be prepared; its process ended with signal 9"),
        (ASKER, ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], "launcher must make the run"),
    ],
    ids=["the one that makes runs", "a worker of joblib"],
)
def test_a_process_above_a_run_that_is_killed_costs_that_run_alone(copied, victim, launcher, told):
    """D04: each time that the run is made."""
    sabotage(copied, {1: f"os.kill({victim}, signal.SIGKILL); time.sleep(5)"})
    code, out, err = launch(copied, "seed=range(4)", *launcher)
    assert code == 4, out + err
    assert "3 done, 1 failed" in out, out
    assert seeds_done(copied) == {0, 2, 3}
    assert told in out
    assert "Traceback" not in out
