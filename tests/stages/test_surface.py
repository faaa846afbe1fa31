"""A slice of the loss surface is the loss surface, and the path in it the path."""

import numpy as np
import pytest
from builders import PROBLEMS, scipy_objective

from nn import fit, gradient_descent
from pipeline.stages.surface import POINTS, slice_surface

ROWS = PROBLEMS[5]


def descent(epochs=60, rate=0.1) -> np.ndarray:
    epochs = fit(ROWS.start, ROWS.examples, gradient_descent(rate), epochs, l2=ROWS.l2)
    return np.array([epoch.theta for epoch in epochs])


def test_every_point_is_the_objective_of_its_parameters() -> None:
    """Along the principal components of the path, by a singular value decomposition of SciPy's."""
    from scipy.linalg import svd

    path = descent()
    surface = slice_surface(path, ROWS.examples, ROWS.l2)
    axes = svd(path - path[-1], full_matrices=False)[2][:2]
    axes *= -np.sign(np.sum((path - path[-1]) @ axes.T, axis=0))[:, None]  # comes from below
    for i, j in ((0, 0), (3, 70), (POINTS - 1, 0), (40, 40), (POINTS - 1, POINTS - 1)):
        theta = path[-1] + surface.a[j] * axes[0] + surface.b[i] * axes[1]
        expected = scipy_objective(theta, ROWS.examples, ROWS.l2)
        assert surface.objective[i, j] == pytest.approx(expected, rel=1e-10)


def test_a_path_in_a_plane_is_shown_whole() -> None:
    """Distances between epochs are true, and each lies on the surface at its own loss."""
    rng = np.random.default_rng(0)
    plane = np.linalg.qr(rng.normal(size=(len(ROWS.start), 2)))[0].T
    angle = np.linspace(0, 3, 40)
    path = ROWS.start + np.column_stack([np.cos(angle) * 2, np.sin(angle)]) @ plane
    surface = slice_surface(path, ROWS.examples, ROWS.l2)
    assert surface.share == pytest.approx(1.0, abs=1e-12)
    for one, other in ((0, 39), (3, 20)):
        expected = np.linalg.norm(path[one] - path[other])
        assert np.linalg.norm(surface.path[one] - surface.path[other]) == pytest.approx(expected)
    for number in (0, 11, 39):
        i = np.abs(surface.b - surface.path[number, 1]).argmin()
        j = np.abs(surface.a - surface.path[number, 0]).argmin()
        shown, true = surface.objective[i, j], scipy_objective(path[number], ROWS.examples, ROWS.l2)
        around = surface.objective[max(i - 1, 0) : i + 2, max(j - 1, 0) : j + 2]
        assert abs(shown - true) <= np.ptp(around)


def test_a_path_out_of_the_plane_has_a_share_below_1() -> None:
    rng = np.random.default_rng(0)
    wild = rng.normal(size=(50, len(ROWS.start)))
    away = wild - wild[-1]
    size = np.linalg.svd(away, compute_uv=False)
    surface = slice_surface(wild, ROWS.examples, ROWS.l2)
    assert surface.share == pytest.approx(np.sum(size[:2] ** 2) / np.sum(away**2))
    assert surface.share < 0.9


def test_the_whole_path_is_inside_and_both_axes_are_equally_long() -> None:
    surface = slice_surface(descent(), ROWS.examples, ROWS.l2)
    for axis, places in ((surface.a, surface.path[:, 0]), (surface.b, surface.path[:, 1])):
        assert axis[0] < places.min() <= places.max() < axis[-1]
    assert np.ptp(surface.a) == pytest.approx(np.ptp(surface.b))
    assert np.array_equal(surface.path[-1], [0.0, 0.0])


@pytest.mark.parametrize("epochs", [0, 1])
def test_the_shortest_paths_have_a_slice(epochs) -> None:
    surface = slice_surface(descent(epochs), ROWS.examples, ROWS.l2)
    assert surface.objective.shape == (POINTS, POINTS)
    assert np.isfinite(surface.objective).all()
    assert 0 <= surface.share <= 1 + 1e-12
