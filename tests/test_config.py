"""Every word of a command line is understood or refused, with all faults at once."""

import pytest

from pipeline.compose import configuration
from pipeline.config import Configuration
from pipeline.errors import MAX_MESSAGE, ConfigError
from pipeline.paths import CONF

GROUPS = sorted({path.parent.name for path in CONF.glob("*/*.yaml")})
NEEDS = {"server": ["tracking.uri=http://127.0.0.1:5000"], "crosses": ["data=car"]}


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
    assert "must be a known setting" in message
    assert message.endswith(f"did you mean {nearest}?")


def test_an_unknown_option_is_refused_with_the_options():
    message = refusal("data=carr")
    assert "data must be one of breast_cancer, car" in message
    assert "did you mean car?" in message


@pytest.mark.parametrize(
    ("word", "rule"),
    [
        ("optimiser.learning_rate=abc", "must be a valid number; got 'abc'"),
        ("optimiser.learning_rate=nan", "must be a finite number; got nan"),
        ("optimiser.learning_rate=inf", "must be a finite number; got inf"),
        ("optimiser.learning_rate=-1", "must be greater than 0; got -1"),
        ("optimiser.learning_rate=0", "must be greater than 0; got 0"),
        ("train.epochs=1.5", "must be a valid integer; got 1.5"),
        ("train.epochs=-3", "must be greater than or equal to 1; got -3"),
        ("train.epochs=0", "must be greater than or equal to 1; got 0"),
        ("train.epochs=1000000000", "must be less than or equal to 1000000; got 1000000000"),
        ("train.epochs=1e9", "must be a valid integer; got 1000000000.0"),
        ("train.batch_size=true", "must be a valid integer; got true"),
        ("train.l2=-0.1", "must be greater than or equal to 0; got -0.1"),
        ("evaluate.threshold=1", "must be less than 1; got 1"),
        ("seed=-1", "must be greater than or equal to 0; got -1"),
    ],
)
def test_a_value_out_of_range_is_refused_naming_field_rule_and_value(word, rule):
    """F10."""
    assert refusal(word) == f"{word.partition('=')[0]} {rule}"


def test_all_faults_are_listed_at_once():
    message = refusal("+train.epocs=5", "train.l2=-1", "optimiser.lr=3", "data.min_rows=0")
    for key in ("train.epocs", "train.l2", "optimiser.lr", "data.min_rows"):
        assert key in message
    assert len(message.splitlines()) == 4


def test_a_thousand_faults_still_fit_in_two_kilobytes():
    assert "more" in refusal(*(f"+train.nonsense{i}=1" for i in range(1000)))


def test_a_setting_of_another_choice_of_its_group_is_told_as_such():
    assert "must go with another choice of its group" in refusal("optimiser.beta1=0.9")


def test_a_misspelt_command_is_told_the_right_one():
    assert refusal("predct").endswith("did you mean predict?")


@pytest.mark.parametrize("word", ["foo", "=3", "train.epochs=[1,", "a b c"])
def test_words_that_are_no_override_are_refused(word):
    assert "override must have the form key=value" in refusal(word)


def test_a_mandatory_address_is_asked_for():
    assert refusal("tracking=server") == "tracking.uri must be given; got nothing"


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["encode.crosses=[[buying,mint]]"], "got 'mint'; did you mean maint?"),
        (["encode.crosses=[[buying]]"], "must join two or more attributes"),
        (["encode.crosses=[[buying,maint],[maint,doors]]"], "must use an attribute once"),
        (["data=breast_cancer", "encode=crosses"], "must name categorical attributes"),
        (["split=none", "train.patience=3"], "train.patience must be null"),
        (["split.test=0.9"], "split.valid + split.test must be below 1"),
        (["split.test=0"], "split.test must be above 0"),
        (["data.names=[a,b]"], "data.names must name the target and every column once"),
        (["data.target.negative=[acc]"], "must not repeat a positive value"),
        (["data.target.name=safety"], "data.columns must not hold the target"),
        (["data.columns.safety.categories=[low,low]"], "must be two or more, each once"),
        (["data.columns.safety.categories=[1,2]"], "must be text (put it in quotes)"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(words, rule):
    assert rule in refusal(*words)


def test_several_values_are_refused_where_one_is_run():
    assert "seed must have one value in a single run; got 'seed=1,2'" in refusal("seed=1,2")


def test_a_broken_yaml_of_ones_own_is_refused_and_named(tmp_path, monkeypatch):
    import shutil

    from pipeline import compose

    conf = tmp_path / "conf"
    shutil.copytree(CONF, conf)
    (conf / "data" / "mine.yaml").write_text("name: [unclosed\n")
    monkeypatch.setattr(compose, "CONF", conf)
    assert "mine.yaml" in refusal("data=mine")
