"""What was made here is known by its content; code of others runs where it is trusted by name."""

import shutil
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from builders import CONFIG, make_environment, make_finished, make_refused, reseal

from pipeline import files
from pipeline.errors import ConfigError
from pipeline.record import Record, adopt, made_here, read, write
from pipeline.record.transfer import export_record, import_record
from pipeline.record.trust import MADE, require_trust

CHANGES = make_environment(git_dirty=True, git_diff="+evil\n")


def made(folder: Path, outcome=None, here=CHANGES) -> Record:
    return write(outcome or make_finished(), folder, here=here)


# --- what is remembered ---------------------------------------------------------------------------


def test_a_record_that_was_written_here_is_made_here_and_the_list_is_private(tmp_path):
    runs = tmp_path / "runs"
    records = [made(runs, make_finished(config=CONFIG | {"seed": seed})) for seed in range(3)]
    assert all(made_here(record, runs) for record in records)
    assert stat.S_IMODE((runs / MADE).stat().st_mode) == 0o600
    assert not made_here(records[0], tmp_path / "other")


def test_the_same_run_again_adds_nothing_to_the_list(tmp_path):
    first = made(tmp_path, make_refused())
    record = made(tmp_path)
    before = (tmp_path / MADE).read_bytes()
    for outcome in (make_finished(), make_refused()):
        made(tmp_path, outcome)
    assert (tmp_path / MADE).read_bytes() == before
    assert made_here(record, tmp_path)
    assert made_here(first, tmp_path)  # it was


def test_a_record_that_was_adopted_imported_copied_or_altered_is_not_made_here(project, tmp_path):
    theirs = made(tmp_path / "theirs")
    export_record(theirs, tmp_path / "run.zip")
    assert not made_here(adopt(theirs)[0])
    shutil.rmtree(files.RUNS)
    assert not made_here(import_record(tmp_path / "run.zip")[0])
    again = made(files.RUNS)  # theirs stands, and stays theirs
    assert again.head.attempt == theirs.head.attempt
    assert not made_here(again)
    shutil.rmtree(again.path)
    shutil.copytree(theirs.path, again.path)
    assert not made_here(read(again.path))
    shutil.rmtree(again.path)
    own = made(files.RUNS)
    assert made_here(own)
    reseal(own.path, overrides=["planted"])
    assert not made_here(read(own.path))


def test_a_record_of_this_project_that_comes_back_is_made_here(project, tmp_path):
    """To the byte: the seal is of every file in it."""
    own = made(files.RUNS)
    export_record(own, tmp_path / "run.zip")
    shutil.rmtree(own.path)
    assert made_here(import_record(tmp_path / "run.zip")[0])


def test_a_line_that_a_kill_has_torn_costs_no_other_one(tmp_path):
    (tmp_path / MADE).write_text("0123")
    assert made_here(made(tmp_path), tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"x" * 64, None])
def test_a_list_that_cannot_be_read_trusts_nothing(content, tmp_path):
    record = made(tmp_path)
    (tmp_path / MADE).unlink()
    (tmp_path / MADE).write_bytes(content) if content is not None else (tmp_path / MADE).mkdir()
    assert not made_here(record, tmp_path)


# --- what is said ---------------------------------------------------------------------------------


@pytest.fixture
def stranger(project, tmp_path) -> Record:
    """A record with changes to its commit, as a server would hand it out."""
    return replace(made(tmp_path / "theirs"), source="published by mallory at http://host:5000")


def test_the_refusal_says_whose_code_it_is_and_where_its_changes_can_be_read(stranger):
    """Golden, J02."""
    with pytest.raises(ConfigError) as refusal:
        require_trust(stranger, trust=False)
    shown = f"runs/source-{stranger.identity[:12]}.diff"
    assert str(refusal.value) == (
        "code of FROM=source must be made on this machine, or be trusted; got that of run "
        f"{stranger.identity[:12]}, published by mallory at http://host:5000: commit {'b' * 40} "
        f"with changes, read them in {shown}; to run it: add TRUST=yes"
    )
    assert refusal.value.exit_code == 2
    assert (files.PROJECT / shown).read_text() == f"commit {'b' * 40}\n\n+evil\n"
    assert stat.S_IMODE((files.PROJECT / shown).stat().st_mode) == 0o600
    require_trust(stranger, trust=True)


def test_changes_that_are_not_those_that_were_read_are_not_run(stranger):
    """A server may hand out other ones to the one who trusts than to the one who reads."""
    shown = files.RUNS / f"source-{stranger.identity[:12]}.diff"
    require_trust(stranger, trust=True)
    with pytest.raises(ConfigError):
        require_trust(stranger, trust=False)
    shown.write_text("+harmless\n")
    with pytest.raises(ConfigError, match="others than before"):
        require_trust(stranger, trust=True)
    assert shown.read_text().endswith("+evil\n")
    require_trust(stranger, trust=True)


def test_changes_of_one_that_was_imported_are_read_where_it_is(stranger):
    taken, _ = adopt(replace(stranger, source=""))
    with pytest.raises(ConfigError) as refusal:
        require_trust(taken, trust=False)
    assert "imported" in str(refusal.value)
    assert f"runs/{taken.identity}/source.diff; " in str(refusal.value)
    assert not [*files.RUNS.glob("source-*")]


def test_a_commit_alone_is_code_of_another_as_well(project, tmp_path):
    with pytest.raises(ConfigError, match=f"commit {'b' * 40} alone; "):
        require_trust(made(tmp_path / "theirs", here=make_environment()), trust=False)


def test_code_of_this_project_needs_no_trust(project):
    record = made(files.RUNS)
    require_trust(record, trust=False)
