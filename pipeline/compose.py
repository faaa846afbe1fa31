"""Words of the command line become a checked configuration, or a refusal that names every fault.

Hydra stops at the first key that it does not know and advises "+key=value", which adds the key and
trains with the default. Here every key is let in when Hydra composes, and the strict settings name
all that is unknown, mistyped or out of range, with the nearest valid name.
"""

from __future__ import annotations

import copy
import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from pipeline.config import Configuration
from pipeline.errors import ConfigError, bounded
from pipeline.paths import CONF

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

# A word without = that is near one of these was meant to be it.
COMMANDS = ("compare", "promote", "reproduce", "export", "import", "predict", "sync", "data", "ui")
# What Hydra raises where it cannot compose: its own, OmegaConf's, YAML's and a bare ValueError.
REFUSALS = (HydraException, OmegaConfBaseException, YAMLError, ValueError)


def parse(tree: DictConfig) -> Configuration:
    """The configuration that Hydra composed, checked.

    Raises
    ------
    ConfigError
        Naming every fault.
    """
    try:
        plain = OmegaConf.to_container(tree, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key} must be given; got nothing") from None
    except OmegaConfBaseException as error:
        raise ConfigError(f"configuration must resolve; got {said(error)}") from None
    return Configuration.parse(plain)


def configuration(words: list[str]) -> Configuration:
    """The configuration that the overrides ``words`` describe.

    Raises
    ------
    ConfigError
        Naming every fault.
    """
    overrides, faults = parse_words(words)
    kept = [override for override in overrides if not override.is_sweep_override()]
    faults += [
        f"{override.get_key_element()} must have one value in a single run; got "
        f"{override.input_line!r}: make sweep ARGS=… (or -m) runs each"
        for override in overrides
        if override not in kept
    ]
    try:
        parsed = parse(Composer().tree(kept))
    except ConfigError as error:
        faults += str(error).splitlines()
    except REFUSALS as error:
        faults += [] if faults else [said(error)]
    if faults:
        raise ConfigError(bounded(faults))
    return parsed


def parse_words(words: list[str]) -> tuple[list[Override], list[str]]:
    """The overrides that the words are, and what is wrong with the other words."""
    overrides, faults = [], []
    for word in words:
        fault, override = _parsed(word)
        fault = fault or (option_fault(override) if override else None)
        if fault:
            faults.append(fault)
        elif override:
            overrides.append(override)
    return overrides, faults


class Composer:
    """Composes many configurations: what a choice of groups gives is composed by Hydra once.

    Composing takes Hydra 0.15 s, of which values need next to nothing: it puts them in last, by
    the same ``OmegaConf.update``.
    """

    def __init__(self) -> None:
        self._bases: dict[tuple[str, ...], DictConfig] = {}

    def tree(self, overrides: Sequence[Override]) -> DictConfig:
        """What Hydra composes of the overrides, every key let in."""
        if any(override.is_delete() for override in overrides):
            return compose([_let_in(override) for override in overrides])
        groups = tuple(o.input_line or "" for o in overrides if is_group(o))
        if groups not in self._bases:
            self._bases[groups] = compose(list(groups))
        tree = copy.deepcopy(self._bases[groups])
        with open_dict(tree):
            for override in overrides:
                if not is_group(override):
                    OmegaConf.update(tree, override.key_or_group, override.value(), merge=True)
        return tree


def explain(refusal: Exception, words: list[str]) -> ConfigError:
    """Every fault of the overrides of a command line that Hydra itself refused with ``refusal``."""
    try:
        configuration(words)
    except ConfigError as faults:
        return faults
    return ConfigError(said(refusal))


def compose(words: list[str], *, with_hydra: bool = False) -> DictConfig:
    """What Hydra composes of the words; ``with_hydra``: its own settings as well."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return compose("config", overrides=words, return_hydra_config=with_hydra)


def _parsed(word: str) -> tuple[str | None, Override | None]:
    """The override that the word is, or what is wrong with it."""
    try:
        return None, OverridesParser.create().parse_override(word)
    except HydraException:
        hint = "put a value with blanks, brackets or = in quotes within quotes: \"key='a b'\""
        if "=" not in word:
            near = difflib.get_close_matches(word, COMMANDS, n=1)
            hint = f"did you mean {near[0]}?" if near else "--help tells more"
        return f"override must have the form key=value; got {word[:80]!r}; {hint}", None


def option_fault(override: Override) -> str | None:
    """What is wrong with ``group=option``; None if nothing is, or if the override sets a value."""
    if not override.key_or_group:
        return f"override must have the form key=value; got {override.input_line!r}"
    if not is_group(override):
        return None
    options = sorted(path.stem for path in (CONF / override.key_or_group).glob("*.yaml"))
    if override.is_sweep_override():
        return None
    got: Any = override.value()
    if str(got) in options or (got is None and override.key_or_group == "experiment"):
        return None
    got = "null" if got is None else got
    near = difflib.get_close_matches(str(got), options, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{override.key_or_group} must be one of {', '.join(options)}; got {str(got)!r}{hint}"


def _let_in(override: Override) -> str:
    word = override.input_line or ""
    if is_group(override) or override.is_delete():
        return word
    return "++" + word.lstrip("+")


def is_group(override: Override) -> bool:
    """Whether the override chooses an option of a group, and does not set a value."""
    return (CONF / override.key_or_group).is_dir()


def said(error: Exception) -> str:
    """What an exception of Hydra, OmegaConf or YAML says, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith("See https://hydra")]
    return "; ".join(kept[:3]).replace("'++", "'") or type(error).__name__
