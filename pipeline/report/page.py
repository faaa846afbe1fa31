"""A record becomes its page: one file of HTML that needs nothing but itself."""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from pipeline.config.source_settings import place_of
from pipeline.files import PROGRAM
from pipeline.record import Record
from pipeline.report.dealing import format_dealing
from pipeline.report.performance import METRICS
from pipeline.text import canonical, counted, cut, flatten, printable, quoted, redactor

if TYPE_CHECKING:
    from jinja2 import Environment

MOST_EFFECTS = 200  # rows of the table
TREES = ("validation", "evaluation", "effects", "model", "optimism", "split")


def page(record: Record, figures: Mapping[str, bytes]) -> str:
    """Return the page of the run, whatever became of it; ``figures`` are PNG by name.

    Each number on it is one of the record. Whatever the table holds is shown as text.
    """
    trees = {name: _tree(record, f"{name}.json") for name in TREES}
    template = files("pipeline.report").joinpath("report.html").read_text(encoding="utf-8")
    optimism = trees["optimism"].get("figures", {})
    return environment().from_string(template).render(
        r=record.head.model_dump(),
        program=PROGRAM,
        **trees,
        **_effects(trees["effects"]),
        penalty=_tree(record, "penalty_path.json"),
        ended=_ended(record),
        curve={name: values.tolist() for name, values in record.curve.items()},
        certificate=record.certificate,
        dealt=[*format_dealing(record.dealing, record.config)] if record.dealing else [],
        labels=METRICS,
        place=place_of(record.config["data"]),
        contract=_settings(record.config["data"], "card"),
        corrected=[{"figure": words(name), **figure} for name, figure in optimism.items()],
        settings=_settings(record.config, "data"),
        lineage=dict(flatten(record.head.lineage.model_dump(exclude={"code_files"}))),
        images={name: _data_uri(content) for name, content in figures.items()},
        most=MOST_EFFECTS,
    )  # fmt: skip


def _effects(tree: dict[str, Any]) -> dict[str, Any]:
    """Return the strongest effects by attribute, the most important first, and their axis."""
    found = tree.get("effects", [])
    kept = sorted(found, key=lambda e: -_strength(e))[:MOST_EFFECTS]
    shown = {id(effect) for effect in kept}
    groups: dict[str, list[Any]] = {item["attribute"]: [] for item in tree.get("ranking", ())}
    for effect in found:
        if id(effect) in shown:
            groups.setdefault(effect["attribute"], []).append(effect)
    return {
        "groups": [pair for pair in groups.items() if pair[1]],
        "limit": max(0.02, 1.4 * max(map(_strength, kept), default=0.0)),
        "left_out": len(found) - len(kept),
        "has_weights": any("weight" in effect for effect in kept),
    }


def _strength(effect: dict[str, Any]) -> float:
    marks = effect["log_odds"], effect.get("weight")
    return max((abs(mark) for mark in marks if mark is not None), default=0.0)


def environment() -> Environment:
    """Return what renders pages: every value as text, without secrets and what no eye sees."""
    from jinja2 import Environment, StrictUndefined

    mask = redactor()
    pages = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=lambda value: _shown(value, mask),
    )  # fmt: skip
    pages.filters.update(
        count="{:,.0f}".format, counted=counted, cut=cut, date=_date, number=number,
        percent="{:.1%}".format, quoted=quoted, words=words,
    )  # fmt: skip
    return pages


def number(value: object) -> str:
    """Return a value as text: a figure with four digits, a whole number with its thousands."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer() and value > 1):
        return f"{value:,.0f}"
    if isinstance(value, float):
        is_usual = value == 0 or 1e-3 <= abs(value) < 1e5
        return f"{value:.4f}" if is_usual else f"{value:.2e}" if math.isfinite(value) else "∞"
    return str(value)


def words(name: str) -> str:
    """Return the name of a figure as a person writes it."""
    return METRICS.get(name) or name.replace("_", " ")


def _tree(record: Record, name: str) -> Any:
    """Return the values that the file of the record holds; nothing where there is no such file."""
    return record.json(name) if name in record.files else {}


def _ended(record: Record) -> str:
    """Return what became of the run in one word."""
    if record.failure is None:
        return "finished"
    if record.status == "KILLED":
        return "pruned" if record.failure.is_pruned else "stopped"
    if record.head.ended == "diverged":
        return "diverged"
    return "crashed" if record.failure.traceback else "refused"


def _settings(tree: dict[str, Any], without: str) -> dict[str, str]:
    """Return every setting by its dotted name, as YAML has it."""
    pairs = flatten({name: value for name, value in tree.items() if name != without})
    return {name: canonical(value) for name, value in pairs}


def _shown(value: Any, mask: Callable[[str], str]) -> Any:
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return printable(mask(value), keep="\n")


def _date(ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(ms / 1000))


def _data_uri(png: bytes) -> Markup:
    return Markup("data:image/png;base64," + base64.b64encode(png).decode("ascii"))  # noqa: S704
