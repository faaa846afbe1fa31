"""The words after a command: its flags and the settings that it takes; all others are refused."""

from __future__ import annotations

import argparse
import difflib
import io
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from functools import reduce
from typing import TYPE_CHECKING, Any, NoReturn

from pipeline.errors import ConfigError, bounded
from pipeline.paths import CONF

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig


class Parser(argparse.ArgumentParser):
    """Reads the words of ``command``.

    ``takes`` are the settings that it knows: a key (``evaluate.threshold``) or a whole group
    (``tracking``), of which an option may be chosen as well.
    """

    def __init__(self, command: str, *takes: str) -> None:
        super().__init__(prog=f"python -m pipeline {command}", allow_abbrev=False)
        self.command, self.takes = command, takes
        if takes:
            self.epilog = f"settings that it takes: {', '.join(self._spelled())}"

    def read(self, words: list[str]) -> tuple[argparse.Namespace, list[str], dict[str, Any]]:
        """The flags, the words that are settings, and the checked values of those, by key.

        Raises
        ------
        ConfigError
            Naming every word that is unknown, belongs to another command or has a wrong value.
        """
        options, rest = self.parse_known_args(words)
        faults = {word: self._fault(word) for word in rest}
        sound = [word for word in rest if not faults[word]]
        values: dict[str, Any] = {}
        told = [fault for fault in faults.values() if fault]
        if sound:
            try:
                values = _values(sound)
            except ConfigError as refusal:
                told += str(refusal).splitlines()
        if told:
            raise ConfigError(bounded(told))
        return options, rest, values

    def error(self, message: str) -> NoReturn:
        """Refuse what argparse cannot read, on one line."""
        raise ConfigError(
            f"flags of {self.command} must be used as {self.prog} --help tells; got {message}"
        )

    def _fault(self, word: str) -> str | None:
        if word.startswith("-"):
            return self._unknown_flag(word)
        if not self.takes:
            return f"{self.command} must be told nothing; got {_short(word)}"
        from pipeline.compose import parse_words

        overrides, faults = parse_words([word])
        return faults[0] if faults else self._fault_of(overrides[0], word)

    def _unknown_flag(self, word: str) -> str:
        flags = sorted(flag for flag in self._option_string_actions if flag.startswith("--"))
        near = difflib.get_close_matches(word.partition("=")[0], flags, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        told = f"flag of {self.command} must be one of {', '.join(flags)}"
        return f"{told}; got {_short(word)}{hint}"

    def _fault_of(self, override: Override, word: str) -> str | None:
        key = override.key_or_group
        if not self._takes(key):
            takes = " or ".join(self._spelled())
            return f"{self.command} must be told {takes}, no more; got {_short(word)}" + (
                self._hint(key)
            )
        if override.is_sweep_override():
            return f"{key} must have one value; got {_short(word)}"
        return None

    def _takes(self, key: str) -> bool:
        return key in self.takes or key.partition(".")[0] in self.takes

    def _hint(self, key: str) -> str:
        """What a key that no command knows was probably meant to be, of those that this takes."""
        from pipeline.config import Configuration
        from pipeline.settings import nearest, valid_keys

        keys = sorted(set(valid_keys(Configuration)))
        near = nearest(key, [k for k in keys if self._takes(k)]) if key not in keys else None
        return f"; did you mean {near}?" if near else ""

    def _spelled(self) -> list[str]:
        """The settings as they are typed."""
        spelled = [[f"{key}=…"] if "." in key else [f"{key}=…", f"{key}.…=…"] for key in self.takes]
        return [text for texts in spelled for text in texts]


def typed(words: list[str]) -> list[str]:
    """The words of the command line; ``--args`` stands for those in the variable ARGS.

    So make hands them on as they were typed: a shell would not take ``seed=range(5)``.
    """
    if "--args" not in words:
        return words
    given = os.environ.get("ARGS", "")
    try:
        more = shlex.split(given)
    except ValueError as error:
        raise ConfigError(f"ARGS must be words; got {given!r}: {str(error).lower()}") from None
    place = words.index("--args")
    return [*words[:place], *more, *words[place + 1 :]]


def ask_hydra(words: list[str]) -> None:
    """Have Hydra answer --cfg, --info, --version and their like.

    Raises
    ------
    ConfigError
        If it does not know a flag, or a word is no sound override.
    """
    import hydra

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
    def refuse(_: DictConfig) -> None:
        flags = " ".join(word for word in words if word.startswith("-"))
        raise ConfigError(f"flags must be among those that --help tells of; got {flags}")

    os.environ["HYDRA_FULL_ERROR"] = "1"  # raises what it would otherwise print and swallow
    overrides = [word for word in words if "=" in word and not word.startswith("-")]
    sys.argv[1:] = [*(word for word in words if word not in overrides), *overrides]
    try:
        with _one_line():
            refuse()
    except Exception as refusal:
        from pipeline.compose import REFUSALS, explain

        if not isinstance(refusal, REFUSALS):
            raise
        raise explain(refusal, overrides) from None


@contextmanager
def _one_line() -> Iterator[None]:
    """Of what argparse says of a flag that it does not know, the last line alone."""
    try:
        with redirect_stderr(io.StringIO()) as said:
            yield
    except SystemExit as left:
        if left.code in (None, 0):
            raise
        told = said.getvalue().strip().rpartition(" error: ")[2]
        raise ConfigError(f"flags must be those that --help tells of; got {told[:300]}") from None


def _values(words: list[str]) -> dict[str, Any]:
    """What the words set, by key, after the whole configuration was checked."""
    from pipeline.compose import configuration, parse_words

    job = configuration(words)
    keys = [override.key_or_group for override in parse_words(words)[0]]
    return {key: reduce(getattr, key.split("."), job) for key in keys}


def _short(word: str) -> str:
    return repr(word if len(word) <= 80 else word[:79] + "…")
