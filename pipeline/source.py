"""The code that can change a result: what ``pipeline/run.py`` reaches by its imports.

A module that nothing imports, or that only stores, draws or publishes what a run found out, cannot
change it and does not count. Of each module the meaning counts and not the text: comments, blank
lines and docstrings leave its digest as it is. Where it cannot be told what a module reaches, all
counts that it may reach.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.paths import PROJECT

ROOT = "pipeline/run.py"
PACKAGES = ("nn", "pipeline")
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
# Whoever names one of these may run code that no import statement shows. (In brackets, so that
# this module does not name them.)
HIDING = re.compile(rb"import_modul[e]|__import_[_]|run[p]y|spec_fro[m]|\b(exec|eval)[(]")
PROSE = (".md", ".rst")


@dataclass(frozen=True)
class Meaning:
    """What a module says (sha256), and what it may import; None: anything."""

    digest: str
    modules: tuple[str, ...] | None


def code_files(project: Path = PROJECT) -> dict[str, str]:
    """A digest of each file that can change a result, by its path in the project.

    Of a module it is the digest of its meaning. A file beside counted modules that is no module (a
    table that one reads, a compiled extension that takes the place of one) counts byte by byte.
    """
    found: dict[str, str] = {}
    imported: set[str] = set()
    left = [ROOT]
    while left:
        name = left.pop()
        if name not in found and (project / name).is_file():
            meant = meaning((project / name).read_bytes(), name)
            found[name] = meant.digest
            modules = set(_all_modules(project) if meant.modules is None else meant.modules)
            left += [file for each in modules - imported for file in _files(project, each)]
            imported |= modules
    return dict(sorted((found | _others(project, found)).items()))


@functools.cache  # parsing is most of the work, and a process that makes many runs asks often
def meaning(source: bytes, name: str = "") -> Meaning:
    """What the module at ``name`` says and imports.

    No comment, no layout and no docstring is in the digest, unless the code asks for docstrings. It
    is the same for each version of Python from 3.11 on: what later ones add to the syntax tree,
    empty in this code, is left out.
    """
    tree = ast.parse(source)
    modules: list[str] = []
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            package = _package(node, name)
            modules += [f"{package}{alias.name}" for alias in node.names]
        elif b"__doc__" not in source and isinstance(node, DOCUMENTED):
            _without_docstring(node)
    more = {"show_empty": True} if sys.version_info >= (3, 13) else {}
    text = ast.dump(tree, **more).replace(", type_params=[]", "")
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return Meaning(digest, None if HIDING.search(source) else tuple(modules))


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """The node and every statement in it, at any depth; expressions hold none."""
    yield node
    for field in BLOCKS:
        for inner in getattr(node, field, ()):
            yield from _statements(inner)


def _without_docstring(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef,
) -> None:
    if ast.get_docstring(node, clean=False) is not None:
        del node.body[0]


def _package(node: ast.ImportFrom, name: str) -> str:
    """What stands before the names that are imported: absolute, with a dot at its end."""
    if not node.level:
        return f"{node.module}."
    parents = name.split("/")[: -node.level]
    return "".join(f"{part}." for part in [*parents, *(node.module or "").split(".")] if part)


def _files(project: Path, module: str) -> Iterator[str]:
    """The files of the project that importing the module runs: of its packages, and its own."""
    parts = module.split(".")
    for n in range(1, len(parts) + 1):
        place = "/".join(parts[:n])
        for name in (f"{place}/__init__.py", f"{place}.py"):
            if (project / name).is_file():
                yield name


def _all_modules(project: Path) -> list[str]:
    files = [path for package in PACKAGES for path in (project / package).rglob("*.py")]
    return [".".join(path.relative_to(project).with_suffix("").parts) for path in files]


def _others(project: Path, found: Iterable[str]) -> dict[str, str]:
    """sha256 of each file beside the modules, in their packages, that is neither code nor prose."""
    folders = {name.rpartition("/")[0] for name in found} - {""}
    return {
        f"{folder}/{path.name}": hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in (project / folder).iterdir()
        if path.is_file()
        and not path.name.startswith(".")
        and path.suffix not in (".py", *PROSE)
        and not path.name.endswith("~")
    }
