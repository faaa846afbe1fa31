"""Figures and pages that are drawn from a record: they can be drawn again at any time."""

from __future__ import annotations

from pipeline import files
from pipeline.record import Record
from pipeline.report.figures import figures
from pipeline.report.validation_page import validation_page
from pipeline.text import redact

PAGE = "validation.html"


def views(record: Record) -> dict[str, bytes]:
    """Return every figure and page of the run by its path beside the record."""
    drawn = figures(record)
    if "validation.json" in record.files:
        page = validation_page(record.json("validation.json"), record.config["data"]["name"])
        drawn[PAGE] = redact(page).encode("utf-8", "backslashreplace")
    return drawn


def write_views(record: Record) -> None:
    """Draw the figures and pages, and write them beside the record."""
    for name, content in views(record).items():
        path = record.path / name
        files.make_private(path.parent)
        files.replace(path, content)


def written_views(record: Record) -> dict[str, bytes]:
    """Return the figures and pages that stand beside the record, by their path there."""
    found = [record.path / PAGE, *sorted(record.path.glob("figures/*.png"))]
    return {
        path.relative_to(record.path).as_posix(): path.read_bytes()
        for path in found
        if path.is_file() and not path.is_symlink() and not path.parent.is_symlink()
    }
