"""A comparison in a few plain sentences, each of them computed, and absent unless the data say it.

A claim that luck could make has a rate: how often it is made where there is only luck, over all
that is looked at for it (Bonferroni).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nn.arrays import Array
from pipeline.redact import printable
from pipeline.sweeps.comparison import Comparison, Run, Value
from pipeline.sweeps.labels import brief, counted, cut, number, short_names
from pipeline.sweeps.luck import luck_of_effect, luck_of_rows
from pipeline.sweeps.rows import VALID_COST, known_params
from pipeline.sweeps.shares import full_grid
from pipeline.sweeps.training import GAP, TOO_EARLY, UNKNOWN, ending, named, training
from pipeline.sweeps.wins import wins

MOST = 5  # sentences
TOLD = 0.1  # the least share of the variation that is worth a sentence
RATE = 0.01  # of claims about what explains or what diverges, where there is only luck
FEWEST_DIVERGED = 3  # runs above a value, to make it a limit
LONGEST = 40  # characters of a value
LONGEST_REASON = 100
COUNTS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class _Cliff:
    """Above ``value`` of a parameter every run diverges, and these are the runs."""

    name: str
    value: float
    runs: Sequence[Run]


def sentences(comparison: Comparison) -> tuple[str, ...]:
    """What is known of the runs, the most useful first; at most ``MOST`` sentences."""
    names, cliff = short_names(comparison.varying), _cliff(comparison)
    told = [
        *_explained(comparison, names),
        *_divergence(cliff, names),
        *_winning(comparison, names),
        *_ranking(comparison, names),
        *_training(comparison),
        *_edges(comparison, names),
        *_separation(comparison),
        *_failures(comparison, cliff),
    ]
    return tuple(printable(sentence) for sentence in told[:MOST])


def _explained(comparison: Comparison, names: Mapping[str, str]) -> Iterator[str]:
    """The parameters and the pair that explain most, where that is no luck."""
    found = comparison.shares
    grid = full_grid(comparison.candidates, comparison.varying, _cost)
    if found is None or isinstance(grid, str):
        return
    every = {(name,): share for name, share in found.main.items()} | dict(found.pairs)
    sure = [
        (" and ".join(names[name] for name in effect), len(effect), f"{100 * share:.0f} %")
        for effect, share in sorted(every.items(), key=lambda item: -item[1])
        if share >= TOLD
        and {*effect} <= {*grid.names}
        and luck_of_effect(grid, effect) * len(every) < RATE
        and luck_of_rows(grid, effect) * len(every) < RATE
    ]
    main = [(name, share) for name, size, share in sure if size == 1]
    pairs = [(name, share) for name, size, share in sure if size == 2]
    where = f"Without {grid.left_out}, where runs are missing, " if grid.left_out else ""
    once = "" if grid.repeated is not None else ", with one seed"
    what = f"of the variation of the valid cost{once}"
    if main:
        more = "".join(f", {name} {share}" for name, share in main[1:])
        last = "".join(f"; {name} together another {share}" for name, share in pairs[:1])
        yield f"{where}{main[0][0]} explains {main[0][1]} {what}{more}{last}."
    elif pairs:
        yield f"{where}{pairs[0][0]} explain {pairs[0][1]} {what}, but only together."


def _divergence(cliff: _Cliff | None, names: Mapping[str, str]) -> Iterator[str]:
    if cliff is not None:
        n = len(cliff.runs)
        at = f"{names[cliff.name]} {brief(cliff.value)}"
        yield f"Above {at} every run diverges ({n} of {n})."


def _cliff(comparison: Comparison) -> _Cliff | None:
    """The parameter with a value above which every run diverges, the least likely by luck.

    Luck: the chance that of so many runs so many diverge, and among them all of the highest values
    (Fisher's exact test).
    """
    every = _known(comparison)
    found: list[tuple[float, _Cliff]] = []
    numeric = [name for name in comparison.varying if len(_values(every, name)) > 1]
    for name in numeric:
        runs = [(x, run) for params, run in every if (x := _number(params.get(name))) is not None]
        top = max((x for x, run in runs if not run.diverged), default=math.inf)
        above = [run for x, run in runs if x > top]
        n, diverged = len(above), sum(run.diverged for _, run in runs)
        chance = math.comb(len(runs) - n, diverged - n) / math.comb(len(runs), diverged)
        if n >= FEWEST_DIVERGED and chance * len(numeric) < RATE:
            found.append((chance, _Cliff(name, top, above)))
    return min(found, key=lambda item: item[0])[1] if found else None


def _winning(comparison: Comparison, names: Mapping[str, str]) -> Iterator[str]:
    """The values that beat others whatever else is chosen; those two that matter most."""
    parts: list[str] = []
    for win in wins(comparison.candidates, comparison.varying, _cost)[:2]:
        name = names[win.name]
        others = " and ".join(f"{name}={_said(other)}" for other in win.others)
        if 2 < win.n_levels == len(win.others) + 1:
            others = f"every other {name}"
        same = "" if parts else " that differ in nothing else"
        parts.append(
            f"{name}={_said(win.value)} beats {others} in each of {counted(win.n, 'pair')}{same}, "
            f"by {number(win.margin)} on average"
        )
    if parts:
        yield "; ".join(parts) + "."


def _ranking(comparison: Comparison, names: Mapping[str, str]) -> Iterator[str]:
    """Who leads, and which candidates cannot be told from it; a single seed makes no winner."""
    board, k = comparison.board, len(comparison.candidates)
    if board is None or k < 2:
        return
    n = int(board.tied[1:].sum())
    if n == k - 1:
        yield f"No difference can be told among the {k:,} configurations: all tie with the best."
        return
    first = comparison.candidates[0].params
    best = ", ".join(f"{names.get(name, name)}={_said(first[name])}" for name in first)
    cost = number(float(board.mean[0]))
    lowest = f"{best} has the lowest mean valid cost, {cost} nats per row"
    seeds = "" if _repeated(comparison) else ", but not all have a second seed: it may be luck"
    if n:
        yield f"{lowest}; {_tied(n, board.tied)} tied with it{seeds}."
    elif seeds:
        yield f"{lowest}{seeds}."
    else:
        others = "the other one" if k == 2 else f"all {k - 1:,} others"
        yield f"{best} is better than {others}: mean valid cost {cost} nats per row."


def _tied(n: int, tied: Array) -> str:
    """``the next four are`` where they follow the best, else ``4 others are``."""
    if tied[1 : n + 1].all():
        return f"the next {COUNTS[n] if n < len(COUNTS) else f'{n:,}'} {'is' if n == 1 else 'are'}"
    return f"{counted(n, 'other')} {'is' if n == 1 else 'are'}"


def _repeated(comparison: Comparison) -> bool:
    return all(len({run.seed for run in c.runs}) > 1 for c in comparison.candidates)


def _training(comparison: Comparison) -> Iterator[str]:
    """How many runs stopped too early, and whether the best did; or that every run converged."""
    known = _certified(comparison)
    gaps = sorted(gap for run in known if (gap := _too_early(run)) is not None)
    if gaps:
        low, high = f"{gaps[0]:.2g}", f"{gaps[-1]:.2g}"
        by = high if low == high else f"{low} to {high}"
        yield (
            f"{len(gaps):,} of {_counted(comparison, known)} stopped too early: more epochs or "
            f"another learning rate would lower what they minimise by {by} nats per row"
            f"{_of_the_best(comparison)}."
        )
    elif known and all(ending(run) == "converged" for run in _finished(comparison)):
        yield "Every run has converged: this is all that the model can do."


def _of_the_best(comparison: Comparison) -> str:
    if comparison.board is None or len(comparison.candidates) < 2:
        return ""
    runs = comparison.candidates[0].runs
    gaps = [gap for run in runs if (gap := _too_early(run)) is not None]
    if gaps:
        return f", the best among them by {max(gaps):.2g}"
    return "; the best has converged" if training(runs).ending == "converged" else ""


def _too_early(run: Run) -> float | None:
    """The gap of a run that stopped too early for that to be of no account."""
    gap = run.metrics.get(GAP, 0.0)
    return gap if ending(run) == "stopped early" and gap >= TOO_EARLY else None


def _separation(comparison: Comparison) -> Iterator[str]:
    """How many runs have no finite optimum, and by which inputs."""
    known = _certified(comparison)
    apart = [run.separated_on for run in known if ending(run) == "no finite optimum"]
    if apart:
        inputs, n = Counter(apart).most_common(1)[0]
        mostly = "" if n == len(apart) else ", mostly"
        yield (
            f"{len(apart):,} of {_counted(comparison, known)} have no finite optimum: their train "
            f"rows separate{mostly} on {named(inputs)}; a train.l2 above 0 would give one."
        )


def _finished(comparison: Comparison) -> list[Run]:
    return [run for candidate in comparison.candidates for run in candidate.runs]


def _certified(comparison: Comparison) -> list[Run]:
    return [run for run in _finished(comparison) if ending(run) != UNKNOWN]


def _counted(comparison: Comparison, known: Sequence[Run]) -> str:
    n = len(known)
    return counted(n, "run") + (" with a certificate" if n < len(_finished(comparison)) else "")


def _edges(comparison: Comparison, names: Mapping[str, str]) -> Iterator[str]:
    """The numbers whose best value is the largest or smallest of all that were tried."""
    board = comparison.board
    n_tied = 0 if board is None else 1 + int(board.tied[1:].sum())
    few = n_tied == 1 and not _repeated(comparison)
    if board is None or few or n_tied == len(comparison.candidates):
        return
    every = _known(comparison)
    leading = [c.params for i, c in enumerate(comparison.candidates) if i == 0 or board.tied[i]]
    for name in comparison.varying:
        tried, best = _values(every, name), _number(leading[0].get(name))
        at_best = sum(_number(params.get(name)) == best for params in leading)
        if best is None or len(tried) < 3 or 2 * at_best <= n_tied:
            continue
        said = f"The best {names[name]}, {brief(leading[0][name])}, is the"
        if best == tried[-1]:
            yield f"{said} largest that was tried: try beyond."
        elif best == tried[0] and best > 0:  # most settings have no values below 0
            yield f"{said} smallest that was tried: try below."


def _failures(comparison: Comparison, cliff: _Cliff | None) -> Iterator[str]:
    """How many runs did not finish, and mostly why, but for those that are explained already."""
    explained = {id(run) for run in cliff.runs} if cliff else set()
    failed = [run for run in comparison.unfinished if id(run) not in explained]
    if not failed:
        return
    finished = sum(len(candidate.runs) for candidate in comparison.candidates)
    left_out = sum(n for _, n in comparison.left_out)
    total = counted(finished + left_out + len(comparison.unfinished), "run")
    reason, n = Counter(map(_reason, failed)).most_common(1)[0]
    of_them = "" if n == len(failed) else f"{n:,} of them: "
    more = " more" if explained else ""
    yield f"{len(failed):,}{more} of {total} did not finish; {of_them}{reason}."


def _reason(run: Run) -> str:
    if run.diverged:
        return "training diverged"
    lines = (run.reason or "").strip().splitlines()
    return cut(lines[0].rstrip(" .:"), LONGEST_REASON) if lines else run.status.lower()


def _known(comparison: Comparison) -> list[tuple[Mapping[str, Value], Run]]:
    """Every run with its parameters, as far as they are known."""
    finished = [(c.params, run) for c in comparison.candidates for run in c.runs]
    lost = [(known_params(run, comparison.varying), run) for run in comparison.unfinished]
    return [*finished, *lost]


def _values(every: Sequence[tuple[Mapping[str, Value], Run]], name: str) -> list[float]:
    """The numbers that were tried, the smallest first; none where some are no numbers."""
    found = {_number(params[name]) for params, _ in every if name in params}
    numbers = sorted(x for x in found if x is not None)
    return numbers if len(numbers) == len(found) else []


def _number(value: Value) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _cost(run: Run) -> float:
    return run.metrics.get(VALID_COST, math.nan)


def _said(value: Value) -> str:
    return cut(brief(value), LONGEST)
