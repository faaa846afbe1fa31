"""The model, to and from JSON: contract + encoder + theta, all that a prediction needs."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from nn.arrays import Array
from pipeline.config import Categorical, DataSettings
from pipeline.errors import DataError
from pipeline.safe_arrays import MISSHAPEN
from pipeline.stages.encode import Block, Encoder, OneHot, Standard
from pipeline.stages.validate import MISSING

FORMAT = 1


@dataclass(frozen=True)
class Model:
    """What turns a raw row into a probability and a decision."""

    data: DataSettings
    encoder: Encoder
    theta: Array
    threshold: float


def tightened(data: DataSettings, encoder: Encoder) -> DataSettings:
    """The contract that a new row must keep: with the categories learned from train listed.

    Unless the encoder answers an unseen category with zeros: then it stays open. A column of which
    train has one category stays open too (a contract lists two or more), and the encoder refuses.
    """
    if encoder.unseen != "refuse":
        return data
    learned = {
        name: [value for value in dict.fromkeys(values) if value != MISSING]
        for block in encoder.blocks
        if isinstance(block, OneHot)
        for name, values in zip(block.attributes, zip(*block.categories, strict=True), strict=True)
    }
    columns = {
        name: column.model_copy(update={"categories": tuple(learned[name])})
        if isinstance(column, Categorical) and column.categories is None and len(learned[name]) > 1
        else column
        for name, column in data.columns.items()
    }
    return data.model_copy(update={"columns": columns})


def to_json(model: Model) -> str:
    """The model as text; floats are written so that they are read back to the last bit."""
    tree = {
        "format": FORMAT,
        "data": model.data.model_dump(mode="json"),
        "unseen": model.encoder.unseen,
        "blocks": [{"kind": _kind(block), **asdict(block)} for block in model.encoder.blocks],
        "inputs": model.encoder.inputs,
        "theta": model.theta.tolist(),
        "threshold": model.threshold,
    }
    return json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False)


def from_json(text: str) -> Model:
    """The model that ``to_json`` wrote.

    Raises
    ------
    DataError
        If it is of another format, or its parts do not fit each other.
    """
    try:
        tree = json.loads(text)
        if tree.get("format") != FORMAT:
            raise DataError(f"model format must be {FORMAT}; got {tree.get('format')!r:.80}")
        return _parsed(tree)
    except MISSHAPEN as error:
        told = " ".join(str(error).split())[:200]
        raise DataError(f"model must be one of make run; got a misshapen one ({told})") from None


def _parsed(tree: dict[str, Any]) -> Model:
    blocks = tuple(_block(block) for block in tree["blocks"])
    encoder = Encoder(blocks, tree["unseen"])
    theta = np.array(tree["theta"], dtype=np.float64)
    if theta.shape != (len(encoder.inputs) + 1,) or not np.isfinite(theta).all():
        raise DataError(
            f"theta must hold {len(encoder.inputs) + 1} finite numbers; got shape {theta.shape}"
        )
    return Model(DataSettings.parse(tree["data"]), encoder, theta, float(tree["threshold"]))


def _kind(block: Block) -> str:
    return "one_hot" if isinstance(block, OneHot) else "standard"


def _block(tree: dict[str, Any]) -> Block:
    if tree["kind"] == "one_hot":
        categories = tuple(tuple(category) for category in tree["categories"])
        return OneHot(tuple(tree["attributes"]), categories)
    return Standard(tree["attribute"], tree["mean"], tree["deviation"], tree["missing"])
