"""Names and values become ones that every MLflow store takes, reversibly and without collisions.

A character that MLflow refuses in a name is written ``_x3d_`` with its code point in hexadecimal
("=" is 3d), and so is an underscore before an "x", so that no name of ours reads as an escape. What
was mapped is listed in the artifact ``names.json``.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence

from pipeline.errors import ConfigError
from pipeline.text import cut, printable

MAX_NAME = 250
MAX_PARAM = 6000
MAX_TAG = 5000
MAX_RUN_NAME = 60  # characters; a list of runs shows about 30
MAX_VALUE = 24  # characters of one value in the name of a run
SEEDS = ("split.fold", "split.seed", "seed")  # last in the name of a run
SHORT = {"learning_rate": "lr"}
# MLflow's page has a heading for what stands before a "/", in alphabetical order, and puts names
# without one last. These are under a heading, as are all of train/ and valid/; the rest is last.
HEADED = (
    "log_loss", "accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc",
    "brier", "expected_calibration_error", "baseline_log_loss", "baseline_accuracy",
)  # fmt: skip
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


def grouped_name(name: str) -> str:
    """Return the name of a metric as MLflow's page groups it: ``certificate.gap``, ``test/brier``.

    ``name`` is a safe one. Different names stay different.
    """
    group, separator, figure = name.partition("/")
    is_figure = group in ("test", "not_held_out") and figure in HEADED
    if not separator or group in ("train", "valid") or is_figure:
        return name
    return f"{group}.{figure.replace('/', '_x2f_')}"


def run_name(words: Sequence[str], axes: Sequence[str], default: str) -> str:
    """Return the name of a run from the words that make it different, or the ``default``.

    Of a sweep's run those alone that vary in it, its ``axes``. Choices of a group come first and
    seeds last: ``seed=0 optimiser.learning_rate=1. encode=crosses`` is ``crosses · lr 1 · seed 0``
    """
    pairs = [_pair(word) for word in words]
    pairs = [pair for pair in pairs if pair[0] in axes] or pairs
    pairs.sort(key=lambda pair: _rank(pair[0]))
    ends = Counter(key.rpartition(".")[2] for key, _ in pairs)
    parts = [_part(key, value, ends) for key, value in pairs]
    text = printable(" · ".join(parts) or default)
    return cut(text, MAX_RUN_NAME, keep_end=min(len(printable(parts[-1])), 20) if parts else 0)


def _rank(key: str) -> int:
    return SEEDS.index(key) + 2 if key in SEEDS else int("." in key)


def _pair(word: str) -> tuple[str, str]:
    key, _, value = word.lstrip("+~").partition("=")
    return key.partition("@")[0], value


def _part(key: str, value: str, ends: Counter[str]) -> str:
    """Return ``crosses`` for a group's option, ``lr 1`` for another setting."""
    end = key.rpartition(".")[2]
    name = SHORT.get(end, end) if ends[end] == 1 and key not in SEEDS else key.replace(".", " ")
    shown = cut(_number(value.strip("'\"")), MAX_VALUE)
    return shown if "." not in key and key not in SEEDS and shown else f"{name} {shown}".rstrip()


def _number(text: str) -> str:
    """Return a number as short as it can be, and any other text as it is."""
    try:
        value = float(text)
    except ValueError:
        return text
    plain, short = text.replace("_", ""), f"{value:g}"
    is_shorter = len(short) < len(plain) and float(short) == value and "e" not in short
    return short if is_shorter else plain
