"""The code that can change a result: what ``pipeline/run.py`` reaches by its imports.

A module that nothing imports, or that only stores, draws or publishes what a run found out, cannot
change it and does not count. Of each module the meaning counts and not the text: comments, blank
lines and docstrings leave its digest as it is.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

from pipeline.paths import PROJECT

ROOT = "pipeline/run.py"
PACKAGES = ("nn", "pipeline")
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_files(project: Path = PROJECT) -> dict[str, str]:
    """A digest of the meaning of each source file that can change a result, by its path."""
    found: dict[str, str] = {}
    left = [ROOT]
    while left:
        name = left.pop()
        if name not in found and (project / name).is_file():
            found[name], modules = meaning((project / name).read_bytes())
            left += [file for module in modules for file in _files(project, module)]
    return dict(sorted(found.items()))


def meaning(source: bytes) -> tuple[str, list[str]]:
    """The sha256 of what the code says, and the names of the modules that it may import.

    No comment, no layout and no docstring is in it. It is the same for each version of Python from
    3.11 on: what later ones add to the syntax tree, empty in this code, is left out.
    """
    tree = ast.parse(source)
    modules = []
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            modules += [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            del node.body[0]
    more = {"show_empty": True} if sys.version_info >= (3, 13) else {}
    text = ast.dump(tree, **more).replace(", type_params=[]", "")
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), modules


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """The node and every statement in it, at any depth; expressions hold none."""
    yield node
    for field in BLOCKS:
        for inner in getattr(node, field, ()):
            yield from _statements(inner)


def _files(project: Path, module: str) -> Iterator[str]:
    """The files that importing the module runs: its own and those of the packages it is in."""
    parts = module.split(".")
    if parts[0] not in PACKAGES:
        return
    for n in range(1, len(parts) + 1):
        place = "/".join(parts[:n])
        for name in (f"{place}/__init__.py", f"{place}.py"):
            if (project / name).is_file():
                yield name
