"""Shifts: how far one scene lies off another, by the orientation of its edges.

Seasons turn fields from dark to bright, so pictures are compared by the direction of their
gradients and not by their values: each pixel becomes a unit vector along its gradient, doubled in
angle so that an edge counts the same whichever side is bright, and nothing where it is masked. The
cross-correlation of two such pictures peaks at their shift (orientation correlation: Fitch et al.
2002, doi 10.5244/C.16.11); a paraboloid through the peak's neighbours tells parts of a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft2, ifft2
from scipy.ndimage import binary_dilation

MAX_SHIFT_PX = 8
"""Peaks farther out are not looked for: such scenes are caught by eye, noise would be found too."""
MIN_SHARED = 0.15
"""Share of the pixels that must be clear in both scenes."""
MIN_PEAK = 7.0
"""A peak below this many standard deviations of the correlation is chance."""
STABLE_BANDS = ("red", "green", "swir_1", "nir", "blue", "ndvi")
"""In this order: the first a scene has is compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Where a scene's picture lies against the reference's."""

    down_px: float
    """Positive: the scene lies further down (along rows) than the reference."""
    right_px: float
    peak: float
    """Height of the correlation's peak in its standard deviations."""


def measure_shift(reference: NDArray[np.float32], picture: NDArray[np.float32]) -> Shift | None:
    """Measure the shift between two pictures of one band on one grid, shape (y, x).

    NaN is not the ground; it neither helps nor harms. None where too little is clear in both, or no
    peak stands out.
    """
    clear = np.isfinite(reference) & np.isfinite(picture)
    if clear.mean() < MIN_SHARED or min(reference.shape) < 4 * MAX_SHIFT_PX:
        return None
    one, two = find_orientation(reference), find_orientation(picture)
    size = [n + 2 * MAX_SHIFT_PX for n in reference.shape]
    found = ifft2(np.conj(fft2(one, size)) * fft2(two, size)).real
    reach = np.arange(-MAX_SHIFT_PX, MAX_SHIFT_PX + 1)
    near = found[np.ix_(reach, reach)]
    spread = float(np.std(found))
    row, col = np.unravel_index(int(near.argmax()), near.shape)
    peak = float(near[row, col]) / spread if spread > 0 else 0.0
    if peak < MIN_PEAK or not (0 < row < len(near) - 1 and 0 < col < len(near) - 1):
        return None
    down, right = refine_peak(near[row - 1 : row + 2, col - 1 : col + 2])
    return Shift(down_px=float(reach[row] + down), right_px=float(reach[col] + right), peak=peak)


def find_orientation(picture: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Return the doubled direction of each pixel's gradient as a unit number; 0 where unknown."""
    known = np.isfinite(picture)
    filled = np.where(known, picture, np.float32(0))
    down, right = np.gradient(filled)
    gradient = right + 1j * down
    doubled = gradient * gradient
    length = np.abs(doubled)
    # A gradient across a masked pixel is made up.
    usable = ~binary_dilation(~known, iterations=1) & (length > 0)
    return np.where(usable, doubled / np.where(length > 0, length, 1), 0).astype(np.complex64)


def refine_peak(near: NDArray[np.float64]) -> tuple[float, float]:
    """Return the top of the paraboloid through nine values, as offsets from the middle one."""
    grid = np.arange(-1, 2)
    y, x = (a.ravel() for a in np.meshgrid(grid, grid, indexing="ij"))
    columns = np.stack([np.ones(9), y, x, y * y, x * x, x * y], axis=1)
    _, b_y, b_x, a_yy, a_xx, a_xy = np.linalg.lstsq(columns, near.ravel(), rcond=None)[0]
    bend = np.array([[2 * a_yy, a_xy], [a_xy, 2 * a_xx]])
    if np.linalg.det(bend) <= 0:
        return 0.0, 0.0
    top = np.linalg.solve(bend, [-b_y, -b_x])
    down, right = np.clip(top, -1, 1)
    return float(down), float(right)
