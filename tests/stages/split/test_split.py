"""Parts are dealt at random within each class, by count."""

import numpy as np
import pytest
from builders import make_table, repeated

from pipeline.config.split_settings import NoSplit, StratifiedSplit
from pipeline.errors import DataError
from pipeline.stages.split import split_table

STRATIFIED = StratifiedSplit(name="stratified")


def test_the_parts_hold_every_row_once(cars):
    split = split_table(cars, STRATIFIED)
    parts = [part.frame.agg("|".join, axis=1) for part in (split.train, split.valid, split.test)]
    assert sorted(row for part in parts for row in part) == sorted(cars.frame.agg("|".join, axis=1))


def test_sizes_are_exact_within_each_class(cars):
    split = split_table(cars, STRATIFIED)
    for part, share in ((split.valid, 0.2), (split.test, 0.2)):
        assert part.count[part.y == 0].sum() == round(share * 1210)
        assert part.count[part.y == 1].sum() == round(share * 518)


def test_the_sorted_file_is_shuffled(cars):
    """A split that kept the order would give train the dear cars and test the cheap ones."""
    split = split_table(cars, STRATIFIED)
    for part in (split.train, split.valid, split.test):
        share = (part.frame["buying"] == "vhigh").mean()
        assert 0.15 < share < 0.35


def test_the_seed_of_the_split_decides_and_nothing_else(cars):
    again = split_table(cars, STRATIFIED)
    assert split_table(cars, STRATIFIED).test.frame.equals(again.test.frame)
    other = split_table(cars, StratifiedSplit(name="stratified", seed=1))
    assert not other.test.frame.equals(again.test.frame)


def test_counted_rows_are_dealt_copy_by_copy():
    table = make_table({"a": ["x", "y", "z"]}, [0, 1, 1], [1000, 600, 400])
    split = split_table(table, STRATIFIED)
    assert split.sizes == (1200, 400, 400)
    dealt = {
        value: sum(
            int(part.count[(part.frame["a"] == value).to_numpy()].sum())
            for part in (split.train, split.valid, split.test)
        )
        for value in "xyz"
    }
    assert dealt == {"x": 1000, "y": 600, "z": 400}


def test_a_counted_row_goes_to_a_part_as_often_as_the_long_table_would_send_it():
    """The number of copies in test is hypergeometric: mean and variance are known."""
    table = make_table({"a": ["x", "y", "n"]}, [1, 1, 0], [30, 70, 100])
    drawn = []
    for seed in range(600):
        test = split_table(table, StratifiedSplit(name="stratified", seed=seed)).test
        drawn.append(int(test.count[(test.frame["a"] == "x").to_numpy()].sum()))
    mean, variance = 20 * 0.3, 20 * 0.3 * 0.7 * (100 - 20) / (100 - 1)
    assert np.mean(drawn) == pytest.approx(mean, abs=4 * np.sqrt(variance / 600))
    assert np.var(drawn) == pytest.approx(variance, rel=0.25)


def test_no_split_says_that_nothing_is_held_out(cars):
    split = split_table(cars, NoSplit(name="none"))
    assert not split.held_out
    assert split.valid is None
    assert split.train is split.test is cars


def test_a_part_without_a_class_is_refused_with_the_cure():
    """G16: a split that leaves a part without a class is refused and another is suggested."""
    table = make_table({"a": ["x"] * 21}, [0] * 20 + [1])
    with pytest.raises(DataError) as refusal:
        split_table(table, STRATIFIED)
    lines = str(refusal.value).splitlines()
    assert [line.split()[0] for line in lines] == ["valid", "test"]
    assert all("got 0 rows of class 1" in line and "split=none" in line for line in lines)


def test_without_valid_rows_there_is_no_valid_part(cars):
    split = split_table(cars, StratifiedSplit(name="stratified", valid=0.0))
    assert split.valid is None
    assert split.sizes == (1382, 0, 346)


def test_repeating_rows_does_not_change_the_sizes(cars):
    counted = make_table({"a": ["x", "y"]}, [0, 1], [50, 50])
    assert (
        split_table(counted, STRATIFIED).sizes == split_table(repeated(counted), STRATIFIED).sizes
    )


TOGETHER = StratifiedSplit(name="stratified", copies="together")


def visits(seed=0, n=200):
    """Entities of one row and of up to forty, of either class and of both."""
    rng = np.random.default_rng(seed)
    entity = np.concatenate([np.arange(n), rng.integers(0, n, n // 4)])
    y = rng.random(len(entity)) < 0.3
    names = {"a": [f"e{i}" for i in entity], "x": entity / 7}
    return make_table(names, y, rng.geometric(0.2, len(entity)).clip(max=40))


def test_rows_of_equal_attributes_are_kept_together_where_copies_says_so():
    def shared(settings):
        split = split_table(visits(), settings)
        train, *others = (set(part.frame["a"]) for part in (split.train, split.valid, split.test))
        return len(train & (others[0] | others[1])) + len(others[0] & others[1])

    assert shared(TOGETHER) == 0
    assert shared(STRATIFIED) > 0  # negative control


def test_parts_of_entities_hold_every_row_once_and_both_classes_as_near_as_they_can():
    for seed in range(20):
        table = visits(seed)
        split = split_table(table, TOGETHER)
        parts = split.train, split.valid, split.test
        assert sum(split.sizes) == table.count.sum()
        for part, share in zip(parts, (0.6, 0.2, 0.2), strict=True):
            # Of each stratum half an entity at either end.
            assert part.count.sum() == pytest.approx(share * table.count.sum(), abs=2 * 40)
            assert part.share == pytest.approx(table.share, abs=0.15)


def test_the_seed_of_the_split_decides_which_entities_are_together():
    tests = [split_table(visits(), TOGETHER).test.frame for _ in range(2)]
    assert tests[0].equals(tests[1])
    other = StratifiedSplit(name="stratified", copies="together", seed=1)
    assert not split_table(visits(), other).test.frame.equals(tests[0])
