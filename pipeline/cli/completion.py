"""Scripts that complete commands, flags, settings and names in bash, zsh and fish.

They are written from the table of commands, and look up what changes (``conf/``, ``runs/``,
``sweeps/``) themselves: no Python is started when a person presses TAB.
"""

from __future__ import annotations

from collections import defaultdict
from importlib.resources import files as resources
from shlex import quote

from pipeline import files
from pipeline.cli.table import COMMANDS, EVERY_SETTING, Command, Option
from pipeline.config.schema import Configuration
from pipeline.config.strict import valid_keys


def script(shell: str) -> str:
    """Return the script for bash, zsh or fish."""
    text = _template(f"{shell}.sh").replace("@CANDIDATES@", _template("candidates.sh").rstrip())
    for name, value in _lists().items():
        text = text.replace(f"@{name}@", value)
    return text


def _lists() -> dict[str, str]:
    groups = [f"{group}=*" for group in _groups()]
    options = [option for command in COMMANDS for option in command.options]
    valued = sorted({f"--{o.name}" for o in options if not (o.is_switch or o.is_word)})
    return {
        "PROJECT": quote("" if files.IS_INSTALLED else str(files.PROJECT)),
        "COMMANDS": " ".join(command.name for command in COMMANDS),
        "GROUPS": " | ".join(groups),
        "FISH_GROUPS": " ".join(map(quote, groups)),
        "VALUED": " | ".join(valued),
        "VALUES": "\n".join(
            f'    "{command.name} --{option.name}") {lookup} ;;'
            for command in COMMANDS
            for option in command.options
            if (lookup := _lookup(option))
        ),
        "WORDS": "\n".join(
            f"        {' | '.join(names)}) printf '%s\\n' {words} ;;"
            for words, names in _by_words().items()
        ),
        "COMPLETE": "\n".join(line for command in COMMANDS for line in _fish(command)),
    }


def _by_words() -> dict[str, list[str]]:
    """Return the names of the commands by the flags, words and settings that they take."""
    found = defaultdict(list)
    for command in COMMANDS:
        flags = [f"--{option.name}" for option in command.options if not option.is_word]
        words = [v for option in command.options if option.is_word for v in option.values]
        found[" ".join([*flags, *words, "--help", *_settings(command)])].append(command.name)
    return found


def _settings(command: Command) -> list[str]:
    """Return the settings that a command takes, each with its ``=``."""
    keys = [key for key in dict.fromkeys(valid_keys(Configuration)) if key not in _groups()]
    every = [f"{group}=" for group in _groups()] + [f"{key}=" for key in keys]
    if command.settings == EVERY_SETTING:
        return every
    taken = command.settings
    return [s for s in every if s[:-1] in taken or s.partition(".")[0] in taken]


def _groups() -> list[str]:
    return sorted(path.name for path in files.conf().iterdir() if path.is_dir())


def _lookup(option: Option) -> str:
    """Return the shell's words for the values of a flag; "" where it is a file or a text."""
    fixed = f"printf '%s\\n' {' '.join(option.values)}" if option.values else ""
    return "; ".join(filter(None, [fixed, option.folder and f"_oneuron_names {option.folder} ''"]))


def _fish(command: Command) -> list[str]:
    lines = [
        f"complete -c oneuron -n 'not __oneuron_command' -a {command.name} -d {quote(command.help)}"
    ]
    here = f"complete -c oneuron -n '__oneuron_is {command.name}'"
    for option in command.options:
        if option.is_word:
            lines.append(f"{here} -a {quote(' '.join(option.values))}")
            continue
        names = f' (__oneuron_names {option.folder} "")' if option.folder else ""
        values = f" -x -a {quote(' '.join(option.values) + names)}" if option.values else " -rF"
        values = "" if option.is_switch else values
        lines.append(f"{here} -l {option.name}{values} -d {quote(option.help)}")
    settings = " ".join(_settings(command))
    return [
        *lines,
        f"{here} -a '(__oneuron_settings {settings})'" if settings else f"{here} -f",
    ]


def _template(name: str) -> str:
    return resources(__package__).joinpath("shells", name).read_text(encoding="utf-8")
