"""Whether a weighted sum separates the classes, found by linear programmes and verified exactly."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from nn import Examples
from nn.arrays import Array

Mask = npt.NDArray[np.bool_]
GROWN = 15.0  # a margin that few rows have at a finite optimum
USED = 1e-7  # of the largest weight: less is none
UNDECIDED = (1e-6, 1e-9, 0.0)  # margins of rows that the sum may leave undecided


def separations(theta: Array, examples: Examples) -> Iterator[tuple[Mask, list[int]]]:
    """Yield rows (n,) that a sum separates, and its inputs, each verified exactly.

    A sum puts the rows on their right side, and none that counts on the wrong one. The bias is
    input d.
    """
    counts = examples.count > 0
    signed, unit = _signed(examples)
    for weights in _candidates(theta / unit, signed):
        if weights is None or not weights.any():
            continue
        if (apart := verified(signed, weights)).any():
            found = np.zeros(len(counts), bool)
            found[counts] = apart
            yield found, [int(j) for j in np.flatnonzero(weights)]


def _candidates(theta: Array, signed: Array) -> Iterator[Array | None]:
    """Yield sums that may separate.

    That of the rows whose margins grew at ``theta``, where Newton's method went; ``theta`` itself;
    and that of all rows that a larger programme finds.
    """
    margins = signed @ theta
    yield direction(signed, margins > GROWN)
    yield theta
    yield direction(signed, separated_rows(signed))


def separated_rows(signed: Array) -> Mask:
    """Return which rows (n,) a weighted sum can put on their right side with none on a wrong one.

    All of them at once: ``max sum t`` with ``0 <= t_i <= 1`` and ``t_i <= s_i [x_i 1] v``, where
    s_i is 1 for class 1 and -1 for class 0 (after Konis 2007); such sums can be added up.
    """
    from scipy import sparse

    n, d = signed.shape
    found = _solve(
        np.concatenate([np.zeros(d), -np.ones(n)]),
        sparse.hstack([-sparse.csr_array(signed), sparse.eye_array(n)], format="csr"),
        np.zeros(n),
        [(None, None)] * d + [(0, 1)] * n,
    )
    rows: Mask = np.zeros(n, bool) if found is None else found[d:] > 0.5
    return rows


def direction(signed: Array, rows: Mask) -> Array | None:
    """Return the sum (d + 1,) that separates the ``rows`` with the least sum of |weights|.

    Their margins are 1 or more and no other row is on its wrong side; None where there is none.
    """
    from scipy import sparse

    d = signed.shape[1] - 1
    # v = up - down, both >= 0, and the bias, which is free.
    both = sparse.csr_array(np.hstack([signed[:, :-1], -signed[:, :-1], signed[:, -1:]]))
    found = _solve(
        np.concatenate([np.ones(2 * d), [0.0]]),
        -both,
        -rows.astype(float),
        [(0, None)] * (2 * d) + [(None, None)],
    )
    if found is None:
        return None
    weights = np.append(found[:d] - found[d : 2 * d], found[-1])
    return np.where(np.abs(weights) > USED * np.abs(weights).max(), weights, 0.0)


def verified(signed: Array, weights: Array) -> Mask:
    """Return which rows a sum near ``weights`` separates, in rational arithmetic; none if it fails.

    A linear programme is good to 1e-7. Rows that it leaves undecided are to be so exactly: some of
    the weights follow from the others by those equations.
    """
    used = weights != 0
    rows, inverse = np.unique(signed[:, used], axis=0, return_inverse=True)
    exact = [[Fraction(x) for x in row] for row in rows.tolist()]
    margins = rows @ weights[used]
    for limit in UNDECIDED:
        near = [row for row, margin in zip(exact, margins, strict=True) if abs(margin) <= limit]
        v = _solution(near, [Fraction(x) for x in weights[used].tolist()])
        sides = np.array([_sign(row, v) for row in exact])
        if (sides >= 0).all():
            return (sides > 0)[inverse.ravel()]
    return np.zeros(len(signed), bool)


def _solution(equations: list[list[Fraction]], v: list[Fraction]) -> list[Fraction]:
    """Return ``v`` with as many of its entries changed as it takes for every equation to give 0."""
    pivots: list[tuple[int, list[Fraction]]] = []
    for equation in equations:
        row = equation
        for j, pivot in pivots:
            if row[j]:
                row = [a - row[j] * b for a, b in zip(row, pivot, strict=True)]
        j = max(range(len(row)), key=[abs(a) for a in row].__getitem__)
        if row[j]:
            pivots.append((j, [a / row[j] for a in row]))
    v = v.copy()
    for j, pivot in reversed(pivots):
        v[j] -= sum(a * b for a, b in zip(pivot, v, strict=True))
    return v


def _sign(row: list[Fraction], v: list[Fraction]) -> int:
    margin = sum(a * b for a, b in zip(row, v, strict=True) if a)
    return (margin > 0) - (margin < 0)


def _solve(cost: Array, A: Any, b: Array, bounds: list[tuple[Any, Any]]) -> Array | None:
    """Return the x within ``bounds`` of least ``cost @ x`` where ``A x <= b``; None if none is."""
    from scipy.optimize import linprog

    x: Array | None = linprog(cost, A_ub=A, b_ub=b, bounds=bounds, method="highs").x
    return x


def _signed(examples: Examples) -> tuple[Array, Array]:
    """Return ``[X 1]`` of the rows that count, those of class 0 negated, in units of about 1.

    The units are powers of two: nothing is rounded.
    """
    X, y, count = examples
    with_bias = np.column_stack([X, np.ones(len(X))])[count > 0]
    unit = np.exp2(-np.frexp(np.abs(with_bias).max(axis=0))[1].clip(-1000))
    return with_bias * unit * (2 * y[count > 0] - 1)[:, None], unit
