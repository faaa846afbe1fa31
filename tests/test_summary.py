"""What is printed at the end of a run: what was reached, its warnings, and nothing else."""

import dataclasses

import numpy as np
import pytest

from pipeline.config import RunConfig
from pipeline.stages.certify import Certificate
from pipeline.stages.explain import Effects, Importance
from pipeline.summary import summarise

NAMES = (
    "accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc", "log_loss",
    "brier", "expected_calibration_error",
)  # fmt: skip
SECTIONS = ("Data", "Split", "Training", "Test", "Matters")


@pytest.fixture
def whole(result):
    """A result with every figure, each of another value."""
    metrics = {name: (i + 1) / 13 for i, name in enumerate(NAMES)}
    metrics |= {"accuracy_low": 0.0123, "accuracy_high": 0.4567}
    metrics |= {"roc_auc_low": 0.1234, "roc_auc_high": 0.9876}
    result.evaluation = dataclasses.replace(
        result.evaluation, metrics=metrics, baseline={"accuracy": 0.7, "log_loss": 0.6109}
    )
    return result


def sections(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines()[1:] if line and line[0] != " "]


def row(text: str, label: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if line[10:].startswith(label + "  "))
    return line[10 + len(label) :].split()


def test_every_stage_has_its_section_in_the_order_in_which_they_ran(whole):
    assert sections(summarise(whole)) == list(SECTIONS)


def test_metrics_stand_with_their_intervals_beside_the_majority_baseline(whole):
    text = summarise(whole)
    assert row(text, "accuracy") == ["0.0769", "0.0123", "to", "0.4567", "0.7000"]
    assert row(text, "ROC AUC") == ["0.4615", "0.1234", "to", "0.9876"]
    assert row(text, "log loss (nats)") == ["0.6154", "0.6109"]
    shown = [row(text, label)[0] for label in ("balanced accuracy", "precision", "recall", "F1")]
    assert shown == ["0.1538", "0.2308", "0.3077", "0.3846"]


def test_the_confusion_matrix_is_told_in_words(whole):
    confusion = ((11, 22), (33, 44))
    whole.evaluation = dataclasses.replace(whole.evaluation, confusion=confusion)
    told = "44 true and 22 false positives, 11 true and 33 false negatives"
    assert told in summarise(whole)


@pytest.mark.parametrize(
    ("missing", "left"),
    [
        (("evaluation", "effects"), ["Data", "Split", "Training"]),
        (("trained", "evaluation", "effects"), ["Data", "Split"]),
        (("validation", "trained", "evaluation", "effects"), ["Split"]),
    ],
)
def test_what_a_run_did_not_reach_is_not_told(whole, missing, left):
    assert sections(summarise(dataclasses.replace(whole, **dict.fromkeys(missing)))) == left


def test_figures_that_are_not_held_out_are_told_as_such_loudly(whole, tiny_config):
    assert "NOT HELD OUT" not in summarise(whole)
    whole.config = RunConfig.parse(tiny_config | {"split": {"name": "none"}})
    whole.evaluation = dataclasses.replace(whole.evaluation, held_out=False)
    text = summarise(whole)
    assert "NOT HELD OUT" in text
    assert "NONE: all 12 rows both train and test" in text


def test_what_should_worry_a_reader_is_a_warning(whole):
    assert "warning" not in summarise(whole)
    curve = whole.trained.curve | {
        "valid_cost": np.array([0.7, 0.3, 0.4, 0.5, 0.6]),
        "objective": np.array([0.7, 0.3, 0.4, 0.5, 0.71]),
    }
    whole.trained = dataclasses.replace(whole.trained, curve=curve)
    whole.unseen = {"safety": 1234}
    whole.validation = dataclasses.replace(whole.validation, warnings=("7 rows contradict",))
    text = summarise(whole)
    assert text.count("warning: ") == 4
    assert "warning: 1,234 rows have a category of safety that train does not" in text
    assert "warning: the valid cost was lower, 0.3000, at epoch 1" in text
    assert "warning: the cost rose: lower optimiser.learning_rate (it was 0.1)" in text
    assert "warning: 7 rows contradict" in text


def test_the_verdict_of_the_certificate_is_told_within_the_width_of_a_terminal(whole):
    assert "\n          converged: 2.0e-09 nats above the optimum" in summarise(whole)
    names = tuple(f"{i}{'long' * 40}=yes" for i in range(9))
    whole.certificate = Certificate("no finite optimum", 0.134, 0.2, 0.0982, 0.1, 1e-9, names)
    text = summarise(whole)
    assert "no finite optimum: the data separate on 0longlong" in text
    assert "and 3 more; the cost can fall" in text.replace("\n          ", " ")
    assert max(map(len, text.splitlines())) <= 100


def test_a_wrong_gradient_is_a_warning(whole):
    assert "gradient is off" not in summarise(whole)
    whole.certificate = dataclasses.replace(whole.certificate, gradient_check=1e-6)
    assert "warning: the gradient is off by 1.0e-06 of its size" in summarise(whole)


def test_a_table_of_many_long_names_makes_a_summary_of_a_screen(whole):
    ranking = tuple(Importance(f"{i} {'long ' * 40}", 1 / (i + 1)) for i in range(30))
    whole.effects = Effects(whole.effects.effects, ranking, 0.3)
    text = summarise(whole)
    assert "… and 20 more" in text
    assert max(map(len, text.splitlines())) <= 100
    assert len(text.splitlines()) < 60


def test_bars_are_as_long_as_the_rise_and_one_that_falls_has_none(whole):
    rises = (0.4, 0.2, -0.1)
    ranking = tuple(Importance(name, rise) for name, rise in zip("abc", rises, strict=True))
    whole.effects = Effects(whole.effects.effects, ranking, 0.3)
    told = summarise(whole).partition("Matters")[2].splitlines()[1:]
    assert [line.split()[0] for line in told] == ["a", "b", "c"]
    assert [line.count("█") for line in told] == [24, 12, 0]
