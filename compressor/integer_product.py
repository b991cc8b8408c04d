"""Exact matrix products of int8: plain loops, and dot-product instructions (VNNI, AVX2) where there are some."""

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
SLICE = 64
"""Dot-product instructions take the inputs of a product in slices of so many bytes."""
_OUTPUTS = 4
_PREFETCH_BYTES = 1536
"""A matrix is asked for at least so far ahead of its use: weights do not fit the nearer caches."""
_CACHED_ROWS = 64
"""So many rows of inputs stay in cache while all weights pass."""


PLAIN, FASTEST, FASTEST_FOR_SMALL_WEIGHTS = range(3)
"""Ways to multiply; all give the same."""
SMALL_WEIGHT = 64
"""AVX2's product of unsigned and signed bytes adds pairs in 16 bits: exact for weights of at most this."""


def _cpu_features() -> dict[str, bool]:
    """Instruction sets of the CPU that numba compiles for, by LLVM's names."""
    if numba.config.CPU_FEATURES is not None:  # type: ignore[attr-defined]
        return {name[1:]: name[0] == "+" for name in numba.config.CPU_FEATURES.split(",") if name}  # type: ignore[attr-defined]
    return {} if numba.config.CPU_NAME else dict(llvmlite.binding.get_host_cpu_features())  # type: ignore[attr-defined]


_FEATURES = _cpu_features()
_AVX512_VNNI = bool(_FEATURES.get("avx512vnni") and _FEATURES.get("avx512vl"))
VNNI = _AVX512_VNNI or bool(_FEATURES.get("avxvnni"))
AVX2 = bool(_FEATURES.get("avx2"))
_VECTOR_WORDS = 16 if _AVX512_VNNI else 8
_ROWS = 4 if _AVX512_VNNI else 2
"""Rows of inputs at once: with four outputs each as many sums as registers hold."""


def row_offsets(weight: NDArray[np.int8]) -> NDArray[np.int32]:
    """What inputs moved up by 128 add to each output of ``weight`` ``[..., out, in]``, int32 ``[..., out]``."""
    return UNSIGNED_OFFSET * weight.sum(-1, dtype=np.int32)


@njit(cache=True, nogil=True)
def product(inputs, weight, first, after, out):
    """``out[r, o] = sum_k inputs[r, k] weight[o, k]`` for ``first <= o < after``; int16 (of int8 range) times int8 to
    int32."""
    for row in range(0, inputs.shape[0], _CACHED_ROWS):
        row_after = min(row + _CACHED_ROWS, inputs.shape[0])
        for o in range(first, after):
            for r in range(row, row_after):
                total = np.int32(0)
                for k in range(weight.shape[1]):
                    total += np.int32(weight[o, k]) * np.int32(inputs[r, k])
                out[r, o] = total


def _dot_products(rows: int, unsigned_outputs: bool = False) -> Any:
    """An intrinsic for ``rows`` rows of inputs and four of outputs, written as LLVM IR: numba has no such instruction.

    Its arguments: matrix ``[outputs, in]``, o, inputs ``[rows, in]``, r, start, end, corrections int32 ``[outputs]``,
    out int32 ``[rows, outputs]``, all C-contiguous; the sums go from ``start`` to ``end`` of ``in``, which differ by a
    multiple of ``SLICE``. One of matrix and inputs is uint8, the other int8, as ``unsigned_outputs`` says.
    """

    @intrinsic
    def dot_products(typing_context, matrix, o, inputs, r, start, end, corrections, out):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            matrix_type, _, inputs_type, _, _, _, corrections_type, out_type = signature.args
            matrix_array = context.make_array(matrix_type)(context, builder, arguments[0])
            inputs_array = context.make_array(inputs_type)(context, builder, arguments[2])
            corrections_array = context.make_array(corrections_type)(context, builder, arguments[6])
            out_array = context.make_array(out_type)(context, builder, arguments[7])
            first_output, first_row, first, after = (arguments[i] for i in (1, 3, 4, 5))
            matrix_stride = cgutils.unpack_tuple(builder, matrix_array.shape)[1]
            inputs_stride = cgutils.unpack_tuple(builder, inputs_array.shape)[1]
            outputs = cgutils.unpack_tuple(builder, out_array.shape)[1]
            words = _VECTOR_WORDS
            word, vector = ir.IntType(32), ir.VectorType(ir.IntType(32), words)
            quarter = ir.VectorType(word, 4)

            def declared(name, kind, arguments):  # type: ignore[no-untyped-def]
                return cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, arguments), name)

            def add_products(total, unsigned, signed):  # type: ignore[no-untyped-def]
                if VNNI:
                    name = f"llvm.x86.avx512.vpdpbusd.{32 * words}"
                    return builder.call(declared(name, vector, [vector] * 3), [total, unsigned, signed])
                bytes_32, halves = ir.VectorType(ir.IntType(8), 32), ir.VectorType(ir.IntType(16), 16)
                pairs = builder.call(
                    declared("llvm.x86.avx2.pmadd.ub.sw", halves, [bytes_32] * 2),
                    [builder.bitcast(part, bytes_32) for part in (unsigned, signed)],
                )
                fours = builder.call(
                    declared("llvm.x86.avx2.pmadd.wd", vector, [halves] * 2), [pairs, ir.Constant(halves, [1] * 16)]
                )
                return builder.add(total, fours)

            byte_pointer = ir.IntType(8).as_pointer()
            prefetch = declared("llvm.prefetch.p0", ir.VoidType(), [byte_pointer, word, word, word])

            def address(data, offset, kind):  # type: ignore[no-untyped-def]
                return builder.bitcast(cgutils.pointer_add(builder, data, offset), kind.as_pointer())

            def constant(value: int) -> ir.Constant:
                return ir.Constant(first.type, value)

            def row_starts(at, count, stride):  # type: ignore[no-untyped-def]
                return [builder.mul(builder.add(at, constant(i)), stride) for i in range(count)]

            sums = [[cgutils.alloca_once(builder, vector) for _ in range(_OUTPUTS)] for _ in range(rows)]
            for row in sums:
                for place in row:
                    builder.store(ir.Constant(vector, [0] * words), place)
            matrix_starts = row_starts(first_output, _OUTPUTS, matrix_stride)
            next_outputs = builder.mul(matrix_stride, constant(_OUTPUTS))
            is_near = builder.icmp_signed("<", next_outputs, constant(_PREFETCH_BYTES))
            distance = builder.select(is_near, constant(_PREFETCH_BYTES), next_outputs)
            input_starts = row_starts(first_row, rows, inputs_stride)
            with cgutils.for_range_slice(builder, first, after, constant(4 * words), inc=True) as (k, _):
                loaded = [
                    builder.load(address(inputs_array.data, builder.add(at, k), vector), align=1) for at in input_starts
                ]
                for i, at in enumerate(matrix_starts):
                    ahead = builder.add(builder.add(at, k), distance)
                    pointer = cgutils.pointer_add(builder, matrix_array.data, ahead, byte_pointer)
                    builder.call(prefetch, [pointer, *(word(value) for value in (0, 3, 1))])
                    weights = builder.load(address(matrix_array.data, builder.add(at, k), vector), align=1)
                    for j in range(rows):
                        place = sums[j][i]
                        pair = [weights, loaded[j]] if unsigned_outputs else [loaded[j], weights]
                        builder.store(add_products(builder.load(place), *pair), place)

            def shuffled(a, b, lanes):  # type: ignore[no-untyped-def]
                return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(word, len(lanes)), lanes))

            def halved(a):  # type: ignore[no-untyped-def]
                size = a.type.count
                low, high = list(range(size // 2)), list(range(size // 2, size))
                return builder.add(shuffled(a, a, low), shuffled(a, a, high))

            def add_pairs(a, b):  # type: ignore[no-untyped-def]
                even = shuffled(a, b, [0, 2, 8, 10, 4, 6, 12, 14])
                odd = shuffled(a, b, [1, 3, 9, 11, 5, 7, 13, 15])
                return builder.add(even, odd)

            correction_at = builder.mul(first_output, constant(4))
            correction = builder.load(address(corrections_array.data, correction_at, quarter), align=4)
            for j in range(rows):
                a, b, c, d = (builder.load(place) for place in sums[j])
                if words == 16:
                    a, b, c, d = (halved(part) for part in (a, b, c, d))
                total = halved(add_pairs(add_pairs(a, b), add_pairs(c, d)))
                place = builder.add(builder.mul(builder.add(first_row, constant(j)), outputs), first_output)
                builder.store(
                    builder.sub(total, correction),
                    address(out_array.data, builder.mul(place, constant(4)), quarter),
                    align=4,
                )
            return context.get_dummy_value()

        spans = [types.intp] * 2
        return types.void(matrix, types.intp, inputs, types.intp, *spans, corrections, out), generate

    return dot_products


_dot_one_row = _dot_products(1)
_dot_two_rows = _dot_products(2)
_dot_four_rows = _dot_products(_ROWS)
_dot_unsigned = _dot_products(1, unsigned_outputs=True)


@njit(cache=True, nogil=True)
def _product_by_dots(inputs, weight, offsets, first, after, out):
    rows, length = inputs.shape
    moved = np.empty(inputs.shape, np.uint8)
    for r in range(rows):
        for k in range(length):
            moved[r, k] = np.uint8(inputs[r, k] + UNSIGNED_OFFSET)
    for row in range(0, rows, _CACHED_ROWS):
        row_after = min(row + _CACHED_ROWS, rows)
        whole = row_after - (row_after - row) % _ROWS
        for o in range(first, after, _OUTPUTS):
            for r in range(row, whole, _ROWS):
                _dot_four_rows(weight, o, moved, r, 0, length, offsets, out)
            for r in range(whole, row_after):
                _dot_one_row(weight, o, moved, r, 0, length, offsets, out)


@njit(cache=True, nogil=True)
def plain_dots(matrix, vectors, first, after, start, end, none, out):
    """``out[r, o] = sum_k matrix[o, k] vectors[r, k]`` for ``first <= o < after`` and ``start <= k < end``.

    Args:
        matrix, vectors: one uint8, the other int8.
        none: zeros, int32 ``[outputs]``.
    """
    for o in range(first, after):
        for r in range(vectors.shape[0]):
            total = np.int32(0)
            for k in range(start, end):
                total += np.int32(matrix[o, k]) * np.int32(vectors[r, k])
            out[r, o] = total


if VNNI:

    @njit(cache=True, nogil=True)
    def unsigned_dots(matrix, vector, first, after, start, end, none, out):
        """:func:`plain_dots` of a uint8 matrix and one int8 vector; all limits multiples of 4, slices of ``SLICE``."""
        for o in range(first, after, _OUTPUTS):
            _dot_unsigned(matrix, o, vector, 0, start, end, none, out)

    @njit(cache=True, nogil=True)
    def signed_dots(matrix, vectors, first, after, start, end, none, out):
        """:func:`plain_dots` of an int8 matrix and two uint8 vectors; limits as for :func:`unsigned_dots`."""
        for o in range(first, after, _OUTPUTS):
            _dot_two_rows(matrix, o, vectors, 0, start, end, none, out)

else:
    unsigned_dots = signed_dots = plain_dots


@njit(cache=True, nogil=True)
def multiply(inputs, weight, offsets, way, first, after, out):
    """:func:`product` in one of the ways above, with ``offsets`` from :func:`row_offsets`; all arrays C-contiguous."""
    if (
        (VNNI or (AVX2 and way == FASTEST_FOR_SMALL_WEIGHTS))
        and way != PLAIN
        and weight.shape[1] % SLICE == 0
        and first % _OUTPUTS == 0
        and after % _OUTPUTS == 0
    ):
        _product_by_dots(inputs, weight, offsets, first, after, out)
    else:
        product(inputs, weight, first, after, out)
