"""Report: one region on one page that prints well, with all a reader must know of its map."""

from __future__ import annotations

from html import escape

from geotransfer.core.estimate import Estimate, Evaluation
from geotransfer.core.fact import FineTuneDone, ModelPromoted
from geotransfer.core.model import ModelVersion
from geotransfer.core.region import RegionKind
from geotransfer.registry.versions import list_versions
from geotransfer.store.ledger import format_time
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.cost_views import read_rates
from geotransfer.workflows.maps import locate_map
from geotransfer.workflows.promote import find_verdict
from geotransfer.workflows.report_map import choose_scale_km, draw_classes, draw_outline
from geotransfer.workflows.report_page import (
    make_cards,
    make_heading,
    make_page,
    make_pair,
    make_table,
    make_text,
)
from geotransfer.workflows.scene_list import load_scenes
from geotransfer.workflows.transfer_views import find_accuracy, find_applicability
from geotransfer.workflows.views import RegionView, find_region_view, read_bounds

KINDS = {
    RegionKind.TABLE: "Real reference samples, without imagery",
    RegionKind.IMAGERY: "Real imagery",
    RegionKind.SIMULATED: "Simulated: says nothing about a real place",
}


def make_report(workspace: Workspace, region_id: str) -> str:
    """Return a region's report as one self-contained HTML document.

    Raises
    ------
    NotFound
        There is no such region.
    """
    view = find_region_view(workspace, region_id)
    parts = [
        _make_title(workspace, view),
        _make_figures(workspace, view),
        make_pair(
            _make_map(workspace, view),
            "".join([*_make_areas(workspace, view), *_make_cost(workspace, view)]),
        ),
        *_make_accuracy(workspace, view),
        *_make_verdict(workspace, view),
        *_make_lineage(workspace, view),
        _make_foot(view),
    ]
    return make_page(f"{view.region.name}: region report", [part for part in parts if part])


def _make_title(workspace: Workspace, view: RegionView) -> str:
    kind = view.region.kind
    style = "kind simulated" if kind is RegionKind.SIMULATED else "kind"
    west, south, east, north = read_bounds(view.region)
    now = _write_time(format_time(workspace.clock()))
    return (
        f"<h1>{escape(view.region.name)}</h1>"
        f'<p><span class="{style}">{escape(KINDS[kind])}</span></p>'
        + make_text(
            f"Region report of {now} (UTC). {view.region.area_km2:,.1f} km², longitude {west:.4f}"
            f" to {east:.4f}, latitude {south:.4f} to {north:.4f}.",
            is_soft=True,
        )
    )


def _make_figures(workspace: Workspace, view: RegionView) -> str:
    e, reach = view.evaluation, view.reach
    accuracy = (
        ("Balanced accuracy", "not measured", view.needs or "no holdout labels judged this map")
        if e is None
        else (
            "Balanced accuracy",
            f"{e.balanced.value:.3f}",
            f"{_write_range(e.balanced)}; {e.estimand}, n = {e.matrix.n}",
        )
    )
    target = f"{view.reach_target:.0%}"
    trusted = (
        (f"Reach at {target}", "not measured", "its own rows must agree first")
        if reach is None
        else (
            f"Reach at {target}",
            f"{reach.value:.0%}",
            f"{_write_range(reach, percent=True)}: share where the map may be trusted",
        )
    )
    cards = [accuracy, trusted]
    applies = find_applicability(workspace, view.region.region_id)
    if applies is not None and view.refresh and applies.map_id == view.refresh.map_id:
        cards.append(
            (
                "Inside the area of applicability",
                f"{applies.inside_share:.0%}",
                f"dissimilarity up to {applies.threshold:.3f} ({applies.threshold_rule})",
            )
        )
    if view.cpu_s_per_km2 is not None:
        cards.append(
            ("Compute cost", f"{view.cpu_s_per_km2:.2f} CPU-s/km²", "of what was computed")
        )
    return make_cards(cards)


def _make_map(workspace: Workspace, view: RegionView) -> str:
    region = view.region
    done = view.refresh
    path = locate_map(workspace, region.region_id, done.map_id) / "class.tif" if done else None
    if done is None or path is None or not path.exists():
        outline = draw_outline(region.outline, title=f"Outline of {region.name}")
        return (
            make_heading("Region")
            + f"<figure>{outline}<figcaption>Outline; there is no map here."
            + f" {escape(view.needs)}</figcaption></figure>"
        )
    picture = draw_classes(path, view.legend)
    alternative = f"Class map of {region.name}: " + ", ".join(
        f"{name} {area:.2f} km²" for name, area in _sort_areas(view)
    )
    scale = ""
    if picture.width_km:
        length = choose_scale_km(picture.width_km)
        scale = (
            f'<div class="scale" style="width:{100 * length / picture.width_km:.1f}%"></div>'
            f'<span class="soft">{length:g} km</span>'
        )
    legend = "".join(
        f'<span><i class="swatch" style="background:{escape(item.color)}"></i>'
        f"{escape(item.name)}</span>"
        for item in view.legend.classes
    )
    return (
        make_heading("Map")
        + f'<figure><div style="max-width:36rem"><img src="{picture.source}"'
        + f' alt="{escape(alternative)}">{scale}</div><p class="legend">{legend}</p>'
        + f"<figcaption>North is up; {escape(picture.crs)}. Blank: no answer.</figcaption></figure>"
    )


def _make_accuracy(workspace: Workspace, view: RegionView) -> list[str]:
    parts = [make_heading("Accuracy")]
    if view.evaluation is None:
        told = view.needs or "No holdout labels, which the model has never seen, judged this map."
        parts.append(make_text(f"Not measured. {told}"))
    else:
        parts += _make_evaluation(view.evaluation)
    report = find_accuracy(workspace, view.region.region_id)
    if report is not None and view.refresh and report.map_id == view.refresh.map_id:
        rows = [
            (
                figure.name,
                str(figure.evaluation.balanced),
                str(figure.evaluation.overall),
                figure.evaluation.estimand,
                str(figure.evaluation.matrix.n),
            )
            for figure in report.figures
        ]
        head = ("rows kept apart", "balanced accuracy", "overall accuracy", "estimand", "n")
        parts.append(make_table(head, rows))
        parts += [make_text(note, is_soft=True) for note in report.notes]
    return parts


def _make_evaluation(e: Evaluation) -> list[str]:
    names = e.matrix.class_names
    figures = [("overall accuracy", str(e.overall)), ("balanced accuracy", str(e.balanced))]
    if e.auc is not None:
        figures.append(("AUC", str(e.auc)))
    for name, users, producers in zip(names, e.users, e.producers, strict=True):
        figures.append((f"user's accuracy of {name}", str(users)))
        figures.append((f"producer's accuracy of {name}", str(producers)))
    matrix = [
        (f"map: {name}", *map(str, row)) for name, row in zip(names, e.matrix.counts, strict=True)
    ]
    apart = "" if e.separation_km is None else f" At least {e.separation_km:g} km from any label."
    return [
        make_table(("figure", f"value ({e.overall.level:.0%} interval)"), figures),
        make_table(
            ("counts", *[f"reference: {name}" for name in names]),
            matrix,
            caption=f"Error matrix, n = {e.matrix.n}",
        ),
        make_text(f"What it estimates: {e.estimand}.{apart} {e.note}".strip(), is_soft=True),
    ]


def _make_areas(workspace: Workspace, view: RegionView) -> list[str]:
    if view.refresh is None:
        return []
    report = find_accuracy(workspace, view.region.region_id)
    area = report.area if report and report.map_id == view.refresh.map_id else None
    estimated = {item.name: item for item in area.classes} if area else {}
    rows = [
        (
            name,
            f"{mapped:,.2f} km²",
            _write_area(estimated[name].area_km2) if name in estimated else "–",
        )
        for name, mapped in _sort_areas(view)
    ]
    note = (
        f"Mapped area is a count of pixels, not an estimate. Estimated: {area.estimator};"
        f" {area.sample}." + (" Indicative only." if area.is_indicative else "")
        if area
        else "Mapped area is a count of pixels, not an estimate of what is there: that needs labels"
        " from a probability sample."
    )
    valid = f"{view.refresh.valid_share:.0%} of the pixels had enough valid observations."
    return [
        make_heading("Area"),
        make_table(("class", "mapped", "estimated (95 % interval)"), rows),
        make_text(f"{note} {valid}", is_soft=True),
    ]


def _sort_areas(view: RegionView) -> list[tuple[str, float]]:
    """Mapped areas in the order of the legend."""
    areas = dict(view.refresh.class_areas_km2) if view.refresh else {}
    names = [name for name in view.legend.names if name in areas]
    return [(name, areas[name]) for name in dict.fromkeys([*names, *areas])]


def _make_verdict(workspace: Workspace, view: RegionView) -> list[str]:
    """Say what the labels of a fine-tuned model showed when whole blocks of them were held out."""
    done = view.refresh
    if done is None:
        return []
    tuned = [
        r.fact
        for r in workspace.ledger.read(FineTuneDone, region_id=view.region.region_id)
        if r.fact.model_id == done.model_id
    ]
    if not tuned:
        return []
    verdict = find_verdict(workspace, view.region.region_id, done.model_id)
    rows = [
        (name, str(e.balanced), str(e.overall), str(e.matrix.n))
        for name, e in (
            ("fine-tuned, labels held out at random (flatters)", verdict.random),
            ("fine-tuned, whole blocks held out", verdict.separated),
            ("global model, the same rows", verdict.global_separated),
        )
        if e is not None
    ]
    parts = [make_heading("Verdict on the labels"), *[make_text(r) for r in verdict.reasons]]
    if rows:
        head = ("model and separation", "balanced accuracy", "overall accuracy", "n")
        parts.append(make_table(head, rows))
    return parts


def _make_cost(workspace: Workspace, view: RegionView) -> list[str]:
    if view.refresh is None:
        return []
    rates = read_rates(workspace)
    rows = [
        ("CPU seconds, all refreshes", f"{view.total.cpu_s:,.1f}"),
        ("CPU seconds avoided by only-if-changed", f"{view.avoided.cpu_s:,.1f}"),
        ("Read", f"{view.total.read_bytes / 1e6:,.1f} MB"),
        ("Peak memory", f"{view.total.peak_rss_bytes / 1e6:,.0f} MB"),
    ]
    usd, energy = rates.cost_usd(view.total), rates.energy_wh(view.total)
    if usd is not None:
        rows.append(("At the rate of the settings", f"{usd:,.4f} USD"))
    if energy is not None:
        rows.append(("At the power of the settings", f"{energy:,.2f} Wh"))
    return [make_heading("Cost"), make_table(("measured", "value"), rows)]


def _make_lineage(workspace: Workspace, view: RegionView) -> list[str]:
    region_id = view.region.region_id
    rows: list[tuple[str, str]] = []
    parts = [make_heading("Lineage")]
    done = view.refresh
    if done is None:
        name = "models that have never seen the region (leave-one-region-out)"
        rows.append(("figures by", name if view.region.kind is RegionKind.TABLE else "no map yet"))
    else:
        versions = {v.model_id: v for v in list_versions(workspace)}
        model = versions.get(done.model_id)
        scenes = load_scenes(workspace, region_id).scenes
        days = sorted(scene.sensed_at[:10] for scene in scenes)
        rows += [
            ("map", f"{done.map_id[:16]}, of {_write_time(view.refreshed_at or '')} (UTC)"),
            ("scenes", f"{len(scenes)}, {days[0]} to {days[-1]}" if days else "none"),
            *(_describe_model(model) if model else [("model", done.model_id)]),
        ]
    rows.append(("feature spec", view.region.spec_name))
    rows.append(("legend", view.region.legend_name))
    parts.append(make_table(("what", "value"), rows))
    promoted = [
        r
        for r in workspace.ledger.read(ModelPromoted, region_id=region_id)
        if done is not None and r.fact.model_id == done.model_id
    ]
    if promoted:
        last = promoted[-1]
        gates = [(g.gate, "passed" if g.passed else "failed", g.evidence) for g in last.fact.gates]
        reason = f" Reason: {last.fact.reason}" if last.fact.reason else ""
        caption = f"Promoted {_write_time(last.at)} (UTC) by {last.actor}.{reason}"
        parts.append(make_table(("gate", "result", "evidence"), gates, caption=caption))
    return parts


def _describe_model(model: ModelVersion) -> list[tuple[str, str]]:
    line = model.lineage
    libraries = ", ".join(f"{name} {version}" for name, version in sorted(line.libraries.items()))
    return [
        ("model", f"{model.name} ({model.model_id})"),
        ("parent", line.parent_id or "none: a global model"),
        ("strategy", line.strategy.replace("_", " ")),
        ("labels", f"{line.n_labels} ({line.labels_id})" if line.labels_id else "none"),
        ("source samples", line.source),
        ("seed", str(line.seed)),
        ("libraries", libraries or "not recorded"),
    ]


def _make_foot(view: RegionView) -> str:
    attribution = escape(view.region.attribution)
    return (
        f"<footer><p>{attribution}</p><p>Made with GeoTransfer. Figures come from rows the model"
        " has never seen; what was not measured is said to be so.</p></footer>"
    )


def _write_time(moment: str) -> str:
    return moment[:16].replace("T", " ")


def _write_range(estimate: Estimate, *, percent: bool = False) -> str:
    if percent:
        return f"{estimate.low:.0%}–{estimate.high:.0%}"
    return f"{estimate.low:.3f}–{estimate.high:.3f}"


def _write_area(estimate: Estimate) -> str:
    return f"{estimate.value:,.2f} km² ({estimate.low:,.2f}–{estimate.high:,.2f})"
