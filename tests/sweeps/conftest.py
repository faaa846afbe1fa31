"""A copy of the project, in which sweeps are started as a person starts them."""

from pathlib import Path

import pytest
from swept import copy_project


@pytest.fixture
def copied(tmp_path: Path, store_template: Path) -> Path:
    """A copy of the project with a fresh store and its table."""
    return copy_project(tmp_path / "project", store_template)
