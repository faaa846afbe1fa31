"""Names and figures are short, plain, and distinguish what is different."""

import math

import pytest

from pipeline.compare.labels import (
    format_difference,
    format_interval,
    format_number,
    format_params,
    format_share,
    format_value,
    short_names,
    short_value,
)


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["optimiser.learning_rate"], ["learning_rate"]),
        (["optimiser.name", "data.name"], ["optimiser", "data"]),
        (["a.seed", "b.seed", "seed"], ["a.seed", "b.seed", "seed"]),
        (["a.b.c", "x.b.c", "b.d"], ["a.b.c", "x.b.c", "d"]),
        (["optimiser", "optimiser.name"], ["optimiser", "optimiser.name"]),
        ([], []),
    ],
)
def test_names_are_as_short_as_they_can_be_told_apart(names, short):
    assert list(short_names(names).values()) == short


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12345, "0.1235"), (0.0, "0.0000"), (2e-7, "2.00e-07"), (-0.5, "-0.5000"),
     (123456.0, "1.23e+05"), (math.nan, "–"), (math.inf, "∞"), (-math.inf, "-∞")],
)  # fmt: skip
def test_figures_are_short_and_never_round_to_nothing(value, text):
    assert format_number(value) == text


def test_differences_have_a_sign_and_intervals_two_ends():
    assert [format_difference(x) for x in (0.5, 0.0, -0.5)] == ["+0.5000", "0.0000", "-0.5000"]
    assert format_interval(0.1, 0.2) == "0.1000 to 0.2000"
    assert format_interval(math.nan, math.nan) == "–"
    assert format_share(0.3456) == "34.6 %"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (True, "true"), (0.1, "0.1"), (1e-5, "1e-05"), (1 / 3, "0.3333333333333333"),
     (3, "3"), ("adam", "adam"), ("a\nb", "a\\nb")],
)  # fmt: skip
def test_settings_read_as_a_person_writes_them(value, text):
    assert format_value(value) == text


def test_a_number_drawn_at_random_is_shown_short():
    rates = (0.9767978278601162, 0.1, 0.30000000000000004)
    assert [short_value(rate) for rate in rates] == ["0.9768", "0.1", "0.3"]
    assert short_value("a" * 99, 10) == "a" * 9 + "…"


def test_a_legend_shortens_names_before_the_values_that_distinguish_candidates():
    params = {"optimiser.learning_rate": 0.1, "encode.unseen_categories": "refuse", "a.b": "x" * 9}
    names = short_names(params)
    whole = "learning_rate=0.1, unseen_categories=refuse, b=xxxxxxxxx"
    assert format_params(params, names, 99) == whole
    for length in range(32, len(whole)):
        text = format_params(params, names, length)
        assert len(text) <= length
        assert [part.partition("=")[2] for part in text.split(", ")] == ["0.1", "refuse", "x" * 9]
    assert len(format_params(params, names, 20)) == 20
    assert format_params({}, {}, 99) == "the one configuration"


def test_no_value_takes_more_than_its_part_of_a_legend():
    params = {"a.crosses": "[[buying, maint], [doors, persons, lug_boot]]", "b.rate": 0.1}
    assert (
        format_params(params, short_names(params), 50)
        == "crosses=[[buying, maint], [doors…, rate=0.1"
    )
