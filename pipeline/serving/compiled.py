"""A model becomes plain JSON: look-ups, bounds and weights, which ``scorer`` answers from alone."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nn.arrays import Array
from pipeline.config.column_settings import BOOLEAN, Boolean, Categorical, Feature, Numeric
from pipeline.config.contract import DataSettings
from pipeline.config.date_settings import PARTS, Date, parse_moment
from pipeline.errors import DataError
from pipeline.stages.encode import Block, Encoder, OneHot, Spline, Standard
from pipeline.stages.encode.bins import bin_labels
from pipeline.stages.predict import Model
from pipeline.stages.read.numbers import NUMBER, SEPARATORS, parse_numbers
from pipeline.stages.validate import MISSING
from pipeline.stages.validate.rules import LARGEST, contract_rules
from pipeline.stages.validate.values import BOOLEANS, ColumnValues, listed_values
from pipeline.text import one_line

UNKNOWN = -1  # a word that may be there and adds nothing
UNSEEN_RULE = "must have a category of train"
Word = int | str  # the position of a word in its block, or the rule that it breaks


def compile_model(model: Model) -> dict[str, Any]:
    """Return what ``scorer.Scorer`` needs to judge and score rows, as plain JSON.

    DataError where its parts do not fit each other: it is none that a run wrote.
    """
    try:
        return _compiled(model)
    except (ValueError, LookupError, TypeError, OverflowError) as error:
        got = one_line(error, 200)
        raise DataError(f"model must be as a run wrote it; got {got}: train it again") from None


def _compiled(model: Model) -> dict[str, Any]:
    data, encoder = model.data, model.encoder
    rules = _rule_texts(data)
    columns = {
        name: _column(name, column, rules[name], data, encoder)
        for name, column in data.features.items()
    }
    numbers = _missing_numbers(data)
    for column in columns.values():
        if column["kind"] == "number":
            column["numbers"] = numbers
    return {
        "bias": float(model.theta[-1]),
        "threshold": model.threshold,
        "decimal": data.decimal,
        "strip": data.strip,
        "known": sorted({*data.columns, data.target.name}) if data.rest == "refuse" else None,
        "columns": columns,
        "terms": [
            {"name": block.name, **_term(block, model.theta[at].tolist())}
            for block, at in zip(encoder.blocks, encoder.slices(), strict=True)
        ],
    }


def _missing_numbers(data: DataSettings) -> list[float]:
    """Return the missing values that are numbers: -999 is -999.0, however it is written."""
    import pandas as pd

    numbers = parse_numbers(pd.Series(sorted(data.missing), dtype="str"), data)
    return [*numbers[~np.isnan(numbers)].tolist()]


def example_row(compiled: Mapping[str, Any]) -> dict[str, str | float]:
    """Return a row that the contract takes: first categories, means, dates of reference.

    It is made of what was learned, never a row of the table.
    """
    means = {t["attribute"]: t["mean"] + t["rest"] for t in compiled["terms"] if "mean" in t}
    edges = {
        part["attribute"]: sum(part["edges"]) / len(part["edges"])
        for term in compiled["terms"]
        for part in term.get("parts", ())
        if part.get("edges")
    }
    return {
        name: _example(column, means.get(name, edges.get(name, 0.0)))
        for name, column in compiled["columns"].items()
    }


def _example(column: Mapping[str, Any], number: float) -> str | float:
    if column["kind"] == "words":
        words = (word for word, verdict in column["exact"].items() if isinstance(verdict, int))
        return next((w for w in words if w and column["exact"][w] >= 0), "")
    if column["kind"] == "date":
        day = parse_moment(column["day"], None)
        return day.strftime(column["format"]) if day and column["format"] else column["day"]
    for bound in column["bounds"]:
        low, high = bound["low"], bound["high"]
        number = max(number, low) if low is not None else number
        number = min(number, high) if high is not None else number
    return number + 1 if number in column["numbers"] else number


def _rule_texts(data: DataSettings) -> dict[str, list[str]]:
    """Return the rules about the values of each column, in words, as the contract has them."""
    import pandas as pd

    blank = ColumnValues(
        pd.Series([""], dtype="str"), np.zeros(1, np.intp), np.ones(1, bool), np.full(1, np.nan),
        np.full(1, "NaT", "datetime64[us]"),
    )  # fmt: skip
    rules = contract_rules(dict.fromkeys(data.features, blank), data, np.ones(1, np.int64))
    return {
        name: [rule.text for rule in of_column if not isinstance(rule.holds, bool)]
        for name, of_column in rules.items()
    }


def _column(
    name: str, column: Feature, rules: Sequence[str], data: DataSettings, encoder: Encoder
) -> dict[str, Any]:
    marks = sorted({*data.missing}.difference(listed_values(column)))
    texts = iter(rules)
    missing = next(texts) if column.missing == "refuse" else None
    if isinstance(column, Numeric):
        return _number(column, texts, data) | {"marks": marks, "missing": missing}
    if isinstance(column, Date):
        parts = {part: _part(f"{name}.{part}", part, column, encoder) for part in column.parts}
        return {
            "kind": "date", "format": column.format, "marks": marks, "missing": missing,
            "date": next(texts), "parts": parts, "day": column.reference,
        }  # fmt: skip
    return _words(name, column, next(texts), marks, encoder, missing)


def _number(column: Numeric, rules: Iterator[str], data: DataSettings) -> dict[str, Any]:
    is_number, is_moderate, *bounds = rules
    low, high = column.minimum, column.maximum
    limits: list[tuple[float | None, float | None]] = [(-LARGEST, LARGEST)]
    limits += [(low, None)] if low is not None else []
    limits += [(None, high)] if high is not None else []
    return {
        "kind": "number",
        "form": _form(data),
        "number": is_number,
        "bounds": [
            {"rule": rule, "low": low, "high": high}
            for rule, (low, high) in zip((is_moderate, *bounds), limits, strict=True)
        ],
    }


def _form(data: DataSettings) -> dict[str, str | None]:
    """Return how numbers are written: a pattern, the mark of thousands, the decimal mark."""
    if (data.decimal, data.thousands) == (".", None):
        return {"pattern": NUMBER, "thousands": None, "decimal": "."}
    point, whole, sign = ("[.]" if data.decimal == "." else ","), "[0-9]+", None
    if data.thousands is not None:
        sign = SEPARATORS[data.thousands]
        whole = rf"([1-9][0-9]{{0,2}}({sign}[0-9]{{3}})+|[0-9]+)"
    pattern = rf"[+-]?({whole}({point}[0-9]*)?|{point}[0-9]+)([eE][+-]?[0-9]+)?"
    return {"pattern": pattern, "thousands": sign, "decimal": data.decimal}


def _words(
    name: str, column: Categorical | Boolean, rule: str, marks: list[str], encoder: Encoder,
    missing: str | None,
) -> dict[str, Any]:  # fmt: skip
    place, other = _places(name, encoder)
    absent: Word = place.get(MISSING, UNKNOWN) if missing is None else missing
    of_marks = dict.fromkeys(marks, absent)
    if isinstance(column, Boolean):
        folded = {text: place.get(word, UNKNOWN) for text, word in BOOLEANS.items()}
        exact = {word: place.get(word, UNKNOWN) for word in BOOLEAN}
        return _look_up(exact | of_marks, rule, folded=folded)
    if column.categories is not None:
        exact = {word: place.get(word, other) for word in column.categories}
        return _look_up(of_marks | exact, rule)
    words = {word: at for word, at in place.items() if word != MISSING}
    is_refused = encoder.unseen == "refuse" and other == UNKNOWN and not _takes_any(name, encoder)
    return _look_up(words | of_marks, UNSEEN_RULE if is_refused else other, plain=rule)


def _look_up(
    exact: dict[str, Any],
    other: Word,
    *,
    folded: dict[str, int] | None = None,
    plain: str | None = None,
) -> dict[str, Any]:
    return {"kind": "words", "exact": exact, "folded": folded, "other": other, "plain": plain}


def _takes_any(name: str, encoder: Encoder) -> bool:
    return any(name in b.infrequent for b in encoder.blocks if isinstance(b, OneHot))


def _options(block: OneHot) -> list[list[str]]:
    return [[*dict.fromkeys(words)] for words in zip(*block.categories, strict=True)]


def _places(name: str, encoder: Encoder) -> tuple[dict[str, int], int]:
    """Return the position of each word of an attribute in its block, and that of any other."""
    for block in encoder.blocks:
        if isinstance(block, OneHot) and name in block.attributes:
            words = _options(block)[block.attributes.index(name)]
            place = {word: i for i, word in enumerate(words)}
            return place, place.get(block.infrequent.get(name, ""), UNKNOWN)
    return {}, UNKNOWN


def _part(attribute: str, part: str, column: Date, encoder: Encoder) -> dict[str, Any]:
    if part not in PARTS:
        return {"reference": column.reference}
    place, other = _places(attribute, encoder)
    codes = [place.get(word, other) for word in PARTS[part]]
    return {"codes": codes, "missing": place.get(MISSING, UNKNOWN)}


def _term(block: Block, weights: list[float]) -> dict[str, Any]:
    if isinstance(block, OneHot):
        return _of_words(block, weights)
    scale = block if isinstance(block, Standard) else block.scale
    line = {
        "kind": "line", "attribute": scale.attribute, "mean": scale.mean, "rest": scale.rest,
        "deviation": scale.deviation, "weight": weights[0],
        "missing": weights[-1] if scale.missing else 0.0,
    }  # fmt: skip
    return line if isinstance(block, Standard) else line | _curve(block, np.array(weights))


def _of_words(block: OneHot, weights: list[float]) -> dict[str, Any]:
    options = _options(block)
    if math.prod(map(len, options)) != len(weights):
        raise ValueError(f"{block.name} without a combination")
    places = [{word: i for i, word in enumerate(words)} for words in options]
    shape = tuple(map(len, options))
    flat = [0.0] * len(weights)
    for category, weight in zip(block.categories, weights, strict=True):
        at = [place[word] for place, word in zip(places, category, strict=True)]
        flat[int(np.ravel_multi_index(at, shape))] = weight
    parts = [
        _binned(name, block.edges[name], place) if name in block.edges else {"attribute": name}
        for name, place in zip(block.attributes, places, strict=True)
    ]
    return {"kind": "words", "parts": parts, "sizes": list(shape), "weights": flat}


def _binned(name: str, edges: Sequence[float], place: dict[str, int]) -> dict[str, Any]:
    codes = [place.get(label, UNKNOWN) for label in bin_labels(tuple(edges))]
    missing = place.get(MISSING, UNKNOWN)
    return {"attribute": name, "edges": [*edges], "codes": [*codes, missing]}


def _curve(block: Spline, weights: Array) -> dict[str, Any]:
    """Return the weighted sum of the bends, a natural cubic spline, as pieces between the knots.

    Piece j has an origin and four coefficients: ``c0 + c1 t + c2 t^2 + c3 t^3`` with ``t`` from the
    origin. The first is below every knot, the last above, and both are straight.
    """
    from scipy.interpolate import CubicSpline

    knots = np.array(block.knots)
    heights = np.array(block.values)[:, 1:] @ weights[1 : len(block.values[0])]
    spline = CubicSpline(knots, heights, bc_type="natural")
    inner = np.column_stack([knots[:-1], spline.c[::-1].T]).tolist()
    low, high = (
        [float(knots[at]), float(heights[at]), float(spline(knots[at], 1)), 0.0, 0.0]
        for at in (0, -1)
    )
    return {"kind": "curve", "knots": knots.tolist(), "pieces": [low, *inner, high]}
