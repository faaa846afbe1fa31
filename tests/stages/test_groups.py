"""Groups of rows: intervals of effects and the correction for optimism are of groups, not rows."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from builders import make_data, make_table
from scipy.stats import f, t

from nn import Examples, sigmoid
from pipeline.config.schema import EncodeSettings
from pipeline.config.split_settings import GroupSplit, NoSplit
from pipeline.stages.calibration import calibration_table
from pipeline.stages.copies import Sampling
from pipeline.stages.encode import encode, fit_encoder
from pipeline.stages.infer import infer
from pipeline.stages.optimism import MAX_ROWS, bootstrap_optimism, draw_counts, sample_rows
from pipeline.stages.split import split_table

DATA = make_data({"x": {"kind": "numeric"}, "c": {"kind": "categorical"}})


def visits(n_groups=60, n_visits=5, seed=0, spread=1.5):
    """Visits of patients who differ: ``x`` and the risk are partly the patient's own."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n_groups), n_visits)
    own, x = rng.normal(size=n_groups)[group], rng.normal(size=n_groups)[group]
    x = x + 0.3 * rng.normal(size=len(group))
    c = rng.choice(["a", "b", "d"], n_groups)[group]
    y = (rng.random(len(group)) < sigmoid(0.5 * x + spread * own)).astype(float)
    return replace(make_table({"x": x, "c": c}, y), group=group)


def encoded(table):
    split = split_table(table, NoSplit(name="none"))
    encoder = fit_encoder(split.train, EncodeSettings(), DATA)
    return encoder, encode(encoder, split.train, "train"), Sampling.of(split.train)


def test_intervals_and_tests_of_effects_are_cluster_robust():
    """The oracle: statsmodels, cov_type="cluster", with its factor for the number of groups."""
    table = visits()
    encoder, rows, sampling = encoded(table)
    found = infer(rows, encoder, sampling)
    A = np.column_stack([np.ones(len(rows.y)), rows.X[:, 0], rows.X[:, 2:]])  # a is the reference
    fit = sm.Logit(table.y, A).fit(
        disp=0, cov_type="cluster", cov_kwds={"groups": table.group, "use_correction": False}
    )
    factor = 60 / 59
    x = found.effects[0]
    assert x.log_odds == pytest.approx(fit.params[1], rel=1e-6)
    assert x.standard_error == pytest.approx(fit.bse[1] * np.sqrt(factor), rel=1e-6)
    half = t.ppf(0.975, 59) * x.standard_error
    assert [x.low, x.high] == pytest.approx([x.log_odds - half, x.log_odds + half], rel=1e-9)
    wald = float(fit.wald_test(np.eye(4)[2:], scalar=True).statistic) / factor
    assert found.tests[1].statistic == pytest.approx(wald, rel=1e-6)
    assert found.tests[1].p_value == pytest.approx(f.sf(wald * 58 / (2 * 59), 2, 58), rel=1e-6)
    alone = infer(rows, encoder)
    assert x.standard_error > 1.2 * alone.effects[0].standard_error  # the control


@pytest.mark.parametrize("reason", ["groups", "separated"])
def test_where_a_sandwich_would_be_too_small_there_are_estimates_and_no_intervals(reason):
    table = visits(4) if reason == "groups" else visits(30)
    if reason == "separated":
        table = replace(table, y=(table.frame["x"].to_numpy() > 0).astype(float))
    encoder, rows, sampling = encoded(table)
    found = infer(rows, encoder, sampling)
    assert found.method.startswith("no intervals: ")
    assert found.effects[0].low is None
    assert all(test.p_value is None for test in found.tests)


def test_a_bootstrap_sample_holds_whole_groups():
    table = visits()
    _, rows, sampling = encoded(table)
    drawn, _ = draw_counts(rows, 50, np.random.default_rng(0), sampling)
    by_group = drawn.reshape(50, 60, 5)
    assert (by_group == by_group[:, :, :1]).all()
    assert (drawn.sum(axis=1) == 300).all()
    assert drawn.max() > 1


def test_optimism_is_that_of_new_groups():
    """What a neuron loses on new patients; samples of rows would hide it."""
    table = visits(40, 8, seed=3, spread=2.5)
    _, rows, sampling = encoded(table)
    rng = np.random.default_rng(0)
    noise = np.column_stack([rows.X, rng.normal(size=(40, 12))[table.group]])  # of the patient
    rows = Examples(noise, rows.y, rows.count)
    figures = [
        bootstrap_optimism(np.zeros(noise.shape[1] + 1), rows, 1e-3, 100, 0, of).figures["log_loss"]
        for of in (Sampling(), sampling)
    ]
    assert figures[1].optimism < 1.8 * figures[0].optimism < 0  # both negative: it looks better


def test_of_more_rows_than_are_drawn_whole_groups_are_kept():
    group = np.repeat(np.arange(5000), 3)
    X = np.random.default_rng(0).normal(size=(15000, 1))
    rows = Examples(X, (X[:, 0] > 0).astype(float), np.ones(15000))
    kept, among = sample_rows(rows, np.random.default_rng(0), Sampling(group=group))
    assert MAX_ROWS - 3 < len(kept.y) <= MAX_ROWS
    assert (np.bincount(among.group) == 3).all()


def test_parts_of_groups_that_are_all_different_rows_are_simple():
    assert Sampling.of(visits(50, 1)).is_simple
    assert not Sampling.of(split_table(visits(), GroupSplit(name="group")).test).is_simple


def test_the_chance_of_calibration_is_that_of_groups():
    """The oracle: outcomes drawn once for each group, whose rows have probabilities near by."""
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(60), 6)
    p = np.clip(np.repeat(rng.uniform(0.1, 0.9, 60), 6) + rng.normal(0, 0.02, 360), 0.01, 0.99)
    rows = Examples(np.zeros((360, 1)), (rng.random(360) < p).astype(float), np.ones(360))
    _, chance = calibration_table(p, rows, 10, Sampling(group=group))
    place = np.minimum((p * 10).astype(int), 9)
    errors = []
    for _ in range(1000):
        y = rng.random(60)[group] < p
        errors.append(np.abs(np.bincount(place, y - p, 10)).sum() / 360)
    assert chance.mean() == pytest.approx(np.mean(errors), rel=0.08)
    _, as_rows = calibration_table(p, rows, 10, Sampling())
    assert as_rows.mean() < 0.6 * chance.mean()
