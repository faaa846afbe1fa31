"""A file is read as it is written: what pandas reads with the same settings is the oracle."""

import gzip
import re
import shlex
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.config.compose import parse_words
from pipeline.config.contract import DataSettings
from pipeline.errors import ConfigError, DataError
from pipeline.stages.read import read_in_order, read_rows
from pipeline.stages.validate import Table, validate

COLUMNS: dict[str, Any] = {"x": {"kind": "numeric"}, "g": {"kind": "categorical"}}
NOT_NEGATIVE = {"kind": "numeric", "minimum": 0, "missing": "input"}
A_OR_B = {"kind": "categorical", "categories": ["a", "b"], "missing": "input"}
COUNT = {"kind": "count"}
MAY_LACK = {"columns": COLUMNS | {"x": {"kind": "numeric", "missing": "input"}}}
PLAIN = "x,g,y\n1.5,a,yes\n1234.5,b c,no\n-0.25,Größe,no\n"


def contract(path: Path, **changes: Any) -> DataSettings:
    tree = {
        "name": "t",
        "path": str(path),
        "target": {"name": "y", "positive": ["yes"], "negative": ["no"]},
        "columns": COLUMNS,
        "min_rows": 1,
    }
    return DataSettings.parse(tree | changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "t.csv"


def table_of(path: Path, content: bytes | str, **changes: Any) -> Table:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    data = contract(path, **changes)
    return validate(read_rows(data), data).require()


def refusal(path: Path, content: bytes | str, **changes: Any) -> str:
    with pytest.raises(DataError) as error:
        table_of(path, content, **changes)
    return str(error.value)


def rows_of(table: Table) -> list[tuple[Any, ...]]:
    cells = table.frame.assign(y=table.y).loc[table.frame.index.repeat(table.count)]
    return sorted(cells.itertuples(index=False, name=None))


# {form: (text, settings, how pandas is told the same)}
FORMS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "plain": (PLAIN, {}, {}),
    "semicolons": (PLAIN.replace(",", ";"), {"delimiter": "semicolon"}, {"sep": ";"}),
    "decimal comma": (
        PLAIN.replace(",", ";").replace(".", ","),
        {"delimiter": ";", "decimal": "comma"},
        {"sep": ";", "decimal": ","},
    ),
    "thousands and decimal comma": (
        PLAIN.replace(",", ";").replace(".", ",").replace("1234", "1.234"),
        {"delimiter": ";", "decimal": ",", "thousands": "point"},
        {"sep": ";", "decimal": ",", "thousands": "."},
    ),
    "thousands in quotes": (
        PLAIN.replace("1234.5", '"1,234.5"'), {"thousands": "comma"}, {"thousands": ","},
    ),
    "blanks after commas": (
        PLAIN.replace(",", ",  "), {"strip": True}, {"skipinitialspace": True},
    ),
    "blanks before quotes": (
        PLAIN.replace(",a", ', "a"'), {"strip": True}, {"skipinitialspace": True},
    ),
    "names and a header": (
        PLAIN.replace("x,g,y", "x,x,x"),
        {"names": ["x", "g", "y"], "header": True},
        {"names": ["x", "g", "y"], "header": 0},
    ),
    "no header": (PLAIN[6:], {"names": ["x", "g", "y"]}, {"names": ["x", "g", "y"]}),
    "a title": ("The table, of 2026\n" + PLAIN, {"skip_rows": 1}, {"skiprows": 1}),
    "an open quote above": ('a "title\n\n' + PLAIN, {"header": 3}, {"skiprows": 2}),
    "comments": (
        "# of 2026\n" + PLAIN.replace("y\n", "y\n# rows\n"), {"comment": "hash"}, {"comment": "#"},
    ),
    "another quote": (
        PLAIN.replace("b c", "'b,c'"), {"quote": "apostrophe"}, {"quotechar": "'"},
    ),
    "quotes as text": (PLAIN.replace("b c", '5" pipe'), {"quote": None}, {"quoting": 3}),
    "runs of blanks": (
        " x  g\ty\n 1.5 a \tyes \n2 b  no\n", {"delimiter": "blanks"}, {"sep": r"\s+"},
    ),
    "the rest ignored": (
        "i,x,g,j,j,y\n1,2,a,3,4,yes\n2,3,b,3,4,no\n",
        {"rest": "ignored"},
        {"usecols": ["x", "g", "y"]},
    ),
    "blanks around names": (
        PLAIN.replace("x,g,y", " x ,g\t, y"), {}, {"names": ["x", "g", "y"], "header": 0},
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_form_is_read_as_pandas_reads_it(path, form, ending):
    text, settings, told = FORMS[form]
    table = table_of(path, text.replace("\n", ending), **settings)
    expected = pd.read_csv(StringIO(text), dtype={"g": str, "y": str}, **told)
    cells = expected.assign(y=(expected["y"].str.strip() == "yes").astype(float))[["x", "g", "y"]]
    assert rows_of(table) == sorted(cells.itertuples(index=False, name=None))


@pytest.mark.parametrize("form", FORMS)
def test_rows_to_predict_are_read_in_the_same_form(path, form):
    text, settings, _ = FORMS[form]
    table = table_of(path, text, **settings)
    frame, _ = read_in_order(path, contract(path, **settings), need_target=True)
    assert sorted(frame["g"]) == sorted(table.frame["g"])


ENCODINGS = [
    "utf-8",
    "utf-8-sig",
    "latin-1",
    "cp1252",
    "utf-16",
    "utf-16-le",
    "utf-16-be",
    "utf-32",
]


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["", "gzip"])
def test_every_encoding_gives_the_same_table(path, encoding, pack):
    plain = table_of(path, PLAIN)
    again = table_of(path, pack(PLAIN.encode(encoding)), encoding=encoding)
    assert rows_of(again) == rows_of(plain)


@pytest.mark.parametrize("chunk", [1, 2, 3, 7])
@pytest.mark.parametrize("encoding", ["utf-16", "cp1252", "shift_jis"])
def test_characters_may_stand_across_chunks(path, monkeypatch, encoding, chunk):
    text = PLAIN.replace("Größe", "日本" if encoding == "shift_jis" else "Größe")
    monkeypatch.setattr("pipeline.stages.read.source.CHUNK", chunk)
    again = table_of(path, text.encode(encoding), encoding=encoding)
    assert rows_of(again) == rows_of(table_of(path, text))


def test_the_digest_is_that_of_the_cells_whatever_the_encoding(path):
    digests = set()
    for encoding in ENCODINGS:
        path.write_bytes(PLAIN.encode(encoding))
        digests.add(read_rows(contract(path, encoding=encoding)).digest)
    assert len(digests) == 1


@pytest.mark.parametrize(
    "changes", [{}, {"decimal": "comma"}, {"strip": True}, {"rest": "ignored"}]
)
def test_duckdb_reads_what_every_reader_reads_alike(path, monkeypatch, changes):
    """A table of UTF-8 is as fast as before there were other forms."""
    path.write_text("x,g,y\n1,a,yes\n2,b,no\n")

    def refuse(*_: object) -> None:
        raise AssertionError("the exact reader was asked")

    monkeypatch.setattr("pipeline.stages.read.rows._count_by_csv", refuse)
    assert read_rows(contract(path, **changes)).count.tolist() == [1, 1]
    with pytest.raises(AssertionError, match="exact reader"):  # the negative control
        read_rows(contract(path, comment="hash"))


def test_lines_are_those_of_the_file(path):
    """Titles, comments, blank lines and lines within quotes are counted."""
    text = 'title\n# c\nx,g,y\n1,"a\nb",yes\n\n# c\n2,c,no\n'
    path.write_text(text)
    _, lines = read_in_order(path, contract(path, skip_rows=1, comment="hash"), need_target=True)
    assert lines.tolist() == [4, 8]
    bad = text.replace("2,c,no", "two,c,no").replace('"a\nb"', "a")
    assert "line 7" in refusal(path, bad, skip_rows=1, comment="hash")


# --- headers ---------------------------------------------------------------------------------


WORDS = {"home": {"kind": "categorical"}, "away": {"kind": "categorical"}}
NAMED: dict[str, Any] = {
    "columns": WORDS,
    "names": ["home", "away", "y"],
    "target": {"name": "y", "positive": ["yes"]},
}


@pytest.mark.parametrize(
    "header",
    ["home,away,y", "away,home,y", " home , away,label", "y,away,home", "HOME,Away,Y"],
)
def test_a_header_is_never_a_row(path, header):
    """Even where every column holds words, and every other word is class 0."""
    message = refusal(path, header + "\na,b,yes\nb,a,no\n", **NAMED)
    assert "line 1" in message
    assert ("data.names=null" in message) == (header[-4:] in ("me,y", "home"))
    assert ("data.header=true" in message) == ("data.names=null" not in message)


def test_one_cell_that_is_the_name_of_its_column_is_a_value(path):
    table = table_of(path, "home,b,yes\nb,away,no\nx,y,no\n", **NAMED)
    assert len(table.y) == 3
    two = "home,away,yes\nb,a,no\n"
    assert "data.header=false" in refusal(path, two, **NAMED)
    assert len(table_of(path, two, header=False, **NAMED).y) == 2


@pytest.mark.parametrize("header", ["away,home", "home,away,y", "y,away,home", " away ,home"])
def test_rows_to_predict_with_a_header_are_taken_by_name(path, header):
    rows = {
        name.strip(): ["a", "b"] if "home" in name else ["c", "d"] for name in header.split(",")
    }
    path.write_text(pd.DataFrame(rows).to_csv(index=False, header=header.split(",")))
    frame, lines = read_in_order(path, contract(path, **NAMED))
    assert frame["home"].tolist() == ["a", "b"]
    assert lines.tolist() == [2, 3]


def test_a_header_of_rows_to_predict_that_has_more_names_is_no_row(path):
    path.write_text("id,away,home\n1,a,b\n")
    with pytest.raises(DataError, match=r"'id'.*data.rest=ignored"):
        read_in_order(path, contract(path, **NAMED))


def test_names_that_are_not_in_the_contract_are_all_named_with_lines_to_paste(path):
    names = [f"col {i}" for i in range(100)] + ["yes", "5", "ok_1"]
    text = ",".join(["x", "g", "y", *names]) + "\n" + ",".join(["1"] * 106) + "\n"
    message = refusal(path, text)
    import yaml

    pasted = yaml.safe_load(message[message.index("\n") :])
    assert pasted == {name: {"kind": "ignored"} for name in names}


# --- what a message advises works when it is typed -----------------------------------------------

ADVICE: dict[str, tuple[bytes | str, dict[str, Any]]] = {
    "latin-1": (PLAIN.encode("latin-1"), {}),
    "cp1252": (PLAIN.replace("ö", "€").encode("cp1252"), {}),
    "utf-16": (PLAIN.encode("utf-16"), {}),
    "utf-16 without a mark": (PLAIN.encode("utf-16-be"), {}),
    "utf-8, said to be latin-1": (PLAIN, {"encoding": "latin-1"}),
    "a byte that cp1252 lacks": (b"x,g,y\n1,\x81,yes\n2,b,no\n", {"encoding": "cp1252"}),
    "semicolons": (PLAIN.replace(",", ";"), {}),
    "tabs": (PLAIN.replace(",", "\t"), {}),
    "blanks": ("x g y\n1 a yes\n2 b no\n", {}),
    "decimal comma": (FORMS["decimal comma"][0], {"delimiter": ";"}),
    "decimal comma of three digits": ("x;g;y\n0,031;a;yes\n0,5;b;no\n", {"delimiter": ";"}),
    "decimal comma and thousands": (FORMS["thousands and decimal comma"][0], {"delimiter": ";"}),
    "thousands": ('x,g,y\n"1,234.5",a,yes\n2.5,b,no\n', {}),
    "Swiss thousands": ("x,g,y\n1'234.5,a,yes\n2.5,b,no\n", {}),
    "French thousands": ("x;g;y\n1\u202f234,5;a;yes\n2,5;b;no\n", {"delimiter": ";"}),
    "points after all": (PLAIN, {"decimal": "comma", "thousands": "point"}),
    "blanks after commas": (PLAIN.replace(",", ", "), {}),
    "names in capital letters": (PLAIN.replace("x,g,y", "X,G,y"), {}),
    "names in capital letters in another order": (PLAIN.replace("x,g", "X,G"), {
        "columns": {"g": {"kind": "categorical"}, "x": {"kind": "numeric"}}
    }),
    "a comment among rows": (PLAIN + "# the end, for now,\n", {}),
    "labels in small letters": (PLAIN, {"target": {"name": "y", "positive": ["Yes"],
                                                   "negative": ["No"]}}),
    "a blank cell": ("x,g,y\n  ,a,yes\n2,b,no\n", MAY_LACK),
    "marks": ("x,g,y\n#VALUE!,a,yes\n-,b,no\nunknown,b,no\n.,b,no\n7,a,no\n", MAY_LACK),
    "a mark more": ("x,g,y\nn/a,a,yes\nx7,b,no\n7,a,no\n", {"missing_values": ["x7"], **MAY_LACK}),
    "a sentinel": ("x,g,y\n-999.0,a,yes\n5,b,no\n", {"columns": COLUMNS | {"x": NOT_NEGATIVE}}),
    "a mark among categories": ("x,g,y\n1,n/a,yes\n5,b,no\n", {"columns": COLUMNS | {"g": A_OR_B}}),
    "missing": ("x,g,y\n,a,yes\n5,b,no\n", {}),
    "missing everywhere": ("x,g,y\n,a,yes\n,b,no\n", MAY_LACK),
    "names and a header": (PLAIN, {"names": ["x", "g", "y"]}),
    "names and another order": ("y,x,g\nyes,1,a\nno,2,b\n", {"names": ["x", "g", "y"]}),
    "a header that is none": (PLAIN[6:], {"names": ["x", "g", "y"], "header": True}),
    "no header": (PLAIN[6:], {}),
    "a name twice": ("x,g,x,y\n1,a,2,yes\n3,b,4,no\n", {}),
    "other names": ("i,x,g,a b,y\n1,2,a,3,yes\n2,3,b,3,no\n", {}),
    "an index": (",x,g,y\n1,2,a,yes\n2,3,b,no\n", {}),
    "a delimiter at the end": ("x,g,y,\n2,a,yes,\n3,b,no,\n", {}),
    "a title": ("My table\n\n" + PLAIN, {}),
    "a title and names": ("My table\n" + PLAIN[6:], {"names": ["x", "g", "y"]}),
    "a header above the line": (PLAIN, {"header": 3}),
    "comments": ("# of 2026\n" + PLAIN, {}),
    "comments and names": ("# of 2026\n" + PLAIN[6:], {"names": ["x", "g", "y"]}),
    "an open quote": (PLAIN.replace("b c", '"b'), {}),
    "a line of blanks": (PLAIN + "   \n", {}),
}  # fmt: skip


@pytest.mark.parametrize("case", ADVICE)
def test_the_settings_that_a_refusal_names_mend_it(path, case):
    """As a shell hands them on: without their quotes."""
    content, settings = ADVICE[case]
    for attempt in range(3):
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        data = contract(**{"path": path} | settings)
        try:
            validate(read_rows(data), data).require()
        except DataError as error:
            settings = merged(data, advised(str(error)))
        else:
            assert attempt > 0, "nothing is refused"
            return
    pytest.fail(f"the advice of each refusal leads to the next: {settings}")


def advised(message: str) -> list[str]:
    words = re.findall(
        r"data\.[\w.]+=(?:\[.*?\]|[^\s;,()]+)", message.split(" or, if", maxsplit=1)[0]
    )
    assert words, message
    return [shlex.split(word)[0] for word in words]


def merged(data: DataSettings, words: list[str]) -> dict[str, Any]:
    tree = data.model_dump(mode="json")
    overrides, faults = parse_words(words)
    assert not faults
    for override in overrides:
        *keys, last = override.key_or_group.split(".")[1:]
        place = tree
        for key in keys:
            place = place[key]
        place[last] = override.value()
    return tree


SETTINGS: dict[str, tuple[dict[str, Any], str]] = {
    "hex": ({"encoding": "hex"}, "encoding must be an encoding"),
    "unknown": ({"encoding": "utf-9"}, "encoding must be an encoding"),
    "both": ({"decimal": ",", "thousands": ","}, "thousands must differ"),
    "no names": ({"header": False}, "names must be given"),
    "two lines": ({"header": 5, "skip_rows": 1}, "skip_rows must be 0"),
    "line 0": ({"header": 0}, "header must be"),
    "quote as delimiter": ({"delimiter": '"'}, "must differ"),
    "more names": ({"names": ["x", "g", "y", "z"]}, "'z'"),
    "two counts": ({"columns": {**COLUMNS, "n": COUNT, "m": COUNT}}, "one of kind count"),
}  # fmt: skip


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_that_contradict_each_other_are_refused(path, case):
    changes, message = SETTINGS[case]
    with pytest.raises(ConfigError, match=message):
        contract(path, **changes)


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-16"])
def test_a_nul_byte_is_refused_in_every_encoding(path, encoding):
    assert "NUL" in refusal(path, PLAIN.replace("b c", "b\0c").encode(encoding), encoding=encoding)


def test_two_encodings_in_a_file_are_refused_with_the_line(path):
    message = refusal(path, PLAIN.encode() + "3,é,no\n".encode("latin-1"))
    assert "0xe9 at offset 49, line 5" in message
    assert "data.encoding=latin-1" in message


def test_utf_16_without_a_mark_is_refused_with_the_order_to_set(path):
    content = PLAIN.encode("utf-16-le")
    assert "data.encoding=utf-16-le" in refusal(path, content, encoding="utf-16")
    assert len(table_of(path, content, encoding="utf-16-le").y) == 3


def test_text_of_utf_16_that_is_cut_off_is_refused(path):
    assert "cut off?" in refusal(path, PLAIN.encode("utf-16")[:-1], encoding="utf-16")


@pytest.mark.parametrize("marks", [["-999"], [-999], ["-999.0"], ["-9.99e2"]])
def test_missing_numbers_are_compared_as_numbers(path, marks):
    """In a numeric column; among words a mark is that word alone."""
    text = "x,g,y\n-999,-999.00,yes\n-999.00,b,no\n-998,b,no\n-0999,b,no\n"
    table = table_of(path, text, **MAY_LACK, missing_values=marks)
    assert table.frame["x"].dropna().tolist() == [-998.0]
    assert {*table.frame["g"]} == {"-999.00", "b"}


def test_missing_values_add_to_those_that_every_contract_has(path):
    columns = {name: column | {"missing": "input"} for name, column in COLUMNS.items()}
    text = "x,g,y\n?,NA,yes\nn.d.,n.d.,no\n1,b,no\n"
    table = table_of(path, text, columns=columns, missing_values=["n.d."])
    assert np.isnan(table.frame["x"]).sum() == 2
    assert table.frame["g"].nunique() == 2


LOOKS = {
    "labels that YAML reads as truth": ("True", "False", "TRUE", "FALSE"),
    "labels that became decimals": ("1", "0", "1.0", "0.0"),
}


@pytest.mark.parametrize("case", LOOKS)
def test_labels_that_are_written_otherwise_are_refused_with_words_that_hydra_reads_as_text(
    path, case
):
    positive, negative, yes, no = LOOKS[case]
    target = {"name": "y", "positive": [positive], "negative": [negative]}
    message = refusal(path, f"x,g,y\n1,a,{yes}\n2,b,{no}\n", target=target)
    words = re.findall(r"data\.target\.\w+=\[\S+\]", message)
    overrides, faults = parse_words(words)
    assert not faults
    assert [override.value() for override in overrides] == [[yes], [no]]


def test_numbers_near_the_largest_are_refused_without_a_warning(path, recwarn):
    largest = "1.7976931348623157e308"
    rows = "".join(f"{sign}{largest},a,yes\n" for sign in ("", "", "", "-"))
    message = refusal(path, f"x,g,y\n{rows}1,b,no\n")
    assert "must be from -1e+100 to 1e+100" in message
    assert not recwarn.list


def test_numbers_in_too_small_a_unit_are_no_codes_of_missing_ones(path):
    rows = "".join(f"{i}e150,a,yes\n" for i in range(1, 9))
    message = refusal(path, f"x,g,y\n{rows}1,b,no\n")
    assert "write it in another unit" in message
    assert "missing_values" not in message


@pytest.mark.parametrize(
    ("groups", "alike"), [("1,1.0,2", "'1', '1.0'"), ("Ann,ann,bo", "'Ann', 'ann'"), ("1,2,3", "")]
)
def test_groups_that_differ_only_in_how_they_are_written_are_warned_of(path, groups, alike):
    rows = "".join(f"1,{group},{y}\n" for group in groups.split(",") for y in ("yes", "no"))
    path.write_text(f"x,g,y\n{rows}")
    for known in ((), ("g",)):
        data = contract(path, columns=COLUMNS | {"g": {"kind": "group"}}, known=known)
        warned = [w for w in validate(read_rows(data), data).warnings if "look alike" in w]
        assert (len(warned) == 1) == bool(alike and not known)
        assert all(alike in line for line in warned)
