"""Sentences say what was planted within one percent, and nothing where there is only noise."""

import itertools
import re
from dataclasses import replace

import compare_builders as made
import numpy as np
import pytest
from scipy.stats import binom

from pipeline.compare.comparison import Comparison, Run
from pipeline.compare.findings import sentences
from pipeline.compare.variance import shares
from pipeline.stages.certify import Certificate

RATE, CHOICE, ENCODE = "optimiser.learning_rate", "optimiser.name", "encode"
LEVELS = {
    RATE: (0.1, 0.3, 1.0, 3.0),
    CHOICE: ("gradient_descent", "momentum", "adam"),
    ENCODE: ("onehot", "crosses"),
}
SHAPE = tuple(map(len, LEVELS.values()))


def lost(params, seed=0, ended="diverged", reason=None) -> Run:
    return made.failed(params, seed, ended=ended, reason=reason)


def compared(table, tied=1, levels=None, **more) -> Comparison:
    return made.compared(LEVELS if levels is None else levels, table, tied, **more)


def simulated(few, many):
    """A number of simulations: few in every run of the tests, many in the exhaustive one."""
    return pytest.mark.parametrize("n", [few, pytest.param(many, marks=pytest.mark.exhaustive)])


def most(n, rate):
    """How many claims a rate makes, once in a thousand times, in n simulations."""
    return binom.ppf(0.999, n, rate)


def effect(axis, values):
    shape = [1] * 4
    shape[axis] = -1
    values = np.array(values, float)
    return ((values - values.mean()) / values.std()).reshape(shape)


def table(main=0.81, second=0.0, pair=0.0, noise=0.0, seeds=5, seed=0):
    """Losses around 0.3; the shares are those of rate, encoding, rate and choice, and noise."""
    signs = effect(0, [-1, 1, -1, 1]) * effect(1, [1, -1, 0])
    noisy = np.random.default_rng(seed).normal(size=(*SHAPE, seeds))
    total = (
        np.sqrt(main) * effect(0, [3, 2, 1, 0]) + np.sqrt(second) * effect(2, [1, 0])
        + np.sqrt(pair) * signs / signs.std() + np.sqrt(noise) * noisy
    )  # fmt: skip
    return 0.3 + 0.01 * np.broadcast_to(total, (*SHAPE, seeds))


def noise_alone(seed, seeds=5, shape=SHAPE):
    return 0.3 + 0.01 * np.random.default_rng(seed).normal(size=(*shape, seeds))


def said(comparison, word):
    """The one sentence that has the word; "" where none has."""
    found = [sentence for sentence in sentences(comparison) if word in sentence]
    assert len(found) < 2
    return found[0] if found else ""


# What explains -----------------------------------------------------------------------------------


def test_planted_effects_are_said_with_their_shares():
    text = said(compared(table(0.65, 0.15, 0.2)), "explains")
    assert text == (
        "learning_rate explains 65 % of the variance of the validation loss, encode 15 %; "
        "learning_rate and name in combination another 20 %."
    ).replace("name", "optimiser")


@pytest.mark.parametrize("seed", range(10))
def test_a_planted_share_is_said_within_one_percent_under_noise(seed):
    text = said(compared(table(0.81, 0.06, 0.12, 0.01, seed=seed)), "explains")
    figures = [int(figure) for figure in re.findall(r"(\d+) %", text)]
    assert figures == pytest.approx([81, 12], abs=1)


def test_a_pair_that_acts_only_together_is_said_to():
    text = said(compared(table(0, 0.05, 0.9, 0.05)), "explain ")
    assert re.fullmatch(
        r"learning_rate and optimiser explain (89|90|91) % of the variance of the validation loss, "
        r"but only in combination\.", text
    )  # fmt: skip


def test_a_share_below_a_tenth_is_not_said():
    assert "encode" not in said(compared(table(0.92, 0.08)), "explains")


@pytest.mark.parametrize("seeds", [2, 5])
@simulated(20, 400)
def test_noise_explains_nothing(seeds, n):
    claims = sum(bool(said(compared(noise_alone(s, seeds)), "explain")) for s in range(n))
    assert claims <= most(n, 0.01)


@simulated(20, 400)
def test_the_noise_of_few_seeds_that_a_level_shares_explains_nothing(n):
    claims = 0
    for s in range(n):
        shared = np.random.default_rng(s).normal(size=(4, 1, 1, 3))
        claims += bool(said(compared(0.3 + 0.1 * shared + noise_alone(s, 3)), "explain"))
    assert claims <= most(n, 0.01)


def on_rows(comparison, losses):
    """The comparison with losses (rate, choice, encoding, rows) that all seeds share."""
    places = [{value: i for i, value in enumerate(known)} for known in LEVELS.values()]
    candidates = tuple(
        replace(c, runs=tuple(
            replace(r, losses=losses[tuple(
                place[c.params[name]] for name, place in zip(LEVELS, places, strict=True)
            )], count=np.ones(losses.shape[-1]))
            for r in c.runs
        ))
        for c in comparison.candidates
    )  # fmt: skip
    return replace(comparison, candidates=candidates)


@simulated(10, 200)
def test_the_noise_of_validation_rows_explains_nothing(n):
    claims = naive = 0
    for s in range(n):
        losses = np.random.default_rng(s).normal(5, 1, (*SHAPE, 40))
        means = losses.mean(axis=-1)[..., None] + 1e-6 * noise_alone(s)
        comparison = compared(means)
        naive += bool(said(comparison, "explain"))
        claims += bool(said(on_rows(comparison, losses), "explain"))
    assert claims <= most(n, 0.01)
    assert naive == n  # the control: seeds alone deny none of it


def test_an_effect_that_rows_and_seeds_show_is_said():
    means = table(0.81, 0.06, 0.12, 0.01)
    rows = np.random.default_rng(0).normal(0, 0.01, (*SHAPE, 40))
    losses = means.mean(axis=-1)[..., None] + rows - rows.mean(axis=-1, keepdims=True)
    assert said(on_rows(compared(means), losses), "explains") == said(compared(means), "explains")


@simulated(20, 400)
def test_one_seed_is_said_to_be_one_and_its_noise_explains_nothing(n):
    text = said(compared(table(0.81, 0.1, 0.08, 0.01, seeds=1)), "explains")
    assert re.match(r"learning_rate explains 8[012] % .* validation loss, with one seed", text)
    small = {name: LEVELS[name] for name in (RATE, CHOICE)}
    claims = [
        said(compared(noise_alone(s, 1, SHAPE[:2]), levels=small), "explain") for s in range(n)
    ]
    assert sum(map(bool, claims)) <= most(n, 0.01)


def test_one_parameter_with_one_seed_explains_nothing():
    means = np.array([[0.1], [0.2], [0.3], [0.4]])
    assert not said(compared(means, levels={RATE: LEVELS[RATE]}), "explain")


def test_without_shares_nothing_is_explained():
    comparison = compared(table(1))
    assert said(comparison, "explains")
    assert not said(replace(comparison, shares=None, no_shares="no grid"), "explain")


def test_levels_that_are_left_out_of_the_shares_are_named():
    comparison = compared(table(0.81, 0.19))
    some = [c for c in comparison.candidates if list(c.params.values())[:2] != [3.0, "adam"]]
    found, reason = shares(some, comparison.varying)
    left = replace(
        comparison,
        candidates=tuple(some),
        shares=found,
        no_shares=reason,
        board=made.board(some, 1),
    )
    assert said(left, "explains").startswith(
        "Without learning_rate=3, where runs are missing, learning_rate explains"
    )


# What diverges -----------------------------------------------------------------------------------


def diverged(values=(10.0, 30.0), seeds=3):
    others = itertools.product(LEVELS[CHOICE], LEVELS[ENCODE])
    return tuple(
        lost({RATE: value, CHOICE: choice, ENCODE: code}, seed)
        for (choice, code), value, seed in itertools.product(others, values, range(seeds))
    )


def test_a_value_above_which_every_run_diverges_is_said():
    comparison = compared(table(), unfinished=diverged((10.0,)))
    assert said(comparison, "diverged (") == "Every run with learning_rate above 3 diverged (18)."
    assert not said(comparison, "did not finish")


def test_a_run_that_diverged_below_as_well_does_not_hide_it():
    below = lost({RATE: 0.3, CHOICE: "adam", ENCODE: "onehot"})
    comparison = compared(table(), unfinished=(*diverged(), below))
    assert "Every run with learning_rate above 3 diverged (36)." in sentences(comparison)
    assert "1 more of 157 runs did not finish; training diverged." in sentences(comparison)


@pytest.mark.parametrize("ended", ["epochs", None, "stopped"])
def test_one_run_that_did_not_diverge_is_enough_to_say_nothing(ended):
    other = lost({RATE: 30.0, CHOICE: "adam", ENCODE: "onehot"}, 9, ended, "MemoryError: no more")
    assert not said(compared(table(), unfinished=(*diverged(), other)), "diverged (")


def test_two_runs_that_diverged_are_no_law():
    assert not said(compared(table(), unfinished=diverged()[:2]), "diverged (")


@simulated(50, 1000)
def test_runs_that_diverge_by_chance_make_no_law(n):
    small = {name: LEVELS[name] for name in (RATE, CHOICE)}
    whole = compared(noise_alone(0, 1, SHAPE[:2]), levels=small, board=None, shares=None)
    rng, claims = np.random.default_rng(0), 0
    for _ in range(n):
        gone = rng.random(12) < 0.6
        kept = tuple(c for c, out in zip(whole.candidates, gone, strict=True) if not out)
        away = [lost(c.params) for c, out in zip(whole.candidates, gone, strict=True) if out]
        some = replace(whole, candidates=kept, unfinished=tuple(away))
        claims += bool(said(some, "diverged ("))
    assert claims <= most(n, 0.01)


# What wins ---------------------------------------------------------------------------------------


def test_a_value_that_wins_every_pair_is_said_with_their_number_and_margin():
    text = said(compared(table(0.6, 0.4)), "beats")
    assert text.startswith(
        "learning_rate=3 beats every other learning_rate in all 90 pairs that differ in "
        "nothing else, by "
    )
    assert "; encode=crosses beats encode=onehot in all 60 pairs, by 0.0126 on av" in text
    margin = 2 * 0.01 * np.sqrt(0.4)
    assert float(re.search(r"60 pairs, by (\S+) on", text)[1]) == pytest.approx(margin, rel=0.01)


def test_one_lost_pair_or_one_tie_is_enough_to_say_nothing():
    means = table(0.6, 0.4).copy()
    assert "encode" in said(compared(means), "beats")
    means[0, 0, 1, 0] = means[0, 0, 0, 0]
    assert "encode" not in said(compared(means), "beats")


def test_the_best_of_three_is_said_with_those_that_it_beats():
    means = 0.3 + effect(1, [1, 0, 0]) * 0.01 + 1e-4 * noise_alone(1)
    text = said(compared(means), "beats")
    assert re.match(
        r"optimiser=(adam|momentum) beats optimiser=gradient_descent in all 40 pairs", text
    )


def test_fewer_than_six_pairs_or_a_single_seed_win_nothing():
    two = {ENCODE: LEVELS[ENCODE]}
    clear = np.array([[0.1], [0.2]]) + 1e-6 * np.random.default_rng(0).normal(size=(2, 7))
    clear -= [[1e-6], [0]]
    assert "6 pairs" in said(compared(clear[:, :6], levels=two), "beats")
    assert not said(compared(clear[:, :5], levels=two), "beats")
    assert not said(compared(table(0.6, 0.4, seeds=1)), "beats")


@pytest.mark.parametrize("shared", [False, True])
@simulated(20, 400)
def test_noise_wins_nothing(shared, n):
    claims = 0
    for s in range(n):
        means = noise_alone(s, 4)
        if shared:
            means = means + np.random.default_rng(s + 999).normal(size=(1, 1, 2, 4))
        claims += bool(said(compared(means), "beats"))
    assert claims <= most(n, 0.02)


@simulated(20, 400)
def test_the_noise_of_validation_rows_wins_nothing(n):
    claims = 0
    for s in range(n):
        losses = np.random.default_rng(s).normal(1, 1, (2, 40))
        comparison = compared(table(0, 0, 0, 1e-4) + losses.mean(axis=1)[:, None])
        place = {value: i for i, value in enumerate(LEVELS[ENCODE])}
        candidates = tuple(
            replace(c, runs=tuple(
                replace(r, losses=losses[place[c.params[ENCODE]]], count=np.ones(40))
                for r in c.runs
            ))
            for c in comparison.candidates
        )  # fmt: skip
        claims += bool(said(replace(comparison, candidates=candidates), "beats"))
    assert claims <= most(n, 0.02)


# Who leads ---------------------------------------------------------------------------------------


def test_the_best_alone_is_better_than_all_others():
    text = said(compared(table(0.6, 0.4)), "better")
    assert text == (
        "learning_rate=3, optimiser=gradient_descent, encode=crosses is better than all 23 others: "
        "mean validation loss 0.2833 nats per row."
    )


@pytest.mark.parametrize(
    ("tied", "words"),
    [
        (2, "; the next one is tied with it."), (5, "; the next 4 are tied with it."),
        (14, "; the next 13 are tied with it."), ([0, 2], "; 1 other is tied with it."),
        ([0, 1, 7], "; 2 others are tied with it."),
    ],
)  # fmt: skip
def test_the_tied_are_counted(tied, words):
    assert said(compared(table(0.6, 0.4), tied), "has the lowest").endswith(
        "loss, 0.2833 nats per row" + words
    )


def test_where_all_are_tied_no_difference_is_said_and_nobody_leads():
    every = sentences(compared(noise_alone(0), 24))
    assert every == ("No difference between the 24 candidates is significant: all are tied.",)


def test_a_single_seed_makes_no_winner():
    every = " ".join(sentences(compared(table(0.6, 0.4, seeds=1))))
    assert "has the lowest mean validation loss" in every
    assert "1 seed is too few to name a winner." in every
    assert not re.search("better|beats|The best", every)


def test_one_candidate_leads_nobody():
    one = compared(table()[:1, :1, :1], levels={RATE: (0.1,), CHOICE: ("adam",), ENCODE: ("x",)})
    assert sentences(one) == ()


# How far training got ----------------------------------------------------------------------------


def planted(converged=4, unknown=0, gap=lambda place, seed: 0.01 * place + 0.001 * seed):
    """Of 24 candidates of 5 seeds the best converged, the last are unknown, the others did not."""

    def certificate(place, seed):
        if place >= 24 - unknown:
            return None
        return (
            made.CONVERGED if place < converged else Certificate("stopped early", gap(place, seed))
        )

    return made.certified(compared(table(0.6, 0.4), 3), certificate)


def test_runs_that_stopped_too_early_are_counted_with_what_they_lack():
    """20 candidates of 5 seeds: from 4 x 0.01 to 23 x 0.01 + 4 x 0.001."""
    assert said(planted(), "too early") == (
        "100 of 120 runs stopped too early: more epochs or another learning rate would lower the "
        "objective by 0.04 to 0.23 nats per row; the best has converged."
    )


def test_a_best_one_that_stopped_too_early_is_said_by_its_worst_seed():
    text = said(planted(converged=0, gap=lambda place, seed: 0.05 + 0.01 * place + 0.001 * seed),
                "too early")  # fmt: skip
    assert text == (
        "120 of 120 runs stopped too early: more epochs or another learning rate would lower the "
        "objective by 0.05 to 0.28 nats per row, that of the best by 0.054."
    )


def test_a_best_one_of_which_one_seed_has_not_converged_is_not_said_to_have():
    whole = planted()

    def certificate(place, seed):
        slow = Certificate("stopped early", 1e-5)
        return slow if (place, seed) == (0, 3) else whole.candidates[place].runs[seed].certificate

    text = said(made.certified(whole, certificate), "too early")
    assert text.endswith("by 0.04 to 0.23 nats per row.")


def test_where_every_run_converged_it_is_said_and_one_that_is_unknown_or_not_is_enough_to_not():
    assert said(planted(converged=24), "converged") == (
        "Every run has converged: no further training would lower the objective."
    )
    assert not said(planted(converged=23, unknown=1), "converged")
    assert not said(planted(converged=23, gap=lambda place, seed: 2e-6), "converged")


def test_a_gap_of_no_account_is_not_too_early():
    assert not said(planted(gap=lambda place, seed: 0.99e-3), "too early")
    assert said(planted(gap=lambda place, seed: 1e-3), "too early")


def test_runs_without_a_certificate_are_not_counted_and_alone_say_nothing():
    assert said(planted(unknown=4), "too early").startswith(
        "80 of 100 runs with a certificate stopped too early: "
    )
    every = " ".join(sentences(compared(table(0.6, 0.4), 3)))
    assert not re.search("early|converged|finite", every)


def test_runs_without_a_finite_optimum_are_counted_with_what_separates_them():
    def certificate(place, _):
        inputs = ("persons=2", "safety=low") if place < 10 else ("safety=low",)
        apart = Certificate("no finite optimum", 0.01, separated_on=inputs)
        return apart if place < 12 else made.CONVERGED

    found = made.certified(compared(table(0.6, 0.4), 3), certificate)
    assert said(found, "finite") == (
        "60 of 120 runs have no finite optimum: their train rows are separated, mostly by "
        "persons=2, safety=low; train.l2 above 0 gives one."
    )
    assert not said(found, "converged")
    assert "mostly" not in said(made.certified(found, lambda *_: certificate(0, 0)), "finite")


def test_that_the_best_stopped_too_early_is_said_however_much_else_is():
    gone = (*diverged(), lost({RATE: 1.0, CHOICE: "adam", ENCODE: "onehot"}, 9, None, "OSError"))
    many = replace(planted(converged=0, gap=lambda place, seed: 0.05), unfinished=gone)
    every = sentences(many)
    assert len(every) == 5
    assert "stopped too early" in every[4]


# The edge ----------------------------------------------------------------------------------------


def test_the_largest_value_that_was_tried_is_said():
    text = said(compared(table(), 3), "tried")
    assert text == "The best learning_rate, 3, is the largest that was tried: try larger ones."


def test_the_smallest_value_that_was_tried_is_said_but_for_nought():
    means = table()[::-1]
    text = said(compared(means, 3), "tried")
    assert text == "The best learning_rate, 0.1, is the smallest that was tried: try smaller ones."
    assert not said(compared(means, 3, LEVELS | {RATE: (0, 1, 2, 3)}), "tried")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"unfinished": diverged()}, "larger ones diverged"),
        ({"tied": 12}, "half of the tied are elsewhere"),
        ({"tied": 24}, "no difference is significant"),
        ({"levels": LEVELS | {RATE: ("0.1", "0.3", "1", "3")}}, "words have no edge"),
        ({"levels": LEVELS | {RATE: (0.1, 3.0, 1.0, 0.3)}}, "the best is inside"),
    ],
)
def test_without_an_edge_nothing_is_said_of_one(change, why):
    assert not said(compared(**{"table": table(), "tied": 3} | change), "tried"), why


# What failed -------------------------------------------------------------------------------------


def test_failures_are_counted_with_the_commonest_reason():
    params = {RATE: 1.0, CHOICE: "adam", ENCODE: "onehot"}
    reasons = [
        "MemoryError: no more\nat line 3",
        "MemoryError: no more\nat line 9",
        "OSError: full",
    ]
    gone = tuple(lost(params, 9 + i, None, reason) for i, reason in enumerate(reasons))
    found = compared(noise_alone(0), 24, unfinished=gone, left_out=(("other data", 7),))
    text = "3 of 130 runs did not finish; 2 of them: MemoryError: no more."
    assert said(found, "did not finish") == text
    assert not said(compared(noise_alone(0), 24), "did not finish")


def test_a_run_without_a_reason_or_known_parameters_is_counted_too():
    gone = (Run("", "KILLED", {}, {}, {}),)
    found = compared(noise_alone(0), 24, unfinished=gone)
    assert said(found, "did not finish") == "1 of 121 runs did not finish; killed."


# All together ------------------------------------------------------------------------------------


def test_at_most_five_stand_in_the_order_of_their_use():
    params = {RATE: 1.0, CHOICE: "adam", ENCODE: "onehot"}
    gone = (*diverged(), lost(params, 9, None, "OSError: full"))
    every = sentences(compared(table(0.6, 0.4), 3, unfinished=gone))
    words = ["explains", "diverged", "beats", "the lowest", "did not finish"]
    assert [word in sentence for word, sentence in zip(words, every, strict=True)] == [True] * 5


def test_nothing_is_said_of_nothing():
    empty = Comparison("none", (), (), None, None, "no run", ())
    assert sentences(empty) == ()


def test_strange_values_are_said_in_short_and_harmlessly():
    levels = LEVELS | {ENCODE: ("[]", '[["buying", "\x1b[31m"], ["doors", "persons", "boot"]]')}
    every = sentences(compared(table(0.6, 0.4), 3, levels))
    assert not any("\x1b" in sentence or '"boot"' in sentence for sentence in every)
    assert 'encode=[["buying", "' in " ".join(every)


def test_a_run_without_the_loss_leaves_what_needs_it_unsaid():
    comparison = compared(table(0.6, 0.4))
    first = comparison.candidates[0]
    bare = replace(first, runs=(replace(first.runs[0], metrics={}), *first.runs[1:]))
    every = sentences(replace(comparison, candidates=(bare, *comparison.candidates[1:])))
    assert not re.search("explain|encode=crosses beats", " ".join(every))
