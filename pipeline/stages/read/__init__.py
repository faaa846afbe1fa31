"""A file becomes its distinct rows, as text, each with its count; nothing is guessed."""

from pipeline.stages.read.in_order import read_any_width, read_in_order, read_in_parts
from pipeline.stages.read.lines import lines_of
from pipeline.stages.read.parts import read_rows
from pipeline.stages.read.rows import Counts, Rows

__all__ = [
    "Counts",
    "Rows",
    "lines_of",
    "read_any_width",
    "read_in_order",
    "read_in_parts",
    "read_rows",
]
