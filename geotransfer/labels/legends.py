"""Class names as given → classes of a legend; shown, never silent."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from geotransfer.core.legend import Legend
from geotransfer.errors import LabelsInvalid
from geotransfer.labels.columns import fold_name
from geotransfer.labels.limits import MAX_GIVEN_CLASSES, shorten
from geotransfer.labels.raw import Int64, Objects

UNKNOWN = -1
"""Stands for *no class of the legend* in an array of class codes."""


@dataclass(frozen=True, slots=True)
class ClassMatch:
    """What one class name as given became."""

    given: str
    n_rows: int
    class_name: str | None
    """Name in the legend; None where the rows are left out or the name is unknown."""
    how: str
    """``chosen``, ``same name``, ``same but for spelling``, ``code of the legend``, ``left out``
    or ``unknown``."""
    suggestions: tuple[str, ...] = ()
    """Names in the legend that come close, best first; for unknown ones only."""


@dataclass(frozen=True, slots=True)
class LegendMapping:
    """How the class names of a file were mapped on a legend, most frequent first."""

    legend_name: str
    matches: tuple[ClassMatch, ...]

    @property
    def used(self) -> dict[str, str]:
        """Given name → name in the legend, as ``check_labels(mapping=…)`` takes it."""
        return {m.given: m.class_name for m in self.matches if m.class_name is not None}

    @property
    def unknown(self) -> tuple[ClassMatch, ...]:
        """Names that no class of the legend was found for."""
        return tuple(match for match in self.matches if match.how == "unknown")


def match_classes(
    class_names: Objects, legend: Legend, mapping: Mapping[str, str] | None, *, file_name: str
) -> tuple[LegendMapping, Int64]:
    """Match class names with a legend: as chosen, by name, by name but for spelling, by code.

    Spelling means case, accents, spaces and punctuation; nothing that changes a word.

    Parameters
    ----------
    class_names
        Shape (n,), names as given; empty ones are missing and match nothing.
    mapping
        Given name → name in the legend, or an empty name to leave those rows out on purpose.

    Returns
    -------
    The mapping used, and class codes of shape (n,), ``UNKNOWN`` where there is none.

    Raises
    ------
    LabelsInvalid
        ``mapping`` names a class that the legend does not have.
    """
    codes = {item.name: item.code for item in legend.classes}
    for given, wanted in (mapping or {}).items():
        if wanted and wanted not in codes:
            raise LabelsInvalid(
                f"{file_name}: class {shorten(given)!r} is mapped to {shorten(wanted)!r}, which"
                f" legend {legend.name!r} does not have; choose one of {list_names(legend)}."
            )
    ids, names = pd.factorize(class_names)
    counts = np.bincount(ids, minlength=len(names))
    matches: list[ClassMatch] = []
    found = np.full(len(names), UNKNOWN, dtype=np.int64)
    for index in np.argsort(-counts, kind="stable").tolist():
        given = str(names[index])
        if not given:
            continue
        name, how = _match_name(given, legend, mapping or {})
        suggestions: tuple[str, ...] = ()
        if how == "unknown" and len(matches) < MAX_GIVEN_CLASSES:
            suggestions = suggest_classes(given, legend)
        matches.append(ClassMatch(given, int(counts[index]), name, how, suggestions))
        if name is not None:
            found[index] = codes[name]
    rows = found[ids] if len(names) else np.empty(0, dtype=np.int64)
    return LegendMapping(legend.name, tuple(matches)), rows


def _match_name(given: str, legend: Legend, mapping: Mapping[str, str]) -> tuple[str | None, str]:
    if given in mapping:
        wanted = mapping[given]
        return (wanted, "chosen") if wanted else (None, "left out")
    if given in legend.names:
        return given, "same name"
    folded = [name for name in legend.names if fold_name(name) == fold_name(given)]
    if len(folded) == 1 and fold_name(given):
        return folded[0], "same but for spelling"
    coded = [item.name for item in legend.classes if _is_code(given, item.code)]
    return (coded[0], "code of the legend") if coded else (None, "unknown")


def _is_code(given: str, code: int) -> bool:
    """Tell whether a name is a code as a number; tables write 1 as ``1.0`` or ``1.000e+00`` too."""
    try:
        return given[:1] in "0123456789" and float(given) == code
    except ValueError:
        return False


def suggest_classes(given: str, legend: Legend) -> tuple[str, ...]:
    """Return names of a legend that come close to ``given``, best first, at most three."""
    wanted = fold_name(given[:100])
    folded = {fold_name(name): name for name in legend.names}
    # The longest name within the given one first: 'non-cropland' holds 'crop' and 'non-crop'.
    within = sorted((f for f in folded if f and (f in wanted or (wanted and wanted in f))),
                    key=len, reverse=True)  # fmt: skip
    near = difflib.get_close_matches(wanted, list(folded), n=3, cutoff=0.6)
    return tuple(folded[name] for name in dict.fromkeys([*within, *near]))[:3]


def list_names(legend: Legend, *, limit: int = 12) -> str:
    """Return the names of a legend's classes for a message."""
    more = f" and {len(legend.names) - limit} more" if len(legend.names) > limit else ""
    return ", ".join(repr(name) for name in legend.names[:limit]) + more
