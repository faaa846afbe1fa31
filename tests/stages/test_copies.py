"""Copies of rows are counted, and where they are one entity they are one observation."""

import numpy as np
import pandas as pd
import pytest
from builders import make_data, make_table

from nn import Examples, newton, predict_proba
from pipeline.config.evaluate_settings import EvaluateSettings
from pipeline.config.schema import EncodeSettings
from pipeline.config.split_settings import StratifiedSplit
from pipeline.stages.copies import (
    INDEPENDENT,
    Copies,
    Sampling,
    effective_size,
    find_copies,
    row_hashes,
)
from pipeline.stages.encode import encode, fit_encoder
from pipeline.stages.evaluate import evaluate
from pipeline.stages.split import split_table
from pipeline.stages.threshold import Threshold

SETTINGS, AT = EvaluateSettings(), Threshold(0.5)


def rows(X, y=None, count=None):
    X = np.array(X, dtype=float)
    y = np.arange(len(X)) % 2.0 if y is None else y
    return Examples(X, y, np.ones(len(X)) if count is None else count)


def test_a_row_is_seen_where_train_has_its_inputs_whatever_its_label():
    """Oracle: rows as tuples in a set."""
    rng = np.random.default_rng(0)
    train, test = rows(rng.integers(0, 4, (80, 3))), rows(rng.integers(0, 4, (80, 3)))
    known = set(map(tuple, train.X.tolist()))
    expected = [tuple(x) in known for x in test.X.tolist()]
    assert find_copies(train, test, INDEPENDENT).seen.tolist() == expected
    assert 0 < sum(expected) < 80


def test_a_zero_is_a_zero_whatever_its_sign():
    assert find_copies(rows([[0.0]]), rows([[-0.0], [1e-300]]), INDEPENDENT).seen.tolist() == [
        True, False,
    ]  # fmt: skip


def test_hashes_tell_text_and_numbers_and_a_missing_value_apart():
    frame = pd.DataFrame({"a": ["x", "y", "x", "x"], "b": [1.0, 1.0, np.nan, 1.0]})
    first, second, third, fourth = row_hashes(frame).tolist()
    assert first == fourth
    assert len({first, second, third}) == 3


def test_rows_of_equal_inputs_are_one_group():
    found = find_copies(
        rows([[9.0]]), rows([[1.0], [2.0], [1.0]]), Sampling(group=np.array([0, 1, 0]))
    )
    assert found.group[0] == found.group[2] != found.group[1]
    assert find_copies(rows([[9.0]]), rows([[1.0]]), INDEPENDENT).group is None


def test_equal_groups_count_as_many_as_they_are_and_unequal_ones_less():
    one = np.ones(6)
    apart, pairs = Sampling(), Sampling(group=np.array([0, 0, 1, 1, 2, 2]))
    assert effective_size(one, 2 * one, apart) == 12
    assert effective_size(one, 2 * one, pairs) == pytest.approx(3)
    assert effective_size(one, np.array([5.0, 5, 1, 1, 1, 1]), pairs) == pytest.approx(14**2 / 108)


def figures(test, seen, theta=(1.0, 0.0)):
    return evaluate(np.array(theta), test, 0.4, SETTINGS, Copies(seen), AT, held_out=True)


def test_figures_on_unseen_rows_are_those_of_these_rows_alone():
    rng = np.random.default_rng(3)
    y = rng.integers(0, 2, 100).astype(float)
    test = rows(rng.normal(size=(100, 1)) + y[:, None], y, rng.integers(1, 3, 100).astype(float))
    seen = rng.random(100) < 0.4
    got = figures(test, seen)
    alone = figures(Examples(*(array[~seen] for array in test)), np.zeros((~seen).sum(), bool))
    assert got.n_seen == test.count[seen].sum()
    assert got.metrics["unseen_rows"] == alone.n_rows == got.n_rows - got.n_seen
    for name in ("log_loss", "accuracy", "accuracy_low", "roc_auc", "roc_auc_low", "roc_auc_high"):
        assert got.metrics[f"unseen_{name}"] == pytest.approx(alone.metrics[name], rel=1e-12)
        assert got.metrics[name] != pytest.approx(alone.metrics[name], rel=1e-6)
    assert got.baseline["unseen_log_loss"] == pytest.approx(alone.baseline["log_loss"])
    assert not any(name.startswith("unseen") for name in alone.metrics)  # they are all of them


@pytest.mark.parametrize(
    ("n_negative", "n_positive", "shown"), [(25, 5, True), (24, 5, False), (96, 4, False)]
)
def test_figures_on_unseen_rows_need_30_of_them_and_5_of_each_class(n_negative, n_positive, shown):
    y = np.repeat([0.0, 1.0, 0.0, 1.0], [n_negative, n_positive, 50, 50])
    seen = np.arange(len(y)) >= n_negative + n_positive
    found = figures(rows(y[:, None], y), seen)
    assert ("unseen_accuracy" in found.metrics) == shown
    assert ("unseen_accuracy" in found.baseline) == shown


# --- both worlds ----------------------------------------------------------------------------------


def held_out(table, kind, seed, copies):
    """The neuron of a table's training rows, its encoder, and its evaluation on the test rows."""
    data = make_data({name: {"kind": kind} for name in table.frame})
    settings = StratifiedSplit(name="stratified", seed=seed, valid=0.0, test=0.3, copies=copies)
    split = split_table(table, settings)
    encoder = fit_encoder(split.train, EncodeSettings(), data)
    train, test = (encode(encoder, part, "all") for part in (split.train, split.test))
    theta = newton(np.zeros(train.X.shape[1] + 1), train, l2=0.001).theta
    found = find_copies(train, test, Sampling.of(split.test))
    share = split.train.share
    return theta, encoder, evaluate(theta, test, share, SETTINGS, found, AT, held_out=True)


def patients(seed, n=60, n_visits=20):
    """Each measured again and again; whether one is ill is the toss of a coin."""
    rng = np.random.default_rng(seed)
    columns = {f"m{i}": x for i, x in enumerate(rng.normal(size=(40, n)))}
    return make_table(columns, rng.integers(0, 2, n), rng.poisson(n_visits, n) + 1)


@pytest.mark.exhaustive
def test_of_entities_measured_again_accuracy_is_that_of_new_ones_only_if_they_are_kept_together():
    apart, together, held = [], [], []
    for seed in range(60):
        _, _, found = held_out(patients(seed), "numeric", seed, "independent")
        apart.append(found.metrics["accuracy"])
        assert found.n_seen == found.n_rows
        _, _, found = held_out(patients(seed), "numeric", seed, "together")
        together.append(found.metrics["accuracy"])
        assert found.n_seen == 0
        held.append(
            [
                found.metrics[f"{name}_low"] <= 0.5 <= found.metrics[f"{name}_high"]
                for name in ("accuracy", "roc_auc")
                if f"{name}_low" in found.metrics
            ]
        )
    assert np.mean(apart) > 0.99
    # 18 of 60 patients are a test: three standard errors of 60 tests are 4.6 points.
    assert np.mean(together) == pytest.approx(0.5, abs=0.05)
    assert np.mean([ok for pair in held for ok in pair]) >= 0.9


def customers(seed, n=2000):
    """Independent draws from 24 kinds, each with a probability of its own; and those by kind."""
    of_kinds = np.random.default_rng(99)
    kinds = np.array([(a, b) for a in "pqrstu" for b in "wxyz"])
    p, share = of_kinds.beta(1, 1, 24), of_kinds.dirichlet(np.full(24, 3.0))
    rng = np.random.default_rng(seed)
    count = rng.multinomial(n, share)
    positive = rng.binomial(count, p)
    a, b = np.concatenate([kinds, kinds]).T
    counts = np.concatenate([count - positive, positive])
    y, some = np.repeat([0, 1], 24), counts > 0
    return make_table({"a": a[some], "b": b[some]}, y[some], counts[some]), (kinds, p, share)


def true_figures(theta, encoder, kinds, p, share):
    """Accuracy and area under the ROC curve over the kinds themselves."""
    table = make_table({"a": kinds[:, 0], "b": kinds[:, 1]}, [0, 1] * 12)
    said = predict_proba(theta, encode(encoder, table, "all").X).round(9)
    accuracy = share @ np.where(said >= 0.5, p, 1 - p)
    positive, negative = share * p, share * (1 - p)
    order = (said[:, None] > said) + 0.5 * (said[:, None] == said)
    return {
        "accuracy": accuracy,
        "roc_auc": positive @ order @ negative / positive.sum() / negative.sum(),
    }


@pytest.mark.exhaustive
def test_of_independent_draws_from_few_kinds_the_intervals_hold_the_truth_as_they_are():
    held = {"accuracy": 0, "roc_auc": 0}
    for seed in range(100):
        table, world = customers(seed)
        theta, encoder, found = held_out(table, "categorical", seed, "independent")
        assert found.n_seen > 0.99 * found.n_rows
        for name, truth in true_figures(theta, encoder, *world).items():
            held[name] += found.metrics[f"{name}_low"] <= truth <= found.metrics[f"{name}_high"]
    # Three standard errors of 100 draws at 95 % are 6.5 points.
    assert held["accuracy"] >= 88
    assert held["roc_auc"] >= 88
