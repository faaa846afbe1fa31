"""Tables that are odd in the ways of real ones: whatever is said of them, Python says nothing."""

import json
import random
import shutil
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from csv import DictReader
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from builders import copy_project, launch

from pipeline import __main__ as line
from pipeline import run
from pipeline.cli import single
from pipeline.config import compose
from pipeline.config.schema import TrackingSettings
from pipeline.files import CONF
from pipeline.record import Record
from pipeline.report.views import write_views
from pipeline.tracking import Published, publish
from pipeline.tracking.live import Partial

pytestmark = pytest.mark.exhaustive

N = 80
Cells = Sequence[object]


def numbers(seed: int = 1, n: int = N) -> list[float]:
    draw = random.Random(seed)
    return [round(draw.gauss(0, 1), 3) for _ in range(n)]


def labels(x: Sequence[float], noise: float = 1.0) -> list[str]:
    draw = random.Random(7)
    return ["yes" if value + noise * draw.gauss(0, 1) > 0 else "no" for value in x]


X = numbers()
Y = labels(X)
NUMERIC, WORDS, IGNORED = {"kind": "numeric"}, {"kind": "categorical"}, {"kind": "ignored"}


def csv(columns: Mapping[str, Cells], comma: str = ",", header: Sequence[str] | None = None) -> str:
    rows = [header or list(columns), *zip(*columns.values(), strict=True)]
    return "".join(comma.join(map(str, row)) + "\n" for row in rows)


def simple(cells: Cells, kind: Mapping[str, Any] = NUMERIC, **more: Any) -> dict[str, Any]:
    """A table of the column ``a``, a number and the class."""
    text = csv({"a": cells, "x": X, "y": Y})
    return {"text": text, "columns": {"a": kind, "x": NUMERIC}, **more}


def put(value: object, places: Sequence[int], elsewhere: Cells) -> list[object]:
    return [value if i in places else cell for i, cell in enumerate(elsewhere)]


def wide() -> dict[str, Any]:
    columns: dict[str, Cells] = {f"m{i}": numbers(i + 10) for i in range(60)}
    return {"text": csv({**columns, "y": Y}), "columns": dict.fromkeys(columns, NUMERIC)}


def copies(noise: float) -> dict[str, Any]:
    """Eight rows of each of ten patients, whose class is a coin's."""
    draw = random.Random(3)
    names = [f"p{i // 8}" for i in range(N)]
    a, b = ([numbers(s, 10)[i // 8] + noise * draw.gauss(0, 1) for i in range(N)] for s in (4, 5))
    y = [("yes", "no")[i // 8 % 2] for i in range(N)]
    kinds = {"patient": IGNORED, "a": NUMERIC, "b": NUMERIC}
    return {"text": csv({"patient": names, "a": a, "b": b, "y": y}), "columns": kinds}


def zones(path: Path) -> None:
    first = datetime(2024, 3, 9, 22, 30, tzinfo=timezone(timedelta(hours=-5)))
    when = pd.Series([first + timedelta(hours=6 * (i % 4)) for i in range(N)])
    pd.DataFrame({"a": when, "x": X, "y": Y}).to_parquet(path)


SHUFFLED = csv({"x": X, "y": Y, "a": ["u", "v"] * (N // 2)})
RARE = ["yes" if i in (5, 40, 41) else "no" for i in range(N)]
DAYS = [f"2024-{1 + i // 28:02}-{1 + i % 28:02}" for i in range(N)]
KINDS: dict[str, dict[str, Any]] = {
    "a category that is the only one": simple(["only"] * N, WORDS),
    "the only category and missing values": simple(
        put("", range(0, N, 5), ["only"] * N), WORDS | {"missing": "input"}
    ),
    "a category that is listed and nowhere": simple(
        ["p", "q"] * (N // 2), WORDS | {"categories": ["p", "q", "r"]}, words=["train.l2=0"]
    ),
    "a category of one row": simple(put("rare", [3], ["p", "q"] * (N // 2)), WORDS),
    "the word missing": simple(["missing", "there"] * (N // 2), WORDS),
    "days as words": simple(DAYS, WORDS),
    "days as numbers": simple(DAYS),
    "numbers in a tiny unit": simple([value * 1e-13 for value in X]),
    "numbers in the tiniest unit": simple([value * 1e-300 for value in X]),
    "a large constant": simple([1e15 + 1] * N),
    "a constant with missing values": simple(
        put("", range(0, N, 3), [0.1] * N), NUMERIC | {"missing": "input"}
    ),
    "missing in every row": simple([""] * N, NUMERIC | {"missing": "input"}),
    "one number that overflows when squared": simple(put("1.7e308", [3], X)),
    "numbers that overflow when summed": simple(put("1.7e308", range(0, N, 2), X)),
    "numbers of both signs that overflow": simple(
        put("1.7e308", range(0, N, 2), put("-1.7e308", range(1, N, 2), X))
    ),
    "numbers as large as are taken": simple(put("1e100", range(0, N, 2), X)),
    "a number that stands for missing": simple(put(999999999999, [4, 50], X)),
    "cells of blanks": simple(put("  ", [4, 50], X), NUMERIC | {"missing": "input"}),
    "a space after each comma": {
        "text": csv({"a": X, "x": X, "y": Y}, ", "), "columns": {"a": NUMERIC, "x": NUMERIC}
    },
    "separable": simple([value == "yes" for value in Y], WORDS, words=["train.l2=0"]),
    "saturated": simple(
        [value == "yes" for value in Y], WORDS,
        words=["optimiser=adam", "optimiser.learning_rate=10", "train.l2=0"],
    ),
    "rare positives": {"text": csv({"x": X, "y": RARE}), "columns": {"x": NUMERIC}},
    "more columns than rows of train": wide(),
    "copies": copies(0.0),
    "near copies": copies(0.001),
    "look-alikes of the classes": {
        "text": csv({"x": X, "y": put("Yes", [1], put("NULL", [2], put("n/a", [3], Y)))}),
        "columns": {"x": NUMERIC}, "target": {"name": "y", "positive": ["yes"]},
    },
    "a name twice in the header": {
        "text": csv({"a": X, "b": X, "y": Y}, header=["a", "a", "y"]),
        "columns": {"a": NUMERIC, "b": IGNORED}, "names": ["a", "b", "y"],
    },
    "names and a header": {
        "text": csv({"a": ["u", "v"] * (N // 2), "y": Y}), "columns": {"a": WORDS},
        "names": ["a", "y"], "target": {"name": "y", "positive": ["yes"]},
        "words": ["encode.unseen=zeros"],
    },
    "a header in another order": {
        "text": SHUFFLED, "columns": {"a": WORDS, "x": NUMERIC}, "names": ["a", "x", "y"]
    },
    "moments with a zone": {"write": zones, "columns": {"a": WORDS, "x": NUMERIC}},
    "a kind that there is not": simple(X, {"kind": "weight"}),
    "as few rows as are taken": {
        "text": csv({"x": X[:20], "y": ["yes", "no"] * 10}), "columns": {"x": NUMERIC}
    },
}  # fmt: skip


class Here:
    """A publisher in this process, which has MLflow imported already."""

    def __init__(self, settings: TrackingSettings) -> None:
        self._settings = settings

    def publish(self, record: Record, *, draw: bool) -> Published:
        assert draw
        write_views(record)
        return publish(record, self._settings)

    def show(self, partial: Partial) -> bool:
        return False

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None:
        pass


@pytest.fixture
def here(project, settings, monkeypatch) -> Path:
    """A project folder with the configuration, an empty ``data`` and a store."""
    shutil.copytree(CONF, project / "conf")
    (project / "data").mkdir()
    monkeypatch.setattr(compose, "CONF", project / "conf")
    monkeypatch.setattr(single, "Publisher", Here)
    return project


@pytest.fixture
def say(here, fork, exit_codes) -> Callable[..., tuple[int, str]]:
    """The exit code of a command line, and what it says; a warning is an error in it."""

    def said(*words: str) -> tuple[int, str]:
        told, left = here / "told", here / "left"

        def child() -> None:
            warnings.simplefilter("error")
            sys.argv = ["oneuron", *words]
            with told.open("w") as file, redirect_stdout(file), redirect_stderr(file):
                try:
                    line.main()
                except SystemExit as end:
                    left.write_text(str(end.code))

        left.unlink(missing_ok=True)
        assert exit_codes([fork(child)]) == [0], told.read_text()
        return int(left.read_text()), told.read_text()

    return said


def contract(folder: Path, kind: Mapping[str, Any]) -> Path:
    """The table and its contract, put where a person puts theirs."""
    path = folder / "data" / f"odd.{'parquet' if 'write' in kind else 'csv'}"
    write: Callable[[Path], object] = kind.get("write", lambda p: p.write_text(kind["text"]))
    write(path)
    tree = {
        "name": "odd", "path": f"data/{path.name}", "columns": kind["columns"],
        "target": kind.get("target", {"name": "y", "positive": ["yes"], "negative": ["no"]}),
        **({"names": kind["names"]} if "names" in kind else {}),
    }  # fmt: skip
    (folder / "conf" / "data" / "odd.yaml").write_text(json.dumps(tree))
    return path


QUICK = ("a category that is the only one", "numbers that overflow when summed", "separable")


@pytest.mark.parametrize(
    "name",
    [*QUICK, *(pytest.param(n, marks=pytest.mark.exhaustive) for n in KINDS if n not in QUICK)],
)
def test_no_warning_of_python_and_no_traceback_is_printed(here, say, name):
    """Of a run, and of a prediction of its own table where it has finished."""
    path = contract(here, KINDS[name])
    code, said = say("data=odd", "train.epochs=60", *KINDS[name].get("words", []))
    if code == 0:
        places = ["--input", str(path), "--output", str(here / "scored.csv")]
        code, more = say("predict", *places)
        said += more
    assert code in (0, 2, 3), said
    assert "Warning" not in said
    assert "Traceback" not in said


def test_a_warning_would_be_seen(here, say, monkeypatch):
    """The control."""
    honest = run.evaluate

    def warned(*arguments: Any, **settings: Any) -> Any:
        np.log(np.zeros(1))
        return honest(*arguments, **settings)

    contract(here, KINDS["separable"])
    monkeypatch.setattr(run, "evaluate", warned)
    code, said = say("data=odd", "train.epochs=5")
    assert code == 1
    assert "Traceback" in said
    assert "RuntimeWarning: divide by zero" in said


@pytest.mark.exhaustive
def test_a_category_that_is_the_only_one_has_no_effect_and_no_interval(tmp_path, store_template):
    """The command in a process of its own, and what its record says."""
    folder = copy_project(tmp_path / "project", store_template)
    contract(folder, KINDS["a category that is the only one"])
    code, _, err = launch(folder, "data=odd", "train.epochs=60")
    assert (code, err) == (0, "")
    (effects,) = folder.glob("runs/*/effects.csv")
    with effects.open() as file:
        row = next(row for row in DictReader(file) if row["attribute"] == "a")
    assert float(row["log_odds"]) == 0
    assert (row["low"], row["high"]) == ("", "")
