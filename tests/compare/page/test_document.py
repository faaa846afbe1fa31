"""A comparison becomes one page that opens offline, in which no value of a run becomes code."""

import base64
import hashlib
import re
import time
from dataclasses import replace

import compare_builders as made
import pytest
from compare_builders import EVIL, SHOWN, Page, hostile

from pipeline.compare.page import page
from pipeline.compare.page.document import _link
from pipeline.stages.certify import Certificate


def shown(comparison) -> Page:
    return Page(page(comparison))


@pytest.fixture(scope="module")
def usual() -> Page:
    return shown(made.with_failures(made.grid(left_out=(("another table", 3),))))


@pytest.fixture(scope="module")
def hostile_text() -> str:
    return page(hostile())


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

    def texts(tree):
        if isinstance(tree, dict):
            # The ticks of parallel axes are drawn letter by letter.
            return [text for key in tree.keys() - {"dimensions"} for text in texts(tree[key])]
        if isinstance(tree, list):
            return [text for value in tree for text in texts(value)]
        return [tree] if isinstance(tree, str) else []

    found = texts(Page(hostile_text).data)
    markup = {tag for text in found for tag in re.findall(r"<[^>]*>", text)}
    assert markup <= {"<b>", "</b>", "<br>", "<extra>", "</extra>"}
    assert any("&lt;script&gt;" in text for text in found)


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


# --- what it shows ---------------------------------------------------------------------------


def test_the_page_says_what_was_measured_on_what(usual):
    for text in (
        "150 finished runs of 30 candidates, 5 seeds; 2 runs",
        "on 346 validation rows",
        "learning_rate explains 81 % of the variance of the validation loss.",
        "4 of 30 candidates lead",
        "(rank 2)",
        "3 runs: another table",
    ):
        assert text in usual.words


def test_the_leaderboard_has_a_row_for_each_candidate_with_what_varies(usual):
    comparison = made.grid()
    rows = usual.table("rank", "validation loss")
    assert len(rows) == 30
    for i, (row, candidate) in enumerate(zip(rows, comparison.candidates, strict=True)):
        params = candidate.params
        assert row[0] == str(i + 1)
        assert row[2:4] == [f"{params[made.RATE]:g}", params[made.CHOICE]]
    assert [row[1] for row in rows[:5]] == ["best", "tied chosen", "tied", "tied", "worse"]


def test_headings_are_short_and_their_tooltips_whole(usual):
    headings = next(row for row in usual.rows if "rank" in row)
    assert headings[2:5] == ["learning_rate", "optimiser", "crosses"]
    assert {made.RATE, made.CHOICE, made.CROSSES} <= set(usual.values("title"))


def test_what_a_certificate_says_stands_behind_the_convergence():
    apart = Certificate("no finite optimum", 0.04, None, 0.1, separated_on=("persons=2", EVIL))
    places = {0: made.CONVERGED, 1: Certificate("stopped early", 0.04), 2: apart}
    found = shown(made.certified(made.grid(seeds=2), lambda place, _: places.get(place)))
    assert [row[7] for row in found.table("rank", "convergence")[:4]] == [
        "converged", "stopped +0.04", "no finite optimum", "unknown",
    ]  # fmt: skip
    assert len([v for v in found.values("class") if "early" in v.split()]) == 1
    assert any("persons=2, <script>" in title for title in found.values("title"))
    assert len(found.scripts) == 3


def test_a_tail_of_more_than_fifty_is_folded_but_there():
    axes = {made.RATE: tuple(10.0**-i for i in range(6)), made.L2: tuple(range(10))}
    found = shown(made.grid(axes, seeds=1))
    ranks = [row[0] for row in found.rows if len(row) == 13 and row[0].isdigit()]
    assert ranks == [str(i) for i in range(1, 61)]
    assert found.tags.count("details") == 1
    assert "10 more candidates" in found.words
    assert shown(made.grid(seeds=1)).tags.count("details") == 0


def test_the_test_rows_have_intervals_and_a_baseline(usual):
    assert usual.table("on the test rows") == [
        ["accuracy", "0.9451", "0.9158 to 0.9646", "0.6994"],
        ["log loss (nats)", "0.1111", "–", "–"],
    ]


def test_runs_that_did_not_finish_have_a_table_of_their_own(usual):
    diverged, failed = usual.table("ended", "reason")
    assert diverged[0] == "diverged"
    assert "optimiser.learning_rate=10.0" in diverged[1]
    assert diverged[2:] == [
        "loss must stay finite; got an infinite one at epoch 12", "runs/logs/0007.log", "–",
    ]  # fmt: skip
    assert (failed[0], failed[2], failed[4]) == ("failed", "MemoryError\nno more", "open the run")


@pytest.mark.parametrize(
    ("comparison", "words"),
    [
        (made.grid(candidates=(), board=None, chosen=None, test=None), "No run finished."),
        (made.grid(board=None, chosen=None), "No run has validation rows"),
        (made.grid(chosen=0), "Rank 1 is chosen: the lowest validation loss."),
        (made.grid(), "Rank 2 is chosen: the simplest"),
        (made.grid(shares=None, no_shares="two cells lack a seed"), "no shares: two cells lack"),
        (made.grid(shares=None, no_shares=EVIL), SHOWN),
        (made.grid({}), "no parameter varies"),
        (made.grid(), "Every run finished."),
        (made.grid(test=None), "The test rows were not used"),
    ],
)
def test_what_there_is_not_is_said(comparison, words):
    assert words in shown(comparison).words


def test_a_run_of_which_only_the_overrides_are_known_is_shown():
    lost = made.failed({}, overrides=(f"{made.RATE}=30.0", "seed=3"), settings={}, ended=None)
    found = shown(made.grid(unfinished=(lost,)))
    assert "30.0" in found.table("ended")[0][1]
    assert any("learning_rate = 30" in label for label in found.data["labels"])


def test_hovering_shows_the_configuration(usual):
    labels = usual.data["labels"]
    assert len(labels) == 30 + 150 + 2
    grey = usual.data["figures"]["curves"]["data"][0]
    assert set(grey["customdata"]) == set(range(10, 30))
    assert labels[0].startswith("<b>candidate 1</b><br>learning_rate = 0.3<br>optimiser = adam")


@pytest.mark.exhaustive
def test_a_thousand_runs_make_a_light_page_in_seconds():
    axes = {
        made.RATE: (0.01, 0.03, 0.1, 0.3, 1.0),
        made.CHOICE: ("gradient_descent", "momentum", "adam", "other"),
        made.L2: (0.0, 1e-5, 1e-4, 1e-3, 1e-2),
        made.CROSSES: ("[]", "[[buying, maint]]"),
    }
    comparison = made.grid(axes, epochs=500)
    start = time.process_time()
    text = page(comparison)
    assert time.process_time() - start < 5  # 0.5 s where it was measured
    assert len(text.encode()) < 8e6
    assert "1,000 finished runs of 200 candidates" in Page(text).words


def test_the_reason_of_a_run_is_there_to_its_end():
    found = shown(replace(made.grid(), unfinished=(made.failed({}, reason="x" * 5000),)))
    assert "x" * 5000 in found.text
