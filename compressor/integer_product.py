"""Exact matrix products of int8: plain loops for every CPU, and dot-product instructions (VNNI) where it has them."""

from __future__ import annotations

from typing import Any

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

UNSIGNED_OFFSET = 128
"""VNNI multiplies unsigned by signed bytes: inputs are moved up by this, and sums corrected by rows' offsets."""
_STEP = 32
_OUTPUTS = 4
_ROWS = 4
_CACHED_ROWS = 64
"""So many rows of inputs stay in cache while all weights pass."""


def _host_has_vnni() -> bool:
    if numba.config.CPU_NAME or numba.config.CPU_FEATURES:  # type: ignore[attr-defined]
        return False  # compiled for some other machine
    features = llvmlite.binding.get_host_cpu_features()
    return bool(features.get("avxvnni") or (features.get("avx512vnni") and features.get("avx512vl")))


VNNI = _host_has_vnni()


def row_offsets(weight: NDArray[np.int8]) -> NDArray[np.int32]:
    """What inputs moved up by 128 add to each output of ``weight`` ``[..., out, in]``, int32 ``[..., out]``."""
    return UNSIGNED_OFFSET * weight.sum(-1, dtype=np.int32)


@njit(cache=True, nogil=True)
def product(inputs, weight, out):
    """``out[r, o] = sum_k inputs[r, k] weight[o, k]``; int16 (of int8 range) times int8 to int32."""
    for first in range(0, inputs.shape[0], _CACHED_ROWS):
        after = min(first + _CACHED_ROWS, inputs.shape[0])
        for o in range(weight.shape[0]):
            for r in range(first, after):
                total = np.int32(0)
                for k in range(weight.shape[1]):
                    total += np.int32(weight[o, k]) * np.int32(inputs[r, k])
                out[r, o] = total


def _dot_products(rows: int) -> Any:
    """An intrinsic for ``rows`` rows of inputs and four of weights, written as LLVM IR: numba has no such instruction.

    Its arguments: weight int8 ``[out, in]``, o, inputs uint8 ``[rows, in]``, r, offsets int32 ``[out]``, out int32
    ``[rows, out]``, all C-contiguous; ``in`` a multiple of 32.
    """

    @intrinsic
    def dot_products(typing_context, weight, o, inputs, r, offsets, out):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            weight_type, _, inputs_type, _, offsets_type, out_type = signature.args
            weight_array = context.make_array(weight_type)(context, builder, arguments[0])
            inputs_array = context.make_array(inputs_type)(context, builder, arguments[2])
            offsets_array = context.make_array(offsets_type)(context, builder, arguments[4])
            out_array = context.make_array(out_type)(context, builder, arguments[5])
            first_output, first_row = arguments[1], arguments[3]
            length = cgutils.unpack_tuple(builder, weight_array.shape)[1]
            outputs = cgutils.unpack_tuple(builder, out_array.shape)[1]
            word, vector = ir.IntType(32), ir.VectorType(ir.IntType(32), 8)
            quarter = ir.VectorType(word, 4)
            function_type = ir.FunctionType(vector, [vector] * 3)
            instruction = cgutils.get_or_insert_function(builder.module, function_type, "llvm.x86.avx512.vpdpbusd.256")

            def address(data, offset, kind):  # type: ignore[no-untyped-def]
                return builder.bitcast(cgutils.pointer_add(builder, data, offset), kind.as_pointer())

            def constant(value: int) -> ir.Constant:
                return ir.Constant(length.type, value)

            sums = [[cgutils.alloca_once(builder, vector) for _ in range(_OUTPUTS)] for _ in range(rows)]
            for row in sums:
                for place in row:
                    builder.store(ir.Constant(vector, [0] * 8), place)
            weight_starts = [builder.mul(builder.add(first_output, constant(i)), length) for i in range(_OUTPUTS)]
            input_starts = [builder.mul(builder.add(first_row, constant(i)), length) for i in range(rows)]
            with cgutils.for_range_slice(builder, constant(0), length, constant(_STEP), inc=True) as (k, _):
                loaded = [
                    builder.load(address(inputs_array.data, builder.add(start, k), vector), align=1)
                    for start in input_starts
                ]
                for i, start in enumerate(weight_starts):
                    weights = builder.load(address(weight_array.data, builder.add(start, k), vector), align=1)
                    for j in range(rows):
                        place = sums[j][i]
                        builder.store(builder.call(instruction, [builder.load(place), loaded[j], weights]), place)

            def shuffled(a, b, lanes):  # type: ignore[no-untyped-def]
                return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(word, len(lanes)), lanes))

            def add_pairs(a, b):  # type: ignore[no-untyped-def]
                even = shuffled(a, b, [0, 2, 8, 10, 4, 6, 12, 14])
                odd = shuffled(a, b, [1, 3, 9, 11, 5, 7, 13, 15])
                return builder.add(even, odd)

            correction_at = builder.mul(first_output, constant(4))
            correction = builder.load(address(offsets_array.data, correction_at, quarter), align=4)
            for j in range(rows):
                a, b, c, d = (builder.load(place) for place in sums[j])
                total = add_pairs(add_pairs(a, b), add_pairs(c, d))
                total = builder.add(shuffled(total, total, [0, 1, 2, 3]), shuffled(total, total, [4, 5, 6, 7]))
                place = builder.add(builder.mul(builder.add(first_row, constant(j)), outputs), first_output)
                builder.store(
                    builder.sub(total, correction),
                    address(out_array.data, builder.mul(place, constant(4)), quarter),
                    align=4,
                )
            return context.get_dummy_value()

        return types.void(weight, types.intp, inputs, types.intp, offsets, out), generate

    return dot_products


_dot_one_row = _dot_products(1)
_dot_four_rows = _dot_products(_ROWS)


@njit(cache=True, nogil=True)
def _product_vnni(inputs, weight, offsets, out):
    rows = inputs.shape[0]
    moved = np.empty(inputs.shape, np.uint8)
    for r in range(rows):
        for k in range(inputs.shape[1]):
            moved[r, k] = np.uint8(inputs[r, k] + UNSIGNED_OFFSET)
    for first in range(0, rows, _CACHED_ROWS):
        after = min(first + _CACHED_ROWS, rows)
        whole = after - (after - first) % _ROWS
        for o in range(0, weight.shape[0], _OUTPUTS):
            for r in range(first, whole, _ROWS):
                _dot_four_rows(weight, o, moved, r, offsets, out)
            for r in range(whole, after):
                _dot_one_row(weight, o, moved, r, offsets, out)


if VNNI:

    @njit(cache=True, nogil=True)
    def fast_product(inputs, weight, offsets, out):
        """As :func:`product`, with ``offsets`` from :func:`row_offsets`; all arrays C-contiguous."""
        if weight.shape[1] % _STEP == 0 and weight.shape[0] % _OUTPUTS == 0:
            _product_vnni(inputs, weight, offsets, out)
        else:
            product(inputs, weight, out)

else:

    @njit(cache=True, nogil=True)
    def fast_product(inputs, weight, offsets, out):
        """As :func:`product`."""
        product(inputs, weight, out)


@njit(cache=True, nogil=True)
def multiply(inputs, weight, offsets, plain, out):
    """:func:`product` where ``plain``, else :func:`fast_product`."""
    if plain:
        product(inputs, weight, out)
    else:
        fast_product(inputs, weight, offsets, out)
