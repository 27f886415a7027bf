"""Content ids: the same content has the same id on every machine."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any

OMIT_DEFAULT: Mapping[str, bool] = {"omit_default": True}
"""Metadata of a field added later: at its default it is left out, so old content ids stay."""


def hash_bytes(data: bytes) -> str:
    """Return the SHA-256 of ``data`` in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


_PLAIN = frozenset((str, int, float, bool, type(None)))
_ALWAYS = object()
"""Stands for the default of a field that is never left out: no value equals it."""


def to_plain(value: Any) -> Any:
    """Turn frozen values into the dictionaries, lists and numbers JSON knows."""
    if type(value) in _PLAIN:
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = {}
        for name, default in _list_fields(type(value)):
            item = getattr(value, name)
            if default is _ALWAYS or item != default:
                plain[name] = item if type(item) in _PLAIN else to_plain(item)
        return plain
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [item if type(item) in _PLAIN else to_plain(item) for item in value]
    if isinstance(value, frozenset):
        return sorted(to_plain(item) for item in value)
    return value


@functools.cache
def _list_fields(kind: type) -> tuple[tuple[str, object], ...]:
    """Return a dataclass's fields, each with the default at which it is left out."""
    return tuple(
        (field.name, field.default if field.metadata.get("omit_default") else _ALWAYS)
        for field in dataclasses.fields(kind)
    )


def canonical_json(value: Any) -> bytes:
    """Return JSON with sorted keys and no spaces; equal values give equal bytes."""
    return json.dumps(
        to_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def content_id(value: Any) -> str:
    """Return the content id of any value made of plain parts and frozen dataclasses."""
    return hash_bytes(canonical_json(value))
