"""What a run found out, as a person reads it at the end of ``make run``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nn import Examples
from pipeline.config.schema import RunConfig
from pipeline.console.tty import columns, fitted, folded
from pipeline.report.dealing import format_dealing
from pipeline.report.performance import format_test
from pipeline.stages.blocks import PIECE, PartBlocks
from pipeline.stages.certify import GRADIENT_ERROR, Certificate
from pipeline.stages.drift import drift_warnings
from pipeline.stages.encode import OneHot, format_unseen
from pipeline.stages.explain import Effects
from pipeline.stages.outcome import Finished, Outcome, Prepared, Refused
from pipeline.stages.penalty import PenaltyPath, auto_l2
from pipeline.stages.train import Trained
from pipeline.stages.validate import Validation
from pipeline.text import counted, printable

MAX_ATTRIBUTES = 10
MAX_NAME = 32  # columns of an attribute
BAR = 24  # characters of the longest bar
RISEN = 1.1  # how far above its lowest the validation loss may end without a warning,
LEAST = 1e-3  # and by how many nats per row


def summarise(outcome: Outcome) -> str:
    """Return the summary of the run: what was reached, and nothing of what was not.

    No line is wider than 80 columns.
    """
    return folded("\n".join(map(printable, _lines(outcome))))


def _lines(outcome: Outcome) -> Iterator[str]:
    config, prepared = outcome.config, outcome.prepared
    if isinstance(outcome, Finished) and outcome.evaluation.worse_than_baseline:
        yield _worse(outcome)
    yield _title(outcome)
    if prepared.validation:
        lines = [*_data(prepared.validation, config), *_passes(prepared)]
        yield from _section("Data", iter(lines))
    if isinstance(prepared, Prepared):
        yield from _section("Split", _split(prepared, config))
    if outcome.trained:
        yield from _section("Training", _training(outcome.trained, outcome))
    if isinstance(outcome, Finished):
        yield from _section("Test", format_test(outcome))
        yield from _section("Matters", _matters(outcome.effects))


def _section(name: str, lines: Iterator[str]) -> Iterator[str]:
    yield ""
    for i, line in enumerate(lines):
        yield f"{'' if i else name:10}{line}"


def _title(outcome: Outcome) -> str:
    config, trained = outcome.config, outcome.trained
    rate = getattr(config.optimiser, "learning_rate", None)
    optimiser = config.optimiser.name + (f", learning rate {rate:g}" if rate else "")
    chosen = config.train.l2
    penalty = f"l2 {trained.l2 if trained else chosen}"
    penalty += f" ({chosen})" if trained and isinstance(chosen, str) else ""
    return f"One neuron on {config.data.name}: {optimiser}, {penalty}, seed {config.seed}"


def _worse(outcome: Finished) -> str:
    loss, baseline = (
        figures["log_loss"] for figures in (outcome.evaluation.metrics, outcome.evaluation.baseline)
    )
    trained, settings, train = outcome.trained, outcome.config.train, outcome.prepared.train
    cure = "let folds choose the penalty: train.l2=cv"
    if settings.l2 == "cv":
        cure = "no penalty of the path is better: its attributes may say nothing of the target"
    elif isinstance(train, Examples) and trained.l2 < auto_l2(train):
        cure = "raise the penalty: train.l2=auto"
    is_worse_on_train = trained.curve["train_loss"][trained.best_epoch] > baseline
    if is_worse_on_train and settings.class_weight is None:
        cure = "the neuron is not trained, even on train: use optimiser=newton"
    return (
        f"WORSE THAN THE MAJORITY BASELINE on the test rows: log loss {loss:.4f} against "
        f"{baseline:.4f}; {cure}"
    )


def _data(validation: Validation, config: RunConfig) -> Iterator[str]:
    share = validation.n_positive / max(validation.n_rows, 1)
    paths = (config.data.place, config.data.valid, config.data.test)
    held = ", ".join(path for path in paths if path)
    yield (
        f"{held}: {validation.n_rows:,} rows ({validation.n_distinct:,} distinct), "
        f"{counted(len(config.data.attributes), 'attribute')}"
    )
    missing = sum(column.n_missing for column in validation.profile)
    absent = f"{missing:,} missing values" if missing else "no missing value"
    contract = (
        "rows break the contract" if validation.violations else "every row keeps the contract"
    )
    positive = ", ".join(config.data.target.positive)
    yield f"{contract}; {absent}"
    yield f"{share:.1%} {config.data.target.name}={positive}"
    yield from (f"warning: {warning}" for warning in validation.warnings)


def _passes(prepared: Prepared | Refused) -> Iterator[str]:
    """Yield how often a table was read that is not held, and how long that took."""
    train = prepared.train if isinstance(prepared, Prepared) else None
    if isinstance(train, PartBlocks):
        seconds = train.rows.passes
        yield (
            f"read in {counted(train.rows.n_blocks, 'block')} of at most {PIECE:,} rows: "
            f"{len(seconds)} passes of {np.median(seconds):.2g} s (data.max_distinct)"
        )


def _split(prepared: Prepared, config: RunConfig) -> Iterator[str]:
    yield from format_dealing(prepared.dealing, config.model_dump())
    one_hot = [block for block in prepared.encoder.blocks if isinstance(block, OneHot)]
    joined = [block.name for block in one_hot if len(block.attributes) > 1]
    crosses = f", among them combinations of {', '.join(joined)}" if joined else ""
    n_inputs = counted(len(prepared.encoder.inputs), "input")
    yield f"{n_inputs}, learned from train alone{crosses}"
    for name, found in prepared.unseen.items():
        rows = counted(sum(found.values()), "row")
        yield f"warning: {rows} with a category of {name} that train lacks: {format_unseen(found)}"
    for warning in drift_warnings(prepared.drift, config.data):
        yield f"warning: {warning}"


def _training(trained: Trained, outcome: Outcome) -> Iterator[str]:
    curve, kept, n_seen = trained.curve, trained.best_epoch, len(trained.curve["epoch"])
    if n_seen == 0:
        yield "diverged before the first epoch"
        return
    stopped = f", kept epoch {kept:,}" if trained.ended == "patience" else ""
    yield (
        f"{counted(n_seen - 1, 'epoch')}{stopped}; train loss {curve['train_loss'][0]:.4f} -> "
        f"{curve['train_loss'][kept]:.4f} nats, "
        f"accuracy {curve['train_accuracy'][kept]:.4f}"
    )
    if trained.start is not None:
        yield f"from the optimum of run {trained.start.run[:12]}, of l2 {trained.start.l2:g}"
    if isinstance(outcome, Finished) and outcome.penalty is not None:
        yield _folds(outcome.penalty, by_time=outcome.config.split.name == "time")
    if outcome.certificate is not None:
        yield from _certified(outcome.certificate)
    if "valid_loss" in curve:
        yield from _validated(trained, is_auto=outcome.config.train.l2 == "auto")
    if trained.rose:
        rate = getattr(outcome.config.optimiser, "learning_rate", 0.0)
        yield f"warning: the loss rose: lower optimiser.learning_rate (it was {rate:g})"


def _folds(path: PenaltyPath, *, by_time: bool) -> str:
    low, high = (float(pick(path.fold_loss[path.chosen])) for pick in (np.min, np.max))
    best, folds = int(path.loss.argmin()), "block in time" if by_time else "fold"
    return (
        f"l2 {path.chosen_l2:g} of {len(path.l2)} from {path.l2[0]:g} to {path.l2[-1]:g}: loss out "
        f"of fold {path.loss[path.chosen]:.4f} ({low:.4f} to {high:.4f} by {folds}), the strongest "
        f"within one standard error of the lowest, {path.loss[best]:.4f} at {path.l2[best]:g}"
    )


def _certified(certificate: Certificate) -> Iterator[str]:
    yield certificate.text
    error = certificate.gradient_check
    if error is not None and error > GRADIENT_ERROR:
        yield f"warning: the gradient is off by {error:.1e} of its size, by five-point differences"


def _validated(trained: Trained, *, is_auto: bool) -> Iterator[str]:
    losses, kept = trained.curve["valid_loss"], trained.best_epoch
    lowest = int(losses.argmin())
    yield (
        f"validation loss {losses[kept]:.4f}, accuracy {trained.curve['valid_accuracy'][kept]:.4f}"
    )
    cure = _cure(trained, lowest)
    cure = "a penalty that folds choose, train.l2=cv," if cure and is_auto else cure
    if cure and losses[kept] > max(RISEN * losses[lowest], losses[lowest] + LEAST):
        yield (
            f"warning: the validation loss was lower, {losses[lowest]:.4f}, at epoch {lowest:,}: "
            f"{cure} may generalise better"
        )


def _cure(trained: Trained, lowest: int) -> str:
    """Return what may lower the validation loss to that of epoch ``lowest``; empty if not known.

    Where the train loss has fallen since, the neuron overfits; where it has risen while the
    objective fell, the penalty has pulled the weights back.
    """
    curve, kept = trained.curve, trained.best_epoch
    loss, objective = curve["train_loss"], curve["objective"]
    if loss[kept] < loss[lowest]:
        return f"a higher train.l2 (it was {trained.l2:g}) or train.patience=100"
    return (
        f"a lower train.l2 (it was {trained.l2:g})" if objective[kept] < objective[lowest] else ""
    )


def _matters(effects: Effects) -> Iterator[str]:
    of = f", in a sample of {effects.sample:,} rows" if effects.sample else ""
    yield f"rise of the loss (nats per row) when the attribute is permuted{of}"
    ranking = effects.ranking[:MAX_ATTRIBUTES]
    names = [printable(item.attribute) for item in ranking]
    width = min(MAX_NAME, max(map(columns, names)))
    top = max(ranking[0].loss_rise, 1e-12)
    for name, item in zip(names, ranking, strict=True):
        bar = "█" * max(0, round(BAR * item.loss_rise / top))
        yield f"{fitted(name, width)}  {item.loss_rise:8.4f}  {bar}".rstrip()
    more = len(effects.ranking) - MAX_ATTRIBUTES
    if more > 0:
        yield f"… and {more} more, in effects.json of the record"
