"""Runs become candidates and are compared where they were measured alike; seeds are repeats."""

import dataclasses
import zlib

import numpy as np
import pytest
from compare_builders import failed, run
from scipy.stats import binom

from pipeline.compare.compare import compare
from pipeline.compare.ties import find_ties
from pipeline.errors import ConfigError

RATE = "optimiser.learning_rate"
DIGEST = "d" * 64


def measured(params, seed=0, excess=0.0, split=0, digest=DIGEST, **more):
    """A run whose losses are those of all others plus ``excess`` and noise of its own."""
    base = 5 + np.random.default_rng(7).exponential(0.1, 200)
    own = zlib.crc32(repr((sorted(params.items()), seed)).encode())
    noise = 1e-3 * np.random.default_rng(own).standard_normal(200)
    settings = {"seed": seed, "split.seed": split, "split.name": "stratified",
                "train.l2": 0.0, "train.epochs": 100, **params}  # fmt: skip
    losses = base + noise + excess
    values = {
        "settings": settings, "losses": losses, "count": np.ones(200), "data_digest": digest,
        "metrics": {"valid/best_loss": float(losses.mean()), "test/accuracy": 0.9 + seed / 1000},
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


def test_the_penalty_that_auto_gave_says_how_simple_a_candidate_is():
    runs = []
    for l2, resolved in (("auto", 0.05), (0.01, 0.01), (0.1, 0.1)):
        for seed in range(3):
            made = measured({"train.l2": l2}, seed, 0.5 * (l2 == 0.1))
            runs.append(dataclasses.replace(made, metrics=made.metrics | {"l2": resolved}))
    found = compare("s", runs)
    assert found.candidates[found.chosen].params == {"train.l2": "auto"}


def test_losses_out_of_fold_are_not_compared_with_those_of_validation_rows():
    plain = [measured({}, seed) for seed in range(3)]
    folds = [
        dataclasses.replace(
            run,
            metrics=run.metrics | {"rows/valid": 0.0},
            settings={**run.settings, "train.l2": "cv", "train.rows": "train_and_valid"},
        )
        for run in plain[:2]
    ]
    found = compare("s", [*plain, *folds])
    assert len(found.finished) == 3
    ((reason, n),) = found.left_out
    assert (n, "out of fold" in reason) == (2, True)
    assert len(compare("s", folds).finished) == 2


def test_the_mean_over_seeds_ranks_and_not_the_best_seed():
    steady = [measured({RATE: 1.0}, seed, 0.10) for seed in range(3)]
    wild = [measured({RATE: 0.1}, seed, excess) for seed, excess in enumerate((0.0, 0.3, 0.3))]
    found = compare("s", wild + steady)
    assert found.candidates[0].params == {RATE: 1.0}
    # The control: one run of the other one is the best of all.
    assert min(wild + steady, key=lambda r: r.metrics["valid/best_loss"]) in wild


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
    before, _, after = why.partition("here")
    assert "eeeeeeee" in before
    assert "dddddddd" in after


def test_runs_on_other_validation_rows_or_none_are_left_out():
    others = [
        measured({RATE: 1.0, "split.valid": 0.4}, 0),
        measured({RATE: 1.0, "split.name": "none"}, 0, losses=None, count=None),
    ]
    found = compare("s", grid({0.1: 0.0, 1.0: 0.1}) + others)
    reasons = sorted(why.partition(";")[0] for why, _ in found.left_out)
    assert "split.valid=0.4" in reasons[0]
    assert reasons[1] == "measured on no validation rows"


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
    assert [n for _, n in found.left_out] == [1]


def dealt(rng, k, m, n=400):
    """Runs of k candidates that are equally good, on m splits that deal the same n rows anew."""
    table = 5 + rng.exponential(0.3, n) + rng.normal(0, 0.3, (k, n))
    more = {"split.valid": 0.2, "split.name": "stratified", "train.l2": 0.0}
    runs = []
    for split in range(m):
        rows = rng.permutation(n)[: n // 5]
        for c in range(k):
            rate = {RATE: 0.1 * (c + 1)}
            settings = {"seed": 0, "split.seed": split, **more, **rate}
            values = {"settings": settings, "losses": table[c, rows], "count": np.ones(n // 5)}
            runs.append(run(rate, 0, **values, data_digest=DIGEST))
    return runs


@pytest.mark.parametrize("n", [8, pytest.param(100, marks=pytest.mark.exhaustive)])
@pytest.mark.exhaustive
def test_many_splits_of_one_table_do_not_make_its_noise_knowledge(n):
    """20 splits hold 4 times as many rows out as the table has."""
    alarms = naive = 0
    for number in range(n):
        runs = dealt(np.random.default_rng(number), 4, 20)
        found = compare("s", runs)
        alarms += not found.board.tied.all()
        tables = [np.concatenate([r.losses for r in c.runs])[None] for c in found.candidates]
        once = find_ties(tables, [[0]] * 4, np.ones(tables[0].size), draws=500)
        naive += not once.tied.all()
    assert alarms <= binom.ppf(0.99, n, 0.05)
    assert naive > n / 3  # the control: rows of several splits taken for as many rows


def test_a_candidate_of_a_single_seed_is_chosen_only_where_all_are_so():
    runs = [measured({"train.l2": l2}, seed, 0.0) for l2 in (0.0, 0.1) for seed in range(3)]
    lone = [r for r in runs if r.settings["train.l2"] == 0.0 or r.seed[0] == 0]
    for some, l2 in ((runs, 0.1), (lone, 0.0), ([r for r in runs if r.seed[0] == 0], 0.1)):
        found = compare("s", some)
        assert found.board.tied.all()
        assert found.candidates[found.chosen].params == {"train.l2": l2}


def test_failed_runs_are_kept_and_never_ranked():
    lost = failed({RATE: 9.0}, 1, data_digest=DIGEST)
    found = compare("s", [*grid({0.1: 0.0, 1.0: 0.1}), lost])
    assert found.unfinished == (lost,)
    assert {c.params[RATE] for c in found.candidates} == {0.1, 1.0}


def test_a_run_without_the_metric_of_the_shares_is_no_traceback():
    runs = grid({0.1: 0.0, 1.0: 0.1})
    bare = dataclasses.replace(runs[0], metrics={})
    found = compare("s", [bare, *runs[1:]])
    assert found.shares is None
    assert found.no_shares


@pytest.mark.parametrize(("excess", "n_left_out"), [(9e8, 0), (9e97, 1)])
def test_runs_that_ended_with_losses_beyond_all_bounds_are_left_out(excess, n_left_out):
    """They are FINISHED, as no loss was infinite; the control has one that is merely large."""
    comparison = compare("s", [*grid({0.1: 0.0}), measured({RATE: 9.0}, 0, excess)])
    assert len(comparison.candidates) == 2 - n_left_out
    assert [n for why, n in comparison.left_out if "diverged" in why] == [1] * n_left_out


def test_without_validation_rows_there_is_no_ranking_and_no_choice():
    runs = grid({0.1: 0.0, 1.0: 0.1}, losses=None, count=None)
    found = compare("s", runs)
    assert (found.board, found.chosen, found.test) == (None, None, None)
    assert found.no_shares == "no run has validation rows"


def test_settings_that_follow_from_another_one_are_no_parameters():
    """optimiser=adam brings beta1 with it: its name says it all."""
    runs = [
        measured({"optimiser.name": name, **more}, seed, excess)
        for name, more, excess in (("adam", {"optimiser.beta1": 0.9}, 0.0), ("momentum", {}, 0.2))
        for seed in range(2)
    ]
    assert compare("s", runs).varying == ("optimiser.name",)


@pytest.mark.parametrize("runs", [[], [failed({RATE: 9.0})]])
def test_a_set_without_a_finished_run_is_refused(runs):
    with pytest.raises(ConfigError, match=f"got none of {len(runs)}"):
        compare("s", runs)
