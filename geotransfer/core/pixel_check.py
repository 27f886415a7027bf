"""What the pixels of newly added scenes say about their descriptions: offsets and shifts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

SHIFT_LIMIT_PX = 0.5
"""A scene that lies farther off than this blurs the composite and is reported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneCheck:
    """One scene, judged by its pixels when it was added."""

    scene_id: str
    offset: str
    """What its pixels say about its offset, a sentence; empty where that was not checked."""
    levels: Mapping[str, float]
    """Dark end of each band, reflectance as described; later scenes are compared with it."""
    down_px: float | None = None
    """How far it lies below the other scenes, in pixels of the grid; None: not measured."""
    right_px: float | None = None

    @property
    def shift_px(self) -> float | None:
        """Distance from where the other scenes lie, in pixels."""
        if self.down_px is None or self.right_px is None:
            return None
        return float((self.down_px**2 + self.right_px**2) ** 0.5)

    @property
    def is_shifted(self) -> bool:
        """Whether it lies more than ``SHIFT_LIMIT_PX`` off."""
        return self.shift_px is not None and self.shift_px > SHIFT_LIMIT_PX


def list_shifted(checks: Iterable[SceneCheck]) -> tuple[SceneCheck, ...]:
    """Return the scenes that lie more than half a pixel off, the farthest first."""
    found = [check for check in checks if check.is_shifted]
    return tuple(sorted(found, key=lambda check: -(check.shift_px or 0.0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelReport:
    """All scenes that came in together."""

    scenes: tuple[SceneCheck, ...]
    is_common_visible: bool
    """Whether an offset error that all scenes share would be seen at this place."""
    shift_band: str = ""
    """Band that shifts were measured on; empty: none was."""

    @property
    def shifted(self) -> tuple[SceneCheck, ...]:
        """Scenes that lie more than half a pixel off, the farthest first."""
        return list_shifted(self.scenes)
