"""Ten thousand runs are compared, and shown on a page that says what it leaves out."""

import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from compare_builders import GRID, RATE, compared, curve

from pipeline.compare import ties
from pipeline.compare.comparison import Comparison
from pipeline.compare.page import page
from pipeline.compare.page.document import plotly
from pipeline.compare.page.loss_curves import MAX_CURVES, draw_loss_curves, shown_places
from pipeline.compare.page.parameter_panels import MAX_POINTS, draw_parameter_panels
from pipeline.compare.ties import find_ties

PAGE_BYTES = 2000  # per run


def many(k: int, losses: np.ndarray | None = None) -> Comparison:
    """A comparison of k candidates of one run, on a grid of ten rates."""
    levels = {RATE: tuple(round(0.1 * i, 1) for i in range(1, 11)), "train.l2": (*range(k // 10),)}
    table = np.linspace(0.1, 0.5, k) if losses is None else losses
    made, of = compared(levels, table.reshape(10, k // 10, 1), tied=3), curve(0.2, 20)
    found = [
        replace(each, runs=tuple(replace(run, curve=of) for run in each.runs))
        for each in made.candidates
    ]
    return replace(made, candidates=tuple(found))


def test_the_page_of_many_runs_is_small_and_says_what_is_left_out():
    text = page(many(3000))
    assert len(text) - len(plotly()) < PAGE_BYTES * 3000
    assert len(re.findall(r'<td class="n">\d+</td>\n<td class="verdict">', text)) == 1000
    words = " ".join(text.split())
    assert "The first 1,000 of 3,000 candidates are listed" in words
    assert "of which every 8th is drawn, by rank" in words
    assert "of 3,000 runs at most 2,000 are drawn" in words
    few = " ".join(page(compared(GRID, np.full((5, 3, 2, 1), 0.1))).split())
    for said in ("are listed;", "is drawn, by rank", "evenly by rank", "Bonferroni"):
        assert said not in few


def test_curves_are_left_out_evenly_and_the_leaders_never():
    for n in (0, 1, 9, 10, 11, 410, 411, 10_000):
        places = shown_places(n)
        assert places[:10] == [*range(min(n, 10))]
        assert len(places) <= 10 + MAX_CURVES
        assert len({b - a for a, b in pairwise(places[10:])}) <= 1
        assert places == sorted(set(places))
        assert n > 410 or places == [*range(n)]
    n = len(shown_places(3000)) - 10
    assert draw_loss_curves(many(3000)).data[0].name == f"{n} of the other 2,990"
    assert draw_loss_curves(many(300)).data[0].name == "the other 290"


def test_a_bar_is_the_mean_over_all_runs_though_some_points_are_left_out():
    """The control: the mean over the points that are drawn is another one."""
    losses = np.random.default_rng(0).lognormal(-1, 1, 5000)
    comparison = many(5000, losses)
    panel = draw_parameter_panels(comparison, 5000)[0]
    points, bars = panel.data[0], panel.data[-1]
    assert len(points.x) <= MAX_POINTS
    by_rate = losses.reshape(10, -1).mean(axis=1)
    assert np.allclose(bars.y, by_rate, rtol=1e-6)
    drawn = [np.mean(np.array(points.y)[np.rint(points.x) == place]) for place in range(10)]
    assert not np.allclose(drawn, by_rate, rtol=1e-3)


def test_bounds_of_very_many_candidates_are_wider_than_drawn_ones_and_hold_for_any_dependence(
    monkeypatch,
):
    rng = np.random.default_rng(1)
    rows = rng.exponential(0.2, 80)
    losses = [(rows * rng.uniform(0.9, 1.1, 80))[None] for _ in range(40)]
    seeds, count = [[0]] * 40, np.ones(80)
    drawn = find_ties(losses, seeds, count)
    monkeypatch.setattr(ties, "MAX_DRAWN", 39)
    bounded = find_ties(losses, seeds, count)
    assert (bounded.mean == drawn.mean).all()
    assert (bounded.low == drawn.low).all()
    assert (bounded.excess_high >= drawn.excess_high).all()
    assert bounded.excess_high.sum() > drawn.excess_high.sum()
    assert (bounded.tied >= drawn.tied).all()


@pytest.mark.exhaustive
def test_ten_thousand_candidates_are_compared_in_bounded_memory():
    rng = np.random.default_rng(2)
    rows = rng.exponential(0.2, 300)
    losses = [
        (rows * np.exp(0.01 * rng.standard_normal(300)) + i * 1e-3)[None] for i in range(10_000)
    ]
    board = find_ties(losses, [[0]] * 10_000, np.ones(300))
    assert board.tied[0]
    assert not board.tied[-1]


def test_equal_comparisons_have_equal_pages():
    comparison = many(500)
    assert page(comparison) == page(replace(comparison))
