"""Runs become candidates and are compared where they were measured alike; seeds are repeats."""

import dataclasses
import zlib

import numpy as np
import pytest
from comparisons import failed, run

from pipeline.errors import ConfigError
from pipeline.sweeps.compare import compare

RATE = "optimiser.learning_rate"
DIGEST = "d" * 64


def measured(params, seed=0, excess=0.0, split=0, digest=DIGEST, **more):
    """A run whose losses are those of all others plus ``excess`` and luck of its own."""
    base = 5 + np.random.default_rng(7).exponential(0.1, 200)
    own = zlib.crc32(repr((sorted(params.items()), seed)).encode())
    luck = 1e-3 * np.random.default_rng(own).standard_normal(200)
    settings = {"seed": seed, "split.seed": split, "split.name": "stratified",
                "train.l2": 0.0, "train.epochs": 100, **params}  # fmt: skip
    losses = base + luck + excess
    values = {
        "settings": settings, "losses": losses, "count": np.ones(200), "data_digest": digest,
        "metrics": {"valid/best_cost": float(losses.mean()), "test/accuracy": 0.9 + seed / 1000},
    }  # fmt: skip
    return run(params, seed, **values | more)


def grid(rates, seeds=range(3), **more):
    return [
        measured({RATE: rate}, seed, excess, **more)
        for rate, excess in rates.items()
        for seed in seeds
    ]


def test_runs_that_differ_in_seeds_alone_are_one_candidate_and_the_best_is_first():
    found = compare("s", grid({0.1: 0.3, 1.0: 0.0, 0.3: 0.1}))
    assert [c.params for c in found.candidates] == [{RATE: 1.0}, {RATE: 0.3}, {RATE: 0.1}]
    assert [len(c.runs) for c in found.candidates] == [3, 3, 3]
    assert found.varying == (RATE,)
    assert list(found.board.tied) == [True, False, False]


def test_the_mean_over_seeds_ranks_and_not_the_luckiest_seed():
    steady = [measured({RATE: 1.0}, seed, 0.10) for seed in range(3)]
    wild = [measured({RATE: 0.1}, seed, excess) for seed, excess in enumerate((0.0, 0.3, 0.3))]
    found = compare("s", wild + steady)
    assert found.candidates[0].params == {RATE: 1.0}
    # The control: one run of the other one is the best of all.
    assert min(wild + steady, key=lambda r: r.metrics["valid/best_cost"]) in wild


def test_of_those_tied_the_one_of_most_l2_is_chosen_and_then_of_fewest_epochs():
    runs = [
        measured({"train.l2": l2, "train.epochs": epochs}, seed, excess=excess)
        for l2, epochs, excess in ((0.0, 50, 0.0), (0.1, 100, 1e-6), (0.1, 50, 2e-6), (9.0, 1, 0.5))
        for seed in range(3)
    ]
    found = compare("s", runs)
    assert found.candidates[found.chosen].params == {"train.l2": 0.1, "train.epochs": 50}
    assert found.test == {"test/accuracy": 0.9}  # of the lowest seed


def test_runs_on_other_data_are_left_out_with_their_digests():
    found = compare("s", grid({0.1: 0.0, 1.0: 0.1}) + grid({0.1: -1.0}, range(2), digest="e" * 64))
    assert sum(len(c.runs) for c in found.candidates) == 6
    ((why, n),) = found.left_out
    assert n == 2
    assert "digest eeeeeeee; here dddddddd" in why


def test_runs_on_other_validation_rows_or_none_are_left_out():
    others = [
        measured({RATE: 1.0, "split.valid": 0.4}, 0),
        measured({RATE: 1.0, "split.name": "none"}, 0, losses=None, count=None),
    ]
    found = compare("s", grid({0.1: 0.0, 1.0: 0.1}) + others)
    reasons = sorted(why for why, _ in found.left_out)
    assert reasons[0].startswith("measured on no validation rows")
    assert reasons[1].startswith("measured on other validation rows (split.name=stratified, split")


def test_splits_are_repeats_and_a_run_that_lacks_one_is_left_out():
    runs = [
        measured({RATE: rate}, seed, excess, split)
        for rate, excess in ((0.1, 0.0), (1.0, 0.2))
        for seed in range(2)
        for split in range(3)
    ]
    lonely = measured({RATE: 1.0}, 5, -1.0, 0)
    found = compare("s", [*runs, lonely])
    assert [len(c.runs) for c in found.candidates] == [6, 6]
    assert found.left_out == (("they lack a split that the others were measured on", 1),)


def test_failed_runs_are_told_and_never_ranked():
    lost = failed({RATE: 9.0}, 1, data_digest=DIGEST)
    found = compare("s", [*grid({0.1: 0.0, 1.0: 0.1}), lost])
    assert found.unfinished == (lost,)
    assert {c.params[RATE] for c in found.candidates} == {0.1, 1.0}


def test_a_run_without_the_metric_of_the_shares_is_no_traceback():
    runs = grid({0.1: 0.0, 1.0: 0.1})
    odd = dataclasses.replace(runs[0], metrics={})
    found = compare("s", [odd, *runs[1:]])
    assert found.shares is None
    assert found.no_shares


def test_without_validation_rows_there_is_no_ranking_and_no_choice():
    runs = grid({0.1: 0.0, 1.0: 0.1}, losses=None, count=None)
    found = compare("s", runs)
    assert (found.board, found.chosen, found.test) == (None, None, None)
    assert "no run has validation rows" in found.no_shares


def test_settings_that_follow_from_another_one_are_not_told():
    """optimiser=adam brings beta1 with it: its name says it all."""
    runs = [
        measured({"optimiser.name": name, **more}, seed, excess)
        for name, more, excess in (("adam", {"optimiser.beta1": 0.9}, 0.0), ("momentum", {}, 0.2))
        for seed in range(2)
    ]
    assert compare("s", runs).varying == ("optimiser.name",)


@pytest.mark.parametrize(
    ("runs", "told"),
    [([], "must have runs; got none"), ([failed({RATE: 9.0})], "got none of 1")],
)
def test_an_empty_set_is_refused(runs, told):
    with pytest.raises(ConfigError, match=told):
        compare("s", runs)
