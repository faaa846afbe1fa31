"""What help prints: each command with its flags and an example, as make has them; 80 columns."""

import re
import shlex
import subprocess
import sys
import tomllib

import pytest

from pipeline import __main__
from pipeline.cli.arguments import VARIABLES, parse
from pipeline.cli.help import command_help, overview
from pipeline.cli.table import COMMANDS, EVERY_SETTING, GROUPS
from pipeline.files import PROJECT

INSTALLED = {"init", "completion"}  # which a checkout has no need of


def narrow(text: str) -> bool:
    return max(map(len, text.splitlines())) <= 80


def test_the_overview_has_every_command_in_its_group_and_every_option():
    text = overview()
    titles = [line for line in text.splitlines() if line in GROUPS]
    assert titles == [*GROUPS]
    for title, commands in GROUPS.items():
        listed = text.partition(f"\n{title}\n")[2].splitlines()[: len(commands)]
        assert listed == [f"  {command.name:12}{command.help}" for command in commands]
    for path in (PROJECT / "conf").glob("*/*.yaml"):
        assert re.search(rf"^  {path.parent.name} .*\b{path.stem}\b", text, re.MULTILINE), path
    assert narrow(text)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_help_of_a_command_has_its_flags_and_settings_and_an_example_that_works(command):
    text = command_help(command)
    assert narrow(text)
    for option in command.options:
        name = option.name.upper() if option.is_word else f"--{option.name}"
        assert f"\n  {name} " in text
    if command.settings != EVERY_SETTING:
        assert all(f"{key}=" in text for key in command.settings)
    example = text.splitlines()[-1].removeprefix("For example: ")
    program, name, *words = shlex.split(example)
    assert (program, name) == ("oneuron", command.name)
    given = parse(name, words)
    assert all(given.options[option.name] for option in command.needed)


def test_the_version_is_that_of_the_package(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["oneuron", "--version"])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 0
    metadata = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert capsys.readouterr().out == f"oneuron {metadata['version']}\n"


def test_make_lists_the_same_commands_in_the_same_groups():
    text = subprocess.run(
        ["make", "--no-print-directory", "help"], cwd=PROJECT, capture_output=True, text=True,
        check=True,
    ).stdout  # fmt: skip
    assert narrow(text)
    for title, commands in GROUPS.items():
        names = [command.name for command in commands if command.name not in INSTALLED]
        listed = text.partition(f"\n{title}\n")[2].splitlines()[: len(names)]
        assert [line.split()[1] for line in listed] == names
    made = (PROJECT / "Makefile").read_text()
    known = re.search(r"^COMMANDS := ((?:.*\\\n)*.*)$", made, re.MULTILINE)[1].replace("\\\n", " ")
    assert set(known.split()) == {command.name for command in COMMANDS} - INSTALLED
    exported = re.search(r"^export (.*)$", made, re.MULTILINE)[1]
    assert set(exported.split()) == set(VARIABLES)
