"""Context mode's kernel: bytes as bit decisions, predicted by adaptive context models alone.

For speed where the network is too slow: hashed counters of a dozen contexts and a match model enter gated logistic
mixers; a second mixer combines those, and adaptive-probability stages finish (the structure of lpaq: M. Mahoney,
"Adaptive weighing of context models for lossless data compression", 2005). Integers only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from llmzip.mixing.binary_coder import CODER_MARGIN, CURSOR, DECODING, code_bit
from llmzip.mixing.bit_models import (
    COUNT_BITS,
    MAP_BUCKETS,
    ONE,
    SLOT,
    WEIGHT_ONE,
    adapt,
    ask_for_slots,
    byte_class,
    clip,
    find_slot,
    follow_format,
    follow_tag,
    hash_pair,
    identity_row,
    interpolate,
    is_letter,
    learn,
    match_bucket,
    mix,
    prefetch_row,
    untrained_counter_map,
    untrained_match_map,
    update_counter,
)
from llmzip.network.compilation import compiled
from llmzip.mixing.logistic import PROBABILITY_BITS, STRETCH_MAX

CONTEXTS = 12
INPUTS = 32
"""Counters, match model, bias, and zeros to fill vectors."""
MATCH_INPUT = 2 * CONTEXTS
BIAS_INPUT = MATCH_INPUT + 3
SELECTOR_SIZES = (48, 256, 256)
"""Weight sets of each first-layer mixer: match length and expected bit, last byte, partial byte."""
SELECTOR_STARTS = tuple(sum(SELECTOR_SIZES[:i]) for i in range(len(SELECTOR_SIZES)))
MIXERS = len(SELECTOR_SIZES)
MATCH_MIN = 6
MATCH_MAX = 65535
MATCH_TABLE_BITS = 18

# Fields of the text's state. Positions count from the file's start; BASE is that of history[0].
(
    LAST_BYTES, WORD, WORD_1, LINE_START, PREVIOUS_LINE, LINE_HEAD, TAG, IN_TAG, FORMAT, MATCH, LENGTH, MISSED, BASE,
    TEXT_FIELDS,
) = range(14)  # fmt: skip


class LearnedState(NamedTuple):
    """Mixers and maps: what ships primed."""

    weights: NDArray[np.int32]
    """``[sum(SELECTOR_SIZES), INPUTS]``, 16 fraction bits."""
    final_weights: NDArray[np.int32]
    """``[256, MIXERS]``, by partial byte."""
    counter_maps: NDArray[np.uint16]
    """``[CONTEXTS, 16, MAP_BUCKETS]``: probability by count and stretched counter."""
    match_map: NDArray[np.uint16]
    """``[64, 2]``: by length bucket and recent misses, and expected bit."""


class AdaptiveState(NamedTuple):
    """What starts empty with every file."""

    text: NDArray[np.int64]
    """``[TEXT_FIELDS]``."""
    counters: NDArray[np.uint16]
    """12 bits of probability, 4 of count: ``[buckets * SLOT]``."""
    match_table: NDArray[np.int64]
    """``[1 << MATCH_TABLE_BITS]``: position behind the last occurrence."""
    follow: NDArray[np.int64]
    """``[65536]``, the last bytes that followed two bytes."""
    sse_order1: NDArray[np.uint16]
    """``[65536, SSE_BUCKETS]``: final stage by last and partial byte."""
    sse_order2: NDArray[np.uint16]
    """``[65536, SSE_BUCKETS]``: by the last two bytes, hashed."""


def new_learned_state() -> LearnedState:
    """Untrained mixers and maps."""
    weights = np.zeros((sum(SELECTOR_SIZES), INPUTS), np.int32)
    weights[:, :MATCH_INPUT] = WEIGHT_ONE // 8
    weights[:, MATCH_INPUT:BIAS_INPUT] = WEIGHT_ONE // 4
    return LearnedState(
        weights,
        np.full((256, MIXERS), WEIGHT_ONE // MIXERS, np.int32),
        np.tile(untrained_counter_map(), (CONTEXTS, 16, 1)),
        untrained_match_map(),
    )


def new_adaptive_state(bucket_bits: int) -> AdaptiveState:
    """Empty tables with ``2^bucket_bits`` buckets of counters (32 bytes each)."""
    return AdaptiveState(
        np.zeros(TEXT_FIELDS, np.int64),
        np.zeros(SLOT << bucket_bits, np.uint16),
        np.zeros(1 << MATCH_TABLE_BITS, np.int64),
        np.zeros(65536, np.int64),
        *(np.tile(identity_row(), (65536, 1)) for _ in range(2)),
    )


@compiled
def _set_contexts(text, history, position, adaptive, contexts):
    c8 = text[LAST_BYTES]
    c4 = c8 & 0xFFFFFFFF
    c1 = c8 & 0xFF
    word = text[WORD]
    base = text[BASE]
    column = position + base - text[LINE_START]
    above = np.int64(0)
    if base <= text[PREVIOUS_LINE] + column < text[LINE_START]:
        above = np.int64(history[text[PREVIOUS_LINE] + column - base])
    contexts[0] = hash_pair(1, c1)
    contexts[1] = hash_pair(2, c4 & 0xFFFF)
    contexts[2] = hash_pair(3, c4 & 0xFFFFFF)
    contexts[3] = hash_pair(4, c4)
    contexts[4] = hash_pair(5, c8 & 0xFFFFFFFFFF)
    contexts[5] = hash_pair(6, c8 & 0xFFFFFFFFFFFF)
    contexts[6] = hash_pair(7, hash_pair(word, c1))
    contexts[7] = hash_pair(8, hash_pair(word, text[WORD_1]))
    contexts[8] = hash_pair(9, (above << 16) | (min(column, 255) << 8) | c1)
    contexts[9] = hash_pair(10, hash_pair(text[TAG], text[IN_TAG] * 256 + c1) + word)
    contexts[10] = hash_pair(11, (adaptive.follow[c4 & 0xFFFF] << 8) | c1)
    contexts[11] = hash_pair(12, text[FORMAT] & 0xFFFFFFFFFF)


@compiled
def _append_byte(text, history, position, byte, adaptive):
    """Bring everything that contexts are made of up to date; ``position`` in ``history`` is the one behind the byte."""
    base = text[BASE]
    c8 = text[LAST_BYTES]
    c1 = c8 & 0xFF
    adaptive.follow[c8 & 0xFFFF] = ((adaptive.follow[c8 & 0xFFFF] << 8) | byte) & 0xFFFF
    c8 = (c8 << 8) | byte
    text[LAST_BYTES] = c8
    kind = byte_class(byte)
    letter = is_letter(kind)
    folded = byte + 32 if kind == 4 else byte
    if letter:
        text[WORD] = hash_pair(text[WORD], folded)
    elif text[WORD] != 0:
        text[WORD_1] = text[WORD]
        text[WORD] = 0
    text[FORMAT] = follow_format(text[FORMAT], kind, byte, c1)
    if byte == 10:
        text[PREVIOUS_LINE] = text[LINE_START]
        text[LINE_START] = position + base
    text[IN_TAG], text[TAG] = follow_tag(text[IN_TAG], text[TAG], byte, letter)
    pointer, length = text[MATCH] - base, text[LENGTH]
    if length > 0:
        if np.int64(history[pointer]) == byte:
            pointer += 1
            length = min(length + 1, MATCH_MAX)
            if text[MISSED] > 0 and length >= 16:
                text[MISSED] -= 1
        else:
            length = 0
            text[MISSED] = 8
    if position >= MATCH_MIN:
        entry = (hash_pair(1, c8 & 0xFFFFFFFFFFFF) >> 20) & ((1 << MATCH_TABLE_BITS) - 1)
        if length == 0:
            candidate = adaptive.match_table[entry] - base
            if candidate > 0:
                while (
                    length < 32
                    and candidate - 1 - length >= 0
                    and history[candidate - 1 - length] == history[position - 1 - length]
                ):
                    length += 1
                pointer = candidate
                if length < MATCH_MIN:
                    length = 0
        adaptive.match_table[entry] = position + base
    text[MATCH] = pointer + base
    text[LENGTH] = length


@njit(cache=True, nogil=True)
def code_bytes(
    history, start, stop, bucket_bits, learned, adaptive, rates, coder, coded, stretch, squash, counter_stretch,
    counter_rates,
):  # fmt: skip
    """Code ``history[start:stop]``: read when encoding, written when decoding.

    Args:
        history: uint8, all text so far; matches are found in it.
        rates: int64 ``[2]``: learning rates of the mixers and of the second layer.

    Returns:
        0, or 1 when the output buffer is nearly full.
    """
    text, counters = adaptive.text, adaptive.counters
    sse_order1, sse_order2 = adaptive.sse_order1, adaptive.sse_order2
    weights, final_weights, match_map = learned.weights, learned.final_weights, learned.match_map
    maps = learned.counter_maps.ravel()
    bucket_mask = (1 << bucket_bits) - 1
    contexts = np.zeros(CONTEXTS, np.int64)
    hashes = np.zeros(CONTEXTS, np.int64)
    slots = np.zeros(CONTEXTS, np.int64)
    map_index = np.zeros(CONTEXTS, np.int64)
    inputs = np.zeros(INPUTS, np.int32)
    selected = np.zeros(MIXERS, np.int64)
    outputs = np.zeros(MIXERS, np.int64)
    inputs[BIAS_INPUT] = 256
    rate, final_rate = rates[0], rates[1]
    for position in range(start, stop):
        if coder[CURSOR] + CODER_MARGIN > coded.size and not coder[DECODING]:
            return 1
        _set_contexts(text, history, position, adaptive, contexts)
        byte = np.int64(history[position])
        c1 = text[LAST_BYTES] & 0xFF
        pair = hash_pair(77, text[LAST_BYTES] & 0xFFFF)
        length = text[LENGTH]
        expected = np.int64(0)
        bucket = np.int64(0)
        if length > 0:
            expected = np.int64(history[text[MATCH] - text[BASE]]) | 256
            bucket = match_bucket(length, text[MISSED])
        partial = np.int64(1)
        within = np.int64(1)
        for bit_index in range(8):
            shift = 7 - bit_index
            if bit_index == 0 or bit_index == 4:
                ask_for_slots(counters, bucket_mask, contexts, partial, hashes)
                for i in range(CONTEXTS):
                    slots[i] = find_slot(counters, bucket_mask, hashes[i])
                within = np.int64(1)
            row_1 = partial | (c1 << 8)
            row_2 = ((pair + partial * 0x9E3779B97F4A7C1) >> 30) & 0xFFFF
            prefetch_row(sse_order1, row_1)
            prefetch_row(sse_order2, row_2)
            for i in range(CONTEXTS):
                counter = np.int64(counters[slots[i] + within])
                count = counter & 15
                if count == 0:
                    inputs[2 * i] = 0
                    inputs[2 * i + 1] = 0
                    map_index[i] = -1
                else:
                    stretched = np.int64(counter_stretch[counter >> COUNT_BITS])
                    index = (i * 16 + count) * MAP_BUCKETS + clip((stretched + 2048) >> 7, 0, 31)
                    map_index[i] = index
                    inputs[2 * i] = stretched * count >> 4
                    inputs[2 * i + 1] = stretch[np.int64(maps[index])]
            guess = np.int64(-1)
            if (expected >> (shift + 1)) == partial:
                guess = (expected >> shift) & 1
                probability = np.int64(match_map[bucket, guess])
                inputs[MATCH_INPUT] = stretch[probability]
                inputs[MATCH_INPUT + 1] = (probability - (ONE >> 1)) >> 5
                selected[0] = SELECTOR_STARTS[0] + (1 + (bucket & 31) // 2) * 2 + guess
            else:
                inputs[MATCH_INPUT] = 0
                inputs[MATCH_INPUT + 1] = 0
                selected[0] = SELECTOR_STARTS[0]
            selected[1] = SELECTOR_STARTS[1] + c1
            selected[2] = SELECTOR_STARTS[2] + partial
            total = np.int64(0)
            for m in range(MIXERS):
                outputs[m] = mix(inputs, weights, selected[m], squash)
                total += outputs[m] * np.int64(final_weights[partial, m])
            mixed_stretch = clip(total >> 16, -STRETCH_MAX + 1, STRETCH_MAX - 1)
            mixed = np.int64(squash[mixed_stretch + STRETCH_MAX])
            p1, at_1 = interpolate(sse_order1, row_1, mixed_stretch)
            p2, at_2 = interpolate(sse_order2, row_2, mixed_stretch)
            probability = clip((2 * mixed + p1 + p2 + 2) >> 2, 1, ONE - 1)
            bit = np.int64(code_bit((byte >> shift) & 1, probability, coder, coded))

            sse_order1[row_1, at_1] = adapt(sse_order1[row_1, at_1], bit, 6)
            sse_order2[row_2, at_2] = adapt(sse_order2[row_2, at_2], bit, 6)
            target = bit << PROBABILITY_BITS
            error = (target - mixed) * final_rate >> 4
            for m in range(MIXERS):
                own = ((target - np.int64(squash[outputs[m] + STRETCH_MAX])) * rate) >> 4
                final_weights[partial, m] += (outputs[m] * error + (1 << 15)) >> 16
                learn(inputs, weights, selected[m], np.int32(own))
            for i in range(CONTEXTS):
                at = map_index[i]
                if at >= 0:
                    maps[at] = adapt(maps[at], bit, 7)
                update_counter(counters, slots[i] + within, bit, counter_rates)
            if guess >= 0:
                match_map[bucket, guess] = adapt(match_map[bucket, guess], bit, 6)
            partial = (partial << 1) | bit
            within = (within << 1) | bit
        byte = partial & 0xFF
        history[position] = byte
        _append_byte(text, history, position + 1, byte, adaptive)
    return 0
