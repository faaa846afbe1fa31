"""Oracles without rounding to speak of: exact rational linear programming, 60-digit Newton."""

from fractions import Fraction

import numpy as np
from mpmath import mp, mpf

from nn import Examples

Vector = list[Fraction]
DIGITS = 60


def signed_rows(examples: Examples) -> list[Vector]:
    """``s [x 1]`` of the rows that count: a float is a rational number."""
    X, y, count = examples
    rows = np.column_stack([X, np.ones(len(X))]) * (2 * y - 1)[:, None]
    return [[Fraction(x) for x in row] for row in rows[count > 0].tolist()]


def separating(rows: list[Vector]) -> Vector | None:
    """A sum v with every ``row v >= 0`` and one of them above, or None: by Farkas' lemma.

    There is none if and only if some weights ``a >= 1`` of the rows have ``sum a row = 0``
    (Stiemke). The first phase of the simplex method, with Bland's rule, finds the weights or v.
    """
    d, n = len(rows[0]), len(rows)
    wanted = [-sum(row[j] for row in rows) for j in range(d)]  # of b = a - 1 >= 0
    sign = [1 if w >= 0 else -1 for w in wanted]
    table = [
        [sign[j] * row[j] for row in rows]
        + [Fraction(int(j == k)) for k in range(d)]
        + [sign[j] * wanted[j]]
        for j in range(d)
    ]
    cost = [-sum(line[k] for line in table) for k in range(n)] + [Fraction(0)] * d
    cost.append(-sum(line[-1] for line in table))
    basis = list(range(n, n + d))
    while (enter := next((k for k in range(n) if cost[k] < 0), None)) is not None:
        ratios = [(t[-1] / t[enter], basis[j], j) for j, t in enumerate(table) if t[enter] > 0]
        leave = min(ratios)[2]
        pivot = [x / table[leave][enter] for x in table[leave]]
        table = [
            pivot if j == leave else eliminated(line, pivot, enter) for j, line in enumerate(table)
        ]
        cost = eliminated(cost, pivot, enter)
        basis[leave] = enter
    if cost[-1] == 0:
        return None
    return [sign[j] * (cost[n + j] - 1) for j in range(d)]


def eliminated(line: Vector, pivot: Vector, column: int) -> Vector:
    factor = line[column]
    return (
        [a - factor * b if b else a for a, b in zip(line, pivot, strict=True)] if factor else line
    )


def undecided(rows: list[Vector]) -> list[bool]:
    """Which rows no sum separates: what is left when those that one separates are taken away."""
    left = list(range(len(rows)))
    while left and (v := separating([rows[i] for i in left])) is not None:
        margins = {i: sum(a * b for a, b in zip(rows[i], v, strict=True)) for i in left}
        assert min(margins.values()) >= 0 < max(margins.values())  # the oracle proves itself
        left = [i for i in left if margins[i] == 0]
    return [i in left for i in range(len(rows))]


def exact_objective(theta: np.ndarray, examples: Examples, l2: float) -> mpf:
    """The objective to 60 digits."""
    mp.dps = DIGITS
    count = examples.count[examples.count > 0]
    share = [mpf(c) / mpf(count.sum()) for c in count]
    t = [mpf(x) for x in theta]
    return value(t, numbers(signed_rows(examples)), share, [mpf(l2)] * (len(t) - 1) + [mpf(0)])


def value(theta: list[mpf], rows: list[list[mpf]], share: list[mpf], penalty: list[mpf]) -> mpf:
    margins = [mp.fdot(row, theta) for row in rows]
    loss = mp.fdot(share, [mp.log1p(mp.exp(-margin)) for margin in margins])
    return loss + mp.fdot(penalty, [t * t for t in theta]) / 2


def infimum(examples: Examples, l2: float) -> tuple[mpf, list[bool]]:
    """The infimum of the objective to 20 digits, and which of the rows that count are undecided."""
    mp.dps = DIGITS
    rows = signed_rows(examples)
    kept = [True] * len(rows) if l2 > 0 else undecided(rows)
    count = examples.count[examples.count > 0]
    share = [mpf(c) / mpf(count.sum()) for c, k in zip(count, kept, strict=True) if k]
    exact = [row for row, k in zip(numbers(rows), kept, strict=True) if k]
    return (minimum(exact, share, l2) if exact else mpf(0)), kept


def numbers(rows: list[Vector]) -> list[list[mpf]]:
    return [[mpf(x.numerator) / x.denominator for x in row] for row in rows]


def minimum(rows: list[list[mpf]], share: list[mpf], l2: float) -> mpf:
    """Newton's method with a ridge far below all that matters, until nothing can be gained."""
    d = len(rows[0])
    unit = [max(abs(row[j]) for row in rows) or mpf(1) for j in range(d)]
    rows = [[x / u for x, u in zip(row, unit, strict=True)] for row in rows]
    penalty = [mpf(l2) / u**2 for u in unit[:-1]] + [mpf(0)]
    theta = [mpf(0)] * d

    here = value(theta, rows, share, penalty)
    for _ in range(400):
        step, gain = newton_step(theta, rows, share, penalty)
        if gain < mpf(10) ** -25:
            return here
        scale, there = mpf(2), mpf("inf")
        while there > here - scale * gain / 10**4:
            scale /= 2
            new = [t - scale * s for t, s in zip(theta, step, strict=True)]
            there = value(new, rows, share, penalty)
        theta, here = new, there
    raise AssertionError("Newton's method must end")


def newton_step(
    theta: list[mpf], rows: list[list[mpf]], share: list[mpf], penalty: list[mpf]
) -> tuple[list[mpf], mpf]:
    """The step, and twice what it promises to gain."""
    d = len(theta)
    wrong = [1 / (1 + mp.exp(mp.fdot(row, theta))) for row in rows]
    pull = [c * q for c, q in zip(share, wrong, strict=True)]
    columns = list(zip(*rows, strict=True))
    slope = [p * t - mp.fdot(pull, x) for p, t, x in zip(penalty, theta, columns, strict=True)]
    curved = [[c * (1 - q) * a for c, q, a in zip(pull, wrong, x, strict=True)] for x in columns]
    H = mp.matrix([[mp.fdot(a, b) for b in columns] for a in curved])
    for j in range(d):
        H[j, j] += penalty[j]
        H[j, j] += mpf(10) ** (10 - DIGITS) * (H[j, j] or 1)
    step = list(mp.lu_solve(H, mp.matrix(slope)))
    return step, mp.fdot(slope, step)
