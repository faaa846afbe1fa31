"""How long it takes to come to the best possible objective, against scikit-learn's solvers."""

import warnings

import numpy as np

from bench.clock import Times, side_by_side
from bench.rivals import start
from nn import Examples, fit, momentum, newton, objective
from nn.arrays import Array

L2 = 1e-4  # conf/train/default.yaml
GAP = 1e-10  # nats per row above the best
SOLVERS = ("lbfgs", "newton-cholesky")


def race(rows: Examples, rounds: int) -> Times:
    """Seconds to an objective within ``GAP`` of the best; a solver gets its loosest tolerance."""
    goal = newton(start(rows), rows, L2).objective + GAP
    loosest = {solver: _loosest(solver, rows, goal) for solver in SOLVERS}
    rivals = {"nn.newton": lambda: newton(np.zeros(rows.X.shape[1] + 1), rows, L2)} | {
        f"scikit-learn, {solver}": lambda s=solver, t=tolerance: scikit_learns(s, rows, t)
        for solver, tolerance in loosest.items()
    }
    return side_by_side(rivals, rounds)


def epochs_of_momentum(rows: Examples, gap: float) -> int:
    """Epochs that conf/optimiser/momentum.yaml needs to come within ``gap`` of the best."""
    goal = newton(start(rows), rows, L2).objective + gap
    epochs = fit(start(rows), rows, momentum(1.0, 0.98), 100_000, l2=L2)
    return next(epoch.number for epoch in epochs if epoch.objective <= goal)


def scikit_learns(solver: str, rows: Examples, tolerance: float) -> Array:
    """Parameters of LogisticRegression with the same penalty."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(
        C=1 / (L2 * rows.count.sum()), solver=solver, tol=tolerance, max_iter=10_000
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(rows.X, rows.y)
    return np.append(model.coef_[0], model.intercept_[0])


def _loosest(solver: str, rows: Examples, goal: float) -> float:
    for tolerance in 10.0 ** -np.arange(1, 13):
        if objective(scikit_learns(solver, rows, tolerance), rows, L2) <= goal:
            return float(tolerance)
    raise RuntimeError(f"{solver} must come within {GAP:g} of the best; got further away")
