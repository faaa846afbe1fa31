"""A run's identity changes exactly with what can change its result."""

import subprocess
from pathlib import Path

import pytest

from pipeline import lineage
from pipeline.compose import configuration
from pipeline.lineage import identity, surroundings, trace

DATA, CODE = "d" * 64, "c" * 64


VERSIONS = {"python": "3.11.7", **dict.fromkeys(lineage.COMPUTING, "1.0")}


def of(*words: str, data: str = DATA, code: str = CODE, **versions: str) -> str:
    return identity(configuration(list(words)).run_config(), data, code, VERSIONS | versions)


def test_equal_makings_have_equal_identities():
    assert of() == of()
    assert len(of()) == 32


@pytest.mark.parametrize(
    "word",
    ["seed=1", "train.epochs=999", "optimiser=adam", "train.l2=0.0002", "encode=crosses",
     "split.seed=1", "evaluate.threshold=0.4", "train.blas_threads=2", "experiment=article"],
)  # fmt: skip
def test_whatever_can_change_a_result_changes_the_identity(word):
    assert of(word) != of()


@pytest.mark.parametrize(
    "word",
    ["data.path=elsewhere/car.csv", "data.sha256=null", "data.max_bytes=99",
     "tracking.experiment=other", "tracking.create=true",
     "optimiser.learning_rate=1", "optimiser.learning_rate=1e0", "train.epochs=1000"],
)  # fmt: skip
def test_what_cannot_change_a_result_does_not_change_the_identity(word):
    assert of(word) == of()


def test_other_data_or_other_code_is_another_run():
    assert len({of(), of(data="e" * 64), of(code="e" * 64)}) == 3


def test_another_numpy_is_another_run():
    assert of(numpy="2.0") != of()


def git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "nn").mkdir()
    (tmp_path / "conf" / "tracking").mkdir(parents=True)
    (tmp_path / "nn" / "loss.py").write_text("one = 1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def traced(project: Path) -> lineage.Lineage:
    return trace(configuration([]).run_config(), DATA, surroundings(project))


def test_a_clean_tree_has_a_commit_and_no_diff(project):
    found = traced(project)
    assert len(found.git_commit) == 40
    assert found.git_dirty is False
    assert found.git_diff is None


def test_a_dirty_tree_is_told_with_the_whole_diff_new_files_included(project):
    (project / "nn" / "loss.py").write_text("one = 2\n")
    (project / "nn" / "new.py").write_text("fresh = True\n")
    found = traced(project)
    assert found.git_dirty is True
    assert "+one = 2" in found.git_diff
    assert "+fresh = True" in found.git_diff


def test_the_diff_leaves_the_index_of_the_person_at_work_alone(project):
    (project / "nn" / "new.py").write_text("fresh = True\n")
    before = (project / ".git" / "index").read_bytes()
    traced(project)
    assert (project / ".git" / "index").read_bytes() == before


def test_the_diff_applies_to_the_commit_and_gives_the_tree(project, tmp_path_factory):
    (project / "nn" / "loss.py").write_text("one = 2\n")
    (project / "nn" / "data.bin").write_bytes(bytes(range(256)))
    found = traced(project)
    clone = tmp_path_factory.mktemp("clone")
    git(clone, "clone", "-q", str(project), ".")
    (clone / "source.diff").write_text(found.git_diff)
    git(clone, "apply", "source.diff")
    assert (clone / "nn" / "loss.py").read_text() == "one = 2\n"
    assert (clone / "nn" / "data.bin").read_bytes() == bytes(range(256))


def test_addresses_of_stores_stay_out_of_the_diff(project):
    """H04: conf/tracking may hold an address with a password in it."""
    (project / "conf" / "tracking" / "mine.yaml").write_text("uri: https://me:hunter22@host\n")
    assert traced(project).git_diff is None


def test_without_git_there_is_still_an_identity(tmp_path):
    found = traced(tmp_path)
    assert found.git_commit is None
    assert found.git_dirty is None
    assert found.identity
