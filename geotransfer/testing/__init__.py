"""The simulated world with known truth, shipped to users.

Everything made here is simulated, and says so: ids begin with ``simulated``, names with
"Simulated". Only class statistics come from real data (Digital Earth Africa, CC BY 4.0).
"""

from __future__ import annotations

from geotransfer.testing.ground import (
    ChangeEvent,
    Ground,
    SceneArrays,
    add_changes,
    build_ground,
    simulate_scene_arrays,
)
from geotransfer.testing.points import Points, sample_points, write_points_csv
from geotransfer.testing.publishing import Republish, add_scene
from geotransfer.testing.statistics import derive_statistics, load_statistics
from geotransfer.testing.world import Role, SimulatedRegion, World, make_world, open_world

__all__ = [
    "ChangeEvent",
    "Ground",
    "Points",
    "Republish",
    "Role",
    "SceneArrays",
    "SimulatedRegion",
    "World",
    "add_changes",
    "add_scene",
    "build_ground",
    "derive_statistics",
    "load_statistics",
    "make_world",
    "open_world",
    "sample_points",
    "simulate_scene_arrays",
    "write_points_csv",
]
