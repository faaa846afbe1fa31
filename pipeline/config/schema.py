"""RunConfig: everything that determines a result, and nothing else.

One folder of ``conf/`` is one class here is one field of ``RunConfig``. Where a result is stored
(``TrackingSettings``) is not part of it: equal ``RunConfig``, data and code give equal bits.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, Strict, model_validator

from pipeline.config.column_settings import Categorical, Group, Weight
from pipeline.config.contract import DataSettings
from pipeline.config.date_settings import Date
from pipeline.config.encode_settings import EncodeSettings
from pipeline.config.evaluate_settings import EvaluateSettings, ThresholdRule
from pipeline.config.file_settings import Name
from pipeline.config.split_settings import (
    FilesSplit,
    FoldsSplit,
    GroupSplit,
    Share,
    SplitSettings,
    TimeSplit,
)
from pipeline.config.strict import Settings, Texts, did_you_mean, require
from pipeline.config.train_settings import Newton, OptimiserSettings, TrainSettings
from pipeline.text import column_setting


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
    # objective: end a run that provably cannot reach the lowest training objective of the sweep
    prune: Literal["none", "objective"] = "none"
    zip: Annotated[tuple[Texts, ...], Strict(False)] = ()  # axes that go in step, not crossed


class SearchSettings(Settings):
    """How points of a space are drawn one after the other; no part of a result."""

    name: Literal["none", "tpe", "random"]  # none: every point of a grid is run
    trials: Annotated[int, Field(ge=1, le=10_000)] = 30  # each is run on all of its repeats
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0  # of what is drawn
    prune: Literal["none", "median"] = "none"  # end a run that is behind the median of the others


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
    search: SearchSettings

    def run_config(self) -> RunConfig:
        """Return the part that determines the result."""
        return RunConfig(**{name: getattr(self, name) for name in RunConfig.model_fields})
