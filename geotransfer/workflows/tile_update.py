"""Bring one tile up to date: read what came, decide, and compute only the pixels concerned."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geotransfer.change.audit import count_blocks
from geotransfer.change.judgement import Kept
from geotransfer.change.update import (
    Predict,
    TilePixels,
    Update,
    add_pending,
    judge_state,
    update_pixels,
)
from geotransfer.core.decision import DecidedBy, SceneDecision
from geotransfer.core.decode import from_plain
from geotransfer.core.identity import to_plain
from geotransfer.core.scene import Scene
from geotransfer.imagery.grids import mask_outline
from geotransfer.imagery.observations import Observation
from geotransfer.store.tile_files import read_tile, write_tile
from geotransfer.workflows.costing import StageMeter
from geotransfer.workflows.tile import (
    PreviousTile,
    TileResult,
    TileTask,
    Tracking,
    compute_tile,
    count_tile,
    make_predict,
)
from geotransfer.workflows.tile_reading import TileReader
from geotransfer.workflows.tile_state import (
    KnownScene,
    TileHistory,
    make_state,
    read_history,
    write_history,
)


def bring_up_to_date(task: TileTask) -> TileResult:
    """Compute a tile, or update what the last refresh left of it.

    A tile that a killed worker had finished is found by its key and not worked on again.
    """
    tracking = task.tracking
    if tracking is None:
        return compute_tile(task)
    path = Path(tracking.state_path)
    done = read_history(path)
    if done is not None:
        result = from_plain(TileResult, done.result)
        if result.is_kept or Path(task.map_path).exists():
            return result
    history = (
        None if tracking.previous is None else read_history(Path(tracking.previous.state_path))
    )
    if tracking.previous is None or history is None:
        return _compute_whole(task, tracking)
    if history.layer_prints != tracking.layer_prints or task.spec.gap_filling:
        return _compute_whole(task, tracking)
    return _TileUpdate(task, tracking, tracking.previous, history).run()


def _compute_whole(task: TileTask, tracking: Tracking) -> TileResult:
    started = time.thread_time()
    reader = TileReader(task, tracking, mask_outline(task.region, task.grid, task.tile))
    result = compute_tile(task, read=reader.read_stack)
    if not reader.known:
        return result
    n_measured = len(task.spec.measured)
    counts = read_tile(Path(task.feature_path), task.tile)[n_measured:].astype(np.uint16)
    cpu_s = time.thread_time() - started
    decisions = []
    for scene in task.scenes:
        n_valid = reader.known[scene.scene_id].n_valid
        decisions.append(
            SceneDecision(
                tile_id=task.tile.tile_id,
                item_id=scene.scene_id,
                sensed_at=scene.sensed_at,
                test=DecidedBy.COMPUTED.value,
                reason=tracking.reason,
                n_pixels=n_valid,
                n_kept=0,
                n_computed=n_valid,
                cpu_s=cpu_s / len(task.scenes),
            )
        )
    result = replace(result, cpu_s=cpu_s, decisions=tuple(decisions))
    history = TileHistory(
        scenes=tuple(reader.known.values()),
        layer_prints=tracking.layer_prints,
        counts=counts,
        pending=np.zeros(counts.shape, dtype=np.uint8),
        age=np.zeros(counts.shape[1:], dtype=np.uint8),
        inside=reader.inside,
        result=to_plain(result),
    )
    write_history(Path(tracking.state_path), history)
    return result


@dataclass(frozen=True, eq=False)
class _Came:
    """What one scene brought."""

    item_id: str
    sensed_at: str
    day: str
    touched: NDArray[np.bool_] | None
    """Pixels whose observations are others than before; None: none, by ``ended_by``."""
    ended_by: DecidedBy | None
    reason: str
    n_pixels: int
    cpu_s: float


class _TileUpdate:
    """The steps of one update."""

    def __init__(
        self, task: TileTask, tracking: Tracking, previous: PreviousTile, history: TileHistory
    ) -> None:
        self.task = task
        self.tracking = tracking
        self.previous = previous
        self.history = history
        self.started = time.thread_time()
        self.meter = StageMeter()
        self.inside = history.inside
        self.reader = TileReader(task, tracking, self.inside, self.meter)
        self.shape = self.inside.shape

    def run(self) -> TileResult:
        """Read, decide, compute and write."""
        came = self._read_new()
        with self.meter.measure("detector"):
            # Measured columns are read only where some pixel is computed.
            unread = np.zeros((0, self.inside.size), dtype=np.float32)
            state = make_state(
                self.history, Path(self.previous.map_path), self.task.tile, values=unread
            )
            state = add_pending(state, self._count_touched(came), self.inside.ravel())
            self.touched_last = state.pending[-1] > 0
        if self.previous.is_other_model:
            state = self._predict_again(state)
        update = self._update(state)
        result = self._write(update, came)
        history = TileHistory(
            scenes=tuple(self.reader.known.values()),
            layer_prints=self.tracking.layer_prints,
            counts=update.state.counts.reshape(-1, *self.shape),
            pending=update.state.pending.reshape(-1, *self.shape),
            age=update.state.age.reshape(self.shape),
            inside=self.inside,
            result=to_plain(result),
        )
        with self.meter.measure("write"):
            write_history(Path(self.tracking.state_path), history)
        return result

    def _read_new(self) -> list[_Came]:
        """Read scenes that are new or published anew, and find the pixels they concern."""
        known = {scene.scene_id: scene for scene in self.history.scenes}
        came = []
        for scene, fingerprint in zip(self.task.scenes, self.tracking.fingerprints, strict=True):
            before = known.pop(scene.scene_id, None)
            if before is not None and before.fingerprint == fingerprint:
                self.reader.known[scene.scene_id] = before
                continue
            came.append(self._compare(scene, fingerprint, before))
        came += [self._lose(gone) for gone in known.values()]
        return came

    def _compare(self, scene: Scene, fingerprint: str, before: KnownScene | None) -> _Came:
        started = time.thread_time()
        pixels = self.reader.read_scene(scene, fingerprint)
        now = self.reader.known[scene.scene_id]
        touched: NDArray[np.bool_] | None = pixels.valid
        ended_by, reason = None, "a new scene"
        if before is not None:
            reason = "published again with other pixels"
            if before.pixels_id == now.pixels_id:
                touched, ended_by = None, DecidedBy.CONTENT
                reason = "published again with the same pixels"
            else:
                with self.meter.measure("detector"):
                    touched = self._find_differences(pixels, before)
        if touched is not None and not (touched & self.inside.ravel()).any():
            touched, ended_by = None, DecidedBy.NO_VALID_PIXEL
            reason = "shows no ground here"
        return _Came(
            item_id=scene.scene_id,
            sensed_at=scene.sensed_at,
            day=now.day,
            touched=touched,
            ended_by=ended_by,
            reason=reason,
            n_pixels=now.n_valid,
            cpu_s=time.thread_time() - started,
        )

    def _find_differences(self, pixels: Observation, before: KnownScene) -> NDArray[np.bool_]:
        """Return where a scene shows something else than before; everywhere if that is gone."""
        old = self.reader.find_pixels(before)
        if old is None:
            return np.ones(pixels.valid.shape, dtype=bool)
        differs = (pixels.dn != old.dn).any(axis=0) & pixels.valid
        return np.asarray(differs | (pixels.valid != old.valid))

    def _lose(self, gone: KnownScene) -> _Came:
        """Treat a scene that no longer belongs to the tile like one that changed."""
        pixels = self.reader.find_pixels(gone)
        touched = (
            np.ones(self.inside.size, dtype=bool) if pixels is None else np.array(pixels.valid)
        )
        return _Came(
            item_id=gone.scene_id,
            sensed_at=gone.day,
            day=gone.day,
            touched=touched if touched.any() else None,
            ended_by=None if touched.any() else DecidedBy.NO_VALID_PIXEL,
            reason="the scene was withdrawn",
            n_pixels=gone.n_valid,
            cpu_s=0.0,
        )

    def _count_touched(self, came: list[_Came]) -> NDArray[np.uint8]:
        touched = np.zeros((len(self.task.spec.periods), self.inside.size), dtype=np.uint8)
        for scene in came:
            if scene.touched is not None:
                for number, period in enumerate(self.task.spec.periods):
                    if period.holds(scene.day):
                        touched[number] += scene.touched
        return touched

    def _read_values(self) -> NDArray[np.float32]:
        n_measured = len(self.task.spec.measured)
        stored = read_tile(Path(self.previous.feature_path), self.task.tile)[:n_measured]
        return np.array(stored.reshape(n_measured, -1), dtype=np.float32)

    def _predict_again(self, state: TilePixels) -> TilePixels:
        values = self._read_values()
        layers = self._predict(values, state.counts, np.arange(self.inside.size))
        return replace(state, values=values, layers=layers)

    @cached_property
    def _unmetered_predict(self) -> Predict:
        return make_predict(self.task)

    def _predict(
        self, values: NDArray[np.float32], counts: NDArray[np.uint16], pixels: NDArray[np.intp]
    ) -> NDArray[np.uint16]:
        predict = self._unmetered_predict
        with self.meter.measure("predict"):
            return predict(values, counts, pixels)

    def _update(self, state: TilePixels) -> Update:
        forced = np.full(self.inside.size, self.previous.is_forced)
        forced[list(self.previous.stale_pixels)] = True
        with self.meter.measure("detector"):
            kept = judge_state(state, rule=self.tracking.rule, forced=forced)
        with self.meter.measure("composite"):
            return update_pixels(
                state,
                kept,
                spec=self.task.spec,
                load_values=self._read_values,
                load_observations=lambda periods: self.reader.list_observations(
                    self.task.scenes, periods
                ),
                predict=self._predict,
            )

    def _write(self, update: Update, came: list[_Came]) -> TileResult:
        task, state = self.task, update.state
        is_kept = not update.is_changed and not self.previous.is_other_model
        layers = state.layers.reshape(-1, *self.shape)
        counts = state.counts.reshape(-1, *self.shape)
        written = 0
        with self.meter.measure("write"):
            if update.is_changed:
                values = state.values.reshape(-1, *self.shape)
                parts = [values, counts.astype(np.float32)]
                written += write_tile(Path(task.feature_path), parts)
            if not is_kept:
                written += write_tile(Path(task.map_path), [layers])
        judged = update.kept == Kept.JUDGED
        blocks = count_blocks(judged, self.shape)
        ages = count_blocks(np.where(judged, state.age, 0), self.shape)
        found = count_tile(task, inside=self.inside, counts=counts, layers=layers)
        return TileResult(
            tile_id=task.tile.tile_id,
            class_counts=found.class_counts,
            n_inside=found.n_inside,
            n_valid=found.n_valid,
            confidence_counts=found.confidence_counts,
            cpu_s=time.thread_time() - self.started,
            read_bytes=self.reader.read_bytes,
            written_bytes=written,
            stages=self.meter.stages,
            n_computed=int((update.kept == Kept.COMPUTE).sum()),
            is_kept=is_kept,
            has_new_features=update.is_changed,
            has_new_view=bool((self.touched_last & (update.kept == Kept.COMPUTE)).any()),
            judged_blocks=tuple(blocks.tolist()) if judged.any() else (),
            judged_ages=tuple((ages // np.maximum(blocks, 1)).tolist()) if judged.any() else (),
            moves=tuple(update.moves.tolist()),
            decisions=tuple(self._tell(scene, update.kept) for scene in came),
        )

    def _tell(self, scene: _Came, kept: NDArray[np.uint8]) -> SceneDecision:
        touched = np.zeros(kept.shape, dtype=bool) if scene.touched is None else scene.touched
        touched = touched & self.inside.ravel()
        n_judged = int((touched & (kept == Kept.JUDGED)).sum())
        n_computed = int((touched & (kept == Kept.COMPUTE)).sum())
        n_proved = int((touched & (kept == Kept.NO_ANSWER)).sum())
        if scene.ended_by is not None:
            test = scene.ended_by
        elif n_judged:
            test = DecidedBy.JUDGEMENT
        else:
            test = DecidedBy.COMPUTED if n_computed else DecidedBy.PROOF
        return SceneDecision(
            tile_id=self.task.tile.tile_id,
            item_id=scene.item_id,
            sensed_at=scene.sensed_at,
            test=test.value,
            reason=scene.reason,
            n_pixels=scene.n_pixels,
            n_kept=n_judged + n_proved,
            n_computed=n_computed,
            cpu_s=scene.cpu_s,
        )
