"""Rows of a file are scored by the model's own contract: every one of them, or none."""

import csv
import gzip
import json
import math
import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from builders import make_finished, make_table

from pipeline.config.compose import configuration
from pipeline.config.contract import DataSettings
from pipeline.config.file_settings import MISSING_VALUES
from pipeline.config.schema import EncodeSettings
from pipeline.errors import ConfigError, DataError
from pipeline.record import RecordError, find, write
from pipeline.run import learn, prepare
from pipeline.stages import predict
from pipeline.stages.encode import fit_encoder
from pipeline.stages.predict import (
    Model,
    contract_for_new_rows,
    from_json,
    predict_file,
    score,
    to_json,
)
from pipeline.stages.read import car, in_order
from pipeline.text import MAX_MESSAGE

HEADER = "id,colour,size,x,class\n"
COLUMNS = {
    "id": {"kind": "ignored"},
    "colour": {"kind": "categorical"},
    "size": {"kind": "categorical", "categories": ["s", "m", "l"], "missing": "input"},
    "x": {"kind": "numeric", "minimum": 0, "missing": "input"},
}


def make_model(unseen: str = "refuse", crosses: tuple[tuple[str, ...], ...] = ()) -> Model:
    tree = {"name": "t", "path": "t.csv", "target": {"name": "class", "positive": ["yes"]}}
    data = DataSettings.parse(tree | {"columns": COLUMNS})
    train = make_table(
        {"colour": ["red", "blue", "red"], "size": ["s", "m", "l"], "x": [0.1, 1 / 3, np.nan]},
        [0, 1, 1],
    )
    encoder = fit_encoder(train, EncodeSettings(unseen=unseen, crosses=crosses), data)
    theta = np.random.default_rng(0).normal(size=len(encoder.inputs) + 1)
    return from_json(to_json(Model(contract_for_new_rows(data, encoder), encoder, theta, 0.5)))


@pytest.fixture
def model() -> Model:
    return make_model()


@pytest.fixture
def places(tmp_path) -> tuple[Path, Path]:
    return tmp_path / "new.csv", tmp_path / "scored.csv"


def scored(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def by_hand(model: Model, row: dict[str, str]) -> float:
    """Probability by the loop of the article, from the names of the inputs."""
    x = float(row["x"]) if row["x"] else None
    (scale,) = (block for block in model.encoder.blocks if block.name == "x")
    values = {
        f"colour={row['colour']}": 1.0,
        f"size={row['size'] or 'missing'}": 1.0,
        "x": 0.0 if x is None else (x - scale.mean) / scale.deviation,
        "x=missing": float(x is None),
    }
    z = float(model.theta[-1])
    for name, weight in zip(model.encoder.inputs, model.theta.tolist(), strict=False):
        z += weight * values.get(name, 0.0)
    return 1 / (1 + math.exp(-z))


# --- what is written -------------------------------------------------------------------------


def test_every_column_comes_back_with_the_models_probability_and_decision(model, places):
    source, target = places
    source.write_text(HEADER + "c7,red,s,0.5,no\nc1,blue,,2,yes\nc7,red,l,,no\n")
    done = predict_file(model, source, target)
    assert target.read_text().startswith("id,colour,size,x,class,probability,decision\n")
    rows = scored(target)
    assert [row["id"] for row in rows] == ["c7", "c1", "c7"]
    assert [row["class"] for row in rows] == ["no", "yes", "no"]
    for row in rows:
        assert float(row["probability"]) == pytest.approx(by_hand(model, row), rel=1e-15)
        assert row["decision"] == str(int(float(row["probability"]) >= 0.5))
    assert (done.n_rows, done.n_positive) == (3, sum(row["decision"] == "1" for row in rows))


def test_columns_keep_the_order_of_the_file_and_what_is_not_needed_may_lack(model, places):
    source, target = places
    source.write_text("x,size,colour\n1,s,red\n")
    predict_file(model, source, target)
    assert target.read_text().splitlines()[0] == "x,size,colour,probability,decision"


def test_a_probability_is_the_same_bits_whatever_rows_stand_beside_it(model, places):
    source, target = places
    rng = np.random.default_rng(1)
    lines = [
        f"c{i},{('red', 'blue')[i % 2]},{('s', 'm', 'l', '')[i % 4]},{rng.gamma(1):.3f},no\n"
        for i in range(200)
    ]
    source.write_text(HEADER + "".join(lines))
    predict_file(model, source, target)
    together = {row["id"]: row["probability"] for row in scored(target)}
    for line in lines[::20]:
        source.write_text(HEADER + line)
        predict_file(model, source, target)
        (row,) = scored(target)
        assert row["probability"] == together[row["id"]]


def test_probabilities_are_the_same_bits_whatever_block_their_row_is_in(model, places, monkeypatch):
    source, target = places
    rng = np.random.default_rng(3)
    lines = [f"c{i},red,{'sml'[i % 3]},{rng.gamma(1)!r},no\n" for i in range(100)]
    source.write_text(HEADER + "".join(lines))
    predict_file(model, source, target)
    whole = target.read_bytes()
    for rows in (1, 7, 100):
        monkeypatch.setattr(predict, "BLOCK", rows)
        predict_file(model, source, target)
        assert target.read_bytes() == whole


def test_any_text_in_a_cell_comes_back_as_it_was(model, places):
    """Quotes, newlines of every kind, delimiters, letters of any language."""
    source, target = places
    texts = ['say "hi"', "two\nlines", "a\r\nb", "a\rb", "x,y", "größe — 日本 🚗", "1+1", " pad "]
    with source.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(HEADER.strip().split(","))
        writer.writerows([text, "red", "s", "1.50", "no"] for text in texts)
    predict_file(model, source, target)
    rows = scored(target)
    assert [row["id"] for row in rows] == texts
    assert {row["x"] for row in rows} == {"1.50"}
    assert pd.read_csv(target, keep_default_na=False)["id"].tolist() == texts


def test_a_text_that_a_spreadsheet_would_run_is_handed_on_with_an_apostrophe(model, places):
    source, target = places
    texts = ["=cmd|' /C calc'!A0", "+1", "-1.5", "@x", "-1+cmd", "c7"]
    with source.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER.strip().split(","), *(
            [text, "red", "s", "+2", "no"] for text in texts
        )])  # fmt: skip
    predict_file(model, source, target)
    guarded = ["'=cmd|' /C calc'!A0", "+1", "-1.5", "'@x", "'-1+cmd", "c7"]
    assert [row["id"] for row in scored(target)] == guarded
    assert {row["x"] for row in scored(target)} == {"+2"}


def test_a_file_that_one_reader_takes_fast_is_scored_as_by_the_exact_one(model, places):
    """A blank line, which changes nothing, is what the fast reader leaves to the exact one."""
    source, target = places
    rng = np.random.default_rng(2)
    lines = [f'"c{i}",red,{"sml"[i % 3]},{rng.gamma(1)!r},\n' for i in range(50)]
    source.write_text(HEADER + "".join(lines))
    predict_file(model, source, target)
    fast = target.read_bytes()
    source.write_text(HEADER + "\n" + "".join(lines))
    predict_file(model, source, target)
    assert target.read_bytes() == fast


def test_gzip_and_parquet_are_scored_as_the_csv_is(model, places):
    source, target = places
    frame = pd.DataFrame(
        {"id": [5, 6], "colour": ["red", "blue"], "size": ["s", None], "x": [0.1, None]}
    )
    frame.to_csv(source, index=False)
    predict_file(model, source, target)
    expected = scored(target)
    zipped, parquet = source.with_suffix(".csv.gz"), source.with_suffix(".parquet")
    zipped.write_bytes(gzip.compress(source.read_bytes()))
    frame.to_parquet(parquet)
    for other in (zipped, parquet):
        predict_file(model, other, target)
        assert scored(target) == expected


def test_the_decision_is_taken_at_the_threshold_of_the_run(model, places):
    source, target = places
    source.write_text(HEADER + "c,red,s,1,no\n")
    predict_file(model, source, target)
    p = float(scored(target)[0]["probability"])
    for threshold, decision in ((p, "1"), (math.nextafter(p, 1), "0")):
        at = Model(model.data, model.encoder, model.theta, threshold)
        predict_file(at, source, target)
        assert scored(target)[0]["decision"] == decision


def test_new_rows_may_come_in_a_file_of_another_form(model, places):
    source, target = places
    source.write_text(HEADER + "1,red,s,1234.5,no\n")
    predict_file(model, source, target)
    expected = scored(target)[0]["probability"]
    text = "Stand heute\nid;x;size;colour\nä; 1.234,5; s; red\n"
    source.write_bytes(text.encode("cp1252"))
    form = {
        "encoding": "cp1252", "delimiter": "semicolon", "decimal": "comma", "thousands": "point",
        "strip": True, "header": 2,
    }  # fmt: skip
    other = Model(model.data.in_form(form), model.encoder, model.theta, model.threshold)
    predict_file(other, source, target)
    assert scored(target)[0]["probability"] == expected
    again = from_json(to_json(other))  # a model keeps the form that it has learned with
    predict_file(again, source, target)
    assert scored(target)[0]["probability"] == expected
    with pytest.raises(ConfigError, match="decimal must be"):
        model.data.in_form({"decimal": ";"})


@pytest.mark.parametrize("crosses", [(), (("colour", "size"),)])
def test_a_category_that_train_lacks_is_counted_where_it_is_answered_by_zeros(places, crosses):
    source, target = places
    source.write_text(HEADER + "1,red,s,1,no\n2,green,s,1,no\n3,green,m,1,no\n")
    model = make_model("zeros", crosses)
    done = predict_file(model, source, target)
    (name,) = done.unseen
    assert name == ("colour:size" if crosses else "colour")
    assert done.unseen[name] == ({"green:m": 1, "green:s": 1} if crosses else {"green": 2})
    if not crosses:
        row = scored(target)[1]
        assert float(row["probability"]) == pytest.approx(by_hand(model, row), rel=1e-15)


def test_a_category_that_is_trains_only_one_is_a_contract_too(places):
    source, target = places
    data = make_model().data
    train = make_table({"colour": ["red"] * 2, "size": ["s", "m"], "x": [0.1, 0.2]}, [0, 1])
    open_column = data.columns["colour"].model_copy(update={"categories": None})
    data = data.model_copy(update={"columns": {**data.columns, "colour": open_column}})
    encoder = fit_encoder(train, EncodeSettings(), data)
    theta = np.zeros(len(encoder.inputs) + 1)
    model = from_json(to_json(Model(contract_for_new_rows(data, encoder), encoder, theta, 0.5)))
    source.write_text(HEADER + "1,red,s,1,no\n")
    predict_file(model, source, target)
    assert scored(target)[0]["probability"] == "0.5"


def test_the_rows_of_the_training_table_get_the_decisions_of_its_evaluation(project, places):
    """The confusion matrix of a run over all rows, counted again from its predictions."""
    (project / "data").mkdir()
    (project / "data" / "car.data").write_bytes(car.content())
    config = configuration(["split=none", "train.epochs=40"]).run_config()
    outcome = learn(prepare(config), config)
    source, target = places
    source.write_bytes(car.content())
    predict_file(write(outcome, project / "runs").model, source, target)
    counts = {(truth, said): 0 for truth in (0, 1) for said in "01"}
    for row in scored(target):
        counts[int(row["class"] != "unacc"), row["decision"]] += 1
    (tn, fp), (fn, tp) = outcome.evaluation.confusion
    assert counts == {(0, "0"): tn, (0, "1"): fp, (1, "0"): fn, (1, "1"): tp}


# --- bad rows are skipped --------------------------------------------------------------------

MIXED = (
    "1,red,s,1,no\n2,green,s,1,no\n3,red,s,-1,no\n4,red\n5,blue,xxl,ten,no\n"
    "6,blue,m,,yes\n\n7,red,s,1,no,more\n"
)


def test_good_rows_are_scored_as_alone_and_bad_ones_have_a_reason(model, places):
    source, target = places
    source.write_text(HEADER + MIXED)
    done = predict_file(model, source, target, skip=True)
    assert (done.n_rows, done.n_skipped) == (7, 5)
    rows = scored(target)
    assert [row["id"] for row in rows] == list("1234567")  # in order, the id carried through
    reasons = {row["id"]: row["reason"] for row in rows if row["reason"]}
    for i, parts in {
        "2": ["column colour", "blue, red", "'green'"], "3": ["column x", "at least 0", "'-1'"],
        "4": ["5 cells; got 2"], "5": ["size", "'xxl'", "; and column x", "number", "'ten'"],
        "7": ["5 cells; got 6"],
    }.items():  # fmt: skip
        reason = reasons.pop(i)
        assert all(part in reason for part in parts), reason
    assert not reasons
    assert {row["id"] for row in rows if row["probability"] and row["decision"]} == {"1", "6"}
    assert all(row["probability"] == row["decision"] == "" for row in rows if row["reason"])
    alone = source.with_name("good.csv")
    alone.write_text(HEADER + "1,red,s,1,no\n6,blue,m,,yes\n")
    predict_file(model, alone, target)
    assert [(row["probability"], row["decision"]) for row in scored(target)] == [
        (row["probability"], row["decision"]) for row in rows if row["id"] in "16"
    ]


def test_what_is_skipped_is_counted_by_rule_with_its_lines(model, places):
    source, target = places
    source.write_text(HEADER + MIXED)
    text = "\n".join(predict_file(model, source, target, skip=True).skipped)
    for part in ("2 rows have more or fewer", "colour", "line 3", "line 4", "'ten'", "line 6"):
        assert part in text


def test_a_file_without_a_bad_row_has_empty_reasons(model, places):
    source, target = places
    source.write_text(HEADER + "1,red,s,1,no\n")
    predict_file(model, source, target)
    plain = target.read_text()
    assert predict_file(model, source, target, skip=True).n_skipped == 0
    assert target.read_text() == plain.replace("decision\n", "decision,reason\n").replace(
        "0\n", "0,\n"
    ).replace("1\n", "1,\n")


def test_a_file_of_bad_rows_alone_has_no_probability(model, places):
    source, target = places
    source.write_text(HEADER + "1,green,s,1,no\n2,red\n")
    done = predict_file(model, source, target, skip=True)
    assert (done.n_rows, done.n_skipped, done.n_positive) == (2, 2, 0)
    assert [row["probability"] for row in scored(target)] == ["", ""]


def test_a_category_that_is_infrequent_is_scored_where_bad_rows_are_skipped_too(places):
    source, target = places
    columns = {"colour": {"kind": "categorical", "min_count": 2}}
    tree = {"name": "t", "path": "t.csv", "target": {"name": "class", "positive": ["yes"]}}
    data = DataSettings.parse(tree | {"columns": columns})
    train = make_table({"colour": ["red", "red", "blue"]}, [0, 1, 1])
    encoder = fit_encoder(train, EncodeSettings(unseen="refuse"), data)
    theta = np.zeros(len(encoder.inputs) + 1)
    model = Model(contract_for_new_rows(data, encoder), encoder, theta, 0.5)
    source.write_text("colour\nred\nblue\ngreen\n")
    assert predict_file(model, source, target).n_rows == 3
    assert predict_file(model, source, target, skip=True).n_skipped == 0


def test_a_category_of_which_train_has_a_single_one_is_skipped_too(places):
    source, target = places
    data = make_model().data
    train = make_table({"colour": ["red"] * 2, "size": ["s", "m"], "x": [0.1, 0.2]}, [0, 1])
    open_column = data.columns["colour"].model_copy(update={"categories": None})
    data = data.model_copy(update={"columns": {**data.columns, "colour": open_column}})
    encoder = fit_encoder(train, EncodeSettings(unseen="refuse"), data)
    theta = np.zeros(len(encoder.inputs) + 1)
    model = from_json(to_json(Model(contract_for_new_rows(data, encoder), encoder, theta, 0.5)))
    source.write_text(HEADER + "1,red,s,1,no\n2,blue,s,1,no\n")
    with pytest.raises(DataError, match="categories of train"):
        predict_file(model, source, target)
    done = predict_file(model, source, target, skip=True)
    assert done.skipped == ("column colour must have a category of train; got another in 1 row",)
    assert [row["probability"] for row in scored(target)] == ["0.5", ""]


@pytest.mark.parametrize("content", ['1,"red,s,1,no\n', "1,red,s,1,no\n\x00", "", "\n"])
def test_a_fault_of_the_file_is_refused_whatever_happens_to_bad_rows(model, places, content):
    source, target = places
    source.write_text(HEADER + content)
    with pytest.raises(DataError):
        predict_file(model, source, target, skip=True)
    assert not target.exists()


def test_a_column_that_is_named_as_the_reason_is_refused_where_there_is_one(model, places):
    source, target = places
    columns = {**model.data.columns, "reason": model.data.columns["id"]}
    other = replace(model, data=model.data.model_copy(update={"columns": columns}))
    source.write_text("colour,size,x,reason\nred,s,1,0\n")
    predict_file(other, source, target)
    with pytest.raises(DataError, match=r"'reason'.*leave it out"):
        predict_file(other, source, target, skip=True)


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1,red,s,1,no\n2,green,s,1,no\n", ["colour", "blue, red", "'green'", "line 3"]),
        ("1,red,xxl,1,no\n", ["size", "s, m, l", "'xxl'", "line 2"]),
        ("1,red,s,-1,no\n1,red,s,ten,no\n", ["x", "'-1'", "line 2", "'ten'", "line 3"]),
        ("1,,s,1,no\n", ["colour", "missing", "line 2"]),
        ("1,red,s,inf,no\n", ["x", "'inf'"]),
        ("1,red,s\n", ["5 cells", "got 3", "line 2"]),
        ("", ["hold rows"]),
    ],
)
def test_a_row_that_breaks_the_contract_is_named_and_nothing_is_written(model, places, text, parts):
    source, target = places
    source.write_text(HEADER + text)
    with pytest.raises(DataError) as caught:
        predict_file(model, source, target)
    for part in parts:
        assert part in str(caught.value)
    assert list(target.parent.iterdir()) == [source]


def test_a_million_offending_values_make_a_short_message(model, places):
    source, target = places
    source.write_text(HEADER + "".join(f"1,colour{i},s{i},x{i},no\n" for i in range(20_000)))
    with pytest.raises(DataError) as caught:
        predict_file(model, source, target)
    assert len(str(caught.value)) <= MAX_MESSAGE


@pytest.mark.parametrize("content", [b"", b"  \n", b"id,colour\n", b"colour;size;x\nred;s;1\n"])
def test_a_file_that_is_no_table_of_the_contract_is_refused(model, places, content):
    source, target = places
    source.write_bytes(content)
    with pytest.raises(DataError):
        predict_file(model, source, target)
    assert not target.exists()


@pytest.mark.parametrize("name", ["probability", "decision"])
def test_a_column_of_the_name_of_a_result_is_refused_with_the_cure(model, places, name):
    source, target = places
    source.write_text(f"colour,size,x,{name}\nred,s,1,0\n")
    columns = {**model.data.columns, name: model.data.columns["id"]}
    other = model.data.model_copy(update={"columns": columns})
    with pytest.raises(DataError, match=f"'{name}'.*leave it out"):
        predict_file(Model(other, model.encoder, model.theta, 0.5), source, target)


def test_an_input_that_cannot_be_read_is_named(model, places):
    """G01, G02: missing, a folder, a link to nothing, a device."""
    source, target = places
    link = source.with_name("link.csv")
    link.symlink_to("nowhere")
    for path in (source, link, source.parent, Path("/dev/zero")):
        with pytest.raises(DataError, match=path.name):
            predict_file(model, path, target)


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_read(model, places):
    source, _ = places
    source.write_text(HEADER + "1,red,broken,1,no\n")  # if it were read, this would be DataError
    (source.parent / "folder.csv").mkdir()
    os.mkfifo(source.parent / "pipe")
    for target, rule in (
        (source, "not be INPUT"),
        (source.parent / "no" / "where.csv", "in a folder"),
        (source.parent / "folder.csv", "be a file"),
        (source.parent / "pipe", "be a file"),
        (Path("/dev/null"), "be a file"),
        (source.parent / "out.parquet", "a CSV file"),
        (source.parent / ("x" * 300), "in reach"),
    ):
        with pytest.raises(ConfigError, match=rule) as error:
            predict_file(model, source, target)
        assert repr(str(target)) in str(error.value)
    assert source.read_text().startswith(HEADER)


def test_a_link_to_the_input_is_the_input(model, places):
    source, target = places
    source.write_text(HEADER + "1,red,s,1,no\n")
    target.symlink_to(source)
    with pytest.raises(ConfigError, match="not be INPUT"):
        predict_file(model, source, target)


def test_a_disk_that_is_full_leaves_the_old_output_and_no_partial_file(
    model, places, fork, exit_codes
):
    source, target = places
    source.write_text(HEADER + "1,red,s,1,no\n" * 5000)
    target.write_text("before")

    def predict_with_a_limit() -> None:
        import resource

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        with pytest.raises(ConfigError, match="file too large"):
            predict_file(model, source, target)

    assert exit_codes([fork(predict_with_a_limit)]) == [0]
    assert target.read_text() == "before"
    assert sorted(target.parent.iterdir()) == [source, target]


def test_the_output_is_its_owners_alone(model, places):
    """H05."""
    source, target = places
    source.write_text(HEADER + "1,red,s,1,no\n")
    predict_file(model, source, target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_model_that_was_altered_by_one_byte_is_refused(project):
    """H02."""
    record = write(make_finished(), project / "runs")
    path = record.path / "model.json"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(RecordError, match="altered"):
        find("latest", project / "runs")


KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.stages.predict import from_json, predict_file
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
predict_file(from_json(sys.stdin.read()), Path(sys.argv[1]), Path(sys.argv[2]))
"""


def of_the_format_before(model: Model) -> dict:
    """The model as an earlier version wrote it: all missing values, by the word missing."""
    tree = json.loads(to_json(model).replace("\\u0000missing", "missing"))
    tree["data"] = {k: tree["data"][k] for k in ("name", "path", "target", "columns")}
    tree["data"]["missing_values"] = [*MISSING_VALUES, "-"]
    for block in tree["encoder"]["blocks"]:
        for name in ("edges", "infrequent", "rest"):
            block.pop(name, None)
    return tree | {"format": 2}


def test_a_model_of_the_format_before_scores_as_it_did(model, places):
    source, target = places
    source.write_text(HEADER + "1,red,s,0.5,yes\n2,blue,,,no\n3,blue,m,2,no\n")
    before = of_the_format_before(model)
    read = from_json(json.dumps(before))
    assert read.data.missing_values == ("-",)
    predict_file(model, source, target)
    expected = target.read_bytes()
    predict_file(read, source, target)
    assert target.read_bytes() == expected
    before["data"]["missing_values"].remove("NA")  # which was a word then
    with pytest.raises(DataError, match=r"got none of \['NA'\]: train it again"):
        from_json(json.dumps(before))


def test_a_model_of_an_unknown_format_is_to_be_trained_again(model):
    tree = json.loads(to_json(model)) | {"format": 99}
    with pytest.raises(DataError, match="must be 2 or 3; got 99, of another version: train it"):
        from_json(json.dumps(tree))


def test_a_kill_in_the_middle_of_writing_leaves_no_half_output(model, places):
    source, target = places
    source.write_text(HEADER + "1,red,s,1,no\n" * 100)
    command = [sys.executable, "-c", KILLED, str(source), str(target)]
    killed = subprocess.run(command, input=to_json(model).encode(), check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not target.exists()
    assert len(list(target.parent.iterdir())) == 2  # the control: it had written beside
    predict_file(model, source, target)
    assert len(scored(target)) == 100


# --- files that are longer than is held -----------------------------------------------------------


def long_file(path: Path, n: int = 5000, bad: int | None = None) -> Path:
    """Rows of every kind, in the form of the name; row ``bad`` breaks the contract."""
    rng = np.random.default_rng(0)
    x = rng.gamma(2.0, size=n).round(3)
    if bad is not None:
        x[bad] = -1.0
    frame = pd.DataFrame({
        "id": np.arange(n), "colour": rng.choice(["red", "blue"], n),
        "size": rng.choice(["s", "m", "l"], n), "x": x, "class": rng.choice(["yes", "no"], n),
    })  # fmt: skip
    if path.suffix == ".parquet":
        frame.to_parquet(path, row_group_size=700)
    else:
        if path.stem == "quoted":  # which only the exact reader reads
            frame["id"] = "a\nb"
        frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["t.parquet", "t.csv", "quoted.csv"])
def test_a_long_file_is_scored_in_parts_to_the_same_bytes(tmp_path, monkeypatch, name):
    model, source = make_model(unseen="zeros"), long_file(tmp_path / name)
    whole = predict_file(model, source, tmp_path / "whole.csv")
    monkeypatch.setattr(in_order, "PART", 1024)
    held = []
    monkeypatch.setattr(predict, "score", lambda *a: held.append(len(a[1])) or score(*a))
    assert predict_file(model, source, tmp_path / "parts.csv") == whole
    assert len(held) > 1
    assert max(held) <= 2048
    assert (tmp_path / "parts.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


@pytest.mark.parametrize("name", ["t.parquet", "t.csv"])
def test_a_bad_row_far_down_a_long_file_is_named_and_nothing_is_written(
    tmp_path, monkeypatch, name
):
    source = long_file(tmp_path / name, bad=2600)
    monkeypatch.setattr(in_order, "PART", 2048)
    line = 2601 + name.endswith(".csv")
    with pytest.raises(DataError, match=rf"(?s)column x must.*line {line}.*rows after line"):
        predict_file(make_model(), source, tmp_path / "out.csv")
    assert {path.name for path in tmp_path.iterdir()} == {name}
