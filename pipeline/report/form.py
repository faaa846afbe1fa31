"""The form of a served model: a field for each column of its contract, and what the model says."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from pipeline.config.column_settings import Boolean, Categorical, Feature, Numeric
from pipeline.config.date_settings import Date
from pipeline.record import Record
from pipeline.report.page import environment
from pipeline.report.performance import METRICS
from pipeline.serving.service import Filled, Page
from pipeline.stages.encode import OneHot
from pipeline.stages.predict import Model
from pipeline.stages.validate import MISSING

FIGURES = ("accuracy", "roc_auc", "log_loss", "precision", "recall")
LINKED = {"form.css": "text/css", "form.js": "text/javascript"}


@dataclass(frozen=True)
class Field:
    """A field of the form: its input, the values to pick from, and what it takes, in words."""

    name: str
    kind: str  # select, number, date, datetime-local or text
    options: tuple[str, ...]
    is_optional: bool
    hint: str
    start: str  # the cell that it opens with


@dataclass(frozen=True)
class Term:
    """What an attribute adds to the log-odds."""

    name: str
    value: float


def form_page(record: Record, model: Model) -> Page:
    """Return the form of a run's model; it opens with the commonest values of the table."""
    folder = files("pipeline.report")
    linked = {name: (folder.joinpath(name).read_bytes(), kind) for name, kind in LINKED.items()}
    fields = [*_fields(record, model)]
    template = environment().from_string(folder.joinpath("form.html").read_text(encoding="utf-8"))
    evaluation = record.json("evaluation.json")
    facts = {
        "r": record.head.model_dump(), "data": model.data.model_dump(), "evaluation": evaluation,
        "figures": [*_figures(evaluation)], "threshold": model.threshold, "fields": fields,
    }  # fmt: skip

    def render(filled: Filled) -> str:
        return template.render(**facts, filled=filled, **_answer(filled))

    return Page(render, {field.name: field.start for field in fields}, linked)


def _answer(filled: Filled) -> dict[str, Any]:
    terms = [Term(name, value) for name, value in (filled.terms or {}).items()]
    largest = max((abs(term.value) for term in terms), default=0.0)
    return {
        "terms": terms,
        "logit": math.fsum(term.value for term in terms),
        "limit": max(1.05 * largest, 1e-3),
    }


def _figures(evaluation: Mapping[str, Any]) -> Iterator[tuple[str, float, float | None, float]]:
    """Yield name, figure and interval of the figures on the test rows."""
    metrics = evaluation["metrics"]
    for name in FIGURES:
        if name in metrics:
            ends = (metrics.get(f"{name}_low"), metrics.get(f"{name}_high"))
            yield METRICS[name], metrics[name], *ends


def _fields(record: Record, model: Model) -> Iterator[Field]:
    profile = {}
    if "validation.json" in record.files:
        profile = {each["name"]: each for each in record.json("validation.json")["profile"]}
    for name, column in model.data.features.items():
        yield _field(name, column, model, profile.get(name, {}))


def _field(name: str, column: Feature, model: Model, profile: Mapping[str, Any]) -> Field:
    is_optional = column.missing == "input"
    match column:
        case Numeric():
            return _number(name, column, model, profile)
        case Date():
            return _date(name, column)
        case Boolean():
            options: tuple[str, ...] = ("true", "false")
            kind = "select"
        case Categorical():
            options = column.categories or _learned(name, model)
            kind = "select" if column.categories else "text"
    commonest = sorted(profile.get("categories", ()), key=lambda each: -each["n_rows"])
    start = next((each["value"] for each in commonest if each["value"] in options), options[0])
    hint = "or any other word" if kind == "text" else ""
    return Field(name, kind, options, is_optional, hint, start)


def _learned(name: str, model: Model) -> tuple[str, ...]:
    """Return the categories that train has of a column whose contract leaves them open."""
    for block in model.encoder.blocks:
        if isinstance(block, OneHot) and name in block.attributes:
            at = block.attributes.index(name)
            words = dict.fromkeys(category[at] for category in block.categories)
            return tuple(word for word in words if word != MISSING)
    return ()


def _number(name: str, column: Numeric, model: Model, profile: Mapping[str, Any]) -> Field:
    low, high, mark = column.minimum, column.maximum, model.data.decimal

    def text(number: float) -> str:
        return f"{number:.4g}".replace(".", mark)

    bounds = {
        (False, False): f"from {low} to {high}", (False, True): f"at least {low}",
        (True, False): f"at most {high}", (True, True): "",
    }[low is None, high is None]  # fmt: skip
    start, seen = "", ""
    if profile.get("mean") is not None:
        start = text(profile["mean"])
        seen = f"in the table {text(profile['minimum'])} to {text(profile['maximum'])}"
    hint = "; ".join(each for each in (bounds.replace(".0 ", " ").removesuffix(".0"), seen) if each)
    return Field(name, "number", (), column.missing == "input", hint, start)


def _date(name: str, column: Date) -> Field:
    form = "%Y-%m-%dT%H:%M" if "hour" in column.parts else "%Y-%m-%d"
    kind = "text" if column.format else "datetime-local" if "hour" in column.parts else "date"
    today = datetime.now(UTC).strftime(column.format or form)
    sample = datetime(2031, 12, 30, 23, 59, tzinfo=UTC)
    hint = f"like {sample.strftime(column.format)}" if column.format else ""
    return Field(name, kind, (), column.missing == "input", hint, today)
