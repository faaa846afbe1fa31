"""Words of the command line become a checked configuration, or a refusal that names every fault.

Hydra stops at the first key that it does not know and advises "+key=value", which adds the key and
trains with the default. Here every key is let in when Hydra composes, and the strict settings name
all that is unknown, mistyped or out of range, with the nearest valid name.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from yaml import YAMLError

from pipeline.config import Configuration
from pipeline.errors import ConfigError, bounded
from pipeline.paths import CONF

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override
    from omegaconf import DictConfig

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
        raise ConfigError(f"configuration must resolve; got {_said(error)}") from None
    return Configuration.parse(plain)


def parse_all(jobs: list[tuple[DictConfig, list[str]]]) -> list[tuple[Configuration, list[str]]]:
    """Every job's configuration with its overrides, all of them checked before the first runs.

    Raises
    ------
    ConfigError
        Naming every faulty job, where there are several jobs, and every fault in it.
    """
    parsed, lines = [], []
    for tree, overrides in jobs:
        try:
            parsed.append((parse(tree), overrides))
        except ConfigError as error:
            place = f" at {' '.join(overrides)}" if len(jobs) > 1 else ""
            lines += [line + place for line in str(error).splitlines()]
    if lines:
        raise ConfigError(bounded(lines))
    return parsed


def configuration(words: list[str]) -> Configuration:
    """The configuration that the overrides ``words`` describe.

    Raises
    ------
    ConfigError
        Naming every fault.
    """
    faults, kept = [], []
    for word in words:
        fault, override = _parsed(word)
        fault = fault or (_option_fault(override) if override else None)
        if fault:
            faults.append(fault)
        elif override:
            kept.append(_let_in(override))
    try:
        parsed = parse(_compose(kept))
    except ConfigError as error:
        faults += str(error).splitlines()
    except REFUSALS as error:
        faults += [] if faults else [_said(error)]
    if faults:
        raise ConfigError(bounded(faults))
    return parsed


def explain(refusal: Exception, words: list[str]) -> ConfigError:
    """Every fault of the overrides of a command line that Hydra itself refused with ``refusal``."""
    lines: dict[str, None] = {}
    for variant in _variants(words):
        try:
            configuration(variant)
        except ConfigError as faults:
            lines |= dict.fromkeys(str(faults).splitlines())
    return ConfigError(bounded(list(lines) or [_said(refusal)]))


def _variants(words: list[str]) -> list[list[str]]:
    """The overrides with one choice of one sweep at a time: each choice of a sweep once."""
    try:
        overrides = OverridesParser.create().parse_overrides(words)
    except HydraException:
        return [words]
    single = [word for word, o in zip(words, overrides, strict=True) if not o.is_sweep_override()]
    return [
        [*single, f"{override.input_line.split('=')[0]}={choice}"]
        for override in overrides
        if override.is_sweep_override() and override.input_line
        for choice in override.sweep_string_iterator()
    ] or [single]


def _compose(words: list[str]) -> DictConfig:
    from hydra import compose, initialize_config_dir
    from hydra.core.global_hydra import GlobalHydra

    GlobalHydra.instance().clear()
    with initialize_config_dir(version_base="1.3", config_dir=str(CONF)):
        return compose("config", overrides=words)


def _parsed(word: str) -> tuple[str | None, Override | None]:
    """The override that the word is, or what is wrong with it."""
    try:
        return None, OverridesParser.create().parse_override(word)
    except HydraException:
        hint = "put a value with blanks, brackets or = in quotes within quotes: \"key='a b'\""
        if "=" not in word:
            near = difflib.get_close_matches(word, ("predict", "sync", "data", "ui"), n=1)
            hint = f"did you mean {near[0]}?" if near else "--help tells more"
        return f"override must have the form key=value; got {word[:80]!r}; {hint}", None


def _option_fault(override: Override) -> str | None:
    """What is wrong with ``group=option``; None if nothing is, or if the override sets a value."""
    if not override.key_or_group:
        return f"override must have the form key=value; got {override.input_line!r}"
    if not _is_group(override):
        return None
    options = sorted(path.stem for path in (CONF / override.key_or_group).glob("*.yaml"))
    got: Any = override.value()
    if str(got) in options or (got is None and override.key_or_group == "experiment"):
        return None
    got = "null" if got is None else got
    near = difflib.get_close_matches(str(got), options, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{override.key_or_group} must be one of {', '.join(options)}; got {str(got)!r}{hint}"


def _let_in(override: Override) -> str:
    word = override.input_line or ""
    if _is_group(override) or override.is_delete():
        return word
    return "++" + word.lstrip("+")


def _is_group(override: Override) -> bool:
    return (CONF / override.key_or_group).is_dir()


def _said(error: Exception) -> str:
    """What an exception of Hydra, OmegaConf or YAML says, on one line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith("See https://hydra")]
    return "; ".join(kept[:3]).replace("'++", "'") or type(error).__name__
