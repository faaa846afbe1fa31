"""The one look of all figures: sizes in inches, colours, labels, and how a figure becomes bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nn.arrays import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ft2font import FT2Font

WIDTH = 7.2  # inches; 1,080 pixels, which MLflow's artifact pane shows at about 700
DPI = 150
FONT = "DejaVu Sans"  # comes with matplotlib: the same glyphs on every machine
SIZE = 9.0  # points
SMALL = 8.0
TITLE = 10.5
MAX_LABEL = 2.6  # inches
MAX_CHARACTERS = 200
MARGIN = 0.14  # inches to the border of the figure

# Okabe and Ito 2008: told apart by colour-blind readers.
BLUE, VERMILION, ORANGE = "#0072B2", "#D55E00", "#E69F00"
INK, GREY, PALE = "#222222", "#6B6B6B", "#D9D9D9"

LOOK: dict[Any, Any] = {
    "font.family": [FONT],
    "font.size": SIZE,
    "text.parse_math": False,  # a label may hold $ and backslashes
    "text.hinting": "no_hinting",  # a third faster to draw, and truer when shown smaller
    "text.color": INK,
    "axes.edgecolor": GREY,
    "axes.labelcolor": INK,
    "axes.labelsize": SIZE,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.unicode_minus": True,
    "axes.formatter.use_mathtext": False,
    "axes.formatter.useoffset": False,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "lines.solid_capstyle": "round",
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


class Caption(NamedTuple):
    """Which rows a figure is about; ``warn`` where its numbers are not held out."""

    text: str
    warn: bool = False


@contextmanager
def look() -> Iterator[None]:
    """Draw in the look of the house, whatever the reader's matplotlibrc says."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(LOOK)
        yield


def sheet(height: float, title: str, caption: Caption, width: float = WIDTH) -> Figure:
    """An empty figure, its size in inches, that says what is seen and of which rows."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(figure)
    place, room = MARGIN / width, width - 2 * MARGIN
    title, rows = fit(title, room, TITLE, bold=True), fit(caption.text, room, SMALL)
    figure.text(place, 1 - 0.12 / height, title, size=TITLE, weight="bold", va="top")
    colour = VERMILION if caption.warn else GREY
    figure.text(place, 1 - 0.36 / height, rows, size=SMALL, color=colour, va="top")
    return figure


def axes(figure: Figure, left: float, bottom: float, width: float, height: float) -> Axes:
    """Axes at a place in inches from the lower left corner."""
    w, h = figure.get_size_inches()
    return figure.add_axes((left / w, bottom / h, width / w, height / h))


def label(text: str) -> str:
    """The name of a row, short enough to stand beside a panel."""
    return name(text, MAX_LABEL, bold=True)


def label_width(labels: list[str]) -> float:
    """Where a panel begins that has these labels on its left, in inches."""
    return MARGIN + 0.1 + max(text_width(text, bold=True) for text in labels)


def label_row(panel: Axes, place: float, text: str, *, bold: bool = False) -> None:
    """Write the name of a row beside the panel; a tick would take twice as long to draw."""
    panel.annotate(
        text, (0, place), (-6, 0), xycoords=("axes fraction", "data"),
        textcoords="offset points", ha="right", va="center_baseline", annotation_clip=False,
        weight="bold" if bold else "normal",
    )  # fmt: skip


def footnote(figure: Figure, text: str) -> None:
    """Write how the figure is to be read, at its foot."""
    width, height = figure.get_size_inches()
    text = fit(text, width - 2 * MARGIN, SMALL)
    figure.text(MARGIN / width, 0.12 / height, text, size=SMALL, color=GREY)


def png(figure: Figure) -> bytes:
    """The figure as PNG; equal figures give equal bytes."""
    buffer = BytesIO()
    # Level 3 takes 0.6 of the time of the default and 1.1 of its bytes.
    options = {"compress_level": 3}
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None}, pil_kwargs=options)
    return buffer.getvalue()


def plain(text: str) -> str:
    """The text as the font can show it.

    What has no glyph is written as its code point: a box would hide which character it is.
    """
    if len(text) > MAX_CHARACTERS:
        text = text[: MAX_CHARACTERS // 2] + text[-MAX_CHARACTERS // 2 :]
    return "".join(c if _has_glyph(c) else ascii(c)[1:-1] for c in text)


def name(text: str, width: float, size: float = SIZE, *, bold: bool = False) -> str:
    """A name as the font can show it, cut in its middle to at most ``width`` inches."""
    whole = cut = plain(text)
    kept = len(whole)
    while text_width(cut, size, bold=bold) > width:
        kept -= 1
        cut = f"{whole[: (kept + 1) // 2]}…{whole[len(whole) - kept // 2 :]}"
    return cut


def fit(text: str, width: float, size: float, *, bold: bool = False) -> str:
    """The text, cut at its end to at most ``width`` inches."""
    if text_width(text, size, bold=bold) <= width:
        return text
    while text and text_width(text + "…", size, bold=bold) > width:
        text = text[:-1]
    return text + "…"


def text_width(text: str, size: float = SIZE, *, bold: bool = False) -> float:
    """How wide a line of text is without kerning, in inches."""
    return sum(_advance(c, bold) for c in text) * size / 72.0


def spread(wanted: Array, gap: float) -> Array:
    """Places at least ``gap`` apart, in the order of those wanted and about them."""
    order = np.argsort(wanted, kind="stable")
    placed = wanted.astype(np.float64)
    for below, above in pairwise(order):
        placed[above] = max(placed[above], placed[below] + gap)
    placed -= (placed - wanted).mean()
    return placed


def figures(value: float) -> str:
    """The value with three significant figures: 0.160, 12.3, 1,234."""
    return f"{value:,.0f}" if 100 <= abs(value) < 1e6 else f"{value:#.3g}"


def power_of_ten(exponent: int) -> str:
    """10⁴ for 4, with plain numbers from 0.001 to 1,000."""
    if -3 <= exponent <= 3:
        return f"{10.0**exponent:,.{max(0, -exponent)}f}"
    return "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _has_glyph(character: str) -> bool:
    code = ord(character)
    return character.isprintable() and all(font.get_char_index(code) for font in _fonts())


@lru_cache(maxsize=1024)
def _advance(character: str, bold: bool) -> float:
    """How far a character moves the pen, as a share of the size of the font."""
    from matplotlib.ft2font import LoadFlags

    font = _fonts()[bold]
    glyph = font.load_char(ord(character), LoadFlags.NO_SCALE)
    return float(glyph.horiAdvance) / font.units_per_EM


@lru_cache(maxsize=1)
def _fonts() -> tuple[FT2Font, FT2Font]:
    from matplotlib.font_manager import FontProperties, findfont, get_font

    normal, bold = (findfont(FontProperties(family=[FONT], weight=w)) for w in ("normal", "bold"))
    return get_font(normal), get_font(bold)
