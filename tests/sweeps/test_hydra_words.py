"""What is asked of Hydra in a sweep is heeded, or refused before a run."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from pipeline.config import compose as composing
from pipeline.config.compose import configuration
from pipeline.errors import ConfigError
from pipeline.sweeps.grid import expand
from pipeline.sweeps.hydra_words import launcher_words, literal


@pytest.mark.parametrize(
    "words",
    ["hydra.launcher.n_jobs=4", "hydra.launchr.n_jobs=4", "hydra/sweeper=optuna",
     "hydra/launcher=joblb", "hydra/launcher=joblib hydra.launcher.n_job=2",
     "hydra/launcher=joblib hydra.launcher.n_jobs=two", "hydra.job.chdir=true", "+hydra.foo=1",
     "hydra/launcher=joblib +hydra.launcher.foo=1", "hydra.verbose=true", "~hydra.sweeper",
     "hydra.sweeper.params.seed=1", "hydra.launcher._target_=os.system",
     "hydra/launcher=joblib hydra.launcher._target_=os.system"],
)  # fmt: skip
def test_what_no_sweep_heeds_is_refused(words):
    """J17."""
    with pytest.raises(ConfigError) as refusal:
        expand(["seed=1,2", *words.split()])
    assert "append" not in str(refusal.value)


@pytest.mark.parametrize("word", ["hydra/launcher=joblb", "hydra.launcher.n_jobs=4"])
def test_a_launcher_that_is_not_there_is_refused_with_those_that_are(word):
    with pytest.raises(
        ConfigError, match=r"launchers: basic, joblib, submitit_local, .*; as hydra"
    ):
        expand(["seed=1,2", word])


@pytest.mark.parametrize("word", ["hydra.launcher.n_jobs=4", "hydra/launcher=joblib", "+hydra.a=1"])
def test_a_single_run_has_no_words_for_hydra(word):
    with pytest.raises(ConfigError, match="must be left out"):
        configuration([word])


def test_a_launcher_of_an_experiment_is_used_with_its_settings(tmp_path, monkeypatch):
    folder = with_experiment(tmp_path, monkeypatch, "  launcher:\n    n_jobs: 3\n")
    grid = expand(["experiment=mine"])
    assert folder
    assert grid.has_launcher
    assert {"hydra/launcher=joblib", "++hydra.launcher.n_jobs=3"} <= {*grid.launcher}
    assert len(grid.jobs) == 2


def test_what_an_experiment_sets_of_hydra_in_vain_is_refused(tmp_path, monkeypatch):
    with_experiment(tmp_path, monkeypatch, "  job:\n    chdir: true\n")
    with pytest.raises(ConfigError, match=r"hydra\.job\.chdir must be left out"):
        expand(["experiment=mine"])


def test_a_setting_may_be_added_where_a_launcher_leaves_that_open():
    words = ["hydra/launcher=submitit_slurm", "+hydra.launcher.additional_parameters.nice=5"]
    grid = expand(["seed=1,2", *words])
    assert "++hydra.launcher.additional_parameters={nice:5}" in grid.launcher
    assert (
        launcher_words(composing.compose([*grid.launcher], with_hydra=True).hydra) == grid.launcher
    )
    with pytest.raises(ConfigError, match="must be left out"):
        expand(["seed=1,2", words[0], "+hydra.launcher.nice=5"])


@pytest.mark.parametrize(
    "value", ["a'b", "a\\", "a\\'b", "${x}/%j", {"a": [1, None, True, "x y"]}, [], {}, 1.5, "", "1"]
)
def test_a_setting_of_a_launcher_arrives_as_it_is(value):
    assert OverridesParser.create().parse_override(f"key={literal(value)}").value() == value


def with_experiment(tmp_path, monkeypatch, lines):
    """A configuration with an experiment that chooses joblib and has these lines for Hydra."""
    import shutil

    from pipeline import files

    folder = tmp_path / "conf"
    shutil.copytree(files.CONF, folder)
    (folder / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /hydra/launcher: joblib\n"
        f"hydra:\n  sweeper:\n    params:\n      seed: 1,2\n{lines}"
    )
    monkeypatch.setattr(files, "CONF", folder)
    if hasattr(composing, "CONF"):
        monkeypatch.setattr(composing, "CONF", folder)
    return folder
