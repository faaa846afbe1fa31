"""Raw rows become probabilities and decisions, by the contract that the model learned with."""

from __future__ import annotations

import copy
import functools
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from pydantic import PlainSerializer, PlainValidator, TypeAdapter, ValidationError

from nn import predict_proba
from nn.arrays import Array
from pipeline import files
from pipeline.config.column_settings import Categorical
from pipeline.config.contract import DataSettings
from pipeline.config.file_settings import MISSING_VALUES
from pipeline.csv_text import csv_bytes
from pipeline.errors import ConfigError, DataError, reason_of
from pipeline.stages.bad_rows import find_reasons
from pipeline.stages.encode import Encoder, OneHot, encode, find_unseen
from pipeline.stages.read import Counts, read_any_width, read_in_parts
from pipeline.stages.validate import MISSING, Table
from pipeline.stages.validate.convert import convert
from pipeline.stages.validate.validation import check_rows
from pipeline.stages.validate.values import Bools, column_values
from pipeline.text import bounded

if TYPE_CHECKING:
    import pandas as pd

BLOCK = 2**16  # rows whose inputs are held at once
BEFORE, MODEL_FORMAT = 2, 3  # which are read; the latter is written
RESULTS = PROBABILITY, DECISION, REASON = "probability", "decision", "reason"

Theta = Annotated[
    Array,
    PlainValidator(lambda numbers: np.array(numbers, np.float64)),
    PlainSerializer(lambda theta: theta.tolist()),
]


@dataclass(frozen=True)
class Model:
    """What turns a raw row into a probability and a decision; ``theta`` (d+1,), bias last."""

    data: DataSettings
    encoder: Encoder
    theta: Theta
    threshold: float


@dataclass(frozen=True)
class Predicted:
    """What was scored: rows, rows decided positive, and the categories unknown to train.

    ``n_rows`` counts those that ``skipped`` says why they were not: rules, and rows that break it.
    """

    n_rows: int
    n_positive: int
    unseen: dict[str, dict[str, int]]
    n_skipped: int = 0
    skipped: tuple[str, ...] = ()


def predict_file(model: Model, source: Path, target: Path, *, skip: bool = False) -> Predicted:
    """Score every row of ``source`` and write it, with two columns more, to ``target`` as CSV.

    Every column of ``source`` is handed on as it is (but for formulas, see ``csv_bytes``), the
    ignored ones and the target too. ``probability`` is that of class 1, written to the last bit;
    ``decision`` is 1 at the threshold of the run and above, else 0. Rows keep their order, and a
    row's probability depends on no other row. ``target`` appears complete or not at all.

    With ``skip`` a row that breaks the contract has no probability and no decision; why is in a
    third column, ``reason``, that others leave empty.

    Raises
    ------
    DataError
        If any row breaks the contract, naming line, column and rule: then nothing is scored. With
        ``skip``, if the file is no table of the contract.
    ConfigError
        If ``target`` cannot be written; what can be seen before is refused before.
    """
    _require_target(source, target)
    if not skip:
        return _predict_in_parts(model, source, target)
    frame, lines, of_width = read_any_width(source, model.data)
    _require_free(frame, model, RESULTS)
    reason, skipped = find_reasons(frame, lines, of_width, model.data, model.encoder)
    good = np.ones(len(frame), bool)
    good[[*reason]] = False
    kept = frame if good.all() else frame[good]
    p, decision, unseen = score(model, kept, lines[good], str(source))
    columns: list[tuple[Any, Any]] = [
        *frame.items(),
        (PROBABILITY, _spread(p, good)),
        (DECISION, _spread(decision, good)),
        (REASON, list(map(reason.get, range(len(frame))))),
    ]
    _write(target, csv_bytes(columns))
    return Predicted(len(frame), int(decision.sum()), unseen, len(reason), skipped)


def _predict_in_parts(model: Model, source: Path, target: Path) -> Predicted:
    """Score and write every row, some at a time, so that a file may be of any length."""
    n_rows = n_positive = 0
    unseen: dict[str, Counter[str]] = {}

    def parts() -> Iterator[bytes]:
        nonlocal n_rows, n_positive
        found = read_in_parts(source, model.data)
        for frame, lines in found:
            _require_free(frame, model, RESULTS[:2])
            try:
                p, decision, unknown = score(model, frame, lines, str(source))
            except DataError as error:
                more = f"\nrows after line {lines[-1]:,} are not looked at"
                raise DataError(f"{error}{more if next(found, None) else ''}") from None
            columns: list[tuple[Any, Any]] = [
                *frame.items(),
                (PROBABILITY, p),
                (DECISION, decision),
            ]
            yield csv_bytes(columns, header=n_rows == 0)
            n_rows, n_positive = n_rows + len(frame), n_positive + int(decision.sum())
            for name, categories in unknown.items():
                unseen.setdefault(name, Counter()).update(categories)

    _write(target, parts())
    known = {name: dict(categories.most_common()) for name, categories in unseen.items()}
    return Predicted(n_rows, n_positive, known)


def _write(target: Path, content: bytes | Iterable[bytes]) -> None:
    try:
        files.replace(target.resolve(), content)
    except OSError as error:
        raise ConfigError(f"OUTPUT must be writable; got {reason_of(error)} at {target}") from None


def score(
    model: Model, frame: pd.DataFrame, lines: Counts, place: str
) -> tuple[Array, Counts, dict[str, dict[str, int]]]:
    """Return probability and decision of each row of text, and unseen categories.

    DataError if any row breaks the contract; ``lines`` (n,) and ``place`` say where the rows are.
    """
    columns = column_values(frame, model.data)
    violations = check_rows(frame, columns, model.data, lines)
    if violations:
        raise DataError(bounded(violation.message for violation in violations))
    rows = convert(frame, columns, model.data)
    unseen = find_unseen(model.encoder, _table(rows))
    if unseen and model.encoder.unseen == "refuse":
        encode(model.encoder, _table(rows), place)  # which says so
    known = replace(model.encoder, unseen="zeros")
    p = np.concatenate([
        predict_proba(model.theta, encode(known, _table(rows[at : at + BLOCK]), place).X)
        for at in range(0, max(len(rows), 1), BLOCK)
    ])  # fmt: skip
    return p, (p >= model.threshold).astype(np.int64), unseen


def _table(rows: pd.DataFrame) -> Table:
    return Table(rows, np.zeros(len(rows)), np.ones(len(rows), np.int64))


def _spread(values: Array | Counts, good: Bools) -> Array | Counts | list[float | None]:
    """Return the values where rows are good, and None elsewhere."""
    if good.all():
        return values
    rest = iter(values.tolist())
    return [next(rest) if is_good else None for is_good in good.tolist()]


def contract_for_new_rows(data: DataSettings, encoder: Encoder) -> DataSettings:
    """Return the contract that a new row must satisfy: categories learned from train are listed.

    Unless the encoder answers an unseen category with zeros: then it stays open. A column of which
    train has one category stays open too (a contract lists two or more), and the encoder refuses.
    """
    if encoder.unseen != "refuse":
        return data
    learned = {
        name: tuple(value for value in dict.fromkeys(values) if value != MISSING)
        for block in encoder.blocks
        if isinstance(block, OneHot)
        for name, values in zip(block.attributes, zip(*block.categories, strict=True), strict=True)
        if name not in block.infrequent  # which takes any word
    }
    columns = {
        name: column.model_copy(update={"categories": learned[name]})
        if isinstance(column, Categorical)
        and column.categories is None
        and len(learned.get(name, ())) > 1
        else column
        for name, column in data.columns.items()
    }
    return data.model_copy(update={"columns": columns})


def to_json(model: Model) -> str:
    """Return the model as text; floats are written so that they are read back to the last bit."""
    tree = _adapter().dump_python(model, mode="json")
    tree = {"format": MODEL_FORMAT, "inputs": model.encoder.inputs, **tree}
    return json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False)


def from_json(text: str) -> Model:
    """Return the model that ``to_json`` wrote; DataError where its parts do not fit each other."""
    tree = json.loads(text)
    try:
        if tree.get("format") == BEFORE:
            tree = _upgraded(tree)
        if tree.get("format") != MODEL_FORMAT:
            got = f"{tree.get('format')!r}, of another version: train it again"
            raise DataError(f"model format must be {BEFORE} or {MODEL_FORMAT}; got {got}")
        model = _adapter().validate_python(tree)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise DataError(f"model must be as a run wrote it; got {first['msg']} at {place}") from None
    n = len(model.encoder.inputs) + 1
    if model.theta.shape != (n,) or not np.isfinite(model.theta).all():
        raise DataError(f"theta must hold {n} finite numbers; got shape {model.theta.shape}")
    return model


def _upgraded(tree: dict[str, Any]) -> dict[str, Any]:
    """Return a model of the format before: it listed every missing value, by the word "missing".

    Raise DataError where it did not list what every contract now has.
    """
    tree = copy.deepcopy(tree)
    data = tree["data"]
    lacking = {*MISSING_VALUES} - {"", *data["missing_values"]}
    if lacking:
        raise DataError(
            "model format 2 must have the default missing values; got none of "
            f"{sorted(lacking)}: train it again"
        )
    data["missing_values"] = [v for v in data["missing_values"] if v not in MISSING_VALUES]
    absent = {name for name, column in data["columns"].items() if column.get("missing") == "input"}
    for block in tree["encoder"]["blocks"]:
        if "categories" in block:
            of = [name in absent for name in block["attributes"]]
            block["categories"] = [
                [
                    MISSING if is_so and word == "missing" else word
                    for is_so, word in zip(of, words, strict=True)
                ]
                for words in block["categories"]
            ]
    return {**tree, "format": MODEL_FORMAT}


@functools.cache
def _adapter() -> TypeAdapter[Model]:
    return TypeAdapter(Model)


def _require_target(source: Path, target: Path) -> None:
    """Raise ConfigError where no file can be put; asked before anything is read."""
    try:
        faults = {
            "be a CSV file": target.suffix.lower() in (".gz", ".parquet", ".xlsx"),
            "be in a folder that exists": not target.parent.is_dir(),
            "be a file": target.exists() and not target.is_file(),
            "not be INPUT": target.exists() and source.exists() and source.samefile(target),
        }
    except OSError as error:  # a name too long, a folder that may not be entered
        faults = {f"be in reach ({reason_of(error)})": True}
    for rule, is_broken in faults.items():
        if is_broken:
            raise ConfigError(f"OUTPUT must {rule}; got {str(target)!r}")


def _require_free(frame: pd.DataFrame, model: Model, names: Sequence[str]) -> None:
    for name in names:
        if name in frame:
            cure = (
                "rename it in the table and its contract, and train again"
                if name in model.data.features
                else "leave it out, it is not needed"
            )
            raise DataError(f"column {name!r} must not be in INPUT, the prediction adds it: {cure}")
