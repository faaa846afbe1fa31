"""A split that does not fit the contract is refused, with a setting that mends it when typed."""

import pytest

from pipeline.config.compose import configuration
from pipeline.errors import ConfigError


def refusal(*words):
    with pytest.raises(ConfigError) as caught:
        configuration(list(words))
    return str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        ["split=group"],
        ["split=group", "data.columns.doors.kind=ignored"],
        ["split=time"],
        ["split=time", "data.columns.doors.kind=date", "data.columns.persons.kind=date"],
        ["split=files"],
        ["data.test=data/b.csv"],
        ["split=group", "data=breast_cancer"],
    ],
)
def test_the_cure_of_a_split_works_when_it_is_typed(words):
    """The cure is the last word of the message; a group or date may be the one ignored column."""
    cure = refusal(*words).split(": ")[-1]
    assert configuration([*words, cure])


@pytest.mark.parametrize(
    ("words", "rule"),
    [
        (["split=folds", "split.fold=5"], r"split.fold must be below split.folds, 5; got 5"),
        (["split=folds", "split.test=0.0"], "split.test must be above 0"),
        (
            ["split=time", "data.columns.doors.kind=date", "split.column=dors"],
            "split.column must name a column of kind date (doors); got 'dors'; did you mean doors?",
        ),
        (
            ["split=time", "data.columns.doors.kind=date", "split.test_from=yesterday"],
            "split.test_from must be a date in ISO 8601, as 2024-12-31; got 'yesterday'",
        ),
        (
            ["split=time", "data.columns.doors.kind=date", "split.valid_from=2024-02-01",
             "split.test_from=2024-01-01"],
            "split.valid_from must be before test_from; got 2024-02-01 and 2024-01-01",
        ),
        (["data.columns.doors.kind=weight", "train.batch_size=8"], "train.batch_size must be null"),
        (["split=files", "data.valid=a.csv"], "data.test must be given"),
        (["split=files", "data.test=a.csv", "train.patience=9"], "train.patience must be null"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(words, rule):
    assert rule in refusal(*words)


def test_a_split_by_time_takes_dates_as_they_are_typed():
    words = ["split=time", "data.columns.doors.kind=date", "split.test_from=2024-01-01"]
    assert configuration(words).split.test_from == "2024-01-01"
