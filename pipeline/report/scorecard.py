"""A neuron of words and bins becomes a scorecard: whole points that are added up by hand.

A row's points are the base and those of its category or bin in each attribute. They are the
log-odds of the neuron in units of ``pdo / ln 2``, rounded, so that a row's log-odds change by no
more than a sum of rounding errors, and its loss, whose slope in the log-odds is at most 1, by no
more than that either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nn import Examples, examine
from nn.arrays import Array
from pipeline.config.schema import RunConfig, ScorecardSettings
from pipeline.csv_text import csv_bytes
from pipeline.errors import ConfigError, DataError
from pipeline.record import Record
from pipeline.stages.blocks.dealt import deal_blocks
from pipeline.stages.blocks.keyed import KeyedBlocks
from pipeline.stages.blocks.open import read_table
from pipeline.stages.blocks.source import BlockRows
from pipeline.stages.encode import Encoder, OneHot, Standard, encode
from pipeline.stages.predict import Model
from pipeline.stages.split import split_table
from pipeline.stages.validate import validate

OTHER = "any other"  # a category that train does not have
N_SHOWN = 5  # attributes that a message names
ROUNDING = 1e-12  # of the log-odds, by float64


class Line(NamedTuple):
    """The points of a category or bin; ``log_odds`` are what they stand for, before rounding."""

    attribute: str
    label: str
    points: int
    log_odds: float


@dataclass(frozen=True)
class Scorecard:
    """``base`` points of every row and those of each line; what they are in log-odds.

    ``theta`` (d + 1,) is the neuron that the points are exactly; no row's log-odds differ from
    those of the neuron that was trained by more than ``bound``.
    """

    base: int
    lines: tuple[Line, ...]
    theta: Array
    bound: float


def scorecard(model: Model, settings: ScorecardSettings) -> Scorecard:
    """Return the points of a model, those of an attribute from 0 up.

    Points rise with the odds of ``settings.of``: at ``score`` points these are ``odds``, and
    ``pdo`` points more double them.

    Raises
    ------
    ConfigError
        If an attribute is a straight line or a curve, which no table of points can hold.
    """
    _require_steps(model.encoder)
    unit = np.log(2) / settings.pdo * (1 if settings.of == "positive" else -1)  # log-odds a point
    lines, theta, errors = list[Line](), np.zeros_like(model.theta), list[Array]()
    shift = model.theta[-1]
    for block, columns in zip(model.encoder.blocks, model.encoder.slices(), strict=True):
        labels, weights = _weights(block, model.theta[columns], model)
        if not weights.size:
            continue
        least = (weights / unit).min()
        points = np.rint(weights / unit - least)
        shift += least * unit
        errors.append(points * unit + least * unit - weights)
        theta[columns] = (points * unit)[: len(theta[columns])]
        rows = zip(labels, points.astype(int).tolist(), weights.tolist(), strict=True)
        lines += [Line(block.name, label, n, weight) for label, n, weight in rows]
    offset = settings.score - np.log(settings.odds) / abs(unit)
    base = int(np.rint(offset + shift / unit))
    theta[-1] = (base - offset) * unit
    return Scorecard(base, tuple(lines), theta, _bound(theta[-1] - shift, errors))


def rise(card: Scorecard, model: Model, rows: Examples | KeyedBlocks) -> float:
    """Return by how much rounding raises the mean loss of the rows, in nats per row."""
    return examine(card.theta, rows).loss - examine(model.theta, rows).loss


def test_rows(record: Record) -> Examples | KeyedBlocks | None:
    """Return the test rows of a run; None where its table is not there, or another one."""
    config = RunConfig.parse(record.config)
    try:
        rows = read_table(config.data)
        if rows.digest != record.head.lineage.data_digest:
            return None
        if isinstance(rows, BlockRows):
            return deal_blocks(rows, config).part(2, record.model.encoder)
        table = validate(rows, config.encode.completed(config.data)).require()
    except DataError:
        return None
    return encode(record.model.encoder, split_table(table, config.split).test, "test")


def to_csv(card: Scorecard) -> bytes:
    """Return the scorecard as CSV, in which no cell is a formula."""
    rows = [("(base)", "", card.base), *(line[:3] for line in card.lines)]
    return csv_bytes(zip(("attribute", "value", "points"), zip(*rows, strict=True), strict=True))


def _require_steps(encoder: Encoder) -> None:
    numbers = [b.name for b in encoder.blocks if not isinstance(b, OneHot) and not _is_constant(b)]
    if numbers:
        more = f" and {len(numbers) - N_SHOWN} more" if len(numbers) > N_SHOWN else ""
        raise ConfigError(
            "attributes must be words or bins to have points; got numbers in "
            f"{', '.join(numbers[:N_SHOWN])}{more}: train with encode=bins"
        )


def _is_constant(block: object) -> bool:
    return isinstance(block, Standard) and not block.deviation and not block.missing


def _weights(block: object, own: Array, model: Model) -> tuple[list[str], Array]:
    """Return the labels and log-odds of a block, of a category that is not among them as well."""
    if not isinstance(block, OneHot):
        return [], np.empty(0)
    labels = [*block.labels]
    return ([*labels, OTHER], np.append(own, 0.0)) if _is_open(block, model) else (labels, own)


def _is_open(block: OneHot, model: Model) -> bool:
    """Return whether a row may have none of the categories."""
    known = {word for category in block.categories for word in category}
    return any(
        block.infrequent[name] not in known
        if name in block.infrequent
        else getattr(model.data.attributes[name], "categories", ()) is None
        for name in block.attributes
        if name not in block.edges
    )


def _bound(base: float, errors: list[Array]) -> float:
    """Return the most that the log-odds of any row can change."""
    highest = base + sum(float(error.max()) for error in errors)
    lowest = base + sum(float(error.min()) for error in errors)
    return max(abs(highest), abs(lowest)) + ROUNDING


def format_scorecard(
    card: Scorecard, settings: ScorecardSettings, measured: float | None
) -> Iterator[str]:
    """Yield what the scorecard is, and what rounding may cost and does."""
    n = len({line.attribute for line in card.lines})
    yield (
        f"{len(card.lines)} lines of {n} attributes; {settings.score:g} points are odds of "
        f"{settings.odds:g}:1 for the {settings.of} class, {settings.pdo:g} more double them"
    )
    yield (
        f"rounding changes no row's log-odds by more than {card.bound:.4f}, so that the mean log "
        f"loss rises by at most that (nats per row)"
    )
    if measured is not None:
        yield f"on the test rows it rises by {measured:+.6f}"
