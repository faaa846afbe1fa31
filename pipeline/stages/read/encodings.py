"""Bytes of any encoding become those of UTF-8, or a refusal that names the byte and the cure."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from itertools import chain

from pipeline.errors import DataError

MARKS = {  # of a file that says itself what it is
    codecs.BOM_UTF8: ("utf-8", "utf-8-sig"),
    codecs.BOM_UTF32_LE: ("utf-32", "utf-32-le"),
    codecs.BOM_UTF16_LE: ("utf-16", "utf-16-le"),
    codecs.BOM_UTF16_BE: ("utf-16", "utf-16-be"),
}


def refuse_mark(name: str, head: bytes, encoding: str) -> None:
    """Raise DataError if the file begins with the byte order mark of another encoding."""
    for mark, encodings in MARKS.items():
        if head.startswith(mark) and codecs.lookup(encoding).name not in encodings:
            raise DataError(
                f"{name} must be {encoding} text; got the byte order mark of "
                f"{encodings[0].upper()}: set data.encoding={encodings[0]}"
            )
        if head.startswith(mark):
            return


def transcoded(chunks: Iterable[bytes], name: str, encoding: str) -> Iterator[bytes]:
    """Yield chunks of UTF-8; DataError where a chunk is not of the encoding, or all are UTF-8."""
    decoder = codecs.getincrementaldecoder(encoding)()
    utf8: codecs.IncrementalDecoder | None = codecs.getincrementaldecoder("utf-8")()
    n_bytes, n_lines, is_ascii = 0, 1, True
    if codecs.lookup(encoding).name.startswith("utf"):  # its zeros are those of UTF-8, too
        utf8 = None
    for chunk in chain(chunks, [b""]):
        n_pending = len(decoder.getstate()[0])
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(encoding, "replace")
            offset, line = n_bytes - n_pending + error.start, n_lines + before.count("\n")
            raise DataError(
                f"{name} must be {encoding} text (data.encoding); got byte "
                f"0x{error.object[error.start]:02x} at offset {offset}, line {line}"
                f"{_decoding_hint(encoding, is_end=not chunk)}"
            ) from None
        except UnicodeError:  # of UTF-16 and UTF-32 alone
            raise DataError(
                f"{name} must begin with a byte order mark, as data.encoding={encoding} says; got "
                f"none: set data.encoding={encoding}-le (or -be)"
            ) from None
        n_bytes, n_lines = n_bytes + len(chunk), n_lines + text.count("\n")
        is_ascii = is_ascii and chunk.isascii()
        utf8 = _unless_broken(utf8, chunk)
        yield text.encode()
    # Text of another encoding is hardly ever UTF-8 by chance.
    if utf8 and not is_ascii:
        raise DataError(
            f"{name} must be {encoding} text (data.encoding); got UTF-8: set data.encoding=utf-8"
        )


def _decoding_hint(encoding: str, *, is_end: bool) -> str:
    if is_end:
        return ": is it cut off?"
    is_unicode = codecs.lookup(encoding).name.startswith("utf")
    return "" if is_unicode else ": set data.encoding=latin-1, which has every byte"


def encoding_hint(text: bytes, at: int, name: str, *, has_letters: bool) -> str:
    """Return which encoding text seems to have that is no UTF-8 at this byte, or "".

    ``has_letters``: what stands before it has characters of UTF-8 that are not ASCII.
    """
    if text.count(0) * 3 > len(text):
        order = "be" if text[::2].count(0) > text[1::2].count(0) else "le"
        return f": is it UTF-16? Set data.encoding=utf-16-{order}"
    if text[at] == 0:
        return f": take them out with tr -d '\\000' < {name} > {name}.new"
    encoding = "cp1252" if 0x80 <= text[at] < 0xA0 else "latin-1"
    char = bytes([text[at]]).decode(encoding, "replace")
    near = text[max(0, at - 500) : at + 500]
    if not char.isprintable() or any(code < 32 and code not in b"\t\r\n" for code in near):
        return ""
    if has_letters:
        return (
            f": what is before is UTF-8; mend that place, or set data.encoding={encoding} "
            f"({char}) if all the file is that"
        )
    name = "Windows-1252" if encoding == "cp1252" else "Latin-1"
    return f": is it {name} ({char})? Set data.encoding={encoding}"


def _unless_broken(
    decoder: codecs.IncrementalDecoder | None, chunk: bytes
) -> codecs.IncrementalDecoder | None:
    """Return the decoder if the next chunk (b"" at the end) goes on in its encoding, else None."""
    try:
        if decoder:
            decoder.decode(chunk, final=not chunk)
    except UnicodeDecodeError:
        return None
    return decoder
