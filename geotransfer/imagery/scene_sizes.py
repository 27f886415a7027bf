"""How many bytes scenes have and how much of them a region reads, before anything is read."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import requests
import shapely
from shapely.geometry import shape

from geotransfer.core.found import SceneSizes
from geotransfer.core.scene import Asset, Scene
from geotransfer.errors import GeoTransferError
from geotransfer.imagery.access import Access, is_http, is_remote, locate_file, make_session, sign
from geotransfer.imagery.areas import project_equal_area
from geotransfer.imagery.scene_query import make_footprint
from geotransfer.imagery.signers import make_headers

MAX_ASKED = 300
"""Files a search asks servers for; the others are taken to be like these."""
N_ASKERS = 8
SAMPLE_BYTES = 2
"""Of one value of a scene; the data type of nearly every archive is 16 bit."""
DEFAULT_PIXEL_M = 10.0
METRES_PER_DEGREE = 111_320.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SceneReach:
    """How much of one scene a region takes."""

    region_share: float
    """Share of the region's area inside the scene's footprint."""
    scene_share: float
    """Share of the footprint's area inside the region's bounds: blocks are read around pixels."""
    n_pixels: int
    """Of one band, inside the region."""


def list_needed(scene: Scene, bands: Sequence[str]) -> list[Asset]:
    """Return the files of a scene that a map needs: its bands and its mask."""
    return [a for a in scene.assets if a.name in bands or a.is_mask]


def measure_sizes(
    scenes: Sequence[Scene], bands: Sequence[str], access: Access
) -> tuple[SceneSizes, dict[str, int | None]]:
    """Return the bytes of the files that a map needs, in all and by scene.

    Of each file the catalog's ``file:size`` counts; else what its server (or disk) answers, for at
    most 300 files; else the mean of what is known of the same band, or shape × 2 bytes.
    """
    # Bands of one file are one file.
    files = {asset.href: (scene, asset) for scene in scenes for asset in list_needed(scene, bands)}
    unstated = [asset for _, asset in files.values() if not asset.size_bytes]
    askable = [a for a in unstated if is_http(a.href) or not is_remote(a.href)]
    asked: dict[str, int] = {}
    with ThreadPoolExecutor(N_ASKERS) as pool:
        chosen = askable[:MAX_ASKED]
        answers = pool.map(partial(_ask_size, access=access), chosen)
        for asset, size in zip(chosen, answers, strict=True):
            if size is not None:
                asked[asset.href] = size
    means = _average_by_band([asset for _, asset in files.values()], asked)
    sizes = SceneSizes()
    by_href: dict[str, int | None] = {}
    for href, (scene, asset) in files.items():
        if asset.size_bytes:
            by_href[href] = asset.size_bytes
            sizes = replace(
                sizes,
                stated_bytes=sizes.stated_bytes + asset.size_bytes,
                n_stated=sizes.n_stated + 1,
            )
        elif href in asked:
            by_href[href] = asked[href]
            sizes = replace(
                sizes, asked_bytes=sizes.asked_bytes + asked[href], n_asked=sizes.n_asked + 1
            )
        elif (guess := means.get(asset.name) or _estimate_size(scene)) is not None:
            by_href[href] = guess
            sizes = replace(
                sizes,
                estimated_bytes=sizes.estimated_bytes + guess,
                n_estimated=sizes.n_estimated + 1,
            )
        else:
            by_href[href] = None
            sizes = replace(sizes, n_unknown=sizes.n_unknown + 1)
    return sizes, {scene.scene_id: _sum_scene(scene, bands, by_href) for scene in scenes}


def _sum_scene(scene: Scene, bands: Sequence[str], by_href: Mapping[str, int | None]) -> int | None:
    found = [by_href[href] for href in {asset.href for asset in list_needed(scene, bands)}]
    return None if None in found else sum(size or 0 for size in found)


def _average_by_band(assets: Sequence[Asset], asked: Mapping[str, int]) -> dict[str, int]:
    known: dict[str, list[int]] = defaultdict(list)
    for asset in assets:
        size = asset.size_bytes or asked.get(asset.href)
        if size:
            known[asset.name].append(size)
    return {name: sum(sizes) // len(sizes) for name, sizes in known.items()}


def _ask_size(asset: Asset, *, access: Access) -> int | None:
    """Ask for a file's size; a server that does not say leaves it unknown."""
    if not is_remote(asset.href):
        path = locate_file(asset.href)
        return path.stat().st_size if path.is_file() else None
    quick = replace(access, n_retries=min(access.n_retries, 1))
    try:
        with (
            make_session(quick) as session,
            session.head(
                sign(asset.href, access),
                headers=make_headers(asset.href, access.signers),
                timeout=access.timeout_s,
                allow_redirects=True,
            ) as answer,
        ):
            length = answer.headers.get("Content-Length", "")
            return int(length) if answer.status_code == 200 and length.isdigit() else None
    except (requests.RequestException, GeoTransferError):
        return None


def _estimate_size(scene: Scene) -> int | None:
    return scene.shape[0] * scene.shape[1] * SAMPLE_BYTES if scene.shape else None


def measure_reach(scenes: Sequence[Scene], outline: str) -> list[SceneReach]:
    """Return how much of each scene a region takes, from footprints and equal areas."""
    region = project_equal_area(shape(json.loads(outline)))
    window = shapely.box(*region.bounds)
    found = []
    for scene in scenes:
        footprint = project_equal_area(make_footprint(scene.bounds))
        inside = region.intersection(footprint).area
        read = window.intersection(footprint).area
        found.append(
            SceneReach(
                region_share=inside / region.area if region.area else 0.0,
                scene_share=min(1.0, read / footprint.area) if footprint.area else 0.0,
                n_pixels=round(inside / _find_pixel_m2(scene)),
            )
        )
    return found


def _find_pixel_m2(scene: Scene) -> float:
    """Return the area of a pixel: by the transform where it is in metres, else 10 m a side."""
    if scene.transform is None or scene.crs is None:
        return DEFAULT_PIXEL_M**2
    a, b, _, d, e, _ = scene.transform
    area = abs(a * e - b * d)
    if scene.crs in ("EPSG:4326", "OGC:CRS84"):
        middle = (scene.bounds[1] + scene.bounds[3]) / 2
        return area * METRES_PER_DEGREE**2 * max(0.01, math.cos(math.radians(middle)))
    return area
