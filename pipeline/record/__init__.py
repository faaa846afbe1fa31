"""A run's folder, ``runs/<identity>/``: written in one atomic step, verified when it is read.

The record is the truth and MLflow a projection of it. ``result.json`` is written last and holds
the sha256 of every other file, so a record is either whole or it is damaged and says so.
"""

from pipeline.record.commit import CommitError, adopt, write
from pipeline.record.origin import made_here
from pipeline.record.reading import Record, RecordError, Repeat, read
from pipeline.record.search import (
    find,
    mark_member,
    mark_published,
    memberships,
    published_runs,
    published_url,
    records,
    remove_litter,
)

__all__ = [
    "CommitError",
    "Record",
    "RecordError",
    "Repeat",
    "adopt",
    "find",
    "made_here",
    "mark_member",
    "mark_published",
    "memberships",
    "published_runs",
    "published_url",
    "read",
    "records",
    "remove_litter",
    "write",
]
