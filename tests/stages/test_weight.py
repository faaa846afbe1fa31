"""Weights of rows: figures are scikit-learn's with sample_weight, intervals those of Kish."""

from dataclasses import replace

import numpy as np
import pytest
from builders import make_data, make_table
from sklearn import metrics as sk

from nn import newton, sigmoid
from pipeline.config.evaluate_settings import EvaluateSettings
from pipeline.config.schema import EncodeSettings
from pipeline.config.split_settings import NoSplit, StratifiedSplit
from pipeline.errors import DataError
from pipeline.stages.copies import Copies, Sampling, effective_size
from pipeline.stages.encode import encode, fit_encoder
from pipeline.stages.evaluate import evaluate
from pipeline.stages.infer import infer
from pipeline.stages.optimism import bootstrap_optimism
from pipeline.stages.split import split_table
from pipeline.stages.threshold import Threshold

DATA = make_data({"x": {"kind": "numeric"}, "c": {"kind": "categorical"}})
NONE = NoSplit(name="none")


def weighted(weight, n=400, seed=0):
    rng = np.random.default_rng(seed)
    x, c = rng.normal(size=n), rng.choice(["a", "b"], n)
    y = (rng.random(n) < 1 / (1 + np.exp(-x - (c == "a")))).astype(float)
    table = make_table({"x": x, "c": c}, y)
    return replace(table, weight=None if weight is None else weight(rng, n))


def encoded(table):
    split = split_table(table, NONE)
    encoder = fit_encoder(split.train, EncodeSettings(), DATA)
    return encoder, encode(encoder, split.train, "train"), Sampling.of(split.train)


def some(rng, n):
    return rng.gamma(1.0, size=n) * 1000


def test_every_metric_is_that_of_scikit_learn_with_sample_weight():
    table = weighted(some)
    _, rows, sampling = encoded(table)
    theta, w, y = np.array([0.7, 0.4, -0.3, 0.1]), table.weight, table.y
    copies = Copies(np.zeros(len(y), bool), rows=sampling.rows)
    share = rows.count @ y / rows.count.sum()
    found = evaluate(theta, rows, share, EvaluateSettings(), copies, Threshold(0.5), held_out=True)
    p = sigmoid(rows.X @ theta[:-1] + theta[-1])
    d = p >= 0.5
    share = np.average(y, weights=w)
    expected = {
        "accuracy": sk.accuracy_score(y, d, sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(y, d, sample_weight=w),
        "precision": sk.precision_score(y, d, sample_weight=w),
        "recall": sk.recall_score(y, d, sample_weight=w),
        "f1": sk.f1_score(y, d, sample_weight=w),
        "roc_auc": sk.roc_auc_score(y, p, sample_weight=w),
        "pr_auc": sk.average_precision_score(y, p, sample_weight=w),
        "log_loss": sk.log_loss(y, p, sample_weight=w),
        "brier": sk.brier_score_loss(y, p, sample_weight=w),
    }
    assert {name: found.metrics[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    baseline = {
        "log_loss": sk.log_loss(y, np.full(len(y), share), sample_weight=w),
        "brier": sk.brier_score_loss(y, np.full(len(y), share), sample_weight=w),
        "accuracy": max(share, 1 - share),
    }
    assert {k: found.baseline[k] for k in baseline} == pytest.approx(baseline, abs=1e-12)
    assert found.confusion == tuple(map(tuple, sk.confusion_matrix(y, d).tolist()))  # rows are rows
    assert (found.n_rows, found.n_positive) == (400, int(y.sum()))
    assert found.calibration[:, 2].sum() == pytest.approx(400)  # numbers that are shown add up
    assert found.metrics["effective_rows"] == pytest.approx(w.sum() ** 2 / (w**2).sum())


def test_counts_sum_to_the_effective_sample_size_of_kish():
    table = weighted(some)
    _, rows, _ = encoded(table)
    w = table.weight
    assert rows.count.sum() == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-14)
    assert np.ptp(rows.count / w) < 1e-15


@pytest.mark.parametrize("weight", [1.0, 7.0, 3e-200, 1e300])
def test_equal_weights_change_no_bit(weight):
    plain = encoded(weighted(None))
    equal = encoded(weighted(lambda rng, n: np.full(n, weight)))
    for one, other in zip(plain[1], equal[1], strict=True):
        assert one.tobytes() == other.tobytes()
    zeros = np.zeros(4)
    figures = [bootstrap_optimism(zeros, of[1], 1e-3, 20, 0, of[2]) for of in (plain, equal)]
    assert figures[0] == figures[1]
    copies = [Copies(np.zeros(400, bool), rows=of[2].rows) for of in (plain, equal)]
    one, other = (
        evaluate(zeros + 0.3, plain[1], 0.5, EvaluateSettings(), c, Threshold(0.5), held_out=True)
        for c in copies
    )
    assert other.metrics.pop("effective_rows") == 400
    assert one.metrics == other.metrics


def test_whole_weights_train_the_neuron_of_the_rows_written_out():
    table = weighted(lambda rng, n: rng.integers(1, 5, n).astype(float))
    order = np.repeat(np.arange(400), table.weight.astype(int))
    frame = table.frame.iloc[order].reset_index(drop=True)
    long = make_table({name: frame[name] for name in frame}, table.y[order])
    of_weights, of_long = (newton(np.zeros(4), encoded(t)[1], l2=0.01).theta for t in (table, long))
    assert of_weights == pytest.approx(of_long, abs=1e-9)


def test_rows_of_weight_zero_are_counted_and_train_nothing():
    table = weighted(lambda rng, n: rng.integers(0, 3, n).astype(float))
    split = split_table(table, StratifiedSplit(name="stratified"))
    assert sum(split.sizes) == 400
    assert len(split.train.y) < split.sizes[0]
    assert (split.train.weight > 0).all()
    dropped = replace(table, weight=None)
    kept = np.flatnonzero(table.weight)
    less = make_table({n: table.frame[n].iloc[kept] for n in table.frame}, table.y[kept])
    less = replace(less, weight=table.weight[kept])
    assert encoded(table)[1].X.tobytes() == encoded(less)[1].X.tobytes()
    assert encoded(table)[1].X.shape != encoded(dropped)[1].X.shape


def test_a_part_without_weight_is_refused():
    table = weighted(lambda rng, n: np.zeros(n))
    with pytest.raises(DataError, match=r"both classes; got 0 rows.*weight above 0"):
        split_table(table, StratifiedSplit(name="stratified"))


def test_intervals_of_effects_are_those_of_a_sandwich():
    """The oracle: statsmodels, HC0 of weighted scores, with Student's t of n - 1 degrees."""
    import statsmodels.api as sm
    from scipy.stats import t

    table = weighted(some)
    encoder, rows, sampling = encoded(table)
    found = infer(rows, encoder, sampling)
    x, a = rows.X[:, 0], table.frame["c"].to_numpy() == "a"
    A = np.column_stack([x, a - 0.5, np.ones(len(x))])  # half the contrast of a and b
    fit = sm.GLM(table.y, A, sm.families.Binomial(), var_weights=table.weight).fit(cov_type="HC0")
    scale = np.sqrt(400 / 399) * np.array([1, 0.5])
    effects = [found.effects[0], found.effects[1]]
    assert [e.log_odds for e in effects] == pytest.approx(fit.params[:2] * [1, 0.5], rel=1e-6)
    errors = [e.standard_error for e in effects]
    assert errors == pytest.approx(fit.bse[:2] * scale, rel=1e-6)
    half = t.ppf(0.975, 399) * np.array(errors)
    assert [e.high - e.log_odds for e in effects] == pytest.approx(half, rel=1e-9)
    assert found.tests[0].statistic == pytest.approx((fit.params[0] / errors[0]) ** 2, rel=1e-6)
    assert found.tests[0].p_value == pytest.approx(
        2 * t.sf(abs(fit.params[0] / errors[0]), 399), rel=1e-6
    )


def test_the_effective_size_of_a_class_is_that_of_its_weights():
    y, w = np.array([1.0, 1.0, 0.0]), np.array([1.0, 3.0, 5.0])
    sampling = Sampling(rows=np.array([2.0, 1.0, 1.0]))
    assert effective_size(y, sampling.rows * w, sampling) == pytest.approx(25 / 11)
