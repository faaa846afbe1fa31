"""What validation found becomes one page, which shows whatever a table holds as text."""

import json
from html.parser import HTMLParser

import builders
import pytest

from pipeline.report.validation_page import validation_page
from pipeline.stages.validate.profile import Category, ColumnProfile
from pipeline.stages.validate.violations import Violation
from pipeline.text import quoted

EVIL = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>{{ 7*7 }}&amp;"
VIOLATION = Violation("safety", "must be low", 3, 0.15, ((EVIL, 2), ("", 1)), (3, 9), EVIL)
PROFILE = (
    ColumnProfile("safety", "categorical", 1, (Category(EVIL, 12, 0.25),), None, None, None),
    ColumnProfile("weight", "numeric", 0, (), -1.5, 2.0, 1234567.0),
    ColumnProfile("empty", "numeric", 20, (), None, None, None),
)
REFUSED = builders.make_validation(
    n_rows=20_000, n_positive=5_000, violations=(VIOLATION,), warnings=(EVIL,), profile=PROFILE
)
ACCEPTED = builders.make_validation(profile=PROFILE)


class Page(HTMLParser):
    """The tags, addresses and words of a page, as a browser takes them."""

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


def parsed(validation, name="The cars"):
    return Page(validation_page(validation.report(), name))


@pytest.fixture(params=[REFUSED, ACCEPTED], ids=["refused", "accepted"])
def page(request) -> Page:
    return parsed(request.param, EVIL)


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


def test_the_page_holds_violations_warnings_and_profile():
    words = " ".join(parsed(REFUSED).text.split())
    for field in (
        "The cars", "Refused", "20,000 rows", "5,000 positive (25.0%)", "safety must be low",
        "3 rows (15.0%), first lines 3, 9", "weight", "-1.5", "1.23457e+06", "20 missing",
    ):  # fmt: skip
        assert field in words
    assert words.count(EVIL) == 3  # the hint, a warning, a category
    assert quoted(EVIL) in words


def test_the_page_of_an_accepted_table_says_so():
    words = parsed(ACCEPTED).text
    assert "Accepted" in words
    assert "Refused" not in words
    assert "Violations" not in words


def test_characters_that_an_eye_does_not_see_are_escaped():
    hidden = ColumnProfile(
        "a\u200b", "categorical", 0, (Category("lo\u202ew", 1, 0.0),), *[None] * 3
    )
    words = parsed(builders.make_validation(profile=(hidden,))).text
    assert "a\\u200b" in words
    assert "lo\\u202ew" in words


def test_the_report_holds_everything_but_the_rows():
    tree = json.loads(json.dumps(REFUSED.report()))
    assert (tree["accepted"], ACCEPTED.report()["accepted"]) == (False, True)
    assert (tree["n_rows"], tree["n_distinct"], tree["n_positive"]) == (20_000, 2, 5_000)
    assert tree["warnings"] == [EVIL]
    (violation,) = tree["violations"]
    assert violation["examples"] == [[EVIL, 2], ["", 1]]
    assert violation["lines"] == [3, 9]
    assert violation["message"] == VIOLATION.message
    assert [column["name"] for column in tree["profile"]] == ["safety", "weight", "empty"]
    assert tree["profile"][0]["categories"][0]["positive_share"] == 0.25
    assert "table" not in tree
