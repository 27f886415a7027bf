"""The page's icon, drawn rather than fetched."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, ImageDraw

SIDE_PX = 64


@lru_cache(maxsize=1)
def draw_icon() -> Image.Image:
    """Return a globe with two fields on it."""
    image = Image.new("RGBA", (SIDE_PX, SIDE_PX), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    draw.ellipse((3, 3, SIDE_PX - 4, SIDE_PX - 4), fill="#0b6e6e")
    draw.polygon([(14, 24), (34, 17), (39, 31), (19, 38)], fill="#e69f00")
    draw.polygon([(32, 42), (48, 36), (52, 46), (36, 52)], fill="#f7e84e")
    return image
