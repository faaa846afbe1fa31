"""What is printed at the end of a run: what was reached, its warnings, and nothing else."""

import json
from dataclasses import replace

import builders
import numpy as np
import pytest
from rich.cells import cell_len

from pipeline.config.schema import RunConfig
from pipeline.record.contents import contents
from pipeline.report.performance import METRICS
from pipeline.report.terminal import summarise
from pipeline.stages.certify import Certificate
from pipeline.stages.drift import Drift
from pipeline.stages.encode import Encoder, OneHot
from pipeline.stages.explain import Effects
from pipeline.stages.importance import Importance
from pipeline.stages.outcome import Unfinished
from pipeline.stages.penalty import PenaltyPath
from pipeline.text import printable

GOLDEN = """\
One neuron on tiny: gradient_descent, learning rate 0.1, l2 0.001, seed 0

Data      data/tiny.csv: 20 rows (2 distinct), 1 attribute
          every row keeps the contract; no missing value
          50.0% class=yes

Split     12 rows train, 4 validate, 4 test; stratified, split seed 0
          2 inputs, learned from train alone

Training  4 epochs; train loss 0.7000 -> 0.1400 nats, accuracy 0.9400
          converged: 2.0e-09 nats above the optimum; more epochs change nothing
          validation loss 0.1733, accuracy 0.9200

Test      4 rows, none with attributes that train has seen
                                neuron  95 % interval     majority baseline
          accuracy              0.7500  0.3000 to 0.9500             0.5000
          balanced accuracy     0.7500
          precision             0.6667
          recall                1.0000
          F1                    0.8000
          ROC AUC               1.0000  0.4000 to 1.0000
          PR AUC                1.0000
          log loss (nats)       0.3000                               0.6930
          Brier score           0.1000
          calibration error     0.0500  0.0200 by chance
          threshold 0.5: 2 true, 1 false positive; 1 true, 0 false negative
          train without optimism (200 refits): log loss 0.3750

Matters   rise of the loss (nats per row) when the attribute is permuted
          safety    0.3000  ████████████████████████"""


def sections(text):
    return [line.split()[0] for line in text.splitlines()[1:] if line and line[0] != " "]


def warnings(text):
    """Each warning on one line."""
    joined = text.replace("\n          ", "\n")
    blocks = joined.split("\nwarning: ")[1:]
    return [" ".join(block.split("\n\n")[0].split()) for block in blocks]


def row(text, label):
    (line,) = (line for line in text.splitlines() if line[10:].startswith(label + "  "))
    return line[10 + len(label) :].split()


def curve(**series):
    made = builders.make_trained()
    return replace(made, curve=made.curve | {k: np.array(v) for k, v in series.items()})


def test_the_summary_of_a_run_that_finished():
    assert summarise(builders.make_finished()) == GOLDEN


def test_the_penalty_that_was_used_is_named_with_how_it_was_chosen():
    def title(l2):
        config = builders.CONFIG | {"train": {"epochs": 4, "l2": l2}}
        return summarise(builders.make_finished(config=config)).splitlines()[0]

    assert "l2 0.001, " in title(0.001)
    assert "l2 0.001 (auto), " in title("auto")
    assert "l2 0.001 (cv), " in title("cv")


def test_where_the_rule_has_chosen_a_bad_penalty_folds_are_advised():
    config = builders.CONFIG | {"train": {"epochs": 4, "l2": "auto"}}
    worse = curve(valid_loss=[0.7, 0.3, 0.4, 0.5, 0.6])
    (warning,) = warnings(summarise(builders.make_finished(config=config, trained=worse)))
    assert "train.l2=cv" in warning


def test_what_folds_say_of_the_penalty_stands_in_one_sentence():
    path = PenaltyPath(
        l2=np.array([1.0, 0.1, 0.01]),
        loss=np.array([0.6, 0.41, 0.4]),
        error=np.array([0.05, 0.02, 0.0]),
        fold_loss=np.array([[0.7, 0.5], [0.32, 0.5], [0.3, 0.5]]),
        chosen=1,
    )
    text = " ".join(summarise(builders.make_finished(penalty=path)).split())
    assert (
        "l2 0.1 of 3 from 1 to 0.01: loss out of fold 0.4100 (0.3200 to 0.5000 by fold), the "
        "strongest within one standard error of the lowest, 0.4000 at 0.01" in text
    )


def test_every_figure_stands_with_its_interval_beside_the_majority_baseline():
    metrics = {name: (i + 1) / 13 for i, name in enumerate(METRICS)}
    bounds = {"accuracy_low": 0.0123, "accuracy_high": 0.4567}
    evaluation = builders.make_evaluation(
        metrics=metrics | bounds,
        baseline={"accuracy": 0.7, "log_loss": 2.0},
        confusion=((11, 22), (33, 4444)),
    )
    text = summarise(builders.make_finished(evaluation=evaluation))
    for name, label in METRICS.items():
        beside = {
            "accuracy": ["0.0123", "to", "0.4567", "0.7000"], "log_loss": ["2.0000"],
            "roc_auc": ["too", "few", "of", "a", "class"],
        }.get(name, [])  # fmt: skip
        assert row(text, label) == [f"{metrics[name]:.4f}", *beside]
    (line,) = (line for line in text.splitlines() if "threshold" in line)
    assert [word for word in line.split() if word[0].isdigit()] == [
        "0.5:", "4,444", "22", "11", "33",  # true and false positives, true and false negatives
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (builders.make_refused(), ["Data"]),
        (
            Unfinished(RunConfig.parse(builders.CONFIG), builders.make_prepared(), None),
            ["Data", "Split"],
        ),
        (
            Unfinished(
                RunConfig.parse(builders.CONFIG), builders.make_prepared(), None, "KILLED",
                builders.make_trained(),
            ),
            ["Data", "Split", "Training"],
        ),
    ],
    ids=["refused", "prepared", "trained"],
)  # fmt: skip
def test_what_a_run_did_not_reach_is_left_out(outcome, expected):
    assert sections(summarise(outcome)) == expected


def test_a_run_that_diverged_before_its_first_epoch_has_no_loss():
    empty = {name: values[:0] for name, values in builders.make_trained().curve.items()}
    trained = builders.make_trained(curve=empty, ended="diverged")
    made = builders.make_finished()
    text = summarise(Unfinished(made.config, made.prepared, None, "FAILED", trained))
    assert sections(text)[-1] == "Training"
    assert "diverged" in text
    assert "loss" not in text


def test_figures_that_are_not_held_out_are_called_so_loudly():
    assert "NOT HELD OUT" not in GOLDEN
    text = summarise(
        builders.make_finished(
            config=builders.CONFIG | {"split": {"name": "none"}},
            evaluation=builders.make_evaluation(held_out=False),
        )
    )
    assert "NOT HELD OUT" in text.partition("\nTest ")[2].splitlines()[0]
    assert "NONE: all 12 rows" in text


def test_a_neuron_that_is_worse_than_the_baseline_is_called_so_in_the_first_line():
    assert "WORSE" not in GOLDEN
    worse = builders.make_evaluation(baseline={"log_loss": 0.2999})
    first = " ".join(summarise(builders.make_finished(evaluation=worse)).splitlines()[:2])
    for part in ("WORSE", "0.3000", "0.2999", "train.l2=auto"):
        assert part in first
    untrained = curve(train_loss=[0.7, 0.6, 0.5, 0.4, 0.31])
    text = summarise(builders.make_finished(evaluation=worse, trained=untrained))
    assert "optimiser=newton" in text.splitlines()[1]
    trained_on = replace(worse, held_out=False)
    assert "WORSE" not in summarise(builders.make_finished(evaluation=trained_on))


def test_a_figure_that_is_undefined_is_called_so():
    metrics = builders.make_evaluation().metrics
    without = {name: value for name, value in metrics.items() if name != "precision"}
    evaluation = builders.make_evaluation(metrics=without)
    assert row(summarise(builders.make_finished(evaluation=evaluation)), "precision") == [
        "undefined"
    ]


def test_figures_on_rows_that_train_has_not_seen_stand_below_the_others():
    metrics = {"unseen_rows": 31.0, "unseen_accuracy": 0.5, "unseen_log_loss": 0.7}
    bounds = {"unseen_accuracy_low": 0.4, "unseen_accuracy_high": 0.6}
    made = builders.make_evaluation()
    evaluation = replace(made, n_seen=1, metrics=made.metrics | metrics | bounds)
    text = summarise(builders.make_finished(evaluation=evaluation))
    assert "4 rows, 1 of them with attributes that train has seen" in text
    above, below = text.split("31 rows with attributes that train has not seen")
    assert row(above, "accuracy")[0] == "0.7500"
    assert row(below, "accuracy") == ["0.5000", "0.4000", "to", "0.6000"]
    assert row(below, "log loss (nats)") == ["0.7000"]


def test_an_optimiser_without_learning_rate_is_named_alone():
    made = builders.make_finished(config=builders.CONFIG | {"optimiser": {"name": "newton"}})
    assert summarise(made).splitlines()[0].split(": ")[1].split(", ")[0] == "newton"


def test_attributes_that_were_joined_are_named():
    block = OneHot(("doors", "persons"), (("2", "4"),))
    prepared = builders.make_prepared(encoder=Encoder((block,), "refuse"))
    assert "doors:persons" in summarise(builders.make_finished(prepared=prepared))


# --- what should worry a reader -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("confusion", "reason", "valid", "advised"),
    [
        (((90, 0), (9, 1)), "", True, "{recall: 0.8}"),
        (((90, 0), (9, 1)), "", False, "{cost: {false_positive: 1, false_negative: 10}}"),
        (((90, 0), (7, 3)), "", True, None),
        (((90, 0), (9, 1)), "the lowest", True, None),
    ],
)
def test_a_rule_is_advised_where_few_positive_rows_are_found(confusion, reason, valid, advised):
    metrics = builders.make_evaluation().metrics
    rates = dict.fromkeys(("positive_rate", "positive_rate_low", "positive_rate_high"), 0.1)
    evaluation = builders.make_evaluation(
        confusion=confusion, threshold_reason=reason, metrics=metrics | rates
    )
    lacking = {} if valid else {"validation_losses": None}
    text = " ".join(summarise(builders.make_finished(evaluation=evaluation, **lacking)).split())
    assert (f"use evaluate.threshold={advised}" in text) == (advised is not None)
    assert "evaluate.threshold={" in text or advised is None
    assert ("threshold 0.5 is the lowest" in text) == bool(reason)
    assert ("10.0% of the rows are decided positive (95 % interval" in text) == bool(reason)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (
            {"trained": curve(valid_loss=[0.7, 0.3, 0.4, 0.5, 0.6])},
            ["0.3000", "epoch 1", "train.l2", "train.patience=100"],
        ),
        (
            {
                "trained": curve(
                    valid_loss=[0.7, 0.3, 0.4, 0.5, 0.6], train_loss=[0.7, 0.2, 0.3, 0.4, 0.5]
                )
            },
            ["0.3000", "epoch 1", "lower train.l2", "0.001"],
        ),
        (
            {"trained": curve(objective=[0.7, 0.3, 0.4, 0.5, 0.71])},
            ["optimiser.learning_rate", "0.1"],
        ),
        ({"prepared": builders.make_prepared(unseen={"safety": {"x": 1234}})}, ["1,234", "safety"]),
        ({"evaluation": builders.make_evaluation(n_seen=3)}, ["split.copies=together"]),
        (
            {"evaluation": builders.make_evaluation(confusion=((2, 0), (2, 0)))},
            ["no row", "0.1", "evaluate.threshold=0.5"],
        ),
        (
            {"certificate": Certificate("converged", 2e-9, 3e-9, 0.15, 1e-6, 1e-6)},
            ["gradient", "1.0e-06"],
        ),
        (
            {
                "prepared": builders.make_prepared(
                    validation=builders.make_validation(warnings=("7 rows contradict",))
                )
            },
            ["7 rows contradict"],
        ),
    ],
    ids=["overfits", "pulled back", "rises", "unseen", "copies", "never", "gradient", "data"],
)
def test_a_warning_names_what_it_is_about_and_the_setting_that_helps(changes, named):
    (warning,) = warnings(summarise(builders.make_finished(**changes)))
    for part in named:
        assert part in warning


@pytest.mark.parametrize(
    "series",
    [
        {"valid_loss": [0.7, 1e-9, 1e-5, 1e-4, 2e-4]},
        {
            "valid_loss": [0.7, 0.3, 0.4, 0.5, 0.6],
            "train_loss": [0.7, 0.2, 0.3, 0.4, 0.5],
            "objective": [0.7, 0.2, 0.3, 0.4, 0.5],
        },
    ],
    ids=["too little to report", "no setting of the penalty helps"],
)
def test_no_penalty_is_advised_where_none_would_help(series):
    assert warnings(summarise(builders.make_finished(trained=curve(**series)))) == []


def test_a_run_without_faults_has_no_warning():
    """The negative control of the test above."""
    assert warnings(GOLDEN) == []


# --- it fits a terminal ---------------------------------------------------------------------------


@pytest.mark.parametrize("long", ["long", "長", "a長", "e\u0301", "x\u200b"])
def test_no_line_is_wider_than_80_columns_whatever_the_table_holds(long):
    """A letter of Chinese takes two columns; the width is that of rich's tables."""
    names = tuple(f"{i}{long * 40}=yes" for i in range(9))
    config = builders.CONFIG | {"data": builders.CONFIG["data"] | {"path": (long * 190)[:190]}}
    ranking = tuple(Importance(f"{i} {f'{long} ' * 40}", 1 / (i + 1)) for i in range(30))
    made = builders.make_finished(
        config=config,
        certificate=Certificate("no finite optimum", 0.134, 0.2, 0.0982, 0.1, 1e-9, names),
        effects=Effects((), ranking, 0.3),
        trained=curve(valid_loss=[0.7, 0.3, 0.4, 0.5, 0.6]),
        prepared=builders.make_prepared(unseen={f"{long} " * 40: {"odd " * 40: 3}}),
    )
    text = summarise(made)
    assert max(map(cell_len, text.splitlines())) <= 80
    assert len(text.splitlines()) < 80
    shown = text.partition("\nMatters")[2].splitlines()[1:-1]
    places = {cell_len(line.partition(".")[0]) for line in shown}
    assert len(places) == 1  # the numbers stand below each other
    assert f"0{printable(long)}" in text
    assert "and 20 more" in text


def test_characters_that_a_terminal_obeys_are_escaped():
    ranking = (Importance("red\x1b[31m", 0.1),)
    text = summarise(builders.make_finished(effects=Effects((), ranking, 0.3)))
    assert "\x1b" not in text
    assert "red\\x1b[31m" in text


def test_bars_are_as_long_as_the_rise_and_one_that_falls_has_none():
    ranking = tuple(map(Importance, "abc", (0.4, 0.2, -0.1)))
    text = summarise(builders.make_finished(effects=Effects((), ranking, 0.3)))
    shown = text.partition("\nMatters")[2].splitlines()[1:]
    assert [line.split()[0] for line in shown] == ["a", "b", "c"]
    assert [line.count("█") for line in shown] == [24, 12, 0]


def test_a_column_that_differs_much_between_train_and_test_is_warned_of():
    """As the split by time may show; the control is one that differs by little, or by chance."""
    far = Drift("day.days", 4.2, 1e-9, "above 400", 0.0, 0.981, ())
    drift = (
        far,
        replace(far, column="little", psi=0.2),
        replace(far, column="chance", p_value=0.5),
    )
    outcome = builders.make_finished(prepared=builders.make_prepared(drift=drift))
    (warning,) = warnings(summarise(outcome))
    assert warning == (
        "column day.days has drifted (PSI 4.20): above 400 in 0.0% of train and 98.1% of test; "
        "if you know it, set data.known=[day]"
    )
    report = json.loads(contents(outcome, "")["validation.json"])
    assert report["warnings"] == [*outcome.prepared.validation.warnings, warning]  # for the page
