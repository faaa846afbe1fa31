"""Runs become a comparison: candidates, their ranking, which are tied, what explains the loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pipeline.compare.comparison import (
    MIN_SEEDS,
    Candidate,
    Comparison,
    Leaderboard,
    Run,
    Shares,
    Value,
    is_number,
)  # fmt: skip
from pipeline.compare.findings import sentences
from pipeline.compare.load import SEEDS
from pipeline.compare.ties import MAX_LOSS, find_ties
from pipeline.compare.trials import Search
from pipeline.compare.validation_losses import (
    effective_weight,
    losses_by_start,
    losses_of,
    other_losses_of,
    row_counts,
    row_groups,
)
from pipeline.compare.variance import shares
from pipeline.errors import ConfigError

Params = Mapping[str, Mapping[str, Value]]  # of each run, by its identity


def compare(
    name: str, runs: Sequence[Run], axes: Params | None = None, search: Search | None = None
) -> Comparison:
    """Return what is known of the runs, in whatever order they come.

    Runs are compared where they were measured on the same rows: of several tables or ways to
    split, those that most runs share; the others are counted in ``left_out``. The parameters that
    vary are those of ``axes``; by default the settings that differ. ``search``: whose trials the
    runs are of.

    Raises
    ------
    ConfigError
        If there is no run, or none that finished without having diverged.
    """
    ended = [run for run in runs if run.status == "FINISHED"]
    finished = [run for run in ended if run.losses is None or run.losses.max() <= MAX_LOSS]
    if not finished:
        raise ConfigError(f"a comparison must have a finished run; got none of {len(runs)}")
    group, left_out = _comparable(finished)
    if len(finished) < len(ended):
        reason = f"training has diverged: losses of validation rows are above {MAX_LOSS:g} nats"
        left_out.append((reason, len(ended) - len(finished)))
    unfinished = tuple(run for run in runs if run.status != "FINISHED")
    params = axes if axes is not None else _differing(group)
    candidates, incomplete = _candidates(group, unfinished, params)
    if incomplete:
        left_out.append(("they lack a split that the others were measured on", incomplete))
    ranked, board = _ranked(candidates)
    varying = tuple(dict.fromkeys(key for c in candidates for key in c.params))
    found, no_shares = _shares(ranked, varying, board)
    chosen = _choose(ranked, board) if board else None
    comparison = Comparison(
        name=name,
        varying=varying,
        candidates=tuple(ranked),
        board=board,
        shares=found,
        no_shares=no_shares,
        unfinished=unfinished,
        left_out=tuple(left_out),
        chosen=chosen,
        test=_test_metrics(ranked[chosen].runs[0]) if chosen is not None else None,
        search=search,
    )
    return replace(comparison, sentences=sentences(comparison))


def _comparable(runs: Sequence[Run]) -> tuple[list[Run], list[tuple[str, int]]]:
    """Return the largest group of runs measured on the same rows, and why others are left out."""
    groups: dict[tuple[bool, str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.losses is not None, run.data_digest, _rows_of(run)), []).append(run)
    first, *others = sorted(groups, key=lambda key: (-key[0], -len(groups[key])))
    left_out = [
        (f"measured on {rows}; here {first[2]}", len(groups[has_rows, digest, rows]))
        for has_rows, digest, rows in others
    ]
    return groups[first], left_out


def _rows_of(run: Run) -> str:
    """Return in words the rows that the validation loss of the run is of."""
    split = {k: v for k, v in run.settings.items() if k.startswith("split.") and k not in SEEDS}
    words = [f"{key}={value}" for key, value in sorted(split.items())]
    table = f"{run.settings.get('data.name', 'data')} (digest {run.data_digest[:8]})"
    words += ["out of fold"] if run.is_out_of_fold else []
    return ", ".join([table, *words]) if run.losses is not None else "no validation rows"


def _differing(runs: Sequence[Run]) -> dict[str, dict[str, Value]]:
    """Return the settings that differ, without those that follow from another one of their group.

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
    """Return whether the values of the column are a function of those of the other one."""
    pairs = set(zip(other, column, strict=True))
    return len(pairs) == len(set(other))


def _candidates(
    group: Sequence[Run], unfinished: Sequence[Run], params: Params
) -> tuple[list[Candidate], int]:
    """Return runs that differ in their seeds alone, and how many lack a split to be among them."""
    splits = {run.split for run in group}
    found = _by_configuration(sorted(group, key=lambda run: run.seed))
    lost = _by_configuration([run for run in unfinished if run.settings])
    candidates = []
    for key, members in found.items():
        whole = _on_every_split(members, splits)
        if whole:
            values = dict(params.get(whole[0].identity, {}))
            candidates.append(Candidate(values, tuple(whole), tuple(lost.get(key, ()))))
    return candidates, len(group) - sum(len(c.runs) for c in candidates)


def _by_configuration(runs: Sequence[Run]) -> dict[str, list[Run]]:
    """Return the runs by all of their settings but the seeds."""
    found: dict[str, list[Run]] = {}
    for run in runs:
        key = repr(sorted((k, repr(v)) for k, v in run.settings.items() if k not in SEEDS))
        found.setdefault(key, []).append(run)
    return found


def _on_every_split(members: Sequence[Run], splits: set[tuple[int, int]]) -> list[Run]:
    """Return the runs of those seeds of the start that were run on every split."""
    seen = {run.seed for run in members}
    starts = {start for start, _ in seen if all((start, split) in seen for split in splits)}
    return list({run.seed: run for run in members if run.seed[0] in starts}.values())


def _ranked(candidates: Sequence[Candidate]) -> tuple[list[Candidate], Leaderboard | None]:
    if any(run.losses is None for c in candidates for run in c.runs) or not candidates:
        return list(candidates), None
    ranked = sorted(candidates, key=lambda c: (_mean(c), repr(sorted(c.params.items(), key=str))))
    losses, others = (
        [losses_by_start(candidate.runs, of) for candidate in ranked]
        for of in (losses_of, other_losses_of)
    )
    seeds = [sorted({run.seed[0] for run in candidate.runs}) for candidate in ranked]
    runs = ranked[0].runs
    count, group, weight = row_counts(runs), row_groups(runs), effective_weight(runs)
    return ranked, find_ties(losses, seeds, count, others=others, group=group, weight=weight)


def _shares(
    candidates: Sequence[Candidate], varying: Sequence[str], board: Leaderboard | None
) -> tuple[Shares | None, str]:
    """Return the shares of the variance, or why there are none."""
    if board is None:
        return None, "no run has validation rows"
    if len(candidates) > 1 and board.tied.all():
        return None, "no difference between the candidates is significant"
    return shares(candidates, varying)


def _mean(candidate: Candidate) -> float:
    losses, count = losses_by_start(candidate.runs), row_counts(candidate.runs)
    return float((losses @ count).mean() / count.sum())


def _choose(candidates: Sequence[Candidate], board: Leaderboard) -> int:
    """Return the simplest whose excess is within one standard error: most l2, then fewest epochs.

    Of those that are tied (Breiman et al. 1984, Classification and Regression Trees, 3.4.3). One
    of few seeds has a large standard error because little is known of it: it is chosen only where
    all are so.
    """
    places = [i for i in np.flatnonzero(board.tied).tolist() if board.excess[i] <= board.error[i]]
    repeated = [place for place in places if candidates[place].n_seeds >= MIN_SEEDS]

    def complexity(place: int) -> tuple[float, float, int]:
        run = candidates[place].runs[0]
        l2 = run.metrics.get("l2", run.settings.get("train.l2"))  # auto was resolved
        epochs = run.settings.get("train.epochs")
        return -l2 if is_number(l2) else 0.0, epochs if is_number(epochs) else math.inf, place

    return min(repeated or places, key=complexity)


def _test_metrics(run: Run) -> dict[str, float]:
    return {name: value for name, value in run.metrics.items() if name.startswith("test/")}
