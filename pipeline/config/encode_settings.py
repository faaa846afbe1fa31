"""How attributes become inputs: for every column, where the contract does not say it of one."""

from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, Strict, model_validator

from pipeline.config.column_settings import Categorical, Knots, MinCount, NBins, Numeric
from pipeline.config.contract import DataSettings
from pipeline.config.file_settings import once_each
from pipeline.config.strict import Settings, Texts, require

C = TypeVar("C", bound=Settings)


class EncodeSettings(Settings):
    """How attributes become inputs."""

    # Attributes joined before one-hot.
    crosses: Annotated[tuple[Annotated[Texts, Field(min_length=2)], ...], Strict(False)] = ()
    unseen: Literal["refuse", "zeros"] = "zeros"  # a category that train does not have
    # Of every column that does not say itself.
    min_count: MinCount | None = None
    bins: NBins | None = None
    spline: Knots | None = None

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        once_each([name for cross in self.crosses for name in cross], ".crosses")
        require(self.bins is None or self.spline is None, " must have bins or spline; got both")
        return self

    def completed(self, data: DataSettings) -> DataSettings:
        """Return the contract with these settings for every column that has none of its own."""
        columns = {name: self.complete(column) for name, column in data.columns.items()}
        return data.model_copy(update={"columns": columns})

    def complete(self, column: C) -> C:
        """Return the column, or attribute, with these settings where it has none of its own."""
        match column:
            case Categorical(min_count=None):
                return column.model_copy(update={"min_count": self.min_count})
            case Numeric(bins=None, spline=None):
                shape = {"bins": self.bins, "spline": self.spline}
                return column.model_copy(update=shape)
        return column
