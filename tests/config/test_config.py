"""Every word of a command line is understood or refused, with all faults at once."""

import shutil

import pytest

from pipeline.config import compose
from pipeline.config.compose import configuration
from pipeline.config.contract import DataSettings
from pipeline.config.schema import Configuration, RunConfig
from pipeline.errors import ConfigError
from pipeline.files import CONF
from pipeline.text import MAX_MESSAGE

GROUPS = sorted({path.parent.name for path in CONF.glob("*/*.yaml")})
NEEDS = {"server": ["tracking.uri=http://127.0.0.1:5000"], "crosses": ["data=car"],
    "group": ["data.columns.doors.kind=group"],
    "time": ["data.columns.doors.kind=date"], "files": ["data.test=data/test.csv"],
}  # fmt: skip


def refusal(*words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        configuration(list(words))
    assert caught.value.exit_code == 2
    assert len(str(caught.value)) <= MAX_MESSAGE
    return str(caught.value)


@pytest.mark.parametrize(
    ("group", "option"), [(path.parent.name, path.stem) for path in sorted(CONF.glob("*/*.yaml"))]
)
def test_every_file_of_conf_composes(group, option):
    assert configuration([f"{group}={option}", *NEEDS.get(option, [])])


def test_every_field_of_a_run_is_a_folder_of_conf_and_the_other_way_round():
    fields = {*Configuration.model_fields} - {"seed"}
    assert fields == {*GROUPS} - {"experiment"}


def test_the_default_is_the_car_table_with_every_number_explicit():
    run = configuration([]).run_config()
    assert run.data.name == "car"
    assert (run.seed, run.train.epochs, run.optimiser.learning_rate) == (0, 1000, 1.0)


def test_the_articles_recipe_is_the_articles():
    run = configuration(["experiment=article"]).run_config()
    assert run.split.name == "none"
    assert run.optimiser.name == "gradient_descent"
    assert (run.optimiser.learning_rate, run.train.epochs, run.train.l2) == (0.1, 500, 0.0)


def test_an_override_beats_the_experiment():
    run = configuration(["experiment=article", "train.epochs=7"]).run_config()
    assert run.train.epochs == 7


def test_where_a_run_is_published_is_no_part_of_it():
    here = configuration([]).run_config()
    there = configuration(["tracking.experiment=other", "tracking.create=true"]).run_config()
    assert here == there


@pytest.mark.parametrize(
    ("word", "nearest"),
    [
        ("train.epocs=5", "train.epochs"),
        ("+train.epocs=5", "train.epochs"),
        ("++train.epocs=5", "train.epochs"),
        ("optimiser.lr=0.1", "optimiser.learning_rate"),
        ("optimizer=adam", "optimiser"),
        ("data.target.positiv=[acc]", "data.target.positive"),
        ("sed=1", "seed"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_valid_name(word, nearest):
    """F11: also with the plus that Hydra's own message advises."""
    message = refusal(word)
    assert message.startswith(word.lstrip("+").partition("=")[0])
    assert message.endswith(f"did you mean {nearest}?")


def test_an_unknown_option_is_refused_with_the_options():
    message = refusal("data=carr")
    assert "breast_cancer, car" in message
    assert message.endswith("did you mean car?")


GOLDEN = {
    "train.epocs=5": "train.epocs must be a known setting; got 5; did you mean train.epochs?",
    "optimiser=adm": "optimiser must be one of adam, gradient_descent, momentum, newton; got "
    "'adm'; did you mean adam?",
    "optimiser.beta1=0.9": "optimiser.beta1 must go with another choice of its group, here it "
    "means nothing; got 0.9",
    "optimiser.name=sgd": "optimiser.name must be one of 'gradient_descent', 'momentum', 'adam', "
    "'newton'; got 'sgd'",
    "optimiser.learning_rate=abc": "optimiser.learning_rate must be a valid number; got 'abc'",
    "train.epochs=0": "train.epochs must be greater than or equal to 1; got 0",
    "data.sha256=x": "data.sha256 must match pattern '^[0-9a-f]{64}$'; got 'x'",
    "promote.model=''": "promote.model must have at least 1 character; got ''",
    "data.columns.safety.categories=[1,2]": "data.columns.safety.categories.0 must be text (put it "
    "in quotes); got 1\ndata.columns.safety.categories.1 must be text (put it in quotes); got 2",
    "data.target.negative=[acc]": "data.target.negative must not repeat a positive value; got "
    "['acc']",
    "evaluate.threshold={recall: 2}": "evaluate.threshold.recall must be less than or equal to 1; "
    "got 2",
    "evaluate.threshold={recal: 0.9}": "evaluate.threshold.recal must be a known setting; got 0.9; "
    "did you mean evaluate.threshold.recall?",
    "evaluate.threshold={cost: {false_positive: 1}}": "evaluate.threshold.cost.false_negative must "
    "be given; got nothing",
    "evaluate.threshold={recall: 0.9, rate: 0.1}": "evaluate.threshold must have one of cost, "
    "recall, precision and rate; got recall, rate: keep one, as with evaluate.threshold.rate=null",
    "tracking=server": "tracking.uri must be given; got nothing",
    "seed=1,2": "seed must have one value in a single run; got 'seed=1,2': make sweep ARGS=… (or "
    "-m) runs each",
    "a b": "override must have the form key=value; got 'a b'; --help lists the commands and "
    "settings",
    "a=b c=d": "override must have the form key=value; got 'a=b c=d'; put a value with blanks, "
    "brackets or = in quotes within quotes: \"key='a b'\"",
}


@pytest.mark.parametrize("word", GOLDEN)
def test_a_refusal_names_setting_rule_value_and_cure(word):
    assert refusal(word) == GOLDEN[word]


@pytest.mark.parametrize(
    ("word", "got"),
    [
        ("optimiser.learning_rate=nan", "nan"),
        ("optimiser.learning_rate=inf", "inf"),
        ("optimiser.learning_rate=-1", "-1"),
        ("optimiser.learning_rate=0", "0"),
        ("train.epochs=1.5", "1.5"),
        ("train.epochs=-3", "-3"),
        ("train.epochs=1000000000", "1000000000"),
        ("train.epochs=1e9", "1000000000.0"),
        ("train.batch_size=true", "true"),
        ("train.l2=-0.1", "-0.1"),
        ("train.patience=null", None),
        ("evaluate.threshold=1", "1"),
        ("evaluate.threshold=null", "null"),
        ("split.valid=1.0", "1.0"),
        ("seed=-1", "-1"),
    ],
)
def test_a_value_out_of_range_is_refused_naming_setting_and_value(word, got):
    """F10; train.patience=null is the negative control."""
    if got is None:
        assert configuration([word]).train.patience is None
        return
    message = refusal(word)
    assert message.startswith(word.partition("=")[0] + " must be ")
    assert message.endswith(f"; got {got}")


def test_a_rule_for_the_threshold_is_written_as_it_is_typed():
    cost = "evaluate.threshold={cost: {false_positive: 1, false_negative: 10}}"
    for words, tree in (
        (["evaluate.threshold={recall: 0.9}"], {"recall": 0.9}),
        (["evaluate.threshold={recall: 0.9, rate: 0.1}", "evaluate.threshold.rate=null"],
         {"recall": 0.9}),
        ([cost], {"cost": {"false_positive": 1.0, "false_negative": 10.0}}),
        (["evaluate.threshold=0.2"], 0.2),
    ):  # fmt: skip
        config = configuration(words).run_config()
        assert config.model_dump()["evaluate"]["threshold"] == tree
        assert RunConfig.parse(config.model_dump()) == config


def test_a_rule_needs_validation_rows_and_a_cost_does_not():
    for words in (["split=none"], ["split.valid=0", "train.patience=null"]):
        assert "no valid rows" in refusal("evaluate.threshold={recall: 0.9}", *words)
        configuration(["evaluate.threshold={cost: {false_positive: 1, false_negative: 2}}", *words])


def test_all_faults_are_listed_at_once():
    message = refusal("+train.epocs=5", "train.l2=-1", "optimiser.lr=3", "data.min_rows=0")
    for key in ("train.epocs", "train.l2", "optimiser.lr", "data.min_rows"):
        assert key in message
    assert len(message.splitlines()) == 4


def test_hundreds_of_faults_still_fit_in_two_kilobytes():
    assert "more" in refusal(*(f"+train.nonsense{i}=1" for i in range(200)))


@pytest.mark.parametrize("word", ["foo", "=3", "train.epochs=[1,", "a b c"])
def test_words_that_are_no_override_are_refused(word):
    assert repr(word) in refusal(word)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["encode.crosses=[[buying,mint]]"], ["encode.crosses", "'mint'; did you mean maint?"]),
        (["encode.crosses=[[buying]]"], ["encode.crosses.0", "at least 2"]),
        (["encode.crosses=[[buying,maint],[maint,doors]]"], ["encode.crosses", "once"]),
        (["data=breast_cancer", "encode=crosses"], ["encode.crosses", "data=breast_cancer"]),
        (["split=none", "train.patience=3"], ["train.patience", "null", "got 3"]),
        (["split.valid=0", "train.patience=3"], ["train.patience", "null", "got 3"]),
        (["split.test=0.9"], ["split.valid + test", "got 0.2 + 0.9"]),
        (["split.test=0"], ["split.test", "split=none", "got 0"]),
        (["data.names=[a,b]"], ["data.names", "'a', 'b', 'buying'"]),
        (["data.names=[a,a]"], ["data.names", "once", "['a', 'a']"]),
        (["data.target.name=safety"], ["data.columns", "'safety'"]),
        (["data.columns.safety.categories=[low,low]"], ["data.columns.safety", "once"]),
        (["data.columns.safety.categories=[low]"], ["data.columns.safety.cat", "at least 2"]),
        (
            ["data=breast_cancer", "data.columns.mean_area.maximum=-1"],
            ["data.columns.mean_area.minimum", "got 0.0 and -1.0"],
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(words, parts):
    message = refusal(*words)
    assert message.startswith(parts[0])
    for part in parts:
        assert part in message


def test_a_table_of_ignored_columns_alone_is_refused():
    target = {"name": "y", "positive": ["1"]}
    tree = {"name": "t", "path": "t.csv", "target": target, "columns": {"a": {"kind": "ignored"}}}
    with pytest.raises(ConfigError, match=r"columns .* not ignored"):
        DataSettings.parse(tree)
    assert DataSettings.parse(tree | {"columns": {"a": {"kind": "numeric"}}})


# --- newton ------------------------------------------------------------------------------------


def test_newton_is_an_optimiser_without_a_learning_rate():
    run = configuration(["optimiser=newton", "train.epochs=20"]).run_config()
    assert run.optimiser.model_dump() == {"name": "newton"}
    assert "learning_rate" not in type(run.optimiser).model_fields


@pytest.mark.parametrize(
    "word", ["optimiser.learning_rate=1", "optimiser.decay=0.9", "train.batch_size=32"]
)
def test_newton_refuses_what_it_does_not_take_by_name(word):
    message = refusal("optimiser=newton", word)
    assert message.startswith(word.partition("=")[0])
    assert message.endswith(f"got {word.partition('=')[2]}")


# --- what is composed ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "key", "value"),
    [
        (["train.l2=0.5"], "train.l2", 0.5),
        (["++train.l2=0.5"], "train.l2", 0.5),
        (["~train.l2"], "train.l2", 0.0),  # the default of its class
        (["optimiser=adam", "optimiser.beta1=0.5"], "optimiser.beta1", 0.5),
        (["optimiser.beta1=0.5", "optimiser=adam"], "optimiser.beta1", 0.5),
        (["data.columns.safety={missing: input}"], "data.columns.safety.missing", "input"),
        ([r"data.delimiter=\t"], "data.delimiter", "\t"),
    ],
)
def test_words_set_what_hydra_says_they_set(words, key, value):
    got = configuration(words).model_dump()
    for step in key.split("."):
        got = got[step]
    assert got == value


def test_a_broken_yaml_of_ones_own_is_refused_and_named(tmp_path, monkeypatch):
    conf = tmp_path / "conf"
    shutil.copytree(CONF, conf)
    (conf / "data" / "mine.yaml").write_text("name: [unclosed\n")
    monkeypatch.setattr(compose, "CONF", conf)
    assert "mine.yaml" in refusal("data=mine")
