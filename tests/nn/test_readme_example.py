"""The example of README that uses nn alone runs, and prints what README says that it prints."""

import re
import subprocess
import sys

from pipeline.files import PROJECT

# A block of Python that imports nn, and the block of text after it.
EXAMPLE = re.compile(
    r"```python\n((?:(?!```).)*?from nn import.*?)```\s*```text\n(.*?)```", re.DOTALL
)


def test_the_example_of_readme_prints_what_readme_says() -> None:
    found = EXAMPLE.search((PROJECT / "README.md").read_text(encoding="utf-8"))
    assert found is not None
    code, expected = found.groups()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True, text=True, cwd=PROJECT, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout == expected


def test_the_example_needs_nothing_but_numpy() -> None:
    """Imported in a fresh process, nn brings NumPy and the standard library along."""
    script = (
        "import sys, nn; "
        "print(*sorted({name.partition('.')[0] for name in sys.modules} "
        "- sys.stdlib_module_names))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(PROJECT)!r}); {script}"],
        capture_output=True, text=True, cwd=PROJECT, check=True,
    )  # fmt: skip
    assert {"nn", "numpy"} <= set(done.stdout.split())
    assert not {"pipeline", "pandas", "scipy", "sklearn", "mlflow"} & set(done.stdout.split())
