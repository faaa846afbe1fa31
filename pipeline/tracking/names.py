"""Names and values become ones that every MLflow store takes, reversibly and without collisions.

A character that MLflow refuses in a name is written ``_x3d_`` with its code point in hexadecimal
("=" is 3d), and so is an underscore before an "x", so that no name of ours reads as an escape. What
was mapped is listed in the artifact ``names.json``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from pipeline.errors import ConfigError

MAX_NAME = 250
MAX_PARAM = 6000
MAX_TAG = 5000
_HASH = 16  # hex digits that tell shortened names apart
# MLflow takes word characters, space, "/", ".", "-" and ":" (not on Windows), and refuses a name
# that would be another path if it were normalised: "a//b", "/a", "a/", "./a", "a/../b".
_REFUSED = re.compile(
    r"[^/\w.\- :]|_(?=x)|(?<![^/])/|/\Z|(?<![^/])\.(?=/|\Z)|(?<![^/])\.(?=\./|\.\Z)|\A\.(?=\.)"
)
_ESCAPE = re.compile(r"_x([0-9a-f]*)_")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def safe_name(name: str) -> str:
    """The name as MLflow takes it; over 250 characters, its start and a hash of the whole."""
    mapped = _REFUSED.sub(lambda found: f"_x{ord(found[0]):x}_", name) or "_x_"
    if len(mapped) <= MAX_NAME:
        return mapped
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
    return f"{mapped[: MAX_NAME - _HASH - 1]}-{digest}"


def original_name(name: str) -> str:
    """The name that ``safe_name`` was given, unless it was shortened."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)) if found[1] else "", name)


def safe_names(names: Iterable[str]) -> dict[str, str]:
    """What MLflow is given for each name.

    Raises
    ------
    ConfigError
        If two of the names would be one.
    """
    mapped: dict[str, str] = {}
    taken: dict[str, str] = {}
    for name in names:
        mapped[name] = safe_name(name)
        if mapped[name] in taken:
            raise ConfigError(
                f"names must stay different in MLflow; got {taken[mapped[name]]!r} and {name!r}, "
                f"both {mapped[name]!r}"
            )
        taken[mapped[name]] = name
    return mapped


def escaped(text: str) -> str:
    r"""The text with control characters and lone surrogates written out, as in ``\n``."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def safe_value(text: str, limit: int) -> str:
    """The text escaped; over ``limit`` characters, its sha256 and where to find the whole."""
    value = escaped(text)
    if len(value) <= limit:
        return value
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"sha256:{digest} of {len(text)} characters: see config.yaml and result.json"


def flatten(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Dotted names and their values; lists stay whole. A name may come twice: see safe_names."""
    pairs: list[tuple[str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            pairs += flatten(value, f"{prefix}{key}.")
        else:
            pairs.append((f"{prefix}{key}", value))
    return pairs
