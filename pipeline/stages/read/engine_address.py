"""Where an engine is: ``data.source.connect`` with what the environment has of it."""

from __future__ import annotations

import os
import re
from urllib.parse import quote, unquote, urlsplit

from pipeline.config.source_settings import VARIABLE, SourceSettings
from pipeline.errors import DataError
from pipeline.text import MASK, one_line, redact

PLACE = re.compile(r"\nLINE \d+:|\x1b\[")  # in a query: lines that point at it, colours


def address_of(source: SourceSettings) -> str:
    """Return the whole address, which is kept nowhere; "" where none is given."""
    text = source.connect or ""
    if MASK in text:
        raise DataError(
            f"data.source.connect must be a whole address; got {text}, as it is on record: give "
            'it again with ARGS="data.source.connect=…"'
        )

    def value(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name not in os.environ:
            raise DataError(
                f"environment must have {name}, which data.source.connect names; got none: "
                f"export {name}=…"
            )
        is_part = "://" in text[: found.start()]
        return quote(os.environ[name], safe="") if is_part else os.environ[name]

    return VARIABLE.sub(value, text)


def said_by(error: BaseException, source: SourceSettings) -> str:
    """Return what an engine says on one line, without what came from the environment."""
    text = PLACE.split(str(error))[0] or type(error).__name__
    for secret in _secrets(source):
        text = text.replace(secret, MASK)
    return one_line(redact(text))


def _secrets(source: SourceSettings) -> list[str]:
    """Return what the environment has of the address, as it may stand in a message."""
    names = ["".join(found) for found in VARIABLE.findall(source.connect or "")]
    values = {os.environ.get(name, "") for name in names}
    passwords = {_password(value) for value in values}
    held = values | passwords | {unquote(word) for word in passwords} | {*map(quote, values)}
    return sorted(held - {""}, key=len, reverse=True)


def _password(address: str) -> str:
    try:
        return urlsplit(address).password or ""
    except ValueError:
        return ""
