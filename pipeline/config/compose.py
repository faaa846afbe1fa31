"""Words of the command line become a checked configuration, or a refusal that names every fault.

Hydra stops at the first key that it does not know and advises "+key=value", which adds the key and
trains with the default. Here every key is let in when Hydra composes, and the strict settings name
all that is unknown, mistyped or out of range, with the nearest valid name.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from pipeline.config.schema import Configuration
from pipeline.config.strict import did_you_mean
from pipeline.errors import ConfigError
from pipeline.files import CONF, IS_INSTALLED
from pipeline.text import bounded, cut

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

# What Hydra raises where it cannot compose: its own, OmegaConf's, YAML's and a bare ValueError.
# A table is in one place.
GIVES_WAY = {"data.path": ("data.source",), "data.source": ("data.path", "data.sha256")}
REFUSALS = (HydraException, OmegaConfBaseException, YAMLError, ValueError)


def configuration(words: list[str]) -> Configuration:
    """Return the configuration of the overrides ``words``; ConfigError naming every fault."""
    overrides, faults = parse_words(words)
    single = [override for override in overrides if not override.is_sweep_override()]
    faults += [
        f"{override.get_key_element()} must have one value in a single run; got "
        f"{override.input_line!r}: make sweep ARGS=… (or -m) runs each"
        for override in overrides
        if override.is_sweep_override()
    ]
    faults += [fault for override in single if (fault := _hydra_fault(override))]
    single = [override for override in single if not _hydra_fault(override)]
    try:
        parsed = parse(Composer().tree(single))
    except ConfigError as error:
        faults += str(error).splitlines()
    except REFUSALS as error:
        faults += [] if faults else [said(error)]
    if faults:
        raise ConfigError(bounded(faults))
    return parsed


def parse(tree: DictConfig) -> Configuration:
    """Return the configuration that Hydra composed; ConfigError naming every fault of it."""
    try:
        plain = OmegaConf.to_container(tree, resolve=True, throw_on_missing=True)
    except MissingMandatoryValue as error:
        raise ConfigError(f"{error.full_key} must be given; got nothing") from None
    except OmegaConfBaseException as error:
        raise ConfigError(f"configuration must resolve; got {said(error)}") from None
    return Configuration.parse(plain)


def parse_words(words: list[str]) -> tuple[list[Override], list[str]]:
    """Return the overrides that the words are, and what is wrong with the other words."""
    overrides, faults = [], []
    for word in words:
        try:
            override = _override(word)
        except HydraException:
            faults.append(_no_override(word))
            continue
        fault = option_fault(override) if override.key_or_group else _no_override(word)
        if fault:
            faults.append(fault)
        else:
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
        """Return what Hydra composes of the overrides, every key let in."""
        values = [o for o in overrides if not is_group(o) and not o.is_delete()]
        groups = tuple(o.input_line or "" for o in overrides if o not in values)
        if groups not in self._bases:
            self._bases[groups] = compose(list(groups))
        tree = copy.deepcopy(self._bases[groups])
        with open_dict(tree):
            for place in replaced_places(values):
                OmegaConf.update(tree, place, None)
            for override in values:
                OmegaConf.update(tree, override.key_or_group, override.value(), merge=True)
        return tree


def compose(words: list[str], *, with_hydra: bool = False) -> DictConfig:
    """Return what Hydra composes of the words; ``with_hydra``: its own settings as well."""
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return compose("config", overrides=words, return_hydra_config=with_hydra)


def replaced_places(values: Sequence[Override]) -> list[str]:
    """Return the settings that give way since one was typed: data.path (and its pin), or source."""
    typed = {".".join(o.key_or_group.split(".")[:2]) for o in values if o.value() is not None}
    given = [place for place in GIVES_WAY if place in typed]
    return list(GIVES_WAY[given[0]]) if len(given) == 1 else []


def option_fault(override: Override) -> str:
    """Return what is wrong with ``group=option``; "" for nothing, and for another override."""
    group = override.key_or_group
    if not is_group(override) or override.is_sweep_override() or override.is_delete():
        return ""
    options = sorted(path.stem for path in (CONF / group).glob("*.yaml"))
    value: Any = override.value()
    got = "null" if value is None else str(value)
    if got in options or (value is None and group == "experiment"):
        return ""
    hint = did_you_mean(got, options)
    return f"{group} must be one of {', '.join(options)}; got {got!r}{hint}"


def is_group(override: Override) -> bool:
    """Return whether the override chooses an option of a group, and does not set a value."""
    return (CONF / override.key_or_group).is_dir()


def said(error: Exception) -> str:
    """Return what an exception of Hydra, OmegaConf or YAML says, on one line."""
    if missing := re.search("Could not find '(.+?)'", str(error)):
        hint = "; oneuron init adds it" if IS_INSTALLED else ""
        return f"conf/ must hold {missing[1]}.yaml; got no such file{hint}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith("See https://hydra")]
    return "; ".join(kept[:3]) or type(error).__name__


def _override(word: str) -> Override:
    """Return the override that a word is; a shell may have taken the quotes of its value away."""
    parser = OverridesParser.create()
    try:
        return parser.parse_override(word)
    except HydraException:
        key, _, value = word.partition("=")
        is_list = value[:1] + value[-1:] == "[]"
        items = value[1:-1].split(",") if is_list else [value]
        if not value or set("".join(items)) & set("=[]{}()'\"\\\n"):
            raise
        quoted = ",".join(f"'{item}'" for item in items)
        return parser.parse_override(f"{key}=[{quoted}]" if is_list else f"{key}={quoted}")


def _hydra_fault(override: Override) -> str:
    """Return that a single run heeds no setting of Hydra's; "" for another word."""
    if re.split("[./]", override.key_or_group)[0] != "hydra":
        return ""
    return f"{override.key_or_group} must be left out: a single run heeds no setting of Hydra's"


def _no_override(word: str) -> str:
    hint = "put a value with blanks, brackets or = in quotes within quotes: \"key='a b'\""
    if "=" not in word:
        hint = "--help lists the commands and settings"
    return f"override must have the form key=value; got {cut(word, 80)!r}; {hint}"
