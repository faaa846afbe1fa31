"""What Hydra itself is asked for in a sweep: a launcher and its settings, and nothing else.

It is asked for by a word, by an experiment or by ``conf/config.yaml``; whatever else is set of
Hydra's would be ignored, and is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from pipeline.config.compose import REFUSALS, compose, said
from pipeline.errors import ConfigError
from pipeline.text import bounded, flatten

if TYPE_CHECKING:
    from omegaconf import DictConfig

LAUNCHER = ("hydra/launcher", "hydra.launcher")
ADDED = re.compile(r"\+hydra\.launcher\.\w+\.\w+")  # in a tree that a launcher leaves open
BASIC = "basic"  # Hydra's own, which has no settings: here runs are children of the sweep
# They follow from the words, from where the command is started and from what is installed.
GIVEN = ("hydra.sweeper.params", "hydra.launcher", "hydra.overrides", "hydra.runtime",
         "hydra.job.override_dirname", "hydra.job.name")  # fmt: skip


def is_for_hydra(word: str) -> bool:
    """Return whether a word sets something of Hydra's."""
    return word.lstrip("+~").startswith(("hydra/", "hydra."))


def compose_hydra(groups: Sequence[str], words: Sequence[str]) -> DictConfig:
    """Return Hydra's settings with these groups and words; ConfigError for what is not heeded."""
    faults = [
        f"{word} must be left out: of Hydra's settings hydra/launcher=… and hydra.launcher.…=… "
        "are heeded"
        for word in words
        if not (
            ADDED.match(word) or word.startswith(tuple(f"{k}{e}" for k in LAUNCHER for e in "=."))
        )
        or word.startswith("hydra.launcher._target_")  # a launcher is chosen by its name alone
    ]
    if faults:
        raise ConfigError(bounded(faults))
    try:
        tree: DictConfig = compose([*groups, *words], with_hydra=True).hydra
        faults = list(_unheeded(tree, compose([], with_hydra=True).hydra)) if groups else []
    except REFUSALS as error:
        text = said(error).partition("; To append to your config")[0]
        known = ", ".join(_launchers())
        raise ConfigError(
            f"word for Hydra must be known; got {text.rstrip('.')} (launchers: {known}; as "
            "hydra/launcher=joblib hydra.launcher.n_jobs=4)"
        ) from None
    if faults:
        raise ConfigError(bounded(faults))
    return tree


def _launchers() -> list[str]:
    """Return the launchers that are installed; Hydra has found them by now."""
    from hydra.core.config_store import ConfigStore

    return [name.removesuffix(".yaml") for name in ConfigStore.instance().list("hydra/launcher")]


def launcher_words(tree: DictConfig) -> tuple[str, ...]:
    """Return the words that choose the launcher, with every setting; none for Hydra's own."""
    choice = tree.runtime.choices["hydra/launcher"]
    if choice == BASIC:
        return ()
    settings: Any = OmegaConf.to_container(tree.launcher, resolve=False)
    del settings["_target_"]
    given = [f"++hydra.launcher.{key}={literal(value)}" for key, value in settings.items()]
    return (f"hydra/launcher={choice}", *given)


def literal(value: Any) -> str:
    """Return the value as a word of Hydra's grammar holds it."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{k}:{literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(literal, value)) + "]"
    if isinstance(value, str):
        # A backslash escapes where a quote follows, and there alone.
        return "'" + re.sub(r"(\\*)(?='|$)", r"\1\1", value).replace("'", "\\'") + "'"
    return json.dumps(value)


def _unheeded(tree: DictConfig, before: DictConfig) -> Iterator[str]:
    """Yield what the groups set of Hydra's that nothing here heeds."""
    now, was = (dict(flatten({"hydra": _plain(each)})) for each in (tree, before))
    for key, value in now.items():
        if not f"{key}.".startswith(tuple(f"{name}." for name in GIVEN)) and value != was.get(key):
            yield f"{key} must be left out of an experiment: it is not heeded; got {value!r}"


def _plain(tree: DictConfig) -> Any:
    return OmegaConf.to_container(tree, resolve=False)
