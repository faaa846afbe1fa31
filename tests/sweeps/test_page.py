"""A comparison becomes one page that opens offline, in which no value of a run becomes code."""

import base64
import hashlib
import json
import math
import re
import shutil
import time
from dataclasses import replace
from html.parser import HTMLParser

import comparisons as made
import numpy as np
import pytest

from pipeline.redact import printable
from pipeline.sweeps.comparison import Candidate, Shares
from pipeline.sweeps.labels import brief, configuration, number, short_names, value_text
from pipeline.sweeps.page import page
from pipeline.sweeps.page.curves import mean_curve, thinned
from pipeline.sweeps.page.document import _link
from pipeline.sweeps.page.effects import draw as draw_effects
from pipeline.sweeps.page.scale import Scale
from pipeline.sweeps.page.shares import draw as draw_shares

EVIL = (
    "<script>alert('x')</script>\"><img src=x onerror=alert(1)></title>{{ 7*7 }}&amp;$x^2$%{x}"
    "<a href='https://evil.example'>=1+1</a>\u202e\x1b[31m\ud800"
)
SHOWN = EVIL.replace("\u202e", "\\u202e").replace("\x1b", "\\x1b").replace("\ud800", "\\ud800")


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


def shown(comparison) -> Page:
    return Page(page(comparison))


@pytest.fixture(scope="module")
def usual() -> Page:
    return shown(made.with_failures(made.grid(left_out=(("another table", 3),))))


@pytest.fixture(scope="module")
def hostile_text() -> str:
    axes = {f"a.{EVIL}": (EVIL, EVIL * 9, None, True), "b.<b>x": (1, 2, "=1+1")}
    comparison = made.grid(axes, seeds=2, name=EVIL, sentences=(EVIL,), left_out=((EVIL, 1),))
    comparison = replace(comparison, test={f"test/{EVIL}": 0.5})
    return page(
        made.with_failures(
            comparison, reason=EVIL * 9, log=EVIL, overrides=(EVIL,), url="javascript:alert(1)"
        )
    )


# --- nothing but itself ----------------------------------------------------------------------


def test_no_address_is_fetched_and_the_policy_forbids_it(usual):
    assert not {"src", "srcset", "data", "action", "poster"} & {
        name for _, attrs in usual.elements for name in attrs
    }
    assert not {"link", "iframe", "object", "embed", "img", "base", "form"} & set(usual.tags)
    styles = [text for tag, text in usual.raw if tag == "style"]
    assert not re.search(r"@import|url\(", "".join(styles))
    policy = next(v for v in usual.values("content") if "default-src" in v)
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assert "script-src 'unsafe-inline'" not in policy


def test_the_policy_names_the_digest_of_each_script_that_runs(usual):
    policy = next(v for v in usual.values("content") if "default-src" in v)
    allowed = set(re.findall(r"'sha256-([^']+)'", policy))
    digests = {
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        for script in usual.scripts[1:]
    }
    assert allowed == digests
    assert len(digests) == 2


def test_plotly_is_embedded_once(usual):
    assert [script.count("plotly.js v") for script in usual.scripts] == [0, 1, 0]


def test_a_secret_that_looks_like_a_word_of_the_script_is_masked_in_texts_alone(monkeypatch, usual):
    monkeypatch.setenv("MY_TOKEN", "function")
    comparison = made.with_failures(made.grid(), reason="a function failed", log="function")
    found = shown(comparison)
    assert "function" not in found.text
    assert "a *** failed" in found.text
    assert found.scripts[1:] == usual.scripts[1:]


# --- text stays text -------------------------------------------------------------------------


def test_whatever_the_runs_hold_is_shown_as_text(hostile_text):
    found = Page(hostile_text)
    assert len(found.scripts) == 3
    assert not {"img", "iframe", "object", "link", "form", "b>x"} & set(found.tags)
    assert not [n for _, attrs in found.elements for n in attrs if n.startswith("on")]
    assert SHOWN in found.text
    hostile_text.encode()  # a lone surrogate could not be written to a file


def test_markup_that_is_not_escaped_would_be_seen():
    """The negative control of this module."""
    assert "img" in Page(f"<p>{EVIL}</p>").tags


def test_texts_of_figures_hold_no_markup_of_a_run(hostile_text):
    """plotly.js takes <b>, <br>, <a> …; a name must come with its angle brackets escaped."""
    texts = []

    def gather(tree):
        if isinstance(tree, dict):
            # The ticks of parallel coordinates are drawn letter by letter.
            for key, value in tree.items():
                if key != "dimensions":
                    gather(value)
        elif isinstance(tree, list):
            for value in tree:
                gather(value)
        elif isinstance(tree, str):
            texts.append(tree)

    gather(Page(hostile_text).data)
    markup = {tag for text in texts for tag in re.findall(r"<[^>]*>", text)}
    assert markup <= {"<b>", "</b>", "<br>", "<extra>", "</extra>"}
    assert any("&lt;script&gt;" in text for text in texts)


def test_only_an_address_of_the_web_becomes_a_link(usual, hostile_text):
    assert usual.values("href") == ["https://host/#/runs/1"]
    assert Page(hostile_text).values("href") == ["https://host/#/runs/1"]


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", " javascript:x", "data:text/html,x", "file:///etc/passwd", "//host/x",
     "mlflow", "", None, "http://", "http://[", "HTTPS"],
)  # fmt: skip
def test_another_address_is_none(url):
    assert _link(url) == ""
    assert _link("http://127.0.0.1:5000/#/experiments/1") != ""


# --- what is told ----------------------------------------------------------------------------


def test_the_page_says_what_was_measured_on_what(usual):
    for text in (
        "150 finished runs of 30 candidates",
        "5 seeds",
        "2 runs did not finish",
        "in nats per row, on 346 validation rows",
        "learning_rate explains 81 % of the variation of the valid cost.",
        "4 of 30 candidates lead: the best and 3 others, marked = tied, that cannot be told apart "
        "from it, at 95 %",
        "used once, for the chosen candidate only (rank 2)",
        "3 runs: another table",
    ):
        assert text in usual.words


def test_the_leaderboard_tells_each_candidate_by_what_varies():
    comparison = made.grid()
    rows = shown(comparison).table("rank", "valid cost")
    assert len(rows) == 30
    for i, (row, candidate) in enumerate(zip(rows, comparison.candidates, strict=True)):
        costs = [run.metrics["valid/best_cost"] for run in candidate.runs]
        assert row[0] == str(i + 1)
        assert row[2:4] == [f"{candidate.params[made.RATE]:g}", candidate.params[made.CHOICE]]
        assert row[5] == f"{np.mean(costs):.4f}"
        assert row[10] == "5"
        assert row[11] == f"{np.std(costs, ddof=1):.4f}"
        assert row[12] == f"{1 - np.mean(costs) / 2:.4f}"
        assert row[13] == f"{0.9 * np.mean(costs):.4f}"
    assert [row[1] for row in rows[:5]] == ["best", "= tied chosen", "= tied", "= tied", "worse"]
    assert {row[1] for row in rows[5:]} == {"worse"}


def test_how_far_training_got_is_told_with_what_stands_behind_it():
    comparison = made.grid(seeds=2)
    first, second, third, *others = comparison.candidates
    certified = [
        replace(first, runs=tuple(replace(run, verdict="converged") for run in first.runs)),
        replace(second, runs=tuple(
            replace(run, verdict="stopped early",
                    metrics={**run.metrics, "certificate/gap": 0.01 + 0.03 * i})
            for i, run in enumerate(second.runs)
        )),
        replace(third, runs=tuple(
            replace(run, verdict="no finite optimum", separated_on=("persons=2", EVIL))
            for run in third.runs
        )),
    ]  # fmt: skip
    found = shown(replace(comparison, candidates=(*certified, *others)))
    assert [row[9] for row in found.table("rank", "training")[:4]] == [
        "converged", "stopped early, 0.04 above", "no finite optimum", "unknown",
    ]  # fmt: skip
    assert [v for v in found.values("class") if "early" in v] == ["training early"]
    titles = found.values("title")
    assert "2 of 2 runs; at most 0.04 nats per row above the optimum" in titles
    assert any(text.startswith("2 of 2 runs; the train rows separate on persons=2, <script>")
               for text in titles)  # fmt: skip
    assert len(found.scripts) == 3


def test_headings_are_short_and_their_tooltips_whole(usual):
    headings = next(row for row in usual.rows if "rank" in row)
    assert headings[2:5] == ["learning_rate", "optimiser", "crosses"]
    assert {made.RATE, made.CHOICE, made.CROSSES} <= set(usual.values("title"))


def test_what_does_not_vary_is_no_column():
    comparison = made.grid({made.RATE: (0.1, 0.3)})
    assert "optimiser" not in next(r for r in shown(comparison).rows if "rank" in r)


def test_a_tail_of_more_than_fifty_is_folded_but_there():
    axes = {made.RATE: tuple(10.0**-i for i in range(6)), made.L2: tuple(range(10))}
    found = shown(made.grid(axes, seeds=1))
    ranks = [row[0] for row in found.rows if len(row) == 13 and row[0].isdigit()]
    assert ranks == [str(i) for i in range(1, 61)]
    assert found.tags.count("details") == 1
    assert "10 more candidates" in found.words
    assert shown(made.grid(seeds=1)).tags.count("details") == 0


def test_one_seed_has_no_standard_deviation():
    assert {row[11] for row in shown(made.grid(seeds=1)).table("rank", "sd")} == {"–"}


def test_the_test_rows_are_told_with_interval_and_baseline(usual):
    rows = usual.table("on the test rows")
    assert rows == [
        ["accuracy", "0.9451", "0.9158 to 0.9646", "0.6994"],
        ["log loss (nats)", "0.1111", "–", "–"],
    ]


def test_without_test_figures_the_page_says_that_the_rows_were_not_used():
    assert "The test rows were not used" in shown(made.grid(test=None)).words


def test_runs_that_did_not_finish_have_a_table_of_their_own(usual):
    diverged, failed = usual.table("ended", "reason")
    assert diverged[0] == "diverged"
    assert "optimiser.learning_rate=10.0" in diverged[1]
    assert diverged[2:] == [
        "cost must stay finite; got an infinite one at epoch 12", "runs/logs/0007.log", "–",
    ]  # fmt: skip
    assert failed[0] == "failed"
    assert failed[2] == "MemoryError\nno more"
    assert failed[4] == "open the run"
    assert usual.table("rank", "seeds")[-1][10] == "5 of 6"


def test_a_reason_of_pages_is_folded():
    found = shown(made.with_failures(made.grid(), reason="x" * 5000))
    assert "x" * 5000 in found.text
    assert "all of it" in found.words


@pytest.mark.parametrize(
    ("comparison", "told"),
    [
        (made.grid(candidates=(), board=None, chosen=None, test=None), "No run finished."),
        (made.grid(board=None, chosen=None), "No run has validation rows"),
        (made.grid(tied=1), "The best can be told apart from every other candidate, at 95 %"),
        (made.grid(shares=None, no_shares="two cells lack a seed"), "no shares: two cells lack"),
        (made.grid(shares=None, no_shares=EVIL), SHOWN),
        (made.grid({}), "fewer than two candidates with a valid cost, or no parameter varies"),
        (made.grid(), "Every run finished."),
    ],
)
def test_what_there_is_not_is_said(comparison, told):
    assert told in shown(comparison).words


def test_a_run_of_which_only_the_overrides_are_known_is_told():
    lost = made.failed({}, overrides=(f"{made.RATE}=30.0", "seed=3"), settings={}, ended=None)
    found = shown(made.grid(unfinished=(lost,)))
    assert "30.0" in found.table("ended")[0][1]
    assert any("learning_rate = 30" in label for label in found.data["labels"])


# --- figures ---------------------------------------------------------------------------------


def test_every_figure_is_one_that_plotly_takes(usual, hostile_text):
    """Validated by plotly's own schema; the browser takes what it does not know in silence."""
    import plotly.graph_objects as go

    for found in (usual, Page(hostile_text)):
        for figure in found.data["figures"].values():
            go.Figure(figure)
    with pytest.raises(ValueError, match="colour"):  # the control
        go.Figure({"data": [{"type": "scatter", "line": {"colour": "red"}}]})


def unpacked(array) -> np.ndarray:
    return np.frombuffer(base64.b64decode(array["bdata"]), array["dtype"])


def test_ten_curves_are_coloured_and_the_others_are_one_trace_with_gaps(usual):
    traces = usual.data["figures"]["curves"]["data"]
    assert len(traces) == 1 + 2 * 10
    grey, *leaders = traces
    assert np.isnan(unpacked(grey["y"])).sum() == 20
    assert grey["connectgaps"] is False
    assert [t["line"]["dash"] for t in leaders] == ["solid", "dot"] * 10
    assert sum(t["showlegend"] for t in leaders) == 10
    assert leaders[0]["name"] == "1. learning_rate=0.3, optimiser=adam"
    captions = " ".join(usual.words.split("Solid: ")[1:])
    alike = "in colour, all with crosses=[[buying, maint], [doors, persons, lug_boot]]. Grey"
    assert alike in captions


def test_a_curve_is_the_mean_over_the_seeds(usual):
    first = made.grid().candidates[0]
    mean = sum(run.curve["valid_cost"] for run in first.runs) / 5
    drawn = usual.data["figures"]["curves"]["data"][1]
    np.testing.assert_allclose(unpacked(drawn["y"]), mean, rtol=2**-23)  # float32 rounds once
    np.testing.assert_array_equal(unpacked(drawn["x"]), np.arange(61))


def test_curves_of_seeds_that_ended_early_are_compared_as_far_as_all_go():
    runs = (made.run({}, 0, 0.1, epochs=40), made.run({}, 1, 0.2, epochs=60))
    curve = mean_curve(Candidate({}, runs))
    assert curve["epoch"][-1] == 40
    wanted = (runs[0].curve["valid_cost"] + runs[1].curve["valid_cost"][:41]) / 2
    np.testing.assert_allclose(curve["valid_cost"], wanted, rtol=1e-15)


@pytest.mark.parametrize("n", [1, 2, 149, 150, 151, 500, 1_000_000])
def test_thinned_positions_are_few_in_order_and_hold_both_ends(n):
    kept = thinned(n, 150)
    assert (kept[0], kept[-1]) == (0, n - 1)
    assert len(kept) <= 150
    assert np.all(np.diff(kept) > 0)
    if n > 150:
        assert list(kept[:4]) == [0, 1, 2, 3]  # the start, where a curve falls, stays whole


def test_hovering_tells_the_configuration(usual):
    labels = usual.data["labels"]
    assert len(labels) == 30 + 150 + 2
    grey = usual.data["figures"]["curves"]["data"][0]
    assert set(grey["customdata"]) == set(range(10, 30))
    assert labels[0].startswith("<b>candidate 1</b><br>learning_rate = 0.3<br>optimiser = adam")


def test_parallel_coordinates_have_an_axis_per_parameter_and_the_cost_last(usual):
    (trace,) = usual.data["figures"]["parallel"]["data"]
    rate, choice, _, cost = trace["dimensions"]
    assert rate["ticktext"] == ["0.01", "0.03", "0.1", "0.3", "1"]
    assert set(rate["values"]) <= set(rate["tickvals"])
    assert choice["ticktext"] == ["adam", "gradient_descent", "momentum"]
    mean = [np.mean([r.metrics["valid/best_cost"] for r in c.runs]) for c in made.grid().candidates]
    np.testing.assert_allclose(cost["values"], mean, rtol=1e-5)


def test_a_panel_shows_every_run_by_level_with_the_means():
    comparison = made.grid({made.CHOICE: ("adam", "momentum"), made.CROSSES: ("[]", "[[a, b]]")})
    points, means = draw_effects(comparison, 4)[0].data
    x, y = unpacked(points["x"]), unpacked(points["y"])
    runs = [(c, run) for c in comparison.candidates for run in c.runs]
    for level, name in enumerate(("adam", "momentum")):
        costs = [r.metrics["valid/best_cost"] for c, r in runs if c.params[made.CHOICE] == name]
        np.testing.assert_allclose(np.sort(y[np.rint(x) == level]), np.sort(costs), rtol=2**-23)
        assert unpacked(means["y"])[level] == pytest.approx(np.mean(costs), rel=2**-23)


def test_a_run_that_diverged_stands_above_all_others():
    comparison = made.with_failures(made.grid())
    points, means, lost = draw_effects(comparison, 30)[0].data
    assert unpacked(lost["y"]).min() > np.nanmax(unpacked(points["y"]))
    assert max(unpacked(lost["x"])) == pytest.approx(10, rel=0.2)
    assert 10 not in np.round(unpacked(means["x"]), 6)
    assert lost["customdata"] == [30 + 150, 30 + 151]


@pytest.mark.parametrize(
    ("values", "kind", "places"),
    [
        ((0.01, 0.1, 1.0), "log", [-2, -1, 0]),
        ((1, 2, 3), "linear", [1, 2, 3]),
        ((0.0, 1e-4, 1e-2), "levels", [0, 1, 2]),
        (("b", "a", None), "levels", [1, 0, 2]),
        ((True, False), "levels", [1, 0]),
        ((1, "1", None, 2.5), "levels", [0, 2, 3, 1]),
        ((math.nan, 1.0), "levels", [1, 0]),
        ((7,), "levels", [0]),
        ((), "levels", []),
    ],
)
def test_values_stand_where_a_reader_expects_them(values, kind, places):
    scale = Scale.of(values)
    assert scale.kind == kind
    np.testing.assert_allclose(scale.places(values), places, atol=1e-12)
    assert len(set(scale.ticks())) == len(scale.levels) == len({*map(repr, values)})


def test_ticks_that_would_be_alike_are_told_apart():
    assert Scale.of(["a" * 50 + "1", "a" * 50 + "2"]).ticks(5) == ["aaaa…", "aaaa… (2)"]


def test_a_legend_shortens_names_before_the_values_that_tell_candidates_apart():
    params = {"optimiser.learning_rate": 0.1, "encode.unseen_categories": "refuse", "a.b": "x" * 9}
    names = short_names(params)
    whole = "learning_rate=0.1, unseen_categories=refuse, b=xxxxxxxxx"
    assert configuration(params, names, 99) == whole
    for length in range(32, len(whole)):
        text = configuration(params, names, length)
        assert len(text) <= length
        assert [part.partition("=")[2] for part in text.split(", ")] == ["0.1", "refuse", "x" * 9]
    assert len(configuration(params, names, 20)) == 20
    assert configuration({}, {}, 99) == "the one configuration"


def test_bars_hold_all_of_the_variance():
    names = [f"p{i}" for i in range(9)]
    pairs = {(a, b): 0.01 for i, a in enumerate(names) for b in names[:i]}
    main = dict.fromkeys(names, 0.05)
    shares = Shares(main, pairs, 1 - 0.45 - 0.36 - 0.04, 0.04)
    (bars,) = draw_shares(shares).data
    assert sum(bars["x"]) == pytest.approx(100, abs=1e-9)
    assert len(bars["x"]) == 18
    texts = draw_shares(shares).layout["yaxis"]["ticktext"]
    assert "30 other pairs" in texts
    assert texts[-2:] == ["three or more together", "seeds"]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_what_three_do_together_is_told_of_three_or_more(n):
    names = ("a", "b", "c")[:n]
    drawn = draw_shares(made.shares(names))
    texts = drawn.layout["yaxis"]["ticktext"]
    assert ("three or more together" in texts) == ("three or more" in drawn.caption) == (n > 2)
    assert len(texts) == len(drawn.data[0]["x"]) == n + n * (n - 1) // 2 + (n > 2) + 1


# --- words -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["optimiser.learning_rate"], ["learning_rate"]),
        (["optimiser.name", "data.name"], ["optimiser", "data"]),
        (["a.seed", "b.seed", "seed"], ["a.seed", "b.seed", "seed"]),
        (["a.b.c", "x.b.c", "b.d"], ["a.b.c", "x.b.c", "d"]),
        (["optimiser", "optimiser.name"], ["optimiser", "optimiser.name"]),
        ([], []),
    ],
)
def test_names_are_as_short_as_they_can_be_told_apart(names, short):
    assert list(short_names(names).values()) == short


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12345, "0.1235"), (0.0, "0.0000"), (2e-7, "2.00e-07"), (-0.5, "-0.5000"),
     (123456.0, "1.23e+05"), (math.nan, "–"), (None, "–"), (math.inf, "∞"), (-math.inf, "-∞")],
)  # fmt: skip
def test_figures_are_short_and_never_round_to_nothing(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (True, "true"), (0.1, "0.1"), (1e-5, "1e-05"), (1 / 3, "0.3333333333333333"),
     (3, "3"), ("adam", "adam"), ("a\nb", "a\\nb")],
)  # fmt: skip
def test_settings_read_as_a_person_writes_them(value, text):
    assert value_text(value) == text


def test_a_number_drawn_at_random_is_shown_short_and_told_whole():
    rates = (0.9767978278601162, 0.1, 0.30000000000000004)
    assert [brief(rate) for rate in rates] == ["0.9768", "0.1", "0.3"]
    found = shown(made.grid({made.RATE: rates}))
    assert {row[2] for row in found.table("rank", "learning_rate")} == {"0.9768", "0.1", "0.3"}
    assert {"0.9767978278601162", "0.30000000000000004"} <= set(found.values("title"))


def test_characters_that_deceive_are_written_out():
    assert printable(EVIL) == SHOWN
    assert printable("größer 数", keep="") == "größer 数"


# --- size ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_thousand_runs_make_a_light_page_in_seconds():
    axes = {
        made.RATE: (0.01, 0.03, 0.1, 0.3, 1.0),
        made.CHOICE: ("gradient_descent", "momentum", "adam", "other"),
        made.L2: (0.0, 1e-5, 1e-4, 1e-3, 1e-2),
        made.CROSSES: ("[]", "[[buying, maint]]"),
    }
    comparison = made.grid(axes, epochs=500)
    start = time.perf_counter()
    text = page(comparison)
    assert time.perf_counter() - start < 5  # 0.7 s where it was measured
    assert len(text.encode()) < 8e6
    assert "1,000 finished runs of 200 candidates" in Page(text).words


# --- the browser -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Headless Chromium. Its absence is the only reason to skip what needs it."""
    driver = shutil.which("chromedriver")
    if driver is None:
        pytest.skip("no chromedriver on PATH")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for option in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--enable-unsafe-swiftshader", f"--user-data-dir={tmp_path_factory.mktemp('chromium')}",
    ):  # fmt: skip
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    with webdriver.Chrome(options=options, service=webdriver.ChromeService(driver)) as opened:
        opened.get("about:blank")
        yield opened


def opened(browser, folder, text, width=1400) -> None:
    """Load the page in a window of so many pixels and wait until its figures are drawn."""
    path = folder / "page.html"
    path.write_text(text, encoding="utf-8")
    browser.get_log("performance")
    browser.get_log("browser")
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": False},
    )
    browser.get(path.as_uri())
    deadline = time.monotonic() + 60
    while browser.execute_script("return document.querySelector('.plot:not(.js-plotly-plot)')"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def requests(browser) -> list[str]:
    """What was asked for but the file itself and what a page makes of itself."""
    messages = [json.loads(line["message"])["message"] for line in browser.get_log("performance")]
    urls = [m["params"]["request"]["url"] for m in messages if m["method"].endswith("WillBeSent")]
    return [url for url in urls if not re.match(r"(file|chrome|chrome-untrusted|blob|data):", url)]


def errors(browser) -> list[str]:
    return [line["message"] for line in browser.get_log("browser") if line["level"] == "SEVERE"]


@pytest.mark.slow
@pytest.mark.parametrize("width", [1400, 600])
@pytest.mark.parametrize("kind", ["usual", "hostile"])
def test_a_browser_draws_every_figure_inside_the_window_and_asks_for_nothing(
    browser, tmp_path, hostile_text, kind, width
):
    text = hostile_text if kind == "hostile" else page(made.with_failures(made.grid()))
    opened(browser, tmp_path, text, width)
    drawn = browser.execute_script(
        "const inked = canvas => {"
        "  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d');"
        "  copy.drawImage(canvas, 0, 0);"
        "  return copy.getImageData(0, 0, canvas.width, canvas.height).data.some(x => x > 0); };"
        "return [...document.querySelectorAll('.js-plotly-plot')].map(plot => [plot.id,"
        " plot.querySelectorAll('path.js-line, path.point, .bars path').length"
        " + [...plot.querySelectorAll('canvas')].filter(inked).length])"
    )
    assert dict(drawn).keys() == Page(text).data["figures"].keys()
    assert all(marks > 0 for _, marks in drawn), drawn
    broad = browser.execute_script(
        "const width = document.documentElement.clientWidth;"
        "return [...document.querySelectorAll('body, h1, p, figure, .plot, .plot svg, .plot canvas,"
        " .wide')].filter(e => e.getBoundingClientRect().right > width + 1).map(e => e.outerHTML"
        ".slice(0, 99)).concat(document.documentElement.scrollWidth > width ? ['page'] : [])"
    )
    assert broad == []
    assert browser.execute_script("return document.querySelectorAll('img, .no-webgl').length") == 0
    assert browser.execute_script("return [...document.links].map(a => a.href)") == [
        "https://host/#/runs/1"
    ]
    assert errors(browser) == []
    assert requests(browser) == []


@pytest.mark.slow
def test_what_a_page_asks_for_and_complains_of_would_be_seen(browser, tmp_path):
    """The negative control of the test above."""
    opened(browser, tmp_path, "<img src='http://127.0.0.1:9/x.png'><script>throw Error(1)</script>")
    time.sleep(0.5)
    assert requests(browser) == ["http://127.0.0.1:9/x.png"]
    assert len(errors(browser)) >= 1
    opened(browser, tmp_path, page(made.grid()).replace("</h1>", "</h1><script>x()</script>"))
    assert any("Content Security Policy" in error for error in errors(browser))


@pytest.mark.slow
def test_a_heading_sorts_the_table_and_its_folded_tail_as_one(browser, tmp_path):
    axes = {made.RATE: tuple(10.0**-i for i in range(6)), made.L2: tuple(range(10))}
    comparison = made.grid(axes, seeds=2)
    opened(browser, tmp_path, page(comparison))

    def click(heading: str) -> list[list[float]]:
        """The ranks in each table after a click on the heading."""
        return browser.execute_script(
            "const heads = [...document.querySelectorAll('th')];"
            "heads.find(head => head.innerText.startsWith(arguments[0])).click();"
            "return [...document.querySelectorAll('[data-group=board]')].map(table =>"
            " [...table.tBodies[0].rows].map(row => Number(row.cells[0].textContent)))",
            heading,
        )

    deviation = comparison.board.deviation
    up = list(np.argsort(deviation, kind="stable") + 1)
    assert click("sd") == [up[:50], up[50:]]
    down = list(np.argsort(-deviation, kind="stable") + 1)
    assert click("sd") == [down[:50], down[50:]]
    assert click("rank") == [list(range(1, 51)), list(range(51, 61))]


@pytest.mark.slow
def test_the_axis_of_the_cost_can_be_made_logarithmic(browser, tmp_path):
    opened(browser, tmp_path, page(made.grid()))
    kind = "return document.getElementById('curves')._fullLayout.yaxis.type"
    assert browser.execute_script(kind) == "linear"
    browser.find_element("css selector", "[data-axis=yaxis]").click()
    time.sleep(0.3)
    assert browser.execute_script(kind) == "log"
    assert errors(browser) == []


@pytest.mark.slow
def test_what_is_selected_on_an_axis_stands_out_in_the_leaderboard(browser, tmp_path):
    from selenium.webdriver.common.actions.action_builder import ActionBuilder

    comparison = made.grid(seeds=2)
    opened(browser, tmp_path, page(comparison))

    def press(start: float, end: float | None = None) -> set[int]:
        """Ranks that stand out after the first axis was clicked, or dragged along, at heights."""
        left, top, height = browser.execute_script(
            "const axis = document.querySelector('#parallel .axis-brush');"
            "axis.scrollIntoView({ block: 'center' });"
            "const box = axis.getBoundingClientRect();"
            "return [box.left + box.width / 2, box.top, box.height]"
        )
        actions = ActionBuilder(browser)
        actions.pointer_action.move_to_location(int(left), int(top + start * height))
        actions.pointer_action.pointer_down()
        for part in (0.3, 0.6, 1) if end is not None else ():
            height_now = start + part * (end - start)
            actions.pointer_action.move_to_location(int(left), int(top + height_now * height))
        actions.pointer_action.pointer_up()
        actions.perform()
        time.sleep(0.5)
        return set(
            browser.execute_script(
                "return [...document.querySelectorAll('[data-group=board] tbody tr')]"
                ".filter(row => getComputedStyle(row).opacity > 0.9)"
                ".map(row => Number(row.cells[0].textContent))"
            )
        )

    everyone = set(range(1, 31))
    slow = {i + 1 for i, c in enumerate(comparison.candidates) if c.params[made.RATE] <= 0.03}
    assert press(0.6, 1.0) == slow  # the axis is logarithmic: the lower two of five
    said = browser.find_element("id", "selected").text
    assert said.startswith(f"Selected: {len(slow)} of 30, of rank {min(slow)}, ")
    assert press(0.95) == everyone
    assert browser.find_element("id", "selected").text == ""
    assert errors(browser) == []


@pytest.mark.slow
def test_a_curve_tells_under_the_pointer_whose_it_is(browser, tmp_path):
    from selenium.webdriver.common.actions.action_builder import ActionBuilder

    comparison = made.grid({made.RATE: (1e-4, 0.3)}, seeds=2)  # curves far apart
    opened(browser, tmp_path, page(comparison))
    x, y = browser.execute_script(
        "const plot = document.getElementById('curves');"
        "plot.scrollIntoView();"
        "const { xaxis, yaxis, _size } = plot._fullLayout;"
        "const box = plot.getBoundingClientRect();"
        "const trace = plot._fullData.find(trace => trace.name[0] == 2);"
        "return [box.left + _size.l + xaxis.c2p(trace.x[45]),"
        " box.top + _size.t + yaxis.c2p(trace.y[45])]"
    )
    for step in (3, 0):
        actions = ActionBuilder(browser)
        actions.pointer_action.move_to_location(int(x) + step, int(y) + step)
        actions.perform()
        time.sleep(0.4)
    (told,) = browser.execute_script(
        "return [...document.querySelectorAll('#curves .hovertext')].map(e => e.textContent)"
    )
    cost = np.mean([run.curve["valid_cost"][45] for run in comparison.candidates[1].runs])
    assert told == f"candidate 2learning_rate = 0.0001valid cost {cost:.4f} at epoch 45"
