"""The configurations of many points, of which each part is composed and checked once.

Composing a point by Hydra's means and checking all of it takes 5 ms. A value that nothing refers to
is put into what the point's groups give instead; a part that was checked before is taken as it is,
and a rule is not asked again about the same parts. Whatever is not as simple goes the long way.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import create_model

from pipeline.config.compose import Composer, is_group, parse, replaced_places
from pipeline.config.schema import Configuration
from pipeline.config.strict import Settings
from pipeline.errors import ConfigError
from pipeline.text import remembered

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

REFERENCE = re.compile(r"\$\{([^{}]*)\}")
FIXED = re.compile(r"oc\.env:\w+")  # refers to no setting
MISSING = "???"
PLAIN_KEY = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)

FIELDS = set(Configuration.model_fields)
Parts = dict[str, Any]  # groups of settings, and settings at the top, by name
Values = dict[str, list["Override"]]  # by the part that they change


def text_of(settings: Settings, cls: type[Settings] | None = None) -> str:
    """Return ``repr(settings)``, that of each part from memory; of its fields of ``cls`` alone."""
    cls = cls or type(settings)
    parts = (f"{name}={repr_of(getattr(settings, name))}" for name in cls.model_fields)
    return f"{cls.__name__}({', '.join(parts)})"


@remembered
def repr_of(part: Any) -> str:
    """Return ``repr(part)``, from memory."""
    return repr(part)


def parts_of(settings: Settings) -> tuple[int, ...]:
    """Return what is equal exactly for equal settings that the same ``Points`` made."""
    return tuple(map(id, vars(settings).values()))


class Points:
    """Makes configurations of points that have much in common.

    Equal parts of them are one object: a hundred thousand are many.
    """

    def __init__(self) -> None:
        self._composer = Composer()
        self._bases: dict[tuple[str, ...], _Base] = {}
        self._names: dict[str, str] = {}  # of the part that a word changes; "" for a group's option
        self._parts: dict[tuple[str, str], Any] = {}  # by name and text, checked
        self._rules = _Rules()

    def configuration(self, overrides: Sequence[Override]) -> Configuration:
        """Return what the overrides of a point give; errors as those of ``compose``."""
        groups: list[Override] = []
        values: Values = {}
        for override in overrides:
            name = self._name(override)
            (values.setdefault(name, []) if name else groups).append(override)
        base = self._base(groups)
        parts = self._known(base, values)
        if parts is not None and self._rules.hold(parts):
            return Configuration.model_construct(FIELDS, **parts)
        tree = base.with_values(values)
        made = parse(self._composer.tree(overrides)) if tree is None else Configuration.parse(tree)
        parts = {name: self._one(name, getattr(made, name)) for name in FIELDS}
        return Configuration.model_construct(FIELDS, **parts)

    def _name(self, override: Override) -> str:
        word = override.input_line or ""
        if word not in self._names:
            is_value = not is_group(override) and not override.is_delete()
            self._names[word] = override.key_or_group.partition(".")[0] if is_value else ""
        return self._names[word]

    def _base(self, groups: Sequence[Override]) -> _Base:
        key = _words(groups)
        if key not in self._bases:
            base = _Base(OmegaConf.to_container(self._composer.tree(groups)))
            base.checked = {name: self._check(base, name, ()) for name in FIELDS}
            self._bases[key] = base
        return self._bases[key]

    def _known(self, base: _Base, values: Values) -> Parts | None:
        """Return the parts of a point; None where one has to go the long way."""
        parts = base.checked.copy()
        for name, of_part in values.items():
            words = _words(of_part)
            if words not in base.changed:
                base.changed[words] = self._check(base, name, of_part)
            parts[name] = base.changed[words]
        return None if None in parts.values() or not base.is_known else parts

    def _check(self, base: _Base, name: str, values: Sequence[Override]) -> Any:
        """Return the part with these values, checked for itself; None where that cannot be."""
        placed = base.part(name, values) if name in FIELDS else None
        if placed is None:
            return None
        try:
            return self._one(name, getattr(_alone(name).parse({name: placed[0]}), name))
        except ConfigError:  # who parses the configuration says why
            return None

    def _one(self, name: str, part: Any) -> Any:
        """Return that of all equal parts which came first."""
        return self._parts.setdefault((name, repr_of(part)), part)


@functools.cache
def _alone(name: str) -> type[Settings]:
    """Return the settings that have this one field of a configuration."""
    field = Configuration.model_fields[name]
    fields: Any = {name: (field.annotation, field)}
    return create_model(name, __base__=Settings, **fields)


class _Rules:
    """The rules between parts of a configuration, each checked once for the parts that it reads."""

    def __init__(self) -> None:
        rules = Configuration.__pydantic_decorators__.model_validators.values()
        self._passed: list[tuple[Any, dict[tuple[str, ...], set[tuple[int, ...]]]]]
        self._passed = [(rule.func, {}) for rule in rules]
        self._are_plain = all(rule.info.mode == "after" for rule in rules)

    def hold(self, parts: Parts) -> bool:
        """Return whether all rules hold; who parses the configuration says why one does not."""
        return self._are_plain and all(self._holds(*each, parts) for each in self._passed)

    @staticmethod
    def _holds(
        rule: Any, passed: dict[tuple[str, ...], set[tuple[int, ...]]], parts: Parts
    ) -> bool:
        for names, known in passed.items():  # what it read before, and of which parts it held
            if tuple([id(parts[name]) for name in names]) in known:
                return True
        reading = _Reading(parts)
        try:
            rule(reading)
        except ValueError:
            return False
        names = tuple(reading.names)
        passed.setdefault(names, set()).add(tuple([id(parts[name]) for name in names]))
        return True


class _Reading:
    """Stands for a configuration before a rule, and notes which parts the rule reads.

    A rule that reads the same of another configuration comes to the same end.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.names: dict[str, None] = {}

    def __getattr__(self, name: str) -> Any:
        if name in self._parts:
            self.names[name] = None
            return self._parts[name]
        member = getattr(Configuration, name)
        is_property = isinstance(member, property)
        return member.fget(self) if is_property else functools.partial(member, self)


def _words(overrides: Sequence[Override]) -> tuple[str, ...]:
    return tuple([override.input_line or "" for override in overrides])


class _Base:
    """What the groups of a point give, before its values are put in."""

    def __init__(self, unresolved: Any) -> None:
        texts = list(_texts(unresolved))
        found = [name for text in texts for name in REFERENCE.findall(text)]
        self._references = {name for name in found if not FIXED.fullmatch(name)}
        is_flat = len(found) == sum(text.count("${") for text in texts)
        self._is_simple = is_flat and all(map(PLAIN_KEY.fullmatch, self._references))
        self._lacks = MISSING in texts
        self._parts: dict[str, Any] = {}
        try:
            resolved: Any = OmegaConf.to_container(OmegaConf.create(unresolved), resolve=True)
            self._parts = {str(name): value for name, value in resolved.items()}
        except OmegaConfBaseException:  # who composes it says why
            self._is_simple = False
        self.is_known = self._parts.keys() <= FIELDS
        self.checked: Parts = {}  # None for a part that is not whole without values
        self.changed: dict[tuple[str, ...], Any] = {}  # a part by the words that change it

    def with_values(self, values: Values) -> Parts | None:
        """Return the settings by group; None where a value is not to be put in so simply."""
        names = self._parts | values
        found = {name: self.part(name, values.get(name, ())) for name in names}
        parts = {name: placed[0] for name, placed in found.items() if placed is not None}
        return parts if len(parts) == len(names) else None

    def part(self, name: str, values: Sequence[Override]) -> tuple[Any] | None:
        """Return a part with these values; None where they are not to be put in so simply."""
        is_there = bool(values) or name in self._parts
        if not self._is_simple or not is_there or replaced_places(values):
            return None
        part = self._parts.get(name)
        for override in values:
            _, *path = override.key_or_group.split(".")
            value: Any = override.value()
            is_placed = not path or isinstance(part, dict)
            if not (is_placed and self._is_free(override.key_or_group) and _is_plain(value)):
                return None
            placed = _placed(part, path, value)
            if placed is None:
                return None
            part = placed[0]
        return None if self._lacks and MISSING in _texts(part) else (part,)

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
