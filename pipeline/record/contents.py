"""A result becomes the files of its record, as bytes; a stage that was not reached has none."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from nn.arrays import Array
from pipeline.config import RunConfig
from pipeline.redact import redact, redact_tree
from pipeline.run import RunResult
from pipeline.safe_arrays import to_npz
from pipeline.stages.encode import Encoder
from pipeline.stages.evaluate import Evaluation
from pipeline.stages.explain import Effect, Effects
from pipeline.stages.train import Trained


def contents(result: RunResult) -> dict[str, bytes]:
    """Every file of the record but ``result.json``, by name."""
    # Not mode="json", which would write every lone surrogate as the same replacement characters.
    config = redact_tree(result.config.model_dump())
    files = {
        "config.json": json_bytes(config),
        "config.yaml": _yaml(config),
        "lineage.json": json_bytes(lineage_tree(result)),
    }
    if result.lineage.git_dirty and result.lineage.git_diff is not None:
        files["source.diff"] = _text(redact(result.lineage.git_diff))
    if result.failure is not None:
        files["failure.json"] = json_bytes(redact_tree(dataclasses.asdict(result.failure)))
    files |= _validation(result)
    if result.trained is not None:
        files |= _trained(result.trained)
        files |= _model(result.config, result.encoder, result.trained)
    if result.certificate is not None:
        held = {**dataclasses.asdict(result.certificate), "text": result.certificate.text}
        files["certificate.json"] = json_bytes(_finite_tree(held))
    if result.valid_losses is not None:
        files["valid.npz"] = to_npz(dataclasses.asdict(result.valid_losses))
    if result.evaluation is not None:
        files["metrics.json"] = json_bytes(_finite_tree(dataclasses.asdict(result.evaluation)))
    if result.effects is not None:
        files |= _effects(result.effects)
    return files


def lineage_tree(result: RunResult) -> dict[str, Any]:
    """What the run was made of; the diff has a file of its own."""
    tree = dataclasses.asdict(result.lineage)
    del tree["git_diff"]
    redacted: dict[str, Any] = redact_tree(tree)
    return redacted


def scalars(result: RunResult) -> dict[str, float]:
    """Every single figure of the run by the name that it has in MLflow; all of them finite.

    ``train/`` and ``valid/`` hold what the kept epoch achieved, ``test/`` what held-out rows say.
    Where no rows were held out the prefix is ``not_held_out/``: such a figure never stands in the
    column of an honest one; ``baseline_…`` in it is the model that always answers the same.
    """
    figures: dict[str, float] = {}
    if result.trained is not None:
        figures |= _best(result.trained)
    if result.certificate is not None:
        figures |= result.certificate.figures
    if result.encoder is not None or result.trained is not None:
        sizes = {"train": result.n_train, "valid": result.n_valid, "test": result.n_test}
        figures |= {f"rows/{part}": float(n) for part, n in sizes.items()}
    if result.evaluation is not None:
        figures |= _evaluated(result.evaluation)
    if result.effects is not None:
        ranking = result.effects.ranking
        figures |= {f"cost_rise/{item.attribute}": item.cost_rise for item in ranking}
    return {name: float(value) for name, value in figures.items() if math.isfinite(value)}


def arrays(trained: Trained) -> dict[str, Array]:
    """The arrays of ``weights.npz``: theta and every series of the curve."""
    return {"theta": trained.theta, **trained.curve}


def curve_name(series: str) -> str:
    """``train_cost`` of a curve is ``train/cost`` in MLflow."""
    part, _, quantity = series.partition("_")
    return f"{part}/{quantity}" if part in ("train", "valid") else f"train/{series}"


def json_bytes(tree: Any) -> bytes:
    """The tree as JSON that a person can read; NaN and infinity are a defect."""
    return (json.dumps(tree, indent=1, allow_nan=False) + "\n").encode("ascii")


def _best(trained: Trained) -> dict[str, float]:
    kept = trained.curve["epoch"] == trained.best_epoch
    figures = {
        name.replace("/", "/best_"): float(trained.curve[series][kept][0])
        for series in trained.curve
        if series != "epoch" and kept.any()
        for name in [curve_name(series)]
    }
    return figures | {
        "best_epoch": float(trained.best_epoch),
    }


def _evaluated(evaluation: Evaluation) -> dict[str, float]:
    prefix = "test" if evaluation.held_out else "not_held_out"
    figures = {f"{prefix}/{name}": value for name, value in evaluation.metrics.items()}
    return figures | {
        f"{prefix}/baseline_{name}": value for name, value in evaluation.baseline.items()
    }


def _validation(result: RunResult) -> dict[str, bytes]:
    if result.validation is None:
        return {}
    from pipeline.validation_report import report_html, report_json

    title = f"Validation of {result.config.data.name}"
    return {
        "validation.json": _text(redact(report_json(result.validation))),
        "validation.html": _text(redact(report_html(result.validation, redact(title)))),
    }


def _trained(trained: Trained) -> dict[str, bytes]:
    values = trained.theta.tolist()  # repr of a float is the shortest text that reads back exactly
    columns = [series.tolist() for series in trained.curve.values()]
    return {
        "weights.json": json_bytes({"names": [*trained.inputs, "bias"], "values": values}),
        "weights.npz": to_npz(arrays(trained)),
        "curve.csv": _csv(trained.curve, zip(*columns, strict=True)),
    }


def _model(config: RunConfig, encoder: Encoder | None, trained: Trained) -> dict[str, bytes]:
    if encoder is None:
        return {}
    from pipeline.model import Model, tightened, to_json

    # Categories must stay what they are; the path can hold an address, and the name what it likes.
    told = {"path": redact(config.data.path), "name": redact(config.data.name)}
    data = config.data.model_copy(update=told)
    model = Model(tightened(data, encoder), encoder, trained.theta, config.evaluate.threshold)
    return {"model.json": _text(to_json(model))}


def _effects(effects: Effects) -> dict[str, bytes]:
    names = [field.name for field in dataclasses.fields(Effect)]
    table = _csv(names, ([getattr(row, name) for name in names] for row in effects.effects))
    return {
        "effects.json": json_bytes(_finite_tree(dataclasses.asdict(effects))),
        "effects.csv": table,
    }


def _csv(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> bytes:
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return _text(buffer.getvalue())


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula gets an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value[:1] in tuple("=+-@\t\r") else value


def _finite_tree(tree: Any) -> Any:
    """The tree with lists for arrays and null for what is not finite (a threshold of infinity)."""
    if isinstance(tree, np.ndarray):
        return _finite_tree(tree.tolist())
    if isinstance(tree, Mapping):
        return {key: _finite_tree(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_finite_tree(value) for value in tree]
    if isinstance(tree, float | np.floating):
        return float(tree) if math.isfinite(tree) else None
    return int(tree) if isinstance(tree, np.integer) else tree


def _yaml(tree: Any) -> bytes:
    import yaml

    text: str = yaml.safe_dump(tree, sort_keys=False, allow_unicode=False, width=100)
    return _text(text)


def _text(text: str) -> bytes:
    return text.encode("utf-8", errors="backslashreplace")
