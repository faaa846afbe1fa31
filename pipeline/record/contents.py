"""An outcome becomes the files of its record, as bytes; a stage that was not reached has none."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from nn.neuron import average
from pipeline.config.schema import RunConfig
from pipeline.csv_text import csv_bytes
from pipeline.record.arrays import array_bytes, curve_csv
from pipeline.stages.drift import drift_warnings
from pipeline.stages.evaluate import Evaluation
from pipeline.stages.explain import Effects
from pipeline.stages.infer import Effect
from pipeline.stages.optimism import Optimism
from pipeline.stages.outcome import Finished, Outcome, Prepared
from pipeline.stages.predict import Model, contract_for_new_rows, to_json
from pipeline.stages.train import Trained
from pipeline.text import redact, redact_tree

NOT_CHOSEN = 0.5  # the threshold of a neuron that was not evaluated, and so decides nothing


def contents(outcome: Outcome, git_diff: str | None) -> dict[str, bytes]:
    """Return every file of the record but ``result.json``, by name."""
    files = {"config.yaml": _yaml(config_tree(outcome.config))}
    if git_diff is not None:
        files["source.diff"] = redact(git_diff).encode("utf-8", "surrogateescape")
    if outcome.prepared.validation is not None:
        report = outcome.prepared.validation.report()
        if isinstance(outcome.prepared, Prepared):
            drifted = drift_warnings(outcome.prepared.drift, outcome.config.data)
            report["warnings"] = [*report["warnings"], *drifted]
        files["validation.json"] = json_bytes(redact_tree(report))
    if isinstance(outcome.prepared, Prepared):
        files["split.json"] = json_bytes(asdict(outcome.prepared.dealing))
    if outcome.trained is not None and isinstance(outcome.prepared, Prepared):
        files["curve.csv"] = curve_csv(outcome.trained.curve)
        if outcome.trained.start is not None:
            files["start.json"] = json_bytes(asdict(outcome.trained.start))
        threshold = outcome.evaluation.threshold if isinstance(outcome, Finished) else NOT_CHOSEN
        files["model.json"] = _model(outcome.config, outcome.prepared, outcome.trained, threshold)
    if isinstance(outcome, Finished):
        files |= _findings(outcome)
    return files


def config_tree(config: RunConfig) -> dict[str, Any]:
    """Return the configuration as plain values without secrets."""
    # Not mode="json", which would write every lone surrogate as the same replacement characters.
    tree: dict[str, Any] = redact_tree(config.model_dump())
    return tree


def metrics(outcome: Outcome) -> dict[str, float]:
    """Return every single figure of the run by the name that it has in MLflow; all are finite.

    ``train/`` and ``valid/`` hold what the kept epoch achieved, ``test/`` what held-out rows say.
    Where no rows were held out the prefix is ``not_held_out/``: such a figure never stands in the
    column of an honest one; ``baseline_…`` in it is the model that always answers the same.
    ``optimism/`` holds figures on the training rows less what training on them is good for.
    """
    found: dict[str, float] = {}
    if outcome.trained is not None:
        found |= _best(outcome.trained) | {"l2": outcome.trained.l2}
    if outcome.certificate is not None:
        found |= outcome.certificate.metrics
    if isinstance(outcome.prepared, Prepared):
        found |= zip(("rows/train", "rows/valid", "rows/test"), outcome.prepared.sizes, strict=True)
    if isinstance(outcome, Finished):
        found |= _evaluated(outcome.evaluation)
        found |= _corrected(outcome.optimism)
        found |= _validated(outcome)
        found |= {f"importance/{i.attribute}": i.loss_rise for i in outcome.effects.ranking}
    return {name: float(value) for name, value in found.items() if math.isfinite(value)}


def curve_name(series: str) -> str:
    """Return the name of a series in MLflow: ``train_loss`` of a curve is ``train/loss``."""
    part, _, quantity = series.partition("_")
    return f"{part}/{quantity}" if part in ("train", "valid") else f"train/{series}"


def json_bytes(tree: Any) -> bytes:
    """Return the tree as JSON that a person can read; what is not finite is null."""
    return (json.dumps(plain(tree), indent=1, allow_nan=False) + "\n").encode("ascii")


def plain(tree: Any) -> Any:
    """Return the tree with lists for arrays and null for what is not finite."""
    if isinstance(tree, np.ndarray | np.generic):
        return plain(tree.tolist())
    if isinstance(tree, Mapping):
        return {key: plain(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [plain(value) for value in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree


def _best(trained: Trained) -> dict[str, float]:
    kept = trained.curve["epoch"] == trained.best_epoch
    found = {
        curve_name(series).replace("/", "/best_"): float(values[kept][0])
        for series, values in trained.curve.items()
        if series != "epoch" and kept.any()
    }
    return found | {"best_epoch": float(trained.best_epoch)}


def _evaluated(evaluation: Evaluation) -> dict[str, float]:
    prefix = "test" if evaluation.held_out else "not_held_out"
    baseline = {f"baseline_{name}": value for name, value in evaluation.baseline.items()}
    n_seen = evaluation.n_seen if evaluation.held_out else None
    seen = {} if n_seen is None else {"seen_rows": n_seen}
    tree = evaluation.metrics | {"threshold": evaluation.threshold} | baseline | seen
    return {f"{prefix}/{name}": value for name, value in tree.items()}


def _validated(outcome: Finished) -> dict[str, float]:
    """Return the validation loss where the curve has none: out of fold, or of other counts."""
    losses = outcome.validation_losses
    has_curve = "valid_loss" in outcome.trained.curve and outcome.config.train.class_weight is None
    if losses is None or has_curve:
        return {}
    return {"valid/best_loss": average(losses.loss, losses.count)}


def _corrected(optimism: Optimism | None) -> dict[str, float]:
    figures = optimism.figures if optimism else {}
    return {
        f"optimism/{name}_corrected": figure.corrected
        for name, figure in figures.items()
        if figure.corrected is not None
    }


def _model(config: RunConfig, prepared: Prepared, trained: Trained, threshold: float) -> bytes:
    # Categories must stay what they are; the path can hold an address, and the name what it likes.
    masked: dict[str, str | None] = {
        "path": redact(config.data.place), "name": redact(config.data.name),
        "source": None, "valid": None, "test": None,
    }  # fmt: skip
    data = contract_for_new_rows(config.data.model_copy(update=masked), prepared.encoder)
    model = Model(data, prepared.encoder, trained.theta, threshold)
    return _text(to_json(model))


def _findings(outcome: Finished) -> dict[str, bytes]:
    files = {
        "evaluation.json": json_bytes(asdict(outcome.evaluation)),
        "effects.json": json_bytes(asdict(outcome.effects)),
        "effects.csv": _effects_csv(outcome.effects),
    }
    if outcome.validation_losses is not None:
        losses = outcome.validation_losses
        columns = (losses.loss, losses.count, losses.group, losses.other)
        held = [column for column in columns if column is not None]
        files["validation_losses.npy"] = array_bytes(*held)
    files["test_losses.npy"] = array_bytes(outcome.test_losses.loss, outcome.test_losses.count)
    files["distributions.json"] = json_bytes([asdict(d) for d in outcome.prepared.distributions])
    if outcome.optimism is not None:
        files["optimism.json"] = json_bytes(asdict(outcome.optimism))
    if outcome.penalty is not None:
        files["penalty_path.json"] = json_bytes(asdict(outcome.penalty))
    if outcome.surface is not None:
        files["surface.json"] = json_bytes(asdict(outcome.surface))
    return files


def _effects_csv(effects: Effects) -> bytes:
    names = [field.name for field in fields(Effect)]
    return csv_bytes((name, [getattr(each, name) for each in effects.effects]) for name in names)


def _yaml(tree: Any) -> bytes:
    import yaml

    return _text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=False, width=100))


def _text(text: str) -> bytes:
    return text.encode("utf-8", errors="backslashreplace")
