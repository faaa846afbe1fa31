"""A run's folder, ``runs/<identity>/``: written in one atomic step, verified when it is read.

The record is the truth and MLflow a projection of it. ``result.json`` is written last and holds
the sha256 of every other file, so a record is either whole or it is damaged and is refused.
"""

from pipeline.record.find import (
    find,
    heads,
    mark_member,
    mark_published,
    published_runs,
    runs_of,
    start_on_record,
)
from pipeline.record.head import Head, RecordError
from pipeline.record.read import Record, Repeat, read, read_head
from pipeline.record.trust import made_here
from pipeline.record.write import adopt, write

__all__ = [
    "Head", "Record", "RecordError", "Repeat", "adopt", "find", "heads", "made_here",
    "mark_member", "mark_published", "published_runs", "read", "read_head", "runs_of",
    "start_on_record", "write",
]  # fmt: skip
