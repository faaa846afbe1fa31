"""The model as MLflow serves it: the script that ``models:/car@champion`` runs when it is loaded.

No pickle: MLflow executes this file, which reads ``model.json``. A table of cells goes in, as
words or numbers, and each row's probability and decision come out, or DataError names the rows that
break the contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

from pipeline.stages.predict import DECISION, PROBABILITY, Model, from_json, score
from pipeline.stages.read.numbers import number_text

MODEL = "model"  # the name of model.json among the artifacts


class Served(PythonModel):
    """One neuron behind MLflow's interface."""

    def load_context(self, context: Any) -> None:
        """Read the model."""
        path = Path(context.artifacts[MODEL])
        self._model = from_json(path.read_text(encoding="utf-8"))

    def predict(
        self,
        context: Any,  # noqa: ARG002 (the names are MLflow's)
        model_input: pd.DataFrame,
        params: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> pd.DataFrame:
        """Probability of class 1 and decision of each row.

        Raises
        ------
        DataError
            If a row breaks the contract.
        """
        frame = _as_text(model_input, self._model)
        lines = np.arange(1, len(frame) + 1)
        p, decision, _ = score(self._model, frame, lines, "the request")
        return pd.DataFrame({PROBABILITY: p, DECISION: decision}, index=model_input.index)


def _as_text(rows: pd.DataFrame, model: Model) -> pd.DataFrame:
    """The cells as a file holds them: a number by the shortest text that reads back exactly."""
    columns = {
        name: [_cell(cell, model) for cell in rows[name].tolist()] for name in model.data.features
    }
    return pd.DataFrame(columns, dtype="str")


def _cell(cell: Any, model: Model) -> str:
    if pd.isna(cell):
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    return number_text(cell, model.data) if isinstance(cell, float) else str(cell)


set_model(Served())
