"""Points added up by hand are the neuron's log-odds, to within the bound that is stated."""

import csv
import io
import itertools
from dataclasses import replace

import numpy as np
import pytest
from builders import make_data, make_table

from nn import logits
from pipeline.config.schema import EncodeSettings, ScorecardSettings
from pipeline.errors import ConfigError
from pipeline.report.scorecard import OTHER, rise, scorecard, to_csv
from pipeline.stages.encode import encode, fit_encoder
from pipeline.stages.predict import Model

A, X = list("ppqqrr"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
LISTED = {"kind": "categorical", "categories": ["p", "q", "r"]}
DATA = make_data({"a": LISTED, "x": {"kind": "numeric", "bins": [2.5, 4.5]}})


def make_model(data=DATA, seed=0):
    table = make_table({"a": A, "x": X}, [0, 1] * 3)
    encoder = fit_encoder(table, EncodeSettings(), data)
    theta = np.random.default_rng(seed).normal(size=len(encoder.inputs) + 1)
    return Model(data, encoder, theta, 0.5)


def every_row(model):
    pairs = list(itertools.product("pqr", [1.0, 3.0, 6.0]))
    columns = {"a": [a for a, _ in pairs], "x": [x for _, x in pairs]}
    return pairs, encode(model.encoder, make_table(columns, [0, 1, 0] * 3), "all")


def by_hand(text, pairs):
    """The points of each row, from nothing but the CSV."""
    table = list(csv.DictReader(io.StringIO(text)))
    points = {(row["attribute"], row["value"]): int(row["points"]) for row in table}
    bins = {1.0: "below 2.5", 3.0: "2.5 to below 4.5", 6.0: "4.5 or more"}
    return [points["(base)", ""] + points["a", a] + points["x", bins[x]] for a, x in pairs]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("of", ["negative", "positive"])
def test_points_are_log_odds_to_within_the_bound(seed, of):
    model, settings = make_model(seed=seed), ScorecardSettings(score=500, odds=20, pdo=10, of=of)
    card = scorecard(model, settings)
    pairs, rows = every_row(model)
    points = np.array(by_hand(to_csv(card).decode(), pairs))
    sign = 1 if of == "positive" else -1
    log_odds = sign * (np.log(20) + (points - 500) * np.log(2) / 10)
    assert log_odds == pytest.approx(logits(card.theta, rows.X), abs=1e-9)
    errors = np.abs(log_odds - logits(model.theta, rows.X))
    assert errors.max() == pytest.approx(card.bound, abs=1e-9)  # some row attains it
    assert abs(rise(card, model, rows)) <= card.bound
    assert card.bound <= 3 * 0.5 * np.log(2) / 10 + 1e-9


def test_points_that_double_the_odds_shrink_the_bound():
    coarse, fine = (
        scorecard(make_model(), ScorecardSettings(pdo=pdo)).bound for pdo in (20.0, 2000.0)
    )
    assert fine < coarse / 20


def test_a_planted_point_is_beyond_the_bound():
    model = make_model()
    card = scorecard(model, ScorecardSettings())
    _, rows = every_row(model)
    wrong = replace(card, theta=card.theta + np.eye(7)[6] * np.log(2) / 20)
    assert np.abs(logits(wrong.theta - model.theta, rows.X)).max() > card.bound


def test_each_attribute_has_a_line_of_no_points_and_none_below():
    card = scorecard(make_model(), ScorecardSettings())
    for name in ("a", "x"):
        assert min(line.points for line in card.lines if line.attribute == name) == 0


def test_a_category_that_train_lacks_has_points_of_its_own():
    data = make_data({"a": {"kind": "categorical"}, "x": {"kind": "numeric", "bins": [2.5]}})
    card = scorecard(make_model(data), ScorecardSettings())
    assert [line.label for line in card.lines if line.attribute == "a"] == ["p", "q", "r", OTHER]


def test_where_rare_words_share_a_line_any_other_is_among_them():
    words = {"kind": "categorical", "min_count": 2}
    data = make_data({"a": words, "x": {"kind": "numeric", "bins": [2.5]}})
    table = make_table({"a": list("ppqqrs"), "x": X}, [0, 1] * 3)
    encoder = fit_encoder(table, EncodeSettings(), data)
    model = Model(data, encoder, np.zeros(len(encoder.inputs) + 1), 0.5)
    lines = scorecard(model, ScorecardSettings()).lines
    assert [line.label for line in lines if line.attribute == "a"] == ["p", "q", "infrequent"]


def test_a_straight_line_has_no_points_and_the_refusal_says_how_to_get_them():
    data = make_data({"a": LISTED, "x": {"kind": "numeric"}})
    with pytest.raises(ConfigError, match=r"got numbers in x: train with encode=bins"):
        scorecard(make_model(data), ScorecardSettings())


def test_no_cell_is_a_formula():
    data = make_data({"a": {"kind": "categorical"}, "x": {"kind": "numeric", "bins": [2.5]}})
    table = make_table({"a": ["=cmd()", "+cmd", "p"] * 2, "x": X}, [0, 1] * 3)
    encoder = fit_encoder(table, EncodeSettings(), data)
    model = Model(data, encoder, np.zeros(len(encoder.inputs) + 1), 0.5)
    cells = {
        row[1]
        for row in csv.reader(io.StringIO(to_csv(scorecard(model, ScorecardSettings())).decode()))
    }
    assert {"'=cmd()", "'+cmd"} <= cells
