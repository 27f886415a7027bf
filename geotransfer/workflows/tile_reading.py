"""Read a tile scene by scene, once: pixels go to the cube and come from there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geotransfer.core.scene import Scene
from geotransfer.core.spec import Period
from geotransfer.imagery.access import use_access
from geotransfer.imagery.observations import Observation
from geotransfer.imagery.stack import Stack, find_solar_day, read_stack
from geotransfer.store.cube import Cube, hash_pixels
from geotransfer.workflows.costing import StageMeter
from geotransfer.workflows.tile import TileTask, Tracking
from geotransfer.workflows.tile_state import KnownScene

_CUBES: dict[tuple[str, int], Cube] = {}


def open_cube(folder: str, limit_bytes: int) -> Cube:
    """Return the cube of a folder; one a process, so that its size is counted once."""
    return _CUBES.setdefault(
        (folder, limit_bytes), Cube(folder=Path(folder), limit_bytes=limit_bytes)
    )


@dataclass(eq=False)
class TileReader:
    """Reads a tile's scenes and counts what that took.

    Attributes
    ----------
    task
        Names tile and bands.
    tracking
        Names the cube.
    inside
        Pixels inside the outline, shape (y, x).
    read_bytes
        Decoded bytes read from scenes so far; what came from the cube is not among them.
    """

    task: TileTask
    tracking: Tracking
    inside: NDArray[np.bool_]
    meter: StageMeter = field(default_factory=StageMeter)
    read_bytes: int = 0
    known: dict[str, KnownScene] = field(default_factory=dict)
    """Scenes read or looked up so far, by id."""

    @cached_property
    def cube(self) -> Cube:
        """Where pixels are kept."""
        return open_cube(self.tracking.cube_folder, self.tracking.cube_bytes)

    def read_scene(self, scene: Scene, fingerprint: str) -> Observation:
        """Read one scene from its files, keep its pixels and remember what they were."""
        task = self.task
        with self.meter.measure("read"), use_access(task.access):
            stack = read_stack([scene], task.spec.bands, task.grid, task.tile)
        self.read_bytes += stack.read_bytes
        dn, valid = stack.dn[0], stack.valid[0]
        with self.meter.measure("detector"):
            pixels_id = hash_pixels(dn, valid, self.tracking.place_id)
            n_valid = int((valid & self.inside).sum())
        if n_valid:
            with self.meter.measure("write"):
                self.cube.put(pixels_id, dn, valid)
        self.known[scene.scene_id] = KnownScene(
            scene_id=scene.scene_id,
            fingerprint=fingerprint,
            pixels_id=pixels_id,
            day=stack.dates[0],
            n_valid=n_valid,
        )
        return self._make_observation(self.known[scene.scene_id], dn, valid)

    def find_pixels(self, known: KnownScene) -> Observation | None:
        """Return a scene's pixels from the cube; None if they are not there."""
        shape = (len(self.task.spec.bands), *self.inside.shape)
        if not known.n_valid:
            nothing = np.zeros(self.inside.shape, dtype=bool)
            empty = np.broadcast_to(np.int16(0), shape)
            return self._make_observation(known, empty, nothing)
        found = self.cube.get(known.pixels_id, shape)
        return None if found is None else self._make_observation(known, *found)

    def list_observations(
        self, scenes: Sequence[Scene], periods: Sequence[Period]
    ) -> list[Observation]:
        """Return the pixels of scenes that show something in some periods, from the cube or files.

        Scenes that the tile does not know are left out.
        """
        found = []
        for scene in scenes:
            known = self.known.get(scene.scene_id)
            if known and known.n_valid and any(period.holds(known.day) for period in periods):
                pixels = self.find_pixels(known)
                found.append(pixels or self.read_scene(scene, known.fingerprint))
        return found

    def read_stack(self) -> Stack:
        """Read every scene of the task; the same stack as ``imagery.stack.read_stack`` gives."""
        task = self.task
        order = sorted(
            zip(task.scenes, self.tracking.fingerprints, strict=True),
            key=lambda pair: (find_solar_day(pair[0]), pair[0].scene_id),
        )
        days = sorted({find_solar_day(scene) for scene in task.scenes})
        shape = self.inside.shape
        dn = np.zeros((len(days), len(task.spec.bands), *shape), dtype=np.int16)
        valid = np.zeros((len(days), *shape), dtype=bool)
        for scene, fingerprint in order:
            found = self.read_scene(scene, fingerprint)
            step = days.index(found.day)
            pixels, shows = found.dn.reshape(dn.shape[1:]), found.valid.reshape(shape)
            if not valid[step].any():
                # Most days have one scene: a plain copy is many times as fast as one with a mask.
                dn[step], valid[step] = pixels, shows
                continue
            fresh = shows & ~valid[step]
            np.copyto(dn[step], pixels, where=fresh[None])
            valid[step] |= fresh
        return Stack(dn=dn, valid=valid, dates=tuple(days), read_bytes=self.read_bytes)

    @staticmethod
    def _make_observation(
        known: KnownScene, dn: NDArray[np.int16], valid: NDArray[np.bool_]
    ) -> Observation:
        return Observation(
            scene_id=known.scene_id,
            day=known.day,
            dn=dn.reshape(len(dn), -1),
            valid=valid.reshape(-1),
        )
