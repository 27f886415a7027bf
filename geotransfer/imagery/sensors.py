"""Sensors are data: band names, default scale, mask rules. A user's own sensor is one more row."""

from __future__ import annotations

from collections.abc import Sequence

from geotransfer.core.scene import Scene
from geotransfer.core.sensor import MaskKind, MaskRule, Sensor
from geotransfer.core.spec import BANDS

__all__ = ["MaskKind", "MaskRule", "Sensor"]

_SCL = MaskRule(kind=MaskKind.CLASSES, bad=(0, 1, 3, 8, 9, 10, 11))
_QA_PIXEL = MaskRule(kind=MaskKind.BITS, bad=(0, 1, 2, 3, 4, 5))
_CLOUD = MaskRule(kind=MaskKind.FLAG)

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
    collections=("sentinel-2", "sentinel2"),
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
    collections=("landsat",),
)

SENSORS = {sensor.name: sensor for sensor in (SENTINEL_2, LANDSAT)}
"""Shipped rows by name."""


def find_sensor(collection: str, platform: str, own: Sequence[Sensor] = ()) -> Sensor:
    """Return the row for a catalog's collection and platform.

    A user's own rows come first, by their name or a word of theirs; Sentinel-2 names are the
    default.
    """
    words = f"{collection} {platform}".lower()
    for sensor in own:
        if sensor.name.lower() == collection.lower() or any(w in words for w in sensor.collections):
            return sensor
    return LANDSAT if "landsat" in words else SENTINEL_2


def find_mask_rule(scene: Scene, mask_asset: str) -> MaskRule | None:
    """Return the rule for a mask asset of a scene, or None where there is none.

    A scene of a user's own sensor carries its rule; the shipped rows serve all others.
    """
    if scene.mask_rule is not None:
        return scene.mask_rule
    sensor = SENSORS.get(scene.sensor)
    return None if sensor is None else sensor.masks.get(mask_asset)
