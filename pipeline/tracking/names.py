"""Names and values become ones that every MLflow store takes, reversibly and without collisions.

A character that MLflow refuses in a name is written ``_x3d_`` with its code point in hexadecimal
("=" is 3d), and so is an underscore before an "x", so that no name of ours reads as an escape. What
was mapped is listed in the artifact ``names.json``.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable

from pipeline.errors import ConfigError
from pipeline.text import printable

MAX_NAME = 250
MAX_PARAM = 6000
MAX_TAG = 5000
_HASH = 16  # hex digits that tell shortened names apart
# MLflow takes word characters, space, "/", ".", "-" and ":" (not on Windows), and refuses a name
# that would be another path if it were normalised: "a//b", "/a", "a/", "./a", "a/../b".
_REFUSED = re.compile(
    r"[^/\w.\- :]|_(?=x)|(?<![^/])/|/\Z|(?<![^/])\.(?=/|\Z)|(?<![^/])\.(?=\./|\.\Z)|\A\.(?=\.)"
)


def safe_name(name: str) -> str:
    """Return the name as MLflow takes it; over 250 characters, its start and a hash of all."""
    mapped = _REFUSED.sub(lambda found: f"_x{ord(found[0]):x}_", name) or "_x_"
    if len(mapped) <= MAX_NAME:
        return mapped
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH]
    return f"{mapped[: MAX_NAME - _HASH - 1]}-{digest}"


def safe_names(names: Iterable[str]) -> dict[str, str]:
    """Return what MLflow is given for each name; ConfigError if two of the names would be one."""
    pairs = [(name, safe_name(name)) for name in names]
    twice = [mapped for mapped, n in Counter(new for _, new in pairs).items() if n > 1]
    if twice:
        same = [name for name, new in pairs if new == twice[0]]
        raise ConfigError(f"names must stay different in MLflow; got {same}, each {twice[0]!r}")
    return dict(pairs)


def safe_value(text: str, limit: int) -> str:
    """Return the text, printable; over ``limit`` characters, its sha256 and where the whole is."""
    value = printable(text)
    if len(value) <= limit:
        return value
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"sha256:{digest} of {len(text)} characters: see config.yaml and result.json"
