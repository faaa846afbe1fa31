"""A comparison in a few sentences, each of them computed, and absent unless the data support it.

A claim that chance could make has a rate: how often it is made where there is only noise, over all
that is looked at for it (Bonferroni).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from nn.arrays import Array
from pipeline.compare.chance import effect_p_value, effect_p_value_over_rows
from pipeline.compare.comparison import MIN_SEEDS, Comparison, Run, Value, has_folds, is_number
from pipeline.compare.convergence import convergence_sentences, ending, separation_sentences
from pipeline.compare.labels import format_number, short_names, short_value
from pipeline.compare.load import known_params
from pipeline.compare.search_findings import edge_sentences, search_sentences
from pipeline.compare.variance import full_grid
from pipeline.compare.wins import wins
from pipeline.text import counted, one_line, printable

MAX_SENTENCES = 5
MIN_SHARE = 0.1  # of the variance: the least that is reported
RATE = 0.01  # of false findings about what explains or what diverges
MIN_DIVERGED = 3  # runs above a value, to make it a limit
MAX_VALUE = 40  # characters
MAX_REASON = 100

Names = Mapping[str, str]  # short ones
Known = Sequence[tuple[Mapping[str, Value], Run]]  # runs with their parameters
Cliff = tuple[str, float, list[Run]]  # a parameter, and a value above which these all diverge


def sentences(comparison: Comparison) -> tuple[str, ...]:
    """Return what is known of the runs, the most useful first; at most ``MAX_SENTENCES``."""
    names, cliff = short_names(comparison.varying), _cliff(comparison)
    found = [
        *search_sentences(comparison),
        *_explained(comparison, names),
        *_divergence(cliff, names),
        *_winning(comparison, names),
        *_ranking(comparison, names),
        *convergence_sentences(comparison),
        *_edges(comparison, names),
        *separation_sentences(comparison),
        *_failures(comparison, cliff),
    ]
    return tuple(printable(sentence) for sentence in found[:MAX_SENTENCES])


# --- what explains the loss ------------------------------------------------------------------


def _explained(comparison: Comparison, names: Names) -> Iterator[str]:
    """Yield the parameters and the pair that explain most, where that is not chance."""
    grid = full_grid(comparison.candidates, comparison.varying)
    if comparison.shares is None or isinstance(grid, str):
        return
    shares = comparison.shares
    every = {(name,): share for name, share in shares.main.items()} | dict(shares.pairs)
    sure = [
        (effect, " and ".join(names[name] for name in effect), f"{100 * share:.0f} %")
        for effect, share in sorted(every.items(), key=lambda item: -item[1])
        if share >= MIN_SHARE
        and effect_p_value(grid, effect) * len(every) < RATE
        and effect_p_value_over_rows(grid, effect) * len(every) < RATE
    ]
    main = [(name, share) for effect, name, share in sure if len(effect) == 1]
    pairs = [(name, share) for effect, name, share in sure if len(effect) == 2]
    where = f"Without {grid.left_out}, where runs are missing, " if grid.left_out else ""
    once = "" if grid.repeated is not None else ", with one seed"
    what = f"of the variance of the validation loss{once}"
    if main:
        more = "".join(f", {name} {share}" for name, share in main[1:])
        last = "".join(f"; {name} in combination another {share}" for name, share in pairs[:1])
        yield f"{where}{main[0][0]} explains {main[0][1]} {what}{more}{last}."
    elif pairs:
        yield f"{where}{pairs[0][0]} explain {pairs[0][1]} {what}, but only in combination."


# --- what diverges ---------------------------------------------------------------------------


def _divergence(cliff: Cliff | None, names: Names) -> Iterator[str]:
    if cliff is not None:
        name, value, runs = cliff
        yield f"Every run with {names[name]} above {short_value(value)} diverged ({len(runs)})."


def _cliff(comparison: Comparison) -> Cliff | None:
    """Return the parameter with a value above which every run diverges, the least likely by chance.

    That is the probability that of so many runs so many diverge, and among them all of the highest
    values (Fisher's exact test).
    """
    every = _known(comparison)
    found: list[tuple[float, Cliff]] = []
    numeric = [name for name in comparison.varying if len(_values(every, name)) > 1]
    for name in numeric:
        runs = [(x, run) for params, run in every if is_number(x := params.get(name))]
        top = max((x for x, run in runs if not run.diverged), default=math.inf)
        above = [run for x, run in runs if x > top]
        n, diverged = len(above), sum(run.diverged for _, run in runs)
        p = math.comb(len(runs) - n, diverged - n) / math.comb(len(runs), diverged)
        if n >= MIN_DIVERGED and p * len(numeric) < RATE:
            found.append((p, (name, top, above)))
    return min(found, key=lambda item: item[0])[1] if found else None


# --- who wins --------------------------------------------------------------------------------


def _winning(comparison: Comparison, names: Names) -> Iterator[str]:
    """Yield the values that beat others whatever else is chosen; those two that matter most."""
    parts: list[str] = []
    leading = _leading(comparison)
    found = wins(comparison.candidates, comparison.varying)
    for win in [w for w in found if not any(p.get(w.name) in w.others for p in leading)][:2]:
        name = names[win.name]
        others = " and ".join(f"{name}={short_value(other, MAX_VALUE)}" for other in win.others)
        if 2 < win.n_levels == len(win.others) + 1:
            others = f"every other {name}"
        same = "" if parts else " that differ in nothing else"
        parts.append(
            f"{name}={short_value(win.value, MAX_VALUE)} beats {others} in all "
            f"{counted(win.n, 'pair')}{same}, by {format_number(win.margin)} on average"
        )
    if parts:
        yield "; ".join(parts) + "."


def _ranking(comparison: Comparison, names: Names) -> Iterator[str]:
    """Yield who leads, and how many are tied with it; a single seed makes no winner."""
    board, k = comparison.board, len(comparison.candidates)
    if board is None or k < 2:
        return
    n = int(board.tied[1:].sum())
    few = _few(comparison)
    caveat = few or _one_start(comparison)
    if n == k - 1:
        yield f"No difference between the {k:,} candidates is significant: all are tied.{caveat}"
        return
    first = comparison.candidates[0].params
    best = ", ".join(f"{names.get(name, name)}={short_value(first[name], 40)}" for name in first)
    loss = format_number(float(board.mean[0]))
    lowest = f"{best} has the lowest mean validation loss, {loss} nats per row"
    if n or few:
        others = f"; {_tied(n, board.tied)} tied with it" if n else ""
        yield f"{lowest}{others}.{caveat}"
    else:
        others = "the other one" if k == 2 else f"all {k - 1:,} others"
        yield f"{best} is better than {others}: mean validation loss {loss} nats per row.{caveat}"


def _tied(n: int, tied: Array) -> str:
    """Return ``the next 4 are`` where they follow the best, else ``4 others are``."""
    follow = tied[1 : n + 1].all()
    if n == 1:
        return "the next one is" if follow else "1 other is"
    return f"the next {n:,} are" if follow else f"{n:,} others are"


def _edges(comparison: Comparison, names: Names) -> Iterator[str]:
    """Yield the numbers whose best value is the largest or smallest of all that were tried."""
    board = comparison.board
    n_tied = 0 if board is None else 1 + int(board.tied[1:].sum())
    if board is None or (n_tied == 1 and _few(comparison)) or n_tied == len(comparison.candidates):
        return
    every = _known(comparison)
    leading = _leading(comparison)
    if comparison.search is not None:
        yield from edge_sentences(comparison, leading, names)
        return
    for name in comparison.varying:
        tried, best = _values(every, name), leading[0].get(name)
        at_best = sum(params.get(name) == best for params in leading)
        if not is_number(best) or len(tried) < 3 or 2 * at_best <= n_tied:
            continue
        start = f"The best {names[name]}, {short_value(best)}, is the"
        if best == tried[-1]:
            yield f"{start} largest that was tried: try larger ones."
        elif best == tried[0] and best > 0:  # most settings have no values below 0
            yield f"{start} smallest that was tried: try smaller ones."


# --- what failed -----------------------------------------------------------------------------


def _failures(comparison: Comparison, cliff: Cliff | None) -> Iterator[str]:
    """Yield how many runs did not finish, and mostly why, without those above the cliff.

    A run that was pruned is no failure.
    """
    explained = {id(run) for run in cliff[2]} if cliff else set()
    failed = [r for r in comparison.unfinished if id(r) not in explained and not r.pruned]
    if not failed:
        return
    left_out = sum(n for _, n in comparison.left_out)
    n_runs = len(comparison.finished) + left_out + len(comparison.unfinished)
    reason, n = Counter(map(_reason, failed)).most_common(1)[0]
    of_them = "" if n == len(failed) else f"{n:,} of them: "
    more = " more" if explained else ""
    total = counted(n_runs, "run")
    yield f"{len(failed):,}{more} of {total} did not finish; {of_them}{reason}."


def _reason(run: Run) -> str:
    if run.diverged:
        return "training diverged"
    first, *_ = (run.reason or "").strip().splitlines() or [""]
    return one_line(first, MAX_REASON).rstrip(" .:") or run.status.lower()


# --- runs and their parameters ---------------------------------------------------------------


def _few(comparison: Comparison) -> str:
    """Return that seeds are too few, where they are."""
    n = min(candidate.n_seeds for candidate in comparison.candidates)
    if n < MIN_SEEDS:
        what = counted(n, "fold" if has_folds(comparison.finished) else "seed")
        return f" {what} {'is' if n == 1 else 'are'} too few to name a winner."
    return ""


def _one_start(comparison: Comparison) -> str:
    """Return what folds of a single start of training leave out, where it matters."""
    runs = comparison.finished
    matters = not all(ending(run) == "converged" for run in runs)
    if has_folds(runs) and matters and len({run.seed[0] for run in runs}) == 1:
        return " What another start of training would change is not known: seed=range(3) shows it."
    return ""


def _leading(comparison: Comparison) -> list[Mapping[str, Value]]:
    """Return the parameters of the best and of those tied with it."""
    if comparison.board is None:
        return []
    places = zip(comparison.candidates, comparison.board.tied, strict=True)
    return [c.params for i, (c, tied) in enumerate(places) if i == 0 or tied]


def _known(comparison: Comparison) -> Known:
    """Return every run with its parameters, as far as they are known."""
    finished = [(c.params, run) for c in comparison.candidates for run in c.runs]
    lost = [(known_params(run, comparison.varying), run) for run in comparison.unfinished]
    return [*finished, *lost]


def _values(every: Known, name: str) -> list[float]:
    """Return the numbers that were tried, in order; none where some value is no number."""
    found = {params[name] for params, _ in every if name in params}
    numbers = sorted(value for value in found if is_number(value))
    return numbers if len(numbers) == len(found) else []
