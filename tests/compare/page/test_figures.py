"""Each figure shows what the runs hold, at places where a reader expects it."""

import base64
import json
import math

import compare_builders as made
import numpy as np
import plotly.graph_objects as go
import pytest

from pipeline.compare.comparison import VALID_LOSS, Candidate, Shares
from pipeline.compare.labels import short_names
from pipeline.compare.page.document import _figures
from pipeline.compare.page.levels import MAX_CATEGORIES, Levels
from pipeline.compare.page.loss_curves import draw_loss_curves, mean_curve
from pipeline.compare.page.parallel_axes import draw_parallel_axes
from pipeline.compare.page.parameter_panels import draw_parameter_panels
from pipeline.compare.page.share_bars import draw_share_bars


def unpacked(array) -> np.ndarray:
    return np.frombuffer(base64.b64decode(array["bdata"]), array["dtype"])


@pytest.fixture(scope="module")
def usual():
    return made.with_failures(made.grid())


def test_every_figure_is_written_and_read_again(usual):
    for comparison in (usual, made.hostile()):
        for figure in _figures(comparison).values():
            tree = json.loads(json.dumps(figure.to_dict(), allow_nan=False))
            assert go.Figure(tree).to_dict() == figure.to_dict()


# --- loss curves -----------------------------------------------------------------------------


def test_ten_curves_are_coloured_and_the_others_are_one_trace_with_gaps(usual):
    grey, *leaders = draw_loss_curves(usual).to_dict()["data"]
    assert len(leaders) == 2 * 10
    assert np.isnan(unpacked(grey["y"])).sum() == 20
    assert grey["connectgaps"] is False
    assert [t["line"]["dash"] for t in leaders] == ["solid", "dot"] * 10
    assert sum(t["showlegend"] for t in leaders) == 10
    assert leaders[0]["name"] == "1. learning_rate=0.3, optimiser=adam"  # crosses are alike


def test_a_curve_is_the_mean_over_the_seeds(usual):
    mean = sum(run.curve["valid_loss"] for run in usual.candidates[0].runs) / 5
    drawn = draw_loss_curves(usual).to_dict()["data"][1]
    np.testing.assert_allclose(unpacked(drawn["y"]), mean, rtol=2**-23)  # float32 rounds once
    np.testing.assert_array_equal(unpacked(drawn["x"]), np.arange(61))


def test_curves_of_seeds_that_ended_early_are_compared_as_far_as_all_go():
    short, long = made.curve(0.1, 40), made.curve(0.2, 60)
    curve = mean_curve(Candidate({}, (made.run({}, 0, curve=short), made.run({}, 1, curve=long))))
    assert curve["epoch"][-1] == 40
    wanted = (short["valid_loss"] + long["valid_loss"][:41]) / 2
    np.testing.assert_allclose(curve["valid_loss"], wanted, rtol=1e-15)


def test_without_any_curve_there_is_no_figure():
    assert draw_loss_curves(made.compared({"a": (1, 2)}, np.ones((2, 1)))) is None


def test_a_long_curve_is_thinned_and_keeps_both_ends():
    curve = mean_curve(Candidate({}, (made.run({}, curve=made.curve(0.1, 5000)),)))
    epochs = curve["epoch"]
    assert len(epochs) <= 150
    assert (epochs[0], epochs[-1]) == (0, 5000)


# --- parallel axes ---------------------------------------------------------------------------


def test_parallel_axes_are_one_per_parameter_and_the_loss_last(usual):
    (trace,) = draw_parallel_axes(usual).to_dict()["data"]
    rate, choice, _, loss = trace["dimensions"]
    assert rate["ticktext"] == ["0.01", "0.03", "0.1", "0.3", "1"]
    assert set(rate["values"]) <= set(rate["tickvals"])
    assert choice["ticktext"] == ["adam", "gradient_descent", "momentum"]
    mean = [candidate.mean_metric(VALID_LOSS) for candidate in usual.candidates]
    np.testing.assert_allclose(loss["values"], mean, rtol=1e-5)
    assert trace["meta"] == list(range(1, 31))


def test_many_numbers_over_decades_stand_by_their_logarithm():
    rates = tuple(10 ** np.linspace(-4, 0, 20))
    (trace,) = draw_parallel_axes(made.grid({made.RATE: rates})).to_dict()["data"]
    axis = trace["dimensions"][0]
    assert axis["label"] == "log₁₀ learning_rate"
    np.testing.assert_allclose(sorted(axis["values"]), np.linspace(-4, 0, 20), atol=1e-5)


# --- parameters ------------------------------------------------------------------------------


def test_a_panel_shows_every_run_by_value_with_the_means():
    comparison = made.grid({made.CHOICE: ("adam", "momentum"), made.CROSSES: ("[]", "[[a, b]]")})
    points, means = draw_parameter_panels(comparison, 4)[0].data
    runs = [(c, run) for c in comparison.candidates for run in c.runs]
    for level, name in enumerate(("adam", "momentum")):
        losses = [r.validation_loss for c, r in runs if c.params[made.CHOICE] == name]
        here = np.rint(points.x) == level
        np.testing.assert_allclose(np.sort(points.y[here]), np.sort(losses), rtol=2**-23)
        assert means.y[level] == pytest.approx(np.mean(losses), rel=2**-23)


def test_a_run_that_diverged_stands_above_all_others(usual):
    points, lost, means = draw_parameter_panels(usual, 30)[0].data
    assert min(lost.y) > max(points.y)
    assert np.rint(max(lost.x)) == 5  # 10.0, after five smaller rates
    assert 5 not in means.x
    assert list(lost.customdata) == [30 + 150, 30 + 151]


def test_numbers_of_a_random_search_are_drawn_to_scale():
    rates = tuple(10 ** np.linspace(-4, 0, 20))
    (figure,) = draw_parameter_panels(made.grid({made.RATE: rates}, seeds=1), 20)
    assert figure.layout.xaxis.type == "log"
    np.testing.assert_allclose(np.sort(figure.data[0].x), rates, rtol=2**-23)


MANY = tuple(range(MAX_CATEGORIES + 1))


@pytest.mark.parametrize(
    ("values", "kind", "places"),
    [
        ((0.01, 0.1, 1.0), "category", [0, 1, 2]),
        ((3, 1, 2), "category", [2, 0, 1]),
        (("b", "a", None), "category", [1, 0, 2]),
        ((True, False), "category", [1, 0]),
        ((1, "1", None, 2.5), "category", [0, 2, 3, 1]),
        ((math.inf, 1.0), "category", [1, 0]),
        ((), "category", []),
        (MANY, "linear", MANY),
        ((*MANY[1:], 1e6), "log", (*MANY[1:], 1e6)),
        ((*MANY, 1e6), "linear", (*MANY, 1e6)),  # 0 has no logarithm
        ((*MANY, "a"), "category", (*MANY, len(MANY))),
    ],
)
def test_values_stand_where_a_reader_expects_them(values, kind, places):
    levels = Levels.of(values)
    assert levels.kind == kind
    np.testing.assert_array_equal(levels.places(values), places)


# --- shares ----------------------------------------------------------------------------------


def test_bars_hold_all_of_the_variance():
    names = [f"p{i}" for i in range(9)]
    pairs = {(a, b): 0.01 for i, a in enumerate(names) for b in names[:i]}
    main = dict.fromkeys(names, 0.05)
    figure = draw_share_bars(Shares(main, pairs, 1 - 0.45 - 0.36 - 0.04, 0.04))
    (bars,) = figure.data
    assert sum(bars.x) == pytest.approx(100, abs=1e-9)
    assert len(bars.x) == 18
    texts = list(figure.layout.yaxis.ticktext)
    assert "30 other pairs" in texts
    assert texts[-2:] == ["three or more together", "repeats"]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_what_three_do_together_is_a_bar_of_three_parameters_or_more(n):
    texts = draw_share_bars(made.shares(("a", "b", "c")[:n])).layout.yaxis.ticktext
    assert ("three or more together" in texts) == (n > 2)
    assert len(texts) == n + n * (n - 1) // 2 + (n > 2) + 1


def test_names_of_bars_are_short():
    texts = draw_share_bars(made.shares((made.RATE, made.CHOICE))).layout.yaxis.ticktext
    assert set(short_names((made.RATE, made.CHOICE)).values()) < set(texts)
