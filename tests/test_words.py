"""The words after a command: it checks what it takes and refuses the rest before it begins."""

import re
from pathlib import Path

import pytest
from projects import copy_project, launch, make_record

from pipeline import __main__ as line
from pipeline import car, command, paths
from pipeline.compose import COMMANDS
from pipeline.errors import MAX_MESSAGE, ConfigError
from pipeline.paths import PROJECT
from pipeline.predict import model_of
from pipeline.record import write

FLAGS = {
    "predict": ["--input", "new.csv", "--output", "scored.csv"],
    "export": ["--output", "run.zip"],
    "import": ["--input", "run.zip"],
}


def ask(name: str, *words: str) -> int:
    return line.COMMANDS[name]([*FLAGS.get(name, []), *words])


def refusal(name: str, *words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        ask(name, *words)
    assert caught.value.exit_code == 2
    assert len(str(caught.value)) <= MAX_MESSAGE
    return str(caught.value)


# --- every command ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ready(tmp_path_factory) -> Path:
    """A copy with a run that can be scored and handed on, and no store."""
    folder = copy_project(tmp_path_factory.mktemp("words") / "project")
    (folder / "Makefile").write_bytes((PROJECT / "Makefile").read_bytes())
    make_record(folder, "train.epochs=5")
    (folder / "new.csv").write_bytes(car.content())
    return folder


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if "__pycache__" not in path.parts}


@pytest.mark.slow
@pytest.mark.parametrize("word", ["nonsense=3", "evaluate.treshold=0.1", "--nonsense"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_word_that_a_command_does_not_know_is_refused_on_one_line(ready, name, word):
    before = files(ready)
    code, out, err = launch(ready, name, *FLAGS.get(name, []), word)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert word.partition("=")[0] in err
    assert re.search("must .*; got ", err)
    assert files(ready) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [["nonsense=3"], ["evaluate.treshold=0.1"], ["--nonsense"], ["--cfg"], ["--cfg", "nonsense"],
     ["-m", "nonsense=3"], ["-m", "--nonsense"], ["predct"]],
)  # fmt: skip
def test_a_run_or_a_sweep_refuses_on_one_line_as_well(ready, words):
    before = files(ready)
    code, out, err = launch(ready, *words)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert re.search("must .*; got ", err)
    assert files(ready) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_make_hands_its_words_on_to_every_command(ready, name):
    makefile = (ready / "Makefile").read_text()
    recipe = re.search(rf"^{name}:.*\n\t@(.*)$", makefile, re.MULTILINE).group(1)
    assert recipe.startswith(f"$(BIN)/python -m pipeline {name}")
    assert recipe.endswith(" --args")
    given = {"ARGS": "nonsense=3", "INPUT": "a.csv", "OUTPUT": "b.csv"}
    words = [word.strip('"') for word in recipe.replace("$$", "$").split()[3:]]
    shown = [given.get(word.removeprefix("$"), "") if word[0] == "$" else word for word in words]
    code, out, err = launch(ready, *shown, **given)
    assert (code, out) == (2, "")
    assert "nonsense" in err


@pytest.mark.parametrize("name", ["ui", "data"])
def test_a_command_that_takes_nothing_says_so(project, name):
    told = f"{name} must be told nothing; got 'tracking.uri=x'"
    assert refusal(name, "tracking.uri=x") == told
    assert not list(project.iterdir())


TAKEN = {
    "predict": ["evaluate.threshold=…", "tracking=…", "tracking.…=…"],
    "export": ["tracking=…", "tracking.…=…"],
    "import": ["tracking=…", "tracking.…=…"],
    "sync": ["tracking=…", "tracking.…=…"],
    "compare": ["tracking=…", "tracking.…=…"],
    "promote": ["promote=…", "promote.…=…", "tracking=…", "tracking.…=…"],
    "reproduce": ["data.path=…", "train.blas_threads=…", "tracking=…", "tracking.…=…"],
}


@pytest.mark.parametrize("word", ["train.epochs=5", "data=car", "~seed", "hydra.job.chdir=true"])
@pytest.mark.parametrize("name", TAKEN)
def test_a_setting_of_another_command_is_refused_with_what_is_taken(project, name, word):
    told = refusal(name, word)
    assert told.startswith(f"{name} must be told {TAKEN[name][0]}")
    assert all(taken in told for taken in TAKEN[name])
    assert told.endswith(f"no more; got {word!r}")


@pytest.mark.parametrize(
    ("name", "words", "parts"),
    [
        ("predict", ["evaluate.treshold=0.1"], ["did you mean evaluate.threshold?"]),
        ("predict", ["threshold=0.1"], ["did you mean evaluate.threshold?"]),
        ("predict", ["tracking.urii=x"], ["did you mean tracking.uri?"]),
        ("predict", ["tracking=servr"], ["tracking must be one of", "did you mean server?"]),
        ("predict", ["tracking=server"], ["tracking.uri must be given"]),
        ("predict", ["evaluate.threshold"], ["form key=value; got 'evaluate.threshold'"]),
        ("predict", ["evaluate.threshold=0.1,0.2"], ["evaluate.threshold must have one value"]),
        ("predict", ["--runn", "latest"], ["'--runn'", "did you mean --run?", "'latest'"]),
        ("predict", ["--inp", "a.csv"], ["'--inp'", "did you mean --input?"]),
        ("predict", ["--run"], ["--run", "expected one argument"]),
        ("predict", ["--threshold", "0.99"], ["'--threshold'", "'0.99'"]),
        ("export", ["evaluate.threshold=0.1"], ["export must be told tracking=…"]),
        ("promote", ["promote.flor=0.1"], ["did you mean promote.floor?"]),
        ("promote", ["promote.metric=auc"], ["promote.metric must be 'log_loss' or 'accuracy'"]),
        ("reproduce", ["data.pth=x"], ["did you mean data.path?"]),
        ("reproduce", ["train.blas_threads=65"], ["train.blas_threads must be", "64"]),
        ("ui", ["--port", "five"], ["--port", "'five'"]),
        ("sync", ["nonsense=3", "x.y=1", "--z"], ["'nonsense=3'", "'x.y=1'", "'--z'"]),
    ],
)
def test_a_refusal_names_every_fault_and_the_nearest_that_is_taken(project, name, words, parts):
    told = refusal(name, *words)
    assert all(part in told for part in parts), told
    assert not list(project.iterdir())


# --- the threshold of a prediction -----------------------------------------------------------


@pytest.fixture
def trained(project, result):
    """The record of a run at threshold 0.5, and rows of both of its categories."""
    (project / "new.csv").write_text("safety\nlow\nhigh\n")
    return write(result, paths.RUNS)


def decided(project: Path) -> list[tuple[float, str]]:
    rows = (project / "scored.csv").read_text().splitlines()[1:]
    return [(float(row.split(",")[1]), row.split(",")[2]) for row in rows]


def predict(project: Path, *words: str) -> int:
    places = ["--input", str(project / "new.csv"), "--output", str(project / "scored.csv")]
    return line.predict([*places, *words])


@pytest.mark.parametrize(
    ("threshold", "decisions"), [("0.05", "11"), ("0.5", "01"), ("0.95", "00")]
)
def test_a_prediction_decides_at_the_threshold_that_is_given(
    project, trained, capsys, threshold, decisions
):
    assert model_of(trained).threshold == 0.5
    assert predict(project, f"evaluate.threshold={threshold}") == 0
    found = decided(project)
    assert "".join(decision for _, decision in found) == decisions
    assert all((p >= float(threshold)) == (decision == "1") for p, decision in found)
    said = capsys.readouterr().out
    assert f"decided at threshold {threshold} (the run's is 0.5)" in said
    assert f"{decisions.count('1')} of them positive" in said


def test_without_a_threshold_the_runs_own_holds_and_nothing_is_said(project, trained, capsys):
    assert predict(project) == 0
    assert [decision for _, decision in decided(project)] == ["0", "1"]
    assert "decided at" not in capsys.readouterr().out


def test_a_probability_at_the_very_threshold_is_positive_and_no_probability_changes(
    project, trained
):
    predict(project)
    (low, _), (high, _) = decided(project)
    predict(project, f"evaluate.threshold={high!r}")
    assert decided(project) == [(low, "0"), (high, "1")]


@pytest.mark.parametrize("value", ["0", "1", "-0.1", "1.5", "nan", "inf", "half", "null", ""])
def test_a_threshold_that_is_none_is_refused_before_anything_is_read(project, value):
    assert "evaluate.threshold must" in refusal("predict", f"evaluate.threshold={value}")


# --- reproduce -------------------------------------------------------------------------------


def test_reproduce_gets_the_values_and_not_their_spelling(project, monkeypatch):
    got = []
    monkeypatch.setattr(command, "make_again", lambda *a, **k: got.append((a, k)) or 0)
    words = ["data.path='a, b=c.csv'", "train.blas_threads=2", "tracking.uri=sqlite:///x.db"]
    assert ask("reproduce", *words) == 0
    (((_, _, changes), _),) = got
    assert changes == ["data.path=a, b=c.csv", "train.blas_threads=2"]
