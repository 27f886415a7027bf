"""A compiled number type that holds one value for each of many pixels.

Inside ``numba.njit`` functions a ``Lanes`` value is a machine vector: 32 float32 or 16 float64, one
lane a pixel (128 bytes either way). Code written with it reads as if for a single pixel and runs
for a whole group. Two properties matter to what is built on it:

* Every operation works on each lane by itself, in IEEE arithmetic, in the order written. Nothing is
  reassociated, approximated or contracted by the compiler (``fma`` is fused because it is asked
  to). So a pixel's result depends neither on its neighbours nor on the processor.
* Branches are the exception to "by itself": they may skip work, never change it. Values that differ
  between lanes go through ``choose``.

Arrays are one-dimensional, 64-byte aligned (``empty_rows``) and addressed by row: row ``i`` of a
float32 array is its elements ``32 * i`` to ``32 * i + 31``. No bounds are checked.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, lower_builtin, models, register_model, type_callable
from numpy.typing import DTypeLike, NDArray

ROW_BYTES = 128
"""Bytes of one row."""

WIDTH = ROW_BYTES // 4
"""Lanes of a float32 row."""

compiled: Callable[..., Any] = njit
"""``numba.njit``, whose own annotations do not fit what it returns."""

Rows = NDArray[np.floating[Any]]
"""An array addressed by row."""

_ALIGN = 64
_intrinsic: Callable[..., Any] = intrinsic
_IR_ELEMENTS = {types.float32: ir.FloatType(), types.float64: ir.DoubleType()}


def empty_rows(n_rows: int, dtype: DTypeLike) -> NDArray[Any]:
    """Return an uninitialised, aligned array of ``n_rows`` rows."""
    size = np.dtype(dtype).itemsize
    buffer = np.empty((n_rows * ROW_BYTES + _ALIGN) // size, dtype)
    first = -buffer.ctypes.data % _ALIGN // size
    return buffer[first : first + n_rows * ROW_BYTES // size]


class Lanes(types.Type):
    """The type of a row of float32 or float64."""

    def __init__(self, element: types.Float) -> None:
        self.element = element
        self.width = ROW_BYTES * 8 // element.bitwidth
        super().__init__(name=f"Lanes({element})")

    @property
    def vector(self) -> ir.VectorType:
        """The machine type."""
        return ir.VectorType(_IR_ELEMENTS[self.element], self.width)


class LaneMask(types.Type):
    """The type of a comparison of lanes: one truth value each."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(name=f"LaneMask({width})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: Lanes) -> None:
        super().__init__(manager, fe_type, fe_type.vector)  # type: ignore[no-untyped-call]


@register_model(LaneMask)
class _LaneMaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, fe_type: LaneMask) -> None:
        super().__init__(manager, fe_type, ir.VectorType(ir.IntType(1), fe_type.width))  # type: ignore[no-untyped-call]


def _repeat(builder: Any, value: Any, width: int) -> Any:
    vector = ir.VectorType(value.type, width)
    nothing = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(nothing, value, ir.Constant(ir.IntType(32), 0))
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), width), [0] * width)
    return builder.shuffle_vector(first, nothing, zeros)


def _address(context: Any, builder: Any, signature: Any, args: Any, lanes: Lanes) -> Any:
    array = context.make_array(signature.args[0])(context, builder, args[0])
    row = context.cast(builder, args[1], signature.args[1], types.intp)
    first = builder.mul(row, ir.Constant(row.type, lanes.width))
    return builder.bitcast(builder.gep(array.data, [first]), lanes.vector.as_pointer())


def _call(builder: Any, name: str, lanes: Lanes, args: Any) -> Any:
    kind = ir.FunctionType(lanes.vector, [lanes.vector] * len(args))
    symbol = f"llvm.{name}.v{lanes.width}f{lanes.element.bitwidth}"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, symbol), args)  # type: ignore[no-untyped-call]


@_intrinsic
def load(typing_context: Any, array: Any, row: Any) -> Any:
    """Return a row of ``array``."""
    lanes = Lanes(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_address(context, builder, signature, args, lanes), align=_ALIGN)

    return lanes(array, row), generate


@_intrinsic
def store(typing_context: Any, array: Any, row: Any, value: Any) -> Any:
    """Write a row of ``array``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        address = _address(context, builder, signature, args, value)
        builder.store(args[2], address, align=_ALIGN)
        return context.get_dummy_value()

    return types.void(array, row, value), generate


@_intrinsic
def peek(typing_context: Any, array: Any, index: Any) -> Any:
    """Return one element; unlike ``array[index]``, a negative index is not looked for."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(array)(context, builder, args[0]).data
        at = context.cast(builder, args[1], index, types.intp)
        return context.unpack_value(builder, array.dtype, builder.gep(data, [at]))

    return array.dtype(array, index), generate


@_intrinsic
def poke(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write one element, likewise."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = context.make_array(array)(context, builder, args[0]).data
        at = context.cast(builder, args[1], index, types.intp)
        item = context.cast(builder, args[2], value, array.dtype)
        context.pack_value(builder, array.dtype, item, builder.gep(data, [at]))
        return context.get_dummy_value()

    return types.void(array, index, value), generate


@_intrinsic
def spread(typing_context: Any, array: Any, value: Any) -> Any:
    """Return a number in every lane, of the element type of ``array``."""
    lanes = Lanes(array.dtype)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        number = context.cast(builder, args[1], signature.args[1], lanes.element)
        return _repeat(builder, number, lanes.width)

    return lanes(array, value), generate


@_intrinsic
def fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """Return a·b + c, rounded once."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _call(builder, "fma", a, args)

    return a(a, b, c), generate


@_intrinsic
def root(typing_context: Any, a: Any) -> Any:
    """Return the square root, correctly rounded."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _call(builder, "sqrt", a, args)

    return a(a), generate


@_intrinsic
def inverse_root(typing_context: Any, a: Any) -> Any:
    """Return 1/√a within 5e-6 of its value, for float32 and normal positive ``a``.

    Half the price of a root and a division. A shifted exponent as the first guess and two Newton
    steps: plain arithmetic, so unlike a processor's own estimate it is the same everywhere.
    """
    if a.element != types.float32:
        raise TypeError("inverse_root is for float32")

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def repeat(number: Any) -> Any:
            return _repeat(builder, number, a.width)

        word, real = ir.IntType(32), ir.FloatType()
        half = builder.fmul(args[0], repeat(ir.Constant(real, 0.5)))
        number = builder.bitcast(args[0], ir.VectorType(word, a.width))
        number = builder.lshr(number, repeat(ir.Constant(word, 1)))
        guess = builder.sub(repeat(ir.Constant(word, 0x5F3759DF)), number)
        y = builder.bitcast(guess, a.vector)
        for _ in range(2):
            t = builder.fneg(builder.fmul(half, y))
            y = builder.fmul(y, _call(builder, "fma", a, [t, y, repeat(ir.Constant(real, 1.5))]))
        return y

    return a(a), generate


@_intrinsic
def magnitude(typing_context: Any, a: Any) -> Any:
    """Return the absolute value."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _call(builder, "fabs", a, args)

    return a(a), generate


@_intrinsic
def smaller(typing_context: Any, a: Any, b: Any) -> Any:
    """Return ``a`` where a < b, else ``b``: a NaN in ``a`` is dropped."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered("<", *args), *args)

    return a(a, b), generate


@_intrinsic
def larger(typing_context: Any, a: Any, b: Any) -> Any:
    """Return ``a`` where a > b, else ``b``: a NaN in ``a`` is dropped."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(builder.fcmp_ordered(">", *args), *args)

    return a(a, b), generate


@_intrinsic
def choose(typing_context: Any, mask: Any, a: Any, b: Any) -> Any:
    """Return ``a`` where the mask holds, else ``b``."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(*args)

    return a(mask, a, b), generate


@_intrinsic
def bits(typing_context: Any, mask: Any) -> Any:
    """Return a mask as an integer, lane 0 in the lowest bit; zero where nothing holds."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.zext(builder.bitcast(args[0], ir.IntType(mask.width)), ir.IntType(64))

    return types.uint64(mask), generate


def _define_arithmetic(symbol: Any, emit: Callable[..., Any], *, compares: bool = False) -> None:
    """Let an operator take lanes with lanes, and lanes with a number."""

    @type_callable(symbol)
    def infer(context: Any) -> Any:
        def resolve(a: Any, b: Any) -> Any:
            lanes = a if isinstance(a, Lanes) else b
            if isinstance(lanes, Lanes) and all(
                t == lanes or isinstance(t, types.Number) for t in (a, b)
            ):
                return LaneMask(lanes.width) if compares else lanes
            return None

        return resolve

    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = next(t for t in signature.args if isinstance(t, Lanes))
        operands = [
            arg
            if kind == lanes
            else _repeat(builder, context.cast(builder, arg, kind, lanes.element), lanes.width)
            for kind, arg in zip(signature.args, args, strict=True)
        ]
        return emit(builder, *operands)

    for kinds in ((Lanes, Lanes), (Lanes, types.Number), (types.Number, Lanes)):
        lower_builtin(symbol, *kinds)(lower)  # type: ignore[no-untyped-call]


def _define_logic(symbol: Any, emit: Callable[..., Any], n_operands: int) -> None:
    """Let an operator take masks."""

    @type_callable(symbol)
    def infer(context: Any) -> Any:
        def resolve_two(a: Any, b: Any) -> Any:
            return a if isinstance(a, LaneMask) and a == b else None

        def resolve_one(a: Any) -> Any:
            return a if isinstance(a, LaneMask) else None

        return resolve_two if n_operands == 2 else resolve_one

    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return emit(builder, *args)

    lower_builtin(symbol, *[LaneMask] * n_operands)(lower)  # type: ignore[no-untyped-call]


def _comparison(sign: str) -> Callable[..., Any]:
    return lambda builder, a, b: builder.fcmp_ordered(sign, a, b)


_define_arithmetic(operator.add, lambda builder, a, b: builder.fadd(a, b))
_define_arithmetic(operator.sub, lambda builder, a, b: builder.fsub(a, b))
_define_arithmetic(operator.mul, lambda builder, a, b: builder.fmul(a, b))
_define_arithmetic(operator.truediv, lambda builder, a, b: builder.fdiv(a, b))
_define_arithmetic(operator.lt, _comparison("<"), compares=True)
_define_arithmetic(operator.le, _comparison("<="), compares=True)
_define_arithmetic(operator.gt, _comparison(">"), compares=True)
_define_arithmetic(operator.ge, _comparison(">="), compares=True)
_define_arithmetic(operator.eq, _comparison("=="), compares=True)
_define_logic(operator.and_, lambda builder, a, b: builder.and_(a, b), 2)
_define_logic(operator.or_, lambda builder, a, b: builder.or_(a, b), 2)
_define_logic(operator.invert, lambda builder, a: builder.not_(a), 1)
