"""A sweep is remembered in one file, and found by its name, its id, or as the latest."""

import hashlib
import json

import pytest

from pipeline.errors import ConfigError
from pipeline.sweeps.grid import expand
from pipeline.sweeps.manifest import (
    Member,
    Sweep,
    find_sweep,
    new_sweep,
    read_sweep,
    sweep_id,
    write_sweep,
)

GRID = expand(["seed=0,1"])


def make(digits: str, name: str, started_ms: int) -> Sweep:
    members = (Member(0, ("seed=0",), "a" * 32), Member(1, ("seed=1",), None, "no data"))
    return Sweep(digits, name, ("seed=0,1",), ("seed",), started_ms, members)


def test_what_was_written_is_read_again(project):
    sweep = make("0123456789ab", "rates", 5)
    write_sweep(sweep)
    assert read_sweep(sweep.folder) == sweep
    assert sweep.log(1) == sweep.folder / "logs" / "00001.log"
    assert (sweep.folder / "sweep.json").stat().st_mode & 0o077 == 0


def test_the_id_is_the_hash_of_the_name_and_of_each_run_whole():
    grid = expand(["seed=range(3)", "encode=onehot,crosses", "sweep.name='ä b'"])
    whole = json.dumps([grid.name, *(repr(job.config) for job in grid.jobs)])
    assert sweep_id(grid) == hashlib.sha256(whole.encode()).hexdigest()[:12]


def test_a_sweep_that_was_remembered_with_indents_is_read(project):
    sweep = make("0123456789ab", "rates", 5)
    write_sweep(sweep)
    path = sweep.folder / "sweep.json"
    path.write_text(json.dumps(json.loads(path.read_text()), indent=1))
    assert read_sweep(sweep.folder) == sweep


def test_a_sweep_is_found_by_name_by_id_and_as_the_latest(project):
    for digits, name, started in (("aaaa00000000", "rates", 1), ("bbbb00000000", "rates", 3),
                                  ("cccc00000000", "l2", 2)):  # fmt: skip
        write_sweep(make(digits, name, started))
    assert find_sweep("latest").id == "bbbb00000000"
    assert find_sweep("rates").id == "bbbb00000000"  # the later one of that name
    assert find_sweep("aaaa").id == "aaaa00000000"
    assert find_sweep("l2").id == "cccc00000000"


@pytest.mark.parametrize("word", ["nonesuch", "aaa", ""])
def test_a_word_that_names_no_sweep_is_refused_with_those_that_there_are(project, word):
    write_sweep(make("aaaa00000000", "rates", 1))
    with pytest.raises(ConfigError, match=r"got '\w*', have rates \(aaaa00000000\)"):
        find_sweep(word)


def test_without_any_the_cure_is_named(project):
    with pytest.raises(ConfigError, match="have none: make sweep"):
        find_sweep("latest")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 2}', b"\xff"])
def test_a_damaged_file_is_no_sweep_and_hides_no_other(project, content):
    write_sweep(make("aaaa00000000", "rates", 1))
    damaged = make("bbbb00000000", "rates", 2)
    write_sweep(damaged)
    (damaged.folder / "sweep.json").write_bytes(content)
    assert find_sweep("latest").id == "aaaa00000000"


def test_what_another_version_has_written_is_no_sweep(project):
    sweep = make("aaaa00000000", "rates", 1)
    write_sweep(sweep)
    path = sweep.folder / "sweep.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 1}))
    assert read_sweep(sweep.folder) is None


def test_a_secret_is_not_remembered(monkeypatch):
    monkeypatch.setenv("A_TOKEN", "s3cr3t-Value-9913")
    secret = "http://u:s3cr3t-Value-9913@host"
    sweep = new_sweep(GRID, [f"name={secret}"], [Member(0, (f"name={secret}",), None, secret)])
    assert "s3cr3t" not in repr(sweep)
    assert "host" in sweep.members[0].message


def test_the_same_command_is_the_same_sweep_and_another_grid_or_name_is_not():
    ids = [
        sweep_id(expand(words))
        for words in (
            ["seed=0,1"], ["seed=range(2)"], ["seed=0,1", "sweep.retry=3"],
            ["seed=0,1", "tracking.uri=http://127.0.0.1:9"], ["seed=0,2"],
            ["seed=0,1", "sweep.name=b"],
        )
    ]  # fmt: skip
    assert ids[0] == ids[1] == ids[2] == ids[3]
    assert len(set(ids)) == 3
