"""A comparison becomes the text of its page: what is known, who leads, and the figures."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

import plotly.graph_objects as go
from markupsafe import Markup

from pipeline.compare.comparison import Comparison, Run, format_repeats, has_folds
from pipeline.compare.convergence import TOO_EARLY
from pipeline.compare.labels import format_interval, format_number, format_share, short_names
from pipeline.compare.leaderboard import FIGURES, format_choice, leaderboard
from pipeline.compare.load import known_params
from pipeline.compare.page.loss_curves import N_LEADERS, draw_loss_curves, shown_places
from pipeline.compare.page.parallel_axes import MAX_AXES, draw_parallel_axes
from pipeline.compare.page.parameter_panels import MAX_POINTS, draw_parameter_panels
from pipeline.compare.page.search_figures import draw_importances, draw_trials
from pipeline.compare.page.share_bars import draw_share_bars
from pipeline.compare.page.theme import hover_label
from pipeline.compare.ties import MAX_DRAWN
from pipeline.report.page import environment
from pipeline.text import redact_tree

NAMES = {
    "f1": "F1", "roc_auc": "ROC AUC", "pr_auc": "PR AUC", "brier": "Brier score",
    "log_loss": "log loss (nats)",
}  # fmt: skip
UNFOLDED = 50  # rows of a table that are seen at once
MAX_ROWS = 1000  # of a table: what nobody reads makes the page slow


def page(comparison: Comparison) -> str:
    """Return one page of HTML that needs nothing but itself; whatever runs hold is shown as text.

    Secrets are masked text by text: a page that was masked as a whole could lose its scripts, which
    a browser runs only if they are what their digests say.

    Its policy lets it fetch nothing and run no script but its own two, known by their digests;
    ``unsafe-eval`` is what plotly.js compiles its drawing on the graphics card with.
    """
    pages = environment()
    pages.filters.update(link=_link, percent=format_share)
    figures = _figures(comparison)
    scripts = [plotly(), _file("page.js")]
    return pages.from_string(_file("page.html")).render(
        c=comparison,
        names=short_names(comparison.varying),
        rows=leaderboard(comparison),
        choice=format_choice(comparison),
        headings=FIGURES,
        test_rows=_test_rows(comparison),
        figures=figures,
        n_rows=_n_rows(comparison),
        repeats=format_repeats(comparison.finished),
        n_coloured=N_LEADERS,
        n_curves=len(shown_places(len(comparison.candidates))),
        max_points=MAX_POINTS,
        max_rows=MAX_ROWS,
        max_drawn=MAX_DRAWN,
        max_axes=MAX_AXES,
        unfolded=UNFOLDED,
        least=TOO_EARLY,
        style=Markup(_file("page.css")),  # noqa: S704 (of this package)
        scripts=[Markup(script) for script in scripts],  # noqa: S704 (plotly's and of this package)
        digests=[_digest(script) for script in scripts],
        data=Markup(_json(comparison, figures)),  # noqa: S704 (escaped there)
    )


def _figures(comparison: Comparison) -> dict[str, go.Figure]:
    """Return every figure by the id of its place on the page."""
    drawn = {
        "curves": draw_loss_curves(comparison),
        "parallel": draw_parallel_axes(comparison),
        "shares": draw_share_bars(comparison.shares) if comparison.shares else None,
    }
    if comparison.search is not None:
        drawn["trials"] = draw_trials(comparison.search)
        drawn["importances"] = draw_importances(comparison.search)
    panels = draw_parameter_panels(comparison, first_label=len(comparison.candidates))
    drawn |= {f"effect-{i}": figure for i, figure in enumerate(panels)}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _labels(comparison: Comparison) -> Iterator[str]:
    """Yield the texts beside points: of every candidate, of every run, of every unfinished one."""
    names = short_names(comparison.varying)
    for i, candidate in enumerate(comparison.candidates, 1):
        yield hover_label(f"candidate {i}", candidate.params, names)
    for i, candidate in enumerate(comparison.candidates, 1):
        for run in candidate.runs:
            yield hover_label(f"candidate {i}, {_seed(run)}", candidate.params, names)
    for run in comparison.unfinished:
        params = known_params(run, comparison.varying)
        yield hover_label(f"{run.outcome}, {_seed(run)}", params, names)


def _seed(run: Run) -> str:
    start, (split, fold) = run.seed
    words = [f"seed {start}", *([f"split {split}"] if split else [])]
    return ", ".join([*words, *([f"fold {fold}"] if has_folds([run]) else [])])


def _n_rows(comparison: Comparison) -> str:
    """Return how many validation rows there are, of all copies."""
    sizes = {f"{run.count.sum():,.0f}" for run in comparison.finished if run.count is not None}
    return f"{' or '.join(sorted(sizes))} validation rows" if sizes else "the validation rows"


def _test_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return the name of each figure on the test rows, its value, interval and baseline."""
    known = {name.removeprefix("test/"): value for name, value in (comparison.test or {}).items()}
    get = defaultdict(lambda: math.nan, known)
    return [
        (
            NAMES.get(name, name.replace("_", " ")),
            format_number(value),
            _interval(known, name),
            format_number(get[f"baseline_{name}"]),
        )
        for name, value in known.items()
        if not name.startswith("baseline_") and not name.endswith(("_low", "_high"))
    ]


def _interval(known: Mapping[str, float], name: str) -> str:
    low, high = f"{name}_low", f"{name}_high"
    return format_interval(known[low], known[high]) if {low, high} <= {*known} else "–"


def _link(url: str | None) -> str:
    """Return the address if it leads to a web page; "" if it would run or open another thing."""
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return ""
    return url or "" if parts.scheme in ("http", "https") and parts.hostname else ""


@lru_cache(maxsize=1)
def plotly() -> str:
    """Return the script of plotly.js."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _file(name: str) -> str:
    return files("pipeline.compare.page").joinpath(name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    """Return what a browser knows an allowed script by (Content Security Policy, level 2)."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def _json(comparison: Comparison, figures: dict[str, go.Figure]) -> str:
    """Return the figures and labels as JSON that ends no script element and starts no comment."""
    drawn: dict[str, Any] = {name: figure.to_dict() for name, figure in figures.items()}
    traces = (trace for figure in drawn.values() for trace in figure["data"])
    places = {place for trace in traces for place in trace.get("customdata", ())}
    labels = [text if i in places else "" for i, text in enumerate(_labels(comparison))]
    tree = redact_tree({"labels": labels, "figures": drawn})
    text = json.dumps(tree, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
