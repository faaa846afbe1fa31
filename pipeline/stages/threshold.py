"""A rule becomes the probability from which a row is decided positive, by validation rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Context, Decimal
from typing import NamedTuple

import numpy as np

from nn import Examples, mean_loss, row_logits, sigmoid
from nn.arrays import Array
from pipeline.config.evaluate_settings import Costs, ThresholdRule
from pipeline.errors import DataError, TrainingError
from pipeline.stages.calibration import calibration_line
from pipeline.stages.one_thread import on_one_thread
from pipeline.text import counted

SLACK = 1e-12  # of a share: 0.1 * 3 is more than 0.3
ROUNDING = 1e-9  # logits that are closer differ by rounding, or might
# Of the table; round, so that nobody takes them for chosen.
ROUND = (
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9,
    0.95, 0.99,
)  # fmt: skip
DOUBT = 0.05  # p-value below which the validation rows refute a calibrated neuron


@dataclass(frozen=True)
class Threshold:
    """A row is decided positive where its probability is at least ``value``.

    ``reason`` says by which rule it was chosen and what it gives on the validation rows; "" where
    it is configured. ``costs`` are those of the rule, if it has some.
    """

    value: float
    reason: str = ""
    costs: Costs | None = None


class Cuts(NamedTuple):
    """Where rows can be parted (k,), from the highest probability down.

    A threshold above ``below`` and up to ``at`` decides ``alerts`` rows positive, of which
    ``found`` are.
    """

    at: Array
    below: Array
    alerts: Array
    found: Array


@on_one_thread
def choose_threshold(
    theta: Array,
    valid: Examples | None,
    setting: float | ThresholdRule,
    ends: Sequence[Array] | None = None,
) -> Threshold:
    """Return the threshold that is configured, or that the rule chooses on the validation rows.

    ``ends``: where rows stand for several, the least and the greatest logit (n,) of each.

    Raises
    ------
    DataError
        If there is no validation row, or no positive one, to choose it on.
    TrainingError
        If no threshold achieves what the rule asks for.
    """
    if not isinstance(setting, ThresholdRule):
        return Threshold(setting)
    if setting.cost is not None:
        return _least_cost(theta, valid, setting.cost)
    if valid is None or not valid.count @ valid.y:
        raise DataError(
            "evaluate.threshold must have positive validation rows to be chosen on; got none: "
            "raise split.valid, or set a number"
        )
    cuts, n = _cuts(theta, valid, ends), float(valid.count.sum())
    cut = _chosen(cuts, setting, n)
    value = _shortest(cuts.below[cut], cuts.at[cut])
    alerts, found, positive = cuts.alerts[cut], cuts.found[cut], cuts.found[-1]
    return Threshold(
        value,
        f"the {'highest' if setting.recall is not None else 'lowest'} with {_asked(setting)} on "
        f"{n:,.0f} validation rows: recall {found / positive:.3g} ({found:,.0f} of {positive:,.0f} "
        f"positive rows), precision {found / alerts:.3g}, rate {alerts / n:.3g}",
    )


def threshold_table(p: Array, test: Examples, chosen: Threshold) -> Array:
    """Return the columns of ``Evaluation.thresholds`` at round thresholds and the chosen one.

    Of neighbours that decide every row alike the lowest is kept, and always 0.5 and the chosen one.
    """
    _, y, count = test
    table = np.unique([*ROUND, chosen.value])
    place = np.searchsorted(table, p, side="right")  # how many thresholds p reaches
    tp, fp = (
        np.bincount(place, count * c, len(table) + 1)[::-1].cumsum()[::-1][1:] for c in (y, 1 - y)
    )
    alerts, n = tp + fp, count.sum()
    precision = np.divide(tp, alerts, out=np.full(len(table), np.nan), where=alerts > 0)
    columns = [table, alerts / n, precision, tp / (count @ y)]
    if chosen.costs is not None:
        cost = fp * chosen.costs.false_positive + (count @ y - tp) * chosen.costs.false_negative
        columns.append(cost / n)
    is_new = np.diff(alerts, prepend=-1.0) != 0
    rows = np.column_stack(columns)[is_new | np.isin(table, (0.5, chosen.value))]
    return np.asarray(rows, np.float64)


def _chosen(cuts: Cuts, rule: ThresholdRule, n: float) -> int:
    """Return which cut the rule chooses; shares are compared but for rounding."""
    recall, precision, rate = cuts.found / cuts.found[-1], cuts.found / cuts.alerts, cuts.alerts / n
    if rule.recall is not None:
        return int(np.argmax(recall >= rule.recall - SLACK))
    if rule.precision is not None:
        kept, best = np.flatnonzero(precision >= rule.precision - SLACK), int(precision.argmax())
        got = f"{precision[best]:.3g} at most, with {counted(int(cuts.alerts[best]), 'alert')}"
        cure = f"{{precision: {_shortest(0, precision[best]):g}}}"
    else:
        kept = np.flatnonzero(rate <= (rule.rate or 0) + SLACK)
        got = f"{rate[0]:.3g} at least, as so many rows have the highest probability"
        cure = f"{{rate: {math.ceil(1000 * rate[0]) / 1000:g}}}"
    if not len(kept):
        raise TrainingError(
            f"evaluate.threshold must give {_asked(rule)} on the validation rows; got {got}: "
            f"ask for less, as with evaluate.threshold={cure}"
        )
    return int(kept[-1])


def _asked(rule: ThresholdRule) -> str:
    if rule.recall is not None:
        return f"a recall of at least {rule.recall:g}"
    if rule.precision is not None:
        return f"a precision of at least {rule.precision:g}"
    return f"a rate of at most {rule.rate:g}"


def _cuts(theta: Array, rows: Examples, ends: Sequence[Array] | None) -> Cuts:
    """Return the cuts between rows whose probabilities differ by more than rounding."""
    z = row_logits(theta, rows.X)
    down = np.argsort(-z, kind="stable")
    low, high = (end[down] for end in ends or (z, z))
    at, above = sigmoid(low), sigmoid(high)
    apart = (low[:-1] - high[1:] > ROUNDING) & (at[:-1] > above[1:])
    last = np.append(np.flatnonzero(apart), len(z) - 1)
    alerts, found = (np.cumsum(c[down])[last] for c in (rows.count, rows.count * rows.y))
    # A row of weight 0 is no alert.
    counts = alerts > 0
    at, below = at[last], np.append(above[1:], -1.0)[last]
    return Cuts(at[counts], below[counts], alerts[counts], found[counts])


def _shortest(low: float, high: float) -> float:
    """Return the number above ``low`` and up to ``high`` that has the fewest digits.

    It decides the validation rows as ``high`` does, and is no row's own probability, whose last
    digit may be another on another machine; it can be read and typed.
    """
    high = float(max(min(high, math.nextafter(1, 0)), math.nextafter(low, 1)))
    for digits in range(1, 18):
        short = float(Context(digits, ROUND_FLOOR).create_decimal(Decimal(repr(high))))
        if short > low:
            return short
    return high


def _least_cost(theta: Array, valid: Examples | None, costs: Costs) -> Threshold:
    """Return the threshold of the least expected cost.

    For a calibrated neuron it is ``c_fp / (c_fp + c_fn)`` (Elkan 2001), which needs no row and so
    has no variance. Where the validation rows refute that it is calibrated, by the likelihood-ratio
    test of their calibration line, it is where that line reaches it.
    """
    fp, fn = costs.false_positive, costs.false_negative
    value = fp / (fp + fn)
    text = f"the least cost of a calibrated neuron, {fp:g} / ({fp:g} + {fn:g})"
    if valid is None:
        return Threshold(value, f"{text}; no validation row says whether it is", costs)
    z = row_logits(theta, valid.X)
    line = calibration_line(z, valid.y, valid.count)
    if line is None or line[0] <= 0:
        return Threshold(value, f"{text}; the validation rows cannot say whether it is", costs)
    slope, intercept = line
    n = float(valid.count.sum())
    better = mean_loss(z, valid.y, valid.count) - mean_loss(
        slope * z + intercept, valid.y, valid.count
    )
    p = math.exp(-max(n * better, 0.0))  # of chi-squared with 2 degrees of freedom
    rows = f"{n:,.0f} validation rows"
    if p >= DOUBT:
        return Threshold(value, f"{text}; the {rows} do not refute that it is (p = {p:.2g})", costs)
    moved = float(sigmoid(np.array([(math.log(fp / fn) - intercept) / slope]))[0])
    text = f"the {rows} refute that (p = {p:.2g}), and put it where their calibration line does"
    return Threshold(
        _shortest(moved - 0.01 * min(moved, 1 - moved), moved),
        f"the least cost: {value:.3g} of a calibrated neuron; {text}",
        costs,
    )
