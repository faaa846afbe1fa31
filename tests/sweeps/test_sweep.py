"""A sweep from its words to its end, in this process: plan, runs, records, report, exit code."""

import os
import signal
import time

import pytest
from sweep_builders import QUICK, StandInPublisher, act

from pipeline import files
from pipeline.record import heads
from pipeline.sweeps import publishing
from pipeline.sweeps.manifest import find_sweep
from pipeline.sweeps.sweep import run_sweep, show_plan

pytestmark = [pytest.mark.usefixtures("table", "store"), pytest.mark.exhaustive]


def sweep(*words: str) -> int:
    return run_sweep([QUICK, *words])


def statuses() -> dict[int, str]:
    """The status of each record, by its seed."""
    return {head.config["seed"]: head.status for head in heads()}


def crash():
    os._exit(0)


def test_every_run_is_made_published_and_compared(store, capsys):
    assert sweep("seed=range(3)", "sweep.name=rates", "train.l2=0.1,0.01") == 0
    out, err = capsys.readouterr()
    assert set(statuses().values()) == {"FINISHED"}
    assert len(store.tags) == len(list(heads())) == 6
    assert "6 done, 0 failed, 0 skipped, 0 left" in out
    assert [line.partition("]")[0] for line in err.splitlines()] == [f"[{n}/6" for n in range(1, 7)]
    found = find_sweep("rates")
    assert (found.folder / "comparison.html").exists()
    assert [member.number for member in found.members] == list(range(6))
    assert found.axes == ("seed", "train.l2")
    (summary,) = store.summaries
    assert summary.metrics["sweep/finished"] == 6
    assert summary.tags["oneuron.sweep"] == found.id


def test_the_same_command_again_makes_nothing_and_publishes_what_is_missing(store, capsys):
    """D07."""
    store.failures = 1000
    assert sweep("seed=range(2)") == 5
    assert "2 runs not published: store must answer; got silence" in capsys.readouterr().out
    attempts = [head.attempt for head in heads()]
    store.failures = 0
    assert sweep("seed=range(2)") == 0
    assert "2 done already, 0 refused, 0 to run" in capsys.readouterr().out
    assert [head.attempt for head in heads()] == attempts
    assert len(store.tags) == 2


def test_another_attempt_is_made_as_often_as_asked_and_each_is_published(store, monkeypatch):
    """D14: the record of an attempt is published before the next one replaces it."""
    act(monkeypatch, {1: crash})
    published = []
    take = store.publish

    def publish(record, tags):
        published.append((record.config["seed"], record.head.attempt, record.status))
        return take(record, tags)

    monkeypatch.setattr(store, "publish", publish)
    assert sweep("seed=range(2)", "sweep.retry=2") == 4
    assert len({attempt for _, attempt, _ in published}) == 4
    assert sorted(status for _, _, status in published) == ["FAILED"] * 3 + ["FINISHED"]


def test_what_the_same_bits_would_do_again_is_not_tried_again(store, capsys):
    """D11, F06: it diverges; it is recorded as such and never ranked."""
    words = ["optimiser=gradient_descent", "optimiser.learning_rate=0.1,1e300", "seed=range(2)"]
    assert sweep(*words, "sweep.retry=3") == 4
    out = capsys.readouterr().out
    assert "2 done, 2 failed" in out
    assert "2 diverged" in out
    assert sorted(head.ended for head in heads()) == ["diverged"] * 2 + ["epochs"] * 2
    assert len(store.asked) == 4
    page = find_sweep("latest").folder / "comparison.html"
    assert "diverged" in page.read_text()


def test_a_failure_may_end_the_sweep(monkeypatch, capsys):
    act(monkeypatch, {0: crash})
    assert sweep("seed=range(3)", "sweep.on_failure=stop") == 4
    assert "0 done, 1 failed, 0 skipped, 2 left" in capsys.readouterr().out
    assert statuses() == {0: "FAILED"}


@pytest.mark.parametrize("same", [True, False])
def test_an_error_that_all_share_is_said_to_be_shared(monkeypatch, capsys, same):
    """D13: and is not where one differs."""

    def fail(seed):
        raise RuntimeError(f"planted {0 if same else seed}")

    act(monkeypatch, {seed: lambda seed=seed: fail(seed) for seed in range(2)})
    assert sweep("seed=range(2)") == 4
    out = capsys.readouterr().out
    assert ("every run failed with the same error" in out) == same
    assert out.count("RuntimeError: planted") >= 2
    assert out.count("logs/0000") == 2
    assert out.count("MLflow run") == 2


def test_data_that_are_refused_are_a_failure_of_their_runs_alone(capsys):
    words = ["data=car,breast_cancer", "data.max_bytes=60000"]
    assert sweep(*words) == 4
    out = capsys.readouterr().out
    assert "1 done, 1 failed" in out
    assert "data.max_bytes" in out
    assert show_plan([QUICK, *words]) == 3


@pytest.mark.exhaustive
def test_an_edited_configuration_makes_new_runs_and_keeps_the_old(capsys):
    """D08: what has run stays as it is, and is found again."""
    assert sweep("seed=range(2)") == 0
    old = {head.identity: head.attempt for head in heads()}
    assert sweep("seed=range(2)", "train.l2=0.5") == 0
    assert "0 done already, 0 refused, 2 to run" in capsys.readouterr().out
    assert {head.identity: head.attempt for head in heads()}.items() >= old.items()
    assert sweep("seed=range(2)") == 0
    assert "2 done already, 0 refused, 0 to run" in capsys.readouterr().out


def test_no_word_with_a_secret_is_in_a_file_or_on_the_terminal(monkeypatch, capsys):
    """H04: neither from an override nor from the environment."""
    secret = "s3cr3t-Value-9913"
    monkeypatch.setenv("A_TOKEN", secret)
    act(monkeypatch, {1: lambda: {}[secret]})
    assert sweep("seed=range(2)", f"data.name={secret}", f"tracking.experiment={secret}") == 4
    out, err = capsys.readouterr()
    assert secret not in out + err
    written = [p for p in files.PROJECT.rglob("*") if p.is_file()]
    assert any(path.name == "sweep.json" for path in written)
    assert [path for path in written if secret.encode() in path.read_bytes()] == []


@pytest.mark.parametrize("name", ["SIGINT", pytest.param("SIGTERM", marks=pytest.mark.exhaustive)])
def test_a_signal_ends_the_sweep_and_the_same_command_goes_on(monkeypatch, fork, name):
    """C05, C07: Ctrl-C lets the current run end, SIGTERM leaves it KILLED."""
    number = signal.Signals[name]
    monkeypatch.setattr(publishing, "Publisher", StandInPublisher())
    with monkeypatch.context() as patch:
        act(patch, {1: lambda: os.kill(os.getppid(), number)})
        child = fork(lambda: os._exit(run_sweep(["train.epochs=3000", "seed=range(3)"])))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 128 + number
    assert statuses() == {0: "FINISHED", 1: "FINISHED" if name == "SIGINT" else "KILLED"}
    assert run_sweep(["train.epochs=3000", "seed=range(3)"]) == 0
    assert statuses() == dict.fromkeys(range(3), "FINISHED")


def test_a_second_ctrl_c_leaves_at_once(monkeypatch, fork):
    def twice():
        asked = os.getppid()
        while True:  # one that comes before the other was taken would not count
            os.kill(asked, signal.SIGINT)
            time.sleep(0.05)

    act(monkeypatch, {1: twice})
    child = fork(lambda: sweep("seed=range(3)"))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGINT
    assert statuses() == {0: "FINISHED"}


def test_two_sweeps_that_meet_make_each_run_once(monkeypatch, fork, exit_codes, tmp_path):
    """B07."""

    def note():
        with (tmp_path / "made").open("a") as file:
            file.write("x")

    act(monkeypatch, dict.fromkeys(range(8), note))
    both = [fork(lambda: os._exit(sweep("seed=range(8)"))) for _ in range(2)]
    assert exit_codes(both) == [0, 0]
    assert statuses() == dict.fromkeys(range(8), "FINISHED")
    assert (tmp_path / "made").read_text() == "x" * 8
