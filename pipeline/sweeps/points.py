"""The configurations of many points, of which each part is composed and checked once.

Composing a point by Hydra's means and checking all of it takes 5 ms. A value that nothing refers to
is put into what the point's groups give instead, and a part that was checked before is taken as it
is. Whatever is not as simple goes the long way.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pipeline.config.compose import Composer, is_group, parse, replaced_places
from pipeline.config.schema import Configuration
from pipeline.config.strict import Settings

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

REFERENCE = re.compile(r"\$\{([^{}]*)\}")
FIXED = re.compile(r"oc\.env:\w+")  # refers to no setting
MISSING = "???"
PLAIN_KEY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)

MAX_REPRS = 10_000
_reprs: dict[int, tuple[Settings, str]] = {}  # with the part, so that no other has its id


def text_of(settings: Settings) -> str:
    """Return ``repr(settings)``, that of each part from memory."""
    parts = ((name, getattr(settings, name)) for name in type(settings).model_fields)
    return f"{type(settings).__name__}({', '.join(f'{n}={_repr(part)}' for n, part in parts)})"


def _repr(part: Any) -> str:
    held = _reprs.get(id(part))
    if held is None or held[0] is not part:
        if not isinstance(part, Settings):
            return repr(part)
        if len(_reprs) >= MAX_REPRS:
            _reprs.clear()
        held = _reprs[id(part)] = part, repr(part)
    return held[1]


class Points:
    """Makes configurations of points that have much in common."""

    def __init__(self) -> None:
        self._composer = Composer()
        self._bases: dict[tuple[str, ...], _Base] = {}
        self._parts: dict[tuple[str, str], Any] = {}  # by name and content, checked

    def configuration(self, overrides: Sequence[Override]) -> Configuration:
        """Return what the overrides of a point give; errors as those of ``compose``."""
        values = [o for o in overrides if not is_group(o) and not o.is_delete()]
        groups = tuple(o for o in overrides if o not in values)
        key = tuple(o.input_line or "" for o in groups)
        if key not in self._bases:
            self._bases[key] = _Base(OmegaConf.to_container(self._composer.tree(groups)))
        tree = None if replaced_places(values) else self._bases[key].with_values(values)
        if tree is None:
            return self._shared(parse(self._composer.tree(overrides)))
        return self._checked(tree)

    def _shared(self, found: Configuration) -> Configuration:
        """Return the configuration of parts that others have as well: ten thousand are many."""
        parts = {name: getattr(found, name) for name in type(found).model_fields}
        known = {name: self._parts.setdefault((name, repr(p)), p) for name, p in parts.items()}
        return found.model_copy(update=known)

    def _checked(self, tree: dict[str, _Part]) -> Configuration:
        parts = {name: self._parts.get((name, part.text)) for name, part in tree.items()}
        plain = {name: part.value for name, part in tree.items()}
        found = Configuration.parse(plain | {n: p for n, p in parts.items() if p is not None})
        for name, part in tree.items():
            self._parts.setdefault((name, part.text), getattr(found, name))
        return found


@dataclass(frozen=True)
class _Part:
    """The plain settings of a group, or a setting at the top."""

    value: Any

    @cached_property
    def text(self) -> str:
        """Equal exactly where the settings are."""
        return repr(self.value)


class _Base:
    """What the groups of a point give, before its values are put in."""

    def __init__(self, unresolved: Any) -> None:
        texts = list(_texts(unresolved))
        found = [name for text in texts for name in REFERENCE.findall(text)]
        self._references = {name for name in found if not FIXED.fullmatch(name)}
        is_flat = len(found) == sum(text.count("${") for text in texts)
        self._is_simple = is_flat and all(map(PLAIN_KEY.fullmatch, self._references))
        self._lacks = MISSING in texts
        self._parts: dict[str, _Part] = {}
        try:
            resolved: Any = OmegaConf.to_container(OmegaConf.create(unresolved), resolve=True)
            self._parts = {str(name): _Part(value) for name, value in resolved.items()}
        except OmegaConfBaseException:  # who composes it says why
            self._is_simple = False

    def with_values(self, values: Sequence[Override]) -> dict[str, _Part] | None:
        """Return the settings by group; None where a value is not to be put in so simply."""
        changed: dict[str, Any] = {}
        for override in values:
            first, *path = override.key_or_group.split(".")
            value: Any = override.value()
            if not (self._is_simple and self._is_free(override.key_or_group) and _is_plain(value)):
                return None
            part = changed.get(first, self._parts[first].value if first in self._parts else None)
            if path and not isinstance(part, dict):
                return None
            placed = _placed(part, path, value)
            if placed is None:
                return None
            changed[first] = placed[0]
        parts = self._parts | {name: _Part(value) for name, value in changed.items()}
        lacks = self._lacks and any(MISSING in _texts(part.value) for part in parts.values())
        return None if lacks else parts

    def _is_free(self, key: str) -> bool:
        """Return whether nothing refers to the key, to a part of it or to what it is a part of."""
        return bool(PLAIN_KEY.fullmatch(key)) and not any(
            f"{key}.".startswith(f"{name}.") or f"{name}.".startswith(f"{key}.")
            for name in self._references
        )


def _placed(part: Any, path: Sequence[str], value: Any) -> tuple[Any] | None:
    """Return the settings with the value in its place; None where there is no such place."""
    if not path:
        return (value,)
    if not isinstance(part, dict):
        return None
    inner = _placed(part.get(path[0]), path[1:], value)
    return None if inner is None else (part | {path[0]: inner[0]},)


def _is_plain(value: Any) -> bool:
    """Return whether OmegaConf keeps the value as it is: no tree, no reference, nothing missing."""
    if isinstance(value, str):
        return "${" not in value and "\\" not in value and value != MISSING
    return value is None or type(value) in (bool, int, float)


def _texts(tree: Any) -> Iterator[str]:
    """Yield every text with a reference in it, and what is missing."""
    if isinstance(tree, dict | list):
        for each in tree.values() if isinstance(tree, dict) else tree:
            yield from _texts(each)
    elif isinstance(tree, str) and ("${" in tree or tree == MISSING):
        yield tree
