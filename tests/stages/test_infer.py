"""Estimates are those of other libraries, and intervals hold the truth as often as they say."""

import numpy as np
import pytest
import statsmodels.api as sm
from builders import make_data, make_table
from scipy.optimize import brentq
from scipy.stats import chi2

from pipeline.config.schema import EncodeSettings
from pipeline.stages.encode import encode, fit_encoder
from pipeline.stages.infer import EXPANDED, FIRTH, LIKELIHOOD, NOT_IDENTIFIED, NOT_IN_TRAIN, infer

NUMERIC, CATEGORICAL = {"kind": "numeric"}, {"kind": "categorical"}
CHI2 = 3.841458820694124  # 95 %, one degree of freedom


def inferred(columns, kinds, y, count=None):
    table = make_table(columns, y, count)
    encoder = fit_encoder(table, EncodeSettings(), make_data(kinds))
    return infer(encode(encoder, table, "all"), encoder)


@pytest.fixture(scope="module")
def overlapping():
    """400 rows of three categories, of which a fourth is listed, and a number."""
    rng = np.random.default_rng(5)
    a, x = rng.choice(list("pqr"), 400, p=[0.5, 0.3, 0.2]), rng.normal(size=400)
    x = (x - x.mean()) / x.std()
    z = np.select([a == "p", a == "q"], [0.8, -0.6], 0.0) + 0.5 * x - 0.3
    y = (rng.random(400) < 1 / (1 + np.exp(-z))).astype(float)
    kinds = {"a": {**CATEGORICAL, "categories": [*"pqrs"]}, "x": NUMERIC}
    return {"a": a, "x": x}, kinds, y


@pytest.fixture(scope="module")
def oracle(overlapping):
    """Sum coding over p, q and r, by statsmodels: inputs and fitted model."""
    columns, _, y = overlapping
    a = columns["a"]
    coded = [(a == name) * 1.0 - (a == "r") for name in "pq"]
    X = np.column_stack([np.ones(400), *coded, columns["x"]])
    return X, sm.Logit(y, X).fit(disp=0, tol=1e-14)


def test_estimates_and_standard_errors_are_those_of_statsmodels(overlapping, oracle):
    found, (_, model) = inferred(*overlapping), oracle
    assert found.method == LIKELIHOOD
    p, q, r, _, x = found.effects
    for effect, at in ((p, 1), (q, 2), (x, 3)):
        assert effect.log_odds == pytest.approx(model.params[at], rel=1e-9)
        assert effect.standard_error == pytest.approx(model.bse[at], rel=1e-9)
    assert p.log_odds + q.log_odds + r.log_odds == pytest.approx(0, abs=1e-12)


def test_intervals_are_profiles_of_statsmodels_likelihood(overlapping, oracle):
    (_, _, y), (X, model) = overlapping, oracle
    effects = inferred(*overlapping).effects
    for effect, at in ((effects[0], 1), (effects[1], 2), (effects[4], 3)):
        others = np.delete(X, at, axis=1)

        def excess(value, at=at, others=others):
            family, offset = sm.families.Binomial(), value * X[:, at]
            rest = sm.GLM(y, others, family=family, offset=offset).fit(tol=1e-13)
            return 2 * (model.llf - rest.llf) - CHI2

        ends = [model.params[at] + sign * model.bse[at] for sign in (-1, 1)]
        far = [model.params[at] + sign * 4 * model.bse[at] for sign in (-1, 1)]
        low, high = (brentq(excess, a, b, xtol=1e-12) for a, b in zip(ends, far, strict=True))
        assert (effect.low, effect.high) == pytest.approx((low, high), abs=1e-8)


def test_tests_of_attributes_are_likelihood_ratios_of_statsmodels(overlapping, oracle):
    (_, _, y), (X, model) = overlapping, oracle
    a, x = inferred(*overlapping).tests
    for test, kept in ((a, [0, 3]), (x, [0, 1, 2])):
        without = sm.Logit(y, X[:, kept]).fit(disp=0, tol=1e-14)
        statistic, degrees = 2 * (model.llf - without.llf), X.shape[1] - len(kept)
        assert (test.statistic, test.degrees) == (pytest.approx(statistic, rel=1e-8), degrees)
        assert test.p_value == pytest.approx(chi2.sf(statistic, degrees), rel=1e-7)


def test_a_category_that_train_lacks_has_no_effect_and_no_part_in_the_centring(overlapping):
    columns, kinds, y = overlapping
    *seen, absent, _ = inferred(columns, kinds, y).effects
    assert (absent.label, absent.note) == ("s", NOT_IN_TRAIN)
    assert (absent.log_odds, absent.standard_error, absent.low, absent.odds_ratio) == (None,) * 4
    *without, _ = inferred(columns, {**kinds, "a": CATEGORICAL}, y).effects
    assert [e.log_odds for e in seen] == pytest.approx([e.log_odds for e in without], rel=1e-9)


def test_columns_that_are_sums_of_others_are_not_identified_and_the_others_are():
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(2, 300))
    y = (rng.random(300) < 1 / (1 + np.exp(-x - w))).astype(float)
    kinds = dict.fromkeys(("euro", "dollar", "w"), NUMERIC)
    found = inferred({"euro": x, "dollar": 1.1 * x + 3, "w": w}, kinds, y)
    assert [e.note for e in found.effects] == [NOT_IDENTIFIED, NOT_IDENTIFIED, ""]
    alone = inferred({"euro": x, "w": w}, {"euro": NUMERIC, "w": NUMERIC}, y).effects[1]
    assert found.effects[2].log_odds == pytest.approx(alone.log_odds, rel=1e-8)
    assert [test.degrees for test in found.tests] == [0, 0, 1]


def test_where_the_data_separate_every_category_has_a_finite_interval():
    a = np.repeat([*"pqr"], 40)
    y = np.concatenate([np.zeros(40), np.tile([0.0, 1.0], 40)])
    found = inferred({"a": a}, {"a": CATEGORICAL}, y)
    assert found.method.startswith(FIRTH)
    p = found.effects[0]
    assert p.low < p.log_odds < p.high < 0


def test_firths_estimate_of_one_category_adds_half_a_row_to_each_cell():
    """Firth 1993, section 3.3: in a saturated model it is Haldane's and Anscombe's correction."""
    a = np.repeat([*"pq"], 30)
    y = np.concatenate([np.zeros(30), np.tile([0.0, 1.0, 1.0], 10)])
    p, q = inferred({"a": a}, {"a": CATEGORICAL}, y).effects
    expected = np.log(0.5 / 30.5) - np.log(20.5 / 10.5)
    assert p.log_odds - q.log_odds == pytest.approx(expected, abs=1e-8)


def test_an_attribute_of_one_category_has_no_effect_and_no_interval():
    """Its contrast is zero: 0 / 0 without care, and warnings are errors here."""
    columns = {"a": ["p"] * 40, "x": np.linspace(-1, 1, 40)}
    only, number = inferred(columns, {"a": CATEGORICAL, "x": NUMERIC}, [0, 1, 1, 0] * 10).effects
    assert (only.log_odds, only.odds_ratio) == (0.0, 1.0)
    assert (only.standard_error, only.low, only.high) == (None, None, None)
    assert number.standard_error > 0


def test_more_parameters_than_rows_of_the_rarer_class_have_no_interval_and_a_sentence():
    rng = np.random.default_rng(0)
    columns = {f"x{j}": rng.normal(size=40) for j in range(30)}
    found = inferred(columns, dict.fromkeys(columns, NUMERIC), [0.0, 1.0] * 20)
    assert found.method == "no intervals: 20 rows of the rarer class are too few for 31 parameters"
    assert all(effect.log_odds is None for effect in found.effects)


WORLD = {"p": 0.9, "q": -0.2, "r": -0.7}  # sums to zero, as effects do


def coverage(n: int, draws: int, seed: int) -> float:
    """How often the intervals of a category and of a number hold the truth."""
    rng, held = np.random.default_rng(seed), []
    for _ in range(draws):
        a, x = rng.choice([*"pqr"], n, p=[0.5, 0.35, 0.15]), rng.normal(size=n)
        z = np.array([WORLD[name] for name in a]) + 0.6 * x - 0.4
        y = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(float)
        effects = inferred({"a": a, "x": x}, {"a": CATEGORICAL, "x": NUMERIC}, y).effects
        truth = [*WORLD.values(), 0.6 * x.std()]
        held += [e.low <= value <= e.high for e, value in zip(effects, truth, strict=True)]
    return float(np.mean(held))


@pytest.mark.exhaustive
def test_intervals_of_few_rows_hold_the_truth_about_as_often_as_they_say():
    assert 0.91 <= coverage(100, 100, 0) <= 0.99  # 3 standard errors of 100 draws


@pytest.mark.exhaustive
@pytest.mark.parametrize("n", [100, 300, 1000])
def test_between_93_and_97_percent_of_intervals_hold_the_truth(n):
    """Penalty and end of training have no part in them: the rows are all that they depend on."""
    assert 0.93 <= coverage(n, 2000, n) <= 0.97


def test_a_large_table_has_almost_the_same_intervals_and_says_how(overlapping, monkeypatch):
    exact = inferred(*overlapping)
    monkeypatch.setattr("pipeline.stages.infer.MAX_WORK", 0)
    near = inferred(*overlapping)
    assert near.method == f"{LIKELIHOOD}; {EXPANDED}"
    for one, two in zip(exact.effects, near.effects, strict=True):
        if one.standard_error is not None:
            error = 0.02 * one.standard_error
            assert (two.low, two.high) == pytest.approx((one.low, one.high), abs=error)
