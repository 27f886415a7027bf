"""`labels`, `fine-tune`, `verdict`, `promote`, `rollback`, `history`."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from geotransfer.cli.context import Session, check_job, explain_errors, find_session
from geotransfer.cli.output import run_command
from geotransfer.cli.regions import Here
from geotransfer.cli.verdict_lines import list_assessment_lines, list_verdict_lines
from geotransfer.core.fact import LabelsAdded
from geotransfer.core.job import Command
from geotransfer.core.verdict import Verdict
from geotransfer.errors import InputError, NotFound
from geotransfer.store.workspace import Workspace

if TYPE_CHECKING:
    from geotransfer.labels.checking import CheckedLabels

labels_app = typer.Typer(help="Check, add, list and erase labels.", no_args_is_help=True)

SHOWN_REJECTED = 20
Mapping = Annotated[
    list[str] | None,
    typer.Option("--map", help="NAME=CLASS: what a class name of the file means; repeatable."),
]
RejectedFile = Annotated[
    Path | None, typer.Option("--rejected", help="Write rejected rows and reasons as CSV.")
]
FixSwapped = Annotated[
    bool, typer.Option("--fix-swapped", help="Exchange longitude and latitude where swapped.")
]


def register(app: typer.Typer) -> None:
    """Add this family's commands."""
    app.add_typer(labels_app, name="labels")
    app.command("fine-tune")(fine_tune)
    app.command("verdict")(verdict)
    app.command("rehearse")(rehearse)
    app.command("promote")(promote)
    app.command("rollback")(roll_back)
    app.command("history")(history)


def _read_file(path: Path) -> bytes:
    if not path.is_file():
        raise NotFound(f"{path}: there is no such file; check the path.")
    return path.read_bytes()


def _parse_mapping(pairs: list[str] | None) -> dict[str, str]:
    mapping = {}
    for pair in pairs or []:
        given, separator, name = pair.partition("=")
        if not separator:
            raise InputError(f"--map {pair!r} lacks an equals sign; write --map 'maize=crop'.")
        mapping[given.strip()] = name.strip()
    return mapping


def _check_file(
    workspace: Workspace,
    region: str | None,
    file: Path,
    *,
    mapping: list[str] | None,
    rejected: Path | None,
    fix_swapped: bool,
) -> CheckedLabels:
    """Check a label file, and write the rejected rows where somebody wants them."""
    from geotransfer.labels.exports import write_rejected_csv
    from geotransfer.workflows.labels import check_file

    checked = check_file(
        workspace,
        region,
        _read_file(file),
        file.name,
        mapping=_parse_mapping(mapping),
        fix_swapped=fix_swapped,
    )
    if rejected is not None:
        rejected.write_bytes(write_rejected_csv(checked))
    return checked


@labels_app.command("check")
@explain_errors
def check(
    context: typer.Context,
    file: Path,
    region: Annotated[str | None, typer.Option(help="Region to check against.")] = None,
    mapping: Mapping = None,
    rejected: RejectedFile = None,
    fix_swapped: FixSwapped = False,
) -> None:
    """Check a label file; nothing is stored. Exit code 2 where a row is rejected."""
    session = find_session(context)
    checked = _check_file(
        session.open(), region, file, mapping=mapping, rejected=rejected, fix_swapped=fix_swapped
    )
    _show_checked(session, checked)
    if checked.rejected:
        raise typer.Exit(2)


@labels_app.command("add")
@explain_errors
def add(
    context: typer.Context,
    region: str,
    file: Path,
    is_holdout: Annotated[
        bool, typer.Option("--holdout", help="Only for evaluation, never for fine-tuning.")
    ] = False,
    mapping: Mapping = None,
    rejected: RejectedFile = None,
    fix_swapped: FixSwapped = False,
) -> None:
    """Add the good rows of a label file to a region; rejected rows are listed with their reason."""
    from geotransfer.workflows.labels import add_checked

    session = find_session(context)
    workspace = session.open()
    checked = _check_file(
        workspace, region, file, mapping=mapping, rejected=rejected, fix_swapped=fix_swapped
    )
    role = "holdout" if is_holdout else "calibration"
    fact = add_checked(workspace, region, checked, role=role, actor="cli")
    _show_rejected(checked)
    counts = ", ".join(f"{n} {name}" for name, n in fact.class_counts.items())
    kept = f"kept {fact.n_rows} {role} labels ({counts}) as {fact.labels_id[:12]}"
    lines = [f"{kept}, rejected {fact.n_rejected}"]
    if checked.good.has_places:
        from geotransfer.workflows.probability_sample import describe_recognised

        lines.append(describe_recognised(workspace, region, checked.good.positions))
    session.output.show(fact, [line for line in lines if line])


def _show_checked(session: Session, checked: CheckedLabels) -> None:
    plain = {
        "n_good": len(checked.good),
        "rejected": [
            {"row": r.row, "kind": str(r.kind), "reason": r.reason, "remedy": r.remedy}
            for r in checked.rejected
        ],
        "warnings": checked.warnings,
    }
    if not session.output.is_json:
        _show_rejected(checked)
    session.output.show(
        plain,
        [*checked.warnings, f"{len(checked.good)} good rows, {len(checked.rejected)} rejected"],
    )


def _show_rejected(checked: CheckedLabels) -> None:
    for item in checked.rejected[:SHOWN_REJECTED]:
        sys.stderr.write(
            f"{checked.table.file_name}, {checked.table.row_word} {item.row}: {item.reason};"
            f" {item.remedy}\n"
        )
    more = len(checked.rejected) - SHOWN_REJECTED
    if more > 0:
        sys.stderr.write(f"… and {more} more; --rejected FILE writes them all\n")


@labels_app.command("list")
@explain_errors
def list_labels(context: typer.Context, region: str) -> None:
    """List a region's uploads."""
    from geotransfer.workflows.regions import find_region

    session = find_session(context)
    workspace = session.open()
    find_region(workspace, region)
    facts = workspace.ledger.read(LabelsAdded, region_id=region)
    rows = [
        {
            "labels": r.fact.labels_id[:12],
            "role": r.fact.role,
            "rows": r.fact.n_rows,
            "rejected": r.fact.n_rejected,
            "file": r.fact.file_name,
            "added": r.at[:19],
            "state": "kept" if workspace.blobs.exists(r.fact.labels_id) else "erased",
        }
        for r in facts
    ]
    session.output.show_table([r.fact for r in facts], rows, "no labels yet")


@labels_app.command("erase")
@explain_errors
def erase(context: typer.Context, region: str, labels: str) -> None:
    """Erase an upload for good; the history keeps only its id and counts."""
    from geotransfer.workflows.labels import erase_labels

    session = find_session(context)
    erase_labels(session.open(), region, labels, actor="cli")
    session.output.show({"erased": labels}, f"erased {labels}")


@explain_errors
def fine_tune(
    context: typer.Context,
    region: str,
    labels: Annotated[
        Path | None, typer.Option("--labels", help="Label file; default: the labels added last.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Equal seeds give equal models.")] = 0,
    here: Here = False,
) -> None:
    """Adapt the global model to a region's labels and say whether that helped."""
    from geotransfer.workflows.label_points import find_labels
    from geotransfer.workflows.labels import add_checked, check_file

    session = find_session(context)
    workspace = session.open()
    if labels is not None:
        checked = check_file(workspace, region, _read_file(labels), labels.name)
        _show_rejected(checked)
        labels_id = add_checked(workspace, region, checked, actor="cli").labels_id
    else:
        known = find_labels(workspace, region, "calibration")
        if known is None:
            raise NotFound(
                f"region {region!r} has no calibration labels; give a file with --labels."
            )
        labels_id = known.labels_id
    job = run_command(
        workspace,
        Command(
            verb="fine-tune", region_id=region, arguments={"labels_id": labels_id, "seed": seed}
        ),
        here=here,
    )
    check_job(job)
    model_id = None if job.result is None else job.result.get("model_id")
    _show_verdict(session, workspace, region, None if model_id is None else str(model_id))


@explain_errors
def rehearse(context: typer.Context, region: str, here: Here = False) -> None:
    """Recompute a reference region's rehearsal from the real tables."""
    session = find_session(context)
    job = run_command(
        session.open(), Command(verb="rehearse", region_id=region, arguments={}), here=here
    )
    check_job(job)
    session.output.show(job.result, f"rehearsed {region}; the page shows the curves")


@explain_errors
def verdict(
    context: typer.Context,
    region: str,
    is_before: Annotated[
        bool, typer.Option("--before-labels", help="Assess from features alone, before any label.")
    ] = False,
    here: Here = False,
) -> None:
    """Show a region's verdict with its reasons: after labels, or from features alone."""
    session = find_session(context)
    workspace = session.open()
    if not is_before:
        _show_verdict(session, workspace, region, None)
        return
    job = run_command(workspace, Command(verb="assess", region_id=region, arguments={}), here=here)
    check_job(job)
    from geotransfer.workflows.views import find_assessment_plain

    found = find_assessment_plain(workspace, region) or {}
    session.output.show(found, list_assessment_lines(found))


def _show_verdict(
    session: Session, workspace: Workspace, region: str, model_id: str | None
) -> None:
    from geotransfer.workflows.promote import find_verdict

    found: Verdict = find_verdict(workspace, region, model_id)
    lines = list_verdict_lines(found)
    if model_id is not None:
        lines.append(f"model {model_id[:12]}; next: geotransfer promote {region} {model_id[:12]}")
    session.output.show({"verdict": found, "model_id": model_id}, lines)


@explain_errors
def promote(
    context: typer.Context,
    region: str,
    version: str,
    reason: Annotated[str, typer.Option(help="Needed to override a gate.")] = "",
    here: Here = False,
) -> None:
    """Make a model the region's champion and bring the map up to date."""
    from geotransfer.workflows.promote import promote as move_champion

    session = find_session(context)
    workspace = session.open()
    fact = move_champion(workspace, region, version, reason=reason, actor="cli")
    job = run_command(workspace, Command(verb="refresh", region_id=region, arguments={}), here=here)
    check_job(job)
    gates = [
        f"{'passed' if g.passed else 'overridden'}  {g.gate}: {g.evidence}" for g in fact.gates
    ]
    session.output.show(fact, [*gates, f"{version} now serves {region}"])


@explain_errors
def roll_back(
    context: typer.Context,
    region: str,
    reason: Annotated[str, typer.Option(help="Why; kept in the history.")] = "",
    here: Here = False,
) -> None:
    """Return a region to what served before, and its map with it."""
    from geotransfer.workflows.promote import roll_back as move_back

    session = find_session(context)
    workspace = session.open()
    fact = move_back(workspace, region, reason=reason, actor="cli")
    job = run_command(workspace, Command(verb="refresh", region_id=region, arguments={}), here=here)
    check_job(job)
    session.output.show(fact, f"{region} is served by {fact.model_id or 'the global model'} again")


@explain_errors
def history(
    context: typer.Context,
    region: str,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="ISO date or time (UTC): what served then.")
    ] = None,
) -> None:
    """Show what happened to a region, or which model served it at a time."""
    from geotransfer.workflows.views import find_state_at, list_history

    session = find_session(context)
    workspace = session.open()
    if as_of is not None:
        try:
            moment = datetime.fromisoformat(as_of)
        except ValueError:
            raise InputError(f"--as-of {as_of!r} is no date; write 2026-05-31.") from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        state = find_state_at(workspace, region, moment)
        session.output.show(
            state,
            f"at {moment.isoformat()}: model {state.model_name}, map {state.map_id or 'none'}",
        )
        return
    entries = list_history(workspace, region)
    rows = [{"at": e.at[:19], "who": e.actor, "what": e.what, "detail": e.detail} for e in entries]
    session.output.show_table(entries, rows, "nothing happened yet")
