"""``docs/identity.md`` says what must be made again when something changes: each row is tried."""

import dataclasses
import functools
import gzip
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from projects import copy_project, edit, git, launch

from pipeline import compose
from pipeline.compose import configuration
from pipeline.config import DataSettings, RunConfig
from pipeline.lineage import COMPUTING, TOLD, Surroundings, surroundings, trace
from pipeline.paths import PROJECT
from pipeline.source import meaning
from pipeline.stages.read import read_rows

PAGE = PROJECT / "docs" / "identity.md"
LOANS = """
name: loans
path: data/loans.csv
target: {name: paid, positive: ["yes"], negative: ["no"]}
columns:
  age: {kind: numeric}
  home: {kind: categorical}
  note: {kind: ignored}
"""
CELLS = "age,home,note,paid\n30,own,a,yes\n41.50,rent,b,no\n30,rent,,yes\n,own,d,no\n"

# Four runs of a sweep: two tables, two optimisers, two seeds.
RUNS = {
    "car": [],
    "car, seed 1": ["seed=1"],
    "car, adam": ["optimiser=adam"],
    "loans": ["data=loans"],
}
NONE: set[str] = set()
ALL = set(RUNS)
CARS = {name for name in RUNS if name.startswith("car")}


class World:
    """A copy of the project, to be changed; what is not in a folder is changed by hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.versions: dict[str, str] = {}
        self.machine: dict[str, str] = {}
        self.words: dict[str, list[str]] = {name: list(words) for name, words in RUNS.items()}

    def identities(self) -> dict[str, str]:
        """The identity of each run as its sweep would find it now."""
        around = surroundings(self.folder)
        versions = around.versions | self.versions
        around = dataclasses.replace(around, versions=versions, **self.machine)
        return {name: self.identity(name, around) for name in RUNS}

    def identity(self, name: str, around: Surroundings) -> str:
        config = composed(tuple(self.words[name]), contents(self.folder / "conf"))
        table = (self.folder / config.data.path).read_bytes()
        return trace(config, digest(config.data.model_dump_json(), table), around).identity

    def edit(self, name: str, old: str, new: str) -> None:
        edit(self.folder / name, old, new)

    def append(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((path.read_text() if path.exists() else "") + text)

    def rewrite(self, change: Callable[[str], str], name: str = "data/loans.csv") -> None:
        path = self.folder / name
        path.write_bytes(change(path.read_bytes().decode()).encode())

    def all_words(self, *words: str) -> None:
        for each in self.words.values():
            each.extend(words)


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*.yaml")))


@functools.cache  # by all that it depends on: composing takes 0.1 s
def composed(words: tuple[str, ...], conf: bytes) -> RunConfig:
    return configuration(list(words)).run_config()


@functools.cache
def digest(data: str, table: bytes) -> str:
    return read_rows(DataSettings.model_validate_json(data, strict=False)).digest


@pytest.fixture
def world(project, monkeypatch) -> World:
    copy_project(project)
    monkeypatch.setattr(compose, "CONF", project / "conf")
    (project / "conf" / "data" / "loans.yaml").write_text(LOANS)
    (project / "data" / "loans.csv").write_text(CELLS)
    return World(project)


def docstring(world: World) -> None:
    path = world.folder / "nn" / "optim.py"
    path.write_text(path.read_text().replace('"""', '"""Other. ', 1))


def patched(world: World, last: str) -> str:
    return ".".join([*surroundings(world.folder).versions["python"].split(".")[:2], last])


def gzipped(world: World) -> None:
    content = gzip.compress((world.folder / "data" / "loans.csv").read_bytes())
    (world.folder / "data" / "loans.csv.gz").write_bytes(content)
    (world.folder / "data" / "loans.csv").unlink()
    world.words["loans"].append("data.path=data/loans.csv.gz")


def as_parquet(world: World) -> None:
    path = world.folder / "data" / "loans.csv"
    frame = pd.read_csv(path, dtype="str", keep_default_na=False)
    frame.to_parquet(path.with_suffix(".parquet"))
    path.unlink()
    world.words["loans"] += ["data.path=data/loans.parquet", "data.max_bytes=99999"]


def moved(world: World) -> None:
    shutil.move(world.folder / "data" / "loans.csv", world.folder / "elsewhere.csv")
    world.words["loans"].append("data.path=elsewhere.csv")


def committed(world: World) -> None:
    git(world.folder, "init", "-q")
    git(world.folder, "add", "-A")
    git(world.folder, "commit", "-qm", "all")


# The first cell of a row of the page: the change, and which runs it must make again. Several
# changes of one row are tried one after the other.
Change = Callable[[World], object]
ROWS: dict[str, tuple[list[Change], set[str]]] = {
    "a comment, the layout or a docstring of a product file": (
        [
            lambda w: w.append("nn/optim.py", "\n# more\n\n\n"),
            docstring,
            lambda w: w.edit("pipeline/run.py", "    rows = call(read_rows, config.data)",
                             "    rows = (\n        call( read_rows, config.data )  # rows\n    )"),
        ],
        NONE,
    ),
    "the body of a helper": (
        [lambda w: w.edit("nn/loss.py", "+ np.log1p(small)", "+ np.log1p(small) * 1.0")],
        ALL,
    ),
    "a module that nothing imports": ([lambda w: w.append("nn/unused.py", "one = 1\n")], NONE),
    "a module that draws, prints, stores or publishes": (
        [
            lambda w: w.append("pipeline/plots/curves.py", "\nEXTRA = 1\n"),
            lambda w: w.append("pipeline/summary.py", "\nEXTRA = 1\n"),
            lambda w: w.append("pipeline/record/commit.py", "\nEXTRA = 1\n"),
            lambda w: w.append("pipeline/tracking/publish.py", "\nEXTRA = 1\n"),
            lambda w: w.append("pipeline/sweeps/sweep.py", "\nEXTRA = 1\n"),
        ],
        NONE,
    ),
    "a package of one's own that a stage imports": (
        [lambda w: w.append("ours/__init__.py", "from .deep import one\n"),
         lambda w: w.append("ours/deep.py", "one = 2\n")],
        ALL,
    ),
    "any module, once a stage uses importlib, exec or eval": (
        [lambda w: w.append("pipeline/plots/curves.py", "\nEXTRA = 1\n")],
        ALL,
    ),
    "a file that is no module beside the stages": (
        [lambda w: w.append("pipeline/stages/limits.csv", "1\n"),
         lambda w: w.append("nn/loss.cpython-311-x86_64-linux-gnu.so", "ELF")],
        ALL,
    ),
    "README, docs or a test": (
        [lambda w: w.append("README.md", "more\n"), lambda w: w.append("docs/new.md", "more\n"),
         lambda w: w.append("nn/README.md", "more\n"),
         lambda w: w.append("tests/test_x.py", "1\n")],
        NONE,
    ),
    "a comment in conf/": ([lambda w: w.append("conf/optimiser/adam.yaml", "\n# more\n")], NONE),
    "a value in conf/": (
        [lambda w: w.rewrite(lambda t: re.sub("learning_rate: .*", "learning_rate: 0.7", t),
                             "conf/optimiser/adam.yaml")],
        {"car, adam"},
    ),
    "a default of a setting": (
        [lambda w: w.edit("pipeline/config.py", "calibration_bins: Annotated[int, Field(ge=2, "
                          "le=100)] = 10", "calibration_bins: Annotated[int, Field(ge=2, "
                          "le=100)] = 11")],
        ALL,
    ),
    "the seed": ([lambda w: w.words["loans"].append("seed=3")], {"loans"}),
    "one cell of the table": (
        [lambda w: w.rewrite(lambda t: t.replace("41.50", "41.51")),
         lambda w: w.rewrite(lambda t: t.replace("rent,,yes", "own,,yes")),
         lambda w: w.rewrite(lambda t: t.replace("d,no", "d,yes")),
         lambda w: w.rewrite(lambda t: t.replace("\n,own", "\n0,own"))],
        {"loans"},
    ),
    "a cell of a column that the contract ignores": (
        [lambda w: w.rewrite(lambda t: t.replace(",d,", ",changed,"))],
        NONE,
    ),
    "one row more, the same as another": (
        [lambda w: w.rewrite(lambda t: t + "30,own,a,yes\n")],
        {"loans"},
    ),
    "the order of the file's rows": (
        [lambda w: w.rewrite(lambda t: "\n".join([t.split()[0], *t.split()[:0:-1], ""])),
         lambda w: w.rewrite(lambda t: "age,paid,home,note\n30,yes,own,a\n41.50,no,rent,b\n"
                                       "30,yes,rent,\n,no,own,d\n")],
        NONE,
    ),
    "line ends, quotes, a byte order mark, gzip": (
        [lambda w: w.rewrite(lambda t: t.replace("\n", "\r\n")),
         lambda w: w.rewrite(lambda t: "\ufeff" + t),
         lambda w: w.rewrite(lambda t: t.replace("own", '"own"')),
         gzipped],
        NONE,
    ),
    "parquet in place of CSV, with the same texts": ([as_parquet], NONE),
    "the file's name or place": ([moved], NONE),
    "the pin `data.sha256`, `data.max_bytes`": (
        [lambda w: w.words["car"].append("data.sha256=null"),
         lambda w: w.all_words("data.max_bytes=1000000")],
        NONE,
    ),
    "the order of the columns in the contract": (
        [lambda w: w.edit("conf/data/loans.yaml", "  age: {kind: numeric}\n  home: {kind: "
                          "categorical}\n", "  home: {kind: categorical}\n  age: {kind: "
                          "numeric}\n")],
        {"loans"},
    ),
    "the version of numpy": ([lambda w: w.versions.update(numpy="9.9")], ALL),
    "the version of scipy, pandas, pandera or scikit-learn": (
        [lambda w: w.versions.update({"scipy": "9"}), lambda w: w.versions.update({"pandas": "9"}),
         lambda w: w.versions.update({"pandera": "9"}),
         lambda w: w.versions.update({"scikit-learn": "9"})],
        ALL,
    ),
    "the version of duckdb, hydra, mlflow or matplotlib": (
        [lambda w: w.versions.update(dict.fromkeys((*TOLD, "matplotlib"), "9.9"))],
        NONE,
    ),
    "Python 3.12 in place of 3.11": ([lambda w: w.versions.update(python="3.99.1")], ALL),
    "Python 3.11.9 in place of 3.11.7": (
        [lambda w: w.versions.update(python=patched(w, "9")),
         lambda w: w.versions.update(python=patched(w, "0rc1"))],
        NONE,
    ),
    "`train.blas_threads`": ([lambda w: w.words["car"].append("train.blas_threads=2")], {"car"}),
    "OMP_NUM_THREADS, OPENBLAS_NUM_THREADS": ([lambda w: None], NONE),  # tests/test_threads.py
    "another machine: platform, BLAS kernel, vector instructions": (
        [lambda w: w.machine.update(platform="sunos-sparc", blas="mkl 1.0", arithmetic="musl")],
        NONE,
    ),
    "the tracking address, the experiment": (
        [lambda w: w.all_words("tracking=server", "tracking.uri=http://h:1", "tracking.create=true",
                               "tracking.experiment=other")],
        NONE,
    ),
    "the number of joblib workers, the launcher, `sweep.*`": (
        [lambda w: w.all_words("sweep.retry=3", "sweep.timeout_s=60", "sweep.name=mine")],
        NONE,
    ),
    "the commit, the day, the person": ([committed], NONE),
}  # fmt: skip


BEFORE: dict[str, Callable[[World], object]] = {
    "a package of one's own that a stage imports": lambda w: (
        w.append("ours/__init__.py", ""),
        w.append("nn/fit.py", "\n\ndef _late():\n    import ours\n\n    return ours.one\n"),
    ),
    "any module, once a stage uses importlib, exec or eval": lambda w: w.append(
        "nn/fit.py", "\n\ndef _late(n):\n    import importlib\n    importlib.import_module(n)\n"
    ),
}


@pytest.mark.parametrize("row", ROWS)
def test_exactly_what_the_page_says_is_made_again(world, row):
    BEFORE.get(row, lambda _: None)(world)
    changes, expected = ROWS[row]
    before = world.identities()
    for change in changes:
        change(world)
        after = world.identities()
        assert {name for name in RUNS if before[name] != after[name]} == expected
        before = after


def test_the_page_has_the_rows_that_are_tried_and_says_the_same():
    table = PAGE.read_text().split("## What must be made again")[1].split("## ")[0]
    lines = [line for line in table.splitlines() if line.startswith("|")][2:]
    told = {cells[0]: cells[1] for cells in ([c.strip() for c in line.strip("|").split("|")]
                                             for line in lines)}  # fmt: skip
    words = {"none": [NONE], "all": [ALL], "those on the table": [{"loans"}],
             "those that have it": [{"loans"}, {"car"}],
             "those that take it": [{"car, adam"}]}  # fmt: skip
    assert list(told) == list(ROWS)
    for row, said in told.items():
        assert ROWS[row][1] in words[said], row


def test_every_library_that_the_stages_import_is_either_in_the_identity_or_excused():
    """A stage that imports another one must decide which it is."""
    excused = {"duckdb", "pydantic", "pydantic_core", "threadpoolctl"}  # their output is hashed
    named = {"sklearn": "scikit-learn"}
    modules = {
        module.partition(".")[0]
        for name in surroundings().code_files
        for module in meaning((PROJECT / name).read_bytes(), name).modules or ()
    }
    others = modules - sys.stdlib_module_names - {"nn", "pipeline"}
    assert {named.get(name, name) for name in others} - excused == set(COMPUTING)


@pytest.mark.slow
def test_a_sweep_makes_again_what_must_be_and_says_why(tmp_path, store_template):
    """The plan of the real command agrees with the identities above."""
    folder = copy_project(tmp_path / "project", store_template)
    words = ["-m", "train.epochs=3", "seed=range(3)", "data.sha256=null"]
    assert launch(folder, *words)[0] == 0
    world = World(folder)
    for row in ("a comment, the layout or a docstring of a product file",
                "a module that nothing imports", "README, docs or a test",
                "a module that draws, prints, stores or publishes"):  # fmt: skip
        for change in ROWS[row][0]:
            change(world)
    world.rewrite(lambda text: "".join(text.splitlines(keepends=True)[::-1]), "data/car.data")
    others = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=7", "tracking.experiment=other"]
    code, out, _ = launch(folder, *words, *others, "--plan")
    assert code == 0
    assert "3 done already, 0 refused, 0 to run" in out
    world.rewrite(lambda text: text.replace("low,unacc", "low,acc", 1), "data/car.data")
    ROWS["the body of a helper"][0][0](world)
    code, out, _ = launch(folder, *words, "--plan")
    assert code == 0
    assert "0 done already, 0 refused, 3 to run" in out
    assert re.search(r"data changed: digest .*; code changed: nn/loss.py: number 0-2", out)


# Every cell counts.


LONG = 12_000
COLUMNS: dict[str, dict[str, str]] = {
    "number": {"kind": "numeric"},
    "word": {"kind": "categorical"},
    "gappy": {"kind": "categorical", "missing": "input"},
    "flag": {"kind": "categorical"},
}


@pytest.fixture(scope="module")
def long() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "number": rng.normal(size=LONG).round(6),
        "word": rng.choice(["a", "b", "c"], LONG),
        "gappy": rng.choice(["x", "y"], LONG),
        "flag": rng.integers(0, 2, LONG).astype(bool),
        "class": rng.choice(["yes", "no"], LONG),
    })  # fmt: skip
    frame.loc[77, "gappy"] = None
    return frame


PLACES = [(row, name) for name in (*COLUMNS, "class") for row in (0, 5_000, 9_999, 10_001, 11_999)]


def with_another(frame: pd.DataFrame, row: int, name: str) -> pd.DataFrame:
    changed = frame.copy()
    others = {"number": 99.5, "word": "d", "gappy": "z", "flag": not frame.loc[row, "flag"],
              "class": "yes" if frame.loc[row, "class"] == "no" else "no"}  # fmt: skip
    changed.loc[row, name] = others[name]
    return changed


def our_digest(frame: pd.DataFrame, folder: Path) -> str:
    frame.to_csv(folder / "long.csv", index=False)
    settings = {"name": "long", "path": str(folder / "long.csv"), "columns": COLUMNS,
                "target": {"name": "class", "positive": ["yes"]}}  # fmt: skip
    return read_rows(DataSettings.parse(settings)).digest


def test_our_digest_of_a_table_sees_every_cell(long, tmp_path):
    digests = [our_digest(with_another(long, *place), tmp_path) for place in PLACES]
    assert len({our_digest(long, tmp_path), *digests}) == len(PLACES) + 1
    shuffled = long.sample(frac=1, random_state=1)
    assert our_digest(shuffled, tmp_path) == our_digest(long, tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_the_digest_of_mlflow_misses_late_rows_and_gappy_columns(long):
    """Why a run's dataset has our digest: these changes leave MLflow's as it is."""
    import mlflow.data

    def theirs(frame: pd.DataFrame) -> str:
        return str(mlflow.data.from_pandas(frame).digest)

    before = theirs(long)
    unseen = {place for place in PLACES if theirs(with_another(long, *place)) == before}
    late = {(row, name) for row, name in PLACES if row > 10_000}
    gappy = {(row, name) for row, name in PLACES if name == "gappy"}
    assert late | gappy <= unseen
    assert (0, "number") not in unseen  # the control: it is a digest of something
