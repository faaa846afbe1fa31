"""The bytes of a CSV file become counts to check its parser by; every byte is looked at once."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from pipeline.errors import DataError
from pipeline.stages.source import MAX_FIELD, Source, refuse_magic, too_large, too_long

CHUNK = 2**19
BOM = codecs.BOM_UTF8
LF, CR, QUOTE = b'\n\r"'


@dataclass
class Scan:
    """What one pass over the bytes of a CSV file counts, to check its parser by.

    ``n_records`` lines that are not blank and ``n_delimiters``, both outside quotes. ``plain``:
    every opening quote begins a field, so that no two parsers can differ about it.
    """

    n_records: int = 0
    n_delimiters: int = 0
    plain: bool = True
    blank: bool = True
    _inside: bool = field(default=False, repr=False)
    _last: int = field(default=LF, repr=False)
    _run: int = field(default=0, repr=False)  # bytes since the last delimiter or newline


def scan(source: Source, delimiter: str, max_bytes: int) -> Scan:
    """The counts of a CSV file, every byte of which was looked at.

    Raises
    ------
    DataError
        For a file that is empty, no UTF-8 text, inflates beyond ``max_bytes``, or is damaged.
    """
    found = Scan()
    mark = delimiter.encode()
    for offset, chunk in _checked_text(source, max_bytes):
        _count(found, chunk, mark[0])
        if found._run > MAX_FIELD:
            raise DataError(too_long(source.shown, _line_at(source, offset)))
    if found.blank:
        raise DataError(f"{source.shown} must hold a table; got nothing but white space or no byte")
    found.n_records += found._last not in (LF, CR)
    found.plain &= len(mark) == 1 and not found._inside
    return found


def _checked_text(source: Source, max_bytes: int) -> Iterator[tuple[int, bytes]]:
    """The text in chunks with their offsets, once they are known to be UTF-8 without NUL."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    end = 0
    for offset, chunk in _bounded_chunks(source, max_bytes):
        pending = len(decoder.getstate()[0])
        try:
            if pending or not chunk.isascii():
                decoder.decode(chunk)
        except UnicodeDecodeError as error:
            place = offset - pending + error.start
            raise DataError(_no_utf8(source, place, error.object, error.start)) from None
        nul = chunk.find(0)
        if nul >= 0:
            raise DataError(_nul(source, offset + nul, chunk))
        start = len(BOM) if offset == 0 and chunk.startswith(BOM) else 0
        end = offset + len(chunk)
        yield offset + start, chunk[start:]
    cut_off = decoder.getstate()[0]
    if cut_off:
        raise DataError(_no_utf8(source, end - len(cut_off), cut_off, 0))


def _bounded_chunks(source: Source, max_bytes: int) -> Iterator[tuple[int, bytes]]:
    """The inflated bytes in chunks with their offsets, up to a bound."""
    offset = 0
    for chunk in _chunks(source):
        end = offset + len(chunk)
        if offset == 0 and source.kind == "gzip":
            refuse_magic(source.shown, chunk[:64])
        if end > max_bytes:
            raise DataError(too_large(source.shown, "more when inflated", max_bytes))
        if source.kind == "csv" and end > source.size:
            source.require_unchanged()  # it grows: do not run after its end
        yield offset, chunk
        offset = end


def _chunks(source: Source) -> Iterator[bytes]:
    try:
        with source.open() as file:
            while chunk := file.read(CHUNK):
                yield chunk
    except EOFError:
        raise DataError(
            f"{source.shown} must be a whole gzip file; got one that ends early"
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{source.shown} must be an intact gzip file; got {error}") from None
    except OSError as error:
        raise DataError(f"{source.shown} must be readable; got {error.strerror or error}") from None


def _count(found: Scan, chunk: bytes, delimiter: int) -> None:
    """Count on through one chunk. ``outside`` says which bytes stand outside quotes."""
    if found.blank:
        found.blank = not chunk.strip()
    if not chunk:
        return
    a = np.frombuffer(chunk, np.uint8)
    delimiters = a == delimiter
    newlines = a == LF
    if CR in chunk:
        newlines |= a == CR
    _measure_run(found, chunk, delimiter)
    if found._inside or QUOTE in chunk:
        quotes = a == QUOTE
        inside = np.logical_xor.accumulate(quotes) ^ found._inside
        found.plain &= _begin_fields(a, quotes & inside, delimiter, found._last)
        delimiters &= ~inside
        newlines &= ~inside
        found._inside = bool(inside[-1])
    ends = np.flatnonzero(newlines)
    before = _before(a, ends, found._last)
    found.n_records += int(np.count_nonzero((before != LF) & (before != CR)))
    found.n_delimiters += int(np.count_nonzero(delimiters))
    found._last = chunk[-1]


def _begin_fields(
    a: npt.NDArray[np.uint8], opening: npt.NDArray[np.bool_], delimiter: int, last: int
) -> bool:
    """Whether each opening quote begins a field (or doubles the quote before it)."""
    before = _before(a, np.flatnonzero(opening), last)
    return bool(np.isin(before, (delimiter, LF, CR, QUOTE)).all())


def _before(
    a: npt.NDArray[np.uint8], places: npt.NDArray[np.intp], last: int
) -> npt.NDArray[np.uint8]:
    """The byte before each place; ``last`` is the one before the chunk."""
    before = a[places - 1]
    if len(places) and places[0] == 0:
        before[0] = last
    return before


def _measure_run(found: Scan, chunk: bytes, delimiter: int) -> None:
    """How many bytes have passed since the last delimiter or newline, if they grow too many."""
    breaks = (delimiter, LF, CR)
    first = min((at for at in map(chunk.find, breaks) if at >= 0), default=len(chunk))
    if first == len(chunk) or found._run + first > MAX_FIELD:
        found._run += first
    else:
        found._run = len(chunk) - 1 - max(map(chunk.rfind, breaks))


def _no_utf8(source: Source, offset: int, chunk: bytes, start: int) -> str:
    byte = chunk[start]
    char = bytes([byte]).decode("cp1252", "replace")
    near = chunk[max(0, start - 500) : start + 500]
    is_text = char.isalnum() and not any(code < 32 and code not in b"\t\r\n" for code in near)
    hint = f": is it Latin-1 ({char})? Save it as UTF-8" if is_text else ""
    place = f"offset {offset}, line {_line_at(source, offset)}"
    return f"{source.shown} must be UTF-8 text; got byte 0x{byte:02x} at {place}{hint}"


def _nul(source: Source, offset: int, chunk: bytes) -> str:
    hint = ": is it UTF-16? Save it as UTF-8" if chunk.count(0) * 3 > len(chunk) else ""
    place = f"offset {offset}, line {_line_at(source, offset)}"
    return f"{source.shown} must be text without NUL bytes; got one at {place}{hint}"


def _line_at(source: Source, offset: int) -> int:
    """The number of the line, from 1, that the byte at ``offset`` stands on."""
    lines, last = 1, b""
    for chunk in _chunks(source):
        part = chunk[:offset]
        lines += part.count(b"\n") + part.count(b"\r") - part.count(b"\r\n")
        lines -= last == b"\r" and part[:1] == b"\n"
        offset -= len(part)
        last = part[-1:]
        if offset <= 0:
            break
    return lines
