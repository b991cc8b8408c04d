"""A second core for a step of few lanes, whose weights pass too fast for one core's memory path.

A thread in compiled code waits for the next product, attention, convolution or softmax. It computes the last half of a
product's outputs, every second head, or the last half of the lanes, while the caller computes the others. Integers, so
it does not matter who computes what.
"""

from __future__ import annotations

import os
import threading
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from llmzip.attention import attend_heads
from llmzip.convolution import convolve_lanes
from llmzip.fixed_point import EXP_COARSE, EXP_FINE
from llmzip.integer_product import TILE, Matrices, multiply
from llmzip.softmax import token_frequencies

# Places in the control words; each has a cache line of its own.
NEXT_JOB, DONE_JOB, READY, STOP, LATE = range(0, 40, 8)
CONTROL_WORDS = 40
IN, OUT, UP, DOWN, HEAD, ATTEND, CONVOLVE, SOFTMAX = range(8)
_KINDS = 8
_JOBS = 1 << 12
_SPINS_PER_JOB = 1 << 16
"""Turns of the waiting loop, some 20 microseconds, that a job may take on average beyond the caller's own half."""
_SPINS_TO_YIELD = 1 << 14
_LATE_LIMIT = 1 << 28
"""After so many turns too many the second core is taken to be busy, and the caller goes on alone for a while."""
_PAUSE_SECONDS = 0.1


def _atomic(store: bool) -> Any:
    """An intrinsic that stores with release order, or loads with acquire order, a word of an int64 array."""

    @intrinsic
    def access(typing_context, array, place, value):  # type: ignore[no-untyped-def]
        def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
            data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
            pointer = builder.gep(data, [arguments[1]])
            if not store:
                return builder.load_atomic(pointer, "acquire", 8)
            builder.store_atomic(arguments[2], pointer, "release", 8)
            return arguments[2]

        return types.int64(array, types.intp, types.int64), generate

    return access


@intrinsic
def _yield_core(typing_context):  # type: ignore[no-untyped-def]
    """Let another thread have this core: the scheduler may have put caller and helper on the same one."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        if os.name == "posix":
            function = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(ir.IntType(32), []), "sched_yield"
            )
            builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), generate


_load, _store = _atomic(False), _atomic(True)


class StepBuffers(NamedTuple):
    """What products and attention of a step read and write, ``r`` rows, width ``d``, hidden ``h``, ``V`` tokens."""

    quantised: NDArray[np.int16]
    """``[r, d]``"""
    tall_quantised: NDArray[np.int16]
    """``[r, h]``"""
    wide: NDArray[np.int32]
    """``[r, 3 d]``"""
    narrow: NDArray[np.int32]
    """``[r, d]``"""
    tall: NDArray[np.int32]
    """``[r, h]``"""
    logits: NDArray[np.int32]
    """``[r, V]``"""
    mixed: NDArray[np.int64]
    """``[r, d]``"""
    cumulative: NDArray[np.int32]
    """``[r, V + 1]``"""


def new_buffers(rows: int, width: int, hidden: int, vocabulary: int) -> StepBuffers:
    return StepBuffers(
        np.zeros((rows, width), np.int16),
        np.zeros((rows, hidden), np.int16),
        np.zeros((rows, 3 * width), np.int32),
        np.zeros((rows, width), np.int32),
        np.zeros((rows, hidden), np.int32),
        np.zeros((rows, vocabulary), np.int32),
        np.zeros((rows, width), np.int64),
        np.zeros((rows, vocabulary + 1), np.int32),
    )


@njit(cache=True, nogil=True)
def _first_half(outputs):
    return outputs // (2 * TILE) * TILE


@njit(cache=True, nogil=True)
def multiply_shared(inputs, matrices, way, out, control, kind, layer):
    """:func:`llmzip.integer_product.multiply`, half of it by the second core where that is ready."""
    outputs = matrices.rows.shape[1]
    if not _is_ready(control):
        multiply(inputs, matrices, layer, way, 0, outputs, out)
        return
    _start(control, kind, layer)
    multiply(inputs, matrices, layer, way, 0, _first_half(outputs), out)
    _wait(control)


@njit(cache=True, nogil=True)
def _attend_from(first_head, head_step, weights, state, window, way, lanes, steps, buffers, layer):
    slot = weights.cache_slot[layer]
    attend_heads(
        buffers.wide, weights.in_multiplier[layer], weights.temperature[layer], weights.slopes, state.keys[slot],
        state.values[slot], state.length[0], window, way, lanes, steps, first_head, head_step, buffers.mixed,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def attend_shared(weights, state, window, way, lanes, steps, buffers, control, layer):
    """Attention of one layer from ``buffers.wide`` to ``buffers.mixed``, odd heads by the second core where that is
    ready."""
    if not _is_ready(control):
        _attend_from(0, 1, weights, state, window, way, lanes, steps, buffers, layer)
        return
    _start(control, ATTEND, layer)
    _attend_from(0, 2, weights, state, window, way, lanes, steps, buffers, layer)
    _wait(control)


@njit(cache=True, nogil=True)
def _convolve_from(first_lane, lane_after, weights, state, steps, buffers, layer):
    convolve_lanes(
        buffers.wide, weights.in_multiplier[layer], weights.taps[layer], state.tails[layer], first_lane, lane_after,
        steps, buffers.quantised,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def convolve_shared(weights, state, lanes, steps, buffers, control, layer):
    """Convolution of one layer from ``buffers.wide`` to ``buffers.quantised``, the last half of the lanes by the second
    core where that is ready."""
    if lanes < 2 or not _is_ready(control):
        _convolve_from(0, lanes, weights, state, steps, buffers, layer)
        return
    _start(control, CONVOLVE, layer)
    _convolve_from(0, lanes // 2, weights, state, steps, buffers, layer)
    _wait(control)


@njit(cache=True, nogil=True)
def softmax_shared(sums, multiplier, bias, coarse, fine, cumulative, control):
    """:func:`llmzip.softmax.token_frequencies`, the last half of the rows by the second core where that is ready."""
    rows = sums.shape[0]
    if rows < 2 or not _is_ready(control):
        token_frequencies(sums, multiplier, bias, coarse, fine, cumulative)
        return
    _start(control, SOFTMAX, 0)
    token_frequencies(sums[: rows // 2], multiplier, bias, coarse, fine, cumulative[: rows // 2])
    _wait(control)


@njit(cache=True, nogil=True)
def _is_ready(control):
    return control.size > 0 and _load(control, READY, 0) != 0


@njit(cache=True, nogil=True)
def _start(control, kind, layer):
    _store(control, NEXT_JOB, (control[NEXT_JOB] // _JOBS + 1) * _JOBS + layer * _KINDS + kind)


@njit(cache=True, nogil=True)
def _wait(control):
    job = control[NEXT_JOB]
    spins = 0
    while _load(control, DONE_JOB, 0) != job:
        spins += 1
        if spins % _SPINS_TO_YIELD == 0:
            _yield_core()  # type: ignore[call-arg]
    control[LATE] = max(0, control[LATE] + spins - _SPINS_PER_JOB)
    if control[LATE] >= _LATE_LIMIT:
        _store(control, READY, 0)
        _store(control, STOP, 1)


@njit(cache=True, nogil=True)
def _multiply_rest(inputs, matrices, layer, way, out):
    outputs = matrices.rows.shape[1]
    multiply(inputs, matrices, layer, way, _first_half(outputs), outputs, out)


@njit(cache=True, nogil=True)
def _serve(weights, matrices, head, state, window, way, buffers, control, coarse, fine):
    head_matrix, head_multiplier, bias = head
    lanes = state.keys.shape[1]
    steps = buffers.wide.shape[0] // lanes
    last = control[NEXT_JOB]
    spins = 0
    _store(control, READY, 1)
    while True:
        job = _load(control, NEXT_JOB, 0)
        if job == last:
            if _load(control, STOP, 0) != 0:
                return
            spins += 1
            if spins % _SPINS_TO_YIELD == 0:
                _yield_core()  # type: ignore[call-arg]
            continue
        last, spins = job, 0
        kind, layer = job % _KINDS, job % _JOBS // _KINDS
        if kind == IN:
            _multiply_rest(buffers.quantised, matrices.to_inner, layer, way, buffers.wide)
        elif kind == OUT:
            _multiply_rest(buffers.quantised, matrices.from_inner, layer, way, buffers.narrow)
        elif kind == UP:
            _multiply_rest(buffers.quantised, matrices.up, layer, way, buffers.tall)
        elif kind == DOWN:
            _multiply_rest(buffers.tall_quantised, matrices.down, layer, way, buffers.narrow)
        elif kind == HEAD:
            _multiply_rest(buffers.quantised, head_matrix, 0, way, buffers.logits)
        elif kind == CONVOLVE:
            _convolve_from(lanes // 2, lanes, weights, state, steps, buffers, layer)
        elif kind == SOFTMAX:
            half = lanes * steps // 2
            token_frequencies(buffers.logits[half:], head_multiplier, bias, coarse, fine, buffers.cumulative[half:])
        else:
            _attend_from(1, 2, weights, state, window, way, lanes, steps, buffers, layer)
        _store(control, DONE_JOB, job)


class SecondCore:
    """A thread that shares the work of one stack and its head; a context manager.

    Args:
        weights, matrices, state, window: the stack's, as ``llmzip.network`` has them.
        head: its one matrix, multiplier and output bias int32 ``[V]``.
        way: how to multiply, as ``llmzip.integer_product`` has it.
        buffers: what products and attention read and write.
    """

    def __init__(
        self, weights: Any, matrices: Any, head: tuple[Matrices, NDArray, NDArray], state: Any, window: int, way: int,
        buffers: StepBuffers,
    ) -> None:  # fmt: skip
        self.control = np.zeros(CONTROL_WORDS, np.int64)
        self._arguments = (
            weights, matrices, head, state, window, way, buffers, self.control, EXP_COARSE, EXP_FINE,
        )  # fmt: skip
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve_while_open, daemon=True)

    def _serve_while_open(self) -> None:
        while not self._closing.is_set():
            self.control[STOP] = self.control[LATE] = 0
            _serve(*self._arguments)
            self._closing.wait(_PAUSE_SECONDS)

    def __enter__(self) -> SecondCore:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        while self._thread.is_alive():
            self.control[STOP] = 1
            self._thread.join(0.01)


NO_HELPER: NDArray[np.int64] = np.zeros(0, np.int64)
"""Control words of a caller without a second core."""
