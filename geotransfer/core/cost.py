"""What a run used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

OTHER_STAGE = "other"
"""What no stage claims."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunCost:
    """Measured use of one run; money and energy follow only from rates in the settings."""

    cpu_s: float = 0.0
    """CPU seconds, user and system, children included."""
    wall_s: float = 0.0
    peak_rss_bytes: int = 0
    """Largest resident memory of the process or any child."""
    read_bytes: int = 0
    written_bytes: int = 0
    n_pixels: int = 0
    """Pixels computed."""
    area_km2: float = 0.0
    """Area computed."""
    stages: Mapping[str, float] = field(default_factory=dict)
    """Of ``cpu_s``, the seconds measured inside each stage (read, composite, predict, write,
    detector, audit); the rest belongs to none."""

    @property
    def other_cpu_s(self) -> float:
        """CPU seconds no stage claims: planning, putting the map together, starting up."""
        return max(0.0, self.cpu_s - sum(self.stages.values()))

    def __add__(self, other: RunCost) -> RunCost:
        """Add two runs; the peak is the larger one."""
        return RunCost(
            cpu_s=self.cpu_s + other.cpu_s,
            wall_s=self.wall_s + other.wall_s,
            peak_rss_bytes=max(self.peak_rss_bytes, other.peak_rss_bytes),
            read_bytes=self.read_bytes + other.read_bytes,
            written_bytes=self.written_bytes + other.written_bytes,
            n_pixels=self.n_pixels + other.n_pixels,
            area_km2=self.area_km2 + other.area_km2,
            stages=sum_stages(self.stages, other.stages),
        )


def sum_stages(*parts: Mapping[str, float]) -> dict[str, float]:
    """Add CPU seconds by stage."""
    total: dict[str, float] = {}
    for part in parts:
        for stage, cpu_s in part.items():
            total[stage] = total.get(stage, 0.0) + cpu_s
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What a CPU hour costs; zero means *not set* and nothing is shown."""

    usd_per_cpu_hour: float = 0.0
    watt_per_cpu: float = 0.0

    def cost_usd(self, cost: RunCost) -> float | None:
        """Money for ``cost``, or None without a rate."""
        return cost.cpu_s / 3600 * self.usd_per_cpu_hour if self.usd_per_cpu_hour else None

    def energy_wh(self, cost: RunCost) -> float | None:
        """Energy for ``cost`` in watt hours, or None without a rate."""
        return cost.cpu_s / 3600 * self.watt_per_cpu if self.watt_per_cpu else None
