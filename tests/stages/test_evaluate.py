"""Metrics are scikit-learn's on the long table, to the last digit, and honest at the extremes."""

from dataclasses import asdict

import numpy as np
import pytest
from builders import written_out
from sklearn import metrics as sk
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from nn import Examples, predict_proba
from pipeline.config.evaluate_settings import Costs, EvaluateSettings
from pipeline.stages.calibration import calibration_line
from pipeline.stages.copies import Copies
from pipeline.stages.decisions import confusion
from pipeline.stages.evaluate import Evaluation, evaluate
from pipeline.stages.intervals import wilson
from pipeline.stages.ranking import rank, ranking_curves
from pipeline.stages.threshold import Threshold

SETTINGS = EvaluateSettings()
AT = Threshold(0.4)
THETA = np.array([1.3, -0.7, 0.2])


@pytest.fixture(scope="module")
def test_rows() -> Examples:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(80, 2)).round(1)
    y = (rng.random(80) < predict_proba(THETA, X)).astype(float)
    return Examples(X, y, rng.integers(1, 5, 80).astype(float))


def evaluated(examples, theta=THETA, train_share=0.4, copies=None) -> Evaluation:
    copies = copies or Copies(np.zeros(len(examples.y), bool))
    return evaluate(theta, examples, train_share, SETTINGS, copies, AT, held_out=True)


def test_every_metric_is_scikit_learns_on_the_rows_written_out(test_rows):
    got = evaluated(test_rows).metrics
    X, y, _ = written_out(test_rows)
    p = predict_proba(THETA, X)
    decided = p >= 0.4
    rank = p.round(9)  # 1.3 * 0.7 and -0.7 * -1.3 are equal, but not to the last bit
    expected = {
        "accuracy": sk.accuracy_score(y, decided),
        "balanced_accuracy": sk.balanced_accuracy_score(y, decided),
        "precision": sk.precision_score(y, decided),
        "recall": sk.recall_score(y, decided),
        "f1": sk.f1_score(y, decided),
        "roc_auc": sk.roc_auc_score(y, rank),
        "pr_auc": sk.average_precision_score(y, rank),
        "log_loss": sk.log_loss(y, p),
        "brier": sk.brier_score_loss(y, p),
    }
    assert {name: got[name] for name in expected} == pytest.approx(expected, rel=1e-10)


def test_the_calibration_line_is_a_logistic_regression_on_the_logit(test_rows):
    metrics = evaluated(test_rows).metrics
    X, y, _ = written_out(test_rows)
    z = X @ THETA[:-1] + THETA[-1]
    line = LogisticRegression(C=np.inf, tol=1e-10).fit(z[:, None], y)
    expected = [line.coef_[0, 0], line.intercept_[0]]
    got = [metrics["calibration_slope"], metrics["calibration_intercept"]]
    assert got == pytest.approx(expected, abs=1e-4)
    half = evaluated(test_rows, theta=THETA * 2).metrics  # twice as sure of the same
    assert half["calibration_slope"] == pytest.approx(metrics["calibration_slope"] / 2)


@pytest.mark.parametrize("z", [[-1.0, 0.0, 1.0, 2.0], [-1.0, 1.0, 1.0, 2.0], [2.0, 1.0, 0.0, 0.0]])
def test_logits_with_a_threshold_between_the_classes_have_no_line(z):
    """Also where both classes are at the threshold itself, or on the wrong sides of it."""
    y, mixed = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.0, 2.0, 1.0, 3.0])
    assert calibration_line(np.array(z), y, np.ones(4)) is None
    assert calibration_line(mixed, y, np.ones(4)) is not None
    assert calibration_line(mixed, y, np.array([1.0, 0.0, 1.0, 1.0])) is None


@pytest.mark.parametrize("decimals", [0, 1, 16])
@pytest.mark.parametrize("n", [2, 3, 30, 400])
def test_curves_and_areas_are_scikit_learns_to_the_last_digit(n: int, decimals: int) -> None:
    """Scores that tie and counts; scikit-learn is the oracle, and no part of the product."""
    for seed in range(10):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 2, n).astype(float)
        y[:2] = 0.0, 1.0
        score = np.round(rng.normal(size=n) + y, decimals)
        count = rng.integers(1, 6, n).astype(float)
        roc, pr = ranking_curves(rank(score, y, count))
        assert np.array_equal(roc, np.column_stack(sk.roc_curve(y, score, sample_weight=count)))
        precision, recall, _ = sk.precision_recall_curve(y, score, sample_weight=count)
        assert np.array_equal(pr, np.column_stack([recall, precision]))
        got = evaluated(Examples(score[:, None], y, count), theta=np.array([1.0, 0.0]))
        rounded = np.round(score, 9)
        for name, oracle in (("roc_auc", sk.roc_auc_score), ("pr_auc", sk.average_precision_score)):
            assert got.metrics[name] == oracle(y, rounded, sample_weight=count), name


def test_ties_that_are_broken_would_be_noticed() -> None:
    """Negative control: the rows in another order give another curve unless ties are one point."""
    y, score, count = np.array([0.0, 1.0, 0.0, 1.0]), np.zeros(4), np.ones(4)
    roc, _ = ranking_curves(rank(score, y, count))
    assert roc[:, :2].tolist() == [[0.0, 0.0], [1.0, 1.0]]
    apart, _ = ranking_curves(rank(score + np.arange(4), y, count))
    assert len(apart) > len(roc)


def test_the_confusion_matrix_is_scikit_learns_by_count():
    rng = np.random.default_rng(0)
    for n in (1, 2, 50):
        y, decided = rng.integers(0, 2, (2, n)).astype(bool)
        count = rng.integers(1, 2**40, n).astype(float)
        expected = sk.confusion_matrix(y, decided, labels=[False, True], sample_weight=count)
        assert confusion(y.astype(float), decided, count).tolist() == expected.tolist()


def test_the_confusion_matrix_counts_rows(test_rows):
    X, y, count = written_out(test_rows)
    expected = sk.confusion_matrix(y, predict_proba(THETA, X) >= 0.4)
    assert np.array_equal(evaluated(test_rows).confusion, expected)
    assert evaluated(test_rows).n_rows == count.sum()


def test_counted_rows_give_what_the_long_table_gives(test_rows):
    counted, written = evaluated(test_rows), evaluated(written_out(test_rows))
    assert counted.metrics == pytest.approx(written.metrics, rel=1e-10)
    assert counted.baseline == pytest.approx(written.baseline, rel=1e-10)


def test_dropping_the_counts_would_be_noticed(test_rows):
    """Negative control of the one above."""
    unweighted = Examples(test_rows.X, test_rows.y, np.ones(80))
    assert evaluated(unweighted).metrics["accuracy"] != evaluated(test_rows).metrics["accuracy"]


def test_intervals_are_those_of_the_number_of_rows(test_rows):
    got = evaluated(test_rows)
    metrics, n = got.metrics, got.n_rows
    bounds = metrics["accuracy_low"], metrics["accuracy_high"]
    assert bounds == pytest.approx(wilson(metrics["accuracy"], n))


def test_the_expected_calibration_error_is_the_mean_gap_of_the_bins(test_rows):
    X, y, _ = written_out(test_rows)
    p = predict_proba(THETA, X)
    gap = 0.0
    for low in np.arange(10) / 10:
        inside = (p >= low) & (p < low + 0.1)
        if inside.any():
            gap += inside.mean() * abs(p[inside].mean() - y[inside].mean())
    assert evaluated(test_rows).metrics["expected_calibration_error"] == pytest.approx(gap)


@pytest.mark.parametrize("train_share", [0.3, 0.8])
def test_the_baseline_is_scikit_learns_prior(test_rows, train_share):
    X, y, _ = written_out(test_rows)
    train_y = np.array([1] * round(train_share * 10) + [0] * round(10 - train_share * 10))
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((10, 2)), train_y)
    p, decided = dummy.predict_proba(X)[:, 1], dummy.predict(X)
    base = evaluated(test_rows, train_share=train_share).baseline
    assert base == pytest.approx(
        {
            "accuracy": sk.accuracy_score(y, decided),
            "balanced_accuracy": 0.5,
            **({"precision": sk.precision_score(y, decided)} if decided.any() else {}),
            "recall": sk.recall_score(y, decided),
            "f1": sk.f1_score(y, decided),
            "roc_auc": sk.roc_auc_score(y, p),
            "pr_auc": sk.average_precision_score(y, p),
            "log_loss": sk.log_loss(y, p),
            "brier": sk.brier_score_loss(y, p),
        }
    )


def test_saturated_probabilities_are_still_ranked_exactly_and_have_their_loss():
    """At logits of 40 and 50 both probabilities round to 1, where a clipped log loss lies."""
    examples = Examples(
        np.array([[50.0], [40.0], [-800.0], [800.0]]), np.array([1.0, 0, 0, 0]), np.ones(4)
    )
    got = evaluated(examples, theta=np.array([1.0, 0.0])).metrics
    assert got["roc_auc"] == pytest.approx(2 / 3)
    assert got["log_loss"] == pytest.approx((40 + 800) / 4)


def test_a_neuron_that_never_says_yes_has_no_precision_and_no_warning(test_rows):
    got = evaluated(test_rows, theta=np.array([0.0, 0.0, -9.0])).metrics
    assert "precision" not in got
    assert (got["recall"], got["f1"]) == (0.0, 0.0)


def test_logits_that_are_equal_but_for_rounding_are_tied():
    """0.1 + 0.2 and 0.3 come from rows that are told apart by nothing but their order of adding."""
    X = np.array([[0.1 + 0.2], [0.3]])
    assert X[0] != X[1]
    examples = Examples(X, np.array([1.0, 0.0]), np.ones(2))
    assert evaluated(examples, theta=np.array([1.0, 0.0])).metrics["roc_auc"] == 0.5


def test_curves_start_and_end_in_the_corners(test_rows):
    roc, pr = evaluated(test_rows).roc, evaluated(test_rows).pr
    assert roc[0, :2].tolist() == [0.0, 0.0]
    assert roc[-1, :2].tolist() == [1.0, 1.0]
    assert pr[-1].tolist() == [0.0, 1.0]
    assert np.isfinite(roc).all()
    assert np.isfinite(pr).all()


# --- other thresholds -----------------------------------------------------------------------------


def test_the_table_of_thresholds_is_scikit_learns_on_the_rows_written_out(test_rows):
    costs = Costs(false_positive=1, false_negative=7)
    chosen = Threshold(0.4242, "chosen", costs)
    copies = Copies(np.zeros(len(test_rows.y), bool))
    found = evaluate(THETA, test_rows, 0.4, SETTINGS, copies, chosen, held_out=True)
    X, y, _ = written_out(test_rows)
    p = predict_proba(THETA, X)
    for threshold, rate, precision, recall, cost in found.thresholds.tolist():
        decided = p >= threshold
        (_, fp), (fn, _) = sk.confusion_matrix(y, decided)
        assert rate == pytest.approx(decided.mean(), rel=1e-12)
        assert recall == pytest.approx(sk.recall_score(y, decided), rel=1e-12)
        assert cost == pytest.approx((fp + 7 * fn) / len(y), rel=1e-12)
        if decided.any():
            assert precision == pytest.approx(sk.precision_score(y, decided), rel=1e-12)
        else:
            assert np.isnan(precision)
    assert {0.4242, 0.5} <= {*found.thresholds[:, 0].tolist()}
    assert (found.threshold, found.threshold_reason) == (0.4242, "chosen")


def test_a_table_of_thresholds_leaves_out_those_that_decide_as_a_lower_one(test_rows):
    rate = evaluated(test_rows).thresholds[:, 1]
    kept = evaluated(test_rows).thresholds[:, 0]
    assert len(kept) <= 21
    assert all(a > b or t in (0.4, 0.5) for a, b, t in zip(rate, rate[1:], kept[1:], strict=False))
    assert evaluated(test_rows).thresholds.shape[1] == 4  # no cost is known


def test_shares_of_decisions_have_wilsons_interval_of_their_own_rows(test_rows):
    found = evaluated(test_rows).metrics
    X, y, _ = written_out(test_rows)
    decided = predict_proba(THETA, X) >= 0.4
    for name, n in (("recall", y.sum()), ("precision", decided.sum()), ("positive_rate", len(y))):
        bounds = (found[f"{name}_low"], found[f"{name}_high"])
        assert bounds == pytest.approx(wilson(found[name], n), rel=1e-9), name


def test_an_evaluation_that_was_written_before_there_was_a_table_is_read(test_rows):
    tree = asdict(evaluated(test_rows))
    del tree["thresholds"], tree["threshold_reason"]
    assert Evaluation.from_tree(tree).thresholds.size == 0
