"""Which rows train, which validate and which test."""

from contextlib import suppress
from datetime import datetime
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from pipeline.config.file_settings import Name
from pipeline.config.strict import Settings, require

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
