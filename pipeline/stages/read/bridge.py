"""A process of its own that holds the session with an engine, and asks its workers.

Spark's client, Java's machine and Sail do not live through a fork, as runs of a sweep are made by,
and may wait for a server for ever: whoever asks this process can end it.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from pipeline.config.source_settings import SourceSettings
from pipeline.errors import DataError, EngineError, PipelineError
from pipeline.stages.read.engine_address import address_of, said_by
from pipeline.stages.read.engines import refusals
from pipeline.stages.read.spark_session import require_answer, spark_session
from pipeline.stages.read.worker import Planned, Row
from pipeline.stages.read.worker_code import code_zip

if TYPE_CHECKING:
    import pyarrow as pa

ALIVE_S = 5.0  # between two signs of life
CAUSE = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception)\b.*$", re.MULTILINE)
MISSING = re.compile(r"No module named '(\w+)")
SCHEMA = "number long, part long, parts long, content binary"
ALIVE, DONE = "alive", "done"


def serve(descriptor: int) -> None:
    """Answer with the results of workers, until whoever asks over the pipe has gone."""
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    connection = Connection(descriptor)
    source: SourceSettings = connection.recv()
    os.setsid()  # Ctrl-C is for the run
    sys.modules["__main__"].__file__ = __file__  # without one PySpark thinks of its own tests
    warnings.simplefilter("ignore")
    alone = threading.Lock()

    def send(word: object) -> None:
        with alone:
            connection.send(word)

    with suppress(EOFError, BrokenPipeError):
        try:
            with refusals(source), spark_session(source) as session:
                threading.Thread(target=_live, args=(session, source, send), daemon=True).start()
                _answer(session, source, connection.recv, send)
        except PipelineError as refusal:
            send(refusal)


def _end_with(parent: int) -> None:
    """End this process soon after the one that began it, whatever waits for a server."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _answer(
    session: Any, source: SourceSettings, take: Callable[[], Any], send: Callable[[object], None]
) -> None:
    while True:
        task, n = take()
        try:
            for row in _rows(session, task, n):
                send(row)
        except Exception as error:
            send(EngineError(_failure(error, source)))  # leaving the session may take longer
            return
        send(DONE)


def _failure(error: Exception, source: SourceSettings) -> str:
    """Return what became of the workers, on one line: of a traceback the error at its end."""
    causes = CAUSE.findall(str(error)) if "Traceback" in str(error) else []
    said = said_by(Exception(causes[-1]) if causes else error, source)
    missing = MISSING.search(said)
    if not missing:
        return f"workers of {source.engine} must do their work; got {said}"
    versions = " ".join(f"{name}=={of}" for name, of in Planned.here().versions.items())
    return (
        f"workers of {source.engine} must have the libraries of this machine; got none named "
        f"{missing[1]}: pip install {versions} pydantic threadpoolctl, on each of them"
    )


def _live(session: Any, source: SourceSettings, send: Callable[[object], None]) -> None:
    """Say as long as the engine answers that it does, and at once where nothing listens any more.

    The client alone would try again for minutes.
    """
    address = address_of(source)
    try:
        while True:
            if address.startswith("sc://"):
                require_answer(address)
            session.conf.get("spark.sql.session.timeZone")
            send(ALIVE)
            time.sleep(ALIVE_S)
    except DataError as refusal:
        send(EngineError(f"engine {source.engine} has ended; {refusal}"))
    except Exception:  # the pass has one as well, and says why
        return


def _rows(session: Any, task: bytes, n: int) -> Iterator[Row]:
    """Yield the rows of the results of ``n`` items, each of which is a task of the engine."""
    asked = session.range(0, n, 1, n).mapInArrow(_on_worker(task), SCHEMA)
    is_client = not hasattr(session, "_jvm")
    # Java's Spark would make one partition after the other where they are taken one by one.
    for row in asked.toLocalIterator() if is_client else asked.collect():
        yield Row(row["number"], row["part"], row["parts"], bytes(row["content"]))


def _on_worker(task: bytes) -> Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    """Return what a worker is to do. It is sent by its value, with the code that it calls."""
    code, (digest, versions) = code_zip(), Planned.here()

    def work(batches: Iterator[Any]) -> Iterator[Any]:
        import io
        import sys
        import tempfile
        import zipfile

        import pyarrow

        if "pipeline" not in sys.modules:
            folder = tempfile.mkdtemp(prefix="oneuron-")
            zipfile.ZipFile(io.BytesIO(code)).extractall(folder)
            sys.path.insert(0, folder)
        from pipeline.stages.read import worker

        worker.Planned(digest, versions).require()
        for batch in batches:
            for row in worker.results(task, batch.column(0).to_pylist()):
                arrays = [pyarrow.array([value]) for value in row]
                yield pyarrow.RecordBatch.from_arrays(arrays, names=row._fields)

    return work
