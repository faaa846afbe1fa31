"""What can change a result is in the digest of the code; wording and other rooms are not."""

import ast
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from builders import edit

from pipeline.files import PROJECT
from pipeline.record.identity import COMPUTING, code_digest, code_files

SOURCE = '''"""A module."""
from typing import Literal

KIND: Literal["stopped early", "converged"] = "stopped early"
LIMITS = {"very low": 0.5}


def check(value: float, rule: str = "at least") -> str:
    """Check a value.

    It must be low.
    """
    if value > LIMITS["very low"]:  # too high
        raise ValueError(f"value must be low; got {value:.3f} here: lower it")
    if rule == "not at all":
        return "ok"
    match rule:
        case "some of it":
            return "some"
        case _:
            return "at least"
    return "value is fine" + f"{value + 1:.1f}"
'''


def digest(old: str = "", new: str = "") -> str:
    assert old in SOURCE
    return code_digest(SOURCE.replace(old, new, 1).encode() if old else SOURCE.encode())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""A module."""', '"""Another module."""'),
        ('"""A module."""', ""),
        ("    It must be low.\n", "    It should be low, and more of that.\n"),
        ("  # too high", ""),
        ("# too high", "# much too high"),
        ("if value > LIMITS", "if (\n        value >\n            LIMITS"),
        ("value must be low; got", "value has to be low; got"),
        ("{value:.3f} here: lower it", "{value:.5f}: make it lower"),
        ('f"value must be low; got {value:.3f} here: lower it"', '"value must be low"'),
        ('"value is fine"', '"the value is fine"'),
        ("def check", "\n\n\ndef check"),
    ],
)
def test_a_comment_layout_a_docstring_and_wording_do_not_count(old, new):
    new = new if "(\n" not in new else new + '["very low"]\n    )'
    old = old if "LIMITS" not in old else f'{old}["very low"]'
    assert digest(old, new) == digest()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("value > LIMITS", "value >= LIMITS"),
        ("value + 1", "value + 2"),
        ("value + 1", "value - 1"),
        ("0.5", "0.5000000000000001"),
        ("0.5", "-0.5"),
        ('return "ok"', 'return "OK"'),
        ('return "ok"', "return 'ok '"),
        ('return "some"', 'return b"some"'),
        ("{value + 1:.1f}", "{value + 1:.2f}"),
        ("{value + 1:.1f}", "{value + 1!r:.1f}"),
        ("value: float", "value: int"),
        ("def check", "def check_value"),
        ("raise ValueError", "raise TypeError"),
        ('rule: str = "at least"', 'rule: str = "at most"'),
        ('return "at least"', 'return "at most"'),
        ('"not at all"', '"not as such"'),
        ('"some of it"', '"all of it"'),
        ('Literal["stopped early"', 'Literal["stopped late"'),
        ('= "stopped early"', '= "stopped late"'),
        ('{"very low"', '{"rather low"'),
        ('LIMITS["very low"]', 'LIMITS["rather low"]'),
        ("    match rule", "    value += 0\n    match rule"),
        ('        return "ok"\n', '        return "ok"\n    else:\n        pass\n'),
    ],
)
def test_whatever_can_change_what_the_code_does_counts(old, new):
    """A number, an operator, a category, also one of several words where it decides."""
    assert digest(old, new) != digest()


def test_a_text_that_looks_like_a_comment_counts():
    texts = [b'a = "b"  # c', b'a = "b#c"', b'a = "b"']
    assert len({code_digest(text) for text in texts}) == 2


def test_what_is_no_module_counts_byte_by_byte():
    for name, content in (("x.so", b"ELF"), ("x.csv", b"1\n"), ("x.py", b"no python at all")):
        assert code_digest(content, name) != code_digest(content + b" ", name)
    assert code_digest(b"a = 1", "x.py") == code_digest(b"a =  1", "x.py")


def test_the_digest_does_not_depend_on_the_version_of_python():
    """Golden: computed with 3.11; what later ones add to a syntax tree is left out."""
    source = b"def f[T](x): ..." if sys.version_info >= (3, 12) else b"def f(x): ..."
    assert code_digest(source) == code_digest(b"def f(x): ...")
    assert code_digest(b"def f(x, *, y=1):\n    return [x, f'{y!r}']") == (
        "34dea7e330499a7dd56c38878dc2ac348a57ae22db4f2bf55460646d23d0da69"
    )


# --- the rooms ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("code")
    for name in ("nn", "pipeline"):
        shutil.copytree(PROJECT / name, folder / name)
    return folder


@pytest.fixture
def copied(copy, tmp_path) -> Path:
    """The sources of the result rooms, and their neighbours."""
    shutil.copytree(copy, tmp_path / "code", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "code"


def changed(folder: Path, change: Callable[[Path], object]) -> set[str]:
    before = code_files(folder)
    change(folder)
    after = code_files(folder)
    return {name for name in before | after if before.get(name) != after.get(name)}


def append(name: str, text: str) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        with (folder / name).open("a") as file:
            file.write(text)

    return change


def test_it_is_all_that_computes_and_nothing_that_reads_or_shows():
    names = {*code_files()}
    modules = {path.relative_to(PROJECT).as_posix() for path in (PROJECT / "nn").glob("*.py")}
    assert modules | {"pipeline/run.py", "pipeline/config/schema.py"} <= names
    assert {"pipeline/stages/train.py", "pipeline/stages/validate/rules.py"} <= names
    rooms = ("nn/", "pipeline/config/", "pipeline/stages/", "pipeline/run.py")
    assert all(name.startswith(rooms) for name in names)
    assert not [name for name in names if "/read/" in name or name.endswith("compose.py")]


@pytest.mark.parametrize(
    "name",
    ["nn/new.py", "pipeline/stages/new.py", "pipeline/stages/deep/new.py", "nn/x.cpython-311.so",
     "pipeline/config/limits.csv", "pipeline/run.py", "nn/no.pyc"],
)  # fmt: skip
def test_every_file_of_a_result_room_counts(name, copied):
    assert changed(copied, append(name, "\nEXTRA = 1\n")) == {name}


@pytest.mark.parametrize(
    "name",
    ["pipeline/report/terminal.py", "pipeline/tracking/publish.py", "pipeline/record/write.py",
     "pipeline/stages/read/rows.py", "pipeline/config/compose.py", "pipeline/text.py",
     "nn/README.md", "pipeline/stages/notes.rst", "nn/__pycache__/loss.cpython-311.pyc",
     "nn/.loss.py.swp", "nn/.ipynb_checkpoints/x.py", "nn/loss.py~", "tests/x.py", "ours/x.py"],
)  # fmt: skip
def test_what_reads_shows_and_stores_does_not_count_nor_do_prose_and_hidden_files(name, copied):
    assert changed(copied, append(name, "\nEXTRA = 1\n")) == set()


def test_a_file_that_goes_counts(copied):
    assert changed(copied, lambda folder: (folder / "nn" / "gradcheck.py").unlink()) == {
        "nn/gradcheck.py"
    }


def test_a_reworded_message_of_the_product_changes_nothing(copied):
    """Of a rule of the contract, which many runs meet."""
    name = "pipeline/stages/validate/rules.py"
    change = lambda folder: edit(folder / name, '"must be a number"', '"has to be a number"')  # noqa: E731
    assert changed(copied, change) == set()


def test_result_rooms_import_nothing_whose_change_would_go_unseen():
    """What they import of the project is one of them, or makes no figure; libraries are counted.

    A stage that imports another one must decide which it is.
    """
    roots, project = set(), set()
    for name in code_files():
        for node in ast.walk(ast.parse((PROJECT / name).read_text())):
            if isinstance(node, ast.Import):
                roots |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                roots.add(node.module.partition(".")[0])
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                project |= {*names} if node.module == "pipeline" else {node.module}
    own = {module for module in project if module.partition(".")[0] == "pipeline"}
    parts = {tuple(module.split(".")[1:2]) for module in own}
    assert parts <= {("config",), ("stages",), ("errors",), ("files",), ("text",), ("csv_text",)}
    # Their output is hashed, or bounds nothing that is computed.
    excused = {"duckdb", "pydantic", "pydantic_core", "sklearn", "threadpoolctl"}
    others = roots - sys.stdlib_module_names - {"nn", "pipeline"} - excused
    assert others <= {*COMPUTING}


def test_no_code_of_the_result_rooms_hides_what_it_runs_or_reads_its_docstrings():
    """Docstrings do not count, and no import may go unseen."""
    for name in code_files():
        source = (PROJECT / name).read_text()
        for word in ("__doc__", "importlib", "__import__", "exec(", "eval(", "runpy"):
            assert word not in source, (name, word)
