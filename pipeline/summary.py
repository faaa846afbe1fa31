"""What a run found out, as a person reads it at the end of ``make run``."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from pipeline.config import RunConfig, StratifiedSplit
from pipeline.run import RunResult
from pipeline.stages.certify import WRONG, Certificate
from pipeline.stages.encode import OneHot
from pipeline.stages.evaluate import Evaluation
from pipeline.stages.explain import Effects
from pipeline.stages.train import Trained
from pipeline.stages.validate import Validation

MOST = 10  # attributes shown
BAR = 24  # characters of the longest bar
RISEN = 1.1  # how far above its lowest the valid cost may end without a warning


def summarise(result: RunResult) -> str:
    """The summary of the run, ready to print: what was reached, and nothing of what was not."""
    return "\n".join(_lines(result))


def _lines(result: RunResult) -> Iterator[str]:
    yield _title(result.config)
    if result.validation:
        yield from _section("Data", _data(result.validation, result.config))
    if result.n_train:
        yield from _section("Split", _split(result))
    if result.trained:
        yield from _section(
            "Training", _training(result.trained, result.certificate, result.config)
        )
    if result.evaluation:
        yield from _section("Test", _test(result.evaluation, result.config))
    if result.effects:
        yield from _section("Matters", _matters(result.effects))


def _section(name: str, lines: Iterator[str]) -> Iterator[str]:
    yield ""
    for i, line in enumerate(lines):
        yield f"{name if i == 0 else '':10}{line}"


def _title(config: RunConfig) -> str:
    optimiser = f"{config.optimiser.name}, learning rate {config.optimiser.learning_rate:g}"
    return (
        f"One neuron on {config.data.name}: {optimiser}, l2 {config.train.l2:g}, seed {config.seed}"
    )


def _data(validation: Validation, config: RunConfig) -> Iterator[str]:
    share = validation.n_positive / max(validation.n_rows, 1)
    yield (
        f"{config.data.path}: {validation.n_rows:,} rows ({validation.n_distinct:,} distinct), "
        f"{len(config.data.attributes)} attributes"
    )
    missing = sum(column.n_missing for column in validation.profile)
    absent = f"{missing:,} missing values" if missing else "no missing value"
    faults = "a contract that rows break" if validation.faults else "every row keeps the contract"
    positive = ", ".join(config.data.target.positive)
    yield f"{faults}; {absent}; {share:.1%} {config.data.target.name}={positive}"
    yield from (f"warning: {warning}" for warning in validation.warnings)


def _split(result: RunResult) -> Iterator[str]:
    if isinstance(result.config.split, StratifiedSplit):
        yield (
            f"{result.n_train:,} rows to train, {result.n_valid:,} to validate, "
            f"{result.n_test:,} to test; stratified, split seed {result.config.split.seed}"
        )
    else:
        yield f"NONE: all {result.n_train:,} rows both train and test the neuron"
    if result.encoder:
        hot = [block for block in result.encoder.blocks if isinstance(block, OneHot)]
        joined = [block.name for block in hot if len(block.attributes) > 1]
        crosses = f", among them combinations of {', '.join(joined)}" if joined else ""
        yield f"{len(result.encoder.inputs)} inputs, learned from train alone{crosses}"
    for name, n in (result.unseen or {}).items():
        yield f"warning: {n:,} rows have a category of {name} that train does not: encoded as zeros"


def _training(
    trained: Trained, certificate: Certificate | None, config: RunConfig
) -> Iterator[str]:
    curve = trained.curve
    stopped = f", kept epoch {trained.best_epoch:,}" if trained.ended == "patience" else ""
    yield (
        f"{int(curve['epoch'][-1]):,} epochs{stopped}; train cost {curve['train_cost'][0]:.4f} -> "
        f"{curve['train_cost'][trained.best_epoch]:.4f} nats per row, "
        f"accuracy {curve['train_accuracy'][trained.best_epoch]:.4f}"
    )
    if certificate is not None:
        yield from textwrap.wrap(certificate.text, 90)
        if certificate.gradient_check is not None and certificate.gradient_check > WRONG:
            yield (
                f"warning: the gradient is off by {certificate.gradient_check:.1e} of its size, by "
                "five-point differences"
            )
    if "valid_cost" in curve:
        kept, lowest = curve["valid_cost"][trained.best_epoch], int(curve["valid_cost"].argmin())
        yield f"valid cost {kept:.4f}, accuracy {curve['valid_accuracy'][trained.best_epoch]:.4f}"
        if kept > RISEN * curve["valid_cost"][lowest]:
            yield (
                f"warning: the valid cost was lower, {curve['valid_cost'][lowest]:.4f}, at epoch "
                f"{lowest:,}: a higher train.l2 or train.patience=100 may generalise better"
            )
    if trained.rose:
        rate = config.optimiser.learning_rate
        yield f"warning: the cost rose: lower optimiser.learning_rate (it was {rate:g})"


def _test(evaluation: Evaluation, config: RunConfig) -> Iterator[str]:
    if evaluation.held_out:
        yield f"{evaluation.n_rows:,} rows that the neuron has never seen"
    else:
        yield "NOT HELD OUT: these are figures on the rows that trained the neuron"
    metrics, base = evaluation.metrics, evaluation.baseline
    yield f"{'':20}{'neuron':>8}  {'95 % interval':18}{'majority baseline':>17}"
    for label, name in (
        ("accuracy", "accuracy"),
        ("balanced accuracy", "balanced_accuracy"),
        ("precision", "precision"),
        ("recall", "recall"),
        ("F1", "f1"),
        ("ROC AUC", "roc_auc"),
        ("PR AUC", "pr_auc"),
        ("log loss (nats)", "log_loss"),
        ("Brier score", "brier"),
        ("calibration error", "expected_calibration_error"),
    ):
        bounds = ""
        if f"{name}_low" in metrics:
            bounds = f"{metrics[f'{name}_low']:.4f} to {metrics[f'{name}_high']:.4f}"
        against = f"{base[name]:.4f}" if name in base else ""
        yield f"{label:20}{metrics[name]:8.4f}  {bounds:18}{against:>17}".rstrip()
    (tn, fp), (fn, tp) = evaluation.confusion
    yield (
        f"at threshold {config.evaluate.threshold:g}: {tp:,} true and {fp:,} false positives, "
        f"{tn:,} true and {fn:,} false negatives"
    )


def _matters(effects: Effects) -> Iterator[str]:
    yield "rise of the cost (nats per row) when the attribute is taken away"
    ranking = effects.ranking[:MOST]
    width = max(len(_cut(item.attribute)) for item in ranking)
    top = max(ranking[0].cost_rise, 1e-12)
    for item in ranking:
        bar = "█" * max(0, round(BAR * item.cost_rise / top))
        yield f"{_cut(item.attribute):{width}}  {item.cost_rise:8.4f}  {bar}".rstrip()
    if len(effects.ranking) > MOST:
        yield f"… and {len(effects.ranking) - MOST} more, in effects.csv of the record"


def _cut(name: str) -> str:
    return name if len(name) <= 32 else name[:31] + "…"
