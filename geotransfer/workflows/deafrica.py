"""The Digital Earth Africa reference tables: downloaded from their source, or taken from a folder.

CC BY 4.0, © Digital Earth Africa contributors.
"""

from __future__ import annotations

import hashlib
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from geotransfer.core.spec import S2_SEMIANNUAL
from geotransfer.errors import NotFound, TableInvalid
from geotransfer.store.atomic import write_bytes
from geotransfer.store.workspace import Workspace
from geotransfer.transfer.samples import read_reference_table
from geotransfer.workflows.progress import Progress, ignore_progress
from geotransfer.workflows.source import TABLES

COMMIT = "d19371cd0a723c6730ceebc033edc5ecce9e265e"
BASE_URL = f"https://raw.githubusercontent.com/digitalearthafrica/crop-mask/{COMMIT}/data"
SHA256 = {
    "central": "4a97e9945d7d7824f05c2aa7e694e0dc842c9479f6b50a7598b462eec95e4974",
    "eastern": "e8ad862f86ea38d6237b6c0dbae2d4fbcfd5b6e00759bc367d30cb346e78eab3",
    "northern": "f1829bdf1b9ff9c8b811a6618d745f213b26d19bb2ef50f60928890db3230aa7",
    "sahel": "eb0304386b2c189111bae16e7c80100345639d38a29385c3c8e7483255633e42",
    "southern": "e0fd27a75442b7fe0ff0830e4e197b11fc2d76f05a58c28ba4881e78d07b428d",
    "western": "7cd01791676f980b604147d21c82e2ce4f0b3f1df74185d231e5067a554339f1",
}
"""Sum of each region's table; anything else is refused."""

CHUNK_BYTES = 1 << 18
TIMEOUT_S = 30


def fetch_tables(
    workspace: Workspace, *, base_url: str = BASE_URL, progress: Progress = ignore_progress
) -> tuple[str, ...]:
    """Download the tables; one that is there already is not fetched again, a part is continued.

    Raises
    ------
    NotFound
        The source cannot be reached; what was loaded is kept for the next try.
    TableInvalid
        A file is not the one expected; it is removed.
    """
    folder = workspace.folder / TABLES
    for number, (region, expected) in enumerate(SHA256.items()):
        progress(number, len(SHA256), f"fetching {region}")
        target = folder / region / "training_data.txt"
        if target.exists() and _hash(target) == expected:
            continue
        part = target.with_suffix(".part")
        _download(f"{base_url}/{region}/training_data.txt", part)
        if _hash(part) != expected:
            part.unlink()
            raise TableInvalid(
                f"{region}/training_data.txt is not the file expected (its SHA-256 differs);"
                " nothing was kept of it, try again."
            )
        part.replace(target)
    progress(len(SHA256), len(SHA256), "fetched")
    return tuple(SHA256)


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(url: str, part: Path) -> None:
    part.parent.mkdir(parents=True, exist_ok=True)
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            # A source that does not know ranges sends everything again.
            mode = "ab" if answer.status == 206 else "wb"
            with part.open(mode) as file:
                before = file.tell() if mode == "ab" else 0
                shutil.copyfileobj(answer, file, CHUNK_BYTES)
                came = file.tell() - before
            # A connection that ends early ends quietly: only the promised length tells.
            promised = int(answer.headers.get("Content-Length", came))
        if came < promised:
            raise NotFound(
                f"{url} broke off after {came} of {promised} bytes; run the command again, it goes"
                " on where it stopped."
            )
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416:
            return
        raise NotFound(f"{url} answered {error.code}; try again later.") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise NotFound(
            f"{url} cannot be reached; connect to the network and run the command again, it goes on"
            " where it stopped."
        ) from error


def import_tables(workspace: Workspace, folder: Path) -> tuple[str, ...]:
    """Copy the tables below a folder into the workspace after reading them once.

    Raises
    ------
    NotFound
        The folder holds no table.
    TableInvalid
        A table cannot be read; then none is imported.
    """
    paths = sorted(folder.glob("*/training_data.txt"))
    if not paths:
        raise NotFound(
            f"{folder}: no table found; give a folder that holds <region>/training_data.txt."
        )
    for path in paths:
        read_reference_table(path.parent, S2_SEMIANNUAL)
    for path in paths:
        target = workspace.folder / TABLES / path.parent.name
        for name in ("training_data.txt", "coordinates_epsg6933.txt"):
            if (path.parent / name).exists():
                write_bytes(target / name, (path.parent / name).read_bytes())
    return tuple(path.parent.name for path in paths)
