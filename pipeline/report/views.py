"""Figures and the page that are drawn from a record: they can be drawn again at any time."""

from __future__ import annotations

from pathlib import PurePosixPath

from pipeline import files
from pipeline.record import Record
from pipeline.report.figures import figures
from pipeline.report.page import page

PAGE = "report.html"


def views(record: Record) -> dict[str, bytes]:
    """Return every figure and the page of the run by its path beside the record."""
    drawn = figures(record)
    embedded = {PurePosixPath(path).stem: content for path, content in drawn.items()}
    text = page(record, embedded)
    return {PAGE: text.encode("utf-8", "backslashreplace"), **drawn}


def write_views(record: Record) -> None:
    """Draw the figures and the page, and write them beside the record."""
    for name, content in views(record).items():
        path = record.path / name
        files.make_private(path.parent)
        files.replace(path, content)


def written_views(record: Record) -> dict[str, bytes]:
    """Return the figures and the page that stand beside the record, by their path there."""
    found = [record.path / PAGE, *sorted(record.path.glob("figures/*.png"))]
    return {
        path.relative_to(record.path).as_posix(): path.read_bytes()
        for path in found
        if path.is_file() and not path.is_symlink() and not path.parent.is_symlink()
    }
