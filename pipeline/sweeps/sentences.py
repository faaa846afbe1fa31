"""A comparison in a few plain sentences, each computed, each absent where nothing says it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping

import numpy as np

from pipeline.sweeps.comparison import Candidate, Comparison, Leaderboard, Run, Shares, Value
from pipeline.sweeps.labels import counted, number, percent, short_names, value_text

COST = "valid/best_cost"
MOST = 5
TOLD = 0.1  # a share of the variation that is worth a sentence
LEVEL = 0.01  # of a test that an effect is no luck
FEWEST_PAIRS = 6  # that all go one way
WINS = 0.05  # how often luck may say so, over all that is looked at
MOST_LEVELS = 4  # of a parameter whose best value is compared with each other one


def sentences(comparison: Comparison) -> tuple[str, ...]:
    """What is known, the most useful first."""
    names = short_names(comparison.varying)
    told = [
        *_ranking(comparison, names),
        *_explained(comparison, names),
        *_wins(comparison, names),
        *_divergence(comparison, names),
        *_edge(comparison, names),
        *_failures(comparison, names),
    ]
    return tuple(told[:MOST])


def _ranking(comparison: Comparison, names: Mapping[str, str]) -> Iterator[str]:
    """The best, and which candidates cannot be told from it."""
    board, k = comparison.board, len(comparison.candidates)
    if board is None or k < 2:
        return
    tied = int(np.sum(board.tied)) - 1
    if tied == k - 1:
        which = "two" if k == 2 else f"{k:,}"
        yield f"No difference can be told among the {which} configurations."
        return
    best = f"{_named(comparison.candidates[0], names)} has the lowest mean valid cost"
    figure = f"{number(float(board.mean[0]))} nats per row"
    if tied == 0:
        others = "the other one" if k == 2 else f"all {k - 1:,} others"
        yield f"{best}, {figure}, and is better than {others}."
        return
    are = "one other is" if tied == 1 else f"{tied:,} others are"
    yield f"{best}, {figure}; {are} tied with it."


def _named(candidate: Candidate, names: Mapping[str, str]) -> str:
    told = [f"{names.get(key, key)}={value_text(v)}" for key, v in candidate.params.items()]
    return ", ".join(told) or "the only configuration"


def _explained(comparison: Comparison, names: Mapping[str, str]) -> Iterator[str]:
    """The parameter that explains most, where that is no luck."""
    shares = comparison.shares
    if shares is None or not shares.main:
        return
    name = max(shares.main, key=lambda key: shares.main[key])
    share = shares.main[name]
    if share < TOLD or not _beats_noise(share, name, shares, comparison):
        return
    text = f"{names.get(name, name)} explains {percent(share)} of the variation of the valid cost"
    pair = max(shares.pairs, key=lambda key: shares.pairs[key], default=None)
    if pair is not None and shares.pairs[pair] >= TOLD:
        first, second = (names.get(key, key) for key in pair)
        text += (
            f"; how {first} and {second} go together explains another {percent(shares.pairs[pair])}"
        )
    yield text + "."


def _beats_noise(share: float, name: str, shares: Shares, comparison: Comparison) -> bool:
    """An F test of the main effect against what the seeds differ by.

    With one seed there is no such thing; then against what three parameters and more have together
    with the pairs that leave this one out, as for a design that is not repeated.
    """
    from scipy.special import fdtrc

    levels = _levels(comparison)
    freedom = len(levels[name]) - 1
    runs = sum(len(candidate.runs) for candidate in comparison.candidates)
    cells = len(comparison.candidates)
    if runs > cells:
        error, error_freedom = shares.seeds, runs - cells
    else:
        error = shares.rest + sum(shares.pairs.values())
        error_freedom = cells - 1 - sum(len(found) - 1 for found in levels.values())
    if error_freedom < 1:
        return False
    if error <= 0:
        return True
    ratio = (share / freedom) / (error / error_freedom)
    return bool(fdtrc(freedom, error_freedom, ratio) < LEVEL / len(levels))


def _levels(comparison: Comparison) -> dict[str, list[Value]]:
    found = {
        name: list(dict.fromkeys(c.params.get(name) for c in comparison.candidates))
        for name in comparison.varying
    }
    return {name: values for name, values in found.items() if len(values) > 1}


def _wins(comparison: Comparison, names: Mapping[str, str]) -> Iterator[str]:
    """A value that beats the others in every pair that differs in nothing else."""
    if comparison.board is None:
        return
    levels = _levels(comparison)
    few = {name: known for name, known in levels.items() if len(known) <= MOST_LEVELS}
    found = []
    for name, known in few.items():
        best = comparison.candidates[0].params.get(name)
        for other in known:
            if other == best:
                continue
            pairs = _pairs(comparison, name, best, other)
            looked = sum(len(values) - 1 for values in few.values())
            if pairs and min(pairs) > 0 and 2.0 ** (1 - len(pairs)) * looked < WINS:
                found.append((float(np.mean(pairs)), len(pairs), name, best, other))
    found = [item for item in found if item[1] >= FEWEST_PAIRS]
    for margin, n, name, best, other in sorted(found, key=lambda item: -item[0])[:1]:
        short = names.get(name, name)
        yield (
            f"{short}={value_text(best)} beats {short}={value_text(other)} in each of {n} pairs "
            f"that differ in nothing else, by {number(margin)} nats per row on average."
        )


def _pairs(comparison: Comparison, name: str, best: Value, other: Value) -> list[float]:
    """How much lower the cost is with ``best`` than with ``other``, all else and the seed equal."""
    costs: dict[Value, dict[tuple[object, ...], float]] = {best: {}, other: {}}
    for candidate in comparison.candidates:
        value = candidate.params.get(name)
        if value in costs:
            rest = tuple(item for item in candidate.params.items() if item[0] != name)
            for run in candidate.runs:
                costs[value][rest, run.seed] = float(run.metrics[COST])
    shared = costs[best].keys() & costs[other].keys()
    return [costs[other][key] - costs[best][key] for key in shared]


def _divergence(comparison: Comparison, names: Mapping[str, str]) -> Iterator[str]:
    """A value of a number above which every run diverges, and at which not every one does."""
    diverged = [run for run in comparison.unfinished if run.diverged]
    finished = [run for candidate in comparison.candidates for run in candidate.runs]
    for name in _numbers([*diverged, *finished]):
        top = max(_setting(run, name) for run in finished)
        above = [run for run in diverged if _setting(run, name) > top]
        others = [run for run in comparison.unfinished if not run.diverged]
        if above and not any(_setting(run, name) > top for run in others):
            short = names.get(name, name.rpartition(".")[2])
            yield (
                f"Above {short}={value_text(top)} every run diverges "
                f"({len(above)} of {len(above)})."
            )
            return


def _numbers(runs: list[Run]) -> list[str]:
    """The settings that are numbers in every run and differ."""
    names = dict.fromkeys(key for run in runs for key in run.settings)
    return [
        name
        for name in names
        if not name.endswith("seed")
        and all(_is_number(run.settings.get(name)) for run in runs)
        and len({run.settings.get(name) for run in runs}) > 1
    ]


def _is_number(value: Value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _setting(run: Run, name: str) -> float:
    value = run.settings.get(name)
    return float(value) if isinstance(value, int | float) else -math.inf


def _edge(comparison: Comparison, names: Mapping[str, str]) -> Iterator[str]:
    """A number whose best value is the largest or smallest that was tried."""
    if comparison.board is None:
        return
    for name, known in _levels(comparison).items():
        if len(known) < 3 or not all(_is_number(value) for value in known):
            continue
        values = sorted(float(value) for value in known if isinstance(value, int | float))
        tied = _tied_values(comparison, comparison.board, name)
        for edge, word, beyond in (
            (values[-1], "largest", "more"),
            (values[0], "smallest", "less"),
        ):
            if tied == {edge}:
                short = names.get(name, name)
                yield (
                    f"The best {short}, {value_text(edge)}, is the {word} that was tried: "
                    f"{beyond} may be better still."
                )


def _tied_values(comparison: Comparison, board: Leaderboard, name: str) -> set[float]:
    return {
        float(value) if isinstance(value := candidate.params.get(name), int | float) else math.nan
        for candidate, tied in zip(comparison.candidates, board.tied, strict=True)
        if tied
    }


def _failures(comparison: Comparison, names: Mapping[str, str]) -> Iterator[str]:
    """How many runs did not finish, and mostly why."""
    told = any(True for _ in _divergence(comparison, names))
    failed = [run for run in comparison.unfinished if not (told and run.diverged)]
    if not failed:
        return
    finished = sum(len(candidate.runs) for candidate in comparison.candidates)
    reasons = Counter((run.reason or "no reason is known").splitlines()[0] for run in failed)
    reason, n = reasons.most_common(1)[0]
    mostly = "" if n == len(failed) else f"{n:,} of them: "
    total = finished + len(comparison.unfinished)
    did = "did not finish"
    yield f"{len(failed):,} of {counted(total, 'run')} {did}; {mostly}{reason[:120]}."
