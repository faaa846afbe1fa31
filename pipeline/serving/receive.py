"""What a client sends, until it is whole: how it wants its rows answered, and their bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from pipeline.serving.rows import CSV, JSON, PARQUET, Body, RequestError
from pipeline.text import listed, quoted

if TYPE_CHECKING:
    from starlette.requests import Request

MEMORY = 2**20  # bytes of a body beyond which it is in a temporary file
LIMITS = {JSON: 100 * 2**20, CSV: 2**30, PARQUET: 2**30}  # bytes of a body
SILENCE_S = 30.0  # of a client in the middle of its request
TYPES = {JSON: JSON, CSV: CSV, PARQUET: PARQUET, "application/x-parquet": PARQUET}
ON_BAD_ROW = ("refuse", "skip")


@dataclass(frozen=True)
class How:
    """What a request asks for besides its rows."""

    kind: str
    on_bad_row: str
    as_csv: bool
    limit: int


def asked(request: Request, on_bad_row: str, encoding: str) -> How:
    """Return what the headers and the query ask for; RequestError where that cannot be."""
    given = dict(request.query_params)
    if len(request.query_params.multi_items()) > len(given):
        raise RequestError("query must hold each parameter once")
    chosen = chosen_on_bad_row(given, "query", on_bad_row)
    kind = _kind(request, encoding)
    return How(kind, chosen, CSV in request.headers.get("accept", ""), LIMITS[kind])


def chosen_on_bad_row(given: Mapping[str, Any], place: str, default: str) -> str:
    """Return what to do with bad rows: as ``given``, or by default."""
    unknown = [name for name in given if name != "on_bad_row"]
    if unknown:
        raise RequestError(f"{place} must hold on_bad_row alone; got {listed(unknown)}")
    chosen = given.get("on_bad_row", default)
    if chosen not in ON_BAD_ROW:
        raise RequestError(f"on_bad_row must be refuse or skip; got {quoted(str(chosen))}")
    return str(chosen)


def form_fields(body: Body) -> dict[str, str]:
    """Return the fields of a form that was posted."""
    with body.open() as file:
        content = file.read()
    try:
        text = content.decode("utf-8")
        return dict(parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=10_000))
    except ValueError:  # UnicodeError is one
        raise RequestError("form must be urlencoded text in UTF-8") from None


@asynccontextmanager
async def received(request: Request, limit: int, encoding: str) -> AsyncIterator[Body]:
    """Read the body, into a temporary file where it is large, before a thread looks at it.

    So no thread waits for a client. RequestError for more than ``limit`` bytes, or silence.
    """
    content, file = bytearray(), None
    try:
        async for chunk in _sent(request, limit):
            if file is None and len(content) + len(chunk) > MEMORY:
                file = NamedTemporaryFile(prefix="oneuron-")  # noqa: SIM115 (closed below)
                file.write(content)
                content.clear()
            (file.write if file else content.extend)(chunk)
        if file:
            file.flush()
            yield Body(Path(file.name), "csv", (), encoding)
        else:
            yield Body(Path(), "csv", (), encoding, bytes(content))
    finally:
        if file:
            file.close()


async def _sent(request: Request, limit: int) -> AsyncIterator[bytes]:
    """Yield the body as it arrives."""
    from starlette.requests import ClientDisconnect

    chunks, n = request.stream(), 0
    while max(n, int(request.headers.get("content-length", "0"))) <= limit:
        try:
            async with asyncio.timeout(SILENCE_S):
                chunk = await anext(chunks, None)
        except TimeoutError:
            rule = f"request must arrive without a pause of {SILENCE_S:g} s"
            raise RequestError(rule, 408, "REQUEST_TIMEOUT") from None
        except ClientDisconnect:
            raise RequestError("request must arrive whole; got its beginning") from None
        if chunk is None:
            return
        yield chunk
        n += len(chunk)
    raise RequestError(f"request must be at most {limit:,} bytes", 413, "REQUEST_TOO_LARGE")


def _kind(request: Request, encoding: str) -> str:
    """Return which form the body is in; RequestError where it is none that is known."""
    given = request.headers.get("content-type", "")
    kind, *params = [part.strip().lower() for part in given.split(";")]
    charset = [p.partition("=")[2].strip('"') for p in params if p.startswith("charset=")]
    codings = request.headers.get("content-encoding", "identity").lower()
    allowed = {"utf-8", "utf8", encoding.lower()}
    if kind not in TYPES:
        rule = f"Content-Type must be {', '.join(TYPES)}; got {quoted(kind)}"
    elif len(charset) < len(params) or not {*charset} <= allowed:
        rule = f"Content-Type must have charset=utf-8 or none; got {quoted('; '.join(params))}"
    elif codings != "identity":
        rule = f"Content-Encoding must be identity; got {quoted(codings)}"
    else:
        return TYPES[kind]
    raise RequestError(rule, 415, "UNSUPPORTED_MEDIA_TYPE")
