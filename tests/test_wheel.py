"""The package as pip installs it: a wheel in an environment of its own, away from the checkout."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from builders import FOREIGN, PROJECT, results

from pipeline.record.identity import environment

pytestmark = pytest.mark.exhaustive

QUICK = ("train.epochs=5", "evaluate.bootstrap=null")
# Of this environment's packages all but oneuron itself are seen.
OWN = ("oneuron", "_editable_impl_oneuron")


def build(folder: Path, *how: str, source: Path = PROJECT) -> Path:
    """The wheel, or the source distribution, that hatchling makes of the source, offline."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder), *how]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (path,) = folder.iterdir()
    return path


def install(wheel: Path, folder: Path) -> Path:
    """The ``oneuron`` of a new environment into which the wheel was installed."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    links = folder / "packages"
    links.mkdir()
    for path in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not path.name.startswith(OWN):
            (links / path.name).symlink_to(path)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "packages.pth").write_text(f"{links}\n")
    python = str(folder / "bin" / "python")
    command = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--offline", "--no-deps"]
    subprocess.run([*command, "--python", python, str(wheel)], check=True)
    return folder / "bin" / "oneuron"


def call(program: Path, folder: Path, *words: str, **variables: str) -> tuple[int, str, str]:
    """Exit code and what is said of a command that is typed in the folder."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(FOREIGN)}
    done = subprocess.run(
        [program, *words], cwd=folder, env={**kept, "PYTHONWARNINGS": "error", **variables},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"), "-t", "wheel")


@pytest.fixture(scope="module")
def oneuron(wheel, tmp_path_factory) -> Path:
    return install(wheel, tmp_path_factory.mktemp("environment") / "venv")


@pytest.fixture
def started(oneuron, tmp_path, store_template) -> Path:
    """A folder in which ``oneuron init`` was called, with a store."""
    folder = tmp_path / "with a space"
    folder.mkdir()
    shutil.copy2(store_template, folder / "mlflow.db")
    assert call(oneuron, folder, "init")[0] == 0
    return folder


def test_an_installed_package_works_in_a_folder_of_ones_own(oneuron, tmp_path, store_template):
    """From an empty folder to a prediction; its code is that of the checkout, and has no git."""
    assert call(oneuron, tmp_path, "--help")[0] == 0
    code, _, err = call(oneuron, tmp_path, "run")
    assert code == 2
    assert err.endswith("oneuron init\n")
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())

    (tmp_path / "conf" / "data").mkdir(parents=True)
    (tmp_path / "conf" / "data" / "car.yaml").write_text("mine: true\n")
    code, out, err = call(oneuron, tmp_path, "init")
    assert (code, err) == (0, "")
    assert "1 were there already" in out
    assert (tmp_path / "conf" / "data" / "car.yaml").read_text() == "mine: true\n"
    (tmp_path / "conf" / "data" / "car.yaml").unlink()
    assert "written: 1 file " in call(oneuron, tmp_path, "init")[1]
    for source in (PROJECT / "conf").rglob("*.yaml"):
        made = tmp_path / "conf" / source.relative_to(PROJECT / "conf")
        assert made.read_bytes() == source.read_bytes()

    shutil.copy2(store_template, tmp_path / "mlflow.db")
    inside = tmp_path / "data"
    inside.mkdir()
    code, out, err = call(oneuron, inside, *QUICK)  # from a folder of the project
    assert (code, err) == (0, "written: data/car.data\n")
    assert "or oneuron ui\n" in out
    (result,) = results(tmp_path)
    lineage = result["lineage"]
    assert lineage["code_files"] == environment().code_files
    assert lineage["git_commit"] is None
    (page,) = tmp_path.glob("runs/*/report.html")
    assert "<code>oneuron reproduce RUN=" in page.read_text()
    words = ["RUN=latest", "INPUT=data/car.data", "OUTPUT=scored.csv"]
    code, out, err = call(oneuron, tmp_path, "predict", *words)
    assert (code, err) == (0, ""), out
    assert "1,728 rows scored" in out


@pytest.mark.exhaustive
def test_every_command_works_where_it_is_installed(oneuron, started):
    def does(*words: str, code: int = 0) -> str:
        got, out, err = call(oneuron, started, *words)
        assert got == code, (words, out, err)
        assert "Traceback" not in err
        assert "make " not in out + err
        return out + err

    does("data")
    sweep = ["seed=range(3)", "optimiser=momentum,newton", *QUICK]
    does("sweep", "--plan", *sweep)
    assert "6 finished runs of 2 candidates" in does("sweep", *sweep)
    does("compare")
    does("promote")
    does("tune", "evaluate.bootstrap=null")
    does("report", "--run", "latest")
    does("reproduce", "--run", "latest")
    does("scorecard", "--run", "latest")
    does("evaluate", "--run", "champion", "--input", "data/car.data")
    does("export", "--run", "latest", "--output", "run.zip")
    does("import", "--input", "run.zip")
    does("sync")
    does(
        "contract",
        "--input",
        "data/breast_cancer.csv",
        "--target",
        "diagnosis",
        "--positive",
        "malignant",
        "--output",
        "conf/data/cancer.yaml",
    )
    does("run", "data=cancer", *QUICK)
    for name in ("serve", "ui", "server"):
        does(name, "--help")
    does("completion", "bash")
    assert {path.name for path in started.iterdir()} <= {
        "conf", "data", "runs", "sweeps", "mlflow.db", "mlartifacts", ".mlflow.db.lock", "run.zip",
        "scorecard.csv",
    }  # fmt: skip


@pytest.mark.exhaustive
def test_a_source_distribution_makes_the_same_wheel(wheel, tmp_path):
    archive = build(tmp_path / "sdist", "-t", "sdist")
    shutil.unpack_archive(archive, tmp_path / "unpacked")
    (source,) = (tmp_path / "unpacked").iterdir()
    again = build(tmp_path / "again", "-t", "wheel", source=source)
    assert again.read_bytes() == wheel.read_bytes()


def test_packages_of_other_projects_on_the_path_do_not_stand_for_ours(started, oneuron, tmp_path):
    other = tmp_path / "other"
    for name in ("pipeline", "nn"):
        (other / name).mkdir(parents=True)
        (other / name / "__init__.py").write_text("raise SystemExit('foreign')\n")
    for name in ("numpy", "logging", "secrets"):
        (other / f"{name}.py").write_text("raise SystemExit('foreign')\n")
    for words in (["run", "data=car", *QUICK], ["reproduce", "--run", "latest"]):
        code, out, err = call(oneuron, started, *words, PYTHONPATH=str(other))
        assert code == 0, out + err
        assert "foreign" not in out + err
