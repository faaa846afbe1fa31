"""Groups and folds: never a group in two parts, sizes and classes as near as groups allow."""

from dataclasses import replace

import numpy as np
import pytest
from builders import make_table, repeated

from pipeline.config.split_settings import FoldsSplit, GroupSplit, StratifiedSplit
from pipeline.errors import DataError
from pipeline.stages.split import split_table

GROUP = GroupSplit(name="group")
STRATIFIED = StratifiedSplit(name="stratified")


def grouped(sizes, shares, seed=0):
    """A table of groups of these sizes, of which these shares are positive."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(len(sizes)), sizes)
    y = (rng.random(len(group)) < np.repeat(shares, sizes)).astype(float)
    table = make_table({"a": [str(i) for i in range(len(group))]}, y)
    return replace(table, group=group)


def parts_of(split):
    return [part for part in (split.train, split.valid, split.test) if part is not None]


@pytest.mark.parametrize("seed", range(8))
def test_no_group_is_in_two_parts_and_every_row_in_one(seed):
    rng = np.random.default_rng(seed)
    table = grouped(rng.integers(1, 9, 60), rng.random(60), seed)
    for way in (GroupSplit(name="group", seed=seed), FoldsSplit(name="folds", seed=seed, fold=2)):
        split = split_table(table, way)
        groups = [set(part.group) for part in parts_of(split)]
        assert sum(map(len, groups)) == len(set.union(*groups)) == 60
        rows = sorted(row for part in parts_of(split) for row in part.frame["a"])
        assert rows == sorted(table.frame["a"])
        assert split.dealing.shared == 0


def test_a_stratified_split_deals_rows_of_a_group_to_several_parts():
    """The control: the same rows, and what the summary warns of."""
    table = grouped([6] * 50, np.full(50, 0.5))
    split = split_table(table, StratifiedSplit(name="stratified"))
    assert split.dealing.shared > 30


def test_groups_of_one_class_and_size_are_dealt_exactly():
    table = grouped([6] * 100, np.repeat([0.0, 1.0], 50))
    split = split_table(table, GROUP)
    assert split.sizes == (360, 120, 120)
    assert [part.y.mean() for part in parts_of(split)] == [0.5, 0.5, 0.5]
    assert split.dealing.groups == (60, 20, 20)


def test_parts_are_nearer_to_the_shares_than_groups_dealt_blindly():
    """Of few groups of very different sizes; the oracle is scikit-learn's GroupShuffleSplit."""
    from sklearn.model_selection import GroupShuffleSplit

    rng = np.random.default_rng(3)
    table = grouped(rng.integers(1, 60, 40), rng.random(40))
    n, share = len(table.y), table.y.mean()
    own = [split_table(table, GroupSplit(name="group", seed=seed)).test for seed in range(20)]
    blind = GroupShuffleSplit(20, test_size=0.2, random_state=0).split(table.y, groups=table.group)
    theirs = [table.y[test] for _, test in blind]
    size, their_size = (np.mean([abs(len(y) / n - 0.2) for y in ys])
                        for ys in ([t.y for t in own], theirs))  # fmt: skip
    rate, their_rate = (np.mean([abs(y.mean() - share) for y in ys])
                        for ys in ([t.y for t in own], theirs))  # fmt: skip
    assert size < 0.01
    assert size < their_size / 3
    assert rate < their_rate / 2


def test_the_seed_deals_other_groups():
    table = grouped([3] * 40, np.full(40, 0.5))
    tests = [split_table(table, GroupSplit(name="group", seed=seed)).test for seed in (0, 0, 1)]
    assert set(tests[0].group) == set(tests[1].group) != set(tests[2].group)


def test_too_few_groups_are_refused_with_a_cure():
    with pytest.raises(DataError, match=r"3 groups or more.* got 2: split=stratified"):
        split_table(grouped([50, 50], [0.5, 0.5]), GROUP)
    no_valid = GROUP.model_copy(update={"valid": 0.0, "test": 0.5})
    assert split_table(grouped([50, 50], [0.5, 0.5]), no_valid).valid is None
    with pytest.raises(DataError, match=r"must hold both classes.*split.seed"):
        split_table(grouped([50, 50, 50], [0, 1, 1]), GROUP)


@pytest.mark.parametrize("largest", [1e300, 1.7e308])
def test_weights_that_count_for_nothing_beside_the_largest_are_in_no_part(largest):
    """As if they were 0: their squares would be, and no sum changes by them."""
    table, rng = grouped([1] * 100, np.arange(100) % 2), np.random.default_rng(0)
    weight = np.where(rng.random(100) < 0.3, 1.0, largest)
    split = split_table(replace(table, group=None, weight=weight), STRATIFIED)
    none = split_table(
        replace(table, group=None, weight=np.where(weight == 1, 0, largest)), STRATIFIED
    )
    assert split.train.weight.min() == split.test.weight.min() == largest
    assert split.train.frame.equals(none.train.frame)
    assert split.test.frame.equals(none.test.frame)
    near = np.where(weight == 1, 1e250, 1e300)
    assert len(split_table(replace(table, group=None, weight=near), STRATIFIED).train.y) == 60


@pytest.mark.parametrize("has_groups", [False, True])
def test_every_row_validates_once_and_the_test_rows_are_always_the_same(has_groups):
    table = grouped([4] * 50, np.full(50, 0.4))
    table = table if has_groups else replace(table, group=None)
    for seed in (0, 1):
        folds = [split_table(table, FoldsSplit(name="folds", seed=seed, fold=f)) for f in range(5)]
        tests = {tuple(split.test.frame["a"]) for split in folds}
        assert len(tests) == 1
        valid = [row for split in folds for row in split.valid.frame["a"]]
        assert sorted([*valid, *tests.pop()]) == sorted(table.frame["a"])
        assert max(len(split.valid.y) for split in folds) - min(
            len(split.valid.y) for split in folds
        ) <= (4 if has_groups else 1)
    other = split_table(table, FoldsSplit(name="folds", seed=2))
    assert set(other.test.frame["a"]) == set(folds[0].test.frame["a"])
    assert set(other.valid.frame["a"]) != set(folds[0].valid.frame["a"])


def test_copies_of_a_row_are_dealt_one_by_one_to_folds():
    """As the long table would be: sizes of folds differ by one at most, within each class."""
    table = make_table({"a": ["x", "y", "z"]}, [0, 1, 1], [1003, 601, 399])
    folds = [split_table(table, FoldsSplit(name="folds", fold=fold)) for fold in range(5)]
    long = split_table(repeated(table), FoldsSplit(name="folds"))
    assert {split.sizes[2] for split in (*folds, long)} == {401}
    sizes = [split.sizes[1] for split in folds]
    assert sum(sizes) == 2003 - 401
    assert max(sizes) - min(sizes) <= 1
    for split in folds:
        assert split.valid.count[split.valid.y == 0].sum() in (160, 161)


def test_folds_are_stratified():
    """The oracle: scikit-learn's StratifiedKFold has folds of these very sizes and classes."""
    from sklearn.model_selection import StratifiedKFold

    y = (np.random.default_rng(0).random(500) < 0.1).astype(float)
    table = make_table({"a": [str(i) for i in range(500)]}, y)
    folds = [split_table(table, FoldsSplit(name="folds", fold=fold)) for fold in range(5)]
    train = np.concatenate([folds[0].train.y, folds[0].valid.y])
    theirs = [train[v].sum() for _, v in StratifiedKFold(5).split(train, train)]
    assert sorted(split.valid.y.sum() for split in folds) == sorted(theirs)
