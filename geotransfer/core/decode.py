"""Rebuild frozen values from plain JSON parts: the inverse of ``to_plain``."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar, cast

T = TypeVar("T")

Decoder = Callable[[Any], Any]


def from_plain(cls: type[T], data: Any) -> T:
    """Rebuild a value of ``cls`` (dataclasses, enums, tuples, mappings, unions with None).

    Unknown keys are left out, so a value written by a newer minor version can still be read.
    """
    return cast("T", _find_decoder(cast("Any", cls))(data))


@lru_cache(maxsize=1024)
def _find_decoder(hint: Any) -> Decoder:
    """Return the function for a type hint, made once: reading hints costs more than values."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        inner = _find_decoder(next(a for a in typing.get_args(hint) if a is not type(None)))
        return lambda data: None if data is None else inner(data)
    if origin is tuple:
        args = typing.get_args(hint)
        decoders = [_find_decoder(arg) for arg in args if arg is not Ellipsis]
        if len(args) == 2 and args[1] is Ellipsis:
            return lambda data: tuple(map(decoders[0], data))
        return lambda data: tuple(decode(item) for decode, item in zip(decoders, data, strict=True))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        of_value = _find_decoder(typing.get_args(hint)[1])
        return lambda data: {key: of_value(item) for key, item in data.items()}
    if isinstance(hint, type):
        if dataclasses.is_dataclass(hint):
            return _make_reader(hint)
        if issubclass(hint, Enum):
            return hint
        if hint is float:
            return lambda data: float(data) if isinstance(data, int) else data
    return _keep


def _keep(data: Any) -> Any:
    return data


def _make_reader(cls: type) -> Decoder:
    decoders: dict[str, Decoder] = {}

    def read(data: Any) -> Any:
        if not decoders:  # at the first use: a class may hold others of its own kind
            hints = typing.get_type_hints(cls)
            fields = dataclasses.fields(cls)
            decoders.update({f.name: _find_decoder(hints[f.name]) for f in fields})
        return cls(
            **{name: decode(data[name]) for name, decode in decoders.items() if name in data}
        )

    return read
