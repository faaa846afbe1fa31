"""Tables for the tests of the stages: small ones by hand, and the cars."""

import numpy as np
import pandas as pd
import pytest

from pipeline.config.contract import DataSettings
from pipeline.stages.read import car
from pipeline.stages.validate import Table


@pytest.fixture(scope="session")
def cars() -> Table:
    names = [*car.ATTRIBUTES, "class"]
    frame = pd.DataFrame(car.rows(), columns=names)
    y = (frame.pop("class") != "unacc").to_numpy(np.float64)
    return Table(frame, y, np.ones(len(y), np.int64))


@pytest.fixture(scope="session")
def car_data() -> DataSettings:
    columns = {
        name: {"kind": "categorical", "categories": list(values)}
        for name, values in car.ATTRIBUTES.items()
    }
    target = {"name": "class", "positive": ["acc", "good", "vgood"], "negative": ["unacc"]}
    return DataSettings.parse(
        {"name": "car", "path": "data/car.data", "target": target, "columns": columns}
    )
