"""What validation found, as one page of HTML that needs nothing but itself."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from pipeline.text import printable, quoted


def validation_page(report: dict[str, Any], name: str) -> str:
    """Return the page of a ``validation.json``; whatever the table holds is shown as text."""
    from jinja2 import Environment, StrictUndefined

    pages = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    pages.filters.update(
        count="{:,}".format, percent="{:.1%}".format, printable=printable, quoted=quoted
    )
    template = files("pipeline.report").joinpath("validation.html").read_text(encoding="utf-8")
    return pages.from_string(template).render(v=report, name=name)
