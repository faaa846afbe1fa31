"""A draft becomes YAML in which every guess has its evidence beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipeline import files
from pipeline.draft.kinds import Guess
from pipeline.errors import ConfigError
from pipeline.text import YAML_WORDS, cut, printable

PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_/.-]*")
RESERVED = (*YAML_WORDS, "nan")
MAX_COMMENT = 300


def contract_text(
    head: str, settings: Mapping[str, Any], evidence: Mapping[str, str], target: Guess,
    columns: Mapping[str, Guess],
) -> str:  # fmt: skip
    """Return the contract as YAML: settings, the target, and a line for each column."""
    lines = [f"# {line}" for line in head.splitlines()]
    lines += [
        f"{key}: {flow(value)}{_comment(evidence.get(key, ''))}" for key, value in settings.items()
    ]
    lines += ["target:", *_target(target), "columns:"]
    lines += [
        f"  {quoted_text(name)}: {flow(g.tree)}{_column_comment(g)}" for name, g in columns.items()
    ]
    return "\n".join(lines) + "\n"


def flow(value: Any) -> str:
    """Return a plain value as YAML on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{quoted_text(key)}: {flow(v)}" for key, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        # OmegaConf takes ${…} in a value for the name of another setting.
        return quoted_text(re.sub(r"(\\*)\$\{", r"\1\1\\${", value))
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value)


def quoted_text(value: str) -> str:
    """Return text as YAML reads it back as text: in quotes, where it must be."""
    if PLAIN.fullmatch(value) and value.lower() not in RESERVED:
        return value
    return '"' + "".join(map(_escaped, value)) + '"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return "\\" + char
    return char if char.isprintable() else f"\\U{ord(char):08x}"


def _target(guess: Guess) -> Iterator[str]:
    name, positive = guess.tree["name"], guess.tree["positive"]
    yield f"  name: {flow(name)}"
    yield f"  positive: {flow(positive)}{_column_comment(guess)}"
    if "negative" in guess.tree:
        yield f"  negative: {flow(guess.tree['negative'])}"


def _column_comment(guess: Guess) -> str:
    asked = f"UNSURE: {guess.question}" if guess.question else ""
    also = f"or {{{guess.also}}}" if guess.also else ""
    return _comment("; ".join(filter(None, (guess.evidence, also, asked))))


def _comment(words: str) -> str:
    return f" # {cut(printable(words), MAX_COMMENT)}" if words else ""


def data_name(path: Path) -> str:
    """Return the name of the file as a word that Hydra takes: letters, digits, _ and -."""
    stem = re.sub(r"(?i)\.(csv|tsv|txt|data|dat|parquet|gz)", "", path.name)
    word = re.sub(r"[^A-Za-z0-9_-]+", "_", stem).strip("_-")[:60]
    is_word = re.match("[A-Za-z]", word) and word.lower() not in (*YAML_WORDS, "nan", "inf")
    return word if is_word else f"table_{word}".rstrip("_")


def contract_path(output: str, source: Path) -> Path:
    """Return where the contract is written: in the folder where ``data=name`` looks for it."""
    folder = files.CONF / "data"
    path = Path(output).absolute() if output else folder / f"{data_name(source)}.yaml"
    name = data_name(Path(path.stem))
    if path != folder / f"{name}.yaml":
        raise ConfigError(
            "OUTPUT must be a YAML in conf/data, named with letters, digits, _ and -; got "
            f"{output!r}: OUTPUT=conf/data/{name}.yaml"
        )
    if path.exists():
        raise ConfigError(
            f"contract must not be there yet; got {files.shown(path)}: remove it, or write "
            f"another one with OUTPUT=conf/data/{name}_2.yaml"
        )
    return path
