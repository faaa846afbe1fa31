"""A neuron and held-out examples become figures that can be believed: with intervals."""

from __future__ import annotations

from dataclasses import dataclass

from nn.arrays import Array


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
