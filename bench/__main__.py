"""``python -m bench``: print the ratios. They are what to trust; seconds are this machine's."""

import os
import platform

import numpy as np
from threadpoolctl import threadpool_limits

from bench import optimum, rivals, scoring, whole
from bench.clock import side_by_side
from nn import Examples

EPOCHS = 500
FEW = 2  # epochs of what takes too long for 500


def main() -> None:
    """Measure and print, from the fastest to the slowest."""
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {os.cpu_count()} cores")
    print("Every ratio is the median over rounds in which the rivals took turns.\n")
    with threadpool_limits(1, user_api="blas"):  # as a run has it
        _recipe()
        _optimum("the cars that train, one-hot", rivals.cars(1036), rounds=25)
        _optimum("numbers", rivals.numbers(), rounds=5)
    _certificate()
    _scoring()
    _whole()


def _recipe() -> None:
    rows = rivals.cars()
    curve = [(epoch.train_loss, epoch.train_accuracy) for epoch in rivals.by_nn(rows, EPOCHS)]
    np.testing.assert_allclose(curve, rivals.plain_numpy(rows, EPOCHS), rtol=1e-9)  # equal work
    print(f"The article's recipe: {len(rows.y):,} rows, 21 inputs, {EPOCHS} epochs")
    fit, plain = "nn.fit", "plain NumPy loop, same curve"
    times = side_by_side(
        {fit: lambda: rivals.by_nn(rows, EPOCHS), plain: lambda: rivals.plain_numpy(rows, EPOCHS)},
        rounds=15,
    )
    for name in times.seconds:
        _line(name, times.median(name))
    slow = side_by_side(
        {
            "the article's loop": lambda: rivals.the_articles_loop(rows, FEW),
            "the notebook's accident": lambda: rivals.the_notebooks_accident(rows, FEW),
        },
        rounds=2,
    )
    for name in slow.seconds:
        seconds = slow.median(name) * EPOCHS / FEW
        _line(
            name, seconds,
            f"{seconds / times.median(fit):,.0f} times nn.fit; scaled from {FEW} epochs",
        )  # fmt: skip
    _goal("nn.fit over the plain NumPy loop", times.ratio(fit, plain), 1.3)


def _optimum(what: str, rows: Examples, rounds: int) -> None:
    n, d = rows.X.shape
    print(f"\n{n:,} rows x {d} inputs ({what}), to within {optimum.GAP:g} nats of the best")
    times = optimum.race(rows, rounds)
    for name in times.seconds:
        _line(name, times.median(name))
    newton, *others = times.seconds
    fastest = min(others, key=times.median)
    _goal(f"{newton} over {fastest}", times.ratio(newton, fastest), 1.0)


def _certificate() -> None:
    print("\nThe certificate, as a share of the stages of a run (no import, no figure, no MLflow)")
    for words, what in (
        ([], "the default run"),
        (["optimiser=newton"], "optimiser=newton, which trains in ten steps"),
        (["experiment=article"], "experiment=article, which asks a linear programme"),
        (["experiment=crosses"], "experiment=crosses"),
    ):
        share, seconds = whole.certificate_share(words, rounds=5)
        _line(f"{100 * share:.1f} %", seconds, what)
        if not words:
            _goal("certificate over the stages of the default run", share, 0.05)


def _scoring() -> None:
    print("\nA million rows of ten columns, scored and written to the last bit")
    times = scoring.race(1_000_000, rounds=3)
    for name in times.seconds:
        _line(name, times.median(name))
    predict, pandas = times.seconds
    _goal(f"{predict} over {pandas}", times.ratio(predict, pandas), 1.0)


def _whole() -> None:
    print("\nThe whole: reading, validating, training, evaluating, figures, MLflow")
    times = whole.race(rounds=3)
    for name in times.seconds:
        _line(name, times.median(name))
    summary, run, refused, floor = times.seconds
    for name, goal in ((summary, 1.0), (run, 1.3), (refused, 0.5)):
        _goal(f"{name} over {floor}", times.ratio(name, floor), goal)


def _line(name: str, seconds: float, remark: str = "") -> None:
    print(f"  {name:30} {seconds:9.4f} s   {remark}".rstrip(), flush=True)


def _goal(what: str, ratio: float, goal: float) -> None:
    print(
        f"  {what}: {ratio:.2f} (goal {goal}: {'met' if ratio <= goal else 'NOT met'})", flush=True
    )


if __name__ == "__main__":
    main()
