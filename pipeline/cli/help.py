"""What ``oneuron --help`` and ``oneuron COMMAND --help`` print, in lines of 80 columns."""

from __future__ import annotations

import textwrap

from pipeline import files
from pipeline.cli.table import EVERY_SETTING, GROUPS, Command, Option

WIDTH = 80
OVERVIEW = """\
One neuron, every number tracked.

oneuron COMMAND [--flag VALUE ...] [key=value ...]
oneuron COMMAND --help, or oneuron --version

{commands}
Without a command it is run; -m makes it sweep.
Every key=value replaces one of the configuration, which --cfg job prints, and a
group takes one of its options:
{groups}
For example: oneuron data=breast_cancer train.l2=0.01
Completion:  source <(oneuron completion bash), or zsh, or fish"""


def overview() -> str:
    """Return every command, and every group of the configuration with its options."""
    options: dict[str, list[str]] = {}
    for path in sorted(files.conf().glob("*/*.yaml")):
        options.setdefault(path.parent.name, []).append(path.stem)
    groups = "".join(_entry(group, " | ".join(names), 12) for group, names in options.items())
    listed = ""
    for title, commands in GROUPS.items():
        listed += f"{title}\n{''.join(_entry(c.name, c.help, 12) for c in commands)}"
    return OVERVIEW.format(commands=listed, groups=groups)


def command_help(command: Command) -> str:
    """Return what a command does, its flags and settings, and an example that can be typed."""
    needed = "".join(f" --{o.name} {o.example}" for o in command.needed)
    flags = [option for option in command.options if not option.is_word]
    usage = f"oneuron {command.name}{needed}"
    usage += "".join(f" [{o.name.upper()}]" for o in command.options if o.is_word)
    usage += " [--flag VALUE ...]" * (len(flags) > len(command.needed))
    usage += " [key=value ...]" * bool(command.settings)
    parts = [f"{_sentence(command.help)}\n", _filled(usage, 0, 4)]
    if command.options:
        first = command.options[0]
        names = {o.name: o.name.upper() if o.is_word else f"--{o.name}" for o in command.options}
        width = max(map(len, names.values())) + 2
        lines = "".join(_entry(names[o.name], _described(o), width) for o in command.options)
        same = f" (make's {first.variable}=... is the same as --{first.name} ...)" if flags else ""
        parts.append(f"Flags{same}\n{lines}" if flags else lines)
    if command.settings == EVERY_SETTING:
        parts.append("Settings: all of the configuration; oneuron --help lists its groups\n")
    elif command.settings:
        keys = ", ".join(f"{key}=" for key in command.settings)
        parts.append(f"Settings\n{_filled(keys, 2, 2)}")
    example = f"oneuron {command.name}{needed} {command.example}".rstrip()
    return "\n".join([*parts, f"For example: {example}"])


def _described(option: Option) -> str:
    if option.example:
        return f"{option.help}; must be given"
    return f"{option.help} ({option.default} if not given)" if option.default else option.help


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _entry(name: str, text: str, width: int) -> str:
    indent = " " * (width + 2)
    first, *rest = textwrap.wrap(text, WIDTH - len(indent), break_on_hyphens=False) or [""]
    return "".join(
        f"{line}\n" for line in [f"  {name:{width}}{first}", *(indent + r for r in rest)]
    )


def _filled(text: str, first: int, rest: int) -> str:
    lines = textwrap.wrap(
        text, WIDTH, initial_indent=" " * first, subsequent_indent=" " * rest,
        break_on_hyphens=False,
    )  # fmt: skip
    return "".join(f"{line}\n" for line in lines)
