"""What a mask band says: which pixels do not show the ground."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from geotransfer.core.scene import Asset, Scene
from geotransfer.imagery.sensors import MaskKind, MaskRule, find_mask_rule


def find_mask(scene: Scene) -> tuple[Asset | None, MaskRule | None]:
    """Return the scene's mask asset and its rule, or a pair of None."""
    for asset in scene.assets:
        if asset.is_mask:
            return asset, find_mask_rule(scene, asset.name.removeprefix("mask:"))
    return None, None


def find_bad(
    flags: NDArray[np.generic], rule: MaskRule, *, covered: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Return where a mask band says *not the ground*, grown by the rule's dilation.

    Beyond the scene, where ``covered`` is false, there is nothing to grow from.
    """
    # Flags are whole numbers, whatever a file stores them as.
    codes: NDArray[Any] = flags if flags.dtype.kind in "iu" else flags.astype(np.int64)
    if rule.kind is MaskKind.CLASSES:
        bad = _match_codes(codes, rule.bad)
    elif rule.kind is MaskKind.BITS:
        bits = sum(1 << bit for bit in rule.bad)
        bad = np.asarray((codes & codes.dtype.type(_fit_bits(bits, codes.dtype))) != 0)
    else:
        bad = np.asarray(codes != 0)
    if covered is not None:
        bad &= covered
    return grow(bad, rule.dilate_px) if rule.dilate_px and bad.any() else bad


def _match_codes(codes: NDArray[Any], wanted: tuple[int, ...]) -> NDArray[np.bool_]:
    if codes.dtype != np.uint8:
        return np.isin(codes, wanted)
    table = np.zeros(256, dtype=bool)
    table[[code for code in wanted if 0 <= code < 256]] = True
    return np.asarray(table[codes])


def _fit_bits(bits: int, dtype: np.dtype[Any]) -> int:
    """Return the bits that a type has, as a number of that type."""
    n_bits = dtype.itemsize * 8
    bits &= (1 << n_bits) - 1
    return bits - (1 << n_bits) if dtype.kind == "i" and bits >> (n_bits - 1) else bits


def grow(bad: NDArray[np.bool_], radius_px: int) -> NDArray[np.bool_]:
    """Return where a true pixel lies at most ``radius_px`` rows and columns away, shape (y, x)."""
    wide = bad.copy()
    for step in range(1, radius_px + 1):
        wide[:, step:] |= bad[:, :-step]
        wide[:, :-step] |= bad[:, step:]
    grown = wide.copy()
    for step in range(1, radius_px + 1):
        grown[step:] |= wide[:-step]
        grown[:-step] |= wide[step:]
    return grown
