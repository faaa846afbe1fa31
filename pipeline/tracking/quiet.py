"""MLflow without its telemetry, its chatter and its patience."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# What the user has set stays. A request may take 7 s and is repeated once:
# a server that falls silent costs less than 15 s.
ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "7",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",  # it may say "in an hour"
}


@contextmanager
def quiet_mlflow() -> Iterator[None]:
    """Import and use MLflow in here: what it has to say comes as an exception."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    _silence()
    with warnings.catch_warnings(), _without_spark():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            _silence()  # its import sets levels of its own


def mend_percent() -> None:
    """Have MLflow open a store where % or ? is in the path of the store or of MLflow itself.

    It hands its own folder to alembic, which takes % for the beginning of a name, and makes the
    folder of a SQLite file from an address that it has not decoded.
    """
    from alembic.config import Config
    from mlflow.store.db import utils

    migrations = Path(utils.__file__).parent.parent / "db_migrations"

    def alembic_config(db_url: str, alembic_dir: str | None = None) -> Any:
        folder = Path(alembic_dir or migrations)
        config = Config(folder / "alembic.ini")
        for name, value in (("script_location", str(folder)), ("sqlalchemy.url", db_url)):
            config.set_main_option(name, value.replace("%", "%%"))
        return config

    def no_folder(db_uri: str) -> None:
        """Make none: it is there."""

    utils._get_alembic_config = alembic_config
    utils._make_parent_dirs_if_sqlite = no_folder


@contextmanager
def _without_spark() -> Iterator[None]:
    """Keep MLflow from asking Spark, where it is: a client without Java ends the process."""
    hidden = "pyspark" not in sys.modules
    if hidden:
        sys.modules["pyspark"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if hidden:
            sys.modules.pop("pyspark", None)


def _silence() -> None:
    for name in ("mlflow", "alembic", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
