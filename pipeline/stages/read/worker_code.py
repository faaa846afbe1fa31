"""The code that a worker of an engine runs: sent along, so that it is the code of here."""

from __future__ import annotations

import functools
import hashlib
import io
import zipfile

from pipeline.files import CODE

ROOMS = ("nn", "pipeline/config", "pipeline/console", "pipeline/stages")
MODULES = ("__init__", "csv_text", "errors", "files", "text")  # of pipeline


@functools.cache
def code() -> dict[str, bytes]:
    """Return the content of each module, by its path."""
    paths = [path for room in ROOMS for path in (CODE / room).rglob("*.py")]
    paths += [CODE / "pipeline" / f"{name}.py" for name in MODULES]
    return {path.relative_to(CODE).as_posix(): path.read_bytes() for path in sorted(paths)}


@functools.cache
def code_digest() -> str:
    """Return the sha256 of the code that is here."""
    digest = hashlib.sha256()
    for name, content in code().items():
        digest.update(f"{name} {len(content)} ".encode() + content)
    return digest.hexdigest()


@functools.cache
def code_zip() -> bytes:
    """Return a zip file that Python imports the code from."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in code().items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return file.getvalue()
