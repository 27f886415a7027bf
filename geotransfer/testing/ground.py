"""Simulated ground: land, spectra and change events; and the pictures a sensor takes of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from geotransfer.core.spec import BANDS
from geotransfer.testing import atmosphere
from geotransfer.testing.atmosphere import Sky, draw_sky, make_clear_sky
from geotransfer.testing.land import Land, UnitKind, draw_land
from geotransfer.testing.spectra import Spectra, draw_spectra, mix_statistics, reflect_units
from geotransfer.testing.statistics import RegionStatistics

Float32 = NDArray[np.float32]

SCALE = 1e-4
OFFSET_DN = 1000
"""Added to digital numbers from processing baseline 04.00 on; metadata say offset −0.1."""
OLD_BASELINE, NEW_BASELINE = "03.01", "04.00"

MAX_SHIFT_PX = 0.3
GAIN_NOISE = (0.01, 0.03)
OFFSET_NOISE = (0.001, 0.004)
"""Reflectance; 1–3 % of a spectrum's usual 0.1–0.2."""
PIXEL_NOISE = 0.003
"""Reflectance, of every pixel and band anew on every date."""
BRIGHT_TEXTURE, GREEN_TEXTURE = 0.035, 0.025
"""Lasting differences between the pixels of one unit, relative."""

_CLOUD_REFLECTANCE = np.array([0.62, 0.6, 0.6, 0.65, 0.45, 0.32, 0.61, 0.64, 0.65], np.float32)
_SHADOW_LIGHT = np.array([0.62, 0.55, 0.5, 0.42, 0.4, 0.4, 0.47, 0.43, 0.42], np.float32)
"""Light left in full shadow: the sky is blue."""
_TEXTURE_SIGN = np.array([-0.4, -0.1, -0.8, 0.7, -0.3, -0.5, -0.2, 0.5, 0.6], np.float32)

_LAND, _SPECTRA, _CHANGES, _SCENES, _TEXTURE = range(5)
"""Purposes: each draws from its own stream, so that none disturbs another."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ChangeEvent:
    """Units of land that pass from one class to another on a date, for good.

    Attributes
    ----------
    date
        First day of the new class.
    units
        Units that change, shape (n,).
    from_code, to_code
        Class codes before and after.
    """

    date: dt.date
    units: NDArray[np.int64]
    from_code: int
    to_code: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Ground:
    """A simulated region in memory: everything that decides what a sensor sees."""

    land: Land
    spectra: Spectra
    events: tuple[ChangeEvent, ...]
    seed: tuple[int, ...]
    texture: Float32 = field(repr=False)
    """Factor of every pixel, (band, y, x)."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.land.unit_of.shape

    def find_unit_classes(self, date: dt.date) -> NDArray[np.uint8]:
        """Return each unit's class code on ``date``, shape (unit,)."""
        classes = self.land.classes.copy()
        for event in sorted(self.events, key=lambda e: e.date):
            if event.date <= date:
                classes[event.units] = event.to_code
        return classes

    def find_truth(self, date: dt.date) -> NDArray[np.uint8]:
        """Return the class raster on ``date``, ``(y, x)``: 0 non-crop, 1 crop."""
        return self.find_unit_classes(date)[self.land.unit_of]

    def find_mask(self, event: ChangeEvent) -> NDArray[np.bool_]:
        """Return where an event changes the class, ``(y, x)``."""
        changes = np.zeros(self.land.n_units, bool)
        changes[event.units] = True
        return changes[self.land.unit_of]


@dataclass(frozen=True, eq=False, kw_only=True)
class SceneArrays:
    """One simulated scene in memory.

    Attributes
    ----------
    dn
        Digital numbers (band, y, x), bands as ``core.spec.BANDS``; 0 is no data. Reflectance is
        ``dn · 1e-4 + offset``.
    scl
        Scene classification with the codes of Sentinel-2, ``(y, x)``.
    offset
        −0.1 from processing baseline 04.00 on, else 0.
    baseline
        Processing baseline.
    cloud_cover
        Share of the seen pixels that the mask calls cloud or shadow.
    """

    dn: NDArray[np.uint16]
    scl: NDArray[np.uint8]
    offset: float
    baseline: str
    cloud_cover: float


def build_ground(
    sources: Sequence[RegionStatistics],
    own: RegionStatistics,
    *,
    shift: float,
    seed: tuple[int, ...],
    size_px: int = 512,
    crop_share: float | None = None,
) -> Ground:
    """Draw a region's land and spectra, without change events.

    Parameters
    ----------
    sources, own, shift
        As in ``mix_statistics``; a source region gives itself as its only source.
    seed
        Whole numbers; the same seed gives the same ground and the same scenes.
    crop_share
        Share of the area under crop; None: that of the real samples, between 0.3 and 0.5.
    """
    if crop_share is None:
        crop_share = float(np.clip(own.crop_share, 0.3, 0.5))
    shape = (size_px, size_px)
    land = draw_land(np.random.default_rng([*seed, _LAND]), shape, crop_share=crop_share)
    means, roots = mix_statistics(sources, own, shift)
    spectra = draw_spectra(np.random.default_rng([*seed, _SPECTRA]), land.n_units, means, roots)
    rng = np.random.default_rng([*seed, _TEXTURE])
    bright = BRIGHT_TEXTURE * rng.standard_normal(shape, dtype=np.float32)
    green = GREEN_TEXTURE * rng.standard_normal(shape, dtype=np.float32)
    texture = 1 + bright + _TEXTURE_SIGN[:, np.newaxis, np.newaxis] * green
    return Ground(land=land, spectra=spectra, events=(), seed=seed, texture=texture)


def plan_changes(
    ground: Ground, dates: Sequence[dt.date], *, changed_share: float
) -> tuple[ChangeEvent, ...]:
    """Choose units that change class, on ``changed_share`` of the area in all.

    Each date takes an equal part: whole units around a random place, so that change is gathered as
    real change is. A unit changes once; roads never. The shares are met to within half a unit.

    Returns
    -------
    Events of both directions, by date. Those already in ``ground`` are kept out.
    """
    land = ground.land
    rng = np.random.default_rng([*ground.seed, _CHANGES, len(ground.events)])
    is_free = land.kinds != UnitKind.ROAD
    for event in ground.events:
        is_free[event.units] = False
    events: list[ChangeEvent] = []
    n_pixels = land.unit_of.size
    changed_px = 0.0
    for i, date in enumerate(sorted(dates), start=1):
        wanted_px = changed_share * n_pixels * i / len(dates)
        place = rng.uniform((0, 0), ground.shape)
        distance = np.hypot(*(land.centres_px - place).T)
        near = np.argsort(np.where(is_free, distance, np.inf), kind="stable")[: is_free.sum()]
        total = changed_px + np.cumsum(land.sizes_px[near])
        chosen = near[total - land.sizes_px[near] / 2 <= wanted_px]
        is_free[chosen] = False
        changed_px += float(land.sizes_px[chosen].sum())
        classes = ground.find_unit_classes(date)
        for code in (0, 1):
            units = np.sort(chosen[classes[chosen] == code])
            if len(units):
                events.append(ChangeEvent(date=date, units=units, from_code=code, to_code=1 - code))
    return tuple(events)


def add_changes(ground: Ground, dates: Sequence[dt.date], *, changed_share: float) -> Ground:
    """Return the ground with change events on ``changed_share`` of its area, spread over dates."""
    events = plan_changes(ground, dates, changed_share=changed_share)
    return replace(ground, events=(*ground.events, *events))


def _shift_picture(picture: Float32, along_y: float, along_x: float) -> Float32:
    """Move ``(band, y, x)`` by less than a pixel, bilinearly; the edge repeats."""
    for axis, amount in ((1, along_y), (2, along_x)):
        a = np.float32(abs(amount))
        moved = picture * (1 - a)
        ahead: tuple[slice, ...] = (slice(None),) * axis + (slice(1, None),)
        back: tuple[slice, ...] = (slice(None),) * axis + (slice(None, -1),)
        to, origin, edge = (back, ahead, -1) if amount >= 0 else (ahead, back, 0)
        moved[to] += a * picture[origin]
        last: tuple[slice | int, ...] = (slice(None),) * axis + (edge,)
        moved[last] += a * picture[last]
        picture = moved
    return picture


def _classify_scene(picture: Float32, sky: Sky) -> NDArray[np.uint8]:
    green, red, nir, swir = (
        picture[BANDS.index(band)] for band in ("green", "red", "nir", "swir_1")
    )
    scl = np.where(nir - red > 0.4 * (nir + red), atmosphere.VEGETATION, atmosphere.BARE)
    scl = scl.astype(np.uint8)
    scl[(green > swir) & (nir < 0.15)] = atmosphere.WATER
    scl[sky.is_shadow] = atmosphere.SHADOW
    scl[sky.is_cloud] = atmosphere.CLOUD_MEDIUM
    scl[sky.is_dense] = atmosphere.CLOUD_HIGH
    return scl


def simulate_scene_arrays(
    ground: Ground, date: dt.date, *, with_offset: bool = False, with_noise: bool = True
) -> SceneArrays:
    """Take a simulated picture of the ground on a date, in memory.

    The same ground, date and options always give the same pixels, whatever other dates are taken.

    Parameters
    ----------
    with_offset
        Write digital numbers as processing baseline 04.00 does, 1000 higher; the noise is the
        same, so both are one picture (but for rounding of dark pixels to the range).
    with_noise
        False: a cloudless, exact picture: no sky, gain, offset, shift or pixel noise.
    """
    rng = np.random.default_rng([*ground.seed, _SCENES, date.toordinal()])
    shape = ground.shape
    table = reflect_units(ground.spectra, ground.find_unit_classes(date), date.timetuple().tm_yday)
    n_bands = len(BANDS)
    picture = np.empty((n_bands, *shape), np.float32)
    for band in range(n_bands):
        np.take(np.ascontiguousarray(table[:, band]), ground.land.unit_of, out=picture[band])
    picture *= ground.texture
    sky = draw_sky(rng, shape) if with_noise else make_clear_sky(shape)
    if with_noise:
        picture = _shift_picture(picture, *rng.uniform(-MAX_SHIFT_PX, MAX_SHIFT_PX, 2))
        gain_sd, offset_sd = rng.uniform(*GAIN_NOISE), rng.uniform(*OFFSET_NOISE)
        # Haze and calibration move all bands together more than each alone.
        gain = 1 + gain_sd * (0.8 * rng.standard_normal() + 0.6 * rng.standard_normal(n_bands))
        offset = offset_sd * (0.8 * rng.standard_normal() + 0.6 * rng.standard_normal(n_bands))
        picture *= gain.astype(np.float32)[:, np.newaxis, np.newaxis]
        picture += offset.astype(np.float32)[:, np.newaxis, np.newaxis]
        if sky.cloud is not None and sky.shadow is not None:
            for band in range(n_bands):
                picture[band] *= 1 - (1 - _SHADOW_LIGHT[band]) * sky.shadow
                picture[band] += sky.cloud * (_CLOUD_REFLECTANCE[band] - picture[band])
        picture += PIXEL_NOISE * rng.standard_normal(picture.shape, dtype=np.float32)
    scl = _classify_scene(picture, sky)
    added = OFFSET_DN if with_offset else 0
    picture *= np.float32(1 / SCALE)
    np.rint(picture, out=picture)
    # Zero means no data, so the darkest ground is one.
    np.clip(picture, 1, 65535 - OFFSET_DN, out=picture)
    dn = picture.astype(np.uint16)
    dn += np.uint16(added)
    if sky.is_seen is not None:
        dn[:, ~sky.is_seen] = 0
        scl[~sky.is_seen] = atmosphere.NO_DATA
    seen = int((scl != atmosphere.NO_DATA).sum())
    hidden = int(np.isin(scl, (atmosphere.SHADOW, 8, 9)).sum())
    return SceneArrays(
        dn=dn,
        scl=scl,
        offset=-0.1 if with_offset else 0.0,
        baseline=NEW_BASELINE if with_offset else OLD_BASELINE,
        cloud_cover=hidden / max(seen, 1),
    )
