"""A store that somebody holds for longer than MLflow waits costs a sweep no run."""

import re

import pytest
from disks import held
from swept import launch, points, statuses

pytestmark = pytest.mark.slow


@pytest.mark.exhaustive
@pytest.mark.parametrize("how", ["reader", "writer"])
def test_who_holds_the_store_for_too_long_costs_a_sweep_no_run(copied, how):
    """B02, B03: MLflow gives up after 20 s, the sweep asks again at its end."""
    words = ["seed=range(2)", "tracking.experiment=Default"]
    with held(copied / "mlflow.db", how, 24):
        code, out, err = launch(copied, *words)
    assert code == 0, out + err
    assert sorted(s for kind, _, s in statuses(copied) if not kind) == ["FINISHED"] * 2
    assert len(points(copied)) == len(set(points(copied)))
    assert not re.search("not published", out)
