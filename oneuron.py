"""The installed command ``oneuron``: what PYTHONPATH holds comes after what is installed."""

import os
import sys


def main() -> None:
    """Run the command line; no package of the same name elsewhere stands for ours."""
    elsewhere = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    sys.path.sort(key=lambda place: place in elsewhere)  # is stable
    from pipeline.__main__ import main as run

    run()
