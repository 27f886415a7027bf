"""What pages need of the science rooms, handed in by the app so that no page loads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from geotransfer.store.workspace import Workspace


class Pixel(Protocol):
    """One pixel explained; see ``workflows/pixel.py``."""

    class_name: str | None
    probabilities: tuple[tuple[str, float], ...]
    n_observations: int
    computed_at: str
    confirmed_at: str
    model_name: str
    scene_ids: tuple[str, ...]
    features: tuple[tuple[str, float], ...]
    contributions: tuple[tuple[str, float], ...]
    explained_class: str


PixelReader = Callable[[Workspace, str, float, float], Pixel | None]

_readers: list[PixelReader] = []


def offer_pixel_reader(reader: PixelReader) -> None:
    """Let pages explain pixels; the app calls this once."""
    _readers[:] = [reader]


def read_pixel(workspace: Workspace, region_id: str, lon: float, lat: float) -> Pixel | None:
    """Explain a pixel; None where there is none, or nobody can."""
    return _readers[0](workspace, region_id, lon, lat) if _readers else None
