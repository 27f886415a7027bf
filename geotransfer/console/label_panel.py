"""Upload labels: preview, mapping, each bad row with its reason, good rows go on."""

from __future__ import annotations

from functools import partial

import pandas as pd
import streamlit as st

from geotransfer.console.map.component import show_map
from geotransfer.console.map.spec import MapSpec, Mark, VectorLayer, View
from geotransfer.console.map_panel import make_class_legend
from geotransfer.console.map_sources import make_outline
from geotransfer.console.previews import REJECTED_COLOR, keep_preview, make_preview
from geotransfer.console.state import PREFIX, find_actor, run_guarded
from geotransfer.core.fact import LabelsAdded
from geotransfer.core.legend import Legend, LegendClass
from geotransfer.errors import GeoTransferError
from geotransfer.labels.checking import CheckedLabels
from geotransfer.labels.columns import ColumnChoice
from geotransfer.labels.exports import write_rejected_csv
from geotransfer.labels.reading import preview_labels
from geotransfer.labels.table import LabelPreview
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.labels import add_checked, check_file, erase_labels
from geotransfer.workflows.views import RegionView

FORMATS = ["csv", "tsv", "txt", "geojson", "json", "gpkg", "zip", "parquet", "geoparquet"]
GUESS = "(guess)"
MANY = 500
"""Labels from which the map gathers those that would overlap."""
LEAVE_OUT = "leave these rows out"


def show_upload(workspace: Workspace, view: RegionView) -> None:
    """Show the uploader and what was found in the file."""
    left, right = st.columns([2, 1])
    uploaded = left.file_uploader(
        "Label file: a class and a place in each row",
        type=FORMATS,
        key=f"upload-{view.region.region_id}",
        help="CSV with lon/lat or WKT, GeoJSON, GeoPackage, zipped Shapefile or GeoParquet; points"
        " or polygons, any CRS.",
    )
    role = right.radio(
        "Use them to",
        ["calibration", "holdout"],
        format_func={
            "calibration": "calibrate (fine-tune)",
            "holdout": "judge only (holdout)",
        }.__getitem__,
        key="labels-role",
        help="Holdout labels never reach fine-tuning; keep them apart from the others.",
    )
    if uploaded is None:
        _show_kept(workspace, view.region.region_id)
        return
    try:
        preview = preview_labels(uploaded.getvalue(), uploaded.name)
        layer = _pick_layer(preview)
        if layer is None and len(preview.layers) > 1:
            return
        columns = _pick_columns(preview)
        is_swapped_fixed = st.session_state.get("fix-swapped", False)
        checked = check_file(
            workspace,
            view.region.region_id,
            uploaded.getvalue(),
            uploaded.name,
            layer=layer,
            columns=columns,
            mapping=st.session_state.get(f"mapping-{uploaded.file_id}"),
            fix_swapped=is_swapped_fixed,
        )
    except GeoTransferError as error:
        st.error(str(error), icon=":material/error:")
        return
    show_checked(checked, view.legend, key=uploaded.file_id)
    _show_recognised(workspace, view.region.region_id, checked)
    n_good = len(checked.good)
    st.button(
        f"Keep the {n_good} good labels",
        type="primary",
        disabled=not n_good,
        icon=":material/save:",
        on_click=run_guarded,
        args=(
            lambda: add_checked(
                workspace, view.region.region_id, checked, role=role, actor=find_actor()
            ),
        ),
        kwargs={"success": f"Kept {n_good} labels. Next: fine-tune, below."},
    )


def _show_recognised(workspace: Workspace, region_id: str, checked: CheckedLabels) -> None:
    """Say whether the good rows are a probability sample that *Label next* drew."""
    # Loaded at the first upload only: it searches among places.
    from geotransfer.workflows.probability_sample import describe_recognised

    if len(checked.good) and checked.good.has_places:
        told = describe_recognised(workspace, region_id, checked.good.positions)
        if told:
            st.info(told, icon=":material/rule:")


def _pick_layer(preview: LabelPreview) -> str | None:
    if len(preview.layers) < 2:
        return None
    return st.selectbox("Layer", preview.layers, index=None, placeholder="Choose a layer")


def _pick_columns(preview: LabelPreview) -> ColumnChoice:
    """Show the guesses, and let each be changed."""
    guessed = {guess.role: guess.column for guess in preview.guesses}
    with st.expander("Columns and first rows", expanded=bool(preview.personal)):
        st.dataframe(
            pd.DataFrame(preview.first_rows, columns=list(preview.columns)), hide_index=True
        )
        options = [GUESS, *preview.columns]
        picked: dict[str, str | None] = {}
        roles = [("class_name", "Class"), ("date", "Date")]
        if not preview.has_geometry:
            roles = [("longitude", "Longitude"), ("latitude", "Latitude"), *roles]
        for column, (role, title) in zip(st.columns(len(roles)), roles, strict=True):
            choice = column.selectbox(
                f"{title} column", options, key=f"column-{role}",
                format_func=partial(_name_option, guess=guessed.get(role)),
            )  # fmt: skip
            picked[role] = None if choice == GUESS else choice
        keep = _pick_personal(preview)
    return ColumnChoice(
        longitude=picked.get("longitude"),
        latitude=picked.get("latitude"),
        class_name=picked.get("class_name"),
        date=picked.get("date"),
        keep=tuple(keep),
    )


def _name_option(name: str, *, guess: str | None) -> str:
    if name != GUESS:
        return name
    return f"guessed: {guess}" if guess else "none found"


def _pick_personal(preview: LabelPreview) -> list[str]:
    """Say which columns look like personal data; each is dropped unless kept on purpose."""
    if not preview.personal:
        st.caption("No column looks like personal data.")
        return []
    named = ", ".join(f"`{column.name}` ({column.kind})" for column in preview.personal)
    st.caption(f"Looks like personal data, dropped unless kept on purpose: {named}.")
    return st.multiselect(
        "Keep on purpose",
        [column.name for column in preview.personal],
        help="Keep a column only where you may; it then stays in downloads of this upload's rows.",
    )


def show_checked(checked: CheckedLabels, legend: Legend, *, key: str) -> None:
    """Show counts, mapping, warnings and every rejected row with its reason."""
    good, bad = len(checked.good), len(checked.rejected)
    a, b, c = st.columns(3)
    a.metric("Good rows", good)
    b.metric("Rejected rows", bad)
    c.metric("Classes", len(set(checked.class_names)))
    _show_mapping(checked, legend, key)
    for warning in checked.warnings:
        st.warning(warning, icon=":material/info:")
    if bad:
        st.markdown(f"**{bad} rows cannot be used, each for this reason:**")
        st.dataframe(
            pd.DataFrame(
                {
                    checked.table.row_word: [r.row for r in checked.rejected],
                    "reason": [r.reason for r in checked.rejected],
                    "what to do": [r.remedy for r in checked.rejected],
                }
            ),
            hide_index=True,
            alt="Rejected rows with reasons",
        )
        left, right = st.columns(2)
        left.download_button(
            "Download the rejected rows (CSV)",
            write_rejected_csv(checked),
            file_name=f"rejected-{checked.table.file_name.rsplit('.', 1)[0]}.csv",
            mime="text/csv",
            icon=":material/download:",
        )
        if any("swapped" in r.kind for r in checked.rejected):
            right.checkbox("Exchange longitude and latitude where swapped", key="fix-swapped")
    if checked.table.has_places:
        _show_places(checked, key)


@st.fragment
def _show_places(checked: CheckedLabels, key: str) -> None:
    """Show every label that has a place, good or not; many are gathered into circles."""
    document, bounds = make_preview(checked)
    if bounds is None:
        return
    name = keep_preview(document)
    region_id = str(st.session_state.get("region_id") or "")
    points = VectorLayer(
        layer_id="uploaded",
        name="Uploaded labels",
        url=f"{PREFIX}/vector/preview/{name}.geojson",
        mark=Mark.CIRCLE,
        color_property="color",
        text_property="text",
        size_px=5,
        is_clustered=len(checked.table) > MANY,
    )
    show_map(
        MapSpec(
            description=f"Map of {len(checked.good)} good and {len(checked.rejected)} rejected"
            " labels; the table of rejected rows gives the reasons.",
            view=View(bounds=bounds),
            focus=name,
            vectors=(make_outline(region_id), points) if region_id else (points,),
            height_px=340,
            base_url=PREFIX,
        ),
        key=f"places-{key}",
    )
    kinds = [*checked.legend.classes]
    if checked.rejected:
        kinds.append(LegendClass(code=254, name="rejected", color=REJECTED_COLOR))
    st.html(make_class_legend({}, Legend(name="uploaded labels", classes=tuple(kinds))))
    st.caption(
        "Point at a label for its row; circles with a number stand for several, zoom in. The map is"
        " made from the upload and gone with it: nothing is stored before you keep it."
    )


def _show_mapping(checked: CheckedLabels, legend: Legend, key: str) -> None:
    """Show what each class name of the file means; a changed choice is used at the next run."""
    given = sorted({str(name) for name in checked.table.class_names if name})
    names = list(legend.names)
    current = dict(checked.mapping.used)
    frame = pd.DataFrame(
        {"in the file": given, "means": [current.get(name) or LEAVE_OUT for name in given]}
    )
    with st.expander("What each class name means", expanded=any(n not in current for n in given)):
        edited = st.data_editor(
            frame,
            hide_index=True,
            disabled=["in the file"],
            key=f"legend-{key}",
            column_config={
                "means": st.column_config.SelectboxColumn(
                    options=[*names, LEAVE_OUT], required=True
                )
            },
        )
    chosen = {
        str(row["in the file"]): "" if row["means"] == LEAVE_OUT else str(row["means"])
        for row in edited.to_dict("records")
        if row["means"] != LEAVE_OUT or str(row["in the file"]) in current
    }
    if not frame.equals(edited):
        st.session_state[f"mapping-{key}"] = chosen
        st.rerun()


def _show_kept(workspace: Workspace, region_id: str) -> None:
    facts = [
        r
        for r in workspace.ledger.read(LabelsAdded, region_id=region_id)
        if workspace.blobs.exists(r.fact.labels_id) and r.fact.file_name != "known truth"
    ]
    if not facts:
        st.caption(
            "About 100 labels spread over the whole region work best; ten are the least. A CSV with"
            " the columns `lon`, `lat`, `class` is enough."
        )
        return
    title = "1 upload kept" if len(facts) == 1 else f"{len(facts)} uploads kept"
    with st.expander(title, expanded=False):
        for recorded in reversed(facts):
            fact = recorded.fact
            left, right = st.columns([4, 1])
            left.markdown(
                f"**{fact.file_name}** · {fact.n_rows} {fact.role} labels ·"
                f" {fact.n_rejected} rejected · {recorded.at[:16]}"
            )
            right.button(
                "Erase",
                key=f"erase-{recorded.seq}",
                on_click=run_guarded,
                args=(
                    lambda labels_id=fact.labels_id: erase_labels(
                        workspace, region_id, labels_id, actor=find_actor()
                    ),
                ),
                kwargs={"success": "Erased; the history keeps only its id and counts."},
            )
