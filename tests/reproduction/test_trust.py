"""Code that was not made on this machine runs where it is trusted by name, and nowhere else."""

import dataclasses
import json
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from projects import copy_project, edit, git, launch, make_record, reseal
from servers import free_port, mlflow_server

from pipeline import command, paths
from pipeline.config import TrackingSettings
from pipeline.errors import ConfigError
from pipeline.record import Record, adopt, made_here, read, write
from pipeline.reproduction.bundle import export_record, import_record
from pipeline.reproduction.trust import require_trust
from pipeline.tracking import fetch_run, publish

SOURCE = ["reproduce", "--from", "source"]


# What is remembered.


def test_a_record_that_was_written_here_is_made_here_and_the_list_is_private(results, tmp_path):
    runs = tmp_path / "runs"
    records = [write(results(identity=letter * 32), runs) for letter in "abc"]
    assert all(made_here(record, runs) for record in records)
    assert stat.S_IMODE((runs / ".made").stat().st_mode) == 0o600
    assert not made_here(records[0], tmp_path / "other")


def test_the_same_run_again_adds_nothing_to_the_list(result, failed_results, tmp_path):
    first = write(failed_results(), tmp_path)
    made = write(result, tmp_path)
    before = (tmp_path / ".made").read_bytes()
    write(result, tmp_path)
    write(failed_results(), tmp_path)
    assert (tmp_path / ".made").read_bytes() == before
    assert made_here(made, tmp_path)
    assert made_here(first, tmp_path)  # it was


def test_a_record_that_was_taken_in_or_altered_is_not_made_here(result, project, tmp_path):
    theirs = write(result, tmp_path / "theirs")
    taken, _ = adopt(theirs, paths.RUNS)
    assert not made_here(taken, paths.RUNS)
    export_record(theirs, tmp_path / "run.zip")
    shutil.rmtree(paths.RUNS)
    imported, new = import_record(tmp_path / "run.zip", paths.RUNS)
    assert new
    assert not made_here(imported, paths.RUNS)
    again = write(result, paths.RUNS)  # theirs stands, and stays theirs
    assert again.attempt == theirs.attempt
    assert not made_here(again, paths.RUNS)
    shutil.rmtree(imported.path)
    ours = write(result, paths.RUNS)
    assert made_here(ours, paths.RUNS)
    reseal(ours.path, overrides=["planted"])
    assert not made_here(read(ours.path), paths.RUNS)


def test_ones_own_record_that_comes_back_is_made_here(settings, result, tmp_path):
    """To the byte: the seal is of every file in it."""
    ours = write(result, paths.RUNS)
    publish(ours, settings)
    export_record(ours, tmp_path / "run.zip")
    shutil.rmtree(ours.path)
    assert made_here(fetch_run(ours.identity, settings, tmp_path / "fetched"), paths.RUNS)
    assert made_here(import_record(tmp_path / "run.zip", paths.RUNS)[0], paths.RUNS)


def test_a_line_that_a_kill_has_torn_costs_no_other_one(result, tmp_path):
    tmp_path.joinpath(".made").write_text("0123")
    assert made_here(write(result, tmp_path), tmp_path)


def test_a_list_that_cannot_be_read_trusts_nothing(result, tmp_path):
    record = write(result, tmp_path)
    for content in (b"", b"\xff\xfe", b"x" * 64):
        (tmp_path / ".made").write_bytes(content)
        assert not made_here(record, tmp_path)


# What is told.


@pytest.fixture
def stranger(project, results, lineages, tmp_path) -> Record:
    """A record with changes to its commit, as a server would hand it out."""
    lineage = lineages(git_dirty=True, git_diff="+evil\n")
    record = write(results(lineage=lineage), tmp_path / "theirs")
    return dataclasses.replace(record, source="published by mallory 01 at http://host:5000")


def test_it_is_told_whose_code_it_is_and_where_its_changes_can_be_read(stranger):
    with pytest.raises(ConfigError) as refusal:
        require_trust(stranger, trusted=False)
    shown = f"runs/source-{stranger.identity[:12]}.diff"
    assert str(refusal.value) == (
        "FROM=source must run code that was made on this machine, or that you trust; got run "
        f"{stranger.identity[:12]}, published by mallory 01 at http://host:5000: commit "
        f"{'b' * 12} with changes, read them in {shown}; to run them: add TRUST=yes"
    )
    assert refusal.value.exit_code == 2
    assert (paths.PROJECT / shown).read_text() == f"commit {'b' * 40}\n\n+evil\n"
    assert stat.S_IMODE((paths.PROJECT / shown).stat().st_mode) == 0o600
    require_trust(stranger, trusted=True)


def test_changes_that_are_not_those_that_were_read_are_not_run(stranger):
    """A server may hand out other ones to the one who trusts than to the one who reads."""
    shown = paths.RUNS / f"source-{stranger.identity[:12]}.diff"
    require_trust(stranger, trusted=True)
    with pytest.raises(ConfigError):
        require_trust(stranger, trusted=False)
    shown.write_text("+harmless\n")
    with pytest.raises(ConfigError, match="others than before, read them in runs/source-"):
        require_trust(stranger, trusted=True)
    assert shown.read_text().endswith("+evil\n")
    require_trust(stranger, trusted=True)


def test_one_that_was_taken_in_is_read_where_it_is(stranger):
    taken, _ = adopt(stranger, paths.RUNS)
    with pytest.raises(ConfigError) as refusal:
        require_trust(taken, trusted=False)
    told = str(refusal.value)
    assert (
        "taken in, altered, or made before that was remembered: commit bbbbbbbbbbbb with changes"
        in told
    )
    assert f"read them in runs/{taken.identity}/source.diff; to run them: add TRUST=yes" in told
    assert not list(paths.RUNS.glob("source-*"))


def test_a_commit_alone_is_code_of_another_as_well(project, result, tmp_path):
    with pytest.raises(ConfigError, match=r"commit b{12} without changes; to run it: add TRUST=y"):
        require_trust(write(result, tmp_path / "theirs"), trusted=False)


def test_ones_own_need_no_trust(project, result):
    require_trust(write(result, paths.RUNS), trusted=False)


@pytest.mark.parametrize("commit", ["--force", "HEAD", "main", "b" * 39, "b" * 40 + "\n", "B" * 40])
def test_a_commit_that_is_none_is_no_word_for_git(project, results, lineages, commit):
    from pipeline.reproduction.reproduce import reproduce

    record = write(results(lineage=lineages(git_commit=commit)), paths.RUNS)
    with pytest.raises(ConfigError, match="FROM=source needs a commit on record; got "):
        reproduce(record, from_source=True)


# As a person does it.


@dataclasses.dataclass
class Strangers:
    """A project of ours, a record of theirs with a change that leaves a trace when it runs."""

    ours: Path
    record: Record
    trace: Path

    def launch(self, *words: str) -> tuple[int, str, str]:
        self.trace.unlink(missing_ok=True)
        return launch(self.ours, *SOURCE, *words)


@pytest.fixture(scope="module")
def made(tmp_path_factory, store_template) -> Path:
    folder = tmp_path_factory.mktemp("strangers")
    theirs = copy_project(folder / "theirs", store_template)
    (theirs / ".gitignore").write_text("data/\nruns/\nmlflow.db*\nmlartifacts/\n__pycache__/\n")
    git(theirs, "init", "-q")
    git(theirs, "add", "-A")
    git(theirs, "commit", "-qm", "first")
    shutil.copytree(theirs, folder / "ours")
    trace = f"import pathlib\n\npathlib.Path({str(folder / 'trace')!r}).touch()\n"
    edit(theirs / "nn" / "loss.py", "import numpy as np\n", f"import numpy as np\n{trace}")
    make_record(theirs, "train.epochs=12")
    return folder


@pytest.fixture
def strangers(made, tmp_path) -> Strangers:
    (path,) = (path for path in (made / "theirs" / "runs").iterdir() if path.name[0] != ".")
    ours = Path(shutil.copytree(made / "ours", tmp_path / "ours"))
    return Strangers(ours, read(path), made / "trace")


@pytest.mark.slow
def test_a_run_that_was_imported_runs_its_code_with_trust_alone(strangers, tmp_path):
    export_record(strangers.record, tmp_path / "run.zip")
    code, _, err = launch(strangers.ours, "import", "--input", str(tmp_path / "run.zip"))
    assert code == 0, err
    refused(strangers, strangers.launch(), f"runs/{strangers.record.identity}/source.diff")
    code, out, err = strangers.launch("--trust", "yes")
    assert code == 0, out + err
    assert "bit-identical" in out
    assert strangers.trace.exists()
    code, out, err = launch(strangers.ours, "reproduce")  # with our own code: as ever
    assert code == 0, out + err


@pytest.fixture
def server(strangers, tmp_path, store_template) -> Iterator[str]:
    """The address of a server that has the record."""
    shutil.copy2(store_template, tmp_path / "mlflow.db")
    port = free_port()
    with mlflow_server(tmp_path, port):
        uri = f"http://127.0.0.1:{port}"
        publish(strangers.record, TrackingSettings(uri=uri, experiment="car"))
        yield uri


@pytest.mark.slow
def test_a_run_of_a_server_runs_its_code_with_trust_alone(strangers, server):
    where = ["tracking=server", f"tracking.uri={server}"]
    identity = strangers.record.identity
    words = ["--run", identity[:12], *where]
    err = refused(strangers, strangers.launch(*words), f"runs/source-{identity[:12]}.diff")
    assert f"at {server}: commit " in err
    code, out, err = strangers.launch(*words, "--trust", "yes")
    assert code == 0, out + err
    assert "bit-identical" in out
    assert strangers.trace.exists()
    assert {path.name for path in (strangers.ours / "runs").iterdir()} == {
        f"source-{identity[:12]}.diff"
    }


def refused(strangers: Strangers, outcome: tuple[int, str, str], diff: str) -> str:
    """What was told: one message, and nothing ran."""
    code, out, err = outcome
    assert code == 2, out + err
    assert not strangers.trace.exists()
    assert "bit-identical" not in out
    assert err.startswith("FROM=source must run code that was made on this machine, or that you")
    assert f"commit {strangers.record.lineage['git_commit'][:12]} with changes" in err
    assert f"read them in {diff}; to run them: add TRUST=yes" in err
    assert err.count("\n") == 1
    assert b"touch()" in (strangers.ours / diff).read_bytes()
    return err


@pytest.mark.slow
def test_trust_is_a_word_that_is_spelled_out(strangers):
    for word in ("1", "true", "YES", "no"):
        code, _, err = strangers.launch("--trust", word)
        assert (code, err) == (2, f"TRUST must be yes, or not be given; got {word!r}\n")
    code, _, err = launch(strangers.ours, "reproduce", "--trust", "yes")
    assert (code, "RUN=latest needs" in err) == (2, True)


def test_make_hands_the_word_on():
    makefile = (Path(__file__).parents[2] / "Makefile").read_text()
    (exported,) = (line for line in makefile.splitlines() if line.startswith("export "))
    assert {"RUN", "FROM", "TRUST"} <= set(exported.split())
    assert '--trust "$$TRUST"' in makefile
    assert json.dumps(command.make_again.__kwdefaults__) == '{"trusted": false}'
