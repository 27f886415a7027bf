"""The legend of what changed between two maps of one legend."""

from __future__ import annotations

from geotransfer.core.legend import Legend, LegendClass

UNCHANGED_CODE = 0
UNCHANGED_COLOR = "#dcdad5"
LOST_COLOR = "#3c3c3c"


def make_change_legend(legend: Legend) -> Legend:
    """Return the classes of a change raster: as before, became each class, no answer any more.

    Class number i of ``legend`` is code i + 1 here, in its own colour.
    """
    became = tuple(
        LegendClass(code=number, name=f"became {item.name}", color=item.color)
        for number, item in enumerate(legend.classes, start=1)
    )
    return Legend(
        name=f"change of {legend.name}",
        classes=(
            LegendClass(code=UNCHANGED_CODE, name="as before", color=UNCHANGED_COLOR),
            *became,
            LegendClass(code=len(became) + 1, name="no answer any more", color=LOST_COLOR),
        ),
    )
