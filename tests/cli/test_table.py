"""The table of commands: each takes its flags and settings and refuses every other word."""

import os
import shlex

import pytest
from builders import make_environment, make_finished

from pipeline.cli import arguments
from pipeline.cli.arguments import parse
from pipeline.cli.commands import setup, train
from pipeline.cli.table import BY_NAME, COMMANDS, EVERY_SETTING, FILE_SETTINGS
from pipeline.config.file_settings import FileSettings
from pipeline.errors import ConfigError
from pipeline.record import write
from pipeline.text import MAX_MESSAGE

FLAGS = {
    "predict": ["--input", "new.csv", "--output", "scored.csv"],
    "evaluate": ["--input", "labelled.csv"],
    "export": ["--output", "run.zip"],
    "contract": ["--input", "table.csv", "--target", "y"],
    "import": ["--input", "run.zip"],
}
STRICT = [command.name for command in COMMANDS if command.settings != EVERY_SETTING]


def refusal(name: str, *words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(name, [*FLAGS.get(name, []), *words])
    assert caught.value.exit_code == 2
    assert len(str(caught.value)) <= MAX_MESSAGE
    return str(caught.value)


@pytest.mark.parametrize(
    "word", ["nonsense=3", "evaluate.treshold=0.1", "--nonsense", "train.epochs=5"]
)
@pytest.mark.parametrize("name", STRICT)
def test_a_word_that_a_command_does_not_take_is_refused_on_one_line(project, name, word):
    """J04."""
    text = refusal(name, word)
    assert len(text.splitlines()) == 1
    assert repr(word) in text
    assert not list(project.iterdir())


def test_a_refusal_has_the_golden_form():
    assert refusal("predict", "evaluate.treshold=0.1") == (
        "predict must have no setting but evaluate.threshold=… or tracking=… or data.{encoding, "
        "delimiter, quote, comment, skip_rows, header, names, strip, decimal, thousands, "
        "missing_values, rest}=…; got "
        "'evaluate.treshold=0.1'; did you mean evaluate.threshold?"
    )


@pytest.mark.parametrize(
    ("name", "words", "parts"),
    [
        ("predict", ["tracking.urii=x"], ["tracking.uri?"]),
        ("predict", ["tracking=servr"], ["tracking", "server?"]),
        ("predict", ["tracking=server"], ["tracking.uri"]),
        ("predict", ["evaluate.threshold"], ["'evaluate.threshold'"]),
        ("predict", ["evaluate.threshold=0.1,0.2"], ["evaluate.threshold", "one value"]),
        ("predict", ["--runn", "latest"], ["'--runn'", "--run?", "'latest'"]),
        ("predict", ["--inp", "a.csv"], ["'--inp'", "--input?"]),
        ("predict", ["--run"], ["--run"]),
        ("promote", ["promote.flor=0.1"], ["promote.floor?"]),
        ("promote", ["promote.metric=auc"], ["promote.metric", "'log_loss'"]),
        ("reproduce", ["data.pth=x"], ["data.path?"]),
        ("reproduce", ["train.blas_threads=65"], ["train.blas_threads", "64"]),
        ("sync", ["nonsense=3", "x.y=1", "--z"], ["'nonsense=3'", "'x.y=1'", "'--z'"]),
    ],
)  # fmt: skip
def test_a_refusal_names_every_wrong_word_and_the_nearest_right_one(name, words, parts):
    text = refusal(name, *words)
    assert all(part in text for part in parts), text


@pytest.mark.parametrize("value", ["0", "1", "-0.1", "1.5", "nan", "inf", "half", "null", ""])
def test_a_threshold_outside_0_to_1_is_refused_before_anything_is_read(value):
    assert "evaluate.threshold" in refusal("predict", f"evaluate.threshold={value}")


@pytest.mark.parametrize("name", FLAGS)
def test_a_file_that_must_be_named_is_asked_for_with_the_command_to_type(name):
    with pytest.raises(ConfigError) as caught:
        parse(name, [])
    needed = {"predict": "INPUT=new.csv OUTPUT=scored.csv", "export": "OUTPUT=run.zip",
              "evaluate": "INPUT=labelled.csv",
              "import": "INPUT=run.zip", "contract": "INPUT=table.csv TARGET=column"}  # fmt: skip
    assert str(caught.value).endswith(f"make {name} {needed[name]}")


def test_make_hands_its_variables_on_as_they_were_typed(monkeypatch):
    for name in [name for name in os.environ if name in ("RUN", "INPUT", "OUTPUT", "ARGS")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("INPUT", "a b.csv")
    monkeypatch.setenv("OUTPUT", "o.csv")
    monkeypatch.setenv("ARGS", "evaluate.threshold=0.2 'tracking.experiment=a b'")
    given = parse("predict", ["--make"])
    assert given.options == {
        "run": "latest", "input": "a b.csv", "output": "o.csv", "on_bad_row": "refuse",
    }  # fmt: skip
    assert given.values == {"evaluate.threshold": 0.2, "tracking.experiment": "a b"}
    monkeypatch.setenv("ARGS", "'open")
    with pytest.raises(ConfigError, match="ARGS"):
        parse("predict", ["--make"])


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("a.b={recall: 0.9} seed=1", ["a.b={recall: 0.9}", "seed=1"]),
        ("a={b: {c: 1, d: 10}} x=[1, 2]", ["a={b: {c: 1, d: 10}}", "x=[1, 2]"]),
        ("seed=range(1, 5) x=1", ["seed=range(1, 5)", "x=1"]),
        ("name=a(b seed=1", ["name=a(b", "seed=1"]),
        ("'name=a b' x=1", ["name=a b", "x=1"]),
        ("data.path='a {b' x=1", ["data.path=a {b", "x=1"]),
        ("{a: x=1", ["{a:", "x=1"]),
        ("--input=a(1.csv '--output=2).csv'", ["--input=a(1.csv", "--output=2).csv"]),
    ],
)
def test_blanks_within_brackets_part_no_word(typed, words):
    assert arguments._whole(shlex.split(typed)) == words


def test_rows_that_are_skipped_are_named_and_the_exit_code_is_3(project, capsys, monkeypatch):
    write(make_finished(), here=make_environment())
    (project / "new.csv").write_text("safety\nlow\nhihg\n")
    scored = project / "scored.csv"
    monkeypatch.setenv("ON_BAD_ROW", "skip")
    monkeypatch.setenv("INPUT", str(project / "new.csv"))
    monkeypatch.setenv("OUTPUT", str(scored))
    assert BY_NAME["predict"].handler(parse("predict", ["--make"])) == 3
    said = capsys.readouterr()
    assert "1 row scored by run" in said.out
    assert "1 row not scored; column reason says why:\ncolumn safety" in said.err
    assert "'hihg'" in scored.read_text().splitlines()[2]
    (project / "new.csv").write_text("safety\nlow\nhigh\n")
    assert BY_NAME["predict"].handler(parse("predict", ["--make"])) == 0
    assert scored.read_text().startswith("safety,probability,decision,reason\n")


def test_what_happens_to_bad_rows_is_one_of_two(project):
    words = ["--input", "a.csv", "--output", "b.csv", "--on-bad-row", "drop"]
    with pytest.raises(ConfigError, match="ON_BAD_ROW must be refuse or skip; got 'drop'"):
        BY_NAME["predict"].handler(parse("predict", words))


def test_a_rule_is_refused_where_rows_are_only_scored(project):
    words = ["--input", "a.csv", "--output", "b.csv", "evaluate.threshold={recall: 0.9}"]
    with pytest.raises(ConfigError, match=r"must be a number to predict.*\{recall: 0\.9\}"):
        BY_NAME["predict"].handler(parse("predict", words))


def test_variables_of_make_are_flags_of_a_command_as_well():
    """Messages name them, and a person without make types what a message says."""
    words = ["RUN=champion", "INPUT=a b=c.csv", "OUTPUT=o.csv", "ARGS=evaluate.threshold=0.2"]
    given = parse("predict", words)
    assert (given.options["run"], given.options["input"]) == ("champion", "a b=c.csv")
    assert given.values == {"evaluate.threshold": 0.2}
    assert parse("sweep", ["PLAN=1", "seed=1"]).options["plan"]
    assert not parse("sweep", ["PLAN=", "seed=1"]).options["plan"]
    # The control: another command's.
    assert "'SWEEP=latest'" in refusal("predict", "SWEEP=latest")


def test_reproduce_gets_the_values_and_not_their_spelling():
    given = parse("reproduce", ["data.path='a, b=c.csv'", "train.blas_threads=2"])
    assert given.values == {"data.path": "a, b=c.csv", "train.blas_threads": 2}


@pytest.mark.parametrize(
    ("threshold", "decisions"), [("0.05", "11"), ("0.5", "01"), ("0.95", "00"), ("", "01")]
)
def test_a_prediction_decides_at_the_threshold_that_is_given(project, capsys, threshold, decisions):
    record = write(make_finished(), here=make_environment())
    (project / "new.csv").write_text("safety\nlow\nhigh\n")
    scored = project / "scored.csv"
    words = ["--input", str(project / "new.csv"), "--output", str(scored)]
    words += [f"evaluate.threshold={threshold}"] if threshold else []
    assert BY_NAME["predict"].handler(parse("predict", words)) == 0
    found = [row.split(",")[1:] for row in scored.read_text().splitlines()[1:]]
    assert "".join(decision for _, decision in found) == decisions
    limit = float(threshold or record.model.threshold)
    assert all((float(p) >= limit) == (decision == "1") for p, decision in found)
    out = capsys.readouterr().out
    assert (f"threshold {threshold} (the run's is 0.5)" in out) == bool(threshold)


def test_the_tables_of_the_project_are_written_and_removed_and_no_other_file(project, capsys):
    """J03: what was edited, and what is the user's, stays."""
    assert setup.data(parse("data", [])) == 0
    mine = project / "data" / "loans.csv"
    mine.write_text("a,b\n")
    edited = project / "data" / "breast_cancer.csv"
    edited.write_bytes(edited.read_bytes() + b"\n")
    assert setup.data(parse("data", ["--remove"])) == 0
    assert sorted(path.name for path in mine.parent.iterdir()) == ["breast_cancer.csv", "loans.csv"]
    edited.unlink()
    mine.unlink()
    setup.data(parse("data", []))
    setup.data(parse("data", ["--remove"]))
    assert not mine.parent.exists()


@pytest.mark.exhaustive
def test_the_page_of_a_run_is_drawn_where_there_is_none(project, capsys):
    """As of a run of a sweep; a page that was altered is drawn again."""
    record = write(make_finished(), here=make_environment())
    page = record.path / "report.html"
    assert not page.exists()
    assert BY_NAME["report"].handler(parse("report", [])) == 0
    drawn = page.read_bytes()
    page.write_text("altered")
    words = ["--run", record.identity[:8]]
    assert BY_NAME["report"].handler(parse("report", words)) == 0
    assert page.read_bytes() == drawn
    assert capsys.readouterr().out.splitlines()[-1].endswith(f"{record.identity}/report.html")
    other = project / "page.html"
    assert BY_NAME["report"].handler(parse("report", [*words, "--output", str(other)])) == 0
    assert other.read_bytes() == drawn
    with pytest.raises(ConfigError, match="OUTPUT"):
        BY_NAME["report"].handler(parse("report", ["--output", str(project / "no" / "p.html")]))


def test_predict_takes_every_setting_of_the_form_of_a_file():
    """As a shell hands them on, and whatever the contract of another table would say of them."""
    assert [f"data.{name}" for name in FileSettings.model_fields] == [*FILE_SETTINGS]
    words = ["data.delimiter=;", "data.decimal=,", "data.names=[a,b c]", "data.header=3"]
    given = parse("predict", ["--input=a.csv", "--output=b.csv", *words, "evaluate.threshold=0.25"])
    assert given.values == {
        "data.delimiter": ";",
        "data.decimal": ",",
        "data.names": ["a", "b c"],
        "data.header": 3,
        "evaluate.threshold": 0.25,
    }


@pytest.mark.parametrize(
    ("typed", "made"),
    [
        ([], [*train.TUNED]),
        (["data=breast_cancer"], [*train.TUNED, "data=breast_cancer"]),
        (["optimiser=adam"], [*train.TUNED[1:], "optimiser=adam"]),
        (["++train.l2=auto"], [train.TUNED[0], train.TUNED[2], "++train.l2=auto"]),
    ],
)
def test_tune_is_a_run_of_three_settings_that_can_be_replaced(monkeypatch, typed, made):
    seen = []
    monkeypatch.setattr(train, "run", lambda given: seen.append(given.words) or 0)
    assert train.tune(parse("tune", typed)) == 0
    assert seen == [made]
