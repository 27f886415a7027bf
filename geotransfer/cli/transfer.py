"""`budget`, `labels next`, `applicability`, `accuracy`: what labels and maps are worth."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geotransfer.cli.calibrate import labels_app
from geotransfer.cli.context import Session, check_job, explain_errors, find_session
from geotransfer.cli.output import run_command
from geotransfer.cli.regions import Here
from geotransfer.core.job import Command
from geotransfer.errors import InputError, NotFound, StoreError

if TYPE_CHECKING:
    from geotransfer.core.suggestion import Suggestion


class Layer(StrEnum):
    """Layers on request; see ``workflows/applicability_maps.py``."""

    DISSIMILARITY = "dissimilarity"
    DENSITY = "density"
    CLASSES = "applicability-classes"
    EXPECTED = "expected-accuracy"


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.command("budget")(budget)
    app.command("applicability")(applicability)
    app.command("accuracy")(accuracy)
    labels_app.command("next")(suggest)


@explain_errors
def budget(
    context: typer.Context,
    region: str,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal curves.")] = 0,
    here: Here = False,
) -> None:
    """Say how many more labels bring how much gain at what cost, with the curve behind it."""
    from geotransfer.core.budget import answer_budget, list_steps
    from geotransfer.core.region import RegionKind
    from geotransfer.workflows.transfer_views import find_budget
    from geotransfer.workflows.views import find_region_view

    session = find_session(context)
    workspace = session.open()
    view = find_region_view(workspace, region)
    if view.region.kind is not RegionKind.TABLE:
        command = Command(verb="budget", region_id=region, arguments={"seed": seed})
        check_job(run_command(workspace, command, here=here))
    report = find_budget(workspace, region)
    if report is None:
        raise NotFound(
            f"region {region!r} has no rehearsal; `geotransfer rehearse {region}` makes one."
        )
    rate = session.settings.usd_per_label
    answer = answer_budget(report, rate)
    lines = [*answer, f"measured on {report.curve.separation} held out:"]
    lines += [
        f"  {p.n_labels:5d} labels  {p.strategy:14s}  AUC {p.auc}  gain {p.gain}"
        for p in report.curve.points
    ]
    if not rate:
        lines.append("set GEOTRANSFER_USD_PER_LABEL to see what the labels cost")
    session.output.show(
        {"answer": answer, "steps": list_steps(report, rate), "report": report}, lines
    )


@explain_errors
def suggest(
    context: typer.Context,
    region: str,
    out: Annotated[Path, typer.Option("--out", help="File to write: .geojson or .csv.")],
    n_places: Annotated[int, typer.Option("--count", min=1, help="Places wanted.")] = 50,
    is_probability: Annotated[
        bool,
        typer.Option(
            "--probability", help="Draw at random within map classes, for accuracy and area."
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal places.")] = 0,
    here: Here = False,
) -> None:
    """Suggest places to label next: the most useful ones, or a probability sample."""
    from geotransfer.workflows.transfer_views import read_suggestion

    if out.suffix.lower() not in (".geojson", ".json", ".csv"):
        raise InputError(f"--out {out} is neither .geojson nor .csv; give one of these names.")
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.parent}; make it first.")
    session = find_session(context)
    workspace = session.open()
    arguments: dict[str, str | int | float | bool | None] = {
        "n_places": n_places,
        "is_probability": is_probability,
        "seed": seed,
    }
    job = run_command(
        workspace,
        Command(verb="suggest-labels", region_id=region, arguments=arguments),
        here=here,
    )
    check_job(job)
    suggestion = read_suggestion(workspace, str((job.result or {})["suggestion_id"]))
    _write_places(out, suggestion)
    _show_places(session, suggestion, region, out)


def _write_places(out: Path, suggestion: Suggestion) -> None:
    from geotransfer.labels.suggested import write_places_csv, write_places_geojson

    write = write_places_csv if out.suffix.lower() == ".csv" else write_places_geojson
    try:
        out.write_bytes(write(suggestion))
    except OSError as error:
        raise StoreError(f"{out}: cannot be written ({error.strerror}); check the path.") from error


def _show_places(session: Session, suggestion: Suggestion, region: str, out: Path) -> None:
    lines = [f"wrote {len(suggestion.places)} places to {out}"]
    if suggestion.strata:
        lines += [
            f"  {s.name}: {s.n_places} of {s.n_pixels:,} pixels ({s.area_km2:.2f} km²), each with"
            f" a chance of {s.chance:.3g}"
            for s in suggestion.strata
        ]
        lines.append(
            "fill in the column class and add them apart from other labels:"
            f" geotransfer labels add {region} FILE --holdout"
        )
    else:
        lines.append(
            "the most useful first; fill in the column class, then: geotransfer labels add"
            f" {region} FILE"
        )
    session.output.show(suggestion, lines)


@explain_errors
def applicability(
    context: typer.Context,
    region: str,
    layers: Annotated[
        list[Layer] | None,
        typer.Option("--layer", help="Layer to make beside inside/outside; repeatable."),
    ] = None,
    here: Here = False,
) -> None:
    """Map where a region's model applies, with layers on request at their own printed cost."""
    from geotransfer.workflows.transfer_views import find_applicability

    session = find_session(context)
    workspace = session.open()
    wanted = ",".join(layer.value for layer in layers or [])
    command = Command(verb="map-applicability", region_id=region, arguments={"layers": wanted})
    check_job(run_command(workspace, command, here=here))
    report = find_applicability(workspace, region)
    if report is None:
        raise NotFound(f"region {region!r} has no applicability map.")
    told = (
        f"{report.inside_share:.1%} of the map is inside the area of applicability (threshold"
        f" {report.threshold:.3f} by {report.threshold_rule}, folds {report.fold_rule}, against"
        f" {report.n_samples:,} training samples: {report.source})"
    )
    lines = [told]
    lines += [
        f"  near samples of {c.name}: {c.note if c.share is None else f'{c.share:.1%}'}"
        for c in report.classes
    ]
    if report.curve is not None and report.expected is not None:
        lines.append(f"  expected accuracy {report.expected}, learned from {report.curve.rows}")
    lines += [
        f"  {layer.name}: {layer.cpu_s:.2f} CPU-s,"
        f" {1e6 * layer.cpu_s / max(layer.n_pixels, 1):.1f} µs a pixel"
        for layer in report.layers
    ]
    session.output.show(report, lines)


@explain_errors
def accuracy(context: typer.Context, region: str) -> None:
    """Show every accuracy of a region's map by its name, and the area of each class."""
    from geotransfer.cli.accuracy_lines import list_accuracy_lines
    from geotransfer.workflows.transfer_views import find_accuracy
    from geotransfer.workflows.views import find_region_view

    session = find_session(context)
    workspace = session.open()
    view = find_region_view(workspace, region)
    report = find_accuracy(workspace, region)
    if report is None and view.evaluation is None:
        raise NotFound(
            f"region {region!r} was not evaluated yet; run `geotransfer evaluate {region}`."
        )
    if report is None:
        session.output.show(view.evaluation, view.summary)
        return
    session.output.show(report, list_accuracy_lines(report))
