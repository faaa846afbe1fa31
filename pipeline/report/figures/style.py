"""The one look of all figures, how a name becomes a label, and how a figure becomes bytes."""

from __future__ import annotations

import logging
import os
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import chdir, contextmanager
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pipeline.text import cut, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SETTINGS = Path(__file__).with_name("matplotlibrc")
FONT = "DejaVu Sans"  # comes with matplotlib: the same glyphs on every machine
WIDTH = 7.2  # inches; 1,080 pixels, which MLflow's artifact pane shows at about 700
NARROW = 4.8  # inches: on a phone the smallest text is still eight pixels high
SMALL = 8.0  # points
LONGEST = 28  # characters of a label; beside 28 of the widest a panel still has room
PER_INCH = 15  # characters of a caption
# Okabe and Ito 2008: distinguishable to colour-blind readers.
BLUE, VERMILION = "#0072B2", "#D55E00"
INK, GREY = "#222222", "#6B6B6B"


class Caption(NamedTuple):
    """Which rows a figure is about; ``warn`` where its numbers are not held out."""

    text: str
    warn: bool = False

    def with_notes(self, notes: Iterable[str]) -> Caption:
        """Return the caption with how the figure is to be read."""
        return self._replace(text="; ".join([self.text, *notes]))


@contextmanager
def look() -> Iterator[None]:
    """Draw by the settings of this folder, whatever a user or a notebook has set.

    matplotlib reads a ``matplotlibrc`` where it is imported, and ends the import if MPLBACKEND
    names a module that is not here; where it may not write its cache it warns, and draws.
    """
    backend = os.environ.pop("MPLBACKEND", None)
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # its cache may be somebody else's
    with chdir(SETTINGS.parent):
        import matplotlib as mpl
    os.environ |= {"MPLBACKEND": backend} if backend else {}
    with mpl.rc_context(fname=SETTINGS):
        yield


def sheet(title: str, caption: Caption, height: float, width: float = WIDTH) -> Figure:
    """Return an empty figure for panels, ``height`` inches high without its caption.

    Labels are bounded, so margins need no measuring but of the names of rows: the layouts of
    matplotlib would take a quarter of the time of drawing.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    lines = textwrap.wrap(caption.text, int(PER_INCH * width))
    below = 0.15 * len(lines)  # inches
    height += below
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.12 / width, y=1 - 0.12 / height, ha="left")
    colour, place = VERMILION if caption.warn else GREY, (0.12 / width, 0.1 / height)
    figure.text(*place, "\n".join(lines), color=colour, size=SMALL, wrap=True)
    figure.subplots_adjust(
        left=0.8 / width,
        bottom=(0.65 + below) / height,
        right=1 - 0.2 / width,
        top=1 - 0.4 / height,
    )
    return figure


def png(figure: Figure) -> bytes:
    """Return the figure as PNG; equal figures give equal bytes."""
    from PIL import Image

    figure.canvas.draw()
    buffer = BytesIO()
    pixels = np.asarray(figure.canvas.buffer_rgba())  # type: ignore[attr-defined]
    # 256 colours take 0.3 of the bytes of all of them, and no more time.
    image = Image.fromarray(pixels).convert("RGB")
    image.quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(buffer, "png")
    return buffer.getvalue()


def label(text: str) -> str:
    """Return the text as the font can show it, its middle left out where it is long.

    What has no glyph is written as its code point: a box would hide which character it is.
    """
    known = (c if c.isascii() or ord(c) in _glyphs() else ascii(c)[1:-1] for c in printable(text))
    return cut("".join(known), LONGEST, keep_end=LONGEST // 2)


def rows(figure: Figure, labels: Sequence[str], bold: Sequence[bool]) -> Axes:
    """Return a panel with a row for each label, from the top.

    Labels are no ticks, which take three times as long to draw.
    """
    panel = figure.subplots()
    panel.set_ylim(len(labels) - 0.4, -0.6)
    panel.set_yticks([])
    panel.spines["left"].set_visible(False)
    panel.axvline(0, color=GREY, linewidth=0.8)
    names = [
        panel.annotate(
            text, (0, row), (-5, 0), xycoords=panel.get_yaxis_transform(),
            textcoords="offset points", ha="right", va="center", annotation_clip=False,
            weight="bold" if bold[row] else "normal",
        )
        for row, text in enumerate(labels)
    ]  # fmt: skip
    widest = max(name.get_window_extent().width for name in names) / figure.dpi
    figure.subplots_adjust(left=(widest + 0.2) / figure.get_figwidth())
    return panel


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    """Return the code points that the font can show, in bold too."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    fonts = (findfont(FontProperties(family=[FONT], weight=w)) for w in ("normal", "bold"))
    normal, bold = (frozenset(get_font(font).get_charmap()) for font in fonts)
    return normal & bold
