"""A table becomes train, valid and test: at random, by group, by time, in folds, or as given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from pipeline.config.split_settings import (
    FilesSplit,
    FoldsSplit,
    GroupSplit,
    NoSplit,
    SplitSettings,
    StratifiedSplit,
    TimeSplit,
)
from pipeline.errors import DataError
from pipeline.stages.copies import attribute_groups
from pipeline.stages.read.rows import Counts
from pipeline.stages.split.deal import deal_files, deal_fold, deal_groups, deal_rows
from pipeline.stages.split.time import deal_by_time, format_moment
from pipeline.stages.validate.convert import Table

NO_WEIGHT = 1e-100  # of the largest weight: no sum changes by it, and its square is no 0
CURES = {  # where a part lacks a class
    "stratified": "{change}, or choose split=none",
    "group": "{change}, or choose another split.seed",
    "folds": "lower split.folds or split.test",
    "time": "choose another split.{part}_from{shares}, or split=stratified",
    "files": "put such rows into its file, or choose split=stratified data.test=null",
    "none": "train and test need both",
}


@dataclass(frozen=True)
class Dealing:
    """How many ``rows``, by count, and ``groups`` train, valid and test have.

    ``shared`` groups of test have rows in train as well. ``cuts`` holds the first moments of valid
    and test, in ISO 8601, where rows were dealt by time.
    """

    rows: tuple[int, int, int]
    groups: tuple[int, int, int] | None = None  # None where rows have none
    shared: int = 0
    cuts: Mapping[str, str] = field(default_factory=dict)
    rule: str = ""


@dataclass(frozen=True)
class Split:
    """The parts of a table. Where ``held_out`` is false, train and test are the same rows.

    Rows of weight 0 are in ``dealing`` and in no part.
    """

    train: Table
    valid: Table | None
    test: Table
    held_out: bool
    dealing: Dealing

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Rows of train, valid and test, by count."""
        return self.dealing.rows


def split_table(table: Table, settings: SplitSettings) -> Split:
    """Return the table dealt into its parts.

    The copies of a row are dealt one by one, by multivariate hypergeometric draws: exactly what
    shuffling the long table does, at a cost that does not grow with its length. Sizes are exact:
    each class has ``round(share * n)`` rows in valid and in test, and the rest in train. Groups,
    and with ``copies="together"`` rows of equal attributes, are dealt as one, and sizes are as near
    as that allows. Rows of one moment are never in two parts.

    Raises
    ------
    DataError
        If a part would lack a class.
    """
    has_groups = table.group is not None
    if settings.together and not has_groups:
        table = replace(table, group=attribute_groups(table.frame))
    if isinstance(settings, NoSplit):
        return _whole(table, settings)
    dealt, cuts = _deal(table, settings)
    parts = [take(table, count) for count in dealt]
    dealing = _dealing(parts, cuts, has_groups=has_groups)
    train, valid, test = map(with_weight, parts)
    held = {"train": train, "valid": valid, "test": test}
    has_valid = dealing.rows[1] > 0
    if not has_valid and not getattr(settings, "has_valid", False):
        del held["valid"]
    _require_classes(held, settings)
    return Split(train, valid if has_valid else None, test, held_out=True, dealing=dealing)


def _whole(table: Table, settings: NoSplit) -> Split:
    """Return all rows as train and as test."""
    n = int(table.count.sum())
    groups = None if table.group is None else len(np.unique(table.group))
    dealing = Dealing((n, 0, n), None if groups is None else (groups, 0, groups), groups or 0)
    train = with_weight(table)
    _require_classes({"train": train}, settings)
    return Split(train, None, train, held_out=False, dealing=dealing)


def join(split: Split) -> Split:
    """Return the split with its validation rows among those that train, after these."""
    if split.valid is None:
        return split
    train, known = stack(split.train, split.valid), split.dealing
    (n_train, n_valid, n_test), groups, shared = known.rows, known.groups, known.shared
    if groups is not None and train.group is not None and split.test.group is not None:
        groups = len(np.unique(train.group)), 0, groups[2]
        shared = len(np.intersect1d(train.group, split.test.group))
    cuts = {name: cut for name, cut in known.cuts.items() if name != "valid"}
    dealing = Dealing((n_train + n_valid, 0, n_test), groups, shared, cuts)
    return replace(split, train=train, valid=None, dealing=dealing)


def stack(first: Table, second: Table) -> Table:
    """Return the rows of one table and then those of another of the same columns."""
    import pandas as pd

    def both(one: Any, other: Any) -> Any:
        return None if one is None else np.concatenate([one, other])

    return Table(
        pd.concat([first.frame, second.frame], ignore_index=True),
        both(first.y, second.y),
        both(first.count, second.count),
        both(first.weight, second.weight),
        both(first.group, second.group),
        {name: both(first.dates[name], second.dates[name]) for name in first.dates},
        both(first.part, second.part),
    )


def _deal(table: Table, settings: SplitSettings) -> tuple[Counts, Mapping[str, str]]:
    """Return how many copies of each row go to train, valid and test (3, n), and the cut dates."""
    match settings:
        case FilesSplit():
            return deal_files(table), {}
        case TimeSplit():
            dealt, cuts = deal_by_time(table, settings)
            return dealt, {name: format_moment(cut) for name, cut in cuts.items()}
        case FoldsSplit():
            return deal_fold(table, settings), {}
        case StratifiedSplit() | GroupSplit():
            rng, shares = np.random.default_rng(settings.seed), (settings.test, settings.valid)
            if isinstance(settings, GroupSplit) and table.group is not None:
                _require_groups(len(np.unique(table.group)), settings)
                return deal_groups(table, table.group, shares, rng), {}
            if settings.together:
                entity = attribute_groups(table.frame)
                return deal_groups(table, entity, shares, rng, draws=1), {}
            return deal_rows(table, shares[::-1], rng), {}
    raise AssertionError(f"split must be one that deals; got {settings}")


def _require_groups(n: int, settings: GroupSplit) -> None:
    n_parts = 2 + settings.has_valid
    if n < n_parts:
        raise DataError(
            f"split=group must have {n_parts} groups or more, one for each part; got {n}: "
            "split=stratified"
        )


def _dealing(parts: list[Table], cuts: Mapping[str, str], *, has_groups: bool) -> Dealing:
    n_train, n_valid, n_test = (int(part.count.sum()) for part in parts)
    train, valid, test = (None if part.group is None else np.unique(part.group) for part in parts)
    if not has_groups or train is None or valid is None or test is None:
        return Dealing((n_train, n_valid, n_test), cuts=cuts)
    shared = len(np.intersect1d(train, test))
    return Dealing((n_train, n_valid, n_test), (len(train), len(valid), len(test)), shared, cuts)


def _require_classes(parts: Mapping[str, Table], settings: SplitSettings) -> None:
    """Raise DataError unless each part holds both classes."""
    lacking = [
        f"{name} must hold both classes; got {int(part.count[part.y == label].sum())} rows of "
        f"class {label:.0f}, {'positive' if label else 'negative'}"
        f"{'' if part.weight is None else ', with a weight above 0'}: {cure_of(name, settings)}"
        for name, part in parts.items()
        for label in (0.0, 1.0)
        if not (part.y == label).any()
    ]
    if lacking:
        raise DataError("\n".join(lacking))


def cure_of(part: str, settings: SplitSettings) -> str:
    """Return what to set where a part lacks a class."""
    change = "lower split.valid or split.test" if part == "train" else f"raise split.{part}"
    after = "test" if part == "test" else "valid"
    shares = ", lower split.valid" if part == "train" else f", raise split.{part}"
    return CURES[settings.name].format(change=change, part=after, shares=shares)


def with_weight(table: Table) -> Table:
    """Return the rows whose weight counts beside the largest: the others are in no figure."""
    if table.weight is None:
        return table
    counts = table.weight > table.weight.max(initial=0) * NO_WEIGHT
    return table if counts.all() else take(table, np.where(counts, table.count, 0))


def take(table: Table, count: Counts) -> Table:
    """Return the rows of the table with other counts, without those that count 0."""
    rows = np.flatnonzero(count)
    return Table(
        table.frame.iloc[rows].reset_index(drop=True),
        table.y[rows],
        count[rows],
        None if table.weight is None else table.weight[rows],
        None if table.group is None else table.group[rows],
        {name: moments[rows] for name, moments in table.dates.items()},
        None if table.part is None else table.part[rows],
    )
