"""Labels: check a file against a region, keep what is good, erase what was kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

import numpy as np

from geotransfer.core.fact import LabelsAdded, LabelsErased, ScenesAdded
from geotransfer.core.legend import CROPLAND, Legend
from geotransfer.core.region import Region
from geotransfer.errors import InputError, LabelsInvalid, NotFound
from geotransfer.labels.checking import CheckedLabels, check_labels
from geotransfer.labels.columns import ColumnChoice
from geotransfer.labels.reading import read_labels
from geotransfer.store.workspace import Workspace
from geotransfer.workflows.definitions import find_legend, find_spec
from geotransfer.workflows.label_points import LabelPoints, add_points
from geotransfer.workflows.regions import find_region
from geotransfer.workflows.scene_list import load_scenes

ROLES = ("calibration", "holdout")


def check_file(
    workspace: Workspace,
    region_id: str | None,
    data: bytes,
    file_name: str,
    *,
    layer: str | None = None,
    columns: ColumnChoice | None = None,
    mapping: Mapping[str, str] | None = None,
    fix_swapped: bool = False,
    legend: Legend = CROPLAND,
) -> CheckedLabels:
    """Read and check a label file, against a region's outline, imagery and legend.

    Parameters
    ----------
    region_id
        None checks the file alone, against ``legend``; a region has its own.

    Raises
    ------
    LabelsInvalid
        The file cannot be used as a whole. Single bad rows are in the result, each with its reason.
    """
    region = None if region_id is None else find_region(workspace, region_id)
    if region is not None:
        legend = find_legend(workspace, region.legend_name)
    spec = None if region is None else find_spec(workspace, region.spec_name)
    table = read_labels(
        data, file_name, layer=layer, columns=columns, specs=() if spec is None else (spec,)
    )
    bounds, period = (None, None) if region is None else _find_imagery(workspace, region)
    return check_labels(
        table,
        region_outline=None if region is None else region.outline,
        imagery_bounds=bounds,
        imagery_period=period,
        legend=legend,
        mapping=mapping,
        spec=spec if spec is not None and spec.name in table.spec_names else None,
        fix_swapped=fix_swapped,
    )


def _find_imagery(
    workspace: Workspace, region: Region
) -> tuple[tuple[float, float, float, float] | None, tuple[date, date] | None]:
    """Return the bounds of a region's scenes and the first day of them and the day after the last.

    Labels are made for a season, scenes seen on single days: the period is whole years.
    """
    if workspace.ledger.read_last(ScenesAdded, region_id=region.region_id) is None:
        return None, None
    scenes = load_scenes(workspace, region.region_id).scenes
    bounds = (
        min(s.bounds[0] for s in scenes),
        min(s.bounds[1] for s in scenes),
        max(s.bounds[2] for s in scenes),
        max(s.bounds[3] for s in scenes),
    )
    days = [date.fromisoformat(s.sensed_at[:10]) for s in scenes]
    return bounds, (date(min(days).year, 1, 1), date(max(days).year, 12, 31) + timedelta(days=1))


def add_checked(
    workspace: Workspace,
    region_id: str,
    checked: CheckedLabels,
    *,
    role: str = "calibration",
    actor: str,
) -> LabelsAdded:
    """Keep the good rows of a checked file for a region.

    Raises
    ------
    LabelsInvalid
        No row is good.
    """
    if role not in ROLES:
        raise InputError(f"role {role!r} is neither {ROLES[0]} nor {ROLES[1]}.")
    region = find_region(workspace, region_id)
    good = checked.good
    if not len(good):
        raise LabelsInvalid(
            f"{checked.table.file_name}: none of its {len(checked.table)} rows can be used; see the"
            " reasons, mend the file and try again."
        )
    measured = None
    spec = find_spec(workspace, region.spec_name)
    if spec.name in good.spec_names:
        columns = [good.numbers[name] for name in spec.measured_names]
        measured = np.column_stack(columns).astype(np.float32)
    return add_points(
        workspace,
        region,
        LabelPoints(geometry=good.geometry, codes=checked.codes, measured=measured),
        role=role,
        file_name=checked.table.file_name,
        n_rejected=len(checked.rejected),
        legend=checked.legend,
        actor=actor,
    )


def erase_labels(workspace: Workspace, region_id: str, labels_id: str, *, actor: str) -> None:
    """Erase an upload for good; the history keeps its id and counts, never a row.

    Raises
    ------
    NotFound
        The region has no such labels.
    """
    known = [r.fact.labels_id for r in workspace.ledger.read(LabelsAdded, region_id=region_id)]
    matches = sorted({k for k in known if k.startswith(labels_id)})
    if len(matches) != 1 or len(labels_id) < 6:
        raise NotFound(
            f"region {region_id!r} has no labels {labels_id[:12]!r}; `geotransfer labels list"
            f" {region_id}` shows them."
        )
    workspace.blobs.erase(matches[0])
    workspace.ledger.append(LabelsErased(region_id=region_id, labels_id=matches[0]), actor=actor)
