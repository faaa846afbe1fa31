"""A neuron and held-out examples become figures that can be believed: with intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nn import Examples, binary_cross_entropy, mean_loss, row_logits, sigmoid
from nn.arrays import Array
from pipeline.config import EvaluateSettings
from pipeline.intervals import newcombe_auc, wilson
from pipeline.stages.one_thread import on_one_thread


@dataclass(frozen=True)
class Evaluation:
    """Figures on one part of the table, every row weighted by its count.

    ``metrics``: accuracy, balanced_accuracy, precision, recall, f1, roc_auc, pr_auc, log_loss,
    brier, expected_calibration_error; ``*_low`` and ``*_high`` bound accuracy (Wilson 1927) and
    roc_auc (Newcombe 2006, method 5) at 95 %. ``baseline``: the same names (as far as they make
    sense) for a model that always answers with the class, and the share, that train has most of.
    ``confusion``: rows are truth, columns decisions, class 0 first. ``roc``: columns false positive
    rate, true positive rate, threshold. ``pr``: columns recall, precision. ``calibration``: a row a
    bin that is not empty, columns mean probability, share positive, number of rows.
    """

    held_out: bool
    n_rows: int
    n_positive: int
    threshold: float
    metrics: dict[str, float]
    baseline: dict[str, float]
    confusion: tuple[tuple[int, int], tuple[int, int]]
    roc: Array
    pr: Array
    calibration: Array


@dataclass(frozen=True)
class RowLosses:
    """The loss (n,) of each distinct row of a part, in nats, and how often the row occurs."""

    loss: Array
    count: Array


@on_one_thread
def row_losses(theta: Array, examples: Examples) -> RowLosses:
    """The binary cross-entropy of each row, for paired tests against another neuron."""
    X, y, weight = examples
    return RowLosses(binary_cross_entropy(row_logits(theta, X), y), weight)


@on_one_thread
def evaluate(
    theta: Array,
    test: Examples,
    train_share: float,
    settings: EvaluateSettings,
    *,
    held_out: bool,
) -> Evaluation:
    """The figures of the neuron on ``test``, by scikit-learn, every row weighted by its count.

    ``train_share`` is the positive share of the training rows, all that the baseline knows. The log
    loss is ``nn.mean_loss``: it needs no clipping where a probability rounds to 1. Curves and areas
    rank by logits, which do not tie there either, rounded to 1e-9: equal ones differ by rounding.
    """
    from sklearn import metrics as sk

    X, y, weight = test
    z = row_logits(theta, X)  # the bits that a prediction gives
    p = sigmoid(z)
    rank = np.round(z, 9)
    decided = (p >= settings.threshold).astype(float)
    (tn, fp), (fn, tp) = sk.confusion_matrix(y, decided, sample_weight=weight).tolist()
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        y, decided, sample_weight=weight, average="binary", zero_division=0.0
    )
    accuracy = (tn + tp) / weight.sum()
    auc = float(sk.roc_auc_score(y, rank, sample_weight=weight))
    calibration = calibration_table(p, test, settings.calibration_bins)
    accuracy_low, accuracy_high = wilson(accuracy, weight.sum())
    auc_low, auc_high = newcombe_auc(auc, tp + fn, tn + fp)
    fpr, tpr, cut = sk.roc_curve(y, rank, sample_weight=weight)
    pr_precision, pr_recall, _ = sk.precision_recall_curve(y, rank, sample_weight=weight)
    metrics = {
        "accuracy": accuracy,
        "accuracy_low": accuracy_low,
        "accuracy_high": accuracy_high,
        "balanced_accuracy": (recall + tn / (tn + fp)) / 2,
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "roc_auc": auc,
        "roc_auc_low": auc_low,
        "roc_auc_high": auc_high,
        "pr_auc": sk.average_precision_score(y, rank, sample_weight=weight),
        "log_loss": mean_loss(z, y, weight),
        "brier": sk.brier_score_loss(y, p, sample_weight=weight),
        "expected_calibration_error": expected_calibration_error(calibration),
    }
    return Evaluation(
        held_out=held_out,
        n_rows=int(weight.sum()),
        n_positive=int(tp + fn),
        threshold=settings.threshold,
        metrics={name: float(value) for name, value in metrics.items()},
        baseline=baseline(test, train_share),
        confusion=((int(tn), int(fp)), (int(fn), int(tp))),
        roc=np.column_stack([fpr, tpr, sigmoid(cut)]),  # the first threshold is infinity: p = 1
        pr=np.column_stack([pr_recall, pr_precision]),
        calibration=calibration,
    )


def baseline(test: Examples, train_share: float) -> dict[str, float]:
    """The figures of a model that ignores its inputs: train's commoner class, train's share."""
    _, y, weight = test
    share = float(weight @ y / weight.sum())
    answer = float(train_share >= 0.5)
    logit = np.full(len(y), np.log(train_share) - np.log1p(-train_share))
    return {
        "accuracy": share if answer else 1 - share,
        "balanced_accuracy": 0.5,
        "precision": share * answer,
        "recall": answer,
        "f1": 2 * share / (1 + share) * answer,
        "roc_auc": 0.5,
        "pr_auc": share,
        "log_loss": mean_loss(logit, y, weight),
        "brier": share * (1 - train_share) ** 2 + (1 - share) * train_share**2,
    }


def calibration_table(p: Array, test: Examples, bins: int) -> Array:
    """Mean probability, share positive and number of rows of each equally wide bin with rows."""
    _, y, weight = test
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    n, sum_p, sum_y = (
        np.bincount(place, values, minlength=bins) for values in (weight, weight * p, weight * y)
    )
    used = n > 0
    return np.column_stack([sum_p[used] / n[used], sum_y[used] / n[used], n[used]])


def expected_calibration_error(calibration: Array) -> float:
    """Mean distance, over rows, from probability to share (Naeini et al. 2015, equal widths)."""
    probability, share, n = calibration.T
    return float(n @ np.abs(probability - share) / n.sum())
