"""A neuron and held-out blocks become the same figures as counted rows, and how exact they are."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nn.arrays import Array
from pipeline.config.evaluate_settings import EvaluateSettings
from pipeline.stages.blocks.clusters import clustered_sampling, is_clustered, with_clusters
from pipeline.stages.blocks.keyed import KeyedBlocks
from pipeline.stages.blocks.logits import (
    Bins,
    Cuts,
    HeldOut,
    bucket_losses,
    loss_kinds,
    score_blocks,
)
from pipeline.stages.copies import INDEPENDENT, Sampling
from pipeline.stages.decisions import THRESHOLDS
from pipeline.stages.evaluate import Evaluation, RowLosses, evaluate_rows
from pipeline.stages.one_thread import on_one_thread
from pipeline.stages.penalty import OUT_OF_FOLD
from pipeline.stages.threshold import ROUND, Threshold, choose_threshold

POINTS = 2000  # of a curve: more are not seen


class Judged(NamedTuple):
    """What held-out blocks say of a neuron: that of ``Finished``."""

    validation_losses: RowLosses | None
    test_losses: RowLosses
    evaluation: Evaluation


def judge(
    theta: Array,
    valid: KeyedBlocks | None,
    test: KeyedBlocks,
    train_share: float,
    settings: EvaluateSettings,
    *,
    held_out: bool,
) -> Judged:
    """Return losses and evaluation of the neuron, by a pass over ``valid`` and one over ``test``.

    Raises
    ------
    DataError, TrainingError
        If no threshold can be chosen as ``settings`` ask for.
    """
    threshold, losses = _validated(theta, valid, settings)
    found, evaluation = judge_part(theta, test, train_share, settings, threshold)
    return Judged(losses, loss_kinds(found.bins), replace(evaluation, held_out=held_out))


def _validated(
    theta: Array, valid: KeyedBlocks | None, settings: EvaluateSettings
) -> tuple[Threshold, RowLosses | None]:
    if valid is None:
        return choose_threshold(OUT_OF_FOLD, None, settings.threshold), None
    found = score_blocks(theta, valid)
    rows, *ends = found.bins.rows()
    threshold = choose_threshold(OUT_OF_FOLD, rows, settings.threshold, ends)
    return threshold, bucket_losses(found)


def judge_part(
    theta: Array,
    part: KeyedBlocks,
    train_share: float,
    settings: EvaluateSettings,
    threshold: Threshold,
) -> tuple[HeldOut, Evaluation]:
    """Return the sums of the rows of a part, and their evaluation: a pass, or two of clusters."""
    found = score_blocks(theta, part, cuts_of(settings, threshold))
    if not is_clustered(part):
        return found, evaluate_scored(found, train_share, settings, INDEPENDENT, threshold)
    sampling = clustered_sampling(found)
    evaluation = evaluate_scored(found, train_share, settings, sampling, threshold)
    return found, with_clusters(evaluation, found, theta, part)


def cuts_of(settings: EvaluateSettings, threshold: Threshold) -> Cuts:
    """Return every probability at which ``evaluate_rows`` tells rows apart."""
    thresholds = np.unique([*THRESHOLDS, *ROUND, threshold.value])
    return Cuts(thresholds, settings.calibration_bins, threshold.value)


@on_one_thread
def evaluate_scored(
    found: HeldOut,
    train_share: float,
    settings: EvaluateSettings,
    sampling: Sampling,
    threshold: Threshold,
) -> Evaluation:
    """Return the evaluation of rows that were scored block by block, with ``cuts_of`` the same.

    Decisions and the losses are exact. ``roc_auc_error`` and ``pr_auc_error`` bound by how much the
    areas can be off. No row is looked up among those of train.
    """
    rows, *_ = found.bins.rows()
    whole = evaluate_rows(OUT_OF_FOLD, rows, train_share, settings, sampling, threshold)
    metrics, n = dict(whole.metrics), rows.count.sum()
    for name, total in (("log_loss", found.log_loss), ("brier", found.brier)):
        metrics[f"{name}_miscalibration"] += total / n - metrics[name]
        metrics[name] = total / n
    metrics |= {"roc_auc_error": found.bins.auc_error, "pr_auc_error": _pr_auc_error(found.bins)}
    roc, pr = whole.roc, whole.pr
    return replace(
        whole,
        n_seen=None,
        metrics=metrics,
        roc=_thinned(roc, roc[:, 0] + roc[:, 1]),
        pr=_thinned(pr, 1 - pr[:, 0]),
    )


def _pr_auc_error(bins: Bins) -> float:
    """Return by how much the average precision can be off, whatever the order within bins.

    The precision at the j-th positive row of a bin lies between that where all negative rows of the
    bin are before it, j = 1, and that where none is, j the last.
    """
    negative, positive = bins.negative[::-1], bins.positive[::-1]
    found, alerts = np.cumsum(positive), np.cumsum(positive + negative)
    before, n_before = found - positive, alerts - positive - negative
    least = (before + 1) / (n_before + 1 + negative)
    most = found / np.maximum(n_before + positive, 1)
    apart = np.maximum(most - found / alerts, found / alerts - least)
    within = (bins.low < bins.high)[::-1] & (positive > 0)
    return float(apart[within] @ positive[within] / found[-1])


def _thinned(curve: Array, reached: Array) -> Array:
    """Return about POINTS points of a curve, evenly by ``reached`` (n,), which ascends."""
    if len(curve) <= POINTS:
        return curve
    wanted = np.linspace(reached[0], reached[-1], POINTS)
    kept = np.unique(np.append(np.searchsorted(reached, wanted), [0, len(curve) - 1]))
    thinned: Array = curve[np.minimum(kept, len(curve) - 1)]
    return thinned
