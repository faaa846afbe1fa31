"""A search from its words to its end, in this process: trials, runs, records, report, exit code."""

import contextlib
import math
import os
import signal

import numpy as np
import pytest
from sweep_builders import QUICK, StandInPublisher, act

from pipeline import files
from pipeline.errors import ConfigError, DataError
from pipeline.record import heads, read
from pipeline.sweeps import publishing, study
from pipeline.sweeps.manifest import find_sweep
from pipeline.sweeps.report import compare_sweep
from pipeline.sweeps.search import run_search, show_space
from pipeline.sweeps.study import FILE, read_search

pytestmark = pytest.mark.usefixtures("table", "store")

SPACE = ("optimiser.learning_rate=tag(log,interval(0.01,3))", "train.l2=interval(0,0.1)")
exhaustive = pytest.mark.exhaustive


def search(*words: str) -> int:
    return run_search([QUICK, *SPACE, "evaluate.bootstrap=null", *words])


def trials():
    return read_search(find_sweep("latest").folder).trials


def attempts() -> dict[str, str]:
    """Which attempt each record is of, by its identity."""
    return {head.identity: head.attempt for head in heads()}


def loss_of(identity: str) -> float:
    """The mean validation loss, from the losses of the rows as they are on record."""
    held = read(files.RUNS / identity).validation_losses
    return float(held.loss @ held.count / held.count.sum())


def test_every_trial_is_run_on_its_repeats_and_its_loss_is_their_mean(store, capsys):
    assert search("search.trials=3", "seed=range(2)", "search=random") == 0
    out, _ = capsys.readouterr()
    assert "0 trials done already, 3 to make: at most 6 runs" in out
    assert "6 done, 0 failed, 0 skipped, 0 left" in out
    assert "Of 3 trials number" in out
    found = find_sweep("latest")
    assert [member.number for member in found.members] == list(range(6))
    assert found.axes == ("optimiser.learning_rate", "train.l2", "seed")
    assert len(store.tags) == 6
    for trial in trials():
        assert math.isclose(trial.loss, np.mean([*map(loss_of, trial.runs)]), rel_tol=1e-12)
        configs = [read(files.RUNS / run).config for run in trial.runs]
        assert [config["seed"] for config in configs] == [0, 1]
        assert {config["train"]["l2"] for config in configs} == {trial.point["train.l2"]}


def test_a_plan_says_what_is_drawn_from_and_makes_nothing(capsys):
    words = [*SPACE, "seed=range(3)", "optimiser=adam,momentum"]
    assert show_space(words) == 0
    out = capsys.readouterr().out
    assert "30 trials of 3 runs each (seed=0,1,2), drawn by tpe" in out
    assert "optimiser.learning_rate  0.01 to 3, logarithmic" in out
    assert "optimiser                adam, momentum" in out
    assert not files.SWEEPS.exists()
    assert not files.RUNS.exists()


WORDS = ("search.trials=13", "seed=range(2)", "encode=onehot,crosses")


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The trials of a search that nothing interrupts, and how many records they made."""
    with pytest.MonkeyPatch.context() as patch:
        from sweep_builders import use_project

        use_project(patch, tmp_path_factory.mktemp("unbroken"))
        patch.setattr(publishing, "Publisher", StandInPublisher())
        assert search(*WORDS) == 0
        yield trials(), len(attempts())


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_in(place: str, monkeypatch, fork) -> None:
    """Start the search in a child that is killed at that place of its seventh trial."""
    finish, tell = study.Study.finish, study.Study._append

    def at_seventh(before, after):
        def finishing(self, trial):
            if trial.number == 7:
                before()
            finish(self, trial)
            if trial.number == 7:
                after()

        return finishing

    with monkeypatch.context() as patch:
        if place == "before it is kept":
            patch.setattr(study.Study, "finish", at_seventh(die, int))
        elif place == "after it is kept":
            patch.setattr(study.Study, "finish", at_seventh(int, die))
        elif place == "while it is kept":
            patch.setattr(study.Study, "_append", lambda self, optuna: (
                die() if len(self._memory.trials) == 8 else tell(self, optuna)
            ))  # fmt: skip
        else:
            kill = {"in its second run": lambda: os.kill(os.getppid(), signal.SIGKILL)}[place]
            act(patch, {1: lambda: kill() if len(attempts()) == 15 else None})
        child = fork(lambda: os._exit(search(*WORDS)))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@exhaustive
@pytest.mark.parametrize(
    "place",
    ["before it is kept", "after it is kept", "while it is kept", "in its second run"],
)
def test_the_same_command_goes_on_after_a_kill_as_if_there_had_been_none(
    place, unbroken, monkeypatch, fork, capsys
):
    """D12: to the number of trials that was asked for; what is done is taken, to the last bit."""
    killed_in(place, monkeypatch, fork)
    before = attempts()
    assert 14 <= len(before) <= 16
    assert search(*WORDS) == 0
    found, n = unbroken
    assert trials() == found
    assert attempts().items() >= before.items()
    assert len(attempts()) == n
    assert [m.number for m in find_sweep("latest").members] == list(range(n))
    assert f"{n - len(before)} done, 0 failed" in capsys.readouterr().out


@exhaustive
def test_ctrl_c_ends_a_search_in_peace_and_it_goes_on_as_if_there_had_been_none(
    unbroken, monkeypatch, fork
):
    with monkeypatch.context() as patch:
        stop = lambda: os.kill(os.getppid(), signal.SIGINT)  # noqa: E731
        act(patch, {0: lambda: stop() if len(attempts()) == 8 else None})
        child = fork(lambda: os._exit(search(*WORDS)))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 128 + signal.SIGINT
    assert len(trials()) == 4
    assert search(*WORDS) == 0
    assert trials() == unbroken[0]


@exhaustive
def test_a_lost_study_is_found_again_from_the_records(unbroken, monkeypatch):
    assert search(*WORDS) == 0
    before = attempts()
    (find_sweep("latest").folder / FILE).unlink()
    assert search(*WORDS) == 0
    assert trials() == unbroken[0]
    assert attempts() == before


@exhaustive
def test_more_trials_go_on_with_the_same_search(unbroken, capsys):
    assert search(*WORDS, "search.trials=5") == 0
    first = find_sweep("latest").id
    assert search(*WORDS) == 0
    assert "5 trials done already, 8 to make" in capsys.readouterr().out
    assert find_sweep("latest").id == first
    assert trials() == unbroken[0]
    assert search(*WORDS, "search.trials=2") == 0
    assert len(find_sweep("latest").members) == unbroken[1]


@exhaustive
def test_a_trial_that_diverges_is_kept_with_its_reason_and_the_others_are_made(capsys):
    """D11: and it is not made again; the exit code is that of a sweep with a failed run."""
    words = ["optimiser=gradient_descent", "optimiser.learning_rate=tag(log,interval(0.1,1e6))"]
    words += ["search.trials=6", "seed=range(3)", "train.epochs=9"]
    assert search(*words) == 4
    out = capsys.readouterr().out
    found = trials()
    failed = [trial for trial in found if trial.ended == "failed"]
    assert 0 < len(failed) < 6
    for trial in failed:
        if "loss must stay finite; got infinity" in trial.reason:
            assert len(trial.runs) == 1  # the other seeds would be of no use
        else:
            assert "validation loss must be at most 1e+09 nats per row; got" in trial.reason
        assert trial.loss is None
    assert f"({len(failed)} failed)" in out
    before = attempts()
    assert search(*words) == 4
    assert trials() == found
    assert attempts() == before


@exhaustive
def test_a_point_that_was_drawn_before_takes_its_record():
    assert run_search([QUICK, "encode=onehot,crosses", "search=random", "search.trials=8"]) == 0
    found = trials()
    assert len(found) == 8
    assert len(attempts()) == len(find_sweep("latest").members) == 2
    by_point = {(trial.point["encode"], trial.loss, trial.runs) for trial in found}
    assert len(by_point) == 2


@exhaustive
def test_a_second_process_is_refused_and_told_which_one_searches(monkeypatch, fork, capsys):
    parent = os.getpid()

    def again():
        if len(attempts()) == 2:
            with contextlib.suppress(ConfigError):
                search("search.trials=4")
            refused = capsys.readouterr().out + str(_refusal())
            assert f"got it held by process {parent} on" in refused

    act(monkeypatch, {0: again})
    assert search("search.trials=4") == 0
    assert len(attempts()) == 4


def _refusal() -> str:
    with pytest.raises(ConfigError) as refused:
        search("search.trials=4")
    return str(refused.value)


@exhaustive
def test_a_run_that_is_behind_is_pruned_and_no_failure(capsys):
    """The oracle is the median of the earlier trials' curves; it is not made again."""
    words = [*SPACE, "train.epochs=60", "evaluate.bootstrap=null", "seed=range(2)"]
    words += ["search.prune=median", "search.trials=12"]
    assert run_search(words) == 0
    out = capsys.readouterr().out
    found = trials()
    pruned = [trial for trial in found if trial.ended == "pruned"]
    assert pruned
    assert min(trial.number for trial in pruned) >= 5
    for trial in pruned:
        record = read(files.RUNS / trial.runs[-1])
        assert (record.status, record.failure.kind) == ("KILLED", "Pruned")
        losses = record.curve["valid_loss"]
        assert trial.seen == (sum(
            int(read(files.RUNS / run).curve["epoch"][-1]) for run in trial.runs
        ), losses.min())  # fmt: skip
        repeat = len(trial.runs) - 1
        at = int(record.curve["epoch"][-1])
        assert at in (20, 30, 40, 50)
        before = [
            read(files.RUNS / other.runs[repeat]).curve["valid_loss"][at]
            for other in found[: trial.number]
            if other.ended == "complete"
        ]
        assert losses[20 : at + 1 : 10].min() > np.median(before)
    assert f"{len(pruned)} pruned" in out
    assert "by a heuristic" in out
    comparison = compare_sweep(find_sweep("latest"))
    assert {run.outcome for run in comparison.unfinished} == {"pruned"}
    made = attempts()
    assert run_search(words) == 0
    assert (trials(), attempts()) == (found, made)


@exhaustive
def test_an_edit_of_the_table_makes_the_runs_again(table, capsys):
    assert search("search.trials=3", "data.sha256=null") == 0
    old, before = trials(), attempts()
    lines = table.read_bytes().splitlines(keepends=True)
    table.write_bytes(b"".join(lines[:-40]))
    assert search("search.trials=3", "data.sha256=null") == 0
    assert "3 done, 0 failed" in capsys.readouterr().out
    assert {t.loss for t in trials()}.isdisjoint(t.loss for t in old)
    assert [t.point for t in trials()] == [t.point for t in old]  # the first ten are random
    assert attempts().items() >= before.items()
    assert len(find_sweep("latest").members) == 3


@exhaustive
def test_data_that_are_refused_end_the_search_with_their_exit_code(table):
    table.write_bytes(b"\0\1\2")
    with pytest.raises(DataError):
        search("search.trials=3")
    assert not attempts()


@exhaustive
def test_a_launcher_makes_the_repeats_and_prunes_nothing():
    with pytest.raises(ConfigError, match=r"search\.prune must be none with a launcher"):
        search("hydra/launcher=joblib", "search.prune=median")
