"""What blocks say of a neuron is what their rows say, and scikit-learn, as exactly as promised."""

import numpy as np
import pytest
from block_builders import in_blocks, make_rows
from sklearn import metrics as sk

from nn import Examples, binary_cross_entropy, predict_proba, row_logits
from pipeline.config.evaluate_settings import EvaluateSettings
from pipeline.errors import DataError
from pipeline.stages.blocks import logits
from pipeline.stages.blocks.judge import judge
from pipeline.stages.copies import Copies
from pipeline.stages.evaluate import Evaluation, evaluate
from pipeline.stages.threshold import choose_threshold

RULES = [0.5, {"recall": 0.8}, {"precision": 0.5}, {"rate": 0.1},
         {"cost": {"false_positive": 1, "false_negative": 5}}]  # fmt: skip
AREAS = ("roc_auc", "roc_auc_low", "roc_auc_high", "pr_auc")


def of_rows(theta, rows, settings) -> Evaluation:
    threshold = choose_threshold(theta, rows, settings.threshold)
    copies = Copies(np.zeros(len(rows.y), bool))
    return evaluate(theta, rows, 0.3, settings, copies, threshold, held_out=True)


def of_blocks(theta, rows, settings, size=2000) -> Evaluation:
    blocks = in_blocks(rows, size)
    return judge(theta, blocks, blocks, 0.3, settings, held_out=True).evaluation


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_figures_of_blocks_are_those_of_rows(rule) -> None:
    """While no two rows share a bin all of them are, to the rounding of sums."""
    settings = EvaluateSettings.parse({"threshold": rule})
    theta, rows = make_rows(10_000)
    blocks, whole = of_blocks(theta, rows, settings), of_rows(theta, rows, settings)
    assert blocks.threshold == whole.threshold
    assert blocks.threshold_reason == whole.threshold_reason
    assert blocks.confusion == whole.confusion
    assert {**blocks.metrics} == pytest.approx(
        whole.metrics | {"roc_auc_error": 0.0, "pr_auc_error": 0.0}, abs=1e-9
    )
    for name in ("calibration", "decision_curve", "gain", "thresholds"):
        a, b = getattr(blocks, name), getattr(whole, name)
        assert a == pytest.approx(b, abs=1e-9, nan_ok=True), name
    assert blocks.baseline == pytest.approx(whole.baseline, rel=1e-12)


@pytest.mark.parametrize("most", [300, 3000])
def test_in_few_bins_decisions_and_losses_stay_exact_and_areas_within_their_bounds(
    monkeypatch, most
) -> None:
    monkeypatch.setattr(logits, "MOST_BINS", most)
    settings = EvaluateSettings.parse({"threshold": 0.37})
    theta, rows = make_rows(40_000)
    blocks, whole = of_blocks(theta, rows, settings), of_rows(theta, rows, settings)
    got, want = dict(blocks.metrics), dict(whole.metrics)
    p = predict_proba(theta, rows.X)
    oracle = {
        "accuracy": sk.accuracy_score(rows.y, p >= 0.37),
        "log_loss": sk.log_loss(rows.y, p),
        "brier": sk.brier_score_loss(rows.y, p),
    }
    assert {name: got[name] for name in oracle} == pytest.approx(oracle, abs=1e-12)
    assert blocks.confusion == whole.confusion
    assert np.array_equal(blocks.decision_curve, whole.decision_curve)
    assert np.array_equal(blocks.calibration[:, 2], whole.calibration[:, 2])
    for name, area in (("roc_auc", sk.roc_auc_score), ("pr_auc", sk.average_precision_score)):
        error, bound = abs(got[name] - area(rows.y, p)), got[f"{name}_error"]
        assert 0 < error <= bound, (name, error, bound)
    width = 16 / most
    for name in want.keys() - {*AREAS}:
        loose = 5e-3 if "miscal" in name or "discrim" in name else width / 100
        assert got[name] == pytest.approx(want[name], abs=loose), name


def test_a_bound_that_is_too_small_would_be_noticed(monkeypatch) -> None:
    """Negative control: rows ranked as badly as a bin allows are off by the bound itself."""
    monkeypatch.setattr(logits, "MOST_BINS", 100)
    rng = np.random.default_rng(0)
    z = np.sort(rng.normal(size=4000))
    theta, y = np.array([1.0, 0.0]), (np.arange(4000) % 2).astype(float)
    bins = logits.score_blocks(theta, in_blocks(Examples(z[:, None], y, np.ones(4000)))).bins
    place = np.searchsorted(bins.low, z, side="right") - 1
    worst = y[np.lexsort((-y, place))]  # in each bin all positive rows first
    again = logits.score_blocks(theta, in_blocks(Examples(z[:, None], worst, np.ones(4000)))).bins
    rows, *_ = again.rows()
    tied = sk.roc_auc_score(rows.y, rows.X[:, 0], sample_weight=rows.count)
    assert tied - sk.roc_auc_score(worst, z) == pytest.approx(again.auc_error)


def test_a_threshold_on_the_logit_of_many_rows_decides_them_as_they_are() -> None:
    """Few distinct logits, of which one is that of the threshold: no mean rounds away from it."""
    theta = np.array([0.1, 0.2, -0.3, 0.0])
    rng = np.random.default_rng(3)
    X = rng.integers(0, 4, (9000, 3)).astype(float)
    rows = Examples(X, (rng.random(9000) < 0.4).astype(float), np.ones(9000))
    for p in np.unique(predict_proba(theta, X))[1:-1]:
        settings = EvaluateSettings.parse({"threshold": float(p)})
        assert (
            of_blocks(theta, rows, settings).confusion == of_rows(theta, rows, settings).confusion
        )


def test_a_rule_without_validation_rows_is_refused_as_of_rows() -> None:
    theta, rows = make_rows(500)
    settings = EvaluateSettings.parse({"threshold": {"recall": 0.8}})
    with pytest.raises(DataError, match="validation rows"):
        judge(theta, None, in_blocks(rows), 0.3, settings, held_out=True)


def test_curves_have_points_enough_to_be_drawn_and_no_more() -> None:
    theta, rows = make_rows(30_000)
    found, whole = (of(theta, rows, EvaluateSettings()) for of in (of_blocks, of_rows))
    assert len(found.roc) <= 2001 < len(whole.roc)
    assert len(found.pr) <= 2001
    on = np.interp(whole.roc[:, 0], found.roc[:, 0], found.roc[:, 1])
    assert np.abs(on - whole.roc[:, 1]).max() < 4e-3
    assert found.roc[-1].tolist() == whole.roc[-1].tolist()
    assert found.n_seen is None


def test_losses_of_both_parts_have_the_mean_of_their_rows() -> None:
    theta, rows = make_rows(8000)
    found = judge(theta, in_blocks(rows), in_blocks(rows), 0.3, EvaluateSettings(), held_out=True)
    mean = binary_cross_entropy(row_logits(theta, rows.X), rows.y).mean()
    for losses in (found.validation_losses, found.test_losses):
        assert losses.loss @ losses.count / losses.count.sum() == pytest.approx(mean, rel=1e-12)
