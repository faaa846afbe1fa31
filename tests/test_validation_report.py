"""What validation found is told to programs as JSON and to people as one page."""

import dataclasses
import json
from html.parser import HTMLParser

import pytest

from pipeline.stages.validate import Category, ColumnProfile, Fault, Validation
from pipeline.validation_report import report_html, report_json

EVIL = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>{{ 7*7 }}&amp;"
FAULT = Fault("safety", "must be one of low, high", 3, 0.15, ((EVIL, 2), ("", 1)), (3, 9), EVIL)
PROFILE = (
    ColumnProfile("safety", "categorical", 1, (Category(EVIL, 12, 0.25),), None, None, None),
    ColumnProfile("weight", "numeric", 0, (), -1.5, 2.0, 1234567.0),
    ColumnProfile("empty", "numeric", 20, (), None, None, None),
)
FOUND = Validation(20_000, 2, 5_000, (FAULT,), (EVIL,), PROFILE, None)
ACCEPTED = dataclasses.replace(FOUND, faults=(), warnings=())


class Page(HTMLParser):
    """The tags, addresses and text of a page, as a browser takes them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


@pytest.fixture(params=[FOUND, ACCEPTED], ids=["refused", "accepted"])
def page(request) -> Page:
    return Page(report_html(request.param, EVIL))


def test_whatever_the_table_holds_is_shown_as_text(page):
    """H06: no value becomes markup."""
    assert EVIL in page.text
    assert not {"script", "img", "iframe", "object", "link", "form"} & set(page.tags)
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_the_page_needs_nothing_but_itself(page):
    """Offline: no address is fetched, and the page forbids it as well."""
    assert not {"src", "href", "srcset", "data"} & {name for name, _ in page.attributes}
    policies = [value for name, value in page.attributes if name == "content"]
    assert any("default-src 'none'" in str(policy) for policy in policies)


def test_markup_that_is_not_escaped_would_be_seen():
    """The negative control of this module."""
    assert "script" in Page(f"<p>{EVIL}</p>").tags


def test_the_page_tells_faults_warnings_and_profile():
    told = " ".join(Page(report_html(FOUND, "The cars")).text.replace("\u202f", "'").split())
    for text in (
        "The cars",
        "Refused:",
        "1 rule is broken",
        "20'000",
        "25.0 %",
        "safety must be one of low, high",
        "3 rows (15.0 %), first lines 3, 9",
        "weight",
        "-1.5",
        "1.23457e+06",
    ):
        assert text in told


def test_the_page_of_an_accepted_table_says_so():
    text = Page(report_html(ACCEPTED, "The cars")).text
    assert "Accepted:" in text
    assert "Refused:" not in text
    assert "Faults" not in text


def test_the_json_holds_everything_but_the_rows():
    tree = json.loads(report_json(FOUND))
    assert tree["accepted"] is False
    assert (tree["n_rows"], tree["n_distinct"], tree["n_positive"]) == (20_000, 2, 5_000)
    assert tree["warnings"] == [EVIL]
    (fault,) = tree["faults"]
    assert fault["message"] == FAULT.message
    assert fault["examples"] == [[EVIL, 2], ["", 1]]
    assert fault["lines"] == [3, 9]
    assert [column["name"] for column in tree["profile"]] == ["safety", "weight", "empty"]
    assert tree["profile"][0]["categories"][0]["positive_share"] == 0.25
    assert "table" not in tree
    assert json.loads(report_json(ACCEPTED))["accepted"] is True
