"""Sensors are data: band names, default scale, mask rules. A user's own sensor is one more row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from geotransfer.core.spec import BANDS


class MaskKind(StrEnum):
    """How a mask band says that a pixel is not the ground."""

    CLASSES = "classes"
    """One code a pixel; some codes are bad (Sentinel-2 SCL)."""
    BITS = "bits"
    """Flags packed in bits; any of some bits is bad (Landsat QA_PIXEL)."""
    FLAG = "flag"
    """Zero is clear, anything else is cloud."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRule:
    """Which pixels of a scene do not show the ground. Part of the key of only-if-changed."""

    kind: MaskKind
    bad: tuple[int, ...] = ()
    """Bad codes, or bad bit positions."""
    dilate_px: int = 2
    """Bad pixels grow by this many pixels of the grid: cloud edges are seldom masked whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """One row of the sensor table."""

    name: str
    bands: Mapping[str, str]
    """Asset name in the catalog → our band name."""
    scale: float
    """Where the catalog states none."""
    offset: float
    nodata: float | None
    masks: Mapping[str, MaskRule] = field(default_factory=dict)
    """Asset name in the catalog → rule; the first one found is used."""


_SCL = MaskRule(kind=MaskKind.CLASSES, bad=(0, 1, 3, 8, 9, 10, 11))
_QA_PIXEL = MaskRule(kind=MaskKind.BITS, bad=(0, 1, 2, 3, 4, 5))
_CLOUD = MaskRule(kind=MaskKind.FLAG)

_OURS = (
    "blue",
    "green",
    "red",
    "nir",
    "swir_1",
    "swir_2",
    "red_edge_1",
    "red_edge_2",
    "red_edge_3",
)

SENTINEL_2 = Sensor(
    name="sentinel-2-l2a",
    bands={
        **{band: band for band in BANDS},
        "swir16": "swir_1",
        "swir22": "swir_2",
        "rededge1": "red_edge_1",
        "rededge2": "red_edge_2",
        "rededge3": "red_edge_3",
        "B02": "blue",
        "B03": "green",
        "B04": "red",
        "B05": "red_edge_1",
        "B06": "red_edge_2",
        "B07": "red_edge_3",
        "B08": "nir",
        "B11": "swir_1",
        "B12": "swir_2",
        "ndvi": "ndvi",
    },
    scale=1e-4,
    offset=0.0,
    nodata=0,
    masks={"scl": _SCL, "SCL": _SCL, "cloud": _CLOUD},
)

LANDSAT = Sensor(
    name="landsat-c2-l2",
    bands={
        "blue": "blue",
        "green": "green",
        "red": "red",
        "nir08": "nir",
        "swir16": "swir_1",
        "swir22": "swir_2",
    },
    scale=2.75e-5,
    offset=-0.2,
    nodata=0,
    masks={"qa_pixel": _QA_PIXEL},
)

SENSORS = {sensor.name: sensor for sensor in (SENTINEL_2, LANDSAT)}
"""Shipped rows by name."""


def find_sensor(collection: str, platform: str) -> Sensor:
    """Return the row for a catalog's collection and platform; Sentinel-2 names are the default."""
    words = f"{collection} {platform}".lower()
    return LANDSAT if "landsat" in words else SENTINEL_2


def find_mask_rule(sensor_name: str, mask_asset: str) -> MaskRule | None:
    """Return the rule for a mask asset of a sensor, or None where it has none."""
    return SENSORS[sensor_name].masks.get(mask_asset)
