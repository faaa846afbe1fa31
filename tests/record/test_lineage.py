"""What a run was made of is on record: the words that count, the commit, and the changes since."""

import shutil
from pathlib import Path

import pytest
from builders import git, make_environment

from pipeline.config.compose import configuration
from pipeline.record.git import NO_REPOSITORY, source_warning
from pipeline.record.identity import Environment, environment, other_machine, trace


def identity_of(*words: str, data: str = "d" * 64, **here: object) -> str:
    return trace(configuration([*words]).run_config(), data, make_environment(**here)).identity


@pytest.fixture(scope="module")
def plain() -> str:
    return identity_of()


@pytest.mark.parametrize(
    "words",
    [["train.epochs=999", "train.l2=0.0002", "evaluate.threshold=0.4", "split.seed=1"],
     ["encode=crosses"], ["experiment=article"]],
)  # fmt: skip
def test_whatever_can_change_a_result_changes_the_identity(words, plain):
    """Each word by itself, and a group of them; others are rows of ``docs/identity.md``."""
    assert len({plain, *(identity_of(word) for word in words)}) == 1 + len(words)


def test_what_cannot_change_a_result_does_not_change_the_identity(plain):
    words = ["data.path=elsewhere/car.csv", "data.sha256=null", "data.max_bytes=99",
             "tracking.experiment=other", "tracking.create=true",
             "optimiser.learning_rate=1e0", "train.epochs=1000"]  # fmt: skip
    assert identity_of(*words) == plain


def test_a_number_has_one_identity_however_it_is_written(plain):
    assert identity_of("optimiser.learning_rate=1") == plain


def test_the_machine_is_on_record_and_is_compared_by_its_three_parts():
    was, now = (make_environment(**machine).model_dump() for machine in (
        {}, {"platform": "a-b", "blas": "mkl", "arithmetic": ""}))  # fmt: skip
    assert other_machine(was, was | {"git_commit": None}) == ""
    assert other_machine(was, now) == (
        "a-b, it was linux-x86_64; mkl, it was openblas 0.3.30 Haswell; none, it was glibc 2.36, "
        "AVX2"
    )


def test_the_environment_of_this_process_is_whole():
    here = environment()
    assert here.blas
    assert here.arithmetic
    assert {"python", "numpy", "mlflow"} <= {*here.versions}


# --- git ------------------------------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one module under git."""
    for name in ("nn", "pipeline/stages", "conf/tracking"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "pipeline" / "run.py").write_text("")
    (tmp_path / "nn" / "loss.py").write_text("one = 1\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def git_of(here: Environment) -> tuple[bool, bool | None, str | None]:
    """Whether there is a commit, whether the tree differs from it, and how."""
    return here.git_commit is not None, here.git_dirty, here.git_diff


def test_a_clean_tree_has_a_commit_and_no_diff(project):
    assert git_of(environment(project)) == (True, False, None)
    assert environment(project).git_commit == git(project, "rev-parse", "HEAD").strip()


def test_the_diff_is_whole_applies_to_the_commit_and_leaves_the_index_alone(
    project, tmp_path_factory
):
    (project / "nn" / "loss.py").write_text("one = 2\n")
    (project / "nn" / "new.py").write_text("fresh = True\n")
    (project / "nn" / "data.bin").write_bytes(bytes(range(256)))
    index = (project / ".git" / "index").read_bytes()
    here = environment(project)
    assert git_of(here)[:2] == (True, True)
    assert (project / ".git" / "index").read_bytes() == index
    clone = tmp_path_factory.mktemp("clone")
    git(clone, "clone", "-q", str(project), ".")
    (clone / "source.diff").write_text(here.git_diff)
    git(clone, "apply", "source.diff")
    for name in ("loss.py", "new.py", "data.bin"):
        assert (clone / "nn" / name).read_bytes() == (project / "nn" / name).read_bytes()


def test_settings_of_the_user_and_of_a_hook_do_not_bend_the_diff(project, monkeypatch):
    for name, value in (("color.ui", "always"), ("diff.noprefix", "true")):
        git(project, "config", name, value)
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    (project / "nn" / "loss.py").write_text("one = 2\n")
    assert "\n--- a/nn/loss.py\n+++ b/nn/loss.py\n" in environment(project).git_diff


def test_addresses_of_stores_stay_out_of_the_diff(project):
    """H04: conf/tracking may hold an address with a password in it."""
    (project / "conf" / "tracking" / "other.yaml").write_text("uri: https://me:hunter22@host\n")
    assert git_of(environment(project)) == (True, False, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [("diff.mnemonicPrefix", "true"), ("diff.external", "false"), ("diff.x.textconv", "false"),
     ("core.fsmonitor", "/bin/false"), ("core.quotePath", "true"), ("core.safecrlf", "true"),
     ("core.autocrlf", "true"), ("diff.context", "0"), ("diff.orderFile", "/dev/null"),
     ("core.hooksPath", "hooks"), ("commit.gpgsign", "true")],
)  # fmt: skip
def test_the_diff_applies_whatever_is_set_for_git(name, value, project, tmp_path_factory):
    hook = project / "hooks" / "post-index-change"
    hook.parent.mkdir()
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    git(project, "config", name, value)
    (project / ".gitattributes").write_text("*.py diff=x\n")
    (project / ".git" / "index.lock").touch()  # of a git that was killed
    content = "one = 2 # é\n".encode("latin-1")  # no UTF-8: the diff is bytes
    (project / "nn" / "loss.py").write_bytes(content)
    here = environment(project)
    clone = tmp_path_factory.mktemp("clone")
    git(clone, "clone", "-q", str(project), ".")
    (clone / "source.diff").write_bytes(here.git_diff.encode("utf-8", "surrogateescape"))
    git(clone, "apply", "source.diff")
    assert (clone / "nn" / "loss.py").read_bytes() == content


def test_a_project_below_the_top_of_its_repository_has_its_commit_and_its_own_diff(project):
    top = project.parent / "top"
    git(project.parent, "init", "-q", str(top))
    shutil.copytree(project, top / "ours", ignore=shutil.ignore_patterns(".git"))
    (top / "nn.txt").write_text("another project\n")
    git(top, "add", "-A")
    git(top, "commit", "-qm", "all")
    assert git_of(environment(top / "ours")) == (True, False, None)
    (top / "nn.txt").write_text("changed\n")
    (top / "ours" / "nn" / "loss.py").write_text("one = 2\n")
    diff = environment(top / "ours").git_diff
    assert "--- a/nn/loss.py" in diff
    assert "nn.txt" not in diff


def test_why_there_is_no_commit_is_on_record_and_said_where_there_is_a_repository(project):
    (project / ".git" / "config").write_text("[broken\n")
    missing = environment(project).git_missing
    assert "bad config" in missing
    assert missing in source_warning(missing)


def test_a_repository_without_a_commit_or_without_the_project_says_so(tmp_path):
    (tmp_path / "inner").mkdir()
    git(tmp_path, "init", "-q")
    assert environment(tmp_path).git_missing
    git(tmp_path, "commit", "-qm", "empty", "--allow-empty")
    assert "not in the repository" in environment(tmp_path / "inner").git_missing


def test_git_writes_nothing_into_the_repository_of_the_user(project):
    (project / "nn" / "loss.py").write_text("one = 2\n")
    before = sorted(path for path in (project / ".git").rglob("*"))
    assert environment(project).git_diff
    assert sorted(path for path in (project / ".git").rglob("*")) == before


def test_where_there_is_no_repository_nothing_is_said(tmp_path):
    assert environment(tmp_path).git_missing == NO_REPOSITORY
    assert source_warning(NO_REPOSITORY) == ""


def test_without_git_or_inside_another_repository_there_is_no_commit(project):
    inner = project / "inner"
    (inner / "nn").mkdir(parents=True)
    assert git_of(environment(inner)) == (False, None, None)
