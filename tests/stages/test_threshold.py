"""A rule chooses the threshold that a search over every threshold finds, on validation rows."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from builders import written_out
from sklearn import metrics as sk

from nn import Examples, predict_proba
from pipeline.compare.refit import _trained
from pipeline.config.compose import configuration
from pipeline.config.evaluate_settings import ThresholdRule
from pipeline.errors import DataError, TrainingError
from pipeline.record.contents import contents, metrics
from pipeline.run import learn, prepare
from pipeline.stages.predict import from_json
from pipeline.stages.read import car, read_rows
from pipeline.stages.split import split_table
from pipeline.stages.threshold import Threshold, _shortest, choose_threshold
from pipeline.stages.validate import validate

THETA = np.array([1.0, -0.5])


def rows(seed: int, n: int = 60, decimals: int = 1, base: float = -0.5) -> Examples:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 1)).round(decimals)
    y = (rng.random(n) < 1 / (1 + np.exp(-X[:, 0] - base))).astype(float)
    y[:2] = 0.0, 1.0
    return Examples(X, y, rng.integers(1, 4, n).astype(float) if decimals < 3 else np.ones(n))


def given(examples: Examples, threshold: float) -> tuple[float, float, float]:
    """Recall, precision and rate by scikit-learn on the rows written out."""
    X, y, _ = written_out(examples)
    decided = predict_proba(THETA, X) >= threshold
    precision = sk.precision_score(y, decided, zero_division=np.nan)
    return sk.recall_score(y, decided), precision, decided.mean()


def every_threshold(examples: Examples) -> list[float]:
    return sorted({*predict_proba(THETA, examples.X).tolist()})


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(
    ("name", "place", "asked", "best"),
    [("recall", 0, 0.9, max), ("precision", 1, 0.5, min), ("rate", 2, 0.2, min)],
)
def test_a_rule_decides_as_the_best_of_every_threshold_that_keeps_it(
    seed, name, place, asked, best
):
    valid = rows(seed)
    chosen = choose_threshold(THETA, valid, ThresholdRule(**{name: asked}))
    kept = [
        t for t in every_threshold(valid)
        if (given(valid, t)[place] <= asked if name == "rate" else given(valid, t)[place] >= asked)
    ]  # fmt: skip
    assert given(valid, chosen.value) == given(valid, best(kept))
    recall, precision, _ = given(valid, chosen.value)
    assert f"recall {recall:.3g} " in chosen.reason
    assert f"precision {precision:.3g}," in chosen.reason


def test_a_threshold_that_lies_elsewhere_keeps_no_rule():
    """Negative control: the next threshold above the one for a recall has too low a recall."""
    valid = rows(1)
    chosen = choose_threshold(THETA, valid, ThresholdRule(recall=0.9)).value
    above = next(t for t in every_threshold(valid) if t > chosen + 1e-9)
    later = next(t for t in every_threshold(valid) if t > above + 1e-9)
    assert given(valid, later)[0] < 0.9 <= given(valid, chosen)[0]


def test_a_share_that_is_reached_exactly_is_reached():
    """0.3 of ten positive rows are three, though 0.1 * 3 is more than 0.3."""
    x = np.arange(20.0)
    valid = Examples(x[:, None], (x >= 10).astype(float), np.ones(20))
    for k in range(1, 11):
        rule = ThresholdRule(recall=sum([0.1] * k) if k < 10 else 1.0)
        chosen = choose_threshold(np.array([0.1, 0.0]), valid, rule)
        assert f"({k} of 10 positive rows)" in chosen.reason


def test_rows_that_tie_but_for_rounding_are_not_parted():
    x = np.array([0.3, 0.1 + 0.2, 0.1, 2.0])  # 0.1 + 0.2 is another number than 0.3
    valid = Examples(x[:, None], np.array([1.0, 0.0, 0.0, 1.0]), np.ones(4))
    chosen = choose_threshold(np.array([1.0, 0.0]), valid, ThresholdRule(recall=1.0)).value
    assert chosen < predict_proba(np.array([1.0, 0.0]), np.array([[0.3]]))[0]
    assert chosen == 0.57


def test_a_row_twice_chooses_as_a_count_of_two():
    valid = rows(3)
    X, y, _ = written_out(valid)
    for name, asked in (("recall", 0.7), ("precision", 0.4), ("rate", 0.3)):
        rule = ThresholdRule(**{name: asked})
        long = choose_threshold(THETA, Examples(X, y, np.ones(len(y))), rule)
        assert choose_threshold(THETA, valid, rule) == long


@pytest.mark.parametrize(
    ("low", "high", "short"),
    [(0.0797, 0.0831, 0.08), (0.0829, 0.0831, 0.083), (-1.0, 0.3, 0.3), (0.2, 0.25, 0.25),
     (0.98, 1.0, 0.99), (1 - 2**-53, 1.0, 1.0), (-1.0, 0.0, 0.0), (0.1, math.nextafter(0.1, 1),
     math.nextafter(0.1, 1)), (0.0, 5e-324, 5e-324)],
)  # fmt: skip
def test_a_threshold_has_the_fewest_digits_that_decide_alike(low, high, short):
    assert _shortest(low, high) == short
    assert low < short <= high


def test_saturated_probabilities_are_parted_where_they_can_be():
    """Logits of 50 and 60 both give a probability of 1: no threshold is between them."""
    valid = Examples(np.array([[60.0], [50.0], [0.0]]), np.array([1.0, 0.0, 1.0]), np.ones(3))
    chosen = choose_threshold(np.array([1.0, 0.0]), valid, ThresholdRule(recall=0.5))
    assert "precision 0.5," in chosen.reason
    assert chosen.value == 0.9


# --- cost ---------------------------------------------------------------------------------------

COST = {"false_positive": 1.0, "false_negative": 9.0}


def test_a_calibrated_neuron_decides_by_the_odds_of_the_costs():
    chosen = choose_threshold(THETA, rows(0, 500, 16), ThresholdRule(cost=COST))
    assert chosen.value == 0.1
    assert "1 / (1 + 9)" in chosen.reason
    assert "do not refute" in chosen.reason


@pytest.mark.parametrize(("times", "shift"), [(2.0, 0.0), (1.0, 1.5), (0.5, -1.0)])
def test_a_neuron_that_the_rows_refute_decides_where_its_calibration_line_does(times, shift):
    """The oracle: the logits of the true probabilities are known, so the best threshold is too."""
    wrong = THETA * times + np.array([0.0, shift])
    chosen = choose_threshold(wrong, rows(0, 20_000, 16), ThresholdRule(cost=COST))
    best = 1 / (1 + math.exp(-(times * math.log(1 / 9) + (1 - times) * 0.0 + shift)))
    assert chosen.value == pytest.approx(best, rel=0.15)
    assert abs(chosen.value - best) < abs(0.1 - best) / 4
    assert "refute that (p = " in chosen.reason


def test_a_calibrated_neuron_is_refuted_once_in_twenty_times():
    refuted = sum(
        "rows refute" in choose_threshold(THETA, rows(s, 300, 16), ThresholdRule(cost=COST)).reason
        for s in range(100)
    )
    assert refuted <= 12  # 5 expected, deviation 2.2


def test_a_cost_needs_no_validation_rows():
    assert choose_threshold(THETA, None, ThresholdRule(cost=COST)).value == 0.1
    two = Examples(np.array([[0.0], [1.0]]), np.array([0.0, 1.0]), np.ones(2))  # separated
    assert choose_threshold(THETA, two, ThresholdRule(cost=COST)).value == 0.1


# --- what cannot be chosen ------------------------------------------------------------------------


def test_a_rule_that_no_threshold_keeps_is_refused_with_what_can_be_asked_for():
    x = np.array([0.0, 1.0, 2.0, 3.0])
    valid = Examples(x[:, None], np.array([0.0, 0.0, 1.0, 0.0]), np.ones(4))
    with pytest.raises(TrainingError, match=r"0\.5 at most, with 2 alerts.*\{precision: 0\.5\}"):
        choose_threshold(THETA, valid, ThresholdRule(precision=0.9))
    choose_threshold(THETA, valid, ThresholdRule(precision=0.5))
    with pytest.raises(TrainingError, match=r"0\.25 at least.*\{rate: 0\.25\}"):
        choose_threshold(THETA, valid, ThresholdRule(rate=0.1))
    choose_threshold(THETA, valid, ThresholdRule(rate=0.25))


@pytest.mark.parametrize("valid", [None, Examples(np.zeros((2, 1)), np.zeros(2), np.ones(2))])
def test_rules_need_positive_validation_rows(valid):
    for name in ("recall", "precision", "rate"):
        with pytest.raises(DataError, match="positive validation rows"):
            choose_threshold(THETA, valid, ThresholdRule(**{name: 0.5}))


def test_a_number_is_taken_as_it_is():
    assert choose_threshold(THETA, None, 0.3) == Threshold(0.3)


def test_the_choice_depends_on_no_order_of_the_rows():
    valid = rows(5)
    for rule, seed in itertools.product(
        (ThresholdRule(recall=0.8), ThresholdRule(rate=0.1)), (1, 2)
    ):
        order = np.random.default_rng(seed).permutation(len(valid.y))
        shuffled = Examples(*(array[order] for array in valid))
        assert choose_threshold(THETA, shuffled, rule) == choose_threshold(THETA, valid, rule)


# --- a whole run ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cars(tmp_path_factory):
    """The cars at a wanted recall: what was prepared, the outcome, and how it was configured."""
    path = tmp_path_factory.mktemp("cars") / "car.data"
    path.write_bytes(car.content())
    words = ["evaluate.threshold={recall: 0.97}", "optimiser=newton", f"data.path={path}"]
    config = configuration([*words, "evaluate.bootstrap=null"]).run_config()
    prepared = prepare(config)
    return prepared, learn(prepared, config), config


def test_a_run_chooses_on_its_validation_rows_whatever_its_test_rows_say(cars):
    prepared, outcome, config = cars
    X, y, _ = written_out(prepared.valid)
    p = predict_proba(outcome.trained.theta, X)
    chosen = outcome.evaluation.threshold
    assert sk.recall_score(y, p >= chosen) >= 0.97 > sk.recall_score(y, p > np.min(p[p >= chosen]))
    flipped = Examples(prepared.test.X, 1 - prepared.test.y, prepared.test.count)
    assert learn(replace(prepared, test=flipped), config).evaluation.threshold == chosen
    other = Examples(prepared.valid.X, 1 - prepared.valid.y, prepared.valid.count)  # the control
    assert learn(replace(prepared, valid=other), config).evaluation.threshold != chosen


def test_the_model_of_a_run_decides_at_the_threshold_that_was_chosen(cars):
    _, outcome, _ = cars
    model = from_json(contents(outcome, None)["model.json"].decode())
    assert model.threshold == outcome.evaluation.threshold
    assert metrics(outcome)["test/threshold"] == model.threshold


def test_a_champion_that_is_trained_again_chooses_again(cars):
    _, outcome, config = cars
    table = validate(read_rows(config.data), config.data).require()
    model = _trained(config, split_table(table, config.split))
    assert model.threshold == outcome.evaluation.threshold


def test_a_run_whose_rule_no_threshold_keeps_ends_with_exit_code_4(cars):
    prepared, _, config = cars
    rule = ThresholdRule(rate=1e-9)
    settings = config.evaluate.model_copy(update={"threshold": rule})
    ended = learn(prepared, config.model_copy(update={"evaluate": settings}))
    assert (ended.status, ended.failure.exit_code) == ("FAILED", 4)
    assert "model.json" in contents(ended, None)
