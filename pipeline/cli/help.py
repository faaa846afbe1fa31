"""What the command line says of itself, and what it has Hydra say."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import TYPE_CHECKING

from pipeline.errors import ConfigError
from pipeline.files import CONF
from pipeline.text import cut

if TYPE_CHECKING:
    from omegaconf import DictConfig

OVERVIEW = """\
One neuron, every number tracked.

oneuron COMMAND [--flag VALUE ...] [key=value ...]     (also: python -m pipeline, or make COMMAND)

{commands}
Without a command it is run; -m makes it sweep, --cfg job prints the configuration that would run.
Every key=value replaces one of the configuration, and a group takes one of its options:
{groups}
for example: oneuron data=breast_cancer optimiser=adam optimiser.learning_rate=0.1"""


def overview() -> str:
    """Return what ``--help`` prints: every command, and every group with its options."""
    from pipeline.cli.table import COMMANDS

    commands = "".join(f"  {command.name:12}{command.help}\n" for command in COMMANDS)
    options: dict[str, list[str]] = {}
    for path in sorted(CONF.glob("*/*.yaml")):
        options.setdefault(path.parent.name, []).append(path.stem)
    groups = "".join(f"  {group:12}{' | '.join(names)}\n" for group, names in options.items())
    return OVERVIEW.format(commands=commands, groups=groups)


def ask_hydra(words: list[str]) -> None:
    """Have Hydra answer --cfg, --info, --version and their like.

    Raises
    ------
    ConfigError
        If it does not know a flag, or a word is no valid override.
    """
    import hydra

    @hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
    def refuse(_: DictConfig) -> None:
        flags = " ".join(word for word in words if word.startswith("-"))
        raise ConfigError(f"flags must be among those that --help lists; got {flags}")

    os.environ["HYDRA_FULL_ERROR"] = "1"  # raises what it would otherwise print and swallow
    overrides = [word for word in words if "=" in word and not word.startswith("-")]
    sys.argv[1:] = [*(word for word in words if word not in overrides), *overrides]
    try:
        with _one_line():
            refuse()
    except Exception as refusal:
        from pipeline.config.compose import REFUSALS, explain

        if not isinstance(refusal, REFUSALS):
            raise
        raise explain(refusal, overrides) from None


@contextmanager
def _one_line() -> Iterator[None]:
    """Keep the last line alone of what argparse says of a flag that it does not know."""
    try:
        with redirect_stderr(io.StringIO()) as said:
            yield
    except SystemExit as left:
        if left.code in (None, 0):
            raise
        last = said.getvalue().strip().rpartition(" error: ")[2]
        raise ConfigError(f"flags must be those that --help lists; got {cut(last, 300)}") from None
