"""The figures show what the results hold, all of it is legible, and no result is too extreme."""

import math
import os
import struct
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import combinations

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

from pipeline.config import RunConfig
from pipeline.lineage import Lineage
from pipeline.plots import drawings, figures, style
from pipeline.run import RunResult
from pipeline.stages.certify import Certificate
from pipeline.stages.evaluate import Evaluation
from pipeline.stages.explain import Effect, Effects, Importance
from pipeline.stages.surface import Surface
from pipeline.stages.train import Trained

ALL = {
    "curves", "surface", "effects", "importance", "confusion", "roc", "precision_recall",
    "calibration",
}  # fmt: skip
SCORES = ALL - {"curves", "surface", "effects", "importance"}
LINEAGE = Lineage(
    identity="0" * 32, data_digest="d", code_digest="c", code_files={}, git_commit=None,
    git_dirty=None, git_diff=None, versions={}, platform="p", blas="b", blas_threads=1,
)  # fmt: skip


def config(*, held_out=True, l2=0.0, name="pears", positive=("ripe",), negative=("green",)):
    return RunConfig.parse(
        {
            "seed": 0,
            "data": {
                "name": name,
                "path": "pears.csv",
                "target": {"name": "state", "positive": positive, "negative": negative},
                "columns": {"colour": {"kind": "categorical"}},
            },
            "split": {"name": "stratified"} if held_out else {"name": "none"},
            "encode": {},
            "optimiser": {"name": "gradient_descent", "learning_rate": 0.1},
            "train": {"epochs": 500, "l2": l2},
            "evaluate": {},
        }
    )


def trained(epochs=500, *, best=None, valid=True, ended="epochs", penalty=0.0):
    epoch = np.arange(epochs + 1.0)
    curve = {
        "epoch": epoch,
        "train_cost": 0.15 + 0.6 / (1 + epoch / 5),
        "train_accuracy": 0.953 - 0.4 / (1 + epoch / 3),
    }
    curve["objective"] = curve["train_cost"] + penalty * epoch / max(epochs, 1)
    if valid:
        curve["valid_cost"] = 0.16 + 0.62 / (1 + epoch / 5) + epoch * 1e-5
        curve["valid_accuracy"] = 0.945 - 0.4 / (1 + epoch / 3)
    best = epochs if best is None else best
    return Trained(np.zeros(2), ("colour=red",), curve, best, ended)


def evaluation(*, held_out=True):
    """Twelve rows that a person can count: p = 0.1 0.2 … by hand."""
    return Evaluation(
        held_out=held_out,
        n_rows=12,
        n_positive=5,
        threshold=0.5,
        metrics={
            "accuracy": 0.75, "accuracy_low": 0.468, "accuracy_high": 0.911,
            "roc_auc": 0.8, "roc_auc_low": 0.48, "roc_auc_high": 0.95,
            "pr_auc": 0.7, "expected_calibration_error": 0.123,
        },
        baseline={},
        confusion=((5, 2), (1, 4)),
        roc=np.array([[0, 0, 1], [0, 0.6, 0.8], [2 / 7, 0.8, 0.5], [1, 1, 0.1]]),
        pr=np.array([[1, 5 / 12], [0.8, 4 / 6], [0.6, 1], [0, 1]]),
        calibration=np.array([[0.15, 0.0, 4], [0.45, 0.5, 2], [0.97, 4 / 6, 6]]),
    )  # fmt: skip


def effect(attribute, label, log_odds, error=0.4):
    ends = (None, None) if error is None else (log_odds - 1.96 * error, log_odds + 1.96 * error)
    ratio = float(np.exp(np.clip(log_odds, -700, 700)))
    return Effect(attribute, label, log_odds, error, ratio, *ends)


def pear_effects():
    colour = [effect("colour", "red", 1.5), effect("colour", "green", -1.5, None)]
    size = [effect("size", "per deviation", 0.3)]
    shape = [effect("shape", label, x) for label, x in zip("abc", (0.9, -1.2, 0.3), strict=True)]
    ranking = (Importance("shape", 0.4), Importance("colour", 0.1), Importance("size", -0.01))
    return Effects((*colour, *size, *shape), ranking, 0.0)


def surface(path=((-4.0, 0.2), (-3.0, 0.1), (-1.0, -0.3), (0.0, 0.0)), low=0.2):
    """A bowl about its lowest point, and a path down to near it."""
    places = np.linspace(-6, 6, 81)
    height = low + 0.05 * (places[None, :] ** 2 + places[:, None] ** 2)
    return Surface(places, places, height, np.array(path), 0.987)


def result(**changes):
    whole = RunResult(
        config(), LINEAGE, n_train=1036, n_valid=346, n_test=12, trained=trained(),
        certificate=Certificate("converged", 1e-9, 1e-9, 0.12, 1e-6, 1e-11),
        evaluation=evaluation(), effects=pear_effects(), surface=surface(),
    )  # fmt: skip
    return replace(whole, **changes)


def many(groups, size, *, scale=1.0, name="attribute"):
    rng = np.random.default_rng(0)
    found = [
        effect(f"{name} {g}", f"category {c}", scale * float(rng.normal()))
        for g in range(groups)
        for c in range(size)
    ]
    ranking = tuple(Importance(f"{name} {g}", 1 / (g + 1)) for g in range(groups))
    return Effects(tuple(found), ranking, 0.0)


def scored(p, y):
    """An evaluation of rows with probabilities p and labels y, by scikit-learn."""
    from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve

    fpr, tpr, cut = roc_curve(y, p)
    precision, recall, _ = precision_recall_curve(y, p)
    bins = np.minimum((p * 10).astype(int), 9)
    return replace(
        evaluation(),
        n_rows=len(y),
        n_positive=int(y.sum()),
        confusion=tuple(map(tuple, confusion_matrix(y, p >= 0.5, labels=[0, 1]).tolist())),
        roc=np.column_stack([fpr, tpr, np.minimum(cut, 1)]),
        pr=np.column_stack([recall, precision]),
        calibration=np.array(
            [[p[bins == b].mean(), y[bins == b].mean(), (bins == b).sum()] for b in np.unique(bins)]
        ),
    )


LABELS = np.repeat([0.0, 1.0], [70, 30])
LONG = "a name that nobody would want to read to its end, and yet somebody wrote it " * 2
ODD = [
    "$\\$",
    "$\\frac{1}{",
    "a_b^{c}",
    "安全 🚗",
    "line\nbreak\x00\ttab",
    "W" * 200,
    "<b>",
    "الأمان",
]
EXTREMES = {
    "nothing strange": result(),
    "no path": result(surface=surface(((0.0, 0.0),))),
    "a path that returns": result(surface=surface(((0.0, 0.0), (3.0, 3.0), (0.0, 0.0)))),
    "a path of many epochs": result(
        surface=surface([(-4 * np.exp(-k / 3000), 0.1) for k in range(20_000)])
    ),
    "a surface that falls to nothing": result(surface=surface(low=0.0)),
    "a flat surface": result(surface=replace(surface(), objective=np.full((81, 81), 0.5))),
    "not certified": result(certificate=None),
    "no finite optimum": result(
        certificate=Certificate("no finite optimum", 0.1, 0.2, 1e-12, 0.1, 1e-11, ("colour=red",))
    ),
    "one epoch": result(trained=trained(1)),
    "killed at the start": result(
        trained=trained(0, ended="stopped"), evaluation=None, effects=None, surface=None
    ),
    "a million epochs": result(trained=trained(1_000_000, best=777)),
    "best in the middle": result(trained=trained(900, best=30, ended="patience")),
    "flat curve": result(
        trained=replace(trained(), curve={k: v * 0 + 0.5 for k, v in trained().curve.items()}
                        | {"epoch": np.arange(501.0)})
    ),
    "cost over many decades": result(
        trained=replace(trained(), curve=trained().curve
                        | {k: np.geomspace(1e5, 1e-300, 501) for k in ("train_cost", "valid_cost")})
    ),
    "cost of exactly zero": result(
        trained=replace(trained(), curve=trained().curve | {"train_cost": np.zeros(501)})
    ),
    "55 crossed categories": result(effects=many(1, 55)),
    "400 inputs": result(effects=many(100, 4)),
    "30 numbers": result(effects=many(30, 1)),
    "a single input": result(effects=many(1, 1)),
    "no effect at all": result(effects=many(3, 3, scale=0.0)),
    "tiny effects": result(effects=many(3, 3, scale=1e-12)),
    "huge effects": result(effects=many(3, 3, scale=1e5)),
    "no standard error": result(
        effects=Effects((effect("a", "x", 3.0, None), effect("a", "y", -3.0, None)),
                        (Importance("a", 0.0),), 0.0)
    ),
    "vast standard error": result(
        effects=Effects((effect("a", "x", 3.0, 1e9), effect("a", "y", -3.0, 1.0)),
                        (Importance("a", 1e-9),), 0.0)
    ),
    "perfect": result(evaluation=scored(LABELS, LABELS)),
    "always wrong": result(evaluation=scored(1 - LABELS, LABELS)),
    "constant probabilities": result(evaluation=scored(LABELS * 0 + 0.3, LABELS)),
    "nearly all positive": result(
        evaluation=scored(np.linspace(0.9, 1, 100), np.repeat([0.0, 1.0], [1, 99]))
    ),
    "a billion rows": result(
        n_train=3_000_000_000, n_valid=10**9,
        evaluation=replace(
            evaluation(), n_rows=10**9, confusion=((6 * 10**8, 10**8), (10**8, 2 * 10**8)),
            calibration=np.array([[0.2, 0.1, 8e8], [0.9, 0.8, 2e8]]),
        ),
    ),
    "long names": result(config=config(name=LONG, positive=(LONG,), negative=("no " + LONG, "no")),
                         effects=many(2, 3, name=LONG)),
    "odd names": result(
        config=config(name="$\\$ 安全", positive=("$\\$",), negative=("安全", "W" * 150)),
        effects=Effects(
            tuple(effect(a, b, 1.0) for a in ODD for b in ODD),
            tuple(Importance(a, 0.1) for a in ODD), 0.0,
        ),
    ),
    "other values of the target": result(config=config(negative=None)),
    "not held out": result(config=config(held_out=False), trained=trained(valid=False),
                           evaluation=evaluation(held_out=False), n_valid=0),
}  # fmt: skip


@pytest.fixture
def look():
    with style.look():
        yield


@pytest.fixture
def drawn(look):
    return drawings(result())


def texts(figure: Figure) -> list[Text]:
    """Every text that is seen, after drawing: not the labels of ticks outside of their axis."""
    figure.canvas.draw()
    axes = [axis for panel in figure.axes for axis in (panel.xaxis, panel.yaxis)]
    drawn = {id(tick) for axis in axes for tick in axis._update_ticks()}
    hidden = {
        id(label)
        for axis in axes
        for tick in (*axis.majorTicks, *axis.minorTicks)
        if id(tick) not in drawn
        for label in (tick.label1, tick.label2)
    }
    every = figure.findobj(Text)
    return [t for t in every if t.get_visible() and t.get_text() and id(t) not in hidden]


def words(figure: Figure) -> str:
    return "\n".join(t.get_text() for t in texts(figure))


def line(axes, label):
    (found,) = (one for one in axes.get_lines() if one.get_label() == label)
    return found


# Which figures there are


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ALL),
        ({"trained": None, "evaluation": None, "effects": None, "surface": None}, set()),
        ({"evaluation": None, "effects": None, "surface": None}, {"curves"}),
        ({"surface": None}, ALL - {"surface"}),
        ({"effects": None}, {"curves", "surface", *SCORES}),
        ({"evaluation": None}, {"curves", "surface", "effects", "importance"}),
    ],
)
def test_a_run_has_the_figures_of_the_stages_that_it_reached(changes, expected):
    assert set(figures(result(**changes))) == {f"figures/{name}.png" for name in expected}


def test_a_run_that_diverged_before_its_first_epoch_has_no_curve():
    empty = {name: values[:0] for name, values in trained().curve.items()}
    diverged = replace(trained(best=0, ended="diverged"), curve=empty)
    assert figures(result(trained=diverged, evaluation=None, effects=None, surface=None)) == {}


def test_every_figure_is_a_png_of_at_most_1080_pixels_across():
    for content in figures(result()).values():
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        width, height = struct.unpack(">II", content[16:24])
        assert 700 <= width <= 1080
        assert 250 <= height <= 1200


# What a figure says of its rows


def test_every_figure_of_a_held_out_run_says_so_and_how_many_rows_it_is_about(drawn):
    assert "1,036 train rows, 346 valid rows held out (pears)" in words(drawn["curves"])
    assert "learned from 1,036 train rows (pears)" in words(drawn["effects"])
    for name in (*SCORES, "importance"):
        assert "12 held-out test rows; 5 are ripe (pears)" in words(drawn[name])


def test_every_figure_of_a_run_that_is_not_held_out_warns(look):
    seen = drawings(EXTREMES["not held out"])
    for name in ALL - {"effects", "surface"}:
        (caption,) = (t for t in texts(seen[name]) if "NOT held out" in t.get_text())
        assert caption.get_color() == style.VERMILION


# Learning curves


@pytest.mark.parametrize("unit", ["cost", "accuracy"])
def test_the_curves_are_the_values_of_the_result(drawn, unit):
    axes = drawn["curves"].axes[unit == "accuracy"]
    for part in ("train", "valid"):
        epoch, values = line(axes, part).get_data()
        assert np.array_equal(epoch, trained().curve["epoch"])
        assert np.array_equal(values, trained().curve[f"{part}_{unit}"])


def test_the_axes_of_the_curves_have_units(drawn):
    cost, accuracy = drawn["curves"].axes
    assert (cost.get_xlabel(), cost.get_ylabel()) == ("epoch", "cost (nats per row)")
    assert accuracy.get_ylabel() == "accuracy (share of rows)"


@pytest.mark.parametrize(
    ("l2", "penalty", "seen"), [(0.1, 0.3, True), (0.1, 1e-4, False), (0.0, 0.3, False)]
)
def test_the_objective_is_drawn_only_where_the_penalty_can_be_seen(look, l2, penalty, seen):
    run = result(config=config(l2=l2), trained=trained(penalty=penalty))
    cost, accuracy = drawings(run)["curves"].axes
    labels = [one.get_label() for one in cost.get_lines()]
    assert ("with l2" in labels) is seen
    assert "with l2" not in [one.get_label() for one in accuracy.get_lines()]


@pytest.mark.parametrize(
    ("verdict", "penalty", "name"),
    [
        ("converged", 0.0, "optimum"),
        ("stopped early", 0.3, "its optimum"),  # of the line above it, the cost with l2
        ("no finite optimum", 0.0, "infimum"),
    ],
)
def test_the_best_possible_cost_is_a_line(look, verdict, penalty, name):
    certificate = Certificate(verdict, 0.1, 0.2, 0.1234, 0.1, 1e-11)
    run = result(config=config(l2=0.1), trained=trained(penalty=penalty), certificate=certificate)
    drawn = drawings(run)["curves"]
    cost, accuracy = drawn.axes
    assert set(line(cost, name).get_ydata()) == {0.1234}
    assert f"{name} 0.123" in words(drawn)
    assert not any("optimum" in str(one.get_label()) for one in accuracy.get_lines())


def test_without_a_certificate_there_is_no_such_line(look):
    cost, _ = drawings(result(certificate=None))["curves"].axes
    assert not any("optimum" in str(one.get_label()) for one in cost.get_lines())


# The cost surface


def test_the_surface_holds_the_path_and_both_of_its_ends(drawn):
    panel, _ = drawn["surface"].axes
    descent = max(panel.get_lines(), key=lambda one: len(one.get_xdata()))
    assert np.array_equal(np.column_stack(descent.get_data()), surface().path)
    told = words(drawn["surface"])
    assert "epoch 0" in told
    assert "epoch 3" in told
    assert "The plane holds 98.7 % of the path's variance" in told


def test_distances_on_the_surface_are_true(drawn):
    panel, _ = drawn["surface"].axes
    drawn["surface"].canvas.draw()
    here, right, above = panel.transData.transform([(0, 0), (1, 0), (0, 1)])
    assert np.hypot(*(right - here)) == pytest.approx(np.hypot(*(above - here)))


def test_powers_of_ten_are_marked_where_they_stand_apart(look):
    path = np.column_stack([np.linspace(-5, 0, 1001), np.zeros(1001)])
    told = [t.get_text() for t in texts(drawings(result(surface=surface(path)))["surface"])]
    assert {"epoch 0", "epoch 1,000"} <= set(told)
    assert "1" not in told  # it would stand on epoch 0
    assert "100" not in told or "10" not in told


def test_the_kept_epoch_is_marked_on_the_valid_curve(look):
    run = result(trained=trained(best=321))
    for axes, unit in zip(drawings(run)["curves"].axes, ("cost", "accuracy"), strict=True):
        dots = [one for one in axes.get_lines() if one.get_marker() == "o"]
        assert [one.get_xydata().tolist() for one in dots] == [
            [[321, trained().curve[f"valid_{unit}"][321]]]
        ]
        assert "kept: epoch 321" in [t.get_text() for t in axes.texts]


def test_a_long_curve_is_thinned_to_points_of_it_with_both_ends_and_the_kept_one(look):
    long = trained(100_000, best=77_777)
    cost, _ = drawings(result(trained=long))["curves"].axes
    epoch, values = line(cost, "train").get_data()
    assert len(epoch) < 5000
    assert {0, 77_777, 100_000} <= set(epoch)
    assert np.array_equal(values, long.curve["train_cost"][epoch.astype(int)])


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        ("epochs", "500 epochs"),
        ("patience", "ended early, after 500 epochs"),
        ("diverged", "DIVERGED after epoch 500"),
        ("stopped", "STOPPED after epoch 500"),
    ],
)
def test_the_title_of_the_curves_says_how_training_ended(look, ended, said):
    assert said in words(drawings(result(trained=trained(ended=ended)))["curves"])


# Effects and importance


def dots_and_bars(axes):
    """Effects as drawn: {(place, log-odds): (low, high) or None}."""
    lines = [one.get_xydata() for one in axes.get_lines() if one.get_linestyle() == "-"]
    bars = {xy[0][1]: (xy[0][0], xy[1][0]) for xy in lines if xy[0][1] == xy[1][1]}
    dots = [one.get_xydata()[0] for one in axes.get_lines() if one.get_marker() == "o"]
    return {(y, x): bars.get(y) for x, y in dots}


def test_effects_are_drawn_from_the_most_important_attribute_with_their_intervals(drawn):
    axes = drawn["effects"].axes[0]
    shown = sorted(dots_and_bars(axes).items())
    order = [*pear_effects().effects[3:], *pear_effects().effects[:2], pear_effects().effects[2]]
    assert [x for (_, x), _ in shown] == [e.log_odds for e in order]
    for (_, bar), expected in zip(shown, order, strict=True):
        assert bar == (None if expected.low is None else (expected.low, expected.high))
    labels = [(t.get_text(), t.get_weight()) for t in axes.texts]
    assert [text for text, _ in labels] == ["shape", *"abc", "colour", "red", "green", "size"]
    assert [text for text, weight in labels if weight == "bold"] == ["shape", "colour", "size"]


def test_each_label_stands_at_the_height_of_its_effect(drawn):
    axes = drawn["effects"].axes[0]
    place = {t.get_text(): t.xy[1] for t in axes.texts}
    log_odds = {e.label: e.log_odds for e in pear_effects().effects}
    found = dict(list(dots_and_bars(axes)))
    assert found[place["b"]] == log_odds["b"]
    assert found[place["red"]] == log_odds["red"]
    assert found[place["size"]] == log_odds["per deviation"]


@pytest.mark.parametrize("scale", [1e-12, 0.05, 0.3, 1.0, 3.0, 20.0, 1e5])
def test_odds_ratios_stand_above_their_logarithms(look, scale):
    below, above = drawings(result(effects=many(3, 3, scale=scale)))["effects"].axes
    assert above.get_xlim() == below.get_xlim()
    ticks = {
        t.get_text(): x for t, x in zip(above.get_xticklabels(), above.get_xticks(), strict=True)
    }
    assert 3 <= len(ticks) <= 9
    assert ticks["1"] == 0
    inside = [x for x in ticks.values() if below.get_xlim()[0] <= x <= below.get_xlim()[1]]
    assert len(inside) == len(ticks)
    digits = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")
    for label, x in ticks.items():
        if label[2:] and label[2:] != label[2:].translate(digits):
            assert x == pytest.approx(int(label[2:].translate(digits)) * math.log(10))
        else:
            assert float(label.replace(",", "")) == pytest.approx(math.exp(x), rel=0.005)


def test_of_too_many_inputs_the_strongest_are_drawn_and_the_rest_is_counted(look):
    crowd = many(20, 4)
    figure = drawings(result(effects=crowd))["effects"]
    strongest = sorted((e.log_odds for e in crowd.effects), key=abs)[-60:]
    assert Counter(x for _, x in dots_and_bars(figure.axes[0])) == Counter(strongest)
    assert "20 weaker inputs left out" in words(figure)


def test_an_effect_whose_interval_leaves_out_zero_is_told_by_its_colour(look):
    three = (effect("a", "clear", 2.0), effect("a", "vague", 0.1), effect("a", "free", -2.1, None))
    run = result(effects=Effects(three, (Importance("a", 1.0),), 0.0))
    axes = drawings(run)["effects"].axes[0]
    dots = [one for one in axes.get_lines() if one.get_marker() == "o"]
    assert [one.get_markerfacecolor() for one in dots] == [style.BLUE, style.GREY, "white"]


def test_a_bar_that_runs_out_of_the_panel_ends_there_with_an_arrow(look):
    axes = drawings(EXTREMES["vast standard error"])["effects"].axes[0]
    low, high = axes.get_xlim()
    assert high == pytest.approx(1.06 * 1.6 * 3)
    assert dots_and_bars(axes)[1.0, 3.0] == (low, high)
    arrows = {one.get_marker(): one.get_xydata().tolist() for one in axes.get_lines()}
    assert (arrows["<"], arrows[">"]) == ([[low, 1.0]], [[high, 1.0]])


@pytest.mark.parametrize(
    ("effects", "unit"),
    [
        (many(3, 1), "effect (log-odds, per standard deviation)"),
        (many(3, 2), "effect (log-odds, from the mean of the attribute)"),
    ],
)
def test_the_axis_of_the_effects_says_what_they_are_measured_against(look, effects, unit):
    assert drawings(result(effects=effects))["effects"].axes[0].get_xlabel() == unit


def test_importance_is_drawn_as_ranked(drawn):
    (axes,) = drawn["importance"].axes
    assert [bar.get_width() for bar in axes.patches] == [0.4, 0.1, -0.01]
    place = {t.get_text(): t.xy[1] for t in axes.texts}
    assert [place[name] for name in ("shape", "colour", "size")] == [0, 1, 2]
    assert [place[value] for value in ("0.400", "0.100", "−0.010")] == [0, 1, 2]
    assert axes.get_xlabel() == "rise of the cost (nats per row)"
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first is at the top


# Scores


def test_the_confusion_figure_holds_counts_and_the_shares_of_each_true_class(drawn):
    (axes,) = drawn["confusion"].axes
    cells = {(t.get_position()[0], round(t.get_position()[1])): [] for t in axes.texts}
    for t in axes.texts:
        cells[t.get_position()[0], round(t.get_position()[1])].append(t.get_text())
    assert cells == {  # by (decision, truth)
        (0, 0): ["5", "71.4 % of 7"],
        (1, 0): ["2", "28.6 % of 7"],
        (0, 1): ["1", "20.0 % of 5"],
        (1, 1): ["4", "80.0 % of 5"],
    }
    assert [t.get_text() for t in axes.get_yticklabels()] == ["green", "ripe"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["green", "ripe"]
    assert "accuracy 0.750 (95 % 0.468 to 0.911)" in words(drawn["confusion"])


def test_the_roc_figure_holds_the_curve_the_area_and_the_point_of_decision(drawn):
    (axes,) = drawn["roc"].axes
    assert np.array_equal(line(axes, "neuron").get_xydata(), evaluation().roc[:, :2])
    (dot,) = (one for one in axes.get_lines() if one.get_marker() == "o")
    assert dot.get_xydata().tolist() == [[2 / 7, 4 / 5]]
    assert "area under the curve 0.800 (95 % 0.480 to 0.950)" in words(drawn["roc"])
    assert "chance" in words(drawn["roc"])


def test_the_precision_recall_figure_holds_the_curve_and_the_share_of_positive_rows(drawn):
    (axes,) = drawn["precision_recall"].axes
    assert np.array_equal(line(axes, "neuron").get_xydata(), evaluation().pr)
    (dot,) = (one for one in axes.get_lines() if one.get_marker() == "o")
    assert dot.get_xydata().tolist() == [[4 / 5, 4 / 6]]
    assert any(set(one.get_ydata()) == {5 / 12} for one in axes.get_lines())
    assert "every row called positive: 0.417" in words(drawn["precision_recall"])


def test_the_area_under_the_drawn_precision_recall_steps_is_the_average_precision(look):
    """The steps must lie on the side on which scikit-learn adds them up."""
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(3)
    p = rng.random(len(LABELS))
    (axes,) = drawings(result(evaluation=scored(p, LABELS)))["precision_recall"].axes
    recall, precision = line(axes, "neuron").get_path().vertices.T  # with the corners of the steps
    area = -np.trapezoid(precision, recall)
    assert area == pytest.approx(average_precision_score(LABELS, p), rel=1e-12)


def test_the_calibration_figure_holds_points_intervals_and_the_histogram(drawn):
    from scipy.stats import binomtest

    panel, histogram = drawn["calibration"].axes
    p, share, n = evaluation().calibration.T
    (points,) = (c for c in panel.collections if isinstance(c, PathCollection))
    assert np.array_equal(points.get_offsets(), np.column_stack([p, share]))
    (bars,) = (c for c in panel.collections if isinstance(c, LineCollection))
    for segment, x, positive, rows in zip(bars.get_segments(), p, share * n, n, strict=True):
        interval = binomtest(round(positive), int(rows)).proportion_ci(method="wilson")
        expected = [x, interval.low, x, interval.high]
        assert segment.ravel() == pytest.approx(expected, abs=1e-12)
    assert [bar.get_height() for bar in histogram.patches] == [4, 2, 6]
    assert [bar.get_x() for bar in histogram.patches] == pytest.approx([0.1, 0.4, 0.9])
    assert panel.get_xlim() == histogram.get_xlim()
    assert "calibration error 0.123 (10 equally wide bins)" in words(drawn["calibration"])


def test_a_neuron_that_never_decides_for_class_1_has_no_point_of_precision(look):
    never = replace(evaluation(), confusion=((7, 0), (5, 0)))
    (axes,) = drawings(result(evaluation=never))["precision_recall"].axes
    assert not [one for one in axes.get_lines() if one.get_marker() == "o"]


# Legible, whatever the result


def boxes(figure):
    return [(t.get_text(), t.get_window_extent()) for t in texts(figure)]


def outside(found, page):
    """Texts that the border of the figure would cut."""
    return [
        text
        for text, box in found
        if min(box.x0 - page.x0, page.x1 - box.x1, box.y0 - page.y0, page.y1 - box.y1) < 0
    ]


def overlapping(found):
    """Pairs of texts that lie on each other by more than two pixels both ways."""
    return [
        (one, other)
        for (one, a), (other, b) in combinations(found, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > 2 and min(a.y1, b.y1) - max(a.y0, b.y0) > 2
    ]


@pytest.mark.parametrize("name", EXTREMES)
def test_every_result_is_drawn_with_each_text_inside_its_figure_and_on_no_other(look, name):
    """Without a warning, too: warnings are errors here."""
    reached = drawings(EXTREMES[name])
    assert set(reached) == (ALL if EXTREMES[name].evaluation else {"curves"})
    for title, figure in reached.items():
        found = boxes(figure)
        assert (title, outside(found, figure.bbox), overlapping(found)) == (title, [], [])


def test_a_text_that_is_cut_or_covered_would_be_noticed(drawn):
    """The negative control of the test above."""
    figure = drawn["roc"]
    figure.text(0.95, 0.5, "a text too long for its place")
    figure.axes[0].text(0.5, 0.5, "one")
    figure.axes[0].text(0.5, 0.5, "other")
    found = boxes(figure)
    assert outside(found, figure.bbox) == ["a text too long for its place"]
    assert ("one", "other") in overlapping(found)


def test_labels_are_shown_character_by_character():
    assert style.plain("$\\$ a_b") == "$\\$ a_b"
    assert style.plain("é ≥ ×") == "é ≥ ×"
    assert style.plain("安🚗\n\x00") == "\\u5b89\\U0001f697\\n\\x00"


def test_mathematics_in_a_label_would_fail_in_the_look_of_matplotlib():
    """The negative control of the test above: what the house's look switches off."""
    figure = FigureCanvasAgg(Figure()).figure
    figure.text(0, 0, "$\\frac{1}{$")
    with pytest.raises(ValueError, match="frac"):
        figure.canvas.draw()


# The same bytes


def test_equal_results_give_equal_bytes():
    assert figures(result()) == figures(result())


def test_another_result_gives_other_bytes():
    one, other = figures(result()), figures(result(trained=trained(499)))
    assert [name for name in one if one[name] != other[name]] == ["figures/curves.png"]


def test_figures_neither_depend_on_the_settings_of_matplotlib_nor_change_them():
    expected = figures(result())
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.bbox": "tight"}):
        before = dict(mpl.rcParams)
        assert figures(result()) == expected
        assert dict(mpl.rcParams) == before


DIGEST = """
import hashlib, pickle, sys
from pipeline.plots import figures
drawn = figures(pickle.load(sys.stdin.buffer))
print(hashlib.sha256(b"".join(drawn[name] for name in sorted(drawn))).hexdigest())
print("pyplot" if "matplotlib.pyplot" in sys.modules else "no pyplot")
"""


@pytest.mark.slow
def test_two_processes_draw_the_same_bytes_and_need_no_pyplot():
    import hashlib
    import pickle

    drawn = figures(result())
    here = hashlib.sha256(b"".join(drawn[name] for name in sorted(drawn))).hexdigest()
    there = subprocess.run(
        [sys.executable, "-c", DIGEST],
        input=pickle.dumps(result()),
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONHASHSEED": "7"},
    )
    assert there.stdout.decode().split("\n")[:2] == [here, "no pyplot"]


# The parts of the look


@pytest.mark.parametrize("bold", [False, True])
@pytest.mark.parametrize("text", ["", "iii", "WWW", "safety=low (95 %)", "10⁻³ ≥ é…"])
def test_text_width_is_that_of_matplotlib_but_for_kerning(text, bold):
    font = FontProperties(family=[style.FONT], size=11, weight="bold" if bold else "normal")
    expected = text_to_path.get_text_width_height_descent(text, font, ismath=False)[0] / 72
    assert style.text_width(text, 11, bold=bold) == pytest.approx(expected, rel=0.03, abs=0.02)


@pytest.mark.parametrize("width", [0.3, 1.0, 5.0])
def test_a_text_is_cut_to_its_room_and_says_so(width):
    cut = style.fit("the quick brown fox " * 3, width, style.SIZE)
    assert style.text_width(cut) <= width
    assert cut.endswith("…") is (cut != "the quick brown fox " * 3)


@pytest.mark.parametrize("width", [0.5, 1.5, 2.6])
def test_a_long_name_keeps_its_beginning_and_its_end(width):
    name = "".join(chr(ord("a") + i % 26) for i in range(100))
    cut = style.name(name, width)
    head, tail = cut.split("…")
    assert width - 0.2 <= style.text_width(cut) <= width
    assert name.startswith(head)
    assert name.endswith(tail)
    assert 0 <= len(head) - len(tail) <= 1


def test_a_short_name_is_left_alone():
    assert style.name("safety", 2.6) == "safety"


def test_labels_that_would_touch_are_spread_in_their_order_about_their_places():
    wanted = np.array([0.5, 0.1, 0.52])
    placed = style.spread(wanted, 0.1)
    assert list(np.argsort(placed)) == list(np.argsort(wanted))
    assert np.diff(np.sort(placed)).min() >= 0.1 - 1e-12
    assert placed.mean() == pytest.approx(wanted.mean())
    far = np.array([0.9, 0.1])
    assert np.array_equal(style.spread(far, 0.1), far)


@pytest.mark.parametrize(
    ("exponent", "expected"),
    [(0, "1"), (3, "1,000"), (-3, "0.001"), (4, "10⁴"), (-12, "10⁻¹²")],
)
def test_powers_of_ten_are_written_without_mathematics(exponent, expected):
    assert style.power_of_ten(exponent) == expected
