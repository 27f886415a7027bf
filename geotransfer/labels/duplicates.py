"""Labels at one place: duplicates, and labels that contradict each other."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import shapely

from geotransfer.core.legend import Legend
from geotransfer.labels.limits import MAX_OVERLAPS, SAME_PLACE_DEGREES
from geotransfer.labels.raw import Fault, FaultKind, Int64, Objects, fill_objects
from geotransfer.labels.sieve import Sieve
from geotransfer.labels.table import LabelTable

OVERLAP_SHARE = 0.5
"""Two labels contradict each other when they share more than half of the smaller one; slivers
between neighbouring fields are drawing, not contradiction."""
_QUERY_ROWS = 64
_AGREE = "keep the one that is right, or decide between them in the field"


def sift_duplicates(
    table: LabelTable, sieve: Sieve, codes: Int64, legend: Legend
) -> tuple[str, ...]:
    """Refuse repeated labels but the first, and all that contradict each other at one place.

    One place: points that agree to about a metre, equal outlines, or equal features where a table
    has no places. Outlines that overlap by more than half with another class contradict too.

    Returns
    -------
    Warnings.
    """
    rows = np.flatnonzero(sieve.open)
    if len(rows) == 0:
        return ()
    groups = _group_places(table, rows)
    repeated = np.bincount(groups)[groups] > 1
    names = dict(zip(legend.codes, legend.names, strict=True))
    found = pd.DataFrame({"row": rows, "group": groups, "code": codes[rows]})[repeated]
    for _, group in found.groupby("group", sort=False):
        members, classes = group["row"].to_numpy(), group["code"].to_numpy()
        if len(set(classes.tolist())) == 1:
            first = table.rows[members[0]]
            fault = Fault(
                FaultKind.DUPLICATE,
                f"it repeats place and class of {table.row_word} {first}",
                "nothing to do: the first is used",
            )
            sieve.refuse(dict.fromkeys(members[1:].tolist(), fault))
            continue
        for member, code in zip(members.tolist(), classes.tolist(), strict=True):
            other = int(np.flatnonzero(classes != code)[0])
            sieve.refuse({member: _contradict(table, code, members[other], classes[other], names)})
    if not table.has_places or not (shapely.get_type_id(table.geometry[rows]) > 0).any():
        return ()
    return _sift_overlaps(table, sieve, codes, names)


def _contradict(
    table: LabelTable, code: int, other: int, other_code: int, names: dict[int, str]
) -> Fault:
    return Fault(
        FaultKind.CONFLICT,
        f"it says {names[code]!r}, but {table.row_word} {table.rows[other]} says"
        f" {names[other_code]!r} at the same place",
        _AGREE,
    )


def _group_places(table: LabelTable, rows: Int64) -> Int64:
    """Number the places of ``rows``: equal numbers, one place."""
    if not table.has_places:
        names = sorted(table.numbers)
        features = np.column_stack([table.numbers[name][rows] for name in names])
        return _factorize(fill_objects([row.tobytes() for row in features]))
    geometry = table.geometry[rows]
    points = shapely.get_type_id(geometry) == 0
    keys = np.empty(len(rows), dtype=object)
    steps = np.rint(shapely.get_coordinates(geometry[points]) / SAME_PLACE_DEGREES).astype(np.int64)
    keys[points] = (steps[:, 0] * 10**9 + steps[:, 1]).tolist()
    keys[~points] = shapely.to_wkb(shapely.normalize(geometry[~points])).tolist()
    return _factorize(keys)


def _factorize(keys: Objects) -> Int64:
    groups, _ = pd.factorize(keys)
    return np.asarray(groups, dtype=np.int64)


def _sift_overlaps(
    table: LabelTable, sieve: Sieve, codes: Int64, names: dict[int, str]
) -> tuple[str, ...]:
    """Refuse outlines, and points in outlines, that another class covers by more than half."""
    rows = np.flatnonzero(sieve.open)
    geometry = table.geometry[rows]
    budget = MAX_OVERLAPS
    for mine, theirs in _find_overlaps(geometry):
        differ = codes[rows[mine]] != codes[rows[theirs]]
        mine, theirs = mine[differ], theirs[differ]
        budget -= len(mine)
        if budget < 0:
            return (
                (
                    f"{table.file_name} has more than {MAX_OVERLAPS:,} pairs of overlapping labels"
                    " of different classes; the rest was not compared."
                ),
            )
        shared = shapely.area(shapely.intersection(geometry[mine], geometry[theirs]))
        smaller = np.minimum(shapely.area(geometry[mine]), shapely.area(geometry[theirs]))
        is_point = smaller == 0
        touching = np.ones(len(mine), dtype=bool)
        touching[is_point] = ~shapely.touches(geometry[mine[is_point]], geometry[theirs[is_point]])
        against = np.where(is_point, touching, shared > OVERLAP_SHARE * smaller)
        for a, b in zip(rows[mine[against]].tolist(), rows[theirs[against]].tolist(), strict=True):
            sieve.refuse(
                {
                    a: _contradict(table, int(codes[a]), b, int(codes[b]), names),
                    b: _contradict(table, int(codes[b]), a, int(codes[a]), names),
                }
            )
    return ()


def _find_overlaps(geometry: Objects) -> Iterator[tuple[Int64, Int64]]:
    """Pairs of which the first is an outline, each once, a few outlines at a time."""
    tree = shapely.STRtree(geometry)
    extended = shapely.get_type_id(geometry) > 0
    outlines = np.flatnonzero(extended)
    for start in range(0, len(outlines), _QUERY_ROWS):
        chosen = outlines[start : start + _QUERY_ROWS]
        source, target = tree.query(geometry[chosen], predicate="intersects")
        mine = chosen[source]
        # A pair of outlines is found from both sides; a point is found from its outline only.
        once = ~extended[target] | (mine < target)
        yield mine[once], target[once]
