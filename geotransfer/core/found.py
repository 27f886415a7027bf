"""What a search for scenes found, before anything is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from geotransfer.core.cost import RunCost
from geotransfer.core.exclusion import Exclusion


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneSizes:
    """Bytes of the files a map needs, by where the figure comes from."""

    stated_bytes: int = 0
    """As the catalog states them."""
    n_stated: int = 0
    asked_bytes: int = 0
    """As the server, or this machine's file system, answered."""
    n_asked: int = 0
    estimated_bytes: int = 0
    """From shape and data type, so before compression; or as files of the same band."""
    n_estimated: int = 0
    n_unknown: int = 0

    @property
    def total_bytes(self) -> int:
        """All that is known or estimated."""
        return self.stated_bytes + self.asked_bytes + self.estimated_bytes

    def __str__(self) -> str:
        """Gigabytes, and where the figure comes from."""
        parts = [
            f"{n:,} {what}"
            for n, what in (
                (self.n_stated, "stated by the catalog"),
                (self.n_asked, "asked of the server or disk"),
                (self.n_estimated, "estimated from their shape"),
                (self.n_unknown, "unknown"),
            )
            if n
        ]
        return f"{self.total_bytes / 1e9:,.2f} GB ({', '.join(parts) or 'no file'})"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessNote:
    """How files of one host are reached."""

    host: str
    n_files: int
    how: str
    variables: tuple[str, ...] = ()
    """Names of the environment variables it rests on; never their values."""
    is_ready: bool = True
    """Whether all that is needed is set."""

    def __str__(self) -> str:
        """One line for a person."""
        names = f" ({', '.join(self.variables)})" if self.variables else ""
        return f"{self.host}: {self.how}{names}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundScene:
    """One scene of a search, as a list shows it."""

    scene_id: str
    sensed_at: str
    cloud_percent: float | None
    overlap: float
    """Share of the region that its footprint covers, 0–1."""
    n_bands: int
    has_mask: bool
    size_bytes: int | None
    is_known: bool
    """Whether the region has it already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundScenes:
    """What a catalog offers a region, what it would cost, and how it is reached."""

    region_id: str
    location: str
    period: str
    max_cloud_percent: float | None
    collections: tuple[str, ...]
    scenes: tuple[FoundScene, ...]
    exclusions: tuple[Exclusion, ...]
    passed_over: Mapping[str, int]
    sizes: SceneSizes
    """Whole files."""
    read_bytes: int
    """Of these, about what a map of the region reads, by area."""
    predicted: RunCost
    cost_basis: str
    """What the prediction rests on."""
    cost_usd: float | None
    access: tuple[AccessNote, ...]
    scenes_id: str
    """Blob with the scenes; `scenes add REGION --found` takes it."""
