from __future__ import annotations

import pytest

from geotransfer.errors import DependencyMissing, NotFound
from geotransfer.tiles import vendor


def test_only_the_map_library_is_served() -> None:
    for name in vendor.MEDIA_TYPES:
        assert len(vendor.read_vendor_file(name)) > 10_000
    with pytest.raises(NotFound, match=r"maplibre-gl\.js"):
        vendor.read_vendor_file("../__init__.py")


def test_styles_ask_no_other_host() -> None:
    style = vendor.read_vendor_file("maplibre-gl.css").decode()
    addresses = [part.split(")")[0] for part in style.split("url(")[1:]]
    assert all(address.strip("\"'").startswith("data:") for address in addresses)


def test_missing_wheel_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    vendor.read_vendor_file.cache_clear()
    monkeypatch.setattr(vendor, "find_spec", lambda _: None)
    with pytest.raises(DependencyMissing, match="pip install"):
        vendor.read_vendor_file("maplibre-gl.js")
