"""The values of the target become its positive and negative ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from pipeline.config.file_settings import FileSettings
from pipeline.config.strict import did_you_mean
from pipeline.draft.kinds import Column, Guess
from pipeline.errors import ConfigError
from pipeline.stages.read.numbers import parse_numbers
from pipeline.text import counted, quoted

MAX_CLASSES = 20
YES = frozenset((
    "yes", "y", "true", "t", "1", "1.0", "positive", "pos", "bad", "default", "churn",
    "churned", "fraud", "sick", "disease", "dead", "died", "die", "malignant", "abnormal",
    "fail", "failed", "failure", "event", "case", "attack", "spam", "won", "win", "success",
    "left",
))  # fmt: skip
NO = frozenset((
    "no", "n", "false", "f", "0", "0.0", "-1", "negative", "neg", "good", "normal", "healthy",
    "alive", "live", "benign", "none", "control", "ham", "absent", "stayed", "pass", "passed",
    "ok", "unacc",
))  # fmt: skip


def guess_target(column: Column, form: FileSettings, positive: str) -> Guess:
    """Return the target of the contract.

    ConfigError where it is no yes/no question, or does not have the values of ``positive``.
    """
    values = [*column.text]
    if len(values) < 2:
        got = quoted(values[0], 30) if values else "no value"
        raise ConfigError(
            f"TARGET {column.name} must have two values or more; got {got} in every row"
        )
    chosen = _given(column, positive) if positive else None
    if chosen is None:
        _require_classes(column, form)
        chosen, evidence, question = _proposed(column)
    else:
        evidence, question = "given by POSITIVE", ""
    rest = [value for value in values if value not in chosen]
    tree: dict[str, Any] = {"name": column.name, "positive": chosen}
    if len(rest) <= MAX_CLASSES:
        tree["negative"] = rest
    n = sum(int(column.n[i]) for i, value in enumerate(values) if value in chosen)
    evidence = f"{counted(n, 'row')} ({n / column.n_known:.1%}); {evidence}"
    return Guess(tree | {"kind": "target"}, evidence, question)


def _given(column: Column, positive: str) -> list[str]:
    """Return the values that POSITIVE names: one, or several with commas between them."""
    values = [*column.text]
    chosen = [positive] if positive in values else [part.strip() for part in positive.split(",")]
    for value in chosen:
        if value not in values:
            shown = ", ".join(quoted(each, 30) for each in values[:12])
            more = ", …" if len(values) > 12 else ""
            raise ConfigError(
                f"POSITIVE must be a value of {column.name}: {shown}{more}; got {value!r}"
                f"{did_you_mean(value, values)}"
            )
    if len(chosen) == len(values):
        raise ConfigError(f"POSITIVE must leave a value of {column.name}; got all: {positive}")
    return chosen


def _require_classes(column: Column, form: FileSettings) -> None:
    """Raise ConfigError for numbers on a scale, and for words that are no classes."""
    n = len(column.text)
    if n <= MAX_CLASSES:
        return
    numbers = parse_numbers(column.text, form)
    if np.isnan(numbers).any():
        raise ConfigError(
            f"TARGET {column.name} must have at most {MAX_CLASSES} values, or POSITIVE must say "
            f"which are the positive ones; got {counted(n, 'value')}: is another column the target?"
        )
    raise ConfigError(
        f"TARGET {column.name} must be a question of yes or no; got {n:,} numbers from "
        f"{np.nanmin(numbers):g} to {np.nanmax(numbers):g}: add a column that says yes or no of "
        f"it, as whether it is above {np.nanmedian(numbers):g}, and leave {column.name} out"
    )


def _proposed(column: Column) -> tuple[list[str], str, str]:
    """Return the positive values, why, and what is to be asked."""
    values = [*column.text]
    order = np.argsort(-column.n, kind="stable")
    commonest = values[order[0]]
    if len(values) > 2:
        no = [value for value in values if value.lower() in NO]
        negative = no[0] if len(no) == 1 else commonest
        positive = [value for value in values if value != negative]
        why = "a word for no" if len(no) == 1 else "the commonest value"
        asked = f"is every value but {quoted(negative, 30)}, {why}, positive?"
        return positive, f"one of {len(values)} values is negative", asked
    # 1 and 2 are codes, and say nothing; 1 and 0, or -1, do.
    is_coded = all(value.isdecimal() for value in values) and "0" not in values
    yes = [value for value in values if value.lower() in YES and not is_coded]
    no = [value for value in values if value.lower() in NO]
    if len(yes) == 1 or len(no) == 1:
        word = yes[0] if len(yes) == 1 else next(v for v in values if v != no[0])
        return [word], "by the word", f"is {quoted(word, 30)} the positive one?"
    rarer = values[order[1]]
    return [rarer], "the rarer value", f"is {quoted(rarer, 30)}, the rarer, the positive one?"
