"""Exact matrix products of int8: dot-product instructions (VNNI, AVX2) over tiles where there are some, plain loops.

A tile holds ``TILE`` outputs, their inputs in groups of four: a vector register takes four inputs of each of several
outputs, so that sums need no adding across a register, and a whole tile is one stream through memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import llvmlite.binding
import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from llmzip.network.compilation import compiled

TILE = 32
"""Outputs of a tile."""
GROUP = 4
"""Inputs that one instruction multiplies and adds."""
UNSIGNED_OFFSET = 128
"""The instructions multiply unsigned by signed bytes: inputs are moved up by this, and sums start lower for it."""
_TILE_BYTES = TILE * GROUP
_PREFETCH_BYTES = 2048
"""A tile is asked for so far ahead of its use: weights do not fit the nearer caches."""
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
DOT_PRODUCTS = VNNI or AVX2
"""Whether there are instructions to multiply by tiles with."""
_VECTOR_WORDS = 16 if _AVX512_VNNI else 8
_MOST_ROWS = 8 if _AVX512_VNNI else 2
"""Rows of inputs at once: with the outputs of a tile each as many sums as registers hold."""


class Matrices(NamedTuple):
    """``L`` matrices of one shape."""

    rows: NDArray[np.int8]
    """``[L, out, in]``"""
    tiles: NDArray[np.int8]
    """``[L, out / TILE, in / GROUP, TILE, GROUP]``; no tiles where outputs or inputs leave a rest."""
    starts: NDArray[np.int32]
    """``[L, out]``, where sums over inputs that are moved up by 128 start."""


def with_tiles(rows: NDArray[np.int8]) -> Matrices:
    """Matrices ``[L, out, in]`` ready for :func:`multiply`."""
    count, outputs, inputs = rows.shape
    tiled = np.zeros((count, 0, 0, TILE, GROUP), np.int8)
    if DOT_PRODUCTS and outputs % TILE == 0 and inputs % GROUP == 0:
        groups = np.ascontiguousarray(rows).view(np.int32).reshape(count, outputs // TILE, TILE, inputs // GROUP)
        tiled = np.ascontiguousarray(groups.swapaxes(2, 3)).view(np.int8).reshape(*groups.shape[:2], -1, TILE, GROUP)
    return Matrices(rows, tiled, -UNSIGNED_OFFSET * rows.sum(-1, dtype=np.int32))


@compiled
def product(inputs, weight, first, after, out):
    """``out[r, o] = sum_k (inputs[r, k] - 128) weight[o, k]`` for ``first <= o < after``; uint8 times int8 to int32."""
    for row in range(0, inputs.shape[0], _CACHED_ROWS):
        row_after = min(row + _CACHED_ROWS, inputs.shape[0])
        for o in range(first, after):
            for r in range(row, row_after):
                total = np.int32(0)
                for k in range(weight.shape[1]):
                    total += np.int32(weight[o, k]) * (np.int32(inputs[r, k]) - UNSIGNED_OFFSET)
                out[r, o] = total


def _tile_products(rows: int, unsigned_tiles: bool = False, small: bool = False, from_starts: bool = False) -> Any:
    """An intrinsic for ``rows`` rows of inputs and one tile, written as LLVM IR: numba has no such instruction.

    Its arguments: tiles, the tile's place among their bytes, inputs ``[rows, in]``, the first row, groups to start at
    and to end before, starts int32 ``[out]``, out int32 ``[rows, out]``, the tile's first output. One of tiles and
    inputs is uint8, the other int8, as ``unsigned_tiles`` says.

    Args:
        small: the signed ones are at most ``SMALL_WEIGHT``.
        from_starts: whether sums begin with ``starts``; else with zero.
    """

    @intrinsic
    def tile_products(typing_context, tiles, place, inputs, row, first, after, starts, out, output):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            tiles_type, _, inputs_type, _, _, _, starts_type, out_type, _ = signature.args
            tiles_data = context.make_array(tiles_type)(context, builder, arguments[0]).data
            inputs_array = context.make_array(inputs_type)(context, builder, arguments[2])
            starts_data = context.make_array(starts_type)(context, builder, arguments[6]).data
            out_array = context.make_array(out_type)(context, builder, arguments[7])
            place, first_row, first, after, output = (arguments[i] for i in (1, 3, 4, 5, 8))
            inputs_stride = cgutils.unpack_tuple(builder, inputs_array.shape)[1]
            outputs = cgutils.unpack_tuple(builder, out_array.shape)[1]
            words = _VECTOR_WORDS
            byte, half, word = (ir.IntType(bits) for bits in (8, 16, 32))
            vector, halves = ir.VectorType(word, words), ir.VectorType(half, 2 * words)
            vectors = range(TILE // words)

            def declared(name, kind, arguments):  # type: ignore[no-untyped-def]
                return cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, arguments), name)

            def constant(value: int) -> ir.Constant:
                return ir.Constant(first.type, value)

            def same(kind, value):  # type: ignore[no-untyped-def]
                return ir.Constant(kind, [value] * kind.count)

            def address(data, offset, kind):  # type: ignore[no-untyped-def]
                return builder.bitcast(cgutils.pointer_add(builder, data, offset), kind.as_pointer())

            def pairs_added(a, b):  # type: ignore[no-untyped-def]
                return builder.call(declared("llvm.x86.avx2.pmadd.wd", vector, [halves] * 2), [a, b])

            def prepared(bytes_of_words, unsigned):  # type: ignore[no-untyped-def]
                """What instructions take: the bytes as they are, or for AVX2 even and odd ones in 16 bits."""
                if VNNI or small:
                    return [bytes_of_words]
                both = builder.bitcast(bytes_of_words, halves)
                eight = same(halves, 8)
                if unsigned:
                    return [builder.and_(both, same(halves, 255)), builder.lshr(both, eight)]
                return [builder.ashr(builder.shl(both, eight), eight), builder.ashr(both, eight)]

            def add_products(total, unsigned, signed):  # type: ignore[no-untyped-def]
                if VNNI:
                    name = f"llvm.x86.avx512.vpdpbusd.{32 * words}"
                    return builder.call(declared(name, vector, [vector] * 3), [total, *unsigned, *signed])
                if small:
                    bytes_32 = ir.VectorType(byte, 32)
                    pairs = builder.call(
                        declared("llvm.x86.avx2.pmadd.ub.sw", halves, [bytes_32] * 2),
                        [builder.bitcast(part, bytes_32) for part in (*unsigned, *signed)],
                    )
                    return builder.add(total, pairs_added(pairs, same(halves, 1)))
                for a, b in zip(unsigned, signed, strict=True):
                    total = builder.add(total, pairs_added(a, b))
                return total

            sums = [[cgutils.alloca_once(builder, vector) for _ in vectors] for _ in range(rows)]
            for i in vectors:
                begin = ir.Constant(vector, [0] * words)
                if from_starts:
                    at = builder.mul(builder.add(output, constant(i * words)), constant(4))
                    begin = builder.load(address(starts_data, at, vector), align=4)
                for row_sums in sums:
                    builder.store(begin, row_sums[i])
            input_starts = [builder.mul(builder.add(first_row, constant(j)), inputs_stride) for j in range(rows)]
            prefetch = declared("llvm.prefetch.p0", ir.VoidType(), [byte.as_pointer(), word, word, word])
            with cgutils.for_range_slice(builder, first, after, constant(1), inc=True) as (group, _):
                group_place = builder.add(place, builder.mul(group, constant(_TILE_BYTES)))
                for line in range(0, _TILE_BYTES, 64):
                    ahead = builder.add(group_place, constant(_PREFETCH_BYTES + line))
                    pointer = cgutils.pointer_add(builder, tiles_data, ahead, byte.as_pointer())
                    builder.call(prefetch, [pointer, *(word(value) for value in (0, 3, 1))])
                of_tile = []
                for i in vectors:
                    at = builder.add(group_place, constant(4 * words * i))
                    loaded = builder.load(address(tiles_data, at, vector), align=1)
                    of_tile.append(prepared(loaded, unsigned_tiles))
                for j, start in enumerate(input_starts):
                    at = builder.add(start, builder.mul(group, constant(GROUP)))
                    four = builder.load(address(inputs_array.data, at, word), align=1)
                    single = builder.insert_element(ir.Constant(vector, ir.Undefined), four, word(0))
                    spread = builder.shuffle_vector(single, single, ir.Constant(vector, [0] * words))
                    of_row = prepared(spread, not unsigned_tiles)
                    for i, matrix in enumerate(of_tile):
                        pair = (matrix, of_row) if unsigned_tiles else (of_row, matrix)
                        builder.store(add_products(builder.load(sums[j][i]), *pair), sums[j][i])
            for j, row_sums in enumerate(sums):
                row_start = builder.mul(builder.add(first_row, constant(j)), outputs)
                for i, total in enumerate(row_sums):
                    at = builder.add(builder.add(row_start, output), constant(i * words))
                    pointer = address(out_array.data, builder.mul(at, constant(4)), vector)
                    builder.store(builder.load(total), pointer, align=4)
            return context.get_dummy_value()

        size = types.intp
        return types.void(tiles, size, inputs, size, size, size, starts, out, size), generate

    return tile_products


@compiled
def plain_tiles(tiles, place, inputs, row, first, after, starts, out, output):
    """The sums of one row of inputs and one tile, from zero; ``starts`` is not read. Arguments as those of
    :func:`_tile_products`, ``tiles`` with one axis."""
    for o in range(TILE):
        out[row, output + o] = 0
    for group in range(first, after):
        for o in range(TILE):
            total = np.int32(0)
            for k in range(GROUP):
                factor = np.int32(tiles[place + (group * TILE + o) * GROUP + k])
                total += factor * np.int32(inputs[row, group * GROUP + k])
            out[row, output + o] += total


if DOT_PRODUCTS:
    _eight_rows, _four_rows, _two_rows, _one_row = (_tile_products(rows, from_starts=True) for rows in (8, 4, 2, 1))
    _two_rows_small, _one_row_small = (_tile_products(rows, small=True, from_starts=True) for rows in (2, 1))
    unsigned_tile = _tile_products(1, unsigned_tiles=True)
    """One uint8 tile and one int8 row of inputs."""
    signed_tile = _tile_products(2)
    """One int8 tile and two uint8 rows of inputs."""

    @compiled
    def _product_by_tiles(inputs, tiles, at, starts, small, first, after, out):
        rows, groups = inputs.shape[0], tiles.shape[2]
        for row in range(0, rows, _CACHED_ROWS):
            row_after = min(row + _CACHED_ROWS, rows)
            for output in range(first, after, TILE):
                place = (at * tiles.shape[1] + output // TILE) * groups * _TILE_BYTES
                r = row
                while r < row_after:
                    left = row_after - r
                    if _MOST_ROWS >= 8 and left >= 8:
                        _eight_rows(tiles, place, inputs, r, 0, groups, starts, out, output)
                        r += 8
                    elif _MOST_ROWS >= 4 and left >= 4:
                        _four_rows(tiles, place, inputs, r, 0, groups, starts, out, output)
                        r += 4
                    elif left >= 2:
                        if small:
                            _two_rows_small(tiles, place, inputs, r, 0, groups, starts, out, output)
                        else:
                            _two_rows(tiles, place, inputs, r, 0, groups, starts, out, output)
                        r += 2
                    else:
                        if small:
                            _one_row_small(tiles, place, inputs, r, 0, groups, starts, out, output)
                        else:
                            _one_row(tiles, place, inputs, r, 0, groups, starts, out, output)
                        r += 1

else:
    unsigned_tile = signed_tile = plain_tiles

    @compiled
    def _product_by_tiles(inputs, tiles, at, starts, small, first, after, out):
        """There are no tiles then."""


@compiled
def multiply(inputs, matrices, at, way, first, after, out):
    """:func:`product` by matrix ``at`` in one of the ways above, all arrays C-contiguous; ``first`` and ``after`` are
    multiples of ``TILE`` if there are tiles."""
    if way != PLAIN and matrices.tiles.shape[1] > 0:
        small = way == FASTEST_FOR_SMALL_WEIGHTS
        _product_by_tiles(inputs, matrices.tiles, at, matrices.starts[at], small, first, after, out)
    else:
        product(inputs, matrices.rows[at], first, after, out)
