"""Effects are estimated block by block as they are of the rows, to a millionth."""

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from block_builders import in_blocks, make_kinds, make_rows
from builders import repeated

from nn import Examples
from pipeline.stages import infer as of_rows
from pipeline.stages.blocks import estimate, logits
from pipeline.stages.blocks.estimate import infer_blocks
from pipeline.stages.copies import Sampling
from pipeline.stages.encode import Encoder, Standard, encode
from pipeline.stages.infer import LIKELIHOOD, NOT_IDENTIFIED, NOT_IN_TRAIN, infer
from pipeline.stages.split import take

FIELDS = ("log_odds", "standard_error", "odds_ratio", "low", "high")


def lines(d: int) -> Encoder:
    return Encoder(tuple(Standard(f"x{j}", 0.0, 1.0, missing=False) for j in range(d)), "refuse")


@pytest.mark.parametrize("size", [300, 8192])
def test_effects_and_curves_are_those_of_the_rows(monkeypatch, size) -> None:
    monkeypatch.setattr(of_rows, "MAX_WORK", 0)  # both by the expansion to third order
    encoder, rows, _ = make_kinds(6000)
    blocks, whole = infer_blocks(in_blocks(rows, size), encoder), infer(rows, encoder)
    assert blocks.method.startswith(LIKELIHOOD)
    assert {effect.note for effect in blocks.effects} == {"", NOT_IDENTIFIED, NOT_IN_TRAIN}
    blocks, whole = (replace(found, tests=()) for found in (blocks, whole))
    same_to_a_millionth(blocks, whole)
    assert whole.curves[0].x != blocks.curves[0].x  # they span what the sample does
    assert np.array_equal(blocks.centring, whole.centring)


def test_curves_have_the_bounds_of_the_rows() -> None:
    encoder, rows, _ = make_kinds(1000)  # so few that the sample is all
    encoder = Encoder(encoder.blocks[:3], "refuse")
    rows = rows._replace(X=rows.X[:, :-1])
    blocks, whole = infer_blocks(in_blocks(rows), encoder), infer(rows, encoder)
    for name in ("x", "log_odds", "low", "high"):
        got, want = (getattr(found.curves[0], name) for found in (blocks, whole))
        assert len(got) > 50
        assert got == pytest.approx(want, rel=1e-6, abs=1e-8), name


def test_intervals_are_those_of_the_profile_up_to_third_order() -> None:
    encoder, rows, _ = make_kinds(6000)
    blocks, whole = infer_blocks(in_blocks(rows), encoder), infer(rows, encoder)
    for a, b in zip(blocks.effects, whole.effects, strict=True):
        if not a.note:
            near = 2e-3 * b.standard_error
            assert (a.low, a.high) == pytest.approx((b.low, b.high), abs=near)


def test_attributes_are_tested_as_wald_does() -> None:
    """Statsmodels' Wald test with the same information is the oracle."""
    _, rows = make_rows(20_000, scale=0.02)
    found = infer_blocks(in_blocks(rows), lines(3))
    model = sm.Logit(rows.y, sm.add_constant(rows.X)).fit(disp=0, tol=1e-14)
    for j, test in enumerate(found.tests, 1):
        oracle = model.wald_test(np.eye(4)[j], scalar=True, use_f=False)
        assert test.statistic == pytest.approx(oracle.statistic, rel=1e-6)
        assert test.p_value == pytest.approx(oracle.pvalue, rel=1e-3)
    for effect, at in zip(found.effects, (1, 2, 3), strict=True):
        assert effect.log_odds == pytest.approx(model.params[at], rel=1e-7)
        assert effect.standard_error == pytest.approx(model.bse[at], rel=1e-7)


def test_rows_that_separate_or_are_few_have_no_interval_and_the_method_says_why() -> None:
    _, rows = make_rows(4000)
    apart = Examples(rows.X, (rows.X[:, 0] > 0).astype(float), rows.count)
    assert "separate" in infer_blocks(in_blocks(apart), lines(3)).method
    few = Examples(rows.X, (np.arange(4000) < 20).astype(float), rows.count)
    found = infer_blocks(in_blocks(few), lines(3))
    assert "20 rows of the rarer class are few for 4 parameters" in found.method
    assert all(effect.low is None for effect in found.effects)


def test_a_sample_that_separates_does_not_mislead() -> None:
    """Its first thousand rows have no finite optimum; all of them have."""
    _, rows = make_rows(6000)
    y = rows.y.copy()
    y[:1000] = rows.X[:1000, 0] > 0
    rows = rows._replace(y=y)
    blocks, whole = infer_blocks(in_blocks(rows), lines(3)), infer(rows, lines(3))
    got = [effect.log_odds for effect in blocks.effects]
    assert got == pytest.approx([effect.log_odds for effect in whole.effects], rel=1e-6)


def test_weighted_rows_have_the_sandwich_of_the_rows() -> None:
    encoder, _, table = make_kinds(4000)
    weight = np.random.default_rng(2).uniform(0.2, 3, 4000)
    table = replace(table, weight=weight)
    rows, sampling = encode(encoder, table, "all"), Sampling.of(table)
    blocks = infer_blocks(in_blocks(rows, table=table), encoder)
    whole = infer(rows, encoder, sampling)
    assert blocks.method == whole.method
    same_to_a_millionth(blocks, whole)
    plain = infer_blocks(in_blocks(rows, table=replace(table, weight=None)), encoder)
    same = pytest.approx(blocks.effects[0].standard_error, rel=1e-3)
    assert plain.effects[0].standard_error != same  # the control


def test_grouped_rows_have_the_sandwich_of_the_groups() -> None:
    """Each of 500 groups has a bucket of its own; the rows of one are alike."""
    encoder, _, table = make_kinds(4000)
    group = np.arange(4000) // 8
    table = replace(take(table, (np.arange(len(group)) % 8 == 0).astype(int)), group=None)
    table = replace(repeated(replace(table, count=np.full(len(table.y), 8))), group=group)
    rows = encode(encoder, table, "all")
    blocks = infer_blocks(in_blocks(rows, 250, group.astype(np.uint64), table), encoder)
    whole = infer(rows, encoder, Sampling.of(table))
    assert blocks.method == whole.method.replace("500 groups", "500 buckets of groups")
    same_to_a_millionth(blocks, whole)


def test_many_groups_that_share_buckets_have_about_their_sandwich(monkeypatch) -> None:
    monkeypatch.setattr(estimate, "BUCKETS", 400)
    monkeypatch.setattr(logits, "BUCKETS", 400)
    encoder, _, table = make_kinds(16_000)
    group = np.arange(16_000) // 4
    table = replace(take(table, (np.arange(len(group)) % 4 == 0).astype(int)), group=None)
    table = replace(repeated(replace(table, count=np.full(len(table.y), 4))), group=group)
    rows = encode(encoder, table, "all")
    key = np.random.default_rng(0).integers(0, 2**64, 4000, np.uint64)[group]
    blocks = infer_blocks(in_blocks(rows, 1000, key, table), encoder)
    whole, alone = (infer(rows, encoder, of) for of in (Sampling.of(table), Sampling()))
    errors = [
        np.array([effect.standard_error for effect in found.effects if not effect.note])
        for found in (blocks, whole, alone)
    ]
    assert errors[0] / errors[1] == pytest.approx(1, abs=4 * np.sqrt(1 / 800))
    assert (errors[0] > 1.05 * errors[2]).any()  # the control


def same_to_a_millionth(blocks, whole) -> None:
    for a, b in zip(blocks.effects, whole.effects, strict=True):
        assert a.note == b.note
        if not a.note:
            got, want = ([getattr(each, name) for name in FIELDS] for each in (a, b))
            assert got == pytest.approx(want, rel=1e-6)
    for a, b in zip(blocks.tests, whole.tests, strict=True):
        assert a.degrees == b.degrees
        if b.statistic is not None:
            assert a.statistic == pytest.approx(b.statistic, rel=1e-6)


def test_four_passes_are_enough_where_the_sample_is_like_the_rest() -> None:
    _, rows = make_rows(60_000)
    blocks, passes = in_blocks(rows, 10_000), []

    class Counted:
        d, sample, sample_table = blocks.d, blocks.sample, blocks.sample_table

        def map(self, function):
            passes.append(function)
            return blocks.map(function)

    assert infer_blocks(Counted(), lines(3)).effects == infer_blocks(blocks, lines(3)).effects
    assert len(passes) <= 5
