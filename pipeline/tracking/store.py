"""An address becomes an open store with its experiment, or a refusal on one line within seconds."""

from __future__ import annotations

import queue
import re
import shlex
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pipeline import files
from pipeline.config.schema import TrackingSettings
from pipeline.errors import TrackingError, reason_of
from pipeline.text import one_line, printable, redact
from pipeline.tracking.address import Address, check_address
from pipeline.tracking.quiet import quiet_mlflow
from pipeline.tracking.sqlite import ensure_store

CREDENTIALS = (
    "credentials refused (set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, "
    "or MLFLOW_TRACKING_TOKEN)"
)
PROBE_S = 5.0  # DNS included, which has no timeout of its own
# What an answer that is no MLflow server's says, and what the message says of it.
REASONS = (
    ("NameResolutionError", "a name that DNS does not know"),
    ("gaierror", "a name that DNS does not know"),
    ("Connection refused", "connection refused"),
    ("timed out", f"silence for {PROBE_S:.0f} s"),
    ("JSON", "a page that is not an MLflow server's"),
)
STATUS = re.compile(r"error code (\d{3})|too many (\d{3}) error")
NOT_MLFLOW = (404, 405, 501)  # of whoever does not know the question
# Without it a run's page opens in the mode for traces.
TRAINING = "workflowType=machine_learning"


@dataclass(frozen=True)
class Store:
    """An open store. ``client`` is MLflow's; the rest says where its runs are."""

    client: Any
    address: Address
    experiment_id: str

    def url(self, run_id: str) -> str | None:
        """Return the page of a run; None where no server stands behind the address."""
        if self.address.kind not in ("http", "https"):
            return None
        return f"{self.address.shown}/#/experiments/{self.experiment_id}/runs/{run_id}?{TRAINING}"


def open_store(settings: TrackingSettings) -> Store:
    """Open the store of ``settings``, and in it the experiment, made where it is missing.

    Raise ConfigError if no store can be at that address; TrackingError if it is absent, silent,
    damaged or of another version: within a second for a file, within 15 for a server.
    """
    address = check_address(settings)
    if address.path is not None and address.artifacts is not None:
        ensure_store(address.path, address.artifacts)
    with asking(address):
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=address.uri, registry_uri=address.uri)
        if address.path is None:
            probe(client, address)
        return Store(client, address, _experiment(client, printable(settings.experiment), address))


def probe(client: Any, address: Address) -> None:
    """Return if a server answers at ``address`` within 5 s, and lets us in.

    Raise TrackingError if none does, or if something else answers.
    """
    answers: queue.Queue[str] = queue.Queue()

    def ask() -> None:
        try:
            if address.kind in ("http", "https"):
                client.search_experiments(max_results=1)
            else:
                socket.create_connection((address.host, address.port), PROBE_S).close()
            answers.put("")
        except Exception as error:  # whatever answers instead, requests and MLflow raise of it
            answers.put(_reason(error))

    threading.Thread(target=ask, daemon=True).start()  # nobody waits for it any longer than that
    try:
        fault = answers.get(timeout=PROBE_S)
    except queue.Empty:
        fault = f"silence for {PROBE_S:.0f} s"
    if fault:
        raise TrackingError(f"tracking server must answer; got {fault} at {address.shown}")


@contextmanager
def asking(address: Address) -> Iterator[None]:
    """Use MLflow in here: what it or the store raises becomes a TrackingError."""
    try:
        with quiet_mlflow():
            yield
    except failures() as error:
        raise refusal(error, address) from None


def failures() -> tuple[type[Exception], ...]:
    """Return what MLflow and the libraries under it raise where a store or a server fails."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    # Those of requests are OSErrors; a driver may be missing.
    return (MlflowException, SQLAlchemyError, OSError, ImportError)


def refusal(error: Exception, address: Address) -> TrackingError:
    """Return what a failure of the store says on one line, without secrets."""
    text = printable(redact(one_line(str(error).partition("[SQL:")[0])))
    if "out-of-date database schema" in text:
        return TrackingError(_other_schema(address))
    if _status(error) in (401, 403):
        text = f"{_status(error)}, {CREDENTIALS}"
    return TrackingError(f"store must do as asked; got {text} at {address.shown}")


def _reason(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}"
    found = STATUS.search(text)
    status = int(found[1] or found[2]) if found else 0
    if _status(error) in (401, 403):
        return f"{_status(error)}, {CREDENTIALS}"
    if status in NOT_MLFLOW:
        return f"a page that is not an MLflow server's (status {status})"
    if status >= 500:
        return f"error {status}"
    known = next((meaning for sign, meaning in REASONS if sign in text), None)
    return known or printable(one_line(redact(reason_of(error)), 200))


def _status(error: Exception) -> int:
    return int(getattr(error, "get_http_status_code", lambda: 0)())


def _other_schema(address: Address) -> str:
    store, uri = shlex.quote(str(address.path)), shlex.quote(redact(address.uri))
    backup = f"cp {store} {store}.backup && " if address.path else ""
    return (
        f"store must have the schema of this MLflow; got another one at {address.shown}: if it is "
        f"older: {backup}.venv/bin/mlflow db upgrade {uri}; if a newer MLflow made it, upgrade the "
        "package or choose another tracking.uri"
    )


def _experiment(client: Any, name: str, address: Address) -> str:
    """Return the id of the experiment. Made at once by several processes, it is one experiment."""
    experiment = client.get_experiment_by_name(name)
    if experiment is None:
        experiment = _create_experiment(client, name, address)
    if not experiment.experiment_id:
        raise TrackingError(f"store must name its experiments; got none at {address.shown}")
    if experiment.lifecycle_stage != "active":
        number = shlex.quote(str(experiment.experiment_id)[:80])
        raise TrackingError(
            f"experiment must not be deleted; got {name!r} deleted in {address.shown}: restore it "
            f"with: MLFLOW_TRACKING_URI='{redact(address.uri)}' .venv/bin/mlflow experiments "
            f"restore --experiment-id {number}"
        )
    return str(experiment.experiment_id)


def _create_experiment(client: Any, name: str, address: Address) -> Any:
    from mlflow.exceptions import MlflowException

    # Absolute, because MLflow would record one relative to wherever the command was started.
    location = address.artifacts.as_uri() if address.artifacts else None
    if address.artifacts:
        files.make_private(address.artifacts)
    try:
        client.create_experiment(name, artifact_location=location)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return client.get_experiment_by_name(name)
