"""Settings become the address of a store, checked without importing MLflow."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, urlsplit
from urllib.request import getproxies

from pipeline import files
from pipeline.config.schema import TrackingSettings
from pipeline.errors import ConfigError
from pipeline.text import redact
from pipeline.tracking.patience import within

# Drivers by database, the preferred one first: module and what to install. SQLAlchemy would pick
# one by itself, and fail late where only the other is installed.
DRIVERS = {
    "postgresql": {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2"},
    "mysql": {"MySQLdb": "mysqlclient", "pymysql": "pymysql"},
}
PORTS = {"postgresql": 5432, "mysql": 3306, "http": 80, "https": 443}
DNS_S = 5.0  # it has no timeout of its own
# A name that is not there; where no server of names answers, the name may well be there.
UNKNOWN = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
_SHAPES = "sqlite:///file.db, http(s)://host:port, postgresql://… or mysql://…"
ESCAPED = re.compile(r"[%?\x00-\x1f\x7f]+")  # with a meaning of their own in an address


def sqlite_uri(path: Path) -> str:
    """Return the address of a SQLite file, as SQLAlchemy reads it."""
    return f"sqlite:///{ESCAPED.sub(lambda found: quote(found[0]), str(path))}"


@dataclass(frozen=True)
class Address:
    """Where a store is. ``uri`` may hold a password; ``shown`` does not."""

    uri: str
    kind: str  # sqlite, http, https, postgresql, mysql
    path: Path | None  # of a SQLite file
    host: str
    port: int

    @property
    def shown(self) -> str:
        """The address as it is shown and remembered: no user, in the project relative to it."""
        if self.path is not None and self.path.is_relative_to(files.PROJECT):
            return f"sqlite:///{self.path.relative_to(files.PROJECT)}"
        scheme, _, rest = redact(self.uri).partition("://")
        place, slash, path = rest.partition("/")
        return f"{scheme}://{place.rpartition('@')[2]}{slash}{path}"

    @property
    def artifacts(self) -> Path | None:
        """The folder for artifacts; None where a server decides."""
        if self.kind in ("http", "https"):
            return None
        return self.path.parent / files.ARTIFACTS.name if self.path else files.ARTIFACTS


def check_address(settings: TrackingSettings) -> Address:
    """Return the address that ``settings`` give.

    Raise ConfigError if no store can be there: an unknown scheme, no host, a driver that is not
    installed, a folder that does not exist, a new store outside the project that was not asked for.
    """
    if settings.uri is None:
        return _sqlite(files.STORE, settings)
    scheme, separator, rest = settings.uri.partition("://")
    kind, _, driver = scheme.lower().partition("+")
    if kind == "sqlite" and separator and not driver:
        if not rest.startswith("/") or rest in ("/", "/:memory:") or "?" in rest or "\0" in rest:
            raise ConfigError(_refused(settings, "name a file, as sqlite:///mlflow.db does"))
        return _sqlite(files.PROJECT / rest[1:], settings)
    if kind not in PORTS or not separator:
        raise ConfigError(_refused(settings, f"be {_SHAPES}"))
    return _remote(settings, kind, driver)


def require_name(address: Address) -> None:
    """Return if DNS knows the host, or cannot be asked within 5 s.

    Raise ConfigError if it does not: nothing will ever answer there.
    """
    if address.path or getproxies().get(address.kind):  # the proxy looks the name up
        return
    try:
        within(DNS_S, socket.getaddrinfo, address.host, address.port)
    except OSError as error:
        if getattr(error, "errno", None) in UNKNOWN:
            raise ConfigError(
                "tracking.uri must name a host that is known; got a name that DNS does not know "
                f"at {address.shown}"
            ) from None


def _remote(settings: TrackingSettings, kind: str, driver: str) -> Address:
    uri = settings.uri or ""
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port or PORTS[kind]
    except ValueError:
        host, port = None, 0
    if not host or any(c.isspace() or ord(c) < 32 for c in uri):
        raise ConfigError(_refused(settings, "have a host and a port, as http://127.0.0.1:5000"))
    if kind in DRIVERS:
        uri = f"{kind}+{_driver(kind, driver)}://{uri.partition('://')[2]}"
    return Address(uri.rstrip("/"), kind, None, host, port)


def _driver(kind: str, asked: str) -> str:
    """Return the driver that is asked for, or the first that is installed where none is."""
    for module in DRIVERS[kind]:
        if asked in ("", module.lower()) and find_spec(module) is not None:
            return module.lower()
    packages = list(DRIVERS[kind].values())
    got = f"{kind}+{asked}://" if asked else f"{kind}:// and no driver"
    raise ConfigError(
        f"tracking.uri must name a database that has a driver here; got {got} "
        f"(install one: .venv/bin/pip install '{packages[0]}'; known: {' or '.join(packages)})"
    )


def _sqlite(path: Path, settings: TrackingSettings) -> Address:
    path = path.resolve()
    if not path.parent.is_dir():
        rule = "name a file in a folder that exists"
        raise ConfigError(f"tracking.uri must {rule}; got no folder {path.parent}")
    inside = path.is_relative_to(files.PROJECT.resolve())
    if not inside and not settings.create and not path.exists():
        rule = "name a store that exists, or one in the project folder"
        raise ConfigError(f"tracking.uri must {rule}; got {path}: add tracking.create=true")
    return Address(sqlite_uri(path), "sqlite", path, "", 0)


def _refused(settings: TrackingSettings, rule: str) -> str:
    return f"tracking.uri must {rule}; got {redact(settings.uri or '')[:200]!r}"
