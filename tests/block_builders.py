"""Tables for the tests of blocks: held in memory, but handed out block by block."""

import numpy as np
from builders import make_data, make_table

from nn import Examples, predict_proba
from pipeline.config.schema import EncodeSettings
from pipeline.stages.blocks import InMemoryKeyedBlocks
from pipeline.stages.encode import Encoder, encode, fit_encoder
from pipeline.stages.split import take
from pipeline.stages.validate import Table

KINDS = {
    "word": {"kind": "categorical", "categories": [*"pqrs"]},
    "wave": {"kind": "numeric", "spline": 4},
    "line": {"kind": "numeric", "missing": "input"},
    "twin": {"kind": "numeric"},
}


def in_blocks(rows: Examples, size: int = 300, key=None, table: Table | None = None):
    """The rows, which ``table`` holds, in blocks of ``size``; the first thousand are the sample."""
    n = len(rows.y)
    key = np.random.default_rng(n).integers(0, 2**64, n, np.uint64) if key is None else key
    cuts = [slice(start, start + size) for start in range(0, n, size)]
    blocks = tuple(Examples(*(array[cut] for array in rows)) for cut in cuts)
    sample = Examples(*(array[:1000] for array in rows))
    table = take(table or make_table({"x": rows.y}, rows.y), (np.arange(n) < 1000).astype(np.int64))
    return InMemoryKeyedBlocks(blocks, tuple(key[cut] for cut in cuts), sample, table)


def make_rows(n: int, seed: int = 0, scale: float = 1.0) -> tuple[np.ndarray, Examples]:
    """A neuron of three inputs, and rows that it speaks the truth about."""
    rng = np.random.default_rng(seed)
    theta = scale * np.array([0.8, -0.5, 0.3, -1.0])
    X = rng.normal(size=(n, 3))
    y = (rng.random(n) < predict_proba(theta, X)).astype(float)
    return theta, Examples(X, y, np.ones(n))


def make_kinds(n: int, seed: int = 0) -> tuple[Encoder, Examples, Table]:
    """A table of words, of which one does not occur, a curve, gaps, and two columns that agree."""
    rng = np.random.default_rng(seed)
    word, wave, line = rng.choice([*"pqr"], n, p=[0.6, 0.3, 0.1]), *rng.normal(size=(2, n))
    z = np.select([word == "p", word == "q"], [0.6, -0.6], 0.0) + np.sin(2 * wave) + 0.5 * line - 1
    y = (rng.random(n) < 1 / (1 + np.exp(-z))).astype(float)
    line[rng.random(n) < 0.05] = np.nan
    columns = {"word": word, "wave": wave, "line": line, "twin": 3 * wave + 1}
    table = make_table(columns, y)
    encoder = fit_encoder(table, EncodeSettings(), make_data(KINDS))
    return encoder, encode(encoder, table, "all"), table
