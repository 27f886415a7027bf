"""What pages need of the science rooms, handed in by the app so that no page loads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from geotransfer.store.workspace import Workspace
from geotransfer.workflows.job_views import PlanView


class Sample(Protocol):
    """One training sample near a pixel."""

    region_id: str
    class_name: str
    dissimilarity: float


class Support(Protocol):
    """How near a pixel is to training samples; see ``workflows/nearest_samples.py``."""

    @property
    def samples(self) -> Sequence[Sample]:
        """Nearest first."""

    @property
    def is_inside(self) -> bool | None:
        """Whether it is inside the area of applicability."""

    dissimilarity: float | None
    threshold: float
    fold_rule: str
    source: str


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
    support: Support | None
    explained_class: str


PixelReader = Callable[[Workspace, str, float, float], Pixel | None]

_readers: list[PixelReader] = []


def offer_pixel_reader(reader: PixelReader) -> None:
    """Let pages explain pixels; the app calls this once."""
    _readers[:] = [reader]


def read_pixel(workspace: Workspace, region_id: str, lon: float, lat: float) -> Pixel | None:
    """Explain a pixel; None where there is none, or nobody can."""
    return _readers[0](workspace, region_id, lon, lat) if _readers else None


PlanReader = Callable[[Workspace, str], PlanView]

_plan_readers: list[PlanReader] = []


def offer_plan_reader(reader: PlanReader) -> None:
    """Let pages say what a refresh would do; the app calls this once."""
    _plan_readers[:] = [reader]


def read_plan(workspace: Workspace, region_id: str) -> PlanView | None:
    """Return what a refresh would do; None where nobody can say."""
    return _plan_readers[0](workspace, region_id) if _plan_readers else None
