"""The base of all settings: frozen, strict, and every fault reported at once with its place."""

import difflib
import re
import types
from collections.abc import Iterator
from typing import Annotated, Any, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Strict, ValidationError
from pydantic_core import ErrorDetails

from pipeline.errors import ConfigError
from pipeline.text import bounded, cut

# YAML has lists where settings have tuples; what is in them stays strict.
Texts = Annotated[tuple[str, ...], Strict(False)]


class Settings(BaseModel):
    """Settings that cannot change, guess or ignore: unknown keys and wrong types are refused.

    A validator raises ValueError with what completes the place of the settings to a sentence:
    ``.minimum must be below maximum; got 2 and 1``.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def parse(cls, tree: Any) -> Self:
        """Return the settings that ``tree`` (plain dicts and lists) holds.

        Raise ConfigError, which names every fault: key, rule, value and the nearest valid key.
        """
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            lines = dict.fromkeys(_line(fault, tree, cls) for fault in error.errors())
            raise ConfigError(bounded(lines)) from None


def require(condition: bool, rule: str) -> None:
    """Raise ValueError with the rule unless the condition holds."""
    if not condition:
        raise ValueError(rule)


def valid_keys(annotation: Any, prefix: str = "") -> Iterator[str]:
    """Yield every dotted key that the settings class has; those of a mapping are not listed."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        for name, field in annotation.model_fields.items():
            yield prefix + name
            yield from valid_keys(field.annotation, prefix + name + ".")
    elif get_origin(annotation) in (Annotated, Union, types.UnionType):
        for option in get_args(annotation):
            yield from valid_keys(option, prefix)


def nearest(key: str, valid: list[str]) -> str | None:
    """Return the valid dotted key that resembles ``key``: a sibling if one does."""
    parent, _, leaf = key.rpartition(".")
    siblings = {k.rpartition(".")[2]: k for k in valid if k.rpartition(".")[0] == parent}
    everywhere = {k.rpartition(".")[2]: k for k in reversed(valid)}
    for names in (siblings, everywhere):
        initials = [n for n in names if "".join(part[0] for part in n.split("_")) == leaf]
        close = initials or difflib.get_close_matches(leaf, names, n=1)
        if close:
            return names[close[0]]
    return None


def did_you_mean(word: str, options: list[str]) -> str:
    """Return the hint that ends a refusal: the nearest of the options; "" where none is near."""
    near = difflib.get_close_matches(word, options, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _line(fault: ErrorDetails, tree: Any, cls: type[Settings]) -> str:
    key = ".".join(_path(fault, tree))
    got = f"got {_yaml(fault.get('ctx', {}).get('tag', fault['input']))}"
    match fault["type"]:
        case "value_error":
            return f"{key}{fault['ctx']['error']}".lstrip(".")
        case "missing":
            return f"{key} must be given; got nothing"
        case "extra_forbidden":
            return f"{key} {_unknown(key, got, sorted(set(valid_keys(cls))))}"
        case "union_tag_invalid":
            key += "." + str(fault["ctx"]["discriminator"]).strip("'")
            rule = f"must be one of {fault['ctx']['expected_tags']}"
        case "string_type" if fault["input"] is not None:
            rule = "must be text (put it in quotes)"
        case _:
            rule = re.sub(r"^\w+ should ", "must ", fault["msg"])
    return f"{key} {rule}; {got}"


def _unknown(key: str, got: str, valid: list[str]) -> str:
    if key in valid:  # beta1 is Adam's
        return f"must go with another choice of its group, here it means nothing; {got}"
    near = nearest(key, valid)
    return f"must be a known setting; {got}" + (f"; did you mean {near}?" if near else "")


def _path(fault: ErrorDetails, tree: Any) -> Iterator[str]:
    """Yield the place of a fault as keys of the tree, without the tags that name a variant."""
    tag = None
    for step in fault["loc"]:
        # split.folds is a setting of split=folds: the first of the two is the name of the variant.
        if isinstance(tree, dict) and tag is None and tree.get("name") == step == "folds":
            tag = step
            continue
        is_item = isinstance(tree, list | tuple) and isinstance(step, int)
        if is_item or (isinstance(tree, dict) and step in tree):
            yield str(step)
            tree = tree[step]
    if fault["type"] == "missing":
        yield str(fault["loc"][-1])


def _yaml(value: Any) -> str:
    names = {None: "null", True: "true", False: "false"}
    text = names[value] if value is None or isinstance(value, bool) else repr(value)
    return cut(text, 80)
