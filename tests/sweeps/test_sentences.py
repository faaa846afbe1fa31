"""Sentences tell what was planted within one percent, and nothing where there is only luck."""

import itertools
import re
from dataclasses import replace

import numpy as np
import pytest

from pipeline.sweeps.comparison import Candidate, Comparison, Leaderboard, Run
from pipeline.sweeps.sentences import sentences
from pipeline.sweeps.shares import shares

RATE, CHOICE, ENCODE = "optimiser.learning_rate", "optimiser.name", "encode"
LEVELS = {
    RATE: (0.1, 0.3, 1.0, 3.0),
    CHOICE: ("gradient_descent", "momentum", "adam"),
    ENCODE: ("onehot", "crosses"),
}
SHAPE = tuple(map(len, LEVELS.values()))
COST = "valid/best_cost"


def run(params, cost, seed=0, **more) -> Run:
    settings = {"seed": seed, "split.seed": 0, **params}
    return Run(**{
        "identity": "0" * 32, "status": "FINISHED", "settings": settings,
        "metrics": {COST: float(cost)}, "curve": {}, "ended": "epochs",
    } | more)  # fmt: skip


def lost(params, seed=0, ended="diverged", reason=None) -> Run:
    words = tuple(f"{name}={value}" for name, value in params.items())
    more = {"status": "FAILED", "metrics": {}, "ended": ended, "reason": reason}
    return run(params, 0, seed, overrides=words, **more)


def compared(table, tied=1, levels=None, **more) -> Comparison:
    """The comparison of a grid with these costs (levels …, seeds), of which so many tie."""
    levels = LEVELS if levels is None else levels
    candidates = []
    for place in itertools.product(*(range(len(known)) for known in levels.values())):
        params = {n: known[i] for (n, known), i in zip(levels.items(), place, strict=True)}
        runs = tuple(run(params, cost, seed) for seed, cost in enumerate(table[place]))
        candidates.append(Candidate(params, runs))
    candidates.sort(key=lambda c: np.mean([r.metrics[COST] for r in c.runs]))
    found, reason = shares(candidates, tuple(levels), lambda run: run.metrics[COST])
    return Comparison(**{
        "name": "made", "varying": tuple(levels), "candidates": tuple(candidates),
        "board": board(candidates, tied), "shares": found, "no_shares": reason, "unfinished": (),
    } | more)  # fmt: skip


def board(candidates, tied) -> Leaderboard:
    """``tied`` is how many lead together, or their positions."""
    mean = np.array([np.mean([r.metrics[COST] for r in c.runs]) for c in candidates])
    who = np.isin(np.arange(len(mean)), np.arange(tied) if isinstance(tied, int) else tied)
    return Leaderboard(
        mean, mean - 0.01, mean + 0.01, mean * 0, mean - mean[0], mean - 1, mean + 1, who, 0.95
    )


def effect(axis, values):
    shape = [1] * 4
    shape[axis] = -1
    values = np.array(values, float)
    return ((values - values.mean()) / values.std()).reshape(shape)


def table(main=0.81, second=0.0, pair=0.0, noise=0.0, seeds=5, seed=0):
    """Costs around 0.3 of which effects are such shares: rate, encoding, rate and choice, luck."""
    signs = effect(0, [-1, 1, -1, 1]) * effect(1, [1, -1, 0])
    luck = np.random.default_rng(seed).normal(size=(*SHAPE, seeds))
    total = (
        np.sqrt(main) * effect(0, [3, 2, 1, 0]) + np.sqrt(second) * effect(2, [1, 0])
        + np.sqrt(pair) * signs / signs.std() + np.sqrt(noise) * luck
    )  # fmt: skip
    return 0.3 + 0.01 * np.broadcast_to(total, (*SHAPE, seeds))


def luck_alone(seed, seeds=5, shape=SHAPE):
    return 0.3 + 0.01 * np.random.default_rng(seed).normal(size=(*shape, seeds))


def told(comparison, word):
    """The one sentence that has the word; "" where none has."""
    found = [sentence for sentence in sentences(comparison) if word in sentence]
    assert len(found) < 2
    return found[0] if found else ""


# What explains -----------------------------------------------------------------------------------


def test_planted_effects_are_told_with_their_shares():
    text = told(compared(table(0.65, 0.15, 0.2)), "explains")
    assert text == (
        "learning_rate explains 65 % of the variation of the valid cost, encode 15 %; "
        "learning_rate and name together another 20 %."
    ).replace("name", "optimiser")


@pytest.mark.parametrize("seed", range(10))
def test_a_planted_share_is_told_within_one_percent_under_luck(seed):
    text = told(compared(table(0.81, 0.06, 0.12, 0.01, seed=seed)), "explains")
    figures = [int(figure) for figure in re.findall(r"(\d+) %", text)]
    assert figures == pytest.approx([81, 12], abs=1)


def test_a_pair_that_acts_only_together_is_told_so():
    text = told(compared(table(0, 0.05, 0.9, 0.05)), "explain ")
    assert re.fullmatch(
        r"learning_rate and optimiser explain (89|90|91) % of the variation of the valid cost, "
        r"but only together\.", text
    )  # fmt: skip


def test_a_share_below_a_tenth_is_not_told():
    assert "encode" not in told(compared(table(0.92, 0.08)), "explains")


@pytest.mark.parametrize("seeds", [2, 5])
def test_luck_explains_nothing(seeds):
    n = 120
    claims = sum(bool(told(compared(luck_alone(s, seeds)), "explain")) for s in range(n))
    assert claims <= 5  # of a rate of 0.01, once in 1e3 times


def test_the_luck_of_few_seeds_that_a_level_shares_explains_nothing():
    claims = 0
    for s in range(120):
        shared = np.random.default_rng(s).normal(size=(4, 1, 1, 3))
        claims += bool(told(compared(0.3 + 0.1 * shared + luck_alone(s, 3)), "explain"))
    assert claims <= 5


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


def test_the_luck_of_validation_rows_explains_nothing():
    claims = naive = 0
    for s in range(60):
        losses = np.random.default_rng(s).normal(5, 1, (*SHAPE, 40))
        costs = losses.mean(axis=-1)[..., None] + 1e-6 * luck_alone(s)
        comparison = compared(costs)
        naive += bool(told(comparison, "explain"))
        claims += bool(told(on_rows(comparison, losses), "explain"))
    assert claims <= 4  # of a rate of 0.01 for each effect looked at, once in 1e3 times
    assert naive == 60  # the control: seeds alone deny none of it


def test_an_effect_that_rows_and_seeds_show_is_told():
    costs = table(0.81, 0.06, 0.12, 0.01)
    rows = np.random.default_rng(0).normal(0, 0.01, (*SHAPE, 40))
    losses = costs.mean(axis=-1)[..., None] + rows - rows.mean(axis=-1, keepdims=True)
    assert told(on_rows(compared(costs), losses), "explains") == told(compared(costs), "explains")


def test_one_seed_is_told_as_such_and_its_luck_explains_nothing():
    text = told(compared(table(0.81, 0.1, 0.08, 0.01, seeds=1)), "explains")
    assert re.match(r"learning_rate explains 8[012] % .* valid cost, with one seed", text)
    small = {name: LEVELS[name] for name in (RATE, CHOICE)}
    claims = [
        told(compared(luck_alone(s, 1, SHAPE[:2]), levels=small), "explain") for s in range(120)
    ]
    assert sum(map(bool, claims)) <= 5


def test_one_parameter_with_one_seed_explains_nothing():
    costs = np.array([[0.1], [0.2], [0.3], [0.4]])
    assert not told(compared(costs, levels={RATE: LEVELS[RATE]}), "explain")


def test_without_shares_nothing_is_explained():
    comparison = compared(table(1))
    assert told(comparison, "explains")
    assert not told(replace(comparison, shares=None, no_shares="no grid"), "explain")


def test_levels_that_are_left_out_of_the_shares_are_named():
    comparison = compared(table(0.81, 0.19))
    some = [c for c in comparison.candidates if list(c.params.values())[:2] != [3.0, "adam"]]
    found, reason = shares(some, comparison.varying, lambda run: run.metrics[COST])
    made = replace(
        comparison, candidates=tuple(some), shares=found, no_shares=reason, board=board(some, 1)
    )
    assert told(made, "explains").startswith(
        "Without learning_rate=3, where runs are missing, learning_rate explains"
    )


# What diverges -----------------------------------------------------------------------------------


def diverged(values=(10.0, 30.0), seeds=3):
    others = itertools.product(LEVELS[CHOICE], LEVELS[ENCODE])
    return tuple(
        lost({RATE: value, CHOICE: choice, ENCODE: code}, seed)
        for (choice, code), value, seed in itertools.product(others, values, range(seeds))
    )


def test_a_value_above_which_every_run_diverges_is_told():
    comparison = compared(table(), unfinished=diverged((10.0,)))
    assert told(comparison, "diverge") == "Above learning_rate 3 every run diverges (18 of 18)."
    assert not told(comparison, "did not finish")


def test_a_run_that_diverged_below_as_well_does_not_hide_it():
    below = lost({RATE: 0.3, CHOICE: "adam", ENCODE: "onehot"})
    comparison = compared(table(), unfinished=(*diverged(), below))
    assert "Above learning_rate 3 every run diverges (36 of 36)." in sentences(comparison)
    assert "1 more of 157 runs did not finish; training diverged." in sentences(comparison)


@pytest.mark.parametrize("ended", ["epochs", None, "stopped"])
def test_one_run_that_did_not_diverge_is_enough_to_say_nothing(ended):
    other = lost({RATE: 30.0, CHOICE: "adam", ENCODE: "onehot"}, 9, ended, "MemoryError: no more")
    assert not told(compared(table(), unfinished=(*diverged(), other)), "every run diverges")


def test_two_runs_that_diverged_are_no_law():
    assert not told(compared(table(), unfinished=diverged()[:2]), "every run diverges")


def test_runs_that_diverge_by_luck_make_no_law():
    small = {name: LEVELS[name] for name in (RATE, CHOICE)}
    whole = compared(luck_alone(0, 1, SHAPE[:2]), levels=small, board=None, shares=None)
    rng, claims = np.random.default_rng(0), 0
    for _ in range(400):
        gone = rng.random(12) < 0.6
        kept = tuple(c for c, out in zip(whole.candidates, gone, strict=True) if not out)
        away = [lost(c.params) for c, out in zip(whole.candidates, gone, strict=True) if out]
        made = replace(whole, candidates=kept, unfinished=tuple(away))
        claims += bool(told(made, "every run diverges"))
    assert claims <= 11  # of a rate of 0.01, once in 1e3 times


# What wins ---------------------------------------------------------------------------------------


def test_a_value_that_wins_every_pair_is_told_with_their_number_and_margin():
    text = told(compared(table(0.6, 0.4)), "beats")
    assert text.startswith(
        "learning_rate=3 beats every other learning_rate in each of 90 pairs that differ in "
        "nothing else, by "
    )
    assert "; encode=crosses beats encode=onehot in each of 60 pairs, by 0.0126 on av" in text
    margin = 2 * 0.01 * np.sqrt(0.4)
    assert float(re.search(r"60 pairs, by (\S+) on", text)[1]) == pytest.approx(margin, rel=0.01)


def test_one_lost_pair_or_one_tie_is_enough_to_say_nothing():
    costs = table(0.6, 0.4).copy()
    assert "encode" in told(compared(costs), "beats")
    costs[0, 0, 1, 0] = costs[0, 0, 0, 0]
    assert "encode" not in told(compared(costs), "beats")


def test_the_best_of_three_is_told_with_those_that_it_beats():
    costs = 0.3 + effect(1, [1, 0, 0]) * 0.01 + 1e-4 * luck_alone(1)
    text = told(compared(costs), "beats")
    assert re.match(
        r"optimiser=(adam|momentum) beats optimiser=gradient_descent in each of 40 pairs", text
    )


def test_fewer_than_six_pairs_or_a_single_seed_win_nothing():
    two = {ENCODE: LEVELS[ENCODE]}
    clear = np.array([[0.1], [0.2]]) + 1e-6 * np.random.default_rng(0).normal(size=(2, 7))
    clear -= [[1e-6], [0]]
    assert "6 pairs" in told(compared(clear[:, :6], levels=two), "beats")
    assert not told(compared(clear[:, :5], levels=two), "beats")
    assert not told(compared(table(0.6, 0.4, seeds=1)), "beats")


@pytest.mark.parametrize("shared", [False, True])
def test_luck_wins_nothing(shared):
    claims = 0
    for s in range(120):
        costs = luck_alone(s, 4)
        if shared:
            costs = costs + np.random.default_rng(s + 999).normal(size=(1, 1, 2, 4))
        claims += bool(told(compared(costs), "beats"))
    assert claims <= 8  # of a rate of 0.02, once in 1e3 times


def test_the_luck_of_validation_rows_wins_nothing():
    claims = 0
    for s in range(100):
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
        claims += bool(told(replace(comparison, candidates=candidates), "beats"))
    assert claims <= 7


# Who leads ---------------------------------------------------------------------------------------


def test_the_best_alone_is_better_than_all_others():
    text = told(compared(table(0.6, 0.4)), "better")
    assert text == (
        "learning_rate=3, optimiser=gradient_descent, encode=crosses is better than all 23 others: "
        "mean valid cost 0.2833 nats per row."
    )


@pytest.mark.parametrize(
    ("tied", "words"),
    [
        (2, "; the next one is tied with it."), (5, "; the next four are tied with it."),
        (14, "; the next 13 are tied with it."), ([0, 2], "; 1 other is tied with it."),
        ([0, 1, 7], "; 2 others are tied with it."),
    ],
)  # fmt: skip
def test_the_tied_are_counted(tied, words):
    assert told(compared(table(0.6, 0.4), tied), "has the lowest").endswith(
        "cost, 0.2833 nats per row" + words
    )


def test_where_all_are_tied_no_difference_is_told_and_nobody_leads():
    every = sentences(compared(luck_alone(0), 24))
    assert every == (
        "No difference can be told among the 24 configurations: all tie with the best.",
    )


def test_a_single_seed_makes_no_winner():
    every = " ".join(sentences(compared(table(0.6, 0.4, seeds=1))))
    assert "has the lowest mean valid cost" in every
    assert "but not all have a second seed: it may be luck." in every
    assert not re.search("better|beats|The best", every)


def test_one_candidate_leads_nobody():
    one = compared(table()[:1, :1, :1], levels={RATE: (0.1,), CHOICE: ("adam",), ENCODE: ("x",)})
    assert sentences(one) == ()


# How far training got ----------------------------------------------------------------------------


def certified(comparison, tell):
    """The comparison with what ``tell(place, seed)`` says of each run: verdict, gap and more."""

    def told(place, run):
        verdict, gap, more = tell(place, run.seed[0])
        metrics = dict(run.metrics) | ({} if gap is None else {"certificate/gap": gap})
        return replace(run, verdict=verdict, metrics=metrics, **more)

    candidates = tuple(
        replace(candidate, runs=tuple(told(place, run) for run in candidate.runs))
        for place, candidate in enumerate(comparison.candidates)
    )
    return replace(comparison, candidates=candidates)


def planted(converged=4, unknown=0, gap=lambda place, seed: 0.01 * place + 0.001 * seed, **more):
    """Of 24 candidates of 5 seeds the best converged, the last are unknown, the others did not."""

    def tell(place, seed):
        if place >= 24 - unknown:
            return None, None, {}
        if place < converged:
            return "converged", 2e-9, more
        return "stopped early", gap(place, seed), more

    return certified(compared(table(0.6, 0.4), 3), tell)


def test_runs_that_stopped_too_early_are_counted_with_what_they_lack():
    """20 candidates of 5 seeds: from 4 x 0.01 to 23 x 0.01 + 4 x 0.001."""
    assert told(planted(), "too early") == (
        "100 of 120 runs stopped too early: more epochs or another learning rate would lower what "
        "they minimise by 0.04 to 0.23 nats per row; the best has converged."
    )


def test_a_best_one_that_stopped_too_early_is_told_by_its_worst_seed():
    text = told(planted(converged=0, gap=lambda place, seed: 0.05 + 0.01 * place + 0.001 * seed),
                "too early")  # fmt: skip
    assert text == (
        "120 of 120 runs stopped too early: more epochs or another learning rate would lower what "
        "they minimise by 0.05 to 0.28 nats per row, the best among them by 0.054."
    )


def test_a_best_one_of_which_one_seed_has_not_converged_is_not_said_to_have():
    made = planted()
    first = made.candidates[0]
    slow = replace(first.runs[3], verdict="stopped early",
                   metrics={**first.runs[3].metrics, "certificate/gap": 1e-5})  # fmt: skip
    runs = (*first.runs[:3], slow, first.runs[4])
    made = replace(made, candidates=(replace(first, runs=runs), *made.candidates[1:]))
    assert told(made, "too early").endswith("by 0.04 to 0.23 nats per row.")


def test_where_every_run_converged_it_is_said_and_one_that_is_unknown_or_not_is_enough_to_not():
    assert told(planted(converged=24), "converged") == (
        "Every run has converged: this is all that the model can do."
    )
    assert not told(planted(converged=23, unknown=1), "converged")
    assert not told(planted(converged=23, gap=lambda place, seed: 2e-6), "converged")


def test_a_gap_of_no_account_is_not_too_early():
    assert not told(planted(gap=lambda place, seed: 0.99e-3), "too early")
    assert told(planted(gap=lambda place, seed: 1e-3), "too early")


def test_runs_that_patience_ended_were_not_too_early():
    assert not told(planted(ended="patience"), "too early")


def test_runs_without_a_certificate_are_not_counted_and_alone_say_nothing():
    assert told(planted(unknown=4), "too early").startswith(
        "80 of 100 runs with a certificate stopped too early: "
    )
    every = " ".join(sentences(compared(table(0.6, 0.4), 3)))
    assert not re.search("early|converged|finite", every)


def test_runs_without_a_finite_optimum_are_told_with_what_separates_them():
    def tell(place, _):
        inputs = ("persons=2", "safety=low") if place < 10 else ("safety=low",)
        if place < 12:
            return "no finite optimum", 0.01, {"separated_on": inputs}
        return "converged", 1e-9, {}

    made = certified(compared(table(0.6, 0.4), 3), tell)
    assert told(made, "finite") == (
        "60 of 120 runs have no finite optimum: their train rows separate, mostly on persons=2, "
        "safety=low; a train.l2 above 0 would give one."
    )
    assert not told(made, "converged")
    assert "mostly" not in told(certified(made, lambda place, _: tell(0, 0)), "finite")


def test_that_the_best_stopped_too_early_is_told_however_much_else_is():
    gone = (*diverged(), lost({RATE: 1.0, CHOICE: "adam", ENCODE: "onehot"}, 9, None, "OSError"))
    made = replace(planted(converged=0, gap=lambda place, seed: 0.05), unfinished=gone)
    every = sentences(made)
    assert len(every) == 5
    assert "stopped too early" in every[4]


# The edge ----------------------------------------------------------------------------------------


def test_the_largest_value_that_was_tried_is_told():
    text = told(compared(table(), 3), "tried")
    assert text == "The best learning_rate, 3, is the largest that was tried: try beyond."


def test_the_smallest_value_that_was_tried_is_told_but_for_nought():
    costs = table()[::-1]
    text = told(compared(costs, 3), "tried")
    assert text == "The best learning_rate, 0.1, is the smallest that was tried: try below."
    assert not told(compared(costs, 3, LEVELS | {RATE: (0, 1, 2, 3)}), "tried")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"unfinished": diverged()}, "larger ones diverged"),
        ({"tied": 12}, "half of the tied are elsewhere"),
        ({"tied": 24}, "no difference can be told"),
        ({"levels": LEVELS | {RATE: ("0.1", "0.3", "1", "3")}}, "words have no edge"),
        ({"levels": LEVELS | {RATE: (0.1, 3.0, 1.0, 0.3)}}, "the best is inside"),
    ],
)
def test_without_an_edge_nothing_is_told_of_one(change, why):
    assert not told(compared(**{"table": table(), "tied": 3} | change), "tried"), why


# What failed -------------------------------------------------------------------------------------


def test_failures_are_counted_with_the_commonest_reason():
    params = {RATE: 1.0, CHOICE: "adam", ENCODE: "onehot"}
    reasons = [
        "MemoryError: no more\nat line 3",
        "MemoryError: no more\nat line 9",
        "OSError: full",
    ]
    gone = tuple(lost(params, 9 + i, None, reason) for i, reason in enumerate(reasons))
    made = compared(luck_alone(0), 24, unfinished=gone, left_out=(("other data", 7),))
    text = "3 of 130 runs did not finish; 2 of them: MemoryError: no more."
    assert told(made, "did not finish") == text
    assert not told(compared(luck_alone(0), 24), "did not finish")


def test_a_run_without_a_reason_or_known_parameters_is_counted_too():
    gone = (Run("", "KILLED", {}, {}, {}),)
    made = compared(luck_alone(0), 24, unfinished=gone)
    assert told(made, "did not finish") == "1 of 121 runs did not finish; killed."


# All together ------------------------------------------------------------------------------------


def test_at_most_five_stand_in_the_order_of_their_use():
    params = {RATE: 1.0, CHOICE: "adam", ENCODE: "onehot"}
    gone = (*diverged(), lost(params, 9, None, "OSError: full"))
    every = sentences(compared(table(0.6, 0.4), 3, unfinished=gone))
    words = ["explains", "diverges", "beats", "the lowest", "did not finish"]
    assert [word in sentence for word, sentence in zip(words, every, strict=True)] == [True] * 5


def test_nothing_is_told_of_nothing():
    empty = Comparison("none", (), (), None, None, "no run", ())
    assert sentences(empty) == ()


def test_strange_values_are_told_in_short_and_harmlessly():
    levels = LEVELS | {ENCODE: ("[]", '[["buying", "\x1b[31m"], ["doors", "persons", "boot"]]')}
    every = sentences(compared(table(0.6, 0.4), 3, levels))
    assert not any("\x1b" in sentence or '"boot"' in sentence for sentence in every)
    assert 'encode=[["buying", "' in " ".join(every)


def test_a_run_without_the_cost_leaves_what_needs_it_untold():
    comparison = compared(table(0.6, 0.4))
    first = comparison.candidates[0]
    bare = replace(first, runs=(replace(first.runs[0], metrics={}), *first.runs[1:]))
    every = sentences(replace(comparison, candidates=(bare, *comparison.candidates[1:])))
    assert not re.search("explain|encode=crosses beats", " ".join(every))
