"""Text rows become a table that satisfies the data contract, or a list of violations."""

from pipeline.stages.validate.convert import MISSING, Table
from pipeline.stages.validate.validation import Validation, validate

__all__ = ["MISSING", "Table", "Validation", "validate"]
