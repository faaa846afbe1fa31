"""The first bytes of a file say what it is, and how it becomes a table that can be read."""

from __future__ import annotations

import json
import re
import shlex
import zipfile
from pathlib import Path
from typing import Literal

from pipeline.errors import DataError

Kind = Literal["csv", "gzip", "parquet"]

MAGIC = {
    b"PK\x03\x04": "a zip archive: unpack it",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"%PDF-": "a PDF document",
    b"BZh91AY&SY": "a bzip2 file: unpack it, or use gzip",
    b"\xfd7zXZ\x00": "an xz file: unpack it, or use gzip",
    b"\x28\xb5\x2f\xfd": "a zstd file: unpack it, or use gzip",
    b"7z\xbc\xaf": "a 7z archive: unpack it",
    b"\x1f\x8b": "a gzip file in a gzip file: unpack it",
    b"SQLite format 3\x00": "an SQLite database: export the table as CSV",
    b"\x89HDF": "an HDF5 file: export the table as CSV",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word document: export it as CSV",
    b"PAR1\x15": "a parquet file without its end: is it cut off?",
    b"<!DOCTYPE html": "a page of the web: was it downloaded without a login?",
    b"<html": "a page of the web: was it downloaded without a login?",
}
EXCEL = "pandas.read_excel({source}, dtype=str).to_csv({target}, index=False)"
JSON = "pandas.read_json({source}, {how}dtype=False)"
ARROW = "pandas.read_feather({source}).to_parquet({target})"


def kind_of(path: Path, name: str, head: bytes, tail: bytes) -> Kind:
    """Return the kind of a file that is read; DataError, with the conversion, for another one."""
    if head[:4] == tail == b"PAR1":
        return "parquet"
    if head[:2] == b"\x1f\x8b":
        return "gzip"
    if _is_excel(path, head):
        command = _command(EXCEL, path, ".csv", with_="openpyxl")
        raise _refusal(name, f"an Excel workbook: write it as CSV with {command}")
    if head.startswith(b"ARROW1\x00"):
        raise _refusal(
            name, f"an Arrow file: write it as parquet with {_command(ARROW, path, '.parquet')}"
        )
    refuse_magic(name, head)
    refuse_json(path, name, head)
    return "csv"


def refuse_magic(name: str, head: bytes) -> None:
    """Raise DataError if the first bytes are those of a kind of file that is not read."""
    for magic, kind in MAGIC.items():
        if head.startswith(magic):
            raise _refusal(name, kind)


def refuse_json(path: Path, name: str, head: bytes) -> None:
    """Raise DataError if the first bytes are those of a JSON object, or of a list of them."""
    found = re.match(rb'(\xef\xbb\xbf)?\s*(\[\s*)?\{\s*"', head)
    if found:
        how = "" if found[2] else "lines=True, "
        code = JSON.replace("{how}", how) + ".to_csv({target}, index=False)"
        what = "JSON" if found[2] else "JSON lines"
        raise _refusal(name, f"{what}: write it as CSV with {_command(code, path, '.csv')}")


def _refusal(name: str, got: str) -> DataError:
    return DataError(f"{name} must be csv, csv.gz or parquet; got {got}")


def _is_excel(path: Path, head: bytes) -> bool:
    """Return whether a zip archive holds a workbook; only its list of contents is read."""
    if not head.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.startswith("xl/workbook.") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _command(code: str, path: Path, suffix: str, with_: str = "") -> str:
    """Return a line for the shell that writes the file beside itself in another form."""
    target = path.with_suffix(suffix if path.suffix != suffix else f".new{suffix}")
    names = {"source": json.dumps(str(path)), "target": json.dumps(str(target))}
    text = "import pandas; " + code.format(**names)
    install = f".venv/bin/pip install {with_} && " if with_ else ""
    return f"{install}.venv/bin/python -c {shlex.quote(text)}"
