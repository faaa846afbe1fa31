"""``python -m bench``: print the ratios. They are what to trust; seconds are this machine's."""

import os
import platform

import numpy as np

from bench import optimum, rivals, whole
from bench.clock import Times, side_by_side

EPOCHS = 500
GAP = 1e-6  # nats per row
FEW = 2  # epochs of what takes too long for 500


def main() -> None:
    """Measure and print, from the fastest to the slowest."""
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {os.cpu_count()} cores")
    print("Every ratio is the median over rounds in which the rivals took turns.\n")
    _recipe()
    _optimum()
    _certificate()
    _whole()


def _recipe() -> None:
    rows = rivals.cars()
    ours, plain = rivals.ours(rows, EPOCHS), rivals.plain_numpy(rows, EPOCHS)
    curve = [(epoch.train_cost, epoch.train_accuracy) for epoch in ours]
    np.testing.assert_allclose(curve, plain, rtol=1e-9)  # the rivals do the same work
    print(f"The article's recipe: {len(rows.y):,} rows, 21 inputs, {EPOCHS} epochs")
    times = side_by_side(
        {
            "nn.fit": lambda: rivals.ours(rows, EPOCHS),
            "plain NumPy loop, same curve": lambda: rivals.plain_numpy(rows, EPOCHS),
        },
        rounds=25,
    )
    seconds = times.median("nn.fit")
    _line("nn.fit", seconds)
    _line("plain NumPy loop, same curve", times.median("plain NumPy loop, same curve"))
    slow = side_by_side(
        {
            "the article's loop": lambda: rivals.the_articles_loop(rows, FEW),
            "the notebook's accident": lambda: rivals.the_notebooks_accident(rows, FEW),
        },
        rounds=3,
    )
    for name in slow.seconds:
        whole_time = slow.median(name) * EPOCHS / FEW
        told = f"{whole_time / seconds:,.0f} times nn.fit; scaled from {FEW} epochs"
        _line(name, whole_time, told)
    _goal("nn.fit over the plain NumPy loop", times, "nn.fit", "plain NumPy loop, same curve", 1.3)


def _optimum() -> None:
    print(f"\nTo within {GAP:g} nats per row of the best objective, l2 = {optimum.L2:g}")
    times, steps = optimum.race(rivals.cars(), GAP, rounds=15)
    for name, n in steps.items():
        _line(name, times.median(name), f"{n} steps")
    print(f"  ratio {times.ratio(*times.seconds):.2f}")


def _certificate() -> None:
    print("\nThe certificate, as a share of the stages of a run (no import, no figure, no MLflow)")
    for words, told in (
        ([], "the default run"),
        (["experiment=article"], "experiment=article, which asks a linear programme"),
        (["experiment=crosses"], "experiment=crosses"),
    ):
        share, seconds = whole.certificate_share(words, rounds=15)
        goal = f" (goal 5 %: {'met' if share <= 0.05 else 'NOT met'})" if not words else ""
        _line(f"{100 * share:.1f} %", seconds, told + goal)


def _whole() -> None:
    print("\nThe whole: reading, validating, training, evaluating, figures, model, MLflow")
    times = whole.race(rounds=7)
    for name in times.seconds:
        _line(name, times.median(name))
    _goal("the whole over the floor", times, *times.seconds, 1.5)


def _line(name: str, seconds: float, told: str = "") -> None:
    print(f"  {name:30} {seconds:9.3f} s   {told}".rstrip())


def _goal(what: str, times: Times, name: str, other: str, goal: float) -> None:
    ratio = times.ratio(name, other)
    print(f"  {what}: {ratio:.2f} (goal {goal}: {'met' if ratio <= goal else 'NOT met'})")


if __name__ == "__main__":
    main()
