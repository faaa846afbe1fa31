"""Runs become a comparison: candidates, how they rank, what can be told apart, what explains it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from nn.arrays import Array
from pipeline.errors import ConfigError
from pipeline.sweeps.comparison import (
    Candidate,
    Comparison,
    Leaderboard,
    Run,
    Value,
    worth,
)
from pipeline.sweeps.gather import SEEDS
from pipeline.sweeps.sentences import sentences
from pipeline.sweeps.shares import shares
from pipeline.sweeps.ties import leaderboard

COST = "valid/best_cost"


def compare(
    name: str, runs: Sequence[Run], axes: Mapping[str, Mapping[str, Value]] | None = None
) -> Comparison:
    """What is known of the runs.

    Runs are compared where they were measured on the same rows: of several tables or ways to
    split, those that most runs share; the others are counted in ``left_out``.

    Parameters
    ----------
    name
        Of the set.
    runs
        In any order.
    axes
        The parameters that vary, by identity; by default those settings that differ.

    Raises
    ------
    ConfigError
        If there is no run, or none that finished.
    """
    if not runs:
        raise ConfigError("a comparison must have runs; got none")
    finished = [run for run in runs if run.status == "FINISHED"]
    if not finished:
        raise ConfigError(f"a comparison must have a finished run; got none of {len(runs)}")
    group, left_out = _comparable(finished)
    params = axes if axes is not None else _differing(group)
    candidates, incomplete = _candidates(group, runs, params)
    if incomplete:
        left_out.append(("they lack a split that the others were measured on", incomplete))
    varying = tuple(dict.fromkeys(key for c in candidates for key in c.params))
    ranked, board = _ranked(candidates)
    found, no_shares = None, "no run has validation rows"
    if board is not None:
        found, no_shares = shares(ranked, varying, lambda run: run.metrics.get(COST, math.nan))
    chosen = _chosen(ranked, [bool(tied) for tied in board.tied]) if board is not None else None
    comparison = Comparison(
        name=name,
        varying=varying,
        candidates=tuple(ranked),
        board=board,
        shares=found,
        no_shares=no_shares,
        unfinished=tuple(run for run in runs if run.status != "FINISHED"),
        left_out=tuple(left_out),
        chosen=chosen,
        test=_test(ranked[chosen].runs[0]) if chosen is not None else None,
    )
    return replace(comparison, sentences=sentences(comparison))


def _comparable(runs: Sequence[Run]) -> tuple[list[Run], list[tuple[str, int]]]:
    """The largest group of runs measured on the same rows, and what the others were measured on."""
    groups: dict[tuple[str, str, bool], list[Run]] = {}
    for run in runs:
        groups.setdefault(_ruler(run), []).append(run)
    ordered = sorted(groups.items(), key=lambda item: (-item[0][2], -len(item[1])))
    (digest, split, _), kept = ordered[0]
    left_out = []
    for (other, other_split, has_rows), rest in ordered[1:]:
        if other != digest:
            name = rest[0].settings.get("data.name")
            why = f"measured on other data ({name}, digest {other[:8]}; here {digest[:8]})"
        elif has_rows:
            why = f"measured on other validation rows ({other_split}; here {split})"
        else:
            why = "measured on no validation rows"
        left_out.append((why, len(rest)))
    return kept, left_out


def _ruler(run: Run) -> tuple[str, str, bool]:
    split = {k: v for k, v in run.settings.items() if k.startswith("split.") and k not in SEEDS}
    text = ", ".join(f"{key}={value}" for key, value in sorted(split.items()))
    return run.data_digest, text, run.losses is not None


def _differing(runs: Sequence[Run]) -> dict[str, dict[str, Value]]:
    """The settings that differ, without those that follow from another one of their group.

    Choosing another optimiser changes several settings at once: its name says it all.
    """
    names = dict.fromkeys(key for run in runs for key in run.settings if key not in SEEDS)
    columns = {key: tuple(run.settings.get(key) for run in runs) for key in names}
    varying = [key for key, column in columns.items() if len(set(column)) > 1]
    varying.sort(key=lambda key: (key.partition(".")[0], not key.endswith(".name")))
    kept: list[str] = []
    for key in varying:
        group = key.partition(".")[0]
        rivals = [other for other in kept if other.partition(".")[0] == group]
        if not any(_follows(columns[key], columns[other]) for other in rivals):
            kept.append(key)
    return {run.identity: {key: run.settings.get(key) for key in kept} for run in runs}


def _follows(column: Sequence[Value], other: Sequence[Value]) -> bool:
    """Whether the values of the column are a function of those of the other one."""
    pairs = set(zip(other, column, strict=True))
    return len(pairs) == len(set(other))


def _candidates(
    group: Sequence[Run], runs: Sequence[Run], params: Mapping[str, Mapping[str, Value]]
) -> tuple[list[Candidate], int]:
    """Runs that differ in their seeds alone, and how many runs lack a split to be among them."""
    splits = {run.seed[1] for run in group}
    found: dict[str, list[Run]] = {}
    for run in sorted(group, key=lambda run: run.seed):
        found.setdefault(_configuration(run), []).append(run)
    unfinished: dict[str, list[Run]] = {}
    for run in runs:
        if run.status != "FINISHED" and run.settings:
            unfinished.setdefault(_configuration(run), []).append(run)
    candidates = []
    for key, members in found.items():
        whole = _whole(members, splits)
        if whole:
            values = dict(params.get(whole[0].identity, {}))
            candidates.append(Candidate(values, tuple(whole), tuple(unfinished.get(key, ()))))
    return candidates, len(group) - sum(len(c.runs) for c in candidates)


def _whole(members: Sequence[Run], splits: set[int]) -> list[Run]:
    """The runs of those seeds that were run on every split."""
    seen = {run.seed for run in members}
    starts = {start for start, _ in seen if all((start, split) in seen for split in splits)}
    unique = {run.seed: run for run in members if run.seed[0] in starts}
    return list(unique.values())


def _configuration(run: Run) -> str:
    return repr(sorted((k, repr(v)) for k, v in run.settings.items() if k not in SEEDS))


def _ranked(candidates: Sequence[Candidate]) -> tuple[list[Candidate], Leaderboard | None]:
    if any(run.losses is None for c in candidates for run in c.runs) or not candidates:
        return list(candidates), None
    ranked = sorted(candidates, key=lambda c: (_mean(c), repr(sorted(c.params.items(), key=str))))
    tables = [_losses(candidate) for candidate in ranked]
    starts = [sorted({(run.seed[0], 0) for run in candidate.runs}) for candidate in ranked]
    return ranked, leaderboard(tables, starts, _counts(ranked[0]), worth=worth(ranked[0].runs))


def _mean(candidate: Candidate) -> float:
    table, count = _losses(candidate), _counts(candidate)
    return float((table @ count).mean() / count.sum())


def _losses(candidate: Candidate) -> Array:
    """(seeds, rows): the losses of each start, the rows of all splits side by side."""
    starts: dict[int, list[Array]] = {}
    for run in candidate.runs:  # by start, then by split
        starts.setdefault(run.seed[0], []).append(np.asarray(run.losses))
    return np.stack([np.concatenate(parts) for parts in starts.values()])


def _counts(candidate: Candidate) -> Array:
    first = candidate.runs[0].seed[0]
    return np.concatenate([np.asarray(r.count) for r in candidate.runs if r.seed[0] == first])


def _chosen(candidates: Sequence[Candidate], tied: Sequence[bool]) -> int:
    """Of those that cannot be told from the best, the simplest: most l2, then fewest epochs.

    One that has a single seed is tied by being little known: it is chosen only where all are so.
    """
    places = [place for place, tie in enumerate(tied) if tie]
    repeated = [place for place in places if len({r.seed for r in candidates[place].runs}) > 1]

    def complexity(place: int) -> tuple[float, float, int]:
        settings = candidates[place].runs[0].settings
        return -_number(settings, "train.l2"), _number(settings, "train.epochs"), place

    return min(repeated or places, key=complexity)


def _number(settings: Mapping[str, Value], name: str) -> float:
    value = settings.get(name)
    return float(value) if isinstance(value, int | float) else math.inf


def _test(run: Run) -> dict[str, float]:
    return {name: value for name, value in run.metrics.items() if name.startswith("test/")}
