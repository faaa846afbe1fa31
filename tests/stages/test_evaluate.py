"""Figures are scikit-learn's on the long table, and honest at the extremes."""

import numpy as np
import pytest
from sklearn import metrics as sk
from sklearn.dummy import DummyClassifier

from nn import Examples, predict_proba
from pipeline.config import EvaluateSettings
from pipeline.intervals import newcombe_auc, wilson
from pipeline.stages.evaluate import evaluate

SETTINGS = EvaluateSettings(threshold=0.4)
THETA = np.array([1.3, -0.7, 0.2])


@pytest.fixture(scope="module")
def test_rows() -> Examples:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(80, 2)).round(1)
    y = (rng.random(80) < predict_proba(THETA, X)).astype(float)
    return Examples(X, y, rng.integers(1, 5, 80).astype(float))


def figures(examples, settings=SETTINGS, theta=THETA, train_share=0.4):
    return evaluate(theta, examples, train_share, settings, held_out=True)


def long(examples: Examples) -> Examples:
    rows = np.repeat(np.arange(len(examples.y)), examples.weight.astype(int))
    return Examples(examples.X[rows], examples.y[rows], np.ones(len(rows)))


def test_every_figure_is_scikit_learns_on_the_rows_written_out(test_rows):
    got = figures(test_rows).metrics
    X, y, _ = long(test_rows)
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


def test_the_confusion_matrix_counts_rows(test_rows):
    X, y, weight = long(test_rows)
    expected = sk.confusion_matrix(y, predict_proba(THETA, X) >= 0.4)
    assert np.array_equal(figures(test_rows).confusion, expected)
    assert figures(test_rows).n_rows == weight.sum()


def test_counted_rows_give_what_the_long_table_gives(test_rows):
    counted, written = figures(test_rows), figures(long(test_rows))
    assert counted.metrics == pytest.approx(written.metrics, rel=1e-10)
    assert counted.baseline == pytest.approx(written.baseline, rel=1e-10)


def test_dropping_the_counts_would_be_noticed(test_rows):
    """Negative control of the one above."""
    unweighted = Examples(test_rows.X, test_rows.y, np.ones(80))
    assert figures(unweighted).metrics["accuracy"] != figures(test_rows).metrics["accuracy"]


def test_intervals_are_those_of_the_number_of_rows(test_rows):
    got = figures(test_rows)
    metrics, n, m = got.metrics, got.n_rows, got.n_positive
    bounds = metrics["accuracy_low"], metrics["accuracy_high"]
    assert bounds == pytest.approx(wilson(metrics["accuracy"], n))
    bounds = metrics["roc_auc_low"], metrics["roc_auc_high"]
    assert bounds == pytest.approx(newcombe_auc(metrics["roc_auc"], m, n - m))


def test_the_expected_calibration_error_is_the_mean_gap_of_the_bins(test_rows):
    X, y, _ = long(test_rows)
    p = predict_proba(THETA, X)
    gap = 0.0
    for low in np.arange(10) / 10:
        inside = (p >= low) & (p < low + 0.1)
        if inside.any():
            gap += inside.mean() * abs(p[inside].mean() - y[inside].mean())
    assert figures(test_rows).metrics["expected_calibration_error"] == pytest.approx(gap)


@pytest.mark.parametrize("train_share", [0.3, 0.8])
def test_the_baseline_is_scikit_learns_prior(test_rows, train_share):
    X, y, _ = long(test_rows)
    train_y = np.array([1] * round(train_share * 10) + [0] * round(10 - train_share * 10))
    dummy = DummyClassifier(strategy="prior").fit(np.zeros((10, 2)), train_y)
    p, decided = dummy.predict_proba(X)[:, 1], dummy.predict(X)
    base = figures(test_rows, train_share=train_share).baseline
    assert base == pytest.approx(
        {
            "accuracy": sk.accuracy_score(y, decided),
            "balanced_accuracy": 0.5,
            "precision": sk.precision_score(y, decided, zero_division=0),
            "recall": sk.recall_score(y, decided),
            "f1": sk.f1_score(y, decided),
            "roc_auc": sk.roc_auc_score(y, p),
            "pr_auc": sk.average_precision_score(y, p),
            "log_loss": sk.log_loss(y, p),
            "brier": sk.brier_score_loss(y, p),
        }
    )


def test_saturated_probabilities_are_still_ranked_and_costed_exactly():
    """At logits of 40 and 50 both probabilities round to 1, where a clipped log loss lies."""
    examples = Examples(
        np.array([[50.0], [40.0], [-800.0], [800.0]]), np.array([1.0, 0, 0, 0]), np.ones(4)
    )
    got = figures(examples, theta=np.array([1.0, 0.0])).metrics
    assert got["roc_auc"] == pytest.approx(2 / 3)
    assert got["log_loss"] == pytest.approx((40 + 800) / 4)


def test_a_neuron_that_never_says_yes_has_precision_zero_and_no_warning(test_rows):
    got = figures(test_rows, theta=np.array([0.0, 0.0, -9.0])).metrics
    assert (got["precision"], got["recall"], got["f1"]) == (0.0, 0.0, 0.0)


def test_logits_that_are_equal_but_for_rounding_are_tied():
    """0.1 + 0.2 and 0.3 come from rows that are told apart by nothing but their order of adding."""
    X = np.array([[0.1 + 0.2], [0.3]])
    assert X[0] != X[1]
    examples = Examples(X, np.array([1.0, 0.0]), np.ones(2))
    assert figures(examples, theta=np.array([1.0, 0.0])).metrics["roc_auc"] == 0.5


def test_curves_start_and_end_in_the_corners(test_rows):
    roc, pr = figures(test_rows).roc, figures(test_rows).pr
    assert roc[0, :2].tolist() == [0.0, 0.0]
    assert roc[-1, :2].tolist() == [1.0, 1.0]
    assert pr[-1].tolist() == [0.0, 1.0]
    assert np.isfinite(roc).all()
    assert np.isfinite(pr).all()
