"""A champion of other rows is trained again, by its own recipe, on those of its challenger."""

import numpy as np
import pytest
from builders import CONFIG, make_environment

from pipeline.compare import refit
from pipeline.compare.refit import comparable_model
from pipeline.config.schema import RunConfig
from pipeline.errors import DataError
from pipeline.record import Record, write
from pipeline.run import learn, prepare
from pipeline.stages.read import read_rows
from pipeline.stages.split import split_table
from pipeline.stages.validate import validate

pytestmark = pytest.mark.exhaustive

COLUMNS = {"a": {"kind": "categorical"}, "b": {"kind": "numeric"}, "c": {"kind": "numeric"}}
RECIPE = {"optimiser": {"name": "momentum", "learning_rate": 0.5}, "train": {"epochs": 20}}


@pytest.fixture(autouse=True)
def _tables(project):
    """Two tables of one contract, of which the younger has a category more."""
    (project / "data").mkdir()
    rng = np.random.default_rng(0)
    for name, words in [("old", "xy"), ("new", "xyz")]:
        a, b, c = rng.choice(list(words), 300), rng.integers(0, 9, 300), rng.integers(0, 9, 300)
        y = np.where((a == "x") + b / 9 + rng.normal(0, 0.3, 300) > 1, "yes", "no")
        lines = [",".join(map(str, row)) for row in zip(a, b, c, y, strict=True)]
        (project / "data" / f"{name}.csv").write_text("\n".join(["a,b,c,class", *lines]) + "\n")


def config(table="old", split=0, columns=None, **more) -> RunConfig:
    data = {**CONFIG["data"], "path": f"data/{table}.csv", "columns": columns or COLUMNS}
    dealt = split if isinstance(split, dict) else {**CONFIG["split"], "seed": split}
    tree = {**CONFIG, "data": data, "split": dealt, **more}
    return RunConfig.parse(tree)


def record(*args, **more) -> Record:
    made = config(*args, **more)
    return write(learn(prepare(made), made), here=make_environment())


def fitted(champion: Record, challenger: Record):
    settings = RunConfig.parse(challenger.config)
    table = validate(read_rows(settings.data), settings.data).require()
    return comparable_model(champion, challenger, split_table(table, settings.split))


@pytest.mark.parametrize(("table", "split"), [("old", 1), ("new", 0)])
def test_the_refit_is_a_run_of_the_champions_recipe_on_the_challengers_rows(table, split):
    model, how = fitted(record(**RECIPE), record(table, split))
    again = config(table, split, **RECIPE)
    expected = learn(prepare(again), again)
    assert np.array_equal(model.theta, expected.trained.theta)
    assert model.encoder == expected.prepared.encoder
    assert "trained again" in how


@pytest.mark.parametrize(
    "train",
    [
        {"epochs": 20, "l2": "auto"},
        {"epochs": 20, "l2": "cv", "rows": "train_and_valid"},
        {"epochs": 20, "l2": 0.01, "class_weight": "balanced"},
    ],
)
def test_a_penalty_that_rows_choose_is_chosen_anew_by_the_challengers_rows(train):
    recipe = {"optimiser": {"name": "newton"}, "train": train}
    model, _ = fitted(record(**recipe), record("old", 1))
    again = config("old", 1, **recipe)
    assert np.array_equal(model.theta, learn(prepare(again), again).trained.theta)


def test_on_the_same_rows_the_champion_is_as_it_was():
    champion = record(**RECIPE)
    model, how = fitted(champion, record())
    assert (model, how) == (champion.model, "")


def test_the_refit_reads_the_columns_of_the_champion_alone():
    champion = record(columns=COLUMNS | {"c": {"kind": "ignored"}}, **RECIPE)
    model, how = fitted(champion, record())
    assert model.encoder.inputs == ("a=x", "a=y", "b")
    assert "trained again" in how


@pytest.mark.parametrize("seed", [0, 1])
def test_a_challenger_of_the_same_recipe_is_not_compared_with_itself(seed):
    champion = record(seed=seed)
    model, how = fitted(champion, record("new"))
    assert np.array_equal(model.theta, champion.model.theta)
    assert "recipe is the challenger's" in how


def test_where_the_refit_fails_the_champion_stays_as_it_was_and_the_lines_say_why(monkeypatch):
    champion, challenger = record(**RECIPE), record(split=1)
    monkeypatch.setattr(refit, "MAX_NUMBERS", 100)
    model, how = fitted(champion, challenger)
    assert np.array_equal(model.theta, champion.model.theta)
    assert "at most 100 numbers" in how
    assert "favours" in how


def test_a_champion_that_reads_a_column_which_the_challenger_lacks_is_refused():
    with pytest.raises(DataError, match=r"got c, .*promote\.model"):
        fitted(record(), record(split=1, columns=COLUMNS | {"c": {"kind": "ignored"}}))


def test_the_champion_is_trained_again_on_the_groups_and_weights_of_its_challenger():
    """Its own contract knows neither: they deal and weigh rows, and are no input."""
    columns = {"a": COLUMNS["a"], "b": {"kind": "group"}, "c": {"kind": "weight"}}
    own = {"a": COLUMNS["a"], "b": {"kind": "ignored"}, "c": {"kind": "ignored"}}
    by_group = {"name": "group", "seed": 0}
    challenger = record("new", by_group, columns)
    model, how = fitted(record(columns=own, **RECIPE), challenger)
    again = config("new", by_group, columns, **RECIPE)
    assert "trained again" in how
    assert np.array_equal(model.theta, learn(prepare(again), again).trained.theta)
