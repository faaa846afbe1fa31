"""Pages name functions and tests: every one of them exists."""

import ast
import importlib
import re
from functools import cache
from pathlib import Path

import pytest

from pipeline.files import PROJECT

PAGE = PROJECT / "docs" / "article.md"
TESTS = PROJECT / "tests"


def rows(page: str) -> list[list[str]]:
    """Cells of every row of every table, without heads and rules."""
    lines = page.splitlines()
    body = [
        line
        for line, after in zip(lines, [*lines[1:], ""], strict=True)
        if line.startswith("|") and not line.startswith("| ---") and not after.startswith("| ---")
    ]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in body]


def names(page: str, pattern: str) -> list[str]:
    """What stands in backticks in a table and matches ``pattern`` as a whole."""
    quoted = re.findall(r"`([^`]+)`", "\n".join("|".join(cells) for cells in rows(page)))
    return [name for name in quoted if re.fullmatch(pattern, name)]


def named_functions(page: str) -> list[str]:
    return names(page, r"(nn|pipeline)(\.\w+)+")


def named_tests(page: str) -> list[str]:
    return names(page, r"[\w/]+\.py::\w+")


def has_function(name: str) -> bool:
    module, _, function = name.rpartition(".")
    try:
        return callable(getattr(importlib.import_module(module), function, None))
    except ModuleNotFoundError:
        return False


@cache
def defined_in(file: Path) -> set[str]:
    if not file.exists():
        return set()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def has_test(name: str) -> bool:
    file, _, test = name.partition("::")
    return test.startswith("test_") and test in defined_in(TESTS / file)


def broken_names(page: str) -> list[str]:
    """Names in the page's tables that lead nowhere."""
    return [name for name in named_functions(page) if not has_function(name)] + [
        name for name in named_tests(page) if not has_test(name)
    ]


def test_every_function_and_test_that_the_page_names_exists() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert len(named_functions(page)) > 30
    assert len(named_tests(page)) > 50
    assert broken_names(page) == []


def test_every_function_and_test_that_the_page_of_the_certificate_names_exists() -> None:
    page = (PROJECT / "docs" / "certificate.md").read_text(encoding="utf-8")
    assert len(named_functions(page)) >= 5
    assert len(named_tests(page)) >= 5
    assert broken_names(page) == []


def test_every_equation_cell_and_figure_of_the_article_has_its_row() -> None:
    firsts = [cells[0] for cells in rows(PAGE.read_text(encoding="utf-8"))]
    for number in range(1, 14):
        assert f"Eq. {number}" in firsts
    assert {"Step 7", "1", "2", "3", "4", "Fig. 3", "Fig. 7", "question"} <= set(firsts)


def test_every_row_but_the_named_exceptions_has_a_function_and_a_test() -> None:
    exceptions = {"Eq. 7", "Fig. 1, 2"}
    page = PAGE.read_text(encoding="utf-8")
    mapped, corrections = page.split("## Corrections")
    for cells in rows(mapped):
        line = "| " + " | ".join(cells) + " |"
        if cells[0] not in exceptions:
            assert named_functions(line), line
            assert named_tests(line), line
    for cells in rows(corrections):
        assert named_tests("| " + " | ".join(cells) + " |"), cells


PLANTED = [
    "nn.neuron.gradients",
    "nn.nowhere.sigmoid",
    "pipeline.stages.read.rows.read",
    "nn.fit.INITIAL_BOUND",
    "nn/test_loss.py::test_that_is_not_there",
    "nn/test_nothing.py::test_hand_values",
    "nn/test_loss.py::assert_sigmoid",
]


@pytest.mark.parametrize("planted", PLANTED)
def test_a_name_that_leads_nowhere_is_found(planted: str) -> None:
    good = "| Eq. 1 | x | `nn.loss.sigmoid` | `nn/test_loss.py::test_hand_values` |"
    page = f"| a | b | c | d |\n| --- | --- | --- | --- |\n{good}\n| Eq. 2 | `{planted}` |\n"
    assert broken_names(page) == [planted]
