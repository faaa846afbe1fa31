"""A record becomes one page, whatever became of the run; every number on it is the record's."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import builders
import numpy as np
import pytest

from pipeline.config.schema import RunConfig
from pipeline.errors import ConfigError, Failure
from pipeline.record import Head, Record, write
from pipeline.report import page as module
from pipeline.report.page import page
from pipeline.stages.certify import Certificate
from pipeline.stages.outcome import Unfinished
from pipeline.stages.validate.profile import Category, ColumnProfile
from pipeline.stages.validate.violations import Violation
from pipeline.text import quoted

EVIL = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>{{ 7*7 }}&amp;"
CARD = {name: f"the {name} of it" for name in ("purpose", "population", "owner", "limits")}
VIOLATION = Violation("safety", "must be low", 3, 0.15, ((EVIL, 2), ("", 1)), (3, 9), EVIL)
PROFILE = (
    ColumnProfile("safety", "categorical", 1, (Category(EVIL, 12, 0.25),), None, None, None),
    ColumnProfile("weight", "numeric", 0, (), -1.5, 2.0, 1234567.0),
    ColumnProfile("empty", "numeric", 20, (), None, None, None),
)


class Page(HTMLParser):
    """The tags, addresses and words of a page, as a browser takes them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text.partition("<style>")[0] + text.partition("</style>")[2])
        self.close()
        self.words = " ".join(self.text.split())

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.text += " "
        self.attributes += attrs

    def handle_data(self, data):
        self.text += data


def with_card(name="tiny", card=None):
    return builders.CONFIG | {"data": builders.CONFIG["data"] | {"name": name, "card": card or {}}}


def finished(card=None, **changes):
    return builders.make_finished(config=with_card(card=card), **changes)


def refused(name="tiny"):
    validation = builders.make_validation(
        n_rows=20_000, n_positive=5_000, violations=(VIOLATION,), warnings=(EVIL,), profile=PROFILE
    )
    config = RunConfig.parse(with_card(name))
    prepared = replace(builders.make_refused().prepared, validation=validation)
    return builders.make_refused(config=config, prepared=prepared)


def diverged():
    failure = Failure("TrainingError", "loss must stay finite; got infinity at epoch 5", None, 4)
    return builders.make_stopped(
        status="FAILED", failure=failure, trained=builders.make_trained(ended="diverged"),
        certificate=Certificate("diverged"),
    )  # fmt: skip


def crashed():
    made = builders.make_finished()
    failure = Failure("ZeroDivisionError", "division by zero", "Traceback: line 7", 1)
    return Unfinished(made.config, made.prepared, failure)


OUTCOMES = {
    "finished": finished, "refused": refused, "diverged": diverged,
    "stopped": builders.make_stopped, "crashed": crashed,
}  # fmt: skip


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    def made(outcome) -> Record:
        return write(outcome, tmp_path_factory.mktemp("runs"), here=builders.make_environment())

    return made


def parsed(record, outcome) -> Page:
    return Page(page(record(outcome), {"curves": b"png"}))


# --- one page for every outcome -------------------------------------------------------------------

FINDINGS = "performance calibration effects importance unchecked tripod"
SECTIONS = {
    "finished": f"card data split training {FINDINGS}",
    "refused": "card data unchecked",
    "diverged": "card data split training unchecked",
    "stopped": "card data split training unchecked",
    "crashed": "card data split unchecked",
}


@pytest.mark.parametrize("ended", OUTCOMES)
def test_the_page_says_first_what_became_of_the_run_and_has_the_sections_it_reached(record, ended):
    text = page(record(OUTCOMES[ended]()), {})
    shown = Page(text)
    assert shown.words.split(": ")[0].endswith("One neuron on tiny")
    assert ended in shown.words[:50]
    ids = re.findall('<h2 id="(.*?)">', text)
    assert ids == [*SECTIONS[ended].split(), "lineage"]
    assert {href[1:] for name, href in shown.attributes if name == "href"} <= {*ids}


def test_a_run_without_validation_has_its_page(record):
    prepared = replace(builders.make_refused().prepared, validation=None)
    shown = parsed(record, builders.make_refused(prepared=prepared))
    assert "was not checked" in shown.words


@pytest.mark.parametrize("loss", [0.3, 0.7])
def test_a_neuron_that_is_not_better_than_the_baseline_is_called_so_first(record, loss):
    metrics = builders.make_evaluation().metrics | {"log_loss": loss}
    shown = parsed(record, finished(evaluation=builders.make_evaluation(metrics=metrics)))
    assert ("Finished: not better" in shown.words) == (loss > 0.693)


def test_figures_on_rows_that_trained_it_are_not_called_held_out(record):
    outcome = finished(evaluation=builders.make_evaluation(held_out=False))
    words = parsed(record, outcome).words
    assert "but only on rows that trained it" in words
    assert "held-out" not in words


def test_the_page_of_a_refused_table_holds_violations_warnings_and_profile(record):
    words = parsed(record, refused()).words
    for field in (
        "Refused", "20,000 rows", "5,000 positive (25.0%)", "safety must be low",
        "3 rows (15.0%), first lines 3, 9", "weight", "-1.5", "1.23457e+06", "20 missing",
    ):  # fmt: skip
        assert field in words
    assert words.count(EVIL) == 3  # the hint, a warning, a category
    assert quoted(EVIL) in words


# --- what it holds is text, and it needs nothing but itself ---------------------------------------


@pytest.mark.parametrize("outcome", [refused(EVIL), finished({"purpose": EVIL})])
def test_whatever_the_table_holds_is_shown_as_text(record, outcome):
    """H06: no value becomes markup."""
    shown = parsed(record, outcome)
    assert EVIL in shown.text
    assert not {"script", "iframe", "object", "link", "form"} & set(shown.tags)
    assert not [name for name, _ in shown.attributes if name.startswith("on")]
    assert all(value.startswith("data:image/png;") for name, value in shown.attributes
               if name == "src")  # fmt: skip


def test_the_page_needs_nothing_but_itself(record):
    """Offline: no address is fetched, and the page forbids it as well."""
    shown = parsed(record, finished())
    assert not {"srcset", "data"} & {name for name, _ in shown.attributes}
    assert all(value.startswith("#") for name, value in shown.attributes if name == "href")
    policies = [value for name, value in shown.attributes if name == "content"]
    assert any("default-src 'none'; img-src data:;" in str(policy) for policy in policies)


def test_markup_that_is_not_escaped_would_be_seen():
    """The negative control of the tests above."""
    assert "script" in Page(f"<p>{EVIL}</p>").tags


def test_characters_that_an_eye_does_not_see_are_escaped(record):
    hidden = ColumnProfile(
        "a\u200b", "categorical", 0, (Category("lo\u202ew", 1, 0.0),), *[None] * 3
    )
    validation = builders.make_validation(profile=(hidden,))
    words = parsed(record, finished(prepared=builders.make_prepared(validation=validation))).words
    assert "a\\u200b" in words
    assert "lo\\u202ew" in words


@pytest.mark.parametrize("secret", ["hunter2-Tr0ub4dor", "a<b&c>d'\"e"])
def test_a_secret_is_masked_before_it_is_escaped(record, monkeypatch, secret):
    made = record(finished({"owner": f"ask {secret}"}))
    assert secret in Page(page(made, {})).text  # the control: it is no secret yet
    monkeypatch.setenv("API_TOKEN", secret)
    words = Page(page(made, {})).text
    assert secret not in words
    assert "ask ***" in words


# --- the card -------------------------------------------------------------------------------------


def test_what_the_card_does_not_state_is_called_so(record):
    words = parsed(record, finished({"purpose": "to learn"})).words
    assert "purpose to learn population not stated owner not stated limits not stated" in words
    assert words.count("to learn") == 2  # in the checklist as well


@pytest.mark.parametrize("card", [{"porpose": "x"}, {"purpose": ""}, {"limits": 3}])
def test_a_card_is_as_strict_as_the_rest_of_the_configuration(card):
    with pytest.raises(ConfigError, match=r"data\.card"):
        RunConfig.parse(with_card(card=card))


# --- every number is the record's -----------------------------------------------------------------

# What is on the page by another name, and what its figures draw.
ELSEWHERE = {
    "head": r"format|identity|attempt|status|failure|files|seal|ended$|certificate\.verdict"
    r"|lineage\.(identity|code_files)|config\.data\.card",
    "evaluation.json": r"held_out|(roc|pr|gain|decision_curve)\.",
    "validation.json": r"accepted|violations\.\d+\.message",
    "effects.json": r"effects\.\d+\.attribute",
    "model.json": r".",
    "distributions.json": r".",
}


OTHER_DIGITS = str.maketrans("0123456789", "3456789012")


def leaves(tree: Any, *path: Any) -> Iterator[tuple[Any, ...]]:
    """The path of every value of a tree that is not null."""
    if isinstance(tree, dict | list | tuple):
        for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from leaves(value, *path, key)
    elif tree is not None:
        yield path


def changed(value: Any) -> Any:
    """Another value of the same kind, far enough away to be seen."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value * 3 + 7000
    if isinstance(value, float):
        return value * 0.61 + 0.037
    digest = isinstance(value, str) and re.fullmatch("[0-9a-f]{32,}", value)
    return "7" * len(value) if digest else f"777 {value.translate(OTHER_DIGITS)}"


def put(tree: Any, path: tuple[Any, ...]) -> Any:
    """The tree with the value there changed, or with every one of several."""
    tree = json.loads(json.dumps(tree))
    *before, last = path
    inner = tree
    for key in before:
        inner = inner[key]
    inner[last] = changed(inner[last])
    return tree


def tree_of(record: Record, name: str) -> Any:
    return record.head.model_dump() if name == "head" else record.json(name)


def with_tree(record: Record, name: str, tree: Any) -> Record:
    """The record as it would be read if it had been written with that tree."""
    if name == "head":
        return Record(record.path, Head.model_validate(tree), record.files)
    return Record(record.path, record.head, {**record.files, name: json.dumps(tree).encode()})


def trees(record: Record) -> list[str]:
    return ["head", *(name for name in record.files if name.endswith(".json"))]


def fields(record: Record, name: str) -> list[tuple[Any, ...]]:
    """The fields of a file whose numbers and texts the page has to show."""
    elsewhere = re.compile(ELSEWHERE.get(name, "(?!)"))
    found = leaves(tree_of(record, name))
    return [path for path in found if not elsewhere.match(".".join(map(str, path)))]


@pytest.fixture(scope="module")
def quick():
    """The page by a template that is compiled once: of hundreds of pages that is most of it."""
    pages, source = module.environment(), module.files("pipeline.report") / "report.html"
    template = pages.from_string(source.read_text(encoding="utf-8"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            module, "environment", lambda: SimpleNamespace(from_string=lambda _: template)
        )
        yield lambda record: page(record, {})


@pytest.fixture(scope="module")
def full(record):
    """A record in which every field of the page is set, a warning and a violation among them."""
    validation = builders.make_validation(
        violations=(VIOLATION,), warnings=("7 rows contradict",), profile=PROFILE[:2]
    )
    return record(finished(CARD, prepared=builders.make_prepared(validation=validation)))


def test_each_field_of_the_record_that_changes_changes_the_page(full, quick):
    before = quick(full)
    for name in trees(full):
        tree = tree_of(full, name)
        assert before == quick(with_tree(full, name, tree))  # the control: nothing else changes it
        for path in fields(full, name):
            assert quick(with_tree(full, name, put(tree, path))) != before, (name, path)


def test_weights_tests_and_corrected_figures_are_shown_where_a_record_holds_them(full, quick):
    effects = tree_of(full, "effects.json")
    for i, effect in enumerate(effects["effects"]):
        effect |= {"weight": 0.1234 + i, "note": f"note {i}"}
    effects |= {"method": "by profile", "tests": [{"attribute": "safety", "p_value": 0.0271}]}
    line = {"apparent": 0.9141, "optimism": 0.0151, "error": 0.0016, "corrected": None}
    optimism = {"refits": 41, "n_rows": 1234, "one_class": 3, "separated": 0}
    record = with_tree(full, "effects.json", effects)
    record = with_tree(record, "optimism.json", optimism | {"figures": {"roc_auc": line}})
    words = Page(quick(record)).words
    for text in (
        "0.1234", "1.1234", "note 1", "by profile", "p value", "0.0271", "ROC AUC 0.9141 0.0151",
        "41 refits", "1,234 rows", "3 samples",
    ):  # fmt: skip
        assert text in words


def test_each_point_that_the_page_takes_from_the_curve_changes_it(record, quick):
    pages = set()
    for place in (0, 2, 4):  # the start, the lowest, the one kept
        made = builders.make_trained()
        for name in set(made.curve) - {"epoch"}:
            series = made.curve[name].copy()
            series[place] *= (1.5 if "accuracy" in name else 0.2) if place == 2 else 0.9
            pages.add(
                quick(record(finished(trained=replace(made, curve=made.curve | {name: series}))))
            )
    assert len(pages) == 15


# What the page says of itself: examples, the checklist and its items, and what a change adds.
ITS_OWN = {"0", "0.5", "0.8", "95", "256", "2024", "385", "078378", "777", *map(str, range(1, 28))}


def numbers(text: str) -> set[str]:
    """The numbers in the text of a page, without the digests and dates in it."""
    words = re.sub(r"[0-9a-f]{12,}|\S+ \S+ UTC", "", Page(text).text)
    return set(re.findall(r"\d+(?:[,.]\d+)*(?:e[-+]\d+)?", words))


def constants(record: Record, make) -> set[str]:
    """The numbers that stay where every field and every point of the record is another."""
    other = record
    for name in trees(record):
        tree = tree_of(record, name)
        for path in fields(record, name):
            tree = put(tree, path)
        other = with_tree(other, name, tree)
    curve = b"epoch,objective,train_loss,train_accuracy\n71,0.21,0.22,0.23\n72,0.31,0.32,0.33\n"
    other.files["curve.csv"] = curve
    return numbers(make(record)) & numbers(make(other))


def test_no_number_is_on_the_page_but_those_of_the_record_and_of_the_page_itself(full, quick):
    assert constants(full, quick) - ITS_OWN == set()


def test_a_number_that_is_written_into_the_page_would_be_seen(full, quick):
    """The negative control of the test above."""

    def planted(record):
        return quick(record).replace("</h1>", " 0.9451</h1>")

    assert constants(full, planted) - ITS_OWN == {"0.9451"}


# --- thresholds -----------------------------------------------------------------------------------


def test_other_thresholds_stand_on_the_page_with_the_chosen_one_marked(record):
    table = np.array([[0.1, 1.0, 0.5, 1.0, 1.25], [0.5, 0.75, 2 / 3, 1.0, 0.5]])
    shown = record(finished(evaluation=builders.make_evaluation(thresholds=table)))
    text, words = page(shown, {}), Page(page(shown, {})).words
    assert "threshold decided positive precision recall mean cost 0.1 100.0%" in words
    assert "0.5 75.0% 0.6667 1.0000 0.5000" in words
    assert text.count('<tr class="chosen">') == 1
    assert "no longer tested by these rows" in words


def test_how_a_threshold_was_chosen_is_on_the_page(record):
    evaluation = builders.make_evaluation(threshold_reason="the highest with a recall of 0.9")
    assert (
        "at least 0.5, the highest with a recall of 0.9."
        in parsed(record, finished(evaluation=evaluation)).words
    )
    assert "at least 0.5, the threshold of the configuration." in parsed(record, finished()).words
