"""The second pass: how the rows were dealt, and what the encoder learns from those of train."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np

from nn import tree_sum
from nn.arrays import Array
from pipeline.config.contract import DataSettings
from pipeline.stages.blocks.columns import keys_of_rows, table_of, values_of
from pipeline.stages.blocks.deal import Deal
from pipeline.stages.blocks.source import BlockRows, Piece
from pipeline.stages.encode import Known, Standard
from pipeline.stages.encode.numbers import SHIFTED, TINY
from pipeline.stages.validate.convert import Table

PARTS = 3  # train, valid, test


class Moments(NamedTuple):
    """Sums over the train rows of a block, of each attribute of numbers (k,).

    Numbers are less ``centre`` and in ``unit``: differences of near numbers are exact, and squares
    neither overflow nor vanish.
    """

    weight: Array
    first: Array
    second: Array


class Sizes(NamedTuple):
    """Sums over the rows of each part (3, …): rows of each class, weights, their squares."""

    rows: Array  # (3, 2)
    weight: Array  # (3, 2)
    square: Array  # (3,)


class BlockParts(NamedTuple):
    """What a block says of the parts; see ``Learned``."""

    moments: Moments
    sizes: Sizes
    ends: Array  # (2, k): least and largest number of train
    words: tuple[dict[str, Counter[str]], ...]


@dataclass
class Learned:
    """What the parts hold, exactly: ``words`` of each part by attribute, with their rows."""

    sizes: Sizes
    known: Known
    words: tuple[dict[str, Counter[str]], ...]


class Centre(NamedTuple):
    """Where the numbers of an attribute are about, and how far apart, as a power of two."""

    centre: float
    unit: float


def learn_parts(rows: BlockRows, deal: Deal, sample: Table, missing: dict[str, bool]) -> Learned:
    """Return what the parts hold, in one pass.

    ``missing`` says of each attribute of numbers whether a value may be missing.
    """
    centres = {name: _centre(sample.frame[name].to_numpy(np.float64)) for name in missing}
    words: tuple[dict[str, Counter[str]], ...] = ({}, {}, {})
    ends = np.array([[np.inf], [-np.inf]]) * np.ones(len(missing))

    def sums() -> Iterator[tuple[Array, ...]]:
        for found in rows.map(partial(_block_parts, data=rows.data, deal=deal, centres=centres)):
            for part, of_part in zip(words, found.words, strict=True):
                for name, counts in of_part.items():
                    part.setdefault(name, Counter()).update(counts)
            np.minimum(ends[0], found.ends[0], out=ends[0])
            np.maximum(ends[1], found.ends[1], out=ends[1])
            yield (*found.moments, *found.sizes)

    total = tree_sum(sums())
    moments, sizes = Moments(*total[:3]), Sizes(*total[3:])
    scales = {
        name: _scale(name, centres[name], missing[name], *(values[j] for values in moments), *end)
        for j, (name, end) in enumerate(zip(missing, ends.T.tolist(), strict=True))
    }
    return Learned(sizes, Known(words[0], scales), words)


def _centre(x: Array) -> Centre:
    known = x[~np.isnan(x)]
    if not known.size:
        return Centre(0.0, 1.0)
    centre = float(known.mean())
    spread = float(np.abs(known - centre).max())
    return Centre(centre, float(np.ldexp(1.0, int(np.frexp(spread or 1.0)[1]))))


def _scale(
    name: str, at: Centre, missing: bool, weight: float, first: float, second: float,
    low: float, high: float,
) -> Standard:  # fmt: skip
    """Return the scale of an attribute, as of rows that are held."""
    if not low < high:
        return Standard(name, low if np.isfinite(low) else 0.0, 0.0, missing)
    shift = first / weight
    deviation = max(float(np.sqrt(max(second / weight - shift**2, 0.0)) * at.unit), TINY)
    mean = at.centre + shift * at.unit
    rest = (at.centre - mean) + shift * at.unit
    return Standard(
        name, mean, deviation, missing, rest if abs(rest) > SHIFTED * deviation else 0.0
    )


def _block_parts(
    piece: Piece, data: DataSettings, deal: Deal, centres: dict[str, Centre]
) -> BlockParts:
    table = table_of(values_of(piece, data), piece.part, data)
    part = deal.parts(table, keys_of_rows(table))
    weight = np.ones(len(part)) if table.weight is None else table.weight
    place = part.astype(np.intp) * 2 + table.y.astype(np.intp)
    sizes = Sizes(
        np.bincount(place, minlength=2 * PARTS).reshape(PARTS, 2).astype(np.float64),
        np.bincount(place, weight, 2 * PARTS).reshape(PARTS, 2).astype(np.float64),
        np.bincount(part, weight**2, PARTS).astype(np.float64),
    )
    train = part == 0
    found = [
        _moments(table.frame[name].to_numpy()[train], weight[train], at)
        for name, at in centres.items()
    ]
    columns = np.array(found).reshape(len(centres), 5).T
    return BlockParts(Moments(*columns[:3]), sizes, columns[3:], _words(table, part))


def _moments(x: Array, weight: Array, at: Centre) -> tuple[float, ...]:
    known = ~np.isnan(x)
    if not known.all():
        x, weight = x[known], weight[known]
    if not len(x):
        return 0.0, 0.0, 0.0, np.inf, -np.inf
    u = (x - at.centre) / at.unit
    weighted = u * weight
    return (
        float(weight.sum()),
        float(weighted.sum()),
        float(weighted @ u),
        float(x.min()),
        float(x.max()),
    )


def _words(table: Table, part: np.ndarray) -> tuple[dict[str, Counter[str]], ...]:
    found: tuple[dict[str, Counter[str]], ...] = ({}, {}, {})
    for name in table.frame:
        cells = table.frame[name]
        if cells.dtype.kind != "f":
            words = cells.cat.categories.to_numpy(object)
            codes = cells.cat.codes.to_numpy(np.intp) * PARTS + part
            counts = np.bincount(codes, minlength=PARTS * len(words)).reshape(-1, PARTS)
            for of_part, n in zip(found, counts.T.tolist(), strict=True):
                of_part[str(name)] = Counter({w: k for w, k in zip(words, n, strict=True) if k})
    return found
