"""What can change a result is in the digest of the code, and nothing else is."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.paths import PROJECT
from pipeline.source import code_files, meaning


@pytest.fixture
def copied(tmp_path) -> Path:
    for name in ("nn", "pipeline"):
        shutil.copytree(PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__*__"))
    return tmp_path


def edit(folder: Path, name: str, old: str, new: str) -> None:
    path = folder / name
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def changed(folder: Path, before: dict[str, str]) -> set[str]:
    after = code_files(folder)
    return {name for name in before | after if before.get(name) != after.get(name)}


def test_it_is_all_that_computes_and_nothing_that_shows():
    files = code_files()
    on_disk = {path.relative_to(PROJECT).as_posix() for path in (PROJECT / "nn").glob("*.py")}
    assert on_disk <= files.keys()
    stages = {p.relative_to(PROJECT).as_posix() for p in (PROJECT / "pipeline/stages").glob("*.py")}
    assert stages <= files.keys()
    assert {"pipeline/run.py", "pipeline/config.py", "pipeline/settings.py"} <= files.keys()
    shown = ("plots", "tracking", "record", "sweeps", "command", "summary", "redact")
    assert not [name for name in files if any(word in name for word in shown)]


def test_python_reaches_the_same_modules_by_importing():
    """The oracle: what an interpreter holds after ``import pipeline.run``."""
    script = (
        "import sys, pipeline.run, pipeline.stages.engine\n"
        "print(*(m.__file__ for n, m in sys.modules.items()"
        " if n.partition('.')[0] in ('nn', 'pipeline')), sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    held = {Path(line).relative_to(PROJECT).as_posix() for line in done.stdout.splitlines()}
    assert held <= code_files().keys()
    assert len(held) > 25


def test_a_comment_a_docstring_and_layout_change_nothing(copied):
    before = code_files(copied)
    edit(
        copied,
        "nn/loss.py",
        "    small = np.exp(-np.abs(z))\n    return",
        "    # small\n    small = (\n        np.exp( -np.abs(z) ))\n\n    return",
    )
    edit(copied, "nn/loss.py", "One term of the sum in Eq. 4, as", "Some term, as")
    edit(copied, "pipeline/run.py", '"""The whole on one screen:', '"""All of it:')
    assert changed(copied, before) == set()


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("nn/loss.py", "return np.where(z >= 0, 1.0, small)", "return np.where(z > 0, 1.0, small)"),
        ("nn/optim.py", "import numpy as np", "import numpy as np\n\nEXTRA = 1"),
        ("pipeline/stages/split.py", "rng(settings.seed)", "rng(settings.seed + 1)"),
        ("pipeline/settings.py", "strict=True", "strict=False"),
    ],
)  # fmt: skip
def test_a_changed_body_changes_its_file_and_no_other(copied, name, old, new):
    before = code_files(copied)
    path = copied / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    assert changed(copied, before) == {name}


def test_a_text_that_looks_like_a_comment_counts(copied):
    before = code_files(copied)
    path = copied / "nn" / "optim.py"
    path.write_text(path.read_text() + '\nTOLD = "a"  # one\n')
    with_one = code_files(copied)
    assert with_one != before
    path.write_text(path.read_text().replace('"a"  # one', '"a#b"'))
    assert code_files(copied) != with_one


def test_a_module_that_nothing_imports_does_not_count_until_something_does(copied):
    before = code_files(copied)
    (copied / "nn" / "unused.py").write_text("one = 1\n")
    (copied / "pipeline" / "stages" / "unused.py").write_text("two = 2\n")
    assert changed(copied, before) == set()
    path = copied / "nn" / "optim.py"
    path.write_text(f"{path.read_text()}\ndef late():\n    if 1:\n        from nn import unused\n")
    assert changed(copied, before) == {"nn/optim.py", "nn/unused.py"}


def test_what_shows_and_stores_does_not_count(copied):
    before = code_files(copied)
    for name in ("pipeline/summary.py", "pipeline/tracking/publish.py", "pipeline/record/commit.py",
                 "pipeline/plots/curves.py"):  # fmt: skip
        path = copied / name
        path.write_text(f"{path.read_text()}\nEXTRA = 1\n")
    assert changed(copied, before) == set()


def test_a_docstring_alone_is_a_body_that_means_nothing():
    assert meaning(b'def f():\n    """One."""\n') == meaning(b'def f():\n    """Two."""\n')
    assert meaning(b"def f():\n    return 1\n") != meaning(b"def f():\n    return 2\n")
