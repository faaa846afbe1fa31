"""RunConfig: everything that determines a result, and nothing else.

One folder of ``conf/`` is one class here is one field of ``RunConfig``. Where a result is stored
(``TrackingSettings``) is not part of it: equal ``RunConfig``, data and code give equal bits.
"""

import math
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Discriminator,
    Field,
    Strict,
    Tag,
    model_serializer,
    model_validator,
)

from pipeline.config.contract import Categorical, DataSettings, Group, Weight
from pipeline.config.date_settings import Date
from pipeline.config.encode_settings import EncodeSettings
from pipeline.config.file_settings import Name
from pipeline.config.strict import Settings, Texts, did_you_mean, require
from pipeline.text import column_setting

Share = Annotated[float, Field(ge=0, lt=1)]
# Of the split, not of training: equal test rows for every `seed`.
SplitSeed = Annotated[int, Field(ge=0, lt=2**32)]
Copied = Literal["independent", "together"]  # rows of equal attributes


def _moment(text: str) -> datetime:
    """Return the moment that a text in ISO 8601 names; raise ValueError if it names none."""
    with suppress(ValueError):
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            return moment
    raise ValueError(f" must be a date in ISO 8601, as 2024-12-31; got {text!r}")


def _checked(text: str) -> str:
    return text if _moment(text) else ""


Moment = Annotated[Name, AfterValidator(_checked)]


class _Shares(Settings):
    """The shares of the rows that validate and test; the rest trains."""

    together: ClassVar[bool] = False
    valid: Share = 0.2
    test: Share = 0.2

    @property
    def has_valid(self) -> bool:
        """Whether there are validation rows."""
        return self.valid > 0

    @model_validator(mode="after")
    def _leaves_train(self) -> Self:
        valid, test = self.valid, self.test
        require(test > 0, f".test must be above 0 (or choose split=none); got {test}")
        require(valid + test < 1, f".valid + test must be below 1; got {valid} + {test}")
        return self


class StratifiedSplit(_Shares):
    """Parts dealt at random within each class, by count."""

    name: Literal["stratified"]
    seed: SplitSeed = 0
    copies: Copied = "independent"

    @property
    def together(self) -> bool:  # type: ignore[override]
        """Whether rows of equal attributes are one entity, and dealt to one part."""
        return self.copies == "together"


class GroupSplit(_Shares):
    """Whole groups (customers, patients) dealt at random, each to one part."""

    name: Literal["group"]
    seed: SplitSeed = 0


class TimeSplit(_Shares):
    """Train on the past: the latest rows test, those before them validate."""

    name: Literal["time"]
    column: Name | None = None  # null: the one column of kind date
    valid_from: Moment | None = None  # the first moment of the part; null: by the shares
    test_from: Moment | None = None

    @property
    def has_valid(self) -> bool:
        """Whether there are validation rows."""
        return self.valid > 0 or self.valid_from is not None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        valid, test = self.valid_from, self.test_from
        ordered = valid is None or test is None or _moment(valid) < _moment(test)
        require(ordered, f".valid_from must be before test_from; got {valid} and {test}")
        return self


class FilesSplit(Settings):
    """Parts that are files: data.path trains, data.valid and data.test are held out."""

    name: Literal["files"]
    together: ClassVar[bool] = False


class FoldsSplit(Settings):
    """Test rows held out, the others dealt in folds, of which one validates and the rest train."""

    name: Literal["folds"]
    seed: SplitSeed = 0  # of the folds: the test rows are the same for every seed
    folds: Annotated[int, Field(ge=2, le=1000)] = 5
    fold: Annotated[int, Field(ge=0)] = 0  # the one that validates, as in split.fold=range(5)
    test: Share = 0.2
    copies: Copied = "independent"
    has_valid: ClassVar[bool] = True

    @property
    def together(self) -> bool:
        """Whether rows of equal attributes are one entity, and dealt to one part."""
        return self.copies == "together"

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        fold, folds = self.fold, self.folds
        require(fold < folds, f".fold must be below split.folds, {folds}; got {fold}")
        require(self.test > 0, f".test must be above 0 (or choose split=none); got {self.test}")
        return self


class NoSplit(Settings):
    """Train and evaluate on every row, as the article does: figures are not held out."""

    name: Literal["none"]
    together: ClassVar[bool] = False
    has_valid: ClassVar[bool] = False


SplitSettings = Annotated[
    StratifiedSplit | GroupSplit | TimeSplit | FilesSplit | FoldsSplit | NoSplit,
    Field(discriminator="name"),
]


LearningRate = Annotated[float, Field(gt=0)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class GradientDescent(Settings):
    """Step 7 of the article."""

    name: Literal["gradient_descent"]
    learning_rate: LearningRate


class Momentum(Settings):
    """Heavy ball, or Nesterov's variant."""

    name: Literal["momentum"]
    learning_rate: LearningRate
    decay: Decay = 0.9
    nesterov: bool = False


class Adam(Settings):
    """Kingma and Ba 2015."""

    name: Literal["adam"]
    learning_rate: LearningRate
    beta1: Decay = 0.9
    beta2: Decay = 0.999
    epsilon: Annotated[float, Field(gt=0)] = 1e-8


class Newton(Settings):
    """Damped Newton to the optimum; each step is an epoch."""

    name: Literal["newton"]


FirstOrder = GradientDescent | Momentum | Adam
OptimiserSettings = Annotated[FirstOrder | Newton, Field(discriminator="name")]


def _penalty(value: Any) -> Any:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    known = value in ("auto", "cv") or (is_number and 0 <= float(str(value)) < math.inf)
    require(known, f" must be auto, cv or a number of 0 or more; got {value!r}")
    return value


Penalty = Annotated[float | Literal["auto", "cv"], BeforeValidator(_penalty)]


class TrainSettings(Settings):
    """How long and on how much at a time."""

    epochs: Annotated[int, Field(ge=1, le=1_000_000)]
    batch_size: Annotated[int, Field(ge=1)] | None = None  # null: all rows, one step per epoch
    l2: Penalty = 0.0  # auto: falls with the number of rows; cv: chosen by folds of them
    rows: Literal["train", "train_and_valid"] = "train"  # which rows train
    class_weight: Literal["balanced"] | None = None  # in the loss; probabilities are corrected
    patience: Annotated[int, Field(ge=1)] | None = None  # epochs without a better validation loss
    blas_threads: Annotated[int, Field(ge=1, le=64)] = 1  # more may change the last bit
    keep_path: bool = False  # theta of every epoch, to draw the descent on the loss surface

    def with_l2(self, l2: Penalty) -> Self:
        """Return the settings with another strength of the penalty."""
        return self.model_copy(update={"l2": l2})


class Costs(Settings):
    """What a wrong decision costs, in any unit; a right one costs nothing."""

    false_positive: Annotated[float, Field(gt=0)]
    false_negative: Annotated[float, Field(gt=0)]


class ThresholdRule(Settings):
    """What decisions must achieve on the validation rows: one of these."""

    cost: Costs | None = None  # the least of it
    recall: Annotated[float, Field(gt=0, le=1)] | None = None  # at least, with the fewest alerts
    precision: Annotated[float, Field(gt=0, le=1)] | None = None  # at least, with the most alerts
    rate: Annotated[float, Field(gt=0, lt=1)] | None = None  # of rows decided positive, at most

    @model_validator(mode="after")
    def _one(self) -> Self:
        rules = [*self.model_dump()]
        rest = " ".join(f"evaluate.threshold.{name}=null" for name in rules[1:])
        cure = f": keep one, as with {rest}" if rest else ""
        require(
            len(rules) == 1,
            " must have one of cost, recall, precision and rate; got "
            f"{', '.join(rules) or 'none'}{cure}",
        )
        return self

    @model_serializer(mode="wrap")
    def _given(self, plain: Callable[[Self], dict[str, Any]]) -> dict[str, Any]:
        return {name: value for name, value in plain(self).items() if value is not None}


def _kind_of_threshold(value: Any) -> str:
    return "rule" if isinstance(value, dict | ThresholdRule) else "number"


class EvaluateSettings(Settings):
    """How probabilities become decisions and figures."""

    threshold: Annotated[
        Annotated[float, Field(gt=0, lt=1), Tag("number")] | Annotated[ThresholdRule, Tag("rule")],
        Discriminator(_kind_of_threshold),
    ] = 0.5
    calibration_bins: Annotated[int, Field(ge=2, le=100)] = 10
    bootstrap: Annotated[int, Field(ge=2, le=10_000)] | None = 200  # refits; null: none


class TrackingSettings(Settings):
    """Where runs are published; no part of a result."""

    uri: str | None = None  # null: mlflow.db in the project folder
    experiment: Name
    create: bool = False  # may a new store be made outside the project folder?


class SweepSettings(Settings):
    """How many runs are run together; no part of a result."""

    name: Name | None = None  # null: the name of the experiment, or "sweep"
    resume: bool = True  # take the FINISHED runs that are there; false: run them again
    on_failure: Literal["continue", "stop"] = "continue"
    retry: Annotated[int, Field(ge=0, le=100)] = 0  # further attempts at a run that failed
    timeout_s: Annotated[float, Field(gt=0)] | None = None  # of one run; null: none
    memory_mb: Annotated[int, Field(ge=1)] | None = None  # address space of one run; null: all
    zip: Annotated[tuple[Texts, ...], Strict(False)] = ()  # axes that go in step, not crossed


class PromoteSettings(Settings):
    """The gate between the best of a sweep and the champion; no part of a result."""

    metric: Literal["log_loss", "accuracy"] = "log_loss"
    floor: Share = 0.0  # of the majority baseline's log loss, or of its errors
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    model: Name | None = None  # in the registry; null: the name of the data


class ScorecardSettings(Settings):
    """What the points of a scorecard stand for; no part of a result."""

    score: float = 600.0  # points at which the odds are ``odds`` to 1
    odds: Annotated[float, Field(gt=0)] = 50.0
    pdo: Annotated[float, Field(gt=0)] = 20.0  # points that double the odds
    of: Literal["negative", "positive"] = "negative"  # class whose odds rise with the points


class RunConfig(Settings):
    """Everything that determines a result."""

    seed: Annotated[int, Field(ge=0, lt=2**32)]
    data: DataSettings
    split: SplitSettings
    encode: EncodeSettings
    optimiser: OptimiserSettings
    train: TrainSettings
    evaluate: EvaluateSettings

    @model_validator(mode="after")
    def _shapes_exist(self) -> Self:
        attributes = {n: self.encode.complete(c) for n, c in self.data.attributes.items()}
        known = [n for n, c in attributes.items() if isinstance(c, Categorical) or c.bins]
        rule = f"encode.crosses must name categories or bins of data={self.data.name}"
        for name in (name for cross in self.encode.crosses for name in cross):
            number = f"; it has bins with {column_setting(name, 'bins', '5')}"
            cure = number if name in attributes else did_you_mean(name, known)
            require(name in known, f"{rule}; got {name!r}{cure}")
        for name, column in attributes.items():
            shaped = isinstance(column, Categorical) or not column.monotone or column.bins
            bins = column_setting(name, "bins", "5")
            require(
                bool(shaped),
                f"data.columns.{name}.monotone must go with bins; got none: set {bins}",
            )
        return self

    @model_validator(mode="after")
    def _train_fits(self) -> Self:
        patience, batch_size = self.train.patience, self.train.batch_size
        require(
            patience is None or self.has_valid,
            f"train.patience must be null where no valid rows are held out; got {patience}",
        )
        require(
            self.train.rows == "train" or not isinstance(self.split, FoldsSplit),
            "train.rows must be train with split=folds, of which one validates; got "
            f"{self.train.rows}: split=stratified, or train.rows=train",
        )
        require(
            batch_size is None or not isinstance(self.optimiser, Newton),
            f"train.batch_size must be null with optimiser=newton; got {batch_size}",
        )
        require(
            batch_size is None or self.train.class_weight is None,
            f"train.batch_size must be null with train.class_weight=balanced; got {batch_size}",
        )
        threshold = self.evaluate.threshold
        needs_valid = isinstance(threshold, ThresholdRule) and threshold.cost is None
        require(
            self.train.l2 == "cv" or self.has_valid or not needs_valid,
            "evaluate.threshold must be a number, or a cost, where there are no valid rows to "
            "choose it on; got a rule: set train.l2=cv, or split=stratified split.valid=0.2",
        )
        weights = self.data.names_of(Weight)
        require(
            batch_size is None or not weights,
            f"train.batch_size must be null where rows have weights ({weights[:1]}); got "
            f"{batch_size}",
        )
        return self

    @model_validator(mode="after")
    def _split_fits(self) -> Self:
        data, split = self.data, self.split
        dates = data.names_of(Date)
        if isinstance(split, GroupSplit):
            cure = data.cure_of_kind("group")
            require(
                bool(data.names_of(Group)),
                f"split=group must have a column that says whom a row is about; got none: {cure}",
            )
        if isinstance(split, TimeSplit):
            cure = data.cure_of_kind("date")
            require(bool(dates), f"split=time must have a column of kind date; got none: {cure}")
            require(
                split.column is not None or len(dates) == 1,
                f"split.column must name one of the date columns; got null: "
                f"split.column={dates[0]}",
            )
            require(
                split.column is None or split.column in dates,
                f"split.column must name a column of kind date ({', '.join(dates)}); got "
                f"{split.column!r}{did_you_mean(split.column or '', [*dates])}",
            )
        has_files = data.test is not None
        require(
            has_files == isinstance(split, FilesSplit),
            f"split must be files where data.test is given; got split={split.name}: split=files"
            if has_files
            else "data.test must be given with split=files; got null: data.test=data/test.csv",
        )
        return self

    @property
    def has_valid(self) -> bool:
        """Whether there are validation rows, which do not train."""
        split, given = self.split, self.data.valid is not None
        held = given if isinstance(split, FilesSplit) else split.has_valid
        return held and self.train.rows == "train"


class Configuration(RunConfig):
    """What Hydra composes: a RunConfig and what to do with its run."""

    tracking: TrackingSettings
    sweep: SweepSettings
    promote: PromoteSettings
    scorecard: ScorecardSettings

    def run_config(self) -> RunConfig:
        """Return the part that determines the result."""
        return RunConfig(**{name: getattr(self, name) for name in RunConfig.model_fields})
