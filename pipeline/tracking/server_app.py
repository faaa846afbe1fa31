"""MLflow's app with its basic-auth, closed to all that a server of training runs does not need.

MLflow lets every page of this machine write and takes hosts such as 10.evil.com for private ones
(the guard in ``serving`` refuses both); some routes answer without credentials; an experiment may
be made with its artifacts anywhere on the server's disk, which it then reads to whoever asks.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline import files
from pipeline.tracking.quiet import quiet_mlflow

HEALTH = "/health"  # answers without credentials, and says nothing but that it runs
# What is served under /api/n.n/mlflow/ and /ajax-api/n.n/mlflow/. Not: assistant, gateway, jobs,
# scorers, webhooks, prompt optimisation and the like, which run things or call other hosts.
FAMILIES = (
    "artifacts", "experiments", "get-trace-artifact", "logged-models", "metrics", "model-versions",
    "registered-models", "roles", "runs", "server-info", "traces", "upload-artifact", "users",
)  # fmt: skip
SERVED = re.compile(
    rf"/(?:ajax-)?api/\d\.\d/(?:mlflow/(?:{'|'.join(FAMILIES)})|mlflow-artifacts)(?:/.*)?"
    r"|/(?:static-files/.*|get-artifact|model-versions/get-artifact|graphql|signup|health|version)?"
)
NOT_SERVED = re.compile(r".*/runs/create-promptlab-run")
SOURCES = ("mlflow-artifacts:/", "models:/", "runs:/")  # of a model's version
CACHE_S = 60  # a password that was verified is not hashed anew; a change of it is seen at once
HASHES_AT_ONCE = 4  # each takes 0.1 s of a core and 32 MB: who guesses does not stop the others


def mlflow_app(store: str, folder: Path, origins: list[str]) -> Any:
    """Return the app on the database ``store``, with its secrets and artifacts in ``folder``.

    It is served at ``origins``, and by them alone where the guard is in front of it.

    The first time it makes the user admin, whose password is then in ``folder``.
    """
    for name in [name for name in os.environ if name.startswith(("MLFLOW_", "_MLFLOW_"))]:
        del os.environ[name]
    settings = folder / "basic_auth.ini"
    files.replace(settings, _settings().encode())
    with quiet_mlflow():
        from mlflow.server import constants

        os.environ |= {
            "MLFLOW_AUTH_CONFIG_PATH": str(settings),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": _secret(folder / "secret_key"),
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_SERVER_ALLOWED_HOSTS": ",".join(urlsplit(each).netloc for each in origins),
            "MLFLOW_SERVER_CORS_ALLOWED_ORIGINS": ",".join(origins),
            "MLFLOW_SERVER_X_FRAME_OPTIONS": "DENY",
            "_MLFLOW_SGI_NAME": "uvicorn",
            constants.BACKEND_STORE_URI_ENV_VAR: store,
            constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
            constants.ARTIFACTS_DESTINATION_ENV_VAR: str(folder / "artifacts"),
            constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        }
        from mlflow.server import app as flask_app
        from mlflow.server import auth, handlers

        auth.auth_config = auth.auth_config._replace(database_uri=store)
        _make_admin(auth, folder)
        handlers._get_tracking_store()
        app = auth.create_app(flask_app)
        _keep_artifacts_here(flask_app, handlers)
    return _closed(app, auth)


def _settings() -> str:
    """Return the settings of basic-auth. The address of the database, a secret, is not in them."""
    values = {"default_permission": "READ", "database_uri": "", "admin_username": "admin"}
    values["auth_cache_ttl_seconds"] = str(CACHE_S)
    return "\n".join(["[mlflow]", *(f"{key} = {value}" for key, value in values.items()), ""])


def _secret(path: Path) -> str:
    """Return the secret that the file holds; the first time, a new one."""
    if not path.exists():
        files.replace(path, secrets.token_urlsafe(24).encode())
    return path.read_text().strip()


def _make_admin(auth: Any, folder: Path) -> None:
    auth.store.init_db(auth.auth_config.database_uri)
    if not auth.store.has_user("admin"):
        auth.store.create_user("admin", _secret(folder / "admin_password"), is_admin=True)


def _keep_artifacts_here(flask_app: Any, handlers: Any) -> None:
    """Have artifacts read and written in the server's own folder alone, each run's in its own.

    Others are refused where a location is given, and again where one is read from.
    """
    from flask import request
    from mlflow.exceptions import MlflowException
    from mlflow.protos.model_registry_pb2 import CreateModelVersion
    from mlflow.protos.service_pb2 import CreateExperiment

    def elsewhere(_: str) -> Any:
        raise MlflowException.invalid_parameter_value(
            "artifacts must be kept by the server; got a place elsewhere"
        )

    def check() -> None:
        if request.path.endswith("/mlflow/experiments/create"):
            if handlers._get_request_message(CreateExperiment()).artifact_location:
                elsewhere("")
        elif request.path.endswith("/mlflow/model-versions/create"):
            source = handlers._get_request_message(CreateModelVersion()).source
            if not source.startswith(SOURCES):
                elsewhere("")

    handlers._get_artifact_repository_for_uri = elsewhere
    flask_app.before_request(handlers.catch_mlflow_exception(check))


def _closed(app: Any, auth: Any) -> Any:
    """Return the app behind its login, and without what it does not serve."""
    import anyio

    limiter: Any = None

    async def closed(scope: Any, receive: Any, send: Any) -> None:
        nonlocal limiter
        if scope["type"] == "lifespan" or scope.get("path") == HEALTH:
            await app(scope, receive, send)
            return
        if scope["type"] == "websocket":  # MLflow has none
            await send({"type": "websocket.close", "code": 1008})
            return
        limiter = limiter or anyio.CapacityLimiter(HASHES_AT_ONCE)
        headers = [value for name, value in scope["headers"] if name == b"authorization"]
        try:
            known = len(headers) == 1 and await _verified(auth, headers[0], limiter)
        except Exception:
            await _answer(send, 503, b"the database does not answer")
            return
        if not known:
            challenge = [(b"www-authenticate", b'Basic realm="mlflow"')]
            await _answer(send, 401, b"user name and password must be given", challenge)
        elif not SERVED.fullmatch(scope["path"]) or NOT_SERVED.fullmatch(scope["path"]):
            await _answer(send, 404, b"not served here")
        else:
            await app(scope, receive, send)

    return closed


async def _verified(auth: Any, header: bytes, limiter: Any) -> bool:
    """Return whether the header holds the name and the password of a user."""
    import anyio

    scheme, _, encoded = header.partition(b" ")
    try:
        name, _, password = base64.b64decode(encoded, validate=True).decode("ascii").partition(":")
    except ValueError:
        return False
    if scheme.lower() != b"basic" or not (name + password).isprintable():
        return False
    if auth._auth_cache_key(name, password) in auth._USER_AUTH_CACHE:
        return True
    user = await anyio.to_thread.run_sync(
        auth._authenticate_cached, name, password, limiter=limiter
    )
    return user is not None


async def _answer(
    send: Any, status: int, text: bytes, headers: list[tuple[bytes, bytes]] | None = None
) -> None:
    length = str(len(text)).encode()
    kind = [(b"content-type", b"text/plain"), (b"content-length", length), *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": kind})
    await send({"type": "http.response.body", "body": text})
