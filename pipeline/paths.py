"""Where things are: always relative to the project folder, wherever a command is started from."""

from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
CONF = PROJECT / "conf"
RUNS = PROJECT / "runs"
SWEEPS = PROJECT / "sweeps"
STORE = PROJECT / "mlflow.db"
ARTIFACTS = PROJECT / "mlartifacts"
