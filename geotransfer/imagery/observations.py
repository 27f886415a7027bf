"""Observations of a tile, scene by scene, and the stack of some of its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numba import types
from numpy.typing import NDArray

from geotransfer.imagery.stack import Stack

_SIGNATURE = types.void(
    types.Array(types.int16, 2, "C", readonly=True),
    types.Array(types.intp, 1, "C", readonly=True),
    types.Array(types.int16, 2, "C"),
)


@dataclass(frozen=True, eq=False)
class Observation:
    """One scene on one tile, as read and normalised; pixels in one line.

    Attributes
    ----------
    scene_id
        Scenes of one day are merged in the order of their ids.
    day
        ISO date in local solar time.
    dn
        Digital numbers at scale 1e-4, int16, shape (band, n).
    valid
        Where it shows the ground, shape (n,).
    """

    scene_id: str
    day: str
    dn: NDArray[np.int16]
    valid: NDArray[np.bool_]


@numba.njit(_SIGNATURE, nogil=True, cache=True)
def _copy_pixels(
    source: NDArray[np.int16], pixels: NDArray[np.intp], target: NDArray[np.int16]
) -> None:
    for band in range(source.shape[0]):
        for i in range(pixels.size):
            target[band, i] = source[band, pixels[i]]


def gather_stack(observations: Sequence[Observation], pixels: NDArray[np.intp]) -> Stack:
    """Return the stack of some pixels, shape (time, band, 1, n), scenes of one day merged.

    The same numbers as ``read_stack`` gives for these pixels, wherever they are valid.
    """
    days: dict[str, list[Observation]] = {}
    for found in sorted(observations, key=lambda o: (o.day, o.scene_id)):
        days.setdefault(found.day, []).append(found)
    n_bands = len(observations[0].dn) if observations else 0
    dn = np.empty((len(days), n_bands, 1, len(pixels)), dtype=np.int16)
    valid = np.empty((len(days), 1, len(pixels)), dtype=bool)
    frozen = pixels.view()
    frozen.flags.writeable = False
    for step, members in enumerate(days.values()):
        for number, found in enumerate(members):
            shown = found.valid[pixels]
            if number == 0:
                source = np.ascontiguousarray(found.dn).view()
                source.flags.writeable = False
                _copy_pixels(source, frozen, dn[step, :, 0])
                valid[step, 0] = shown
                continue
            fresh = shown & ~valid[step, 0]
            dn[step, :, 0, fresh] = found.dn[:, pixels[fresh]].T
            valid[step, 0] |= fresh
    return Stack(dn=dn, valid=valid, dates=tuple(days), read_bytes=0)
