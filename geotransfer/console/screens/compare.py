"""Compare: two models or regions side by side; figures, maps, gates, cost."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from geotransfer.console.comparison_panel import SIDES, show_cost, show_figures, show_gates
from geotransfer.console.map.component import show_map
from geotransfer.console.map.spec import (
    MapSpec,
    RasterLayer,
    SeenView,
    Swipe,
    VectorLayer,
    View,
)
from geotransfer.console.map_panel import make_raster_legend
from geotransfer.console.map_sources import find_raster_url, make_outline
from geotransfer.console.state import (
    PREFIX,
    explain_errors,
    find_catalog,
    find_workspace,
    load_views,
    read_address,
    show_notice,
    write_address,
)
from geotransfer.core.region import Region, RegionKind
from geotransfer.store.workspace import Workspace
from geotransfer.tiles.catalog import RasterEntry, RasterKind
from geotransfer.workflows.comparison import Contender, list_contenders
from geotransfer.workflows.views import RegionView, read_bounds

ARRANGEMENTS = {"swipe": "Swipe", "pair": "Side by side"}


def show() -> None:
    """Show the page."""
    workspace = find_workspace()
    st.title("Compare")
    show_notice()
    views = load_views()
    if not views:
        st.info(
            "Nothing to compare yet: there are no regions. Run `geotransfer init`, or add a region"
            " under *New region*."
        )
        return
    with explain_errors():
        left, right = st.columns(2, gap="medium")
        with left:
            first = _pick_contender(workspace, views, side="a", place=0)
        with right:
            second = _pick_contender(workspace, views, side="b", place=1)
        if first is None or second is None:
            return
        write_address({
            "a": f"{first.region.region_id}:{first.key}",
            "b": f"{second.region.region_id}:{second.key}",
        })  # fmt: skip
        _show_kinds(first, second)
        show_figures(first, second)
        _show_maps(first, second)
        show_gates(first, second)
        show_cost(first, second)


def _pick_contender(
    workspace: Workspace, views: tuple[RegionView, ...], *, side: str, place: int
) -> Contender | None:
    """Show the choice of region and model; the address decides at first."""
    regions = {view.region.region_id: view.region.name for view in views}
    told = (read_address(side) or "").partition(":")
    usual = _find_usual(views, place)
    start = told[0] if told[0] in regions else usual
    region_id = st.selectbox(
        f"Region {side.upper()}", list(regions), index=list(regions).index(start),
        format_func=regions.__getitem__, key=f"compare-region-{side}",
    )  # fmt: skip
    found = {c.key: c for c in list_contenders(workspace, region_id)}
    if not found:
        st.info(
            "No map here yet, so there is no model to compare. Open the region and press *Refresh"
            " map*."
        )
        return None
    keys = list(found)
    # The same region on both sides: two models of it, where there are two.
    is_same = side == "b" and region_id == (read_address("a") or "").partition(":")[0]
    wanted = told[2] if told[2] in found and told[0] == region_id else keys[-1 if is_same else 0]
    key = st.selectbox(
        f"Model {side.upper()}", keys, index=keys.index(wanted),
        format_func=lambda k: found[k].name, key=f"compare-model-{side}-{region_id}",
    )  # fmt: skip
    return found[key]


def _find_usual(views: tuple[RegionView, ...], place: int) -> str:
    """Regions with maps first: they have the most to compare."""
    asked = st.session_state.get("region_id")
    ids = [v.region.region_id for v in sorted(views, key=lambda v: v.refresh is None)]
    if asked in ids:
        ids.remove(asked)
        ids.insert(0, asked)
    return ids[min(place, len(ids) - 1)]


def _show_kinds(first: Contender, second: Contender) -> None:
    if first.region.kind is not second.region.kind:
        st.warning(
            "These regions are of different kinds: a simulated or table region says nothing about"
            " a mapped one. Read the columns one by one, not against each other.",
            icon=":material/compare_arrows:",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One map of the comparison."""

    contender: Contender
    entries: dict[str, RasterEntry]

    @property
    def version(self) -> str:
        """Of the map, as the routes name it."""
        return (self.contender.map_id or "")[:16]


@st.fragment
def _show_maps(first: Contender, second: Contender) -> None:
    st.subheader("Maps", anchor="maps")
    sides = []
    for name, contender in zip(SIDES, (first, second), strict=True):
        version = contender.map_id[:16] if contender.map_id else None
        found = find_catalog().list_rasters(contender.region.region_id, version) if version else {}
        if not found:
            reason = (
                "a table of samples has no map"
                if contender.region.kind is RegionKind.TABLE
                else "this model has made no map here; promote it, and a refresh makes one"
            )
            st.info(f"No map of {name.upper()}: {reason}.")
        else:
            sides.append(Side(contender=contender, entries=found))
    if not sides:
        return
    shared = [name for name in sides[0].entries if all(name in side.entries for side in sides)]
    asked = read_address("layer", shared)
    is_same = len(sides) == 2 and first.region.region_id == second.region.region_id
    left, right = st.columns([3, 1])
    layer = left.selectbox(
        "Layer", shared, index=shared.index(asked) if asked else 0, key="compare-layer",
        format_func=lambda n: sides[0].entries[n].name,
    )  # fmt: skip
    arrangement = "pair"
    if is_same:
        told = read_address("maps", ARRANGEMENTS) or "swipe"
        arrangement = right.segmented_control(
            "Arrangement", list(ARRANGEMENTS), format_func=ARRANGEMENTS.__getitem__, default=told,
            key="compare-maps", required=True,
        ) or told  # fmt: skip
    write_address({"layer": layer, "maps": arrangement if is_same else None})
    if is_same and arrangement == "swipe":
        _show_swipe(sides, layer)
    else:
        _show_pair(sides, layer, is_same=is_same)
    legend = make_raster_legend(sides[0].entries[layer])
    if legend:
        st.html(legend)


def _make_raster(side: Side, layer: str, *, layer_id: str) -> RasterLayer:
    return RasterLayer(
        layer_id=layer_id,
        name=side.contender.name,
        url=find_raster_url(side.contender.region.region_id, layer, side.version),
        is_smooth=side.entries[layer].kind is RasterKind.RGB,
    )


def _make_outline(region: Region) -> VectorLayer:
    return make_outline(region.region_id, is_simulated=region.kind is RegionKind.SIMULATED)


def _show_swipe(sides: list[Side], layer: str) -> None:
    first, second = sides
    region = first.contender.region
    show_map(
        MapSpec(
            description=f"{first.entries[layer].name} of {region.name}: {first.contender.name} at"
            f" the left of the handle, {second.contender.name} at the right",
            view=View(bounds=read_bounds(region)),
            focus=region.region_id,
            rasters=(
                _make_raster(first, layer, layer_id="before"),
                _make_raster(second, layer, layer_id="after"),
            ),
            vectors=(_make_outline(region),),
            swipe=Swipe(before="before", after="after"),
            height_px=480,
            base_url=PREFIX,
        ),
        key=f"compare-swipe-{region.region_id}",
    )


def _show_pair(sides: list[Side], layer: str, *, is_same: bool) -> None:
    """Show two maps that follow each other: the place where it is the same one, else the zoom."""
    pair = "-".join(f"{s.contender.region.region_id}.{s.contender.key}" for s in sides)
    cameras: dict[int, tuple[View, str]] = st.session_state.setdefault(f"compare-{pair}", {})
    seen: list[SeenView | None] = []
    for number, (column, side) in enumerate(zip(st.columns(len(sides)), sides, strict=True)):
        region = side.contender.region
        view, focus = cameras.get(number, (View(bounds=read_bounds(region)), region.region_id))
        with column:
            st.markdown(f"**{'AB'[number] if len(sides) == 2 else ''} {side.contender.title}**")
            event = show_map(
                MapSpec(
                    description=f"{side.entries[layer].name} of {side.contender.title}",
                    view=view,
                    focus=focus,
                    rasters=(_make_raster(side, layer, layer_id="map"),),
                    vectors=(_make_outline(region),),
                    height_px=420,
                    base_url=PREFIX,
                ),
                key=f"compare-{number}-{region.region_id}-{side.contender.key}",
            )
        seen.append(event.view)
    if len(sides) == 2:
        _follow(sides, cameras, seen, key=f"compare-seen-{pair}", is_same=is_same)


def _follow(
    sides: list[Side],
    cameras: dict[int, tuple[View, str]],
    seen: list[SeenView | None],
    *,
    key: str,
    is_same: bool,
) -> None:
    """Move the other map after the one the reader has moved."""
    before = st.session_state.get(key, [None, None])
    st.session_state[key] = seen
    moved = [n for n in (0, 1) if seen[n] is not None and seen[n] != before[n]]
    if len(moved) != 1:
        return
    lead, other = seen[moved[0]], 1 - moved[0]
    if lead is None:
        return
    west, south, east, north = read_bounds(sides[other].contender.region)
    theirs = seen[other]
    own = theirs.center if theirs else ((west + east) / 2, (south + north) / 2)
    center = lead.center if is_same else own
    focus = f"{center[0]:.6f} {center[1]:.6f} {lead.zoom:.3f}"
    if cameras.get(other, (None, ""))[1] != focus:
        cameras[other] = (View(center=center, zoom=lead.zoom), focus)
        st.rerun(scope="fragment")
