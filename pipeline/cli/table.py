"""The one table of commands: what make, ``python -m pipeline`` and ``oneuron`` know.

A command takes its flags and the settings that it names; every other word is refused. With
``--make`` the flags come from the variables of make (RUN, INPUT, …) and the settings from ARGS, as
they were typed: a shell would not take ``seed=range(5)``.
"""

from __future__ import annotations

import argparse
import difflib
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from typing import TYPE_CHECKING, Any, NoReturn

from pipeline.cli import commands
from pipeline.errors import ConfigError
from pipeline.text import bounded, cut

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

EVERY_SETTING = ("*",)
TRACKING = ("tracking",)


@dataclass(frozen=True)
class Option:
    """A flag with a value; make's variable has its name in capitals."""

    name: str
    help: str
    default: str = ""
    example: str = ""  # a value, for the message that it must be given; "": it need not be
    is_switch: bool = False


@dataclass(frozen=True)
class Command:
    """What a person types, what it does, and the flags and settings that it takes."""

    name: str
    help: str
    handler: Callable[[commands.Given], int]
    options: tuple[Option, ...] = ()
    settings: tuple[str, ...] = ()


RUN = Option("run", "identity, id in MLflow, latest, champion or model@champion", "latest")
SWEEP = Option("sweep", "name, id (or its beginning), or latest", "latest")

COMMANDS = (
    Command("run", "train, evaluate and track one neuron", commands.run, (), EVERY_SETTING),
    Command(
        "sweep", "a run for each point of a grid, and how they compare", commands.sweep,
        (Option("plan", "show what would be run", is_switch=True),), EVERY_SETTING,
    ),
    Command(
        "compare", "compare runs", commands.compare,
        (SWEEP, Option("filter", "of MLflow, as: params.seed = '0'")), TRACKING,
    ),
    Command(
        "promote", "make the best run of a sweep champion, if it passes the gate",
        commands.promote, (SWEEP,), ("promote", "tracking"),
    ),
    Command(
        "predict", "score new rows", commands.predict,
        (RUN, Option("input", "csv, csv.gz or parquet", "", "new.csv"),
         Option("output", "CSV to write", "", "scored.csv")),
        ("evaluate.threshold", "tracking"),
    ),
    Command(
        "reproduce", "train a run again from its record, and say whether it is the same",
        commands.reproduce,
        (RUN, Option("from", "source: by the code on record"),
         Option("trust", "yes: run code that was not made on this machine")),
        ("data.path", "train.blas_threads", "tracking"),
    ),
    Command(
        "export", "write the record of a run to a zip", commands.export,
        (RUN, Option("output", "zip to write", "", "run.zip")), TRACKING,
    ),
    Command(
        "import", "take in a run that was exported elsewhere", commands.import_,
        (Option("input", "zip that export has written", "", "run.zip"),), TRACKING,
    ),
    Command("sync", "publish the runs that a store or server lacks", commands.sync, (), TRACKING),
    Command(
        "ui", "look at the runs in MLflow, on this machine only", commands.ui,
        (Option("port", "a free one is taken if it is not", "5000"),),
    ),
    Command(
        "data", "write the tables that come with the project", commands.data,
        (Option("remove", "remove those that can be written again", is_switch=True),),
    ),
)  # fmt: skip
BY_NAME = {command.name: command for command in COMMANDS}


@dataclass
class _Parser:
    """Reads the words of one command."""

    command: Command
    faults: list[str] = field(default_factory=list)

    def read(self, words: list[str]) -> commands.Given:
        flags = _Flags(prog=f"oneuron {self.command.name}", allow_abbrev=False)
        flags.description = self.command.help
        for option in self.command.options:
            if option.is_switch:
                flags.add_argument(f"--{option.name}", action="store_true", help=option.help)
            else:
                flags.add_argument(f"--{option.name}", default=option.default, help=option.help)
        options, rest = flags.parse_known_args(words)
        known = vars(options)
        self._require_given(known)
        overrides = [word for word in rest if self._is_sound(word)]
        values = {}
        if self.command.settings != EVERY_SETTING:
            values = self._values(overrides)
        if self.faults:
            raise ConfigError(bounded(self.faults))
        return commands.Given(known, overrides, values)

    def _require_given(self, known: dict[str, Any]) -> None:
        needed = [option for option in self.command.options if option.example]
        lacking = [option.name.upper() for option in needed if not known[option.name]]
        if lacking:
            example = " ".join(f"{o.name.upper()}={o.example}" for o in needed)
            self.faults.append(
                f"{' and '.join(lacking)} must be given; got nothing: make {self.command.name} "
                f"{example}"
            )

    def _is_sound(self, word: str) -> bool:
        fault = self._fault(word)
        if fault:
            self.faults.append(fault)
        return not fault

    def _fault(self, word: str) -> str:
        """Return what is wrong with a word that is no flag of the command; "" if nothing is."""
        settings, name = self.command.settings, self.command.name
        if word.startswith("-"):
            flags = [f"--{option.name}" for option in self.command.options]
            known = f"one of {', '.join(flags)}" if flags else "left out"
            return f"flag of {name} must be {known}; got {_short(word)}{_near(word, flags)}"
        if settings == EVERY_SETTING:
            return _command_fault(word)
        if not settings:
            return f"{name} must have no settings; got {_short(word)}"
        from pipeline.config.compose import parse_words

        overrides, faults = parse_words([word])
        return faults[0] if faults else self._setting_fault(overrides[0], word)

    def _setting_fault(self, override: Override, word: str) -> str:
        key = override.key_or_group
        if not self._takes(key):
            takes = " or ".join(f"{each}=…" for each in self.command.settings)
            return (
                f"{self.command.name} must have no setting but {takes}; got {_short(word)}"
                f"{self._meant(key)}"
            )
        if override.is_sweep_override():
            return f"{key} must have one value; got {_short(word)}"
        return ""

    def _takes(self, key: str) -> bool:
        return key in self.command.settings or key.partition(".")[0] in self.command.settings

    def _meant(self, key: str) -> str:
        from pipeline.config.schema import Configuration
        from pipeline.config.strict import nearest, valid_keys

        keys = sorted(set(valid_keys(Configuration)))
        near = nearest(key, [k for k in keys if self._takes(k)]) if key not in keys else None
        return f"; did you mean {near}?" if near else ""

    def _values(self, words: list[str]) -> dict[str, Any]:
        """Return what the words set, by key, after the whole configuration was checked."""
        if not words:
            return {}
        from pipeline.config.compose import configuration, parse_words

        try:
            job = configuration(words)
        except ConfigError as refusal:
            self.faults += str(refusal).splitlines()
            return {}
        keys = [override.key_or_group for override in parse_words(words)[0]]
        return {key: reduce(getattr, key.split("."), job) for key in keys}


class _Flags(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Refuse what argparse cannot read, on one line."""
        raise ConfigError(f"flags must be used as {self.prog} --help says; got {message}")


def parse(name: str, words: list[str]) -> commands.Given:
    """Return the flags and settings of the command ``name`` that the words are.

    Raises
    ------
    ConfigError
        Naming every word that is unknown, belongs to another command or has a wrong value.
    """
    command = BY_NAME[name]
    return _Parser(command).read(_from_make(command) if words == ["--make"] else words)


def _from_make(command: Command) -> list[str]:
    """Return the words that make's variables stand for."""
    given = {option: os.environ.get(option.name.upper(), "") for option in command.options}
    flags = [
        f"--{option.name}" if option.is_switch else f"--{option.name}={value}"
        for option, value in given.items()
        if value
    ]
    typed = os.environ.get("ARGS", "")
    try:
        return [*flags, *shlex.split(typed)]
    except ValueError as error:
        raise ConfigError(f"ARGS must be words; got {typed!r}: {str(error).lower()}") from None


def _short(word: str) -> str:
    return repr(cut(word, 80))


def _command_fault(word: str) -> str:
    """Return what is wrong with a word that was meant to be a command; "" for a setting."""
    if "=" in word or word.startswith("~"):
        return ""
    near = _near(word, list(BY_NAME)) or "; --help lists them"
    return f"command or setting must be known; got {_short(word)}{near}"


def _near(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word.partition("=")[0], known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
