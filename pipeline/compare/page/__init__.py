"""A comparison becomes one page that opens anywhere, offline."""

from pipeline.compare.page.document import page

__all__ = ["page"]
