"""Text for people: cut, counted, escaped, and without secrets. Every print goes through ``say``."""

from __future__ import annotations

import json
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from pipeline.console.progress import hide
from pipeline.console.tty import coloured, encodable, has_colour

MASK = "***"
MIN_SECRET = 6  # characters; a shorter value ("false", "yes") would blank out ordinary words
MAX_REMEMBERED = 4096  # objects of which a text is kept
MAX_MESSAGE = 2000  # characters; the whole is in the report of the run

NUMBER = r"[+-]?(\d[\d_]*\.?\d*|\.\d+)([eE][+-]?\d+)?"
YAML_WORDS = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
_NAME_HINT = re.compile("TOKEN|PASSW|SECRET|KEY|CREDENTIAL", re.IGNORECASE)
# The user may be a token by itself; the password may hold "@" and "/" that should have been
# escaped, so it reaches to the last "@" of the word.
_USERINFO = re.compile(r"(?<=://)(?:[^\s/@:\"'<>]*:[^\s\"'<>]*|[^\s/@\"'<>]*)@")
_QUERY = re.compile(  # MLflow's key of a shared view is none
    r"([?&;](?!viewStateShareKey=)(?:[\w-]*(?:token|passw|secret|key|credential|signature)[\w-]*|sig|pwd)=)[^&#;\s\"'<>]+",
    re.IGNORECASE,
)
_LOOK_ALIKES = str.maketrans(
    "аеорсухіѕјԁһАВЕКМНОРСТХІЅЈοναΑΒΕΖΗΙΚΜΝΟΡΤΥΧ−–—‐‑",
    "aeopcyxisjdhABEKMHOPCTXISJovaABEZHIKMNOPTYX-----",
)


T = TypeVar("T")

_commands: list[str] = []  # of make, which are said as those of oneuron


def say_as_installed(commands: Iterable[str]) -> None:
    """Have ``say`` name the commands as ``oneuron run``, not ``make run``: there is no Makefile.

    Their flags may stay in capitals, which ``oneuron`` takes as well.
    """
    _commands[:] = commands


def say(text: str, *, error: bool = False) -> None:
    """Print the text without secrets, to stdout or, as an ``error``, to stderr."""
    if _commands:
        text = re.sub(rf"\bmake (?=(?:{'|'.join(_commands)})\b)", "oneuron ", text)
    stream = sys.stderr if error else sys.stdout
    if stream is None:  # it was closed: >&-
        return
    text = encodable(redact(text), stream.encoding or "utf-8")
    hide()
    print(coloured(text) if has_colour(stream) else text, file=stream, flush=True)


def redact(text: str) -> str:
    """Return the text with ``***`` for every secret that can be recognised.

    Those are: user and password in an address, a query parameter of an address whose name hints at
    a secret, and every value (of six characters or more) of an environment variable whose name
    hints at one: TOKEN, PASSWORD, SECRET, KEY, CREDENTIAL.
    """
    return redactor()(text)


def redactor() -> Callable[[str], str]:
    """Return ``redact`` for many texts: it looks for secrets in the environment once."""
    secrets = _secrets()
    return lambda text: _masked(text, secrets)


def remembered(of: Callable[[T], str]) -> Callable[[T], str]:
    """Return the function with a memory of what it said of an object that never changes.

    By the object itself: settings hold dicts and have no hash. Many points of a grid share a part.
    """
    held: dict[int, tuple[T, str]] = {}  # with the object, so that no other has its id

    def said(thing: T) -> str:
        found = held.get(id(thing))
        if found is None or found[0] is not thing:
            if len(held) >= MAX_REMEMBERED:
                held.clear()
            found = held[id(thing)] = thing, of(thing)
        return found[1]

    return said


def redact_tree(tree: Any) -> Any:
    """Return the tree of dicts and lists with every text in it redacted, keys included."""
    mask = redactor()

    def masked(node: Any) -> Any:
        if isinstance(node, str):
            return mask(node)
        if isinstance(node, dict):
            return {masked(key): masked(value) for key, value in node.items()}
        return [masked(value) for value in node] if isinstance(node, list | tuple) else node

    return masked(tree)


def cut(text: str, length: int, keep_end: int = 0) -> str:
    """Return the text in at most ``length`` characters; an ellipsis stands for what was cut.

    The last ``keep_end`` characters stay: names often differ in their ends.
    """
    if len(text) <= length:
        return text
    return text[: max(length - 1 - keep_end, 0)] + "…"[:length] + text[len(text) - keep_end :]


def one_line(text: object, length: int = 300) -> str:
    """Return the words of the text on one line of at most ``length`` characters."""
    return cut(" ".join(str(text).split()), length)


def bounded(lines: Iterable[str], limit: int = MAX_MESSAGE) -> str:
    """Return the lines as one text of at most ``limit`` characters that counts what it leaves out.

    No line is longer than 400 characters.
    """
    lines = list(lines)
    text = ""
    for i, line in enumerate(lines):
        more = f"… and {len(lines) - i} more"
        short = cut(line, 400)
        if len(text) + len(short) + len(more) + 2 > limit:
            return text + more
        text += short + "\n"
    return text.rstrip("\n")


def counted(n: int, one: str, many: str | None = None) -> str:
    """Return ``1 run``, ``1,000 runs``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def printable(text: str, keep: str = "") -> str:
    r"""Return the text with characters that a terminal obeys or an eye does not see as ``\x1b``."""
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )


def quoted(value: str, length: int = 60) -> str:
    """Return the value in quotes, bounded, every character that deceives the eye escaped."""
    short = value[:length]
    look = skeleton(short)
    deceives = short.isprintable() and look != short.strip() and look.isascii()
    return (ascii(short) if deceives else repr(short)) + ("…" if len(value) > length else "")


def listed(names: Sequence[str]) -> str:
    """Return the first names, quoted and bounded."""
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(quoted(name, 40) for name in names[:8]) + more


def setting(key: str, values: Sequence[str]) -> str:
    """Return the setting of a list of texts, as it is typed after a command."""
    numbers = key.endswith("missing_values")  # which takes them as text
    items = [v if _is_bare(v, may_be_number=numbers) else f"'{v}'" for v in values]
    return f"{key}=[{','.join(items)}]"


def _is_bare(value: str, *, may_be_number: bool) -> bool:
    """Return whether Hydra reads it as text, not as 1.0, true or null."""
    is_text = value.lower() not in ("true", "false", "null", "nan", "inf")
    if not may_be_number:
        is_text &= re.fullmatch(NUMBER, value, re.ASCII) is None
    return is_text and re.fullmatch(r"[\w.?@*$%/+-]+", value, re.ASCII) is not None


def column_setting(name: str, key: str, value: str) -> str:
    """Return a setting of a column, as typed; in YAML where no command takes its name."""
    if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        return f"data.columns.{name}.{key}={value}"
    return f"{key}: {value} for {yaml_key(name)} in the contract"


def yaml_key(name: str) -> str:
    """Return a name as a key of YAML that is read as this text."""
    is_bare = re.fullmatch(r"[^\W\d]\w*", name) and name.lower() not in YAML_WORDS
    return name if is_bare else json.dumps(name, ensure_ascii=False)


def skeleton(value: str) -> str:
    """Return what the value looks like: without invisible characters, look-alikes, outer space."""
    plain = unicodedata.normalize("NFKC", value)
    seen = "".join(char for char in plain if unicodedata.category(char) not in ("Cf", "Cc"))
    return seen.translate(_LOOK_ALIKES).strip()


def flatten(tree: dict[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Dotted names and their values; lists stay whole. A name may come twice: see safe_names."""
    pairs: list[tuple[str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            pairs += flatten(value, f"{prefix}{key}.")
        else:
            pairs.append((f"{prefix}{key}", value))
    return pairs


def canonical(value: Any) -> str:
    """The one text of a value: 0.1 however it was typed, true, null, lists as JSON."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)  # a float by repr, which reads back exactly


def _masked(text: str, secrets: list[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, MASK)
    return _QUERY.sub(rf"\g<1>{MASK}", _USERINFO.sub(f"{MASK}@", text))


def _secrets() -> list[str]:
    """Return secret values of the environment, the longest first: one may be part of another."""
    values = {
        value
        for name, value in os.environ.items()
        if _NAME_HINT.search(name) and len(value.strip()) >= MIN_SECRET
    }
    return sorted(values | {value.strip() for value in values}, key=len, reverse=True)
