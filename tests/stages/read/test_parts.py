"""A table in several files: read alike, digested together, and each fault in its own file."""

import pytest

from pipeline.config.contract import DataSettings
from pipeline.config.split_settings import FilesSplit
from pipeline.errors import DataError
from pipeline.stages.read import read_rows
from pipeline.stages.split import split_table
from pipeline.stages.validate import validate

ROWS = ["a,yes\n", "b,no\n"]


def settings(folder, **more):
    tree = {
        "name": "t", "path": str(folder / "train.csv"), "test": str(folder / "test.csv"),
        "valid": str(folder / "valid.csv"), "target": {"name": "y", "positive": ["yes"]},
        "columns": {"x": {"kind": "categorical", "categories": ["a", "b"]}}, "min_rows": 1,
    }  # fmt: skip
    return DataSettings.parse(tree | more)


@pytest.fixture
def folder(tmp_path):
    for name, times in (("train", 30), ("valid", 10), ("test", 20)):
        (tmp_path / f"{name}.csv").write_text("x,y\n" + "".join(ROWS * times))
    return tmp_path


def test_each_file_is_its_part(folder):
    data = settings(folder)
    split = split_table(validate(read_rows(data), data).require(), FilesSplit(name="files"))
    assert split.sizes == (60, 20, 40)
    assert split.held_out


def test_without_a_file_to_validate_on_there_is_no_such_part(folder):
    data = settings(folder, valid=None)
    split = split_table(validate(read_rows(data), data).require(), FilesSplit(name="files"))
    assert (split.sizes, split.valid) == ((60, 0, 40), None)


def test_the_digest_covers_every_file_and_where_a_row_is(folder):
    def digest(**more):
        return read_rows(settings(folder, **more)).digest

    before = digest()
    assert digest() == before
    swapped = digest(valid=str(folder / "test.csv"), test=str(folder / "valid.csv"))
    found = {before, swapped, digest(valid=None), digest(valid=None, test=None)}
    (folder / "test.csv").write_text("x,y\n" + "".join(ROWS * 20) + "a,no\n")
    assert len({*found, digest()}) == 5


def test_a_fault_names_its_file_and_lines(folder):
    (folder / "test.csv").write_text("x,y\na,yes\nc,no\nb,no\n")
    data = settings(folder)
    (found,) = validate(read_rows(data), data).violations
    assert found.lines == (3,)
    assert found.message.startswith(f"{folder}/test.csv: column x must")


def test_a_file_that_is_not_there_is_named(folder):
    (folder / "valid.csv").unlink()
    with pytest.raises(DataError, match=r"valid\.csv"):
        read_rows(settings(folder))


def test_a_part_of_one_class_says_what_to_do(folder):
    (folder / "test.csv").write_text("x,y\na,yes\n")
    data = settings(folder)
    table = validate(read_rows(data), data).require()
    with pytest.raises(DataError, match=r"test must hold both classes.*into its file"):
        split_table(table, FilesSplit(name="files"))
