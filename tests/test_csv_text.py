"""What is written as CSV is read back as it was, and no spreadsheet runs any of it."""

import ast
import csv
import io
import random

import numpy as np
import pandas as pd

from pipeline.csv_text import csv_bytes
from pipeline.files import PROJECT

FORMULAS = [
    "=cmd|' /C calc'!A0", "=1+1", "+cmd", "+1+1", "-1+cmd|'x'!A1", "-2+3", "@SUM(A1)", "\tx", "\rx",
    "\nx", "＝1", "＋1", "－1", "＠x", "=", "-1e", "-e5", "+1-", "--1", '=HYPERLINK("http://x","y")',
]  # fmt: skip
NUMBERS = ["-1.5", "+1", "-", "-1e-5", "+1.2E+10", "-1,5", "-1'000.5", "+49 170 123", "-.5", "1-2"]
WORDS = ["", "x=1", "a-b", "1+1", " =1", "'=1", "NA", "é", "a,b", 'say "hi"', "a\r\nb", "日本"]


def test_csv_guards_every_formula_and_no_other_text():
    texts = [*FORMULAS, *NUMBERS, *WORDS]
    content = csv_bytes([("text", texts), ("n", list(range(len(texts))))]).decode()
    read = list(csv.reader(io.StringIO(content, newline="")))
    assert [row[0] for row in read[1:]] == [*("'" + f for f in FORMULAS), *NUMBERS, *WORDS]
    assert [row[1] for row in read[1:]] == list(map(str, range(len(texts))))


def test_csv_of_text_columns_of_pandas_is_that_of_lists():
    texts = [*FORMULAS, *NUMBERS, *WORDS]
    whole = pd.Series(texts, dtype="str")
    parts = pd.concat([whole[:5], whole[5:]])
    for column in (whole, parts, whole[:][::1]):
        assert csv_bytes([("a", column)]) == csv_bytes([("a", texts)])
    assert csv_bytes([("a", whole[7:9])]) == csv_bytes([("a", texts[7:9])])


def test_csv_is_what_pythons_writer_writes_where_nothing_is_guarded():
    rng = random.Random(0)
    cells = ["".join(rng.choices('ab ,"\néà1', k=rng.randint(0, 4))) for _ in range(900)]
    rows = [[cell.lstrip("\n") for cell in cells[i : i + 3]] for i in range(0, 900, 3)]
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerows([["a", "b", "c"], *rows])
    columns = zip("abc", map(list, zip(*rows, strict=True)), strict=True)
    assert csv_bytes(columns) == file.getvalue().encode()


def test_csv_writes_a_number_as_python_does():
    rng = np.random.default_rng(0)
    numbers = np.concatenate([
        rng.random(2000), 10 ** rng.uniform(-320, 308, 2000), -(10 ** rng.uniform(-6, 18, 2000)),
        [0.0, -0.0, 1.0, 1e-4, 9.999e-5, 5e-324, 1e9, 1e16, 2.0**53, 0.1, 1 / 3, np.inf, np.nan],
    ])  # fmt: skip
    lines = csv_bytes([("p", numbers)]).decode().splitlines()
    assert lines == ["p", *map(repr, numbers.tolist())]
    assert csv_bytes([("n", np.array([1, -2]))]) == b"n\n1\n-2\n"
    assert csv_bytes([("p", [0.5, None, -1e-7])]) == b"p\n0.5\n\n-1e-07\n"


def test_csv_of_no_row_is_its_header_and_a_name_is_guarded_too():
    assert csv_bytes([("=a", []), ('b"', np.zeros(0))]) == b'\'=a,"b"""\n'


def test_csv_of_half_a_surrogate_pair_is_text():
    assert csv_bytes([("a", ["\ud800"])]) == b"a\n\\ud800\n"


def test_no_other_module_writes_csv():
    """What it does not write is not guarded."""
    writers = {"to_csv", "write_csv", "writer", "DictWriter"}
    calls = {
        (path.name, node.func.attr)
        for path in (PROJECT / "pipeline").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
    }
    assert ("file_kinds.py", "namelist") in calls  # the control: calls are found
    assert not {call for call in calls if call[1] in writers}
