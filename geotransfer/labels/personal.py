"""Columns that look like personal data: e-mail addresses, names, telephone numbers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geotransfer.labels.columns import fold_name
from geotransfer.labels.raw import as_text

_NAME_COLUMNS = frozenset({
    "name", "firstname", "lastname", "surname", "familyname", "givenname", "fullname", "forename",
    "vorname", "nachname", "nom", "prenom", "nombre", "apellido", "farmer", "farmername", "owner",
    "ownername", "surveyor", "surveyorname", "enumerator", "enumeratorname", "observer",
    "observername", "interviewer", "respondent", "respondentname", "contact", "contactname",
    "contactperson", "username", "user", "collector", "collectedby", "surveyedby", "observedby",
    "labeledby", "labelledby", "annotator", "interpreter", "operator", "author", "editor",
})  # fmt: skip
_EMAIL_COLUMNS = frozenset(
    {"email", "mail", "emailaddress", "useremail", "contactemail", "courriel"}
)
_PHONE_COLUMNS = frozenset({
    "phone", "telephone", "tel", "mobile", "cell", "cellphone", "phonenumber", "mobilenumber",
    "telephonenumber", "contactnumber", "whatsapp", "telefon", "telefono", "handy", "phoneno",
})  # fmt: skip
_EMAIL = re.compile(r"[^@\s,;]+@[^@\s,;]+\.[A-Za-z]{2,}")
_PHONE = re.compile(r"(?:\+|00?)\d[\d\s()./-]{6,17}\d")
_DATE = re.compile(r"\d{1,4}[./-]\d{1,2}[./-]\d{1,4}")
_SAMPLE = 5_000


@dataclass(frozen=True, slots=True)
class PersonalColumn:
    """A column that looks like personal data."""

    name: str
    kind: str
    """``e-mail addresses``, ``names`` or ``telephone numbers``."""
    kept: bool
    """True where the user chose to keep it."""


def find_personal_columns(
    columns: Mapping[str, NDArray[Any]],
    *,
    roles: frozenset[str],
    numeric: frozenset[str],
    keep: tuple[str, ...],
) -> tuple[PersonalColumn, ...]:
    """Return the columns that look like personal data, by name or by what they hold.

    Parameters
    ----------
    columns
        Shape (n,) each, text or ``float64``.
    roles
        Columns in use as place, class or date; they are never personal.
    numeric
        Columns that hold numbers only; a telephone number may still be one.
    keep
        Columns the user keeps on purpose.
    """
    found = []
    for name, column in columns.items():
        if name in roles:
            continue
        kind = _judge_name(name) or _judge_content(column, numeric=name in numeric)
        if kind:
            found.append(PersonalColumn(name, kind, name in keep))
    return tuple(found)


def _judge_name(name: str) -> str:
    folded = fold_name(name)
    if folded in _EMAIL_COLUMNS or "email" in folded:
        return "e-mail addresses"
    if folded in _PHONE_COLUMNS:
        return "telephone numbers"
    return "names" if folded in _NAME_COLUMNS else ""


def _judge_content(column: NDArray[Any], *, numeric: bool) -> str:
    if column.dtype == np.float64:
        return ""
    # One address among 100,000 cells is enough, so all cells are searched for the sign first.
    if not numeric and any("@" in text and _EMAIL.search(text) for text in column.tolist()):
        return "e-mail addresses"
    texts = pd.unique(as_text(column[:_SAMPLE]))
    texts = np.array([text for text in texts if text], dtype=object)
    if len(texts) == 0:
        return ""
    phones = sum(bool(_PHONE.fullmatch(t)) and not _DATE.fullmatch(t) for t in texts.tolist())
    if phones * 2 > len(texts):
        return "telephone numbers"
    people = sum(_looks_like_person(text) for text in texts.tolist())
    return "names" if len(texts) >= 3 and people * 5 >= len(texts) * 4 else ""


def _looks_like_person(text: str) -> bool:
    words = text.replace("-", " ").replace("'", " ").replace(".", "").split()
    return (
        2 <= len(words) <= 4
        and all(w.isalpha() and w[0].isupper() for w in words)
        and (not text.isupper())
    )
