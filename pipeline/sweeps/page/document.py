"""A comparison becomes the text of its page: what is known, who leads, and the figures."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from pipeline.redact import printable, redact, redact_tree
from pipeline.sweeps import labels
from pipeline.sweeps.comparison import Comparison, Run
from pipeline.sweeps.page import curves, effects, parallel, shares
from pipeline.sweeps.page.look import Figure, Tree, hover
from pipeline.sweeps.rows import known_params, leaderboard
from pipeline.sweeps.training import TOO_EARLY

NAMES = {
    "f1": "F1", "roc_auc": "ROC AUC", "pr_auc": "PR AUC", "brier": "Brier score",
    "log_loss": "log loss (nats)",
}  # fmt: skip
UNFOLDED = 50  # rows of a table that are seen at once


class Held(NamedTuple):
    """A figure on the test rows; NaN is what is not known."""

    name: str
    value: float
    low: float
    high: float
    baseline: float


def page(comparison: Comparison) -> str:
    """One page of HTML that needs nothing but itself; whatever the runs hold is shown as text.

    Secrets are masked text by text: a page that was masked as a whole could lose its scripts, which
    a browser runs only if they are what their digests say.

    Its policy lets it fetch nothing and run no script but its own two, known by their digests;
    ``unsafe-eval`` is what plotly.js compiles its drawing on the graphics card with.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    pages = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=_shown(),
    )  # fmt: skip
    pages.filters.update(
        figure=labels.number, range=labels.interval, signed=labels.signed, percent=labels.percent,
        value=labels.value_text, brief=labels.brief, counted=labels.counted, state=labels.state,
        cut=labels.cut, link=_link, sortable=_sortable,
    )  # fmt: skip
    figures = _figures(comparison)
    scripts = [plotly(), _file("page.js")]
    return pages.from_string(_file("page.html")).render(
        c=comparison,
        names=labels.short_names(comparison.varying),
        rows=leaderboard(comparison),
        test=_test(comparison),
        figures=figures,
        n_rows=_n_rows(comparison),
        n_seeds=len({run.seed for run in _runs(comparison)}),
        unfolded=UNFOLDED,
        least=TOO_EARLY,
        style=Markup(_file("page.css")),  # noqa: S704 (ours)
        scripts=[Markup(script) for script in scripts],  # noqa: S704 (plotly's and ours)
        digests=[_digest(script) for script in scripts],
        data=Markup(_json(redact_tree(_drawn(comparison, figures)))),  # noqa: S704 (escaped in _json)
    )


def _figures(comparison: Comparison) -> dict[str, Figure]:
    """Every figure by the id of its place on the page."""
    drawn = {
        "curves": curves.draw(comparison),
        "parallel": parallel.draw(comparison),
        "shares": shares.draw(comparison.shares) if comparison.shares else None,
    }
    panels = effects.draw(comparison, first_label=len(comparison.candidates))
    drawn |= {f"effect-{i}": figure for i, figure in enumerate(panels)}
    return {name: figure for name, figure in drawn.items() if figure is not None}


def _drawn(comparison: Comparison, figures: dict[str, Figure]) -> Tree:
    return {
        "labels": list(_labels(comparison)),
        "figures": {
            name: {"data": figure.data, "layout": figure.layout} for name, figure in figures.items()
        },
    }


def _labels(comparison: Comparison) -> Iterator[str]:
    """The texts beside points: of every candidate, of every run, of every unfinished one."""
    names = labels.short_names(comparison.varying)
    for i, candidate in enumerate(comparison.candidates):
        yield hover(f"candidate {i + 1}", candidate.params, names)
    for i, candidate in enumerate(comparison.candidates):
        for run in candidate.runs:
            yield hover(f"candidate {i + 1}, {_seed(run)}", candidate.params, names)
    for run in comparison.unfinished:
        params = known_params(run, comparison.varying)
        yield hover(f"{labels.state(run)}, {_seed(run)}", params, names)


def _seed(run: Run) -> str:
    start, split = run.seed
    return f"seed {start}" + (f", split {split}" if split else "")


def _runs(comparison: Comparison) -> list[Run]:
    """Every run once: those of the candidates and those that did not finish."""
    runs = [run for c in comparison.candidates for run in (*c.runs, *c.unfinished)]
    return list({id(run): run for run in (*runs, *comparison.unfinished)}.values())


def _n_rows(comparison: Comparison) -> str:
    """How many validation rows there are, of all copies, as words."""
    sizes = {int(run.count.sum()) for run in _runs(comparison) if run.count is not None}
    if not sizes:
        return "the validation rows"
    low, high = min(sizes), max(sizes)
    return f"{low:,} validation rows" if low == high else f"{low:,} to {high:,} validation rows"


def _test(comparison: Comparison) -> list[Held]:
    """Each figure on the test rows with its interval and that of the majority."""
    known = {name.removeprefix("test/"): value for name, value in (comparison.test or {}).items()}

    def get(name: str) -> float:
        return known.get(name, math.nan)

    return [
        Held(NAMES.get(name, name.replace("_", " ")), value, get(f"{name}_low"),
             get(f"{name}_high"), get(f"baseline_{name}"))
        for name, value in known.items()
        if not name.startswith("baseline_") and not name.endswith(("_low", "_high"))
    ]  # fmt: skip


# --- filters -----------------------------------------------------------------------------------


def _shown() -> Callable[[Any], Any]:
    """What is done to each value: text without secrets and what an eye cannot see."""
    hide = lru_cache(maxsize=None)(redact)  # most cells repeat

    def shown(value: Any) -> Any:
        is_ours = hasattr(value, "__html__")  # markup
        if isinstance(value, str) and not is_ours:
            return printable(hide(value), keep="\n")
        return value

    return shown


def _link(url: str | None) -> str:
    """The address if it leads to a web page; "" if it would run or open another thing."""
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return ""
    return url or "" if parts.scheme in ("http", "https") and parts.hostname else ""


def _sortable(value: Any) -> Any:
    """What a column is sorted by: a number as it is, "" for none, else the text."""
    if isinstance(value, float) and math.isnan(value):
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return labels.value_text(value) if value is not None else ""
    return repr(value)


# --- what is embedded --------------------------------------------------------------------------


@lru_cache(maxsize=1)
def plotly() -> str:
    """The script of plotly.js."""
    from plotly.offline import get_plotlyjs

    return str(get_plotlyjs())


def _file(name: str) -> str:
    return files("pipeline.sweeps.page").joinpath(name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    """What a browser knows an allowed script by (Content Security Policy, level 2)."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def _json(tree: Tree) -> str:
    """JSON that ends no script element and starts no comment, whatever is in it."""
    text = json.dumps(tree, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
