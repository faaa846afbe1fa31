"""The page of a search: its trials in order, the lowest so far, and what sets them apart."""

import math
from dataclasses import replace

import compare_builders as made

from pipeline.compare.page import page
from pipeline.compare.page.levels import Levels
from pipeline.compare.page.search_figures import draw_importances, draw_trials
from pipeline.compare.search_findings import edge_sentences, search_sentences
from pipeline.compare.trials import Scale, Search, Trial

RATE = "optimiser.learning_rate"
LOSSES = (0.4, None, 0.5, 0.3, None)
ENDED = {1: "pruned", 4: "failed"}
SCALES = {RATE: Scale(0.01, 3.0, "log")}


def search(**more) -> Search:
    trials = tuple(
        Trial(n, {RATE: 0.02 * 3**n, "encode": made.EVIL}, ENDED.get(n, "complete"), loss)
        for n, loss in enumerate(LOSSES)
    )
    return Search(trials, **{"scales": SCALES, "importances": {RATE: 0.75, "encode": 0.25}} | more)


def test_each_trial_has_a_mark_and_the_line_is_the_lowest_so_far():
    figure = draw_trials(search())
    line, complete, pruned, failed = figure.data
    assert [*line.y] == [0.4, 0.4, 0.4, 0.3, 0.3]
    assert ([*complete.x], [*complete.y]) == ([0, 2, 3], [0.4, 0.5, 0.3])
    assert ([*pruned.x], [*failed.x]) == ([1], [4])
    assert pruned.y[0] == failed.y[0] > 0.5
    none = search()
    assert draw_trials(replace(none, trials=none.trials[1:2])) is None


def test_importances_are_bars_the_largest_on_top():
    figure = draw_importances(search())
    assert [*figure.data[0].x] == [75, 25]
    assert [*figure.layout.yaxis.ticktext] == ["learning_rate", "encode"]
    assert draw_importances(search(importances={})) is None


def test_numbers_that_were_drawn_stand_to_scale_however_few_they_are():
    """The control: the same numbers of a grid have a place each."""
    assert Levels.of([0.1, 1.0], SCALES[RATE]).kind == "log"
    assert Levels.of([0.1, 1.0]).kind == "category"


def test_the_page_shows_a_search_in_place_of_shares_and_no_text_of_it_is_markup():
    text = page(made.grid(search=search()))
    assert {"trials", "importances"} <= made.Page(text).data["figures"].keys()
    assert "which is a heuristic" in text
    assert "Shares of the variance" not in text
    assert "<script>alert" not in text
    assert "Shares of the variance" in page(made.grid())


def test_the_lowest_of_many_is_called_optimistic():
    (sentence,) = search_sentences(made.grid(search=search()))
    assert "Of 5 trials (1 pruned, by a heuristic; 1 failed) number 3 has the lowest" in sentence
    assert "0.3000: the lowest of many, and so optimistic" in sentence
    assert not [*search_sentences(made.grid())]


def test_a_best_value_at_an_end_of_its_scale_is_named():
    """The control: one a tenth of the scale away is not, nor one with which few tie."""
    comparison, names = made.grid(search=search()), {RATE: "learning_rate"}

    def said(*values):
        return [*edge_sentences(comparison, [{RATE: value} for value in values], names)]

    assert said(2.9) == ["The best learning_rate, 2.9, is at the end of its scale, 3: widen it."]
    assert "scale, 0.01: widen it" in said(0.0101)[0]
    at_a_tenth = 0.01 * 300**0.9
    assert math.isclose(SCALES[RATE].place(at_a_tenth), 0.9)
    assert said(at_a_tenth) == said(2.9, 0.1, 0.2) == []
