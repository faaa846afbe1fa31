"""Comparisons made up: grids of configurations with known effects, seeds and failures."""

import itertools
import json
import math
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np

from pipeline.compare.comparison import VALID_LOSS, Candidate, Comparison, Leaderboard, Run, Shares
from pipeline.compare.variance import shares as shares_of
from pipeline.stages.certify import Certificate

N_ROWS = 346
RATE, CHOICE, CROSSES, L2 = (
    "optimiser.learning_rate", "optimiser.name", "encode.crosses", "train.l2",
)  # fmt: skip
GRID = {
    RATE: (0.01, 0.03, 0.1, 0.3, 1.0),
    CHOICE: ("gradient_descent", "momentum", "adam"),
    CROSSES: ("[]", "[[buying, maint], [doors, persons, lug_boot]]"),
}
CONVERGED = Certificate("converged", 2e-9, 3e-9, 0.15)
EPOCHS = 60


def run(params, seed=0, loss=0.12, split=0, curve=None, **more) -> Run:
    """A finished run."""
    values = {
        "identity": f"{abs(hash((tuple(params.items()), seed))):032x}"[-32:],
        "status": "FINISHED",
        "settings": {"seed": seed, "split.seed": split, **params},
        "metrics": {
            VALID_LOSS: float(loss),
            "valid/best_accuracy": 1 - loss / 2,
            "train/best_loss": 0.9 * loss,
        },
        "curve": curve or {},
        "overrides": tuple(f"{name}={value}" for name, value in params.items()),
        "ended": "epochs",
    }
    return Run(**values | more)


def curve(loss, epochs=EPOCHS):
    """A validation loss that falls from 0.8 to ``loss``."""
    epoch = np.arange(epochs + 1.0)
    fall = (0.8 - loss) * np.exp(-epoch / (epochs / 6))
    return {"epoch": epoch, "train_loss": 0.9 * loss + fall, "valid_loss": loss + fall}


def failed(params, seed=0, **more) -> Run:
    values = {
        "status": "FAILED",
        "metrics": {},
        "ended": "diverged",
        "reason": "loss must stay finite; got an infinite one at epoch 12",
        "log": "runs/logs/0007.log",
    }
    return run(params, seed, **values | more)


def candidates(levels, table, **more) -> list[Candidate]:
    """The candidates of a grid whose runs have the losses of a table (levels …, seeds)."""
    found = []
    for place in itertools.product(*(range(len(known)) for known in levels.values())):
        params = {n: known[i] for (n, known), i in zip(levels.items(), place, strict=True)}
        runs = tuple(run(params, seed, loss, **more) for seed, loss in enumerate(table[place]))
        found.append(Candidate(params, runs))
    return found


def compared(levels, table, tied=1, **more) -> Comparison:
    """The comparison of a grid with these losses, the best first, of which so many tie."""
    ranked = sorted(candidates(levels, table), key=lambda c: c.mean_metric(VALID_LOSS))
    found, reason = shares_of(ranked, tuple(levels))
    return Comparison(**{
        "name": "made", "varying": tuple(levels), "candidates": tuple(ranked),
        "board": board(ranked, tied), "shares": found, "no_shares": reason, "unfinished": (),
    } | more)  # fmt: skip


def board(candidates, tied) -> Leaderboard:
    """``tied`` is how many lead together, or their positions."""
    losses = [[run.validation_loss for run in c.runs] for c in candidates]
    mean = np.array([np.mean(c) for c in losses])
    excess = mean - mean[0]
    deviation = np.array([np.std(c, ddof=1) if len(c) > 1 else np.nan for c in losses])
    who = np.isin(np.arange(len(mean)), np.arange(tied) if isinstance(tied, int) else tied)
    return Leaderboard(
        mean,
        mean - 0.01,
        mean + 0.01,
        deviation,
        excess,
        excess - 0.02,
        excess + 0.02,
        np.where(who, excess, excess / 2),
        who,
        0.95,
    )


def certified(comparison, certificate_of) -> Comparison:
    """The comparison with the certificate that ``certificate_of(place, seed)`` gives each run."""
    return replace(comparison, candidates=tuple(
        replace(candidate, runs=tuple(
            replace(run, certificate=certificate_of(place, run.seed[0])) for run in candidate.runs
        ))
        for place, candidate in enumerate(comparison.candidates)
    ))  # fmt: skip


# --- for the page and the terminal ------------------------------------------------------------


def loss_of(params) -> float:
    """0.1 at its lowest: a loss that depends on the three parameters of ``GRID``."""
    rate = params.get(RATE, 0.3)
    crosses = 0.03 if params.get(CROSSES) == "[]" else 0.0
    choice = {"adam": 0.0, "momentum": 0.004}.get(params.get(CHOICE), 0.02)
    return 0.1 + 0.02 * math.log10(rate / 0.3) ** 2 + crosses + choice


def grid(axes=None, seeds=5, epochs=EPOCHS, tied=4, **more) -> Comparison:
    """A full grid, the best first; of the seeds each differs a little, the first ``tied`` are."""
    axes = GRID if axes is None else axes
    rng = np.random.default_rng(0)
    found = []
    for values in itertools.product(*axes.values()):
        params = dict(zip(axes, values, strict=True))
        losses = loss_of(params) + 0.002 * rng.standard_normal(seeds)
        found.append(Candidate(params, tuple(
            run(params, seed, loss, curve=curve(loss, epochs), count=np.ones(N_ROWS))
            for seed, loss in enumerate(losses)
        )))  # fmt: skip
    found.sort(key=lambda c: c.mean_metric(VALID_LOSS))
    values = {
        "name": "rates",
        "varying": tuple(axes),
        "candidates": tuple(found),
        "board": board(found, tied),
        "shares": shares(tuple(axes)),
        "no_shares": "",
        "unfinished": (),
        "sentences": ("learning_rate explains 81 % of the variance of the validation loss.",),
        "chosen": min(1, len(found) - 1),
        "test": {
            "test/accuracy": 0.9451, "test/accuracy_low": 0.9158, "test/accuracy_high": 0.9646,
            "test/baseline_accuracy": 0.6994, "test/log_loss": 0.1111,
        },
    }  # fmt: skip
    return Comparison(**values | more)


def shares(names) -> Shares:
    main = dict(zip(names, (0.62, 0.2, 0.08, 0.03), strict=False))
    pairs = {pair: 0.02 / (i + 1) for i, pair in enumerate(itertools.combinations(names, 2))}
    rest = 1 - sum(main.values()) - sum(pairs.values()) - 0.01
    return Shares(main, pairs, rest, 0.01)


def with_failures(comparison, **more) -> Comparison:
    """Two runs more that did not finish: one diverged, one of an error with a traceback."""
    params = dict(comparison.candidates[-1].params)
    lost = (
        failed(params | ({RATE: 10.0} if RATE in params else {}), 0, **more),
        failed(params, 1, ended=None, reason="MemoryError\nno more", url="https://host/#/runs/1"),
    )
    last = replace(comparison.candidates[-1], unfinished=lost[1:])
    return replace(comparison, candidates=(*comparison.candidates[:-1], last), unfinished=lost)


# --- a page as a browser takes it ---------------------------------------------------------------

EVIL = (
    "<script>alert('x')</script>\"><img src=x onerror=alert(1)></title>{{ 7*7 }}&amp;$x^2$%{x}"
    "<a href='https://evil.example'>=1+1</a>\u202e\x1b[31m\ud800"
)
SHOWN = EVIL.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b").replace("\ud800", "\\ud800")


def hostile():
    """A comparison in which every text of a run is markup, a template or a command."""
    axes = {f"a.{EVIL}": (EVIL, EVIL * 9, None, True), "b.<b>x": (1, 2, "=1+1")}
    comparison = grid(axes, seeds=2, name=EVIL, sentences=(EVIL,), left_out=((EVIL, 1),))
    return with_failures(
        replace(comparison, test={f"test/{EVIL}": 0.5}),
        reason=EVIL * 9, log=EVIL, overrides=(EVIL,), url="javascript:alert(1)",
    )  # fmt: skip


class Page(HTMLParser):
    """The elements of a page as a browser takes them; what scripts and styles hold apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, str]] = []
        self.text = ""
        self.rows: list[list[str]] = []
        self.in_cell = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.in_cell = True
            self.rows[-1].append("")
        if tag in ("script", "style"):
            self.raw.append((tag, ""))

    def handle_data(self, data):
        if self.cdata_elem:
            self.raw[-1] = (self.raw[-1][0], self.raw[-1][1] + data)
            return
        self.text += data
        if self.in_cell:
            self.rows[-1][-1] += data

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.in_cell = False
            self.rows[-1][-1] = self.rows[-1][-1].strip()

    @property
    def tags(self) -> list[str]:
        return [tag for tag, _ in self.elements]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())

    @property
    def scripts(self) -> list[str]:
        return [text for tag, text in self.raw if tag == "script"]

    @property
    def data(self) -> dict:
        return json.loads(self.scripts[0])

    def values(self, name: str) -> list[str]:
        return [attrs[name] or "" for _, attrs in self.elements if name in attrs]

    def table(self, *headings: str) -> list[list[str]]:
        """The rows below the first heading row that holds all of ``headings``."""
        at = next(i for i, row in enumerate(self.rows) if set(headings) <= set(row))
        width = len(self.rows[at])
        below = []
        for row in self.rows[at + 1 :]:
            if len(row) != width or set(headings) <= set(row):
                break
            below.append(row)
        return below
