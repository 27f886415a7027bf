"""Pixel grids and the tiles they are computed on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Shape, affine transform and CRS of a raster; north up, (height, width) order."""

    crs: str
    """Authority code, for example ``EPSG:32631``."""
    transform: tuple[float, float, float, float, float, float]
    """Affine coefficients a, b, c, d, e, f: x = a·col + b·row + c, y = d·col + e·row + f."""
    height: int
    """Rows."""
    width: int
    """Columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """A fixed cell of a grid: the unit of only-if-changed."""

    tile_id: str
    """``r<row>c<column>`` in tiles."""
    row: int
    """First pixel row of the tile in its grid."""
    col: int
    """First pixel column."""
    height: int
    width: int


def cut_tiles(grid: Grid, tile_px: int) -> tuple[Tile, ...]:
    """Cut ``grid`` into tiles of ``tile_px`` pixels a side, row by row; edge tiles are smaller."""
    return tuple(
        Tile(
            tile_id=f"r{row // tile_px:03d}c{col // tile_px:03d}",
            row=row,
            col=col,
            height=min(tile_px, grid.height - row),
            width=min(tile_px, grid.width - col),
        )
        for row in range(0, grid.height, tile_px)
        for col in range(0, grid.width, tile_px)
    )
