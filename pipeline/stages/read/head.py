"""A file becomes the text of its first lines, in the encoding that all of its bytes allow."""

from __future__ import annotations

import codecs
import re
import zlib
from contextlib import suppress
from dataclasses import replace
from typing import NamedTuple

from pipeline.stages.read.encodings import MARKS
from pipeline.stages.read.source import Source

SIZE = 2**21  # bytes
CONTROLS = re.compile(rb"[\x80-\x9f]")  # of Latin-1; most are letters and signs of Windows-1252
UNDEFINED = frozenset(b"\x81\x8d\x8f\x90\x9d")  # in that, too


class Head(NamedTuple):
    """The text of whole lines, its encoding, and why it is that one."""

    text: str
    encoding: str
    why: str


def read_head(source: Source, max_bytes: int) -> Head:
    """Return the first lines of a file; DataError where it is damaged, or has too many bytes."""
    encoding, why = _marked(source) or _guessed(source, max_bytes)
    head = b""
    for chunk in replace(source, encoding=encoding).chunks(max_bytes):
        head += chunk
        if len(head) > SIZE:
            head = head[: head.rfind(b"\n", 0, SIZE) + 1 or SIZE]
            break
    return Head(head.decode("utf-8", "replace").removeprefix("\ufeff"), encoding, why)


def _marked(source: Source) -> tuple[str, str] | None:
    """Return the encoding that a byte order mark names."""
    start = b""
    with suppress(OSError, EOFError, zlib.error), source.open() as file:  # damage is found later
        start = file.read(4)
    for mark, (encoding, _) in MARKS.items():
        if start.startswith(mark):
            return encoding, "a byte order mark"
    return None


def _guessed(source: Source, max_bytes: int) -> tuple[str, str]:
    n_zero, n_bytes, first_zero, is_utf8 = 0, 0, 0, True
    controls: set[int] = set()
    decoder = codecs.getincrementaldecoder("utf-8")()
    for chunk in source.chunks(max_bytes):
        first_zero = first_zero or n_bytes + chunk.find(0)
        n_zero, n_bytes = n_zero + chunk.count(0), n_bytes + len(chunk)
        try:
            is_utf8 = is_utf8 and decoder.decode(chunk) is not None
        except UnicodeDecodeError:
            is_utf8 = False
        controls |= set() if chunk.isascii() else {*b"".join(CONTROLS.findall(chunk))}
    if n_zero * 3 > n_bytes:
        return f"utf-16-{'le' if first_zero % 2 else 'be'}", "every other byte is zero"
    if is_utf8:
        return "utf-8", ""
    if controls and not controls & UNDEFINED:
        return "cp1252", f"it is no UTF-8, and byte 0x{min(controls):02x} no letter of Latin-1"
    return "latin-1", "it is no UTF-8"
