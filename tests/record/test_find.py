"""A word finds the record that it names, or candidates; where a record is published is known."""

from pathlib import Path

import pytest
from builders import make_environment, make_finished, make_refused, reseal

from pipeline.errors import ConfigError
from pipeline.record import (
    Record,
    RecordError,
    find,
    heads,
    mark_member,
    mark_published,
    published_runs,
    read,
    write,
)
from pipeline.record.find import PUBLISHED

STORE, SERVER = "sqlite:///mlflow.db", "http://host"


def renamed(outcome, folder: Path, identity: str, started_ms: int = 0) -> Record:
    """The record of a run that has this identity."""
    record = write(outcome, folder, here=make_environment(), started_ms=started_ms)
    record.path.rename(folder / identity)
    lineage = record.head.lineage.model_dump() | {"identity": identity}
    reseal(folder / identity, identity=identity, lineage=lineage)
    return read(folder / identity)


A, B, C = "aaaa1111" * 4, "aaaa2222" * 4, "cccc3333" * 4


@pytest.fixture
def three(tmp_path) -> Path:
    renamed(make_finished(), tmp_path, A, 2000)
    mark_published(renamed(make_finished(), tmp_path, B, 1000), STORE, "fedcba98" * 4)
    renamed(make_refused(), tmp_path, C, 3000)
    return tmp_path


@pytest.mark.parametrize(
    ("word", "identity"),
    [
        ("latest", A),  # C did not finish
        ("aaaa2", B),
        (f" {A.upper()} ", A),
        ("cccc", C),
        ("fedcba98" * 4, B),
    ],
)
def test_a_record_is_found_by_latest_by_its_identity_and_by_its_run(word, identity, three):
    assert find(word, three).identity == identity


def test_heads_come_by_the_time_of_their_start_without_what_is_damaged(three):
    assert [head.identity for head in heads(three)] == [B, A, C]
    (three / A / "result.json").write_text("{}")
    (three / ("e" * 32)).write_text("")
    assert [head.identity for head in heads(three)] == [B, C]
    assert heads(three / "none") == []


@pytest.mark.parametrize("word", ["aaaa", "dddd", "", "aa", "*", "../x", "latest ", ".lock", "\0"])
def test_a_word_that_means_no_record_or_several_is_refused_with_candidates(word, three):
    with pytest.raises(ConfigError, match=r"aaaa2222aaaa \(FINISHED\)") as refusal:
        find(word, three)
    assert refusal.value.exit_code == 2


def test_latest_of_nothing_is_refused(tmp_path):
    for word in ("latest", "aaaa1111"):
        with pytest.raises(ConfigError, match="none"):
            find(word, tmp_path / "runs")


def test_a_damaged_record_that_is_asked_for_is_named_as_damaged(three):
    (three / A / "result.json").write_text("{}")
    with pytest.raises(RecordError, match=r"result\.json must be whole"):
        find(A[:6], three)


def test_publication_is_remembered_by_store_and_does_not_damage_the_record(three):
    record = read(three / A)
    mark_published(record, STORE, "1")
    mark_published(record, SERVER, "2", "http://host/2")
    found = {address: (r.run_id, r.url) for address, r in published_runs(A, three).items()}
    assert found == {STORE: ("1", None), SERVER: ("2", "http://host/2")}
    assert [run.url for run in published_runs(B, three).values()] == [None]
    assert read(three / A).files == record.files


def test_a_member_of_several_sweeps_is_remembered_where_it_is_published(three):
    record = read(three / A)
    mark_published(record, STORE, "1")
    for sweep in ("one", "two", "one"):
        mark_member(record, STORE, sweep)
    mark_member(record, SERVER, "three")  # not published there
    mark_published(record, STORE, "1")
    found = published_runs(A, three)
    assert {address: run.sweeps for address, run in found.items()} == {STORE: ("one", "two")}


def test_another_attempt_is_not_published_yet(tmp_path):
    first = write(make_refused(), tmp_path, here=make_environment())
    second = write(make_refused(), tmp_path, here=make_environment())
    mark_published(first, STORE, "1")  # by a process that was slower
    assert published_runs(first.identity, tmp_path) == {}
    mark_published(second, STORE, "2")
    assert published_runs(first.identity, tmp_path)[STORE].run_id == "2"


@pytest.mark.parametrize(
    "content",
    [b"", b"[", b"[]", b"3", b"\xff", b"[" * 100_000, b'{"attempt": 1}', b'{"runs": {"a": 1}}',
     b'{"attempt": "0", "runs": {"a": {"run_id": null}}}', b"null", None],
    ids=lambda content: repr(content)[:30],
)  # fmt: skip
def test_a_damaged_file_is_as_good_as_none_and_is_written_anew(content, three):
    record = read(three / A)
    (three / A / PUBLISHED).mkdir() if content is None else (three / A / PUBLISHED).write_bytes(
        content
    )
    assert published_runs(A, three) == {}
    mark_member(record, STORE, "one")
    if content is not None:
        mark_published(record, STORE, "1")
        assert published_runs(A, three)[STORE].run_id == "1"
