"""The bytes of a CSV file become counts to check its parser by; every byte is looked at once."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from itertools import chain

import numpy as np
import numpy.typing as npt

from pipeline.config.file_settings import is_utf8
from pipeline.errors import DataError
from pipeline.stages.read.encodings import encoding_hint
from pipeline.stages.read.source import Source

LF, CR, QUOTE = b'\n\r"'


@dataclass
class Scan:
    """What the bytes so far hold: ``n_records`` that are not blank, ``n_delimiters`` between cells.

    ``n_content``: bytes of the cells, which are all that is no delimiter, line end or quote around
    a cell. ``is_plain``: every opening quote begins a cell, so that no two parsers can differ.
    """

    n_records: int = 0
    n_delimiters: int = 0
    n_content: int = 0
    is_plain: bool = True
    n_bytes: int = 0
    n_lines: int = 0
    has_letters: bool = False  # that are not ASCII
    is_quoted: bool = False  # the last byte
    last: int = LF

    @property
    def is_by_line(self) -> bool:
        """Whether each line is a record: none is blank, and no cell holds the end of one."""
        return self.n_records == self.n_lines + (self.last not in (LF, CR))


def scan(source: Source, delimiter: str, max_bytes: int) -> Scan:
    """Return the counts of a CSV file.

    DataError for one that is no UTF-8 text, holds a NUL byte or more than ``max_bytes``.
    """
    found = Scan()
    mark = delimiter.encode()
    decoder = codecs.getincrementaldecoder("utf-8")()
    for chunk in chain(source.chunks(max_bytes), [b""]):
        _require_text(source, decoder, chunk, found)
        _count(found, chunk if found.n_bytes else chunk.removeprefix(codecs.BOM_UTF8), mark[0])
        found.n_bytes += len(chunk)
    found.n_records += found.last not in (LF, CR)
    found.is_plain &= len(mark) == 1 and not found.is_quoted
    return found


def _count(found: Scan, chunk: bytes, delimiter: int) -> None:
    """Add what the next chunk holds."""
    a = np.frombuffer(bytes([found.last]) + chunk, np.uint8)
    before, here = a[:-1], a[1:]
    delimiters = here == delimiter
    ends = here == LF
    if CR in chunk or found.last == CR:
        found.n_lines -= _n(ends & (before == CR))  # CRLF is one end
        ends |= here == CR
    found.n_lines += _n(ends)
    if found.is_quoted or QUOTE in chunk:
        quotes = here == QUOTE
        inside = np.logical_xor.accumulate(quotes) ^ found.is_quoted
        delimiters &= ~inside
        ends &= ~inside
        before_opening = before[np.flatnonzero(quotes & inside)]
        found.is_plain &= bool(np.isin(before_opening, (delimiter, LF, CR, QUOTE)).all())
        found.is_quoted ^= bool(_n(quotes) % 2)
        found.n_content -= _n(quotes) - _n(before_opening == QUOTE)  # which is one in a cell
    before_end = before[np.flatnonzero(ends)]
    found.n_records += _n((before_end != LF) & (before_end != CR))
    found.n_delimiters += _n(delimiters)
    found.n_content += len(here) - _n(delimiters) - len(before_end)
    found.last = int(a[-1])


def _n(holds: npt.NDArray[np.bool_]) -> int:
    return int(np.count_nonzero(holds))


def _require_text(
    source: Source, decoder: codecs.IncrementalDecoder, chunk: bytes, before: Scan
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
    place = f"offset {before.n_bytes - n_pending + at}, line {1 + before.n_lines}"
    rule = f"must be {'UTF-8 text' if text[at] else 'text without NUL bytes'}"
    letters = before.has_letters or not text[:at].isascii()
    hint = ""
    if is_utf8(source.encoding) or not text[at]:
        hint = encoding_hint(text, at, source.shown, has_letters=letters)
    raise DataError(f"{source.shown} {rule}; got byte 0x{text[at]:02x} at {place}{hint}")
