"""Requests at random, good and bad, in every form: the pipeline's own contract is the judge.

Whatever is sent, no bad row is scored, no answer is a 500, and the column at fault is named.
"""

import json
import random
import re

import numpy as np
import pandas as pd
import pytest
import serving_builders as made
from serving_builders import CSV, JSON, PARQUET, Client

from pipeline.stages.predict import score
from pipeline.stages.validate.validation import bad_rows
from pipeline.stages.validate.values import column_values

# Cells as they are sent, and the text that a file would hold where it is another.
GOOD = {
    "colour": ["red", "blue", "Ünïcode"],
    "code": ["1", "3", (1, "1"), (2.0, "2")],
    "size": ["s", "m", "l", (None, ""), "NA", ""],
    "x": [(1.5, "1.5"), "50", (100, "100"), (0, "0"), "1e1", "+7.", (-0.0, "-0.0"), "0" * 50],
    "w": [(None, ""), (-3.5, "-3.5"), "2.0", "?", "nan", (10**20, str(10**20)), "1e99"],
    "ok": [(True, "true"), "no", (1, "1"), "T", (False, "false")],
    "flag": [(None, ""), (False, "false"), "Yes", "null"],
    "day": ["2024-02-29", "2024-12-31T23:59", "0001-01-01"],
    "seen": ["31.12.2023", (None, ""), "01.01.1999"],
}
BAD = {
    "colour": ["green", (None, ""), "", "red ", "Red", "red\x00", "💥" * 99, "<script>", (7, "7")],
    "code": [(4, "4"), (1.5, "1.5"), "01", "1.0", (True, "true"), (None, ""), "１", "1\n"],
    "size": ["xl", "S", " s", (1, "1"), "s" * 5000, "ѕ"],
    "x": [(-0.001, "-0.001"), (100.001, "100.001"), "abc", (None, ""), (True, "true"), "1,5",
          (1e308, "1e+308"), "NaN", "inf", "1e999", "0x10", "1_0", "１", "1 ", "--1", "1e"],
    "w": ["many", (1e101, "1e+101"), "1.2.3", "٣", "infinity", (-1e300, "-1e+300"), (True, "true")],
    "ok": ["maybe", (None, ""), (2, "2"), "", "true ", "ja"],
    "flag": ["2", (0.5, "0.5"), "tru", "-"],
    "day": ["2023-02-29", "yesterday", (None, ""), "29.02.2024", (1.5, "1.5"), "2024-13-01", "💥"],
    "seen": ["2023-12-31", "32.01.2023", "31.12.23x", (1, "1")],
}  # fmt: skip
FORMS = ("split", "records", "instances", "lists", "columns", "inputs", "csv", "parquet")
NESTED = ([], {}, [1, 2], {"a": 1})


@pytest.fixture(scope="module")
def clients():
    model = made.make_model()
    return {hide: Client(model, hide_values=hide) for hide in (False, True)}


def both(cell):
    return cell if isinstance(cell, tuple) else (cell, cell)


def table(rng):
    """Cells as they are sent, and as text, both by column."""
    n, share = rng.randint(1, 8), rng.choice([0, 0, 0.02, 0.1, 0.5])
    cells = {
        name: [both(rng.choice((BAD if rng.random() < share else GOOD)[name])) for _ in range(n)]
        for name in GOOD
    }
    names = rng.sample([*GOOD], len(GOOD))
    sent, text = ({name: [c[i] for c in cells[name]] for name in names} for i in (0, 1))
    if rng.random() < 0.3:
        sent = {"class": ["yes"] * n, **sent, "id": [*range(n)]}
        text = {"class": ["yes"] * n, **text, "id": [*map(str, range(n))]}
    return sent, text


def spoiled(rng, sent):
    """A table that is none of the contract, as names and rows, and what its refusal must name."""
    names, rows = [*sent], [[*row] for row in zip(*sent.values(), strict=True)]
    name, fault = rng.choice([*GOOD]), rng.choice(["lacking", "unknown", "doubled", "nested"])
    at = names.index(name)
    if fault == "lacking":
        names.pop(at)
        for row in rows:
            row.pop(at)
    elif fault == "unknown":
        name = rng.choice(["more", "Colour ", "x\x00", "💥"])
        names.append(name)
        rows = [[*row, 1] for row in rows]
        name = repr(name.strip())[1:-1]  # a header has no blanks around its names
    elif fault == "doubled":
        names.append(name)
        rows = [[*row, row[at]] for row in rows]
    else:
        rng.choice(rows)[at] = rng.choice(NESTED)
    return fault, name, names, rows


def body(form, names, rows):
    """The table in a form: its content type, and its bytes."""
    if form == "csv":
        frame = pd.DataFrame(rows, columns=names, dtype=object)
        return CSV, frame.to_csv(index=False).encode()
    if form == "parquet":
        frame = pd.DataFrame(rows, columns=names, dtype="str")
        return PARQUET, made.in_parquet(frame)
    objects = [dict(zip(names, row, strict=True)) for row in rows]
    trees = {
        "split": {"dataframe_split": {"columns": names, "data": rows}},
        "records": {"dataframe_records": objects},
        "instances": {"instances": objects},
        "inputs": {"inputs": objects},
        "columns": {"inputs": {n: [row[i] for row in rows] for i, n in enumerate(names)}},
        "lists": {
            "instances": [
                [row[names.index(name)] for name in GOOD if name in names] for row in rows
            ]
        },
    }
    return JSON, json.dumps(trees[form]).encode()


class Expected:
    """What the pipeline says of the rows of many tables, asked once: it takes its time."""

    def __init__(self, model, tables):
        frame = pd.concat([pd.DataFrame(text, dtype="str")[[*GOOD]] for text in tables])
        frame = frame.reset_index(drop=True)
        lines = np.arange(len(frame))
        self.found = bad_rows(frame, column_values(frame, model.data), model.data, lines)
        self.is_bad = np.any([lines < 0, *(bad for _, bad in self.found)], axis=0)
        good = frame[~self.is_bad].reset_index(drop=True)
        p, decision, _ = score(model, good, lines[~self.is_bad], "here")
        self.scored = dict(
            zip(lines[~self.is_bad].tolist(), zip(p, decision, strict=True), strict=True)
        )
        self.ends = np.cumsum([0, *(len(text["x"]) for text in tables)]).tolist()

    def of_table(self, number):
        """Rules with the rows that break them, which rows are bad, and the others scored."""
        first, last = self.ends[number : number + 2]
        found = [(v, bad[first:last]) for v, bad in self.found if bad[first:last].any()]
        good = [self.scored[at] for at in range(first, last) if at in self.scored]
        return found, self.is_bad[first:last], good


def judge(client, rng, hide, sent, text, expected):
    """Send a table, and compare the answer with what the pipeline says."""
    form, skip = rng.choice(FORMS), rng.random() < 0.3
    if form in ("csv", "parquet"):
        sent = text
    rows = [[*row] for row in zip(*sent.values(), strict=True)]
    kind, content = body(form, [*sent], rows)
    path = "/invocations?on_bad_row=skip" if skip else "/invocations"
    status, headers, answer = client.ask(content, path, kind)
    found, is_bad, good = expected
    if is_bad.any() and not skip:
        assert status == 400, answer
        named(made.refusal_of(headers, answer), text, found, hide)
        return "refused"
    assert status == 200, answer
    left = iter(good)
    for row, bad in zip(json.loads(answer)["predictions"], is_bad.tolist(), strict=True):
        if bad:
            assert row["probability"] is None
            assert row["reason"].startswith("column ")
        else:
            p, decision = next(left)
            assert row["probability"] == pytest.approx(p, rel=1e-12)
            assert row["decision"] == decision
    return "skipped" if is_bad.any() else "scored"


def named(message, text, found, hide):
    """Every column and rule that is broken, with the rows, or how many the message leaves out."""
    lines = message.splitlines()
    for violation, bad in found:
        start = f"column {violation.column} {violation.rule}"[:390]
        (line,) = [line for line in lines if line.startswith(start)] or [""]
        assert line or re.search(r"and \d+ more", message), (start, message)
        if line and not line.endswith("…"):
            places = np.flatnonzero(bad)
            rows = [int(each) for each in re.findall(r"\d+", line.rpartition("row")[2])]
            assert rows == places[:5].tolist()
            is_empty = all(text[violation.column][at] == "" for at in places)
            assert ("; got" in line) != (hide or is_empty)


def judge_spoiled(client, rng, hide, sent, text):
    """Send a table whose columns are not the contract's."""
    form = rng.choice(FORMS)
    in_file = form in ("csv", "parquet")
    fault, name, names, rows = spoiled(rng, text if in_file else sent)
    told = {
        "nested": {*FORMS} - {"csv", "parquet"},
        "doubled": {"split", "csv"},
        "unknown": {*FORMS} - {"lists"},
        "lacking": {*FORMS} - {"lists"},
    }
    if form not in told[fault]:
        return "no such request"
    kind, content = body(form, names, rows)
    status, headers, answer = client.ask(content, kind=kind)
    assert status == 400, (fault, form, answer)
    message = made.refusal_of(headers, answer)
    assert name in message or (hide, fault, form) == (True, "unknown", "csv")
    return fault


def judge_bytes(client, rng, sent, text):
    """Send a table some of whose bytes are others."""
    form = rng.choice(FORMS)
    chosen = text if form in ("csv", "parquet") else sent
    kind, content = body(form, [*chosen], [[*row] for row in zip(*chosen.values(), strict=True)])
    wrong = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(wrong))
        match rng.randrange(3):
            case 0:
                wrong[at] = rng.randrange(256)
            case 1:
                del wrong[at : at + rng.randint(1, 40)]
            case _:
                wrong[at:at] = rng.choice(
                    [b'"', b"\\", b",", b"\n", b"[", b"}", b"\xff", b"\0", b"1e5"]
                )
        if not wrong:
            break
    status, headers, answer = client.ask(bytes(wrong), kind=kind)
    assert status in (200, 400), answer
    if status == 400:
        made.refusal_of(headers, answer)
    return "bytes"


def fuzz(clients, seeds):
    drawn = [(seed, rng, *table(rng)) for seed in seeds for rng in [random.Random(seed)]]
    expected = Expected(clients[False].model, [text for *_, text in drawn])
    done = {}
    for number, (seed, rng, sent, text) in enumerate(drawn):
        hide, kind = rng.random() < 0.2, rng.random()
        try:
            if kind < 0.6:
                what = judge(clients[hide], rng, hide, sent, text, expected.of_table(number))
            elif kind < 0.75:
                what = judge_spoiled(clients[hide], rng, hide, sent, text)
            else:
                what = judge_bytes(clients[hide], rng, sent, text)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        done[what] = done.get(what, 0) + 1
    return done


def test_three_hundred_requests_at_random(clients):
    done = fuzz(clients, range(300))
    assert min(done[what] for what in ("refused", "scored", "skipped", "lacking", "bytes")) > 5


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(10))
def test_ten_thousand_requests_at_random(clients, part):
    fuzz(clients, range(1000 * part, 1000 * (part + 1)))
