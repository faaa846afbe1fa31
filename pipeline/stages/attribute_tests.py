"""Tests that all effects of an attribute are 0."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nn.arrays import Array
from nn.likelihood import Design, Point, maximise
from pipeline.stages.encode import Encoder
from pipeline.stages.robust import Robust


@dataclass(frozen=True)
class AttributeTest:
    """Test that all effects of an attribute are 0; None where it has no test.

    Of the likelihood ratio, or Wald's where rows are grouped or weigh differently.
    """

    attribute: str
    statistic: float | None
    degrees: int
    p_value: float | None


def wald_tests(
    encoder: Encoder, onto: Array, best: Point, found: Robust
) -> tuple[AttributeTest, ...]:
    """Return Wald's test of each attribute, by the F distribution (Korn and Graubard 1990)."""
    from scipy.special import fdtrc

    tests = [AttributeTest(block.name, None, 0, None) for block in encoder.blocks]
    if found.covariance is None:
        return tuple(tests)
    for j, columns in enumerate(encoder.slices()):
        rest = constraints(onto, columns)
        q, freedom = len(rest), found.freedom
        if q == 0 or freedom < q:
            continue
        value = rest @ best.beta[0]
        statistic = float(value @ np.linalg.solve(rest @ found.covariance @ rest.T, value))
        f = statistic * (freedom - q + 1) / (q * freedom)
        tests[j] = replace(
            tests[j], statistic=statistic, degrees=q, p_value=float(fdtrc(q, freedom - q + 1, f))
        )
    return tuple(tests)


def likelihood_tests(
    encoder: Encoder, onto: Array, design: Design, best: Point
) -> tuple[AttributeTest, ...]:
    """Return the test of each attribute; those of as many degrees of freedom are fitted at once."""
    from scipy.special import chdtrc

    of_attributes = [constraints(onto, columns) for columns in encoder.slices()]
    tests = [AttributeTest(block.name, None, 0, None) for block in encoder.blocks]
    for degrees in {len(one) for one in of_attributes} - {0}:
        places = [j for j, one in enumerate(of_attributes) if len(one) == degrees]
        null, converged = maximise(design, np.stack([of_attributes[j] for j in places]))
        statistics = 2 * np.maximum(best.value - null.value, 0.0)
        for j, statistic, found in zip(places, statistics.tolist(), converged, strict=True):
            if found:
                p_value = float(chdtrc(degrees, statistic))
                tests[j] = replace(tests[j], statistic=statistic, degrees=degrees, p_value=p_value)
    return tuple(tests)


def constraints(onto: Array, inputs: slice) -> Array:
    """Return the rows (q, r) that are 0 times beta where the inputs have no weight."""
    axes, size, _ = np.linalg.svd(np.delete(onto, inputs, axis=1))
    rest: Array = axes[:, int(np.sum(size > 1e-8 * size[0])) :].T
    return rest
