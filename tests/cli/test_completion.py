"""What a shell offers at TAB: the shells are asked themselves."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from pipeline.cli.completion import script
from pipeline.cli.table import COMMANDS

NAMES = {command.name for command in COMMANDS}
# What is typed, and what it may become.
CASES = {
    "oneuron pre": {"predict"},
    "oneuron predict --on-bad-row ": {"refuse", "skip"},
    "oneuron predict --run ": {"latest", "champion", "0123456789abcdef"},
    "oneuron compare --sweep la": {"latest"},
    "oneuron run optimiser=": {"optimiser=adam", "optimiser=mine"},
    "oneuron sweep optimiser=adam,m": {"optimiser=adam,mine"},
    "oneuron sweep train.ep": {"train.epochs="},
    "oneuron predict seed": set(),
    "oneuron completion z": {"zsh"},
    "oneuron reproduce --fr": {"--from"},
}
BASH = """
COMP_WORDBREAKS=${COMP_WORDBREAKS//=}
for COMP_LINE in "$@"; do
  COMP_POINT=${#COMP_LINE}
  _oneuron 2>/dev/null
  echo "# $COMP_LINE"; printf '%s\\n' "${COMPREPLY[@]}"
done
"""
ZSH = """
compadd() { print -rl -- "${(P@)@[-1]}" }
compset() { : }; _files() { : }; compdef() { : }
source <(print -r -- "$1"); shift
for line in "$@"; do
  words=(${(z)line}); [[ $line == *' ' ]] && words+=('')
  CURRENT=$#words
  print -r -- "# $line"; _oneuron | grep -- "^$words[CURRENT]"
done
"""
FISH = """
for line in $argv
    echo "# $line"; complete -C $line | string replace -r '\\t.*' ''
end
"""


@pytest.fixture(scope="module")
def started(tmp_path_factory) -> Path:
    """A project with an option, a run and a sweep of its own."""
    folder = tmp_path_factory.mktemp("with a space")
    for name in ("conf/config.yaml", "conf/optimiser/adam.yaml", "conf/optimiser/mine.yaml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / "runs" / "0123456789abcdef").mkdir(parents=True)
    (folder / "deep" / "in").mkdir(parents=True)
    return folder


def offered(shell: str, folder: Path, bash: str = BASH) -> dict[str, set[str]]:
    """What the shell offers in a folder of the project, by what is typed."""
    text, typed = script(shell), ["oneuron ", *CASES]
    command = {
        "bash": ["bash", "--norc", "-c", text + bash, "bash", *typed],
        "zsh": ["zsh", "-f", "-c", ZSH, "zsh", text, *typed],
        "fish": ["fish", "--no-config", "-c", text + FISH, *typed],
    }[shell]
    done = subprocess.run(
        command, cwd=folder / "deep" / "in", capture_output=True, text=True, check=False,
        env={**os.environ, "HOME": str(folder)},
    )  # fmt: skip
    assert done.stderr == ""
    parts = [part.splitlines() for part in done.stdout.split("# ")[1:]]
    return {line: {each.strip() for each in found} - {""} for line, *found in parts}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_offers_commands_flags_settings_and_the_names_of_the_project(shell, started):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    found = offered(shell, started)
    assert found.pop("oneuron ") >= NAMES
    assert found == CASES


def test_bash_gets_only_what_comes_after_the_sign_where_that_parts_words(started):
    """As it does unless a person has changed it."""
    found = offered("bash", started, BASH.replace("COMP_WORDBREAKS=${COMP_WORDBREAKS//=}", ""))
    assert found["oneuron run optimiser="] == {"adam", "mine"}
