"""Periods as people write them: ``2021``, ``2021-01/2021-12``, ``2021-03-05/..``."""

from __future__ import annotations

import calendar
import re
from datetime import date

from geotransfer.errors import InputError

_DAY = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")


def parse_period(text: str) -> tuple[date | None, date | None]:
    """Return first and last day of ``2021``, ``2021-01/2021-12`` or ``2021-03-05/..``.

    Raises
    ------
    InputError
        The text is no period.
    """
    first, separator, last = text.strip().partition("/")
    try:
        start = None if first in ("", "..") else _parse_day(first, is_end=False)
        end = _parse_end(last) if separator else _parse_day(first, is_end=True)
    except ValueError:
        raise InputError(
            f"the period {text!r} cannot be read; write it as 2021-01/2021-12,"
            " 2021-03-05/2021-04-30 or 2021."
        ) from None
    if start and end and start > end:
        raise InputError(f"the period {text!r} ends before it begins; exchange the two.")
    return start, end


def _parse_end(text: str) -> date | None:
    return None if text in ("", "..") else _parse_day(text, is_end=True)


def _parse_day(text: str, *, is_end: bool) -> date:
    found = _DAY.fullmatch(text.strip())
    if found is None:
        raise ValueError(text)
    year, month, day = (int(part) if part else None for part in found.groups())
    year = year or 0
    month = month or (12 if is_end else 1)
    return date(year, month, day or (calendar.monthrange(year, month)[1] if is_end else 1))
