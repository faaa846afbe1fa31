"""A draft names how its file is written, and the file is read by it cell for cell."""

import csv
import gzip
import io
import random
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from pipeline.config.contract import DataSettings
from pipeline.draft import draft_contract
from pipeline.errors import DataError
from pipeline.stages.read import read_rows
from pipeline.stages.validate import validate

RNG = random.Random(3)
ROWS = [
    [RNG.choice(["Köln", "Bonn, West", 'a "b"']), RNG.randint(1, 90), RNG.choice(["ja", "nein"])]
    for _ in range(120)
]
NAMED = {"header": True}
NAMES = ["ort", "zahl", "antwort"]


def written(header: list[str] | None = NAMES, rows: list = ROWS, **dialect: str) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n", **dialect)
    writer.writerows([*([header] if header else []), *rows])
    return text.getvalue()


def drafted(path: Path, content: bytes | str, target: str = "antwort") -> DataSettings:
    """The contract that was drafted, after a run has found that the file keeps it."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    draft = draft_contract(path, target)
    assert draft.edits == ()
    tree = OmegaConf.to_container(OmegaConf.create(draft.text), resolve=True)
    data = DataSettings.parse(tree)
    assert validate(read_rows(data), data).violations == ()
    return data


def changes(data: DataSettings) -> dict[str, object]:
    """The settings of the file that are not the defaults."""
    tree = data.model_dump(exclude_defaults=True)
    return {k: v for k, v in tree.items() if k not in ("name", "path", "target", "columns")}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tabelle.csv"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (written(), {}),
        (written(delimiter=";"), {"delimiter": ";"}),
        (written(delimiter="\t"), {"delimiter": "\t"}),
        (written(delimiter="|"), {"delimiter": "|"}),
        (written(quotechar="'"), {"quote": "'"}),
        (written(delimiter=";").encode("latin-1"), {"delimiter": ";", "encoding": "latin-1"}),
        (written().replace("Köln", "Köln €").encode("cp1252"), {"encoding": "cp1252"}),
        (written().encode("utf-16"), {"encoding": "utf-16"}),
        (written().encode("utf-16-le"), {"encoding": "utf-16-le"}),
        (written().encode("utf-8-sig"), {}),
        ("Report of May\nmade by hand\n\n" + written(), {"skip_rows": 2}),
        ("Report,May\n" + written(), {"skip_rows": 1}),
        ("# made by hand\n" + written(), {"comment": "#"}),
        (written().replace("\n", "\r\n"), {}),
        (written().replace("\n", "\r"), {}),
        (gzip.compress(written().encode()), {}),
        (written(["ort", "zahl", " antwort "]), {}),
        (written(["ort", "", "antwort"]), NAMED | {"names": ("ort", "column_2", "antwort")}),
        (written(["ort", "ort", "antwort"]), NAMED | {"names": ("ort", "ort_2", "antwort")}),
    ],
)  # fmt: skip
def test_the_form_of_a_file_is_drafted(path, content, expected):
    data = drafted(path, content)
    assert changes(data) == expected
    got = read_rows(data)
    cells = [tuple(row) for row in got.frame.itertuples(index=False)]
    table = sorted({(str(a).replace("Köln €", "Köln"), str(b), c) for a, b, c in ROWS})
    assert sorted({(a.replace("Köln €", "Köln"), b, c) for a, b, c in cells}) == table


def test_a_damaged_archive_is_refused_as_in_a_run(path):
    path.write_bytes(gzip.compress(written().encode())[:-9])
    with pytest.raises(DataError, match="intact gzip"):
        draft_contract(path, "antwort")


def test_bytes_that_windows_does_not_have_are_latin_1(path):
    content = written().encode("latin-1").replace(b"Bonn", b"Bonn\x81\x92")
    assert drafted(path, content).encoding == "latin-1"


def test_a_file_without_a_header_is_read_from_its_first_line(path):
    data = drafted(path, written(None), "3")
    assert changes(data) == {"names": ("c1", "c2", "c3")}
    assert read_rows(data).count.sum() == len(ROWS)


def test_a_header_without_the_index_is_completed(path):
    """As R writes a table with names of rows."""
    rows = [[f"r{i}", *row] for i, row in enumerate(ROWS)]
    data = drafted(path, written(NAMES, rows))
    assert changes(data) == {"header": True, "names": ("index", *NAMES)}
    assert data.columns["index"].kind == "ignored"
    assert read_rows(data).count.sum() == len(ROWS)


def test_the_line_for_excel_above_a_table_is_skipped(path):
    data = drafted(path, "sep=;\n" + written(delimiter=";"))
    assert changes(data) == {"delimiter": ";", "skip_rows": 1}


def test_blanks_that_divide_cells_are_found(path):
    lines = [f"A{i % 3}  {i % 50:5d}   {'yn'[i % 2]}\n" for i in range(80)]
    assert changes(drafted(path, "a b c\n" + "".join(lines), "c")) == {"delimiter": "blanks"}


def test_commas_with_blanks_after_them_are_stripped(path):
    """The form of UCI's Adult."""
    lines = [
        f"{20 + i % 40}, {['Private', 'Gov', '?'][i % 3]}, {'<>'[i % 2]}50K\n" for i in range(99)
    ]
    data = drafted(path, "".join(lines), "3")
    assert changes(data) == {"strip": True, "names": ("c1", "c2", "c3")}
    assert {*data.columns["c2"].categories} == {"Private", "Gov"}
    assert data.columns["c2"].missing == "input"
    assert {*data.target.positive, *data.target.negative} == {">50K", "<50K"}


@pytest.mark.parametrize(
    ("cells", "delimiter", "expected"),
    [
        ("{i},{j:02d}", ";", {"delimiter": ";", "decimal": ","}),
        ("1.{i:03d},{j:02d}", ";", {"delimiter": ";", "decimal": ",", "thousands": "."}),
        ("1,{i:03d}.{j:02d}", ",", {"thousands": ","}),
        ("1,{i:03d}", ",", {"thousands": ","}),
        ("1 {i:03d}", ",", {"thousands": " "}),
        ("1'{i:03d}", ",", {"thousands": "'"}),
        ("{i}.{j:03d}", ",", {}),
    ],
)
def test_the_marks_of_numbers_are_drafted(path, cells, delimiter, expected):
    rows = [[cells.format(i=i * 37 % 1000, j=i * 7 % 100), i % 13, "yn"[i % 2]] for i in range(100)]
    data = drafted(path, written(["x", "k", "y"], rows, delimiter=delimiter), "y")
    assert changes(data) == expected
    assert data.columns["x"].kind == "numeric"


def test_cells_with_line_ends_are_read_whole(path):
    rows = [[f"line\nand {i % 3}", i % 17, "yn"[i % 2]] for i in range(100)]
    path.write_text(written(["x", "k", "y"], rows))
    draft = draft_contract(path, "y")
    assert draft.n_rows == 100
    assert draft.edits == ()


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("", "got one"),
        ("a\n1\n2\n", "got one"),
        ('[{"a": 1, "b": 2}]', "JSON"),
        ('{"a": 1}\n{"a": 2}\n', "JSON lines"),
        ("a,b\n1,2\n1,2,3\n4,5\n", "cells"),
        ("a,b\n", "rows"),
    ],
)
def test_what_is_no_table_is_refused_with_its_cure(path, content, part):
    path.write_text(content)
    with pytest.raises(DataError, match=part):
        draft_contract(path, "b")
