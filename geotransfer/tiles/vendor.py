"""MapLibre GL JS, from the installed ``maplibre`` wheel: nothing third-party is copied here."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from geotransfer.errors import DependencyMissing, NotFound

MEDIA_TYPES = {"maplibre-gl.js": "text/javascript", "maplibre-gl.css": "text/css"}
"""Files that are served, and as what."""


@lru_cache(maxsize=len(MEDIA_TYPES))
def read_vendor_file(name: str) -> bytes:
    """Return a file of MapLibre GL JS.

    Raises
    ------
    NotFound
        The name is none of ``MEDIA_TYPES``.
    DependencyMissing
        The wheel is not installed, or lacks the file.
    """
    if name not in MEDIA_TYPES:
        raise NotFound(f"there is no file {name!r}; ask for one of {', '.join(MEDIA_TYPES)}.")
    # Importing the package would load all its bindings; only its place is needed.
    spec = find_spec("maplibre")
    try:
        if spec is None or spec.origin is None:
            raise FileNotFoundError(name)
        return (Path(spec.origin).parent / "srcjs" / name).read_bytes()
    except FileNotFoundError:
        raise DependencyMissing(
            f"{name} is not installed; run: pip install 'maplibre==0.3.6'."
        ) from None
