"""Folds are repeats of one candidate, whose rows each count once."""

import numpy as np
import pytest
from compare_builders import CONVERGED, run

from pipeline.compare.compare import compare
from pipeline.compare.comparison import VALID_LOSS, format_repeats
from pipeline.compare.leaderboard import leaderboard

RNG = np.random.default_rng(0)
HARD = RNG.gamma(1.0, 0.2, (5, 60))  # what the rows of each fold cost everybody


def folds(l2, factor, starts=(0,), seeds=(0,), which=range(5), **more):
    """The runs of a candidate on each fold; another seed deals the same rows to other folds."""
    return [
        run(
            {"train.l2": l2}, start, float(np.mean(losses)), losses=losses, count=np.ones(60),
            identity=f"{l2}{start}{seed}{fold}",
            settings={
                "seed": start, "train.l2": l2, "split.name": "folds", "split.seed": seed,
                "split.fold": fold, "split.folds": 5, "split.test": 0.2,
            },
            **more,
        )
        for start in starts
        for seed in seeds
        for fold in which
        for losses in [HARD.ravel()[np.random.default_rng(seed).permutation(300)]
                       .reshape(5, 60)[fold] * factor]
    ]  # fmt: skip


def test_the_runs_of_all_folds_are_one_candidate_of_all_rows():
    found = compare("f", folds(0.1, 1.0) + folds(0.2, 1.5))
    assert [len(c.runs) for c in found.candidates] == [5, 5]
    assert found.varying == ("train.l2",)
    assert found.board.mean == pytest.approx([HARD.mean(), 1.5 * HARD.mean()])
    assert found.board.tied.tolist() == [True, False]


def test_folds_repeated_by_seed_say_no_more_of_the_rows_than_once():
    once = compare("f", folds(0.1, 1.0) + folds(0.2, 1.05)).board
    thrice = compare(
        "f", folds(0.1, 1.0, seeds=(0, 1, 2)) + folds(0.2, 1.05, seeds=(0, 1, 2))
    ).board
    assert thrice.mean == pytest.approx(once.mean)
    assert thrice.high - thrice.mean == pytest.approx(once.high - once.mean, rel=0.02)


def test_a_candidate_that_lacks_a_fold_is_left_out():
    found = compare("f", folds(0.1, 1.0) + folds(0.2, 0.5, which=range(4)))
    assert len(found.candidates) == 1
    assert found.left_out == (("they lack a split that the others were measured on", 4),)


def test_five_folds_of_one_seed_are_no_single_seed():
    """They name a winner; what is not known is what another start of training would change."""
    runs = folds(0.1, 1.0) + folds(0.2, 1.5)
    text = " ".join(compare("f", runs).sentences)
    assert "too few" not in text
    assert "is better than the other one" in text
    assert "What another start of training would change is not known: seed=range(3)" in text
    several = folds(0.1, 1.0, (0, 1, 2)) + folds(0.2, 1.5, (0, 1, 2))
    assert "another start" not in " ".join(compare("f", several).sentences)
    done = folds(0.1, 1.0, certificate=CONVERGED) + folds(0.2, 1.5, certificate=CONVERGED)
    assert "another start" not in " ".join(compare("f", done).sentences)


def test_two_folds_are_too_few_and_are_called_folds():
    runs = folds(0.1, 1.0, which=range(2)) + folds(0.2, 1.5, which=range(2))
    assert "2 folds are too few to name a winner" in " ".join(compare("f", runs).sentences)


def test_repeats_are_counted_as_what_they_are():
    assert format_repeats(folds(0.1, 1.0)) == "1 seed of 5 folds"
    assert format_repeats(folds(0.1, 1.0, starts=(0, 1), seeds=(0, 1))) == "4 seeds of 5 folds"
    assert format_repeats([run({}, seed) for seed in range(3)]) == "3 seeds"
    assert leaderboard(compare("f", folds(0.1, 1.0)))[0].figures["runs"] == "5"
    assert VALID_LOSS in folds(0.1, 1.0)[0].metrics
