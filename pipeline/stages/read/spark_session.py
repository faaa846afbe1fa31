"""A session of Spark: a server's, one of Java in this machine, or of Sail, which needs no Java."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from pipeline.config.source_settings import SourceSettings
from pipeline.errors import DataError, reason_of
from pipeline.stages.read.engine_address import address_of

TIMEOUT_S = 10  # until a server answers that it is there
LOGGERS = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")  # of what is raised as well
PORT = 15002  # of Spark Connect, where the address names none


@contextmanager
def spark_session(source: SourceSettings) -> Iterator[Any]:
    """Open a session of the engine, and leave it.

    Its address is that of a server, ``sc://host:port``, or Spark's master, as ``local[*]``. Sail
    without an address is started in this process.
    """
    address = address_of(source)
    is_own = source.engine == "sail" and not address
    with _sail() if is_own else nullcontext(address) as address:
        session = _session(address)
        try:
            yield session
        finally:
            with suppress(Exception):
                session.stop()


def _session(address: str) -> Any:
    from pyspark.sql import SparkSession

    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if address.startswith("sc://"):
        require_answer(address)
        return SparkSession.builder.remote(address).create()
    import_module("pyspark.core")  # pyspark-client has it not
    if address.startswith("local"):  # workers on this machine: else any python3 of PATH
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.config("spark.ui.showConsoleProgress", "false")
    # Until Java and Python have met, on a machine that is busy.
    builder = builder.config("spark.python.authenticate.socketTimeout", "120s")
    with _no_stderr():  # Java keeps it
        return (builder.master(address) if address else builder).getOrCreate()


def require_answer(address: str) -> None:
    """Raise DataError where nothing listens: Spark's client would try again for minutes."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port or PORT
        socket.create_connection((host, port), TIMEOUT_S).close()
    except (OSError, ValueError) as error:
        raise DataError(
            "data.source.connect must be where Spark Connect answers, as sc://host:15002; got "
            f"{reason_of(error)}"
        ) from None


@contextmanager
def _sail() -> Iterator[str]:
    """Start Sail in this process; yield its address."""
    os.environ.setdefault("RUST_LOG", "off")  # it would write to stderr
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    try:
        yield "sc://{}:{}".format(*server.listening_address)
    finally:
        server.stop()


@contextmanager
def _no_stderr() -> Iterator[None]:
    """Have what is started in here write its log to nowhere."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
