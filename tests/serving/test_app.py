"""A request in any form of MLflow's is answered by the contract, or refused by it, never worse."""

import json
import re
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import serving_builders as made
from serving_builders import CSV, GOOD, JSON, PARQUET, Client, in_csv, in_parquet

from pipeline.serving import receive, service
from pipeline.stages.predict import score

OTHER = GOOD | {"colour": "blue", "code": "3", "size": "", "x": "99", "w": "", "flag": ""}
ROWS = [GOOD, OTHER]


@pytest.fixture(scope="module")
def client():
    return Client()


def expected(model, rows):
    """Probability and decision by the pipeline's own path, which reads files."""
    frame = pd.DataFrame(rows, dtype="str")
    p, decision, _ = score(model, frame, np.arange(1, len(frame) + 1), "here")
    return [*zip(p.tolist(), decision.tolist(), strict=True)]


def in_columns(rows):
    return {name: [row[name] for row in rows] for name in rows[0]}


# --- forms -----------------------------------------------------------------------------------

FORMS = {
    "dataframe_split": {"columns": [*GOOD], "data": [[*row.values()] for row in ROWS]},
    "dataframe_split with index": {
        "columns": [*GOOD],
        "data": [[*row.values()] for row in ROWS],
        "index": [7, 8],
    },
    "dataframe_records": ROWS,
    "instances of objects": ROWS,
    "instances of lists": [[*row.values()] for row in ROWS],
    "instances by column": in_columns(ROWS),
    "inputs by column": in_columns(ROWS),
    "inputs of objects": ROWS,
    "inputs of lists": [[*row.values()] for row in ROWS],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_json_gives_what_make_predict_gives(client, form):
    found = client.predictions({form.split()[0]: FORMS[form]})
    assert [*found[0]] == ["probability", "decision"]
    for row, (p, decision) in zip(found, expected(client.model, ROWS), strict=True):
        assert row["probability"] == pytest.approx(p, rel=1e-13)
        assert row["decision"] == decision


@pytest.mark.parametrize("kind", [CSV, PARQUET, "application/x-parquet"])
def test_a_file_gives_the_same_bits_as_json(client, kind):
    frame = pd.DataFrame(ROWS)
    body = in_csv(ROWS) if kind == CSV else in_parquet(frame)
    assert client.predictions(body, kind=kind) == client.predictions({"inputs": ROWS})


def test_one_row_may_be_an_object_of_cells(client):
    assert client.predictions({"inputs": GOOD}) == client.predictions({"inputs": [GOOD]})


def test_numbers_booleans_and_null_are_what_a_file_would_hold(client):
    typed = OTHER | {"code": 3, "x": 99.0, "ok": True, "size": None, "w": None, "flag": None}
    rows = [{**typed, "code": 3.0}, typed]
    assert client.predictions({"inputs": rows}) == client.predictions({"inputs": [OTHER, OTHER]})


def test_typed_columns_of_parquet_are_what_a_file_would_hold(client):
    frame = pd.DataFrame(ROWS).assign(
        code=[1, 3], x=[1.5, 99.0], w=[0.5, np.nan], ok=[True, True], day=pd.Timestamp("2024-02-29")
    )
    for index in (None, [7, 3]):  # pandas writes an index as a column
        body = in_parquet(frame.set_axis(index, axis="index") if index else frame)
        assert client.predictions(body, kind=PARQUET) == client.predictions({"inputs": ROWS})


def test_columns_come_in_any_order_with_the_target_and_ignored_ones(client):
    rows = [{"class": "yes", "id": 7, **dict(reversed(row.items())), "who": None} for row in ROWS]
    assert client.predictions({"inputs": rows}) == client.predictions({"inputs": ROWS})
    assert client.predictions(in_csv(rows), kind=CSV) == client.predictions({"inputs": ROWS})


def test_a_file_in_the_form_of_the_contract_is_read_as_make_predict_reads_it():
    data = made.make_contract(delimiter=";", decimal=",", encoding="latin-1")
    client = Client(made.make_model(data))
    row = GOOD | {"x": "1,5", "w": "0,5", "colour": "Ünïcode"}
    content = in_csv([row], ";").decode().encode("latin-1")
    found = client.predictions(content, kind=CSV)
    assert found == client.predictions({"inputs": [row]})
    assert found == client.predictions({"inputs": [row | {"x": 1.5, "w": 0.5}]})


def test_rest_ignored_lets_unknown_columns_pass(client):
    lenient = Client(made.make_model(made.make_contract(rest="ignored")))
    rows = [row | {"more": [1, 2]} for row in ROWS]
    assert lenient.predictions({"inputs": rows}) == client.predictions({"inputs": ROWS})
    assert "got 'more'" in client.refusal({"inputs": rows})


def test_an_answer_may_be_csv(client):
    status, headers, body = client.ask({"inputs": ROWS}, accept="text/csv")
    assert (status, headers["content-type"]) == (200, "text/csv; charset=utf-8")
    lines = [
        f"{row['probability']!r},{row['decision']}" for row in client.predictions({"inputs": ROWS})
    ]
    assert body.decode().splitlines() == ["probability,decision", *lines]


# --- rows that break the contract --------------------------------------------------------------

BAD = {
    "colour": "green", "code": "4", "size": "xl", "x": "101", "w": "many", "ok": "perhaps",
    "flag": "2", "day": "2023-02-29", "seen": "2023-12-31",
}  # fmt: skip


@pytest.mark.parametrize("form", ["json", "csv", "parquet"])
def test_a_refusal_names_row_column_value_and_rule_of_every_fault(client, form):
    rows = [GOOD, BAD, GOOD | {"code": "4"}]
    bodies = {
        "json": {"inputs": rows},
        "csv": in_csv(rows),
        "parquet": in_parquet(pd.DataFrame(rows)),
    }
    kind = {"json": JSON, "csv": CSV, "parquet": PARQUET}[form]
    status, headers, body = client.ask(bodies[form], kind=kind)
    message = made.refusal_of(headers, body)
    assert (status, json.loads(body)["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "column code must be one of 1, 2, 3; got '4' in 2 rows: 1, 2" in message
    for name, value in BAD.items():
        assert re.search(f"column {name} must .*got '{value}' in", message)


def test_values_can_be_kept_out_of_every_message(client):
    hiding = Client(client.model, hide_values=True)
    row = {name: f"secret{i}" for i, name in enumerate(GOOD)}
    message = hiding.refusal({"inputs": [row]})
    assert "secret" not in message
    assert all(f"column {name} must" in message for name in GOOD)
    (answer,) = hiding.predictions({"inputs": [row], "params": {"on_bad_row": "skip"}})
    assert "secret" not in answer["reason"]
    assert "secret" in client.refusal({"inputs": [row]})
    assert "secret" not in hiding.refusal(b"secret1,secret2\nsecret3,secret4\n", kind=CSV)
    assert "secret" not in hiding.refusal(b'{"secret1": "secret2')


def test_skip_answers_good_rows_and_gives_reasons_beside_them(client):
    rows = [GOOD, BAD, OTHER, GOOD | {"x": [1]}]
    good = client.predictions({"inputs": ROWS})
    asked = ({"inputs": rows, "params": {"on_bad_row": "skip"}}, {"inputs": rows})
    for body, path in zip(asked, ("/invocations", "/invocations?on_bad_row=skip"), strict=True):
        first, bad, other, nested = client.predictions(body, path=path)
        assert first == good[0] | {"reason": None}
        assert other == good[1] | {"reason": None}
        assert bad["probability"] is bad["decision"] is nested["decision"] is None
        assert (
            nested["reason"] == "column x must be text, a number, true, false or null, not a list"
        )
        assert all(f"column {name} must" in bad["reason"] for name in BAD)
    skipping = Client(client.model, skip=True)
    assert len(skipping.predictions({"inputs": rows})) == 4
    skipping.refusal({"inputs": rows, "params": {"on_bad_row": "refuse"}})


def test_skip_gives_rows_of_another_width_a_reason_too(client):
    lines = in_csv(ROWS).decode().splitlines()
    content = "\n".join([*lines, lines[1] + ",more", "short"]).encode()
    status, _, body = client.ask(content, "/invocations?on_bad_row=skip", CSV, accept=CSV)
    assert status == 200
    assert body.decode().splitlines()[3:] == [
        ',,"row must have 9 cells, not 10"',
        ',,"row must have 9 cells, not 1"',
    ]
    message = client.refusal(content, kind=CSV)
    assert "row must have 9 cells, not 10; in row 2" in message


def test_a_message_counts_what_it_leaves_out():
    columns = {f"{'c' * 90}{i}": {"kind": "numeric"} for i in range(200)}
    data = made.make_contract({"x": COLUMNS_X, **{n: {"kind": "ignored"} for n in columns}})
    client = Client(made.make_model(data))
    names = [f"{'ü' * 90}{i}" for i in range(200)]
    assert "more" in client.refusal({"inputs": {"x": 1, **dict.fromkeys(names, "🙂" * 40)}})


COLUMNS_X = {"kind": "numeric"}

# --- what is no request ------------------------------------------------------------------------

DEEP = b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
COLS = {name: [value] for name, value in GOOD.items()}
NO_TABLE = {
    "nothing": (b"", "must be JSON"),
    "a list": (b"[]", "must be an object with one of dataframe_split"),
    "an empty object": (b"{}", "must be an object with one of"),
    "a number": (b"1", "got a number"),
    "broken": (b'{"inputs": [', "must be JSON; got"),
    "not UTF-8": (b'{"inputs": "\xff"}', "must be in UTF-8"),
    "NaN": (b'{"inputs": [{"x": NaN}]}', "has no NaN"),
    "Infinity": (b'{"inputs": [{"x": -Infinity}]}', "has no -Infinity"),
    "deep": (DEEP, "too deep"),
    "a million digits": (b'{"inputs": [{"x": ' + b"9" * 10**6 + b"}]}", "4,300 digits"),
    "doubled key": (b'{"inputs": [{"x": 1, "x": 2}]}', "hold each name once; got 'x' twice"),
    "two forms": ({"inputs": ROWS, "instances": ROWS}, "must be an object with one of"),
    "another key": ({"inputs": ROWS, "more": 1}, "must be an object with one of"),
    "params": ({"inputs": ROWS, "params": [1]}, "params must be an object"),
    "another param": ({"inputs": ROWS, "params": {"skip": 1}}, "params must hold on_bad_row alone"),
    "param": ({"inputs": ROWS, "params": {"on_bad_row": "drop"}}, "refuse or skip; got 'drop'"),
    "no rows": ({"dataframe_records": []}, "must hold rows with 'colour'"),
    "columns alone": ({"dataframe_split": {"columns": [*GOOD], "data": []}}, "must hold rows"),
    "no columns": ({"dataframe_split": {"data": [[1]]}}, "must hold columns, data and index"),
    "columns no names": ({"dataframe_split": {"columns": [1], "data": [[1]]}}, "list of names"),
    "columns of a dict": ({"dataframe_split": {"columns": {}, "data": []}}, "list of names"),
    "rows no lists": ({"dataframe_split": {"columns": [*GOOD], "data": [GOOD]}}, "each a list"),
    "split a list": ({"dataframe_split": [1]}, "got a list"),
    "records an object": ({"dataframe_records": COLS}, "must be a list of rows; got an object"),
    "records of lists": ({"dataframe_records": [[1]]}, "list of objects; got a list at row 0"),
    "mixed rows": ({"inputs": [GOOD, [1]]}, "got a list at row 1"),
    "text": ({"inputs": "abc"}, "must be a list of rows; got text"),
    "null": ({"instances": None}, "got null"),
    "lists of another width": ({"instances": [[1, 2]]}, "must have 9 cells, not 2; in row 0"),
    "columns of other lengths": ({"inputs": COLS | {"x": [1, 2]}}, "equally long; got 1 for"),
    "a column no list": ({"inputs": COLS | {"x": {"a": 1}}}, "list for each column; got an object"),
    "lacking": ({"inputs": [{n: v for n, v in GOOD.items() if n != "code"}]}, "name 'code'"),
    "unknown": ({"inputs": [GOOD | {"Colour ": 1}]}, "of the contract; got 'Colour '"),
    "misspelt": ({"inputs": [{"Colour": "red"}]}, "got 'Colour', did you mean 'colour'?"),
    "doubled": (
        {"dataframe_split": {"columns": [*GOOD, "x"], "data": [[*GOOD.values(), 1]]}},
        "must name each once; got 'x' twice",
    ),
    "nested": ({"inputs": [GOOD | {"x": [1]}]}, "column x must be text, a number, true"),
    "surrogate": ({"inputs": [GOOD | {"colour": "\ud800"}]}, "half of a surrogate pair; in row 0"),
    "surrogate as name": ({"inputs": [GOOD | {"\ud800": 1}]}, "of the contract; got"),
    "NUL": ({"inputs": [GOOD | {"colour": "\x00"}]}, r"column colour must"),
    "huge": ({"inputs": [GOOD | {"x": 1e308}]}, "column x must be from"),
    "infinite": (json.dumps({"inputs": [GOOD]}).replace('"1.5"', "1e999").encode(), "column x"),
    "a boolean as number": ({"inputs": [GOOD | {"x": True}]}, "column x must be a number"),
}  # fmt: skip


@pytest.mark.parametrize("kind", NO_TABLE)
def test_json_that_is_no_table_of_the_contract_is_refused_by_rule(client, kind):
    body, rule = NO_TABLE[kind]
    assert rule in client.refusal(body)


HEAD = ",".join(GOOD)
LINE = ",".join(GOOD.values())
NO_CSV = {
    "nothing": (b"", "must hold a table; got no row"),
    "a header alone": (HEAD.encode(), "must hold rows; got a header alone"),
    "an open quote": (f'{HEAD}\n{LINE}\n"{LINE}\n'.encode(), "must close every quote"),
    "after a quote": (f'{HEAD}\n"a"b{LINE}\n'.encode(), "close a quote at the end of a cell"),
    "ragged": (f"{HEAD}\n{LINE},\n".encode(), "must have 9 cells, not 10; in row 0"),
    "not UTF-8": (f"{HEAD}\n".encode() + b"\xff\n", "must be in utf-8"),
    "UTF-16": (f"{HEAD}\n{LINE}\n".encode("utf-16"), "utf-8"),
    "NUL": (f"{HEAD}\n\x00{LINE}\n".encode(), "column colour must"),
    "lacking": (f"{HEAD[7:]}\n{LINE[4:]}\n".encode(), "must name 'colour'; got no such column"),
    "unknown": (f"{HEAD},more\n{LINE},1\n".encode(), "of the contract; got 'more'"),
    "doubled": (f"{HEAD},x\n{LINE},1\n".encode(), "name each column once; got 'x' twice"),
    "semicolons": (f"{HEAD}\n{LINE}\n".replace(",", ";").encode(), "must name 'colour', 'code'"),
    "JSON": (b'{"inputs": []}', "must"),
    "parquet": (in_parquet(pd.DataFrame(ROWS)), "must"),
    "a long cell": (f"{HEAD}\n{'9' * (10**6 + 1)}{LINE}\n".encode(), "cells of at most 1000000"),
}  # fmt: skip


@pytest.mark.parametrize("kind", NO_CSV)
def test_csv_that_is_no_table_of_the_contract_is_refused_by_rule(client, kind):
    body, rule = NO_CSV[kind]
    assert rule in client.refusal(body, kind=CSV)


def test_a_request_of_many_names_takes_memory_for_its_text_alone(client):
    many = 4000
    names = [f"x{i}" for i in range(many)]
    requests = [
        {"dataframe_records": [{name: 1} for name in names]},
        {"dataframe_split": {"columns": names, "data": [[]] * many}},
    ]
    for request in requests:
        body = json.dumps(request).encode()
        tracemalloc.start()
        status, *_ = client.ask(body)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert status == 400
        assert most < many * many  # bytes; a cell for each row and name takes eight times that


def test_hostile_parquet_is_refused(client):
    good = in_parquet(pd.DataFrame(ROWS))
    assert "intact parquet" in client.refusal(b"", kind=PARQUET)
    assert "intact parquet" in client.refusal(good[: len(good) // 2], kind=PARQUET)
    assert "intact parquet" in client.refusal(b"PAR1" + bytes(64) + b"PAR1", kind=PARQUET)
    nested = pd.DataFrame(ROWS).assign(x=[[1.0], [2.0]])
    assert "got nested 'x'" in client.refusal(in_parquet(nested), kind=PARQUET)
    lacking = pd.DataFrame(ROWS).drop(columns="x")
    assert "must name 'x'" in client.refusal(in_parquet(lacking), kind=PARQUET)
    small = Client(made.make_model(made.make_contract(max_bytes=100)))
    assert "at most 100 bytes" in small.refusal(good, kind=PARQUET)


KINDS = {
    "none": {"kind": None},
    "text": {"kind": "text/plain"},
    "form": {"kind": "application/x-www-form-urlencoded"},
    "charset": {"kind": "application/json; charset=latin-1"},
    "parameter": {"kind": "text/csv; header=absent"},
    "compressed": {"content_encoding": "gzip"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_another_content_type_is_a_415(client, kind):
    assert "must" in client.refusal({"inputs": ROWS}, 415, **KINDS[kind])


def test_charset_utf_8_may_be_said(client):
    assert client.predictions({"inputs": ROWS}, kind='application/json; charset="UTF-8"')


def test_other_paths_and_methods_are_refused_in_json(client):
    assert "path must be" in client.refusal(b"", 404, path="/nowhere")
    assert "method must be" in client.refusal(b"", 405, method="GET")
    assert "alone; got 'a'" in client.refusal({"inputs": ROWS}, path="/invocations?a=1")
    assert "once" in client.refusal(b"", path="/invocations?on_bad_row=skip&on_bad_row=skip")


def test_a_body_beyond_the_bound_is_a_413(client, monkeypatch):
    monkeypatch.setitem(receive.LIMITS, JSON, 1000)
    body = json.dumps({"inputs": ROWS * 20}).encode()
    assert "at most 1,000 bytes" in client.refusal(body, 413)
    assert "at most 1,000 bytes" in client.refusal(body, 413, content_length="10")  # a lie


def test_a_client_that_falls_silent_is_a_408(client, monkeypatch):
    monkeypatch.setattr(receive, "SILENCE_S", 0.05)
    assert "without a pause" in client.refusal(b'{"inputs": ', 408, is_whole=False)


def test_an_internal_error_says_nothing_of_the_server(client, monkeypatch, capsys):
    hiding = Client(client.model, hide_values=True)
    monkeypatch.setattr(service, "answer", lambda *_, **__: 1 / 0)
    for each, shown in ((client, True), (hiding, False)):
        with pytest.raises(ZeroDivisionError):
            each.ask({"inputs": ROWS})
        assert ("division by zero" in capsys.readouterr().err) == shown
