"""A million rows scored, against pandas, which only reads the same file and writes it again."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from bench.clock import Times, side_by_side
from pipeline.config.contract import DataSettings
from pipeline.config.schema import EncodeSettings
from pipeline.stages.encode import fit_encoder
from pipeline.stages.predict import Model, contract_for_new_rows, predict_file
from pipeline.stages.read import read_rows
from pipeline.stages.validate import validate

WORDS = {"colour": 3, "size": 4, "plan": 6, "city": 40}  # columns, and how many values each has
NUMBERS = ("x", "age", "income", "balance", "score")
PREDICT, PANDAS = "make predict, without its start", "pandas.read_csv and to_csv"


def race(n: int, rounds: int) -> Times:
    """Seconds to score ``n`` rows of ten columns, words and numbers, and of pandas."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "new.csv", Path(folder) / "scored.csv"
        table(n).to_csv(source, index=False)
        learned = model(source, Path(folder) / "train.csv")
        return side_by_side(
            {
                PREDICT: lambda: predict_file(learned, source, target),
                PANDAS: lambda: pd.read_csv(source).to_csv(target, index=False),
            },
            rounds,
        )


def table(n: int) -> pd.DataFrame:
    """Return rows with an identifier, words, numbers and a label."""
    rng = np.random.default_rng(0)
    words = {name: rng.choice([f"{name} {i}" for i in range(k)], n) for name, k in WORDS.items()}
    numbers = {name: rng.lognormal(size=n).round(3) for name in NUMBERS}
    label = np.where(rng.random(n) < 0.3, "yes", "no")
    return pd.DataFrame({"id": np.arange(n), **words, **numbers, "label": label})


def model(source: Path, train: Path) -> Model:
    """Return a model of such rows; what its weights are does not matter to the clock."""
    train.write_text("".join(source.open().readlines()[:10_000]))
    columns = {
        "id": {"kind": "ignored"},
        **{name: {"kind": "categorical"} for name in WORDS},
        **{name: {"kind": "numeric"} for name in NUMBERS},
    }
    data = DataSettings.parse({
        "name": "bench", "path": str(train), "columns": columns,
        "target": {"name": "label", "positive": ["yes"]},
    })  # fmt: skip
    encoder = fit_encoder(validate(read_rows(data), data).require(), EncodeSettings(), data)
    theta = np.random.default_rng(0).normal(size=len(encoder.inputs) + 1)
    return Model(contract_for_new_rows(data, encoder), encoder, theta, 0.5)
