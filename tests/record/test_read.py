"""What is read is what was committed, and is read once; anything else is refused."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import copy_project, make_environment, make_finished, make_refused, reseal, start

from pipeline import files
from pipeline.record import Record, RecordError, read, read_head, write
from pipeline.record.head import RESULT, parse_head, seal_of
from pipeline.record.read import MAX_BYTES, MAX_RESULT, verified


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Record:
    return write(make_finished(), tmp_path_factory.mktemp("runs"), here=make_environment())


@pytest.fixture
def record(whole, tmp_path) -> Record:
    """A copy, to be damaged."""
    return read(Path(shutil.copytree(whole.path, tmp_path / "runs" / whole.identity)))


def tree_of(record: Record) -> dict:
    return json.loads((record.path / RESULT).read_bytes())


def altered(path: Path) -> None:
    content = bytearray((path / "curve.csv").read_bytes())
    content[-2] ^= 1
    (path / "curve.csv").write_bytes(content)


def linked(path: Path) -> None:
    shutil.move(path / "model.json", path.parent / "elsewhere.json")
    (path / "model.json").symlink_to(path.parent / "elsewhere.json")


def piped(name: str) -> Callable[[Path], None]:
    def pipe(path: Path) -> None:
        (path / name).unlink()
        os.mkfifo(path / name)

    return pipe


def folder(path: Path) -> None:
    (path / "model.json").unlink()
    (path / "model.json").mkdir()


def padded(name: str, n: int) -> Callable[[Path], None]:
    def pad(path: Path) -> None:
        with (path / name).open("ab") as file:
            file.truncate((path / name).stat().st_size + n)

    return pad


def figure(path: Path) -> None:
    text = (path / RESULT).read_text()
    (path / RESULT).write_text(text.replace("0.75", "0.95"))


DAMAGES = {
    "a file missing": lambda path: (path / "model.json").unlink(),
    "a file altered": altered,
    "a file shortened": lambda path: os.truncate(path / "curve.csv", 100),
    "a byte more": padded("curve.csv", 1),
    "many bytes more": padded("curve.csv", 2**40),
    "another file": lambda path: (path / "model.json").write_text("{}"),
    "a file elsewhere": linked,
    "a file a pipe": piped("model.json"),
    "a file a folder": folder,
    "a figure altered": figure,
    "result missing": lambda path: (path / RESULT).unlink(),
    "result a pipe": piped(RESULT),
    "result cut": lambda path: os.truncate(path / RESULT, 1000),
    "result empty": lambda path: os.truncate(path / RESULT, 0),
    "result endless": padded(RESULT, 2**40),
    "result of another run": lambda path: reseal(path, identity="f" * 32),
    "result nested too deep": lambda path: (path / RESULT).write_text("[" * 10**5),
    "result no object": lambda path: (path / RESULT).write_text("[1]"),
    "result no text": lambda path: (path / RESULT).write_bytes(b"\xff\xfe\x00"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_record_is_refused_and_replaced_by_the_next_run(damage, record):
    """C17, H02: each file by its sha256, and none through a link or a pipe."""
    damage(record.path)
    with pytest.raises(RecordError) as refusal:
        read(record.path)
    assert refusal.value.exit_code == 3
    assert len(str(refusal.value)) < 500 + len(str(record.path))
    again = write(make_finished(), record.path.parent, here=make_environment())
    assert (again.repeat, again.head.attempt != record.head.attempt) == (None, True)
    assert read(again.path).head == again.head


def test_an_undamaged_record_is_not_replaced(record):
    """The negative control."""
    again = write(make_finished(), record.path.parent, here=make_environment())
    assert again.repeat.identical


def test_what_is_altered_after_reading_is_not_what_is_used(record):
    """H02: the bytes that were verified are in memory."""
    model = record.files["model.json"]
    for name in record.files:
        (record.path / name).write_bytes(b"altered")
    assert record.text("model.json").encode() == model
    assert record.model.data.name == "tiny"


def test_a_file_that_is_not_there_is_refused_by_its_name(tmp_path):
    record = write(make_refused(), tmp_path, here=make_environment())
    for use in (lambda: record.model, lambda: record.evaluation, lambda: record.json("x.json")):
        with pytest.raises(RecordError, match=r"must hold \w+\.json"):
            use()


def test_a_finished_record_must_be_complete(record):
    entries = tree_of(record)["files"]
    del entries["evaluation.json"]
    reseal(record.path, files=entries)
    with pytest.raises(RecordError, match=r"evaluation\.json"):
        read(record.path)


def test_reading_a_record_imports_neither_mlflow_nor_hydra():
    """The record stands below both."""
    code = "import pipeline.record, sys; sys.exit(bool({'mlflow', 'hydra'} & {*sys.modules}))"
    subprocess.run([sys.executable, "-c", code], cwd=files.PROJECT, check=True)


WATCH = """
import os, sys
def watch(event, args):
    if event == "open" and isinstance(args[0], str) and "/runs/" in args[0]:
        line = f"{os.getpid()} {args[0]}\\n".encode()
        os.write(log, line)
log = os.open(os.environ["OPENED"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
sys.addaudithook(watch)
"""


@pytest.mark.exhaustive
def test_a_run_reads_no_file_of_its_record_but_once_to_publish_it(tmp_path, store_template):
    """Of every process of the command, every file that is opened, by Python's own count."""
    folder = copy_project(tmp_path / "project", store_template)
    (tmp_path / "hook").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(WATCH)
    log = tmp_path / "opened"
    path = f"{tmp_path / 'hook'}{os.pathsep}{folder}"
    process = start(folder, "train.epochs=3", PYTHONPATH=path, OPENED=str(log))
    _, err = process.communicate(timeout=250)
    assert process.returncode == 0, err
    (record,) = [read(path) for path in (folder / "runs").iterdir() if path.is_dir()]
    opened = [line.split(" ", 1) for line in log.read_text().splitlines()]
    partial = record.path.parent / ".tmp" / record.identity
    written = [path for pid, path in opened if pid == str(process.pid)]
    assert {str(partial / name) for name in (RESULT, *record.files)} <= {*written}  # the control
    begun = opened.index([str(process.pid), str(partial / RESULT)])
    readers = {pid for pid, path in opened[begun:] if Path(path).parent == record.path}
    assert len(readers - {str(process.pid)}) == 1
    for name in (RESULT, *record.files):
        assert [pid for pid, path in opened[begun:] if path == str(record.path / name)] == [
            *(readers - {str(process.pid)})
        ], name


# --- heads that somebody wrote who knows how they are sealed --------------------------------------

BAD_NAMES = ["/etc/passwd", "../x", "a/../../x", "..", ".", "", "a//b", "a/", "./a", "a\\b", "a\0b",
             "C:x", "a\nb", "x" * 100_000, "result.json", "published.json", ".hidden",
             "views/x.png", "model.json/x", "MODEL.JSON"]  # fmt: skip


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_no_file_of_a_record_has_is_refused(name, record):
    """H07, J01: also where result.json itself was forged to name it."""
    entries = tree_of(record)["files"] | {name: {"sha256": "0" * 64, "bytes": 0}}
    reseal(record.path, files=entries)
    with pytest.raises(RecordError) as refusal:
        read_head(record.path)
    assert len(str(refusal.value)) < 300 + len(str(record.path))


MISSHAPEN = [
    {"files": []},
    {"files": {"curve.csv": None}},
    {"files": {"curve.csv": {"sha256": 1, "bytes": "many"}}},
    {"files": {"curve.csv": {"sha256": "0" * 64, "bytes": -1}}},
    {"files": {"curve.csv": {"sha256": "0" * 64, "bytes": 1, "path": "/etc"}}},
    {"files": {"curve.csv": {"sha256": "F" * 64, "bytes": 1}}},
    {"started_ms": "now"},
    {"started_ms": "1"},
    {"started_ms": True},
    {"started_ms": 1.0},
    {"started_ms": 10**30},
    {"ended_ms": -1},
    {"status": "<b>FINE</b>"},
    {"experiment": None},
    {"overrides": 3},
    {"overrides": [1]},
    {"metrics": [["a", 1]]},
    {"metrics": {"a": "high"}},
    {"metrics": {"a": 1}},
    {"metrics": {"a": float("nan")}},
    {"metrics": {"a": float("inf")}},
    {"config": []},
    {"config": {"a": float("nan")}},
    {"best_epoch": {}},
    {"failure": {"kind": "X"}},
    {"failure": {"kind": "X", "message": 1, "traceback": None, "exit_code": 1}},
    {"certificate": {"verdict": "perfect"}},
    {"certificate": {"verdict": "converged", "gap": "small"}},
    {"certificate": {"verdict": "converged", "more": 1}},
    {"certificate": 3},
    {"attempt": 7},
    {"attempt": "../../ab"},
    {"format": 1},
    {"format": 3},
    {"format": [[]]},
    {"identity": "../evil"},
    {"identity": ""},
    {"identity": "." * 32},
    {"identity": "F" * 32},
    {"lineage": None},
    {"lineage": {}},
    {"more": 1},
]


@pytest.mark.parametrize("changes", MISSHAPEN, ids=lambda changes: str(changes)[:60])
def test_a_sealed_head_of_another_shape_is_refused(changes, record):
    """Whoever writes a head by hand can seal it as well."""
    tree = {**tree_of(record), **changes}
    del tree["seal"]
    text = json.dumps(tree, sort_keys=True, separators=(",", ":"))
    tree["seal"] = hashlib.sha256(text.encode()).hexdigest()
    with pytest.raises(RecordError) as refusal:
        parse_head(json.dumps(tree).encode(), record.identity, "here")
    assert len(str(refusal.value)) < 300


@pytest.mark.parametrize(
    "changes",
    [
        {"identity": "f" * 32},
        {"data_digest": "no"},
        {"git_commit": "--upload-pack=evil"},
        {"git_commit": 7},
        {"versions": {"numpy": 1}},
        {"platform": None},
        {"git_diff": "planted"},
        {"more": 1},
    ],
)
def test_a_sealed_lineage_of_another_shape_is_refused(changes, record):
    reseal(record.path, lineage=tree_of(record)["lineage"] | changes)
    with pytest.raises(RecordError):
        read_head(record.path)


def test_a_head_that_was_sealed_honestly_is_read(record):
    """The negative control."""
    reseal(record.path, experiment="another")
    assert read_head(record.path).experiment == "another"


def test_a_record_of_another_version_names_the_commit_that_reads_it(record):
    reseal(record.path, format=7)
    with pytest.raises(RecordError) as refusal:
        read(record.path)
    assert str(refusal.value) == (
        f"record format must be 2; got 7 in {record.path}: made by another version; commit "
        f"{record.head.lineage.git_commit} reads it"
    )


# --- records from elsewhere -----------------------------------------------------------------------


def from_elsewhere(record: Record, **others: bytes) -> Record:
    """The record with other files, listed and sealed as they are, as a server would hand it on."""
    content = {**record.files, **others}
    entries = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in content.items()
    }
    tree = record.head.model_dump() | {"files": entries}
    del tree["seal"]
    text = json.dumps({**tree, "seal": seal_of(tree)})
    head = parse_head(text.encode(), record.identity, "there")
    return verified(record.path, head, lambda name, size: content[name], "fetched")


def test_a_record_from_elsewhere_is_verified_and_knows_its_source(whole):
    found = from_elsewhere(whole)
    assert (found.files, found.source, found.repeat) == (whole.files, "fetched", None)


HOSTILE_FILES = {
    "evaluation is a list": {"evaluation.json": b"[]"},
    "evaluation is deep": {"evaluation.json": b"[" * 100_000},
    "evaluation has words": {"evaluation.json": b'{"metrics": {"accuracy": "high"}}'},
    "effects are empty": {"effects.json": b"{}"},
    "effects are words": {
        "effects.json": b'{"effects": [], "ranking": [{"attribute": 1, "loss_rise": "x"}], '
        b'"intercept": 0}'
    },
    "model is no text": {"model.json": b"\xff"},
    "model is empty": {"model.json": b"{}"},
    "model has NaN": {"model.json": b'{"format": 1, "blocks": [], "theta": [NaN]}'},
    "validation is no JSON": {"validation.json": b"<script>"},
    "curve is empty": {"curve.csv": b""},
    "curve has no epoch": {"curve.csv": b"epoch,objective,train_loss,train_accuracy\n"},
    "distributions have other counts": {
        "distributions.json": b'[{"column": "x", "edges": [1], "categories": [], "count": [1]}]'
    },
    "distributions hold NaN": {
        "distributions.json": b'[{"column": "x", "edges": [NaN], "categories": [], '
        b'"count": [1, 2, 3]}]'
    },
    "losses of test are empty": {"test_losses.npy": b""},
    "losses are a pickle": {"validation_losses.npy": b"\x80\x04N."},
    "optimism has words": {"optimism.json": b'{"refits": "many"}'},
    "surface is a number": {"surface.json": b"3"},
    "path is a list": {"penalty_path.json": b"[]"},
}


@pytest.mark.parametrize("others", HOSTILE_FILES.values(), ids=HOSTILE_FILES)
def test_a_listed_file_of_another_shape_is_refused(others, whole):
    with pytest.raises(RecordError) as refusal:
        from_elsewhere(whole, **others)
    assert len(str(refusal.value)) < 500 + len(str(whole.path))


@pytest.mark.parametrize(
    ("group", "key", "value"),
    [
        ("data", "path", 3),
        ("data", "name", None),
        ("split", "name", ["x"]),
        ("optimiser", "name", {}),
        ("train", "epochs", "many"),
        ("train", "epochs", True),
    ],
)
def test_a_configuration_of_another_shape_is_refused(group, key, value, whole):
    config = {**whole.config, group: {**whole.config[group], key: value}}
    other = Record(whole.path, whole.head.model_copy(update={"config": config}), whole.files)
    with pytest.raises(RecordError):
        from_elsewhere(other)


@pytest.mark.parametrize("group", ["data", "split", "optimiser", "train", "seed"])
def test_a_configuration_that_lacks_a_group_is_refused(group, whole):
    config = {name: value for name, value in whole.config.items() if name != group}
    other = Record(whole.path, whole.head.model_copy(update={"config": config}), whole.files)
    with pytest.raises(RecordError):
        from_elsewhere(other)


def test_bytes_that_are_not_those_that_were_committed_are_refused(whole):
    """J01: of whatever comes, nothing is written before it was found to be whole."""
    asked: list[tuple[str, int]] = []

    def fetch(name: str, size: int) -> bytes:
        asked.append((name, size))
        return whole.files[name] + b"x" * (name == "model.json")

    with pytest.raises(RecordError, match=r"model\.json must have sha256"):
        verified(whole.path, whole.head, fetch)
    assert asked == [(name, whole.head.files[name].bytes) for name, _ in asked]
    assert asked[-1][0] == "model.json"


def test_more_than_a_record_can_hold_is_refused_before_any_of_it_is_fetched(record):
    """Each file may be that large, but not all of them together."""
    half = {"sha256": "0" * 64, "bytes": MAX_BYTES // 2 + 1}
    entries = tree_of(record)["files"] | {"model.json": half, "curve.csv": half}
    reseal(record.path, files=entries)
    with pytest.raises(RecordError, match="at most 1,073,741,824 bytes"):
        verified(record.path, read_head(record.path), lambda name, size: pytest.fail(name))


def test_a_head_that_is_too_long_is_refused(whole):
    content = (whole.path / RESULT).read_bytes()
    assert parse_head(content + b" ", whole.identity, "") == whole.head  # the control
    assert len(content) < MAX_RESULT / 100
