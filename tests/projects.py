"""A copy of the project to change at will, and its commands as a person starts them."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from pipeline import car
from pipeline.paths import PROJECT
from pipeline.record.reading import seal_of

ODD = ("GIT_", "HYDRA", "MLFLOW", "PYTHON")
STRICT = {"PYTHONWARNINGS": "error"}  # a warning is a defect: ours, or one that we let be seen


def copy_project(folder: Path, store: Path | None = None) -> Path:
    """The code and the configuration, the car table, and a store where one is given."""
    for name in ("nn", "pipeline", "conf"):
        shutil.copytree(PROJECT / name, folder / name)  # compiled files too: they save seconds
    (folder / "data").mkdir()
    (folder / "data" / "car.data").write_bytes(car.content())
    if store is not None:
        shutil.copy2(store, folder / "mlflow.db")
    return folder


def start(folder: Path, *words: str, **variables: str) -> subprocess.Popen[str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith(ODD)}
    return subprocess.Popen(
        [sys.executable, "-m", "pipeline", *words], cwd=folder, text=True,
        env={**kept, "PYTHONPATH": str(folder), **STRICT, **variables},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def launch(folder: Path, *words: str, **variables: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command."""
    process = start(folder, *words, **variables)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def make_record(folder: Path, *words: str) -> None:
    """Run, with the code of the folder, and leave the record in it; nothing is published."""
    script = (
        "import sys\n"
        "from pipeline.compose import configuration\n"
        "from pipeline.record import write\n"
        "from pipeline.run import run\n"
        "write(run(configuration(sys.argv[1:]).run_config()))\n"
    )
    subprocess.run([sys.executable, "-c", script, *words], cwd=folder, check=True)


def edit(path: Path, old: str, new: str) -> None:
    """Replace the one place where ``old`` stands."""
    text = path.read_text()
    assert text.count(old) == 1, (path, text.count(old))
    path.write_text(text.replace(old, new))


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    kept = {name: text for name, text in os.environ.items() if not name.startswith("GIT_")}
    return subprocess.run(
        ["git", "-C", str(folder), *who, *words],
        check=True, capture_output=True, text=True, env=kept,
    ).stdout  # fmt: skip


def reseal(folder: Path, **changes: object) -> None:
    """Change ``result.json`` as somebody would who knows how it is sealed."""
    path = folder / "result.json"
    tree = json.loads(path.read_bytes()) | changes
    tree.pop("seal")
    path.write_text(json.dumps({**tree, "seal": seal_of(tree)}))
