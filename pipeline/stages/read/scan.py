"""The bytes of a CSV file become counts to check its parser by; every byte is looked at once."""

from __future__ import annotations

import codecs
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from pipeline.config.file_settings import is_utf8
from pipeline.errors import DataError
from pipeline.stages.read.encodings import encoding_hint
from pipeline.stages.read.source import Source, require_sha256

LF, CR, QUOTE = b'\n\r"'
Bits = npt.NDArray[np.uint64]  # one for each byte of a chunk, the first in the lowest


@dataclass
class Scan:
    """What the bytes so far hold: ``n_records`` that are not blank, ``n_delimiters`` between cells.

    ``n_content``: bytes of the cells, which are all that is no delimiter, line end or quote around
    a cell. ``is_plain``: every opening quote begins a cell, so that no two parsers can differ.
    ``n_ends``: bytes of line ends, also of those in quotes.
    """

    n_records: int = 0
    n_delimiters: int = 0
    n_content: int = 0
    is_plain: bool = True
    n_bytes: int = 0  # without the byte order mark
    n_lines: int = 0
    n_ends: int = 0
    has_letters: bool = False  # that are not ASCII
    has_quotes: bool = False
    is_quoted: bool = False  # the last byte
    last: int = LF

    @property
    def is_by_line(self) -> bool:
        """Whether each line is a record: none is blank, and no cell holds the end of one."""
        return self.n_records == self.n_lines + (self.last not in (LF, CR))


def scan(source: Source, delimiter: str, max_bytes: int, sha256: str | None = None) -> Scan:
    """Return the counts of a CSV file.

    DataError for one that is no UTF-8 text, holds a NUL byte or more than ``max_bytes``; before
    all for one that has not the ``sha256`` (of a file that is not packed).
    """
    if sha256 is None:
        return _scan(source, delimiter, source.chunks(max_bytes))
    digest = hashlib.sha256()
    try:
        found = _scan(source, delimiter, source.chunks(max_bytes, digest.update))
    except DataError:
        require_sha256(source, sha256)
        raise
    if digest.hexdigest() != sha256:
        require_sha256(source, sha256)
    return found


def _scan(source: Source, delimiter: str, chunks: Iterable[bytes]) -> Scan:
    found = Scan()
    mark = delimiter.encode()
    decoder = codecs.getincrementaldecoder("utf-8")()
    n_read = 0
    for chunk in chain(chunks, [b""]):
        _require_text(source, decoder, chunk, found, n_read)
        _count(found, chunk if n_read else chunk.removeprefix(codecs.BOM_UTF8), mark[0])
        n_read += len(chunk)
    found.n_records += found.last not in (LF, CR)
    found.is_plain &= len(mark) == 1 and not found.is_quoted
    return found


def _count(found: Scan, chunk: bytes, delimiter: int) -> None:
    """Add what the next chunk holds."""
    if not chunk:
        return
    lf, cr, quotes, delimiters = (_bits(chunk, byte) for byte in (LF, CR, QUOTE, delimiter))
    ends = lf | cr
    inside = _inside(quotes, found.is_quoted)
    opening = quotes & inside
    begins = _behind(quotes | delimiters | ends, found.last in (LF, CR, QUOTE, delimiter))
    found.is_plain &= not (opening & ~begins).any()
    # A quote that opens right behind one is, with it, one in a cell.
    n_marks = _n(quotes) - _n(opening & _behind(quotes, found.last == QUOTE))
    found.n_ends += _n(ends)
    found.n_lines += _n(ends) - _n(lf & _behind(cr, found.last == CR))  # CRLF is one end
    delimiters &= ~inside
    outside = ends & ~inside
    found.n_records += _n(outside & ~_behind(ends, found.last in (LF, CR)))
    found.n_delimiters += _n(delimiters)
    found.n_content += len(chunk) - _n(delimiters) - _n(outside) - n_marks
    found.n_bytes += len(chunk)
    found.has_quotes |= bool(quotes.any())
    found.is_quoted ^= bool(_n(quotes) % 2)
    found.last = chunk[-1]


def _bits(chunk: bytes, byte: int) -> Bits:
    """Return where the chunk holds the byte."""
    words = np.zeros(-(-len(chunk) // 64), "<u8")
    if byte in chunk:
        bits = np.packbits(np.frombuffer(chunk, np.uint8) == byte, bitorder="little")
        words.view(np.uint8)[: len(bits)] = bits
    return words


def _behind(bits: Bits, is_first: bool) -> Bits:
    """Return the bits of the bytes before each."""
    moved = bits << np.uint64(1)
    moved[1:] |= bits[:-1] >> np.uint64(63)
    moved[0] |= is_first
    return moved


def _inside(quotes: Bits, is_quoted: bool) -> Bits:
    """Return where a quote is open, the opening one with it: up to there their number is odd."""
    if not (is_quoted or quotes.any()):
        return quotes
    odd = quotes.copy()
    for n in (1, 2, 4, 8, 16, 32):
        odd ^= odd << n
    odd[1:] ^= -np.bitwise_xor.accumulate(odd >> 63)[:-1]
    return ~odd if is_quoted else odd


def _n(bits: Bits) -> int:
    return int(np.bitwise_count(bits).sum(dtype=np.int64))


def _require_text(
    source: Source, decoder: codecs.IncrementalDecoder, chunk: bytes, before: Scan, n_read: int
) -> None:
    """Raise DataError unless the next chunk (b"" at the end) goes on as UTF-8 without NUL."""
    n_pending = len(decoder.getstate()[0])
    try:
        if n_pending or not chunk.isascii():
            before.has_letters |= bool(decoder.decode(chunk, final=not chunk))
    except UnicodeDecodeError as error:
        text, at = error.object, error.start
    else:
        text, at, n_pending = chunk, chunk.find(0), 0
        if at < 0:
            return
    _count(before, text[n_pending:at], 0)
    place = f"offset {n_read - n_pending + at}, line {1 + before.n_lines}"
    rule = f"must be {'UTF-8 text' if text[at] else 'text without NUL bytes'}"
    letters = before.has_letters or not text[:at].isascii()
    hint = ""
    if is_utf8(source.encoding) or not text[at]:
        hint = encoding_hint(text, at, source.shown, has_letters=letters)
    raise DataError(f"{source.shown} {rule}; got byte 0x{text[at]:02x} at {place}{hint}")
