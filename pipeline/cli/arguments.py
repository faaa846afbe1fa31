"""Words typed become the flags and settings of a command, or a message that names every fault.

With ``--make`` the flags come from the variables of make (RUN, INPUT, …) and the settings from
ARGS, as they were typed: a shell would not take ``seed=range(5)``.
"""

from __future__ import annotations

import argparse
import os
import shlex
from functools import reduce
from typing import TYPE_CHECKING, Any, NoReturn

from pipeline.cli.given import Given
from pipeline.cli.table import BY_NAME, CONNECT, EVERY_SETTING, FILE_SETTINGS, Command, Option
from pipeline.errors import ConfigError
from pipeline.text import bounded, cut

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override


# What make hands on; no other variable of the environment is a flag.
VARIABLES = (
    "RUN", "INPUT", "OUTPUT", "SWEEP", "FILTER", "FROM", "TRUST", "PLAN", "ON_BAD_ROW", "TARGET",
    "POSITIVE", "PORT", "HIDE_VALUES", "DIALECT", "TABLE", "ARGS",
)  # fmt: skip


class _Flags(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Refuse what argparse cannot read, on one line."""
        raise ConfigError(f"flags must be used as {self.prog} --help says; got {message}")


def parse(name: str, words: list[str]) -> Given:
    """Return the flags and settings of the command ``name`` that the words are.

    Raise ConfigError, which names every word that is unknown, belongs to another command or has a
    wrong value.
    """
    command = BY_NAME[name]
    words = _from_make(command) if words == ["--make"] else words
    flags = _Flags(prog=f"oneuron {name}", allow_abbrev=False, add_help=False)
    for option in command.options:
        how: dict[str, Any] = {"default": option.default}
        if option.is_switch:
            how = {"action": "store_true"}
        elif option.is_word:
            how |= {"nargs": "?"}
        flags.add_argument(option.name if option.is_word else f"--{option.name}", **how)
    parsed, rest = flags.parse_known_args(_whole(_as_flags(command, words)))
    known = vars(parsed)
    checked = [(word, _fault(command, word)) for word in rest]
    overrides = [word for word, fault in checked if not fault]
    faults = [
        *_lacking(command, known),
        *_unknown(command, known),
        *(fault for _, fault in checked if fault),
    ]
    values: dict[str, Any] = {}
    if overrides and command.settings != EVERY_SETTING:
        try:
            values = _values(overrides)
        except ConfigError as refusal:
            faults += str(refusal).splitlines()
    if faults:
        raise ConfigError(bounded(faults))
    return Given(known, overrides, values)


def _from_make(command: Command) -> list[str]:
    """Return the variables of the command that make has set."""
    names = [name for name in (*_variables(command), "ARGS") if name in VARIABLES]
    return [f"{name}={value}" for name in names if (value := os.environ.get(name))]


def _as_flags(command: Command, words: list[str]) -> list[str]:
    """Return the words with ``--run=latest`` for ``RUN=latest``, which make and messages say."""
    made, variables = [], _variables(command)
    for word in words:
        name, is_set, value = word.partition("=")
        option = variables.get(name) if is_set else None
        if option is not None and value:
            flag = f"--{option.name}" if option.is_switch else f"--{option.name}={value}"
            made.append(value if option.is_word else flag)
        elif name == "ARGS" and is_set:
            made += _split(value)
        elif option is None:
            made.append(word)
    return made


def _variables(command: Command) -> dict[str, Option]:
    return {option.variable: option for option in command.options}


def _split(typed: str) -> list[str]:
    try:
        return shlex.split(typed)
    except ValueError as error:
        raise ConfigError(f"ARGS must be words; got {typed!r}: {str(error).lower()}") from None


def _whole(words: list[str]) -> list[str]:
    """Return the words, joined again where blanks within brackets have parted them.

    ``ARGS="evaluate.threshold={recall: 0.9}"`` is one word; a bracket that nothing closes is text.
    """
    joined: list[str] = []
    while words:
        ends = (n for n in range(1, len(words) + 1) if _is_closed(" ".join(words[:n])))
        n = next(ends, 1) if "=" in words[0] and words[0][0] != "-" else 1
        joined.append(" ".join(words[:n]))
        words = words[n:]
    return joined


def _is_closed(text: str) -> bool:
    return all(text.count(first) <= text.count(last) for first, last in ("{}", "[]", "()"))


def _lacking(command: Command, known: dict[str, Any]) -> list[str]:
    lacking = [option.variable for option in command.needed if not known[option.name]]
    example = " ".join(f"{option.variable}={option.example}" for option in command.needed)
    rule = f"{' and '.join(lacking)} must be given; got nothing"
    return [f"{rule}: make {command.name} {example}"] if lacking else []


def _unknown(command: Command, known: dict[str, Any]) -> list[str]:
    """Return what is wrong with words that stand for themselves, as the name of a shell."""
    return [
        f"{option.name} must be one of {', '.join(option.values)}; got {cut(got, 80)!r}"
        for option in command.options
        if option.is_word and (got := known[option.name]) not in option.values
    ]


def _fault(command: Command, word: str) -> str:
    """Return what is wrong with a word that is no flag of the command; "" if nothing is."""
    from pipeline.config.strict import did_you_mean

    settings, got = command.settings, f"got {cut(word, 80)!r}"
    if word.startswith("-"):
        flags = [f"--{option.name}" for option in command.options]
        known = f"one of {', '.join(flags)}" if flags else "left out"
        near = did_you_mean(word.partition("=")[0], flags)
        return f"flag of {command.name} must be {known}; {got}{near}"
    if settings == EVERY_SETTING:
        if "=" in word or word.startswith("~"):
            return ""
        near = did_you_mean(word, [*BY_NAME]) or "; --help lists them"
        return f"command or setting must be known; {got}{near}"
    if not settings:
        return f"{command.name} must have no settings; {got}"
    from pipeline.config.compose import parse_words

    overrides, faults = parse_words([word])
    return faults[0] if faults else _setting_fault(settings, overrides[0], command.name, got)


def _setting_fault(settings: tuple[str, ...], override: Override, name: str, got: str) -> str:
    from pipeline.config.schema import Configuration
    from pipeline.config.strict import nearest, valid_keys

    def takes(key: str) -> bool:
        return key in settings or key.partition(".")[0] in settings

    key = override.key_or_group
    if takes(key):
        return f"{key} must have one value; {got}" if override.is_sweep_override() else ""
    keys = sorted(set(valid_keys(Configuration)))
    near = nearest(key, [k for k in keys if takes(k)]) if key not in keys else None
    hint = f"; did you mean {near}?" if near else ""
    form = [each.removeprefix("data.") for each in settings if each in FILE_SETTINGS]
    others = [f"{each}=…" for each in settings if each not in FILE_SETTINGS]
    listed = " or ".join(others + [f"data.{{{', '.join(form)}}}=…"] * bool(form))
    return f"{name} must have no setting but {listed}; {got}{hint}"


def _values(words: list[str]) -> dict[str, Any]:
    """Return what the words set, by key, after the whole configuration was checked."""
    from pipeline.config.compose import configuration, parse_words

    given = {override.key_or_group: override for override in parse_words(words)[0]}
    # What the form of a file may be depends on the contract of the model, as does its engine.
    form = {k: override.value() for k, override in given.items() if k in (*FILE_SETTINGS, CONNECT)}
    job = configuration([o.input_line or "" for key, o in given.items() if key not in form])
    return {key: reduce(getattr, key.split("."), job) for key in given if key not in form} | form
