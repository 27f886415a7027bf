"""Rebuild frozen values from plain JSON parts: the inverse of ``to_plain``."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar, cast

T = TypeVar("T")


@lru_cache(maxsize=256)
def _find_hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def from_plain(cls: type[T], data: Any) -> T:
    """Rebuild a value of ``cls`` (dataclasses, enums, tuples, mappings, unions with None).

    Unknown keys are left out, so a value written by a newer minor version can still be read.
    """
    return cast("T", _decode(cls, data))


def _decode(hint: Any, data: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        if data is None:
            return None
        return _decode(next(arg for arg in typing.get_args(hint) if arg is not type(None)), data)
    if origin is tuple:
        args = typing.get_args(hint)
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_decode(args[0], item) for item in data)
        return tuple(_decode(arg, item) for arg, item in zip(args, data, strict=True))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        value_hint = typing.get_args(hint)[1]
        return {key: _decode(value_hint, item) for key, item in data.items()}
    if isinstance(hint, type):
        if dataclasses.is_dataclass(hint):
            hints = _find_hints(hint)
            return hint(
                **{
                    field.name: _decode(hints[field.name], data[field.name])
                    for field in dataclasses.fields(hint)
                    if field.name in data
                }
            )
        if issubclass(hint, Enum):
            return hint(data)
        if hint is float and isinstance(data, int):
            return float(data)
    return data
