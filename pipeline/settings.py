"""The base of all settings: frozen, strict, and every fault reported at once with its place."""

import difflib
import types
from collections.abc import Iterator
from typing import Annotated, Any, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Strict, ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import ConfigError, bounded

# YAML has lists where settings have tuples; what is in them stays strict.
Texts = Annotated[tuple[str, ...], Strict(False)]


class Settings(BaseModel):
    """Settings that cannot change, guess or ignore: unknown keys and wrong types are refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, tree: Any) -> Self:
        """The settings that ``tree`` (plain dicts and lists) holds.

        Raises
        ------
        ConfigError
            Naming every fault: its key, the rule, the value, and the nearest valid key.
        """
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            lines = dict.fromkeys(_line(fault, tree, cls) for fault in error.errors())
            raise ConfigError(bounded(list(lines))) from None


def valid_keys(annotation: Any, prefix: str = "") -> Iterator[str]:
    """Every dotted key that the settings class has; the keys of a mapping are not listed."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        for name, field in annotation.model_fields.items():
            yield prefix + name
            yield from valid_keys(field.annotation, prefix + name + ".")
    elif get_origin(annotation) in (Annotated, Union, types.UnionType):
        for option in get_args(annotation):
            yield from valid_keys(option, prefix)


def nearest(key: str, valid: list[str]) -> str | None:
    """The valid dotted key that ``key`` was probably meant to be: a sibling if one resembles it."""
    parent, _, leaf = key.rpartition(".")
    siblings = {k.rpartition(".")[2]: k for k in valid if k.rpartition(".")[0] == parent}
    everywhere = {k.rpartition(".")[2]: k for k in reversed(valid)}
    for names in (siblings, everywhere):
        initials = [n for n in names if "".join(part[0] for part in n.split("_")) == leaf]
        close = initials or difflib.get_close_matches(leaf, names, n=1, cutoff=0.6)
        if close:
            return names[close[0]]
    return None


def _line(fault: ErrorDetails, tree: Any, cls: type[Settings]) -> str:
    key = ".".join(_path(fault["loc"], tree))
    if fault["type"] == "value_error":  # ours, and a whole sentence already
        return str(fault["ctx"]["error"])
    if fault["type"] == "missing":
        return f"{key} must be given; got nothing"
    if fault["type"] == "union_tag_invalid":
        key += "." + str(fault["ctx"]["discriminator"]).strip("'")
    return f"{key} {_rule(fault, key, cls)}"


def _rule(fault: ErrorDetails, key: str, cls: type[Settings]) -> str:
    got = f"got {_short(fault['input'])}"
    match fault["type"]:
        case "extra_forbidden":
            return _unknown(key, got, sorted(set(valid_keys(cls))))
        case "union_tag_invalid":
            rule = f"must be one of {fault['ctx']['expected_tags']}"
        case "string_pattern_mismatch":
            rule = f"must match {fault['ctx']['pattern']}"
        case "string_type":
            rule = "must be text" + (" (put it in quotes)" if fault["input"] is not None else "")
        case "string_too_short":
            rule = "must not be empty"
        case "string_too_long":
            rule = f"must have at most {fault['ctx']['max_length']} characters"
        case _:
            rule = fault["msg"].replace("Input should be", "must be")
    return f"{rule}; {got}"


def _unknown(key: str, got: str, valid: list[str]) -> str:
    if key in valid:  # beta1 is Adam's
        return f"must go with another choice of its group, here it means nothing; {got}"
    near = nearest(key, valid)
    return f"must be a known setting; {got}" + (f"; did you mean {near}?" if near else "")


def _path(loc: tuple[int | str, ...], tree: Any) -> Iterator[str]:
    """The place of a fault as keys of the tree, without the tags that name a variant."""
    for i, step in enumerate(loc):
        known = isinstance(tree, dict) and step in tree
        is_item = isinstance(tree, list | tuple) and isinstance(step, int)
        if known or is_item or i == len(loc) - 1:
            yield str(step)
        tree = tree[step] if known or is_item else tree


def _short(value: Any) -> str:
    names = {None: "null", True: "true", False: "false"}  # as YAML writes them
    text = names[value] if value is None or isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else text[:79] + "…"
