"""A finished record becomes the folder ``model/`` of its run: what MLflow loads and serves.

It is code as text, with the compiled model in it: no pickle, and nothing of this package is needed
where it is loaded. The same record gives the same bytes.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipeline.config.column_settings import BOOLEAN
from pipeline.record import Record
from pipeline.record.contents import json_bytes
from pipeline.serving import scorer
from pipeline.serving.compiled import compile_model, example_row

FOLDER = "model"  # of the run's artifacts
NEEDED = ("mlflow", "numpy", "pandas", "pyarrow")  # the last by MLflow, for parquet
VERSION = re.compile(r"[0-9]+(\.[0-9A-Za-z]+)*")
NUMERAL = re.compile(r"[0-9.,+-].*")
BUILD = ("pip", "setuptools", "wheel")


def model_files(record: Record) -> dict[str, bytes]:
    """Return the files of the model of a FINISHED record, by their names in its folder."""
    compiled = compile_model(record.model)
    versions = _versions(record)
    row = example_row(compiled)
    example = {"columns": [*row], "data": [[*row.values()]]}
    environment = {
        "python": versions["python"],
        "build_dependencies": [*BUILD],
        "dependencies": [f"{name}=={versions[name]}" for name in NEEDED if name in versions],
    }
    files = {
        "model.py": _code(compiled),
        "input_example.json": json_bytes(example),
        "python_env.yaml": _yaml(environment),
    }
    size = sum(map(len, files.values()))
    return {"MLmodel": _yaml(_mlmodel(record, compiled["columns"], versions, size)), **files}


def _versions(record: Record) -> dict[str, str]:
    """Return the versions that the run had, but for what is none: pip would obey its words."""
    given = record.head.lineage.versions.items()
    versions = {name: text for name, text in given if VERSION.fullmatch(text)}
    if "python" not in versions or "mlflow" not in versions:
        versions = {"python": platform.python_version(), "mlflow": version("mlflow"), **versions}
    return versions


def of_run(record: Record) -> dict[str, bytes]:
    """Return the same files by their names among the artifacts of the run."""
    return {f"{FOLDER}/{name}": content for name, content in model_files(record).items()}


def _code(compiled: Mapping[str, Any]) -> bytes:
    """Return the code of the scorer, with the compiled model in it as text."""
    text, empty = Path(scorer.__file__).read_text(encoding="utf-8"), 'COMPILED = ""'
    if text.count(f"\n{empty}") != 1:
        raise AssertionError("the scorer must have one place for the compiled model")
    model = json.dumps(json.dumps(compiled, allow_nan=False))  # as JSON a text is Python's too
    return text.replace(f"\n{empty}", f"\nCOMPILED = {model}").encode()


def _mlmodel(
    record: Record, columns: Mapping[str, Any], versions: Mapping[str, str], size: int
) -> dict[str, Any]:
    created = datetime.fromtimestamp(record.head.ended_ms / 1000, UTC).replace(tzinfo=None)
    return {
        "flavors": {
            "python_function": {
                "config": {"hide_values": False},  # true: no message holds values of the rows
                # Where MLflow makes an environment in a container it copies the one of conda too.
                "env": {"conda": "python_env.yaml", "virtualenv": "python_env.yaml"},
                "loader_module": "mlflow.pyfunc.loaders.code_model",
                "model_code_path": "model.py",
                "python_version": versions["python"],
                "streamable": False,
            }
        },
        "is_signature_from_type_hint": False,
        "metadata": {"oneuron.identity": record.identity},
        "mlflow_version": versions["mlflow"],
        "model_size_bytes": size,
        "model_uuid": record.identity,
        "saved_input_example_info": {
            "artifact_path": "input_example.json", "pandas_orient": "split", "type": "dataframe",
        },
        "signature": {key: json.dumps(specs) for key, specs in _signature(columns).items()},
        "type_hint_from_example": False,
        "utc_time_created": created.isoformat(" ", "microseconds"),
    }  # fmt: skip


def _signature(columns: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return what goes in and comes out.

    The contract judges the inputs, not MLflow: by a type it would refuse whole numbers for a
    number, and missing ones, and name neither row nor rule, but show the rows. So a column may hold
    anything where not only text can be right; that it must be there the contract says too.
    """
    return {
        "inputs": [
            {"type": "string" if _is_text(column) else "any", "name": name, "required": False}
            for name, column in columns.items()
        ],
        "outputs": [
            {"type": "double", "name": scorer.PROBABILITY, "required": True},
            {"type": "long", "name": scorer.DECISION, "required": True},
        ],
        "params": [
            {"name": "on_bad_row", "type": "string", "default": "refuse", "shape": None},
        ],
    }


def _is_text(column: Mapping[str, Any]) -> bool:
    """Return whether nothing but text is right: listed words that are no numbers, none missing."""
    if column["kind"] != "words" or not isinstance(column["other"], str) or column["folded"]:
        return False
    right = [word for word, verdict in column["exact"].items() if isinstance(verdict, int)]
    return not any(word in ("", *BOOLEAN) or NUMERAL.fullmatch(word) for word in right)


def _yaml(tree: Mapping[str, Any]) -> bytes:
    import yaml

    text: str = yaml.safe_dump(dict(tree), sort_keys=False, allow_unicode=True, width=100)
    return text.encode()
