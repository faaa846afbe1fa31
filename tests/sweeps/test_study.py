"""Optuna draws, and its file keeps the trials: nothing that interrupts changes what is drawn."""

import math
import shutil
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest

from pipeline.compare.trials import Trial
from pipeline.errors import DiskError
from pipeline.sweeps.space import read_space
from pipeline.sweeps.study import FILE, Study, read_search

pytestmark = pytest.mark.exhaustive

WORDS = (
    "optimiser.learning_rate=tag(log,interval(0.01,3))", "train.l2=interval(0,0.1)",
    "train.epochs=range(10,100,10)", "encode=onehot,crosses",
)  # fmt: skip
N = 16


@pytest.fixture
def folder():
    """A folder in memory, where a commit need not wait for the disk."""
    memory = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    yield place
    shutil.rmtree(place)


@pytest.fixture(scope="module")
def spaces():
    return {name: read_space([*WORDS, f"search={name}"]) for name in ("tpe", "random")}


def loss_of(point) -> float:
    return abs(math.log(point["optimiser.learning_rate"])) + point["train.l2"]


def ended(number, point) -> Trial:
    """Every fifth fails and every seventh is pruned."""
    if number % 5 == 4:
        return Trial(number, point, "failed", reason="TrainingError: loss", runs=("a" * 32,))
    if number % 7 == 6:
        return Trial(number, point, "pruned", seen=(20, loss_of(point)), runs=("b" * 32,))
    return Trial(number, point, "complete", loss_of(point), runs=("c" * 32, "d" * 32))


def searched(space, path, n=N, of=ended) -> list[Trial]:
    study, found = Study(space, path), []
    for number in range(n):
        found.append(of(number, study.draw(number)))
        study.finish(found[-1])
    return found


@pytest.mark.parametrize("name", ["tpe", pytest.param("random", marks=pytest.mark.exhaustive)])
def test_a_search_that_is_interrupted_draws_what_it_would_have_drawn(spaces, folder, name):
    """To the last bit, with or without its file; the control is another seed."""
    space = spaces[name]
    whole = searched(space, folder / "whole.db")
    (folder / "again").mkdir()
    for n in (1, 5, 11, N):
        searched(space, folder / "again" / FILE, n)
    assert searched(space, folder / "again" / FILE) == whole
    assert read_search(folder / "again").trials == tuple(whole)
    assert searched(space, folder / "new.db") == whole
    other = read_space([*WORDS, f"search={name}", "search.seed=1"])
    assert searched(other, folder / "other.db")[0].point != whole[0].point


def test_random_draws_are_those_of_optunas_sampler(spaces, folder):
    """The oracle is RandomSampler, asked without this code, with the seed of each trial."""
    import optuna
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    space = {
        "optimiser.learning_rate": FloatDistribution(0.01, 3, log=True),
        "train.l2": FloatDistribution(0, 0.1),
        "train.epochs": IntDistribution(10, 90, step=10),
        "encode": CategoricalDistribution(("onehot", "crosses")),
    }
    for trial in searched(spaces["random"], folder / FILE):
        seed = int(np.random.SeedSequence([0, trial.number]).generate_state(1)[0])
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
        assert study.ask(space).params == trial.point


def test_optunas_own_tools_read_the_file(spaces, folder):
    import optuna

    found = searched(spaces["tpe"], folder / FILE)
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{folder / FILE}")
    assert [t.state.name for t in study.trials] == [
        {"complete": "COMPLETE", "failed": "FAIL", "pruned": "PRUNED"}[t.ended] for t in found
    ]
    best = min((t for t in found if t.loss is not None), key=lambda t: t.loss)
    assert (study.best_trial.number, study.best_value) == (best.number, best.loss)
    assert (folder / FILE).stat().st_mode & 0o077 == 0


@pytest.mark.exhaustive
def test_other_losses_than_those_on_file_let_the_rest_be_drawn_anew(spaces, folder):
    """As after an edit of the data; the control is a search with those losses from the start."""

    def other(number, point):
        return Trial(number, point, "complete", loss_of(point) * (2 if number == 3 else 1))

    first = searched(spaces["tpe"], folder / FILE, of=lambda n, p: other(-n, p).__class__(
        n, p, "complete", loss_of(p)
    ))  # fmt: skip
    again = searched(spaces["tpe"], folder / FILE, of=other)
    assert again == searched(spaces["tpe"], folder / "control.db", of=other)
    assert [t.point for t in again[:10]] == [t.point for t in first[:10]]  # drawn at random
    assert read_search(folder).trials == tuple(again)


@pytest.mark.exhaustive
def test_a_file_that_is_damaged_is_moved_aside_and_made_again(spaces, folder):
    whole = searched(spaces["tpe"], folder / FILE)
    content = (folder / FILE).read_bytes()
    for damaged in (b"no database", content[:4096], b"", content[:100] + b"\0" * 8000):
        (folder / FILE).write_bytes(damaged)
        assert searched(spaces["tpe"], folder / FILE) == whole
        assert read_search(folder).trials == tuple(whole)
    assert (folder / "study.damaged").exists()


@pytest.mark.exhaustive
def test_a_trial_that_another_tool_has_added_does_not_stop_the_search(spaces, folder):
    import optuna

    searched(spaces["tpe"], folder / FILE, 3)
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{folder / FILE}")
    study.enqueue_trial({"encode": "onehot"})
    study.ask()
    assert read_search(folder).trials
    whole = searched(spaces["tpe"], folder / FILE)
    assert read_search(folder).trials == tuple(whole)


def test_a_disk_that_is_full_is_a_refusal_that_says_so(spaces, folder, monkeypatch):
    import sqlite3

    study = Study(spaces["tpe"], folder / FILE)
    point = study.draw(0)

    def connect(*_, **__):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(sqlite3, "connect", connect)
    with pytest.raises(DiskError, match=r"study.db must be written; got .*disk is full"):
        study.finish(Trial(0, point, "complete", 1.0))


def test_nothing_of_optunas_is_said_and_no_other_command_imports_it(spaces, folder, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        searched(spaces["tpe"], folder / FILE)
        assert read_search(folder).trials
    assert capfd.readouterr() == ("", "")
    code = (
        "import sys, pipeline.__main__, pipeline.cli.table, pipeline.sweeps.search; "
        "sys.exit('optuna' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.exhaustive
def test_importances_are_shares_of_the_variance_over_what_is_drawn_from(folder):
    """The oracle is the variance of each term over the space; fewer than ten trials have none."""
    words = [WORDS[0], "train.l2=tag(log,interval(0.000001,0.1))", WORDS[3], "search=random"]
    space = read_space(words)

    def terms(point) -> list[float]:
        rate, l2 = (math.log10(point[each.key]) for each in space.dimensions[:2])
        return [abs(rate), 0.2 * l2, float(point["encode"] == "onehot")]

    def complete(number, point):
        return Trial(number, point, "complete", sum(terms(point)) + 2)

    searched(space, folder / FILE, 9, complete)
    assert read_search(folder).importances == {}
    found = searched(space, folder / FILE, 250, complete)
    variances = np.var([terms(trial.point) for trial in found], axis=0)
    shares = dict(zip((d.key for d in space.dimensions), variances / variances.sum(), strict=True))
    importances = read_search(folder).importances
    assert {*importances} == {*shares}
    for name, share in shares.items():
        assert abs(importances[name] - share) < 0.1


@pytest.mark.exhaustive
def test_losses_that_are_all_equal_have_no_importances(folder, spaces):
    searched(spaces["random"], folder / FILE, 12, lambda n, p: Trial(n, p, "complete", 1.0))
    assert read_search(folder).importances == {}
