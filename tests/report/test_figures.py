"""The figures show what the record holds, all of it is legible, and no result is too extreme."""

import hashlib
import math
import os
import struct
import subprocess
import sys
from dataclasses import replace
from itertools import combinations

import builders
import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.text import Text
from sklearn import metrics as sk

from pipeline.errors import Failure
from pipeline.record import Record, write
from pipeline.report.figures import drawings, figures, style
from pipeline.report.figures.descent import draw_descent
from pipeline.report.figures.forest import draw_effects, draw_importance
from pipeline.report.figures.scores import draw_precision_recall
from pipeline.report.figures.style import Caption
from pipeline.stages.certify import Certificate
from pipeline.stages.explain import Effects
from pipeline.stages.importance import Importance
from pipeline.stages.infer import Effect
from pipeline.stages.outcome import Unfinished
from pipeline.stages.split import Dealing
from pipeline.stages.surface import Surface

pytestmark = pytest.mark.exhaustive

SCORES = {"confusion", "roc", "precision_recall", "calibration", "decision_curve", "gain"}
ALL = SCORES | {"curves", "surface", "effects", "importance"}
CAPTION = Caption("of 12 rows")

# --- outcomes ---------------------------------------------------------------------------------


def config(name="pears", positive=("ripe",), negative=("green",), l2=0.0):
    target = {"name": "state", "positive": positive, "negative": negative}
    return builders.CONFIG | {
        "data": builders.CONFIG["data"] | {"name": name, "target": target},
        "train": {"epochs": 500, "l2": l2},
    }


def trained(epochs=500, *, best=None, valid=True, ended="epochs", penalty=0.0, **curve):
    epoch = np.arange(epochs + 1.0)
    series = {
        "epoch": epoch,
        "objective": 0.15 + 0.6 / (1 + epoch / 5) + penalty * epoch / max(epochs, 1),
        "train_loss": 0.15 + 0.6 / (1 + epoch / 5),
        "train_accuracy": 0.953 - 0.4 / (1 + epoch / 3),
    }
    if valid:
        series["valid_loss"] = 0.16 + 0.62 / (1 + epoch / 5) + epoch * 1e-5
        series["valid_accuracy"] = 0.945 - 0.4 / (1 + epoch / 3)
    best = epochs if best is None else best
    return builders.make_trained(curve=series | curve, best_epoch=best, ended=ended)


def evaluation(**changes):
    """Twelve rows that a person can count."""
    of_decisions = {"recall": 4 / 5, "precision": 4 / 6, "balanced_accuracy": (4 / 5 + 5 / 7) / 2}
    made = builders.make_evaluation(
        metrics=builders.make_evaluation().metrics | of_decisions,
        n_rows=12,
        n_positive=5,
        confusion=((5, 2), (1, 4)),
        roc=np.array([[0, 0, 1], [0, 0.6, 0.8], [2 / 7, 0.8, 0.5], [1, 1, 0.1]]),
        pr=np.array([[1, 5 / 12], [0.8, 4 / 6], [0.6, 1], [0, 1]]),
        calibration=np.array(
            [[0.15, 0.0, 4, 0, 0.5], [0.45, 0.5, 2, 0, 1], [0.97, 4 / 6, 6, 0.8, 1]]
        ),
    )
    return replace(made, **changes)


def scored(p, y):
    """An evaluation of rows with probabilities ``p`` and labels ``y``, by scikit-learn."""
    fpr, tpr, cut = sk.roc_curve(y, p)
    precision, recall, _ = sk.precision_recall_curve(y, p)
    return evaluation(
        n_rows=len(y),
        n_positive=int(y.sum()),
        confusion=tuple(map(tuple, sk.confusion_matrix(y, p >= 0.5, labels=[0, 1]).tolist())),
        roc=np.column_stack([fpr, tpr, np.minimum(cut, 1)]),
        pr=np.column_stack([recall, precision]),
        calibration=np.array([[p.mean(), y.mean(), len(y), p.mean(), p.mean()]]),
    )


def effect(attribute, label, log_odds, error=0.4):
    ends = (None, None) if error is None else (log_odds - 2 * error, log_odds + 2 * error)
    return Effect(attribute, label, log_odds, log_odds, error, 1.0, *ends)


def pear_effects():
    colour = [effect("colour", "red", 1.5), effect("colour", "green", -1.5, None)]
    size = [effect("size", "size", 0.3)]
    shape = [effect("shape", label, x) for label, x in zip("abc", (0.9, -1.2, 0.3), strict=True)]
    ranking = (Importance("shape", 0.4), Importance("colour", 0.1), Importance("size", -0.01))
    return Effects((*colour, *size, *shape), ranking, 0.0)


def many(groups, size, *, scale=1.0, rise=1.0):
    rng = np.random.default_rng(0)
    found = [
        effect(f"attribute {g}", f"category {c}", scale * float(rng.normal()))
        for g in range(groups)
        for c in range(size)
    ]
    ranking = tuple(Importance(f"attribute {g}", rise / (g + 1)) for g in range(groups))
    return Effects(tuple(found), ranking, 0.0)


def surface(path=((-4.0, 0.2), (-3.0, 0.1), (-1.0, -0.3), (0.0, 0.0)), low=0.2, curved=0.05):
    """A bowl about its lowest point, and a path down to near it."""
    places = np.linspace(-6, 6, 41)
    height = low + curved * (places[None, :] ** 2 + places[:, None] ** 2)
    return Surface(places, places, height, np.array(path), 0.987)


def outcome(**changes):
    prepared = builders.make_prepared(dealing=Dealing((1036, 346, 12)))
    found = {
        "prepared": prepared, "trained": trained(), "evaluation": evaluation(),
        "effects": pear_effects(), "surface": surface(), "config": config(),
    }  # fmt: skip
    return builders.make_finished(**found | changes)


def stopped(n_valid=346, config=None, **changes):
    """A run of which only the curve is drawn."""
    whole = outcome(config=config) if config else outcome()
    prepared = replace(whole.prepared, dealing=Dealing((1036, n_valid, 12)))
    failure = Failure("Stopped", "stopped", None, 1)
    made = Unfinished(whole.config, prepared, failure, "KILLED", trained(), whole.certificate)
    return replace(made, **changes)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """A function: the record of an outcome."""
    folder = tmp_path_factory.mktemp("runs")

    def made(outcome) -> Record:
        here = builders.make_environment()
        return write(outcome, folder / str(len(list(folder.iterdir()))), here=here)

    return made


@pytest.fixture(scope="module", autouse=True)
def look():
    with style.look():
        yield


@pytest.fixture(scope="module")
def whole(record):
    return record(outcome())


@pytest.fixture(scope="module")
def drawn(whole):
    return drawings(whole)


@pytest.fixture(scope="module")
def files(whole):
    """The figures as PNG, drawn amid settings that a user may have."""
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.bbox": "tight"}):
        before = dict(mpl.rcParams)
        painted = figures(whole)
        assert dict(mpl.rcParams) == before
    return painted


# --- what is seen -------------------------------------------------------------------------------


def texts(figure: Figure) -> list[Text]:
    """Every text that is seen, after drawing: not the labels of ticks outside of their axis."""
    figure.canvas.draw()
    axes = [axis for panel in figure.axes for axis in (panel.xaxis, panel.yaxis)]
    shown = {id(tick) for axis in axes for tick in axis._update_ticks()}
    hidden = {
        id(label)
        for axis in axes
        for tick in (*axis.majorTicks, *axis.minorTicks)
        if id(tick) not in shown
        for label in (tick.label1, tick.label2)
    }
    every = figure.findobj(Text)
    return [t for t in every if t.get_visible() and t.get_text() and id(t) not in hidden]


def words(figure: Figure) -> str:
    return " ".join(" ".join(t.get_text() for t in texts(figure)).split())


def line(axes, label):
    (found,) = (one for one in axes.get_lines() if str(one.get_label()).startswith(label))
    return found


def labels(axes):
    return [str(one.get_label()) for one in axes.get_lines()]


# --- which figures there are --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (builders.make_refused, set()),
        (stopped, {"curves"}),
        (lambda: outcome(surface=None), ALL - {"surface"}),
    ],
    ids=["refused", "stopped", "finished"],
)
def test_a_run_has_the_figures_of_the_stages_that_it_reached(record, made, expected):
    assert set(drawings(record(made()))) == expected


def test_a_run_that_diverged_before_its_first_epoch_has_no_curve(record):
    made = record(stopped())
    vars(made)["curve"] = {name: values[:0] for name, values in made.curve.items()}
    assert drawings(made) == {}


def test_every_figure_is_a_png_of_at_most_1080_pixels_across(files):
    assert set(files) == {f"figures/{name}.png" for name in ALL}
    for content in files.values():
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        width, height = struct.unpack(">II", content[16:24])
        assert 700 <= width <= 1080
        assert 250 <= height <= 1200


# --- which rows a figure is about ---------------------------------------------------------------


def test_every_figure_says_of_how_many_rows_it_is_and_that_they_were_held_out(drawn):
    assert "1,036 train rows, 346 valid rows held out (pears)" in words(drawn["curves"])
    for name in ("effects", "surface"):
        assert "learned from 1,036 train rows (pears)" in words(drawn[name])
    for name in (*SCORES, "importance"):
        assert "12 test rows, held out; 5 are ripe (pears)" in words(drawn[name])


def test_every_figure_of_rows_that_were_not_held_out_warns_in_colour(record):
    made = outcome(
        prepared=builders.make_prepared(dealing=Dealing((12, 0, 12)), held_out=False),
        trained=trained(valid=False),
        evaluation=evaluation(held_out=False),
    )
    for name, figure in drawings(record(made)).items():
        colours = [t.get_color() for t in figure.texts if "NOT HELD OUT" in t.get_text()]
        assert colours == ([] if name in ("effects", "surface") else [style.VERMILION])


# --- learning curves ----------------------------------------------------------------------------


def curves(record, **changes):
    return drawings(record(stopped(**changes)))["curves"]


@pytest.mark.parametrize("unit", ["loss", "accuracy"])
def test_the_curves_are_those_of_the_record_and_the_legend_holds_the_kept_epoch(record, unit):
    made = trained(best=321)
    axes = curves(record, trained=made).axes[unit == "accuracy"]
    for part in ("train", "valid"):
        values = made.curve[f"{part}_{unit}"]
        found = line(axes, f"{part} {values[321]:#.4g}")
        assert np.array_equal(found.get_xydata(), np.column_stack([made.curve["epoch"], values]))
    (dot,) = (one for one in axes.get_lines() if one.get_marker() == "o")
    assert dot.get_xydata().tolist() == [[321, made.curve[f"valid_{unit}"][321]]]
    assert axes.get_legend().get_title().get_text() == "kept: epoch 321"
    assert unit in axes.get_ylabel()


@pytest.mark.parametrize(("penalty", "seen"), [(0.3, True), (1e-4, False)])
def test_the_objective_is_drawn_where_its_penalty_can_be_seen(record, penalty, seen):
    loss, accuracy = curves(record, trained=trained(penalty=penalty)).axes
    assert any(name.startswith("with l2") for name in labels(loss)) is seen
    assert not any(name.startswith("with l2") for name in labels(accuracy))


@pytest.mark.parametrize(
    ("verdict", "penalty", "name"),
    [
        ("converged", 0.0, "optimum 1.250e-05"),
        ("stopped early", 0.3, "optimum with l2 1.250e-05"),
        ("no finite optimum", 0.0, "infimum 1.250e-05"),
    ],
)
def test_the_least_possible_loss_is_a_line(record, verdict, penalty, name):
    certificate = Certificate(verdict, 0.1, 0.2, 1.25e-5, 0.1, 1e-11)
    figure = curves(record, trained=trained(penalty=penalty), certificate=certificate)
    assert set(line(figure.axes[0], name).get_ydata()) == {1.25e-5}
    assert faults(figure) == ([], [])


def test_a_long_curve_is_thinned_to_points_of_it_with_both_of_its_ends(record):
    long = trained(20_000)
    epoch, values = line(curves(record, trained=long).axes[0], "train").get_data()
    assert len(epoch) < 5000
    assert {0, 20_000} <= set(epoch)
    assert np.array_equal(values, long.curve["train_loss"][epoch.astype(int)])


@pytest.mark.parametrize("ended", ["epochs", "optimum", "patience", "diverged", "stopped"])
def test_the_title_of_the_curves_says_after_which_epoch_training_ended(record, ended):
    title = curves(record, trained=trained(50, ended=ended)).get_suptitle()
    assert "50" in title
    assert any(word in title for word in (ended, ended.upper(), "early"))


# --- the loss surface ---------------------------------------------------------------------------


def test_the_surface_holds_the_path_both_of_its_ends_and_true_distances(drawn):
    figure = drawn["surface"]
    panel = figure.axes[0]
    path = max(panel.get_lines(), key=lambda one: len(one.get_xdata()))
    assert np.array_equal(path.get_xydata(), surface().path)
    said = words(figure)
    assert "epoch 0" in said
    assert "epoch 3" in said
    assert "98.7 %" in said
    here, right, above = panel.transData.transform([(0, 0), (1, 0), (0, 1)])
    assert np.hypot(*(right - here)) == pytest.approx(np.hypot(*(above - here)))


def test_epochs_that_are_powers_of_ten_are_marked_where_they_stand_apart():
    path = np.column_stack([np.linspace(-5, 0, 1001), np.zeros(1001)])
    seen = {t.get_text() for t in draw_descent(surface(path), CAPTION).axes[0].texts}
    assert seen == {"epoch 0", "epoch 1,000"}  # 1, 10 and 100 would stand on epoch 0
    path[:, 0] = np.linspace(-5, 0, 1001) ** 5 / 625
    seen = {t.get_text() for t in draw_descent(surface(path), CAPTION).axes[0].texts}
    assert seen == {"epoch 0", "100", "epoch 1,000"}


# --- effects and importance -----------------------------------------------------------------------


def dots_and_bars(axes):
    """Effects as drawn: {(row, log-odds): (low, high) or None}."""
    pairs = [one.get_xydata() for one in axes.get_lines() if one.get_linestyle() == "-"]
    bars = {xy[0][1]: (xy[0][0], xy[1][0]) for xy in pairs if len(xy) == 2 and xy[0][1] == xy[1][1]}
    dots = [one.get_xydata()[0] for one in axes.get_lines() if one.get_marker() == "o"]
    return {(y, x): bars.get(y) for x, y in dots}


def test_effects_are_drawn_from_the_most_important_attribute_with_their_intervals(drawn):
    axes = drawn["effects"].axes[0]
    found = sorted(dots_and_bars(axes).items())
    effects = pear_effects().effects
    order = [*effects[3:], *effects[:2], effects[2]]
    assert [x for (_, x), _ in found] == [e.log_odds for e in order]
    for (_, bar), expected in zip(found, order, strict=True):
        assert bar == (None if expected.low is None else (expected.low, expected.high))
    names = [(t.get_text(), t.get_weight(), t.xy[1]) for t in axes.texts]
    assert [name for name, _, _ in names] == ["shape", *"abc", "colour", "red", "green", "size"]
    assert [name for name, weight, _ in names if weight == "bold"] == ["shape", "colour", "size"]
    rows = {name: row for name, _, row in names}
    assert {rows["b"]: -1.2, rows["red"]: 1.5, rows["size"]: 0.3}.items() <= dict(
        row for row, _ in found
    ).items()


@pytest.mark.parametrize("scale", [1e-12, 0.3, 1.0, 3.0, 20.0, 1e5])
def test_odds_ratios_stand_above_their_logarithms(scale):
    below, above = draw_effects(many(3, 3, scale=scale), "ripe", CAPTION).axes
    assert above.get_xlim() == below.get_xlim()
    ticks = {
        float(t.get_text().replace(",", "")): x
        for t, x in zip(above.get_xticklabels(), above.get_xticks(), strict=True)
    }
    assert (3 if scale < 1e3 else 1) <= len(ticks) <= 9
    assert ticks[1.0] == 0
    assert max(map(abs, ticks.values())) <= below.get_xlim()[1]
    for ratio, x in ticks.items():
        assert x == pytest.approx(math.log(ratio), abs=1e-9)


def test_of_too_many_inputs_the_strongest_are_drawn_and_the_rest_is_counted():
    crowd = many(20, 4)
    figure = draw_effects(crowd, "ripe", CAPTION)
    strongest = sorted((e.log_odds for e in crowd.effects), key=abs)[-60:]
    assert sorted(x for _, x in dots_and_bars(figure.axes[0])) == sorted(strongest)
    assert "20 weaker" in words(figure)
    ranking = tuple(Importance(f"attribute {i}", 1.0) for i in range(67))
    figure = draw_importance(Effects((), ranking, 0.0), CAPTION)
    assert len(figure.axes[0].patches) == 60
    assert "7 less important" in words(figure)


def test_an_interval_that_leaves_out_zero_is_blue_and_one_that_is_not_known_is_hollow():
    three = (effect("a", "clear", 2.0), effect("a", "vague", 0.1), effect("a", "free", -2.1, None))
    axes = draw_effects(Effects(three, (Importance("a", 1.0),), 0.0), "ripe", CAPTION).axes[0]
    dots = [one for one in axes.get_lines() if one.get_marker() == "o"]
    assert [one.get_markerfacecolor() for one in dots] == [style.BLUE, style.GREY, "white"]


def test_a_bar_that_runs_out_of_the_panel_ends_there_with_an_arrow():
    two = (effect("a", "x", 3.0, 1e9), effect("a", "y", -3.0, 1.0))
    axes = draw_effects(Effects(two, (Importance("a", 1e-9),), 0.0), "ripe", CAPTION).axes[0]
    low, high = axes.get_xlim()
    assert -low == high == pytest.approx(1.06 * 1.6 * 3)
    assert dots_and_bars(axes)[1.0, 3.0] == (low, high)
    arrows = {one.get_marker(): one.get_xydata().tolist() for one in axes.get_lines()}
    assert (arrows["<"], arrows[">"]) == ([[low, 1.0]], [[high, 1.0]])


def test_importance_is_drawn_as_ranked_with_each_rise_beside_its_bar(drawn):
    (axes,) = drawn["importance"].axes
    assert [bar.get_width() for bar in axes.patches] == [0.4, 0.1, -0.01]
    rows = {t.get_text(): t.xy[1] for t in axes.texts}
    assert [rows[name] for name in ("shape", "colour", "size")] == [0, 1, 2]
    rises = [rows[rise] for rise in ("0.400", "0.100", "-0.010")]
    assert rises == pytest.approx([0, 1, 2])
    assert "nats per row" in axes.get_xlabel()


# --- scores ---------------------------------------------------------------------------------------


def test_the_confusion_figure_holds_counts_and_the_shares_of_each_true_class(drawn):
    (axes,) = drawn["confusion"].axes
    assert {t.get_position(): t.get_text().split("\n") for t in axes.texts} == {
        (0, 0): ["5", "71.4 % of 7"],  # by (decision, truth)
        (1, 0): ["2", "28.6 % of 7"],
        (0, 1): ["1", "20.0 % of 5"],
        (1, 1): ["4", "80.0 % of 5"],
    }
    assert [t.get_text() for t in axes.get_yticklabels()] == ["green", "ripe"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["green", "ripe"]
    assert "0.750 (95 % 0.300 to 0.950)" in words(drawn["confusion"])
    assert "0.5" in axes.get_xlabel()


@pytest.mark.parametrize(
    ("name", "curve", "decision", "score"),
    [
        ("roc", evaluation().roc[:, :2], [2 / 7, 4 / 5], "1.000 (95 % 0.400 to 1.000)"),
        ("precision_recall", evaluation().pr, [4 / 5, 4 / 6], "1.000"),
    ],
)
def test_a_curve_is_drawn_with_its_area_and_the_point_of_decision(
    drawn, name, curve, decision, score
):
    (axes,) = drawn[name].axes
    assert np.array_equal(line(axes, "neuron").get_xydata(), curve)
    assert line(axes, "decision").get_xydata() == pytest.approx(np.array([decision]))
    assert score in drawn[name].get_suptitle()


def test_the_share_of_positive_rows_is_a_line_of_the_precision_recall_figure(drawn):
    (axes,) = drawn["precision_recall"].axes
    assert set(line(axes, "every row").get_ydata()) == {5 / 12}
    assert "0.417" in words(drawn["precision_recall"])


def test_the_area_under_the_drawn_precision_recall_steps_is_the_average_precision():
    """The steps must lie on the side on which scikit-learn adds them up."""
    y, p = np.repeat([0.0, 1.0], [70, 30]), np.random.default_rng(3).random(100)
    (axes,) = draw_precision_recall(scored(p, y), CAPTION).axes
    recall, precision = line(axes, "neuron").get_path().vertices.T  # with the corners of the steps
    area = -np.trapezoid(precision, recall)
    assert area == pytest.approx(sk.average_precision_score(y, p), rel=1e-12)


def test_a_neuron_that_never_decides_for_class_1_has_no_point_of_precision():
    never = evaluation(metrics={k: v for k, v in evaluation().metrics.items() if k != "precision"})
    (axes,) = draw_precision_recall(never, CAPTION).axes
    assert not any(name.startswith("decision") for name in labels(axes))


def test_net_benefit_and_gain_are_drawn_as_the_record_holds_them(drawn):
    (benefit,), (gain,) = drawn["decision_curve"].axes, drawn["gain"].axes
    threshold, neuron, everyone = evaluation().decision_curve.T
    for name, values in (("neuron", neuron), ("every row", everyone)):
        assert np.array_equal(
            line(benefit, name).get_xydata(), np.column_stack([threshold, values])
        )
    assert np.array_equal(line(gain, "neuron").get_xydata(), evaluation().gain)


def test_the_calibration_figure_holds_points_consistency_bars_and_the_histogram(drawn):
    panel, histogram = drawn["calibration"].axes
    p, share, _, low, high = evaluation().calibration.T
    (points,) = (one for one in panel.get_lines() if one.get_marker() == "o")
    assert np.array_equal(points.get_xydata(), np.column_stack([p, share]))
    (bars,) = (c for c in panel.collections if isinstance(c, LineCollection))
    expected = np.column_stack([p, low, p, high]).reshape(-1, 2, 2)
    assert np.array_equal(bars.get_segments(), expected)
    assert [bar.get_height() for bar in histogram.patches] == [4, 2, 6]
    assert [bar.get_x() for bar in histogram.patches] == pytest.approx([0.1, 0.4, 0.9])
    assert panel.get_xlim() == histogram.get_xlim()
    assert "0.050, 0.020 by chance (10 " in drawn["calibration"].get_suptitle()


# --- legible, whatever the result -----------------------------------------------------------------

LONG = "a name that nobody would want to read to its end, and yet somebody wrote it " * 2
ODD = ["$\\$", "$\\frac{1}{", "安全 🚗", "line\nbreak\x00\ttab", "W" * 200, "الأمان"]
Y = np.repeat([0.0, 1.0], [70, 30])


def odd_names():
    """Long names in many scripts, classes of the widest letter, and nothing held out."""
    found = tuple(effect(a, b, 1.0) for a in (*ODD, LONG) for b in ODD)
    return outcome(
        config=config("$\\$ 安全" + LONG, ["W" * 150], ["WWW " * 40, LONG]),
        prepared=builders.make_prepared(dealing=Dealing((3_000_000_000, 0, 10**9)), held_out=False),
        trained=trained(1, valid=False),
        evaluation=evaluation(held_out=False, n_rows=10**9, confusion=((6 * 10**8, 10**8),) * 2),
        effects=Effects(found, tuple(Importance(a, 0.1) for a in (*ODD, LONG)), 0.0),
        surface=surface(((0.0, 0.0),)),
    )


def nothing():
    """No effect, no importance, flat curves, constant probabilities, a flat surface."""
    flat = {name: np.full(501, 0.5) for name in trained().curve if name != "epoch"}
    return outcome(
        trained=trained(**flat), certificate=Certificate("diverged"),
        evaluation=scored(Y * 0 + 0.3, Y), effects=many(3, 3, scale=0.0, rise=0.0),
        surface=surface(curved=0.0),
    )  # fmt: skip


def extremes():
    """Hundreds of inputs of which some are vast, losses over many decades, a perfect neuron."""
    crowd = many(100, 4, scale=1e5, rise=1e6)
    loss = np.geomspace(1e5, 1e-300, 501)
    return outcome(
        trained=trained(train_loss=loss, valid_loss=loss, best=30, ended="patience"),
        evaluation=scored(Y, Y), effects=crowd,
        surface=surface(((0.0, 0.0), (3.0, 3.0), (0.0, 0.0)), low=0.0),
    )  # fmt: skip


def always_wrong():
    """Thirty numbers that hardly matter, a neuron that errs on every row, a long path."""
    path = np.array([(-4 * np.exp(-k / 3000), 0.1) for k in range(5000)])
    high = 0.7 + 1e6 * np.arange(1001.0)
    return outcome(
        trained=trained(1000, objective=high, train_loss=high, valid_loss=high),
        config=config(negative=None), evaluation=scored(1 - Y, Y),
        effects=many(30, 1, scale=1e-12, rise=-1e-9), surface=surface(path),
    )  # fmt: skip


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


def faults(figure):
    found = [(t.get_text(), t.get_window_extent()) for t in texts(figure)]
    return outside(found, figure.bbox), overlapping(found)


@pytest.mark.parametrize(
    "made",
    [
        nothing,
        *(
            pytest.param(m, marks=pytest.mark.exhaustive)
            for m in (odd_names, extremes, always_wrong)
        ),
    ],
)
def test_every_text_of_every_result_is_inside_its_figure_and_on_no_other(record, made):
    """Without a warning, too: warnings are errors here."""
    found = {name: faults(figure) for name, figure in drawings(record(made())).items()}
    assert found == dict.fromkeys(ALL, ([], []))


def test_every_text_of_an_ordinary_result_is_inside_its_figure_and_on_no_other(drawn):
    found = {name: faults(figure) for name, figure in drawn.items()}
    assert found == dict.fromkeys(ALL, ([], []))


@pytest.mark.parametrize("epochs", [0, 49])
def test_every_text_of_a_short_curve_is_inside_its_figure_and_on_no_other(record, epochs):
    assert faults(curves(record, trained=trained(epochs, ended="diverged"))) == ([], [])


def test_a_text_that_is_cut_or_covered_would_be_noticed(record):
    """The negative control of the tests above."""
    figure = curves(record)
    figure.text(0.95, 0.5, "a text too long for its place")
    figure.axes[0].text(0.5, 0.5, "one")
    figure.axes[0].text(0.5, 0.5, "other")
    cut, covered = faults(figure)
    assert cut == ["a text too long for its place"]
    assert ("one", "other") in covered


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("$\\$ a_b", "$\\$ a_b"),
        ("é ≥ ×", "é ≥ ×"),
        ("安🚗\n\x00", "\\u5b89\\U0001f697\\n\\x00"),
    ],
)
def test_labels_are_shown_character_by_character(name, shown):
    assert style.label(name) == shown


def test_a_long_label_keeps_its_beginning_and_its_end():
    name = "worst_fractal_dimension_of_cell_nuclei_3"
    head, tail = style.label(name).split("…")
    assert len(head) + 1 + len(tail) == style.LONGEST
    assert name.startswith(head)
    assert name.endswith(tail)
    assert min(len(head), len(tail)) >= 10


def test_mathematics_in_a_label_would_fail_in_the_look_of_matplotlib():
    """The negative control: what the settings switch off."""
    with mpl.rc_context({"text.parse_math": True}):
        figure = FigureCanvasAgg(Figure()).figure
        figure.text(0, 0, "$\\frac{1}{$")
        with pytest.raises(ValueError, match="frac"):
            figure.canvas.draw()


# --- the same bytes -------------------------------------------------------------------------------


def digest(drawn):
    return hashlib.sha256(b"".join(drawn[name] for name in sorted(drawn))).hexdigest()


def test_another_curve_gives_another_figure_of_it_and_no_other(record):
    one, other = figures(record(stopped())), figures(record(stopped(trained=trained(499))))
    assert one != other
    one, other = figures(record(stopped())), figures(record(stopped()))
    assert one == other


DIGEST = """
import hashlib, os, sys
from pathlib import Path
from pipeline.record import read
from pipeline.report.figures import figures
drawn = figures(read(Path(sys.argv[1])))
print(hashlib.sha256(b"".join(drawn[name] for name in sorted(drawn))).hexdigest())
print("matplotlib.pyplot" in sys.modules, os.environ["MPLBACKEND"])
"""


@pytest.mark.exhaustive
def test_settings_and_backend_of_a_user_change_no_byte_and_stay_as_they_are(whole, files, tmp_path):
    """J11: a notebook's backend, a hostile file of settings, no display, no pyplot."""
    (tmp_path / "matplotlibrc").write_bytes(b"font.size: 20\nno.such.key: 1\n\xff\xfe\n")
    kept = {name: text for name, text in os.environ.items() if name != "DISPLAY"}
    there = subprocess.run(
        [sys.executable, "-W", "error", "-c", DIGEST, str(whole.path)],
        capture_output=True, check=True, cwd=tmp_path,
        env={**kept, "MPLBACKEND": "module://x", "PYTHONHASHSEED": "7",
             "PYTHONPATH": str(builders.PROJECT)},
    )  # fmt: skip
    assert there.stdout.decode().splitlines() == [digest(files), "False module://x"]
    assert there.stderr == b""
