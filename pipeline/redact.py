"""Text without secrets: what is written, published or said passes through here first."""

from __future__ import annotations

import os
import re
from typing import Any

MASK = "***"
MIN_SECRET = 6  # characters; a shorter value ("false", "yes") would blank out ordinary words

_NAME_HINT = re.compile("TOKEN|PASSW|SECRET|KEY|CREDENTIAL", re.IGNORECASE)
# The user may be a token by itself; the password may hold "@" and "/" that should have been
# escaped, so it reaches to the last "@" of the word.
_USERINFO = re.compile(r"(?<=://)(?:[^\s/@:\"'<>]*:[^\s\"'<>]*|[^\s/@\"'<>]*)@")
_QUERY = re.compile(
    r"([?&;](?:[\w-]*(?:token|passw|secret|key|credential|signature)[\w-]*|sig|pwd)=)[^&#;\s\"'<>]+",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """The text with ``***`` for every secret that can be told as one.

    Those are: user and password in an address, a query parameter of an address whose name hints at
    a secret, and every value (of six characters or more) of an environment variable whose name
    hints at one: TOKEN, PASSWORD, SECRET, KEY, CREDENTIAL.
    """
    return _masked(text, _secrets())


def redact_tree(tree: Any) -> Any:
    """The tree of dicts and lists with every text in it redacted, keys included."""
    return _masked_tree(tree, _secrets())


def printable(text: str, keep: str = "") -> str:
    r"""The text with what a terminal obeys or an eye does not see written out, as in ``\x1b``."""
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )


def _masked_tree(tree: Any, secrets: list[str]) -> Any:
    if isinstance(tree, str):
        return _masked(tree, secrets)
    if isinstance(tree, dict):
        return {_masked_tree(k, secrets): _masked_tree(v, secrets) for k, v in tree.items()}
    if isinstance(tree, list | tuple):
        return [_masked_tree(value, secrets) for value in tree]
    return tree


def _masked(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return _QUERY.sub(rf"\g<1>{MASK}", _USERINFO.sub(f"{MASK}@", text))


def _secrets() -> list[str]:
    """Secret values of the environment, the longest first: one may be part of another."""
    values = {
        value
        for name, value in os.environ.items()
        if _NAME_HINT.search(name) and len(value.strip()) >= MIN_SECRET
    }
    return sorted(values | {value.strip() for value in values}, key=len, reverse=True)
