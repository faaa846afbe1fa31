"""A sweep is remembered in one file, and found by its name, its id, or as the latest."""

import json

import pytest

from pipeline.errors import ConfigError
from pipeline.sweeps.grid import expand
from pipeline.sweeps.manifest import Member, Sweep, find_sweep, read_sweep, sweep_id, write_sweep


def make(digits: str, name: str, started_ms: int, message: str = "") -> Sweep:
    members = (Member(0, ("seed=0",), "a" * 32), Member(1, ("seed=1",), None, message, "1.log"))
    return Sweep(digits, name, ("seed=0,1",), ("seed",), started_ms, members)


def test_what_was_written_is_read_again(project):
    sweep = make("0123456789ab", "rates", 5)
    write_sweep(sweep)
    assert read_sweep(sweep.folder) == sweep
    assert (sweep.folder / "sweep.json").stat().st_mode & 0o077 == 0


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


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 9}', b'{"format": 1}', b"\xff"])
def test_a_damaged_file_is_no_sweep_and_hides_no_other(project, content):
    write_sweep(make("aaaa00000000", "rates", 1))
    damaged = make("bbbb00000000", "rates", 2)
    write_sweep(damaged)
    (damaged.folder / "sweep.json").write_bytes(content)
    assert find_sweep("latest").id == "aaaa00000000"


def test_a_secret_in_a_message_is_not_remembered(project, monkeypatch):
    monkeypatch.setenv("A_TOKEN", "s3cr3t-Value-9913")
    sweep = make("aaaa00000000", "rates", 1, "at http://u:s3cr3t-Value-9913@host")
    write_sweep(sweep)
    assert "s3cr3t" not in (sweep.folder / "sweep.json").read_text()
    assert json.loads((sweep.folder / "sweep.json").read_text())["members"][1]["message"]


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
