"""Validation rows that train as well: the test rows stay, and nothing is lost on the way."""

import numpy as np
import pandas as pd
import pytest

from pipeline.config.split_settings import GroupSplit, StratifiedSplit
from pipeline.stages.split import join, split_table
from pipeline.stages.validate.convert import Table


def a_table(n=200, **more) -> Table:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"x": rng.normal(size=n), "word": rng.choice(["a", "b"], n)})
    y = rng.integers(0, 2, n).astype(float)
    return Table(frame, y, rng.integers(1, 4, n), **more)


def long(*tables: Table) -> list[tuple]:
    """Every copy of every row, in one order."""
    return sorted(
        row
        for table in tables
        for row, n in zip(zip(table.frame["x"], table.frame["word"], table.y, strict=True),
                          table.count, strict=True)
        for _ in range(n)
    )  # fmt: skip


@pytest.mark.parametrize("copies", ["independent", "together"])
def test_train_has_the_rows_of_both_and_test_is_what_it_was(copies):
    split = split_table(a_table(), StratifiedSplit(name="stratified", copies=copies))
    joined = join(split)
    assert long(joined.train) == long(split.train, split.valid)
    assert joined.test is split.test
    assert joined.valid is None
    n_train, n_valid, n_test = split.sizes
    assert joined.sizes == (n_train + n_valid, 0, n_test)


def test_weights_and_groups_go_with_their_rows():
    rng = np.random.default_rng(1)
    group = rng.integers(0, 40, 200)
    split = split_table(a_table(group=group, weight=group + 1.0), GroupSplit(name="group"))
    joined = join(split)
    assert (joined.train.weight == joined.train.group + 1).all()
    n_train, n_valid, n_test = split.dealing.groups
    assert joined.dealing.groups == (n_train + n_valid, 0, n_test)
    assert joined.dealing.shared == 0


def test_a_split_without_validation_rows_is_as_it_was():
    split = split_table(a_table(), StratifiedSplit(name="stratified", valid=0.0))
    assert join(split) is split
