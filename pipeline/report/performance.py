"""What a neuron does on the test rows, as lines of the summary."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.stages.evaluate import Evaluation
from pipeline.stages.optimism import Optimism
from pipeline.stages.outcome import Finished
from pipeline.text import counted

FEW_DISTINCT = 5_000  # rows: of more, copies are rather the many customers of few kinds
FOUND, RANKS = 0.2, 0.6  # a lower threshold is advised below this recall, from this ROC AUC on
METRICS = {
    "accuracy": "accuracy", "balanced_accuracy": "balanced accuracy", "precision": "precision",
    "recall": "recall", "f1": "F1", "roc_auc": "ROC AUC", "pr_auc": "PR AUC",
    "log_loss": "log loss (nats)", "brier": "Brier score",
    "expected_calibration_error": "calibration error",
}  # fmt: skip


def format_test(outcome: Finished) -> Iterator[str]:
    """Yield the figures on the test rows, each beside its interval and the baseline's."""
    evaluation = outcome.evaluation
    if evaluation.held_out:
        yield _seen(evaluation)
        yield from _copies(outcome)
        yield from _weighed(outcome)
    else:
        yield "NOT HELD OUT: these are figures on the rows that trained the neuron"
    yield f"{'':20}{'neuron':>8}  {'95 % interval':18}{'majority baseline':>17}"
    yield from (_metric(evaluation, name, label) for name, label in METRICS.items())
    if "roc_auc_error" in evaluation.metrics:
        errors = (f"{evaluation.metrics[f'{area}_auc_error']:.0e}" for area in ("roc", "pr"))
        yield "read in blocks: ROC AUC is exact to {}, PR AUC to {}".format(*errors)
        n, r = outcome.prepared.sizes[0], len(outcome.trained.theta)
        yield f"optimism is not refit: of {r:,} parameters on {n:,} rows about {r / n:.1g} nats"
    if "unseen_rows" in evaluation.metrics:
        n_unseen = evaluation.metrics["unseen_rows"]
        yield f"on the {n_unseen:,.0f} rows with attributes that train has not seen:"
        names = (name for name in METRICS if f"unseen_{name}" in evaluation.metrics)
        yield from (_metric(evaluation, f"unseen_{name}", METRICS[name]) for name in names)
    yield from _decisions(evaluation, outcome.validation_losses is not None)
    if outcome.optimism is not None:
        yield from _corrected(outcome.optimism)


def _seen(evaluation: Evaluation) -> str:
    n, n_seen = evaluation.n_rows, evaluation.n_seen
    if n_seen is None:
        return f"{n:,} rows, not looked up among those of train: the table is read in blocks"
    seen = {0: "none", n: "all"}.get(n_seen, f"{n_seen:,} of them")
    return f"{n:,} rows, {seen} with attributes that train has seen"


def _copies(outcome: Finished) -> Iterator[str]:
    """Yield what to do where copies of few rows may be one entity, measured again."""
    evaluation, validation = outcome.evaluation, outcome.prepared.validation
    few = validation.n_distinct < FEW_DISTINCT and outcome.prepared.copies.group is None
    if few and 2 * (evaluation.n_seen or 0) > evaluation.n_rows:
        can_be_together = outcome.config.split.name in ("stratified", "folds")
        cure = "use split.copies=together" if can_be_together else "leave copies out"
        yield (
            "warning: if rows of equal attributes are one entity measured again, these figures do "
            f"not hold for new ones: {cure}"
        )


def _weighed(outcome: Finished) -> Iterator[str]:
    """Yield how many independent rows of equal weight the test rows equal."""
    copies, metrics = outcome.prepared.copies, outcome.evaluation.metrics
    if copies.is_simple:
        return
    what = "groups are" if copies.group is not None else "weights make them"
    yield (
        f"their {what} as much evidence as {metrics['effective_rows']:,.0f} independent rows of "
        "equal weight"
    )


def _decisions(evaluation: Evaluation, has_valid: bool) -> Iterator[str]:
    (tn, fp), (fn, tp) = evaluation.confusion
    if evaluation.threshold_reason:
        yield f"threshold {evaluation.threshold:g} is {evaluation.threshold_reason}"
    yield (
        f"threshold {evaluation.threshold:g}: {tp:,} true, {fp:,} false positive; "
        f"{tn:,} true, {fn:,} false negative"
    )
    if evaluation.threshold_reason:
        rate, low, high = (
            evaluation.metrics[f"positive_rate{end}"] for end in ("", "_low", "_high")
        )
        yield f"{rate:.1%} of the rows are decided positive (95 % interval {low:.1%} to {high:.1%})"
    if tp + fp == 0:
        highest = evaluation.roc[1:, 2].max()
        yield (
            f"warning: no row is decided positive: the highest probability is {highest:.2g}, below "
            f"evaluate.threshold={evaluation.threshold:g}"
        )
    ranks = evaluation.metrics["roc_auc"] >= RANKS
    if tp < FOUND * (tp + fn) and ranks and not evaluation.threshold_reason:
        rule = "{recall: 0.8}" if has_valid else "{cost: {false_positive: 1, false_negative: 10}}"
        yield f"to find more of the positive rows, use evaluate.threshold={rule}"


def _corrected(optimism: Optimism) -> Iterator[str]:
    known = [
        f"{METRICS[name].removesuffix(' (nats)')} {figure.corrected:.4f}"
        for name, figure in optimism.figures.items()
        if name in METRICS and figure.corrected is not None
    ]
    if known:
        refits = counted(optimism.refits, "refit")
        yield f"train without optimism ({refits}): {', '.join(known)}"


def _metric(evaluation: Evaluation, name: str, label: str) -> str:
    metrics, baseline = evaluation.metrics, evaluation.baseline
    value = f"{metrics[name]:8.4f}" if name in metrics else "undefined"
    bounds = ""
    if f"{name}_low" in metrics:
        bounds = f"{metrics[f'{name}_low']:.4f} to {metrics[f'{name}_high']:.4f}"
    elif name.endswith("roc_auc"):
        bounds = "too few of a class"
    elif f"{name}_chance" in metrics:
        bounds = f"{metrics[f'{name}_chance']:.4f} by chance"
    against = f"{baseline[name]:.4f}" if name in baseline else ""
    return f"{label:19}{value:>9}  {bounds:18}{against:>17}".rstrip()
