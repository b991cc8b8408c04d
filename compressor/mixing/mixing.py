"""Mixed mode's kernel: each token as byte and bit decisions, predicted by the network and by adaptive context models.

A token is coded as its bytes, eight binary decisions each, and after each byte that could be its last one "the token
ends here" decision. The network's probability of a decision is a ratio of running sums over the sorted vocabulary.
It enters gated logistic mixers next to context models with hashed counters, two match models and the calibration of
each by adaptive maps; a second mixer combines the first ones (the structure of PAQ: M. Mahoney, "Adaptive weighing of
context models for lossless data compression", 2005). Integers only.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmzip.mixing.binary_coder import CODER_MARGIN, CURSOR, DECODING, code_bit
from llmzip.mixing.bit_models import (
    COUNT_BITS,
    EMPTY_COUNTER,
    MAP_BUCKETS,
    ONE,
    SLOT,
    WEIGHT_ONE,
    adapt,
    ask_for_slots,
    byte_class,
    clip,
    empty_counters,
    find_slot,
    hash_pair,
    identity_row,
    interpolate,
    learn,
    match_bucket,
    mix,
    prefetch_row,
    untrained_counter_map,
    untrained_match_map,
    update_counter,
)
from llmzip.network.compilation import compiled, inlined
from llmzip.mixing.lane_contexts import (
    CONTEXTS,
    LAST_BYTES,
    LAST_NODE,
    LENGTH_0,
    LENGTH_1,
    MATCH_0,
    MATCH_1,
    MATCH_MODELS,
    MATCH_TABLE_BITS,
    MISSED_0,
    MISSED_1,
    POSITION,
    TOKEN_1,
    TOKEN_2,
    TOKEN_3,
    WORD,
    append_byte,
    set_contexts,
)
from llmzip.mixing.logistic import PROBABILITY_BITS, STRETCH_MAX

FIRST_VERSION, LATEST_VERSION = 1, 2
"""Versions of this mode; a model is primed for one. In the first, counters enter directly and through their maps, and
three final stages stand behind the mixers; the second has maps alone, and no final stages."""
_INPUTS = {FIRST_VERSION: 72, LATEST_VERSION: 48}
"""Inputs of the mixers: counters, match models, network, bias, and zeros to fill vectors."""
NETWORK_INPUTS = 6
SELECTOR_SIZES = (64, 256, 512, 192, 72, 512)
"""Weight sets of each first-layer mixer: match state, partial byte, last byte, network confidence and depth, orders
that know the context by bit position, classes of the last two bytes; the last byte's, the network's and the classes'
once more for the end of a token."""
SELECTOR_STARTS = tuple(sum(SELECTOR_SIZES[:i]) for i in range(len(SELECTOR_SIZES)))
MIXERS = len(SELECTOR_SIZES)
END_OF_TOKEN = 0
"""The end-of-token decision stands where the partial byte of a bit decision does; that one starts at 1."""
RATE_HALF_LIFE = 1 << 16
"""Decisions after which half of the extra learning rate is left."""


class LearnedState(NamedTuple):
    """What ships primed: mixer weights and adaptive maps."""

    weights: NDArray[np.int32]
    """``[sum(SELECTOR_SIZES), inputs]``, 16 fraction bits."""
    final_weights: NDArray[np.int32]
    """``[256, MIXERS]``, by partial byte."""
    counter_maps: NDArray[np.uint16]
    """``[2 * CONTEXTS, 16, MAP_BUCKETS]``: probability by count and stretched counter; bits, then ends."""
    match_maps: NDArray[np.uint16]
    """``[2 * MATCH_MODELS, 64, 2]``: by length bucket and recent misses, and expected bit; bits, then ends."""
    network_map: NDArray[np.uint16]
    """``[256, SSE_BUCKETS]``: the network's calibration by partial byte."""


class AdaptiveState(NamedTuple):
    """What starts empty with every file."""

    counters: NDArray[np.uint16]
    """12 bits of probability, 4 of count: ``[buckets * SLOT]``, behind them ``[CONTEXTS << end_bits]``."""
    table_bits: NDArray[np.int64]
    """``[2]``: logarithms of buckets, and of end-of-token counters per context."""
    match_table: NDArray[np.int64]
    """``[MATCH_MODELS << MATCH_TABLE_BITS]``: position behind the last occurrence."""
    age: NDArray[np.int64]
    """``[1]``, decisions learned from."""
    follow_1: NDArray[np.int64]
    """``[256]``, the last bytes that followed a byte."""
    follow_2: NDArray[np.int64]
    """``[65536]``, the last bytes that followed two bytes."""
    sse_order1: NDArray[np.uint16]
    """``[65536, SSE_BUCKETS]``: final stage by last and partial byte; no rows where the version has none."""
    sse_order2: NDArray[np.uint16]
    """``[65536, SSE_BUCKETS]``: by the last two bytes, hashed."""
    sse_match: NDArray[np.uint16]
    """``[65536, SSE_BUCKETS]``: by expected and partial byte."""
    network_order1: NDArray[np.uint16]
    """``[65536, SSE_BUCKETS]``: the network's calibration by last and partial byte."""
    network_order2: NDArray[np.uint16]
    """``[65536, SSE_BUCKETS]``: by the last two bytes, hashed."""
    network_word: NDArray[np.uint16]
    """``[65536, SSE_BUCKETS]``: by the word so far, hashed."""


class Scratch(NamedTuple):
    """Working memory of one call."""

    contexts: NDArray[np.int64]
    hashes: NDArray[np.int64]
    slots: NDArray[np.int64]
    positions: NDArray[np.int64]
    excluded: NDArray[np.int64]
    inputs: NDArray[np.int32]
    map_index: NDArray[np.int64]
    selected: NDArray[np.int64]
    outputs: NDArray[np.int32]
    errors: NDArray[np.int32]


def new_learned_state(version: int) -> LearnedState:
    """Untrained mixers and maps."""
    weights = np.zeros((sum(SELECTOR_SIZES), _INPUTS[version]), np.int32)
    match_input = first_match_input(_INPUTS[version])
    network_input = match_input + 2 * MATCH_MODELS
    weights[:, :match_input] = WEIGHT_ONE // 16
    weights[:, match_input:network_input] = WEIGHT_ONE // 8
    weights[:, network_input] = WEIGHT_ONE // 2
    return LearnedState(
        weights,
        np.full((256, MIXERS), WEIGHT_ONE // MIXERS, np.int32),
        np.tile(untrained_counter_map(), (2 * CONTEXTS, 16, 1)),
        np.tile(untrained_match_map(), (2 * MATCH_MODELS, 1, 1)),
        np.tile(identity_row(), (256, 1)),
    )


def new_adaptive_state(bucket_bits: int, version: int) -> AdaptiveState:
    """Empty tables with ``2^bucket_bits`` buckets of counters (32 bytes each)."""
    stage_rows = 65536 if version == FIRST_VERSION else 0
    end_bits = min(max(bucket_bits - 4, 12), 18)
    counters = empty_counters((SLOT << bucket_bits) + (CONTEXTS << end_bits))
    counters[SLOT << bucket_bits :] = EMPTY_COUNTER
    return AdaptiveState(
        counters,
        np.array([bucket_bits, end_bits], np.int64),
        np.zeros(MATCH_MODELS << MATCH_TABLE_BITS, np.int64),
        np.zeros(1, np.int64),
        np.zeros(256, np.int64),
        np.zeros(65536, np.int64),
        *(np.tile(identity_row(), (stage_rows, 1)) for _ in range(3)),
        *(np.tile(identity_row(), (65536, 1)) for _ in range(3)),
    )


def new_scratch(version: int) -> Scratch:
    return Scratch(
        np.zeros(CONTEXTS, np.int64), np.zeros(CONTEXTS, np.int64), np.zeros(CONTEXTS, np.int64),
        np.zeros(CONTEXTS, np.int64),
        np.zeros(257, np.int64), np.zeros(_INPUTS[version], np.int32), np.zeros(CONTEXTS, np.int64),
        np.zeros(MIXERS, np.int64), np.zeros(MIXERS, np.int32), np.zeros(MIXERS, np.int32),
    )  # fmt: skip


@inlined
def first_match_input(inputs):
    """The input behind the counters' ones, where there are ``inputs`` in all."""
    return 2 * CONTEXTS if inputs >= 2 * CONTEXTS else CONTEXTS


@compiled
def lower_bound(token_bytes, low, high, depth, value):
    """First token in ``[low, high)`` whose byte at ``depth`` is at least ``value``."""
    while low < high:
        middle = (low + high) >> 1
        if np.int64(token_bytes[middle, depth]) < value:
            low = middle + 1
        else:
            high = middle
    return low


@inlined
def share(part, total):
    """Probability of the tokens with frequency sum ``part`` among those with ``total``, in 1/65536."""
    return clip((part << PROBABILITY_BITS) // total, 1, ONE - 1)


@compiled
def code_step(
    tokens, active, cumulative, lanes, history, base, vocabulary, learned, adaptive, scratch, rates,
    coder, coded, stretch, squash, counter_stretch, counter_rates,
):  # fmt: skip
    """Code one token of each of the first ``active`` lanes.

    Args:
        tokens: int32 ``[lanes]``; read when encoding, written when decoding.
        cumulative: int32 ``[lanes, V + 1]``, the network's cumulative frequencies.
        lanes: int64 ``[lanes, LANE_FIELDS]``.
        history: uint8, all text coded so far, each lane at its place.
        vocabulary: ``(token_bytes, token_lengths, children, token_at, first_byte_starts)``.
        rates: int64 ``[3]``: learning rates of the mixers and of the second layer, extra rate of young mixers.

    Returns:
        0, or 1 when the output buffer is nearly full or a lane would leave ``history``: damaged input.
    """
    for row in range(active):
        lane = lanes[row]
        if coder[CURSOR] + CODER_MARGIN > coded.size and not coder[DECODING]:
            return 1
        token = _code_token(
            np.int64(tokens[row]), cumulative[row], lane, history, base, vocabulary, learned, adaptive, scratch,
            rates, coder, coded, stretch, squash, counter_stretch, counter_rates,
        )  # fmt: skip
        if token < 0:
            return 1
        tokens[row] = token
        lane[TOKEN_3] = lane[TOKEN_2]
        lane[TOKEN_2] = lane[TOKEN_1]
        lane[TOKEN_1] = token + 1
    return 0


@compiled
def _code_token(
    token, cumulative, lane, history, base, vocabulary, learned, adaptive, scratch, rates,
    coder, coded, stretch, squash, counter_stretch, counter_rates,
):  # fmt: skip
    token_bytes, token_lengths, children = vocabulary[0], vocabulary[1], vocabulary[2]
    low, high = np.int64(0), np.int64(token_lengths.size)
    node = np.int64(0)
    depth = np.int64(0)
    end_bits = adaptive.table_bits[1]
    end_start = SLOT << adaptive.table_bits[0]
    bucket_mask = (1 << adaptive.table_bits[0]) - 1
    set_contexts(lane, history, node, adaptive, scratch.contexts)
    ask_for_slots(adaptive.counters, bucket_mask, scratch.contexts, 1, scratch.hashes)
    _exclude_impossible(lane[LAST_NODE], cumulative, vocabulary, scratch.excluded)
    while True:
        if lane[POSITION] >= history.size:
            return -1
        byte, low, high = _code_byte(
            token, low, high, depth, cumulative, lane, history, token_bytes, vocabulary[4], learned, adaptive,
            scratch, rates, coder, coded, stretch, squash, counter_stretch, counter_rates,
        )  # fmt: skip
        node = np.int64(children[node, byte])
        depth += 1
        append_byte(lane, history, byte, adaptive, base)
        lane[LAST_NODE] = node
        if high - low == 1 and np.int64(token_lengths[low]) == depth:
            return low
        set_contexts(lane, history, node, adaptive, scratch.contexts)
        ask_for_slots(adaptive.counters, bucket_mask, scratch.contexts, 1, scratch.hashes)
        if np.int64(token_lengths[low]) == depth:
            total = np.int64(cumulative[high]) - np.int64(cumulative[low])
            ends = np.int64(cumulative[low + 1]) - np.int64(cumulative[low])
            network = share(ends, total)
            for i in range(CONTEXTS):
                hashed = hash_pair(scratch.contexts[i] + i, node)
                scratch.positions[i] = end_start + (i << end_bits) + ((hashed >> 24) & ((1 << end_bits) - 1))
            guess_0, guess_1 = np.int64(-1), np.int64(-1)
            if lane[LENGTH_0] > 0:
                guess_0 = np.int64(1) if children[node, history[lane[MATCH_0]]] == 0 else np.int64(0)
            if lane[LENGTH_1] > 0:
                guess_1 = np.int64(1) if children[node, history[lane[MATCH_1]]] == 0 else np.int64(0)
            bit = _decide(
                1 if token == low else 0, network, END_OF_TOKEN, 8, min(depth, 3), guess_0, guess_1, lane, history,
                learned, adaptive, scratch, rates, coder, coded, stretch, squash, counter_stretch,
            )  # fmt: skip
            _count(adaptive.counters, scratch.positions, bit, counter_rates)
            if bit:
                return low
            low += 1


@compiled
def _exclude_impossible(last_node, cumulative, vocabulary, excluded):
    """Sum up, by first byte, the frequencies of tokens that cannot follow: where the last token and that byte make a
    longer token, longest match would have taken it."""
    children, token_at, starts = vocabulary[2], vocabulary[3], vocabulary[4]
    running = np.int64(0)
    for byte in range(256):
        excluded[byte] = running
        if last_node > 0:
            child = children[last_node, byte]
            if child > 0 and token_at[child] >= 0:
                running += np.int64(cumulative[starts[byte + 1]]) - np.int64(cumulative[starts[byte]])
    excluded[256] = running
    if running >= cumulative[cumulative.size - 1]:
        excluded[:] = 0


@compiled
def _code_byte(
    token, low, high, depth, cumulative, lane, history, token_bytes, first_byte_starts, learned, adaptive, scratch,
    rates, coder, coded, stretch, squash, counter_stretch, counter_rates,
):  # fmt: skip
    counters, slots, positions = adaptive.counters, scratch.slots, scratch.positions
    bucket_mask = (1 << adaptive.table_bits[0]) - 1
    coded_byte = np.int64(token_bytes[token, depth])
    partial = np.int64(1)
    within = np.int64(1)
    expected_0, expected_1 = np.int64(0), np.int64(0)
    if lane[LENGTH_0] > 0:
        expected_0 = np.int64(history[lane[MATCH_0]]) | 256
    if lane[LENGTH_1] > 0:
        expected_1 = np.int64(history[lane[MATCH_1]]) | 256
    for bit_index in range(8):
        shift = 7 - bit_index
        if bit_index == 4:
            ask_for_slots(counters, bucket_mask, scratch.contexts, partial, scratch.hashes)
        if bit_index == 0 or bit_index == 4:
            for i in range(CONTEXTS):
                slots[i] = find_slot(counters, bucket_mask, scratch.hashes[i])
            within = np.int64(1)
        for i in range(CONTEXTS):
            positions[i] = slots[i] + within
        # The network: tokens that go on with a 1 bit, of those that are left.
        upper = ((partial << 1) | 1) << shift & 0xFF
        boundary = first_byte_starts[upper] if depth == 0 else lower_bound(token_bytes, low, high, depth, upper)
        total = np.int64(cumulative[high]) - np.int64(cumulative[low])
        ones = np.int64(cumulative[high]) - np.int64(cumulative[boundary])
        if depth == 0:
            first = (partial << (shift + 1)) & 0xFF
            after = first + (2 << shift)
            total -= scratch.excluded[after] - scratch.excluded[first]
            ones -= scratch.excluded[after] - scratch.excluded[first + (1 << shift)]
        if ones == total:
            bit = np.int64(1)
        elif ones == 0:
            bit = np.int64(0)
        else:
            network = share(ones, total)
            guess_0, guess_1 = np.int64(-1), np.int64(-1)
            if (expected_0 >> (shift + 1)) == partial:
                guess_0 = (expected_0 >> shift) & 1
            if (expected_1 >> (shift + 1)) == partial:
                guess_1 = (expected_1 >> shift) & 1
            bit = _decide(
                (coded_byte >> shift) & 1, network, partial, bit_index, min(depth, 3), guess_0, guess_1, lane, history,
                learned, adaptive, scratch, rates, coder, coded, stretch, squash, counter_stretch,
            )  # fmt: skip
        _count(counters, positions, bit, counter_rates)
        if bit:
            low = boundary
        else:
            high = boundary
        partial = (partial << 1) | bit
        within = (within << 1) | bit
    return partial & 0xFF, low, high


@compiled
def _count(counters, positions, bit, counter_rates):
    for i in range(positions.size):
        update_counter(counters, positions[i], bit, counter_rates)


@compiled
def _decide(
    bit, network, partial, bit_index, depth, guess_0, guess_1, lane, history, learned, adaptive, scratch, rates,
    coder, coded, stretch, squash, counter_stretch,
):  # fmt: skip
    """Predict, code and learn one binary decision; returns the bit.

    Args:
        network: the network's probability of a 1, in 1/65536.
        partial: the byte's bits so far behind a leading 1, or ``END_OF_TOKEN``.
        guess_0, guess_1: the bits that the match models expect, -1 for none.
    """
    positions, inputs, map_index = scratch.positions, scratch.inputs, scratch.map_index
    selected, outputs, errors = scratch.selected, scratch.outputs, scratch.errors
    maps = learned.counter_maps
    match_maps, counters = learned.match_maps, adaptive.counters
    end = 1 if partial == END_OF_TOKEN else 0
    c1 = lane[LAST_BYTES] & 0xFF
    row_1 = partial | (c1 << 8)
    row_2 = (hash_pair(hash_pair(77, lane[LAST_BYTES] & 0xFFFF), partial) >> 30) & 0xFFFF
    row_word = (hash_pair(hash_pair(79, lane[WORD]), partial) >> 30) & 0xFFFF
    prefetch_row(adaptive.network_order1, row_1)
    prefetch_row(adaptive.network_order2, row_2)
    prefetch_row(adaptive.network_word, row_word)
    known = 0
    match_input = first_match_input(inputs.size)
    network_input = match_input + 2 * MATCH_MODELS
    inputs[:network_input] = 0
    for i in range(CONTEXTS):
        counter = np.int64(counters[positions[i]])
        count = counter & 15
        if count == 0:
            map_index[i] = -1
        else:
            stretched = np.int64(counter_stretch[counter >> COUNT_BITS])
            bucket = clip((stretched + 2048) >> 7, 0, MAP_BUCKETS - 1)
            map_index[i] = count * MAP_BUCKETS + bucket
            mapped = stretch[np.int64(maps[end * CONTEXTS + i, count, bucket])]
            if match_input == CONTEXTS:
                inputs[i] = mapped
            else:
                inputs[2 * i] = stretched * count >> 4
                inputs[2 * i + 1] = mapped
            if i < 7:
                known += 1
    bucket_0 = match_bucket(lane[LENGTH_0], lane[MISSED_0])
    bucket_1 = match_bucket(lane[LENGTH_1], lane[MISSED_1])
    match_0, match_1 = end * MATCH_MODELS, end * MATCH_MODELS + 1
    if guess_0 >= 0:
        probability = np.int64(match_maps[match_0, bucket_0, guess_0])
        inputs[match_input] = stretch[probability]
        inputs[match_input + 1] = (probability - (ONE >> 1)) >> 5
    if guess_1 >= 0:
        probability = np.int64(match_maps[match_1, bucket_1, guess_1])
        inputs[match_input + 2] = stretch[probability]
        inputs[match_input + 3] = (probability - (ONE >> 1)) >> 5
    network_stretched = np.int64(stretch[network])
    calibrated, network_bucket = interpolate(learned.network_map, partial, network_stretched)
    inputs[network_input] = network_stretched
    inputs[network_input + 1] = stretch[calibrated]
    inputs[network_input + 2] = (network - (ONE >> 1)) >> 5
    inputs[network_input + NETWORK_INPUTS] = 256  # bias
    p1, network_at_1 = interpolate(adaptive.network_order1, row_1, network_stretched)
    p2, network_at_2 = interpolate(adaptive.network_order2, row_2, network_stretched)
    p3, network_at_3 = interpolate(adaptive.network_word, row_word, network_stretched)
    inputs[network_input + 3] = stretch[p1]
    inputs[network_input + 4] = stretch[p2]
    inputs[network_input + 5] = stretch[p3]

    length_set = 0 if guess_0 < 0 else min(15, 1 + bucket_0 % 32 // 2)
    confidence = min(23, (network_stretched + STRETCH_MAX) * 24 // (2 * STRETCH_MAX))
    classes = byte_class(c1) * 16 + byte_class((lane[LAST_BYTES] >> 8) & 0xFF)
    selected[0] = SELECTOR_STARTS[0] + length_set * 4 + guess_0 + 1 + (1 if guess_0 < 0 and guess_1 >= 0 else 0)
    selected[1] = SELECTOR_STARTS[1] + partial
    selected[2] = SELECTOR_STARTS[2] + end * 256 + c1
    selected[3] = SELECTOR_STARTS[3] + (end * 24 + confidence) * 4 + depth
    selected[4] = SELECTOR_STARTS[4] + known * 9 + bit_index
    selected[5] = SELECTOR_STARTS[5] + end * 256 + classes
    total_stretch = np.int64(0)
    final_weights = learned.final_weights
    for m in range(MIXERS):
        outputs[m] = mix(inputs, learned.weights, selected[m], squash)
        total_stretch += np.int64(outputs[m]) * np.int64(final_weights[partial, m])
    mixed_stretch = clip(total_stretch >> 16, -STRETCH_MAX + 1, STRETCH_MAX - 1)
    mixed = np.int64(squash[mixed_stretch + STRETCH_MAX])

    if adaptive.sse_match.shape[0] > 0:
        row_3 = partial
        if guess_0 >= 0:
            row_3 |= np.int64(history[lane[MATCH_0]]) << 8
        p1, at_1 = interpolate(adaptive.sse_order1, row_1, mixed_stretch)
        p2, at_2 = interpolate(adaptive.sse_order2, row_2, mixed_stretch)
        p3, at_3 = interpolate(adaptive.sse_match, row_3, mixed_stretch)
        probability = clip((2 * mixed + 2 * p1 + 2 * p2 + 2 * p3 + 4) >> 3, 1, ONE - 1)
        bit = np.int64(code_bit(bit, probability, coder, coded))
        adaptive.sse_order1[row_1, at_1] = adapt(adaptive.sse_order1[row_1, at_1], bit, 6)
        adaptive.sse_order2[row_2, at_2] = adapt(adaptive.sse_order2[row_2, at_2], bit, 6)
        adaptive.sse_match[row_3, at_3] = adapt(adaptive.sse_match[row_3, at_3], bit, 6)
    else:
        bit = np.int64(code_bit(bit, mixed, coder, coded))
    learned.network_map[partial, network_bucket] = adapt(learned.network_map[partial, network_bucket], bit, 6)
    adaptive.network_order1[row_1, network_at_1] = adapt(adaptive.network_order1[row_1, network_at_1], bit, 4)
    adaptive.network_order2[row_2, network_at_2] = adapt(adaptive.network_order2[row_2, network_at_2], bit, 4)
    adaptive.network_word[row_word, network_at_3] = adapt(adaptive.network_word[row_word, network_at_3], bit, 4)
    target = bit << PROBABILITY_BITS
    error = (target - mixed) * rates[1] >> 4
    rate = rates[0] + rates[2] * RATE_HALF_LIFE // (RATE_HALF_LIFE + adaptive.age[0])
    adaptive.age[0] += 1
    for m in range(MIXERS):
        errors[m] = ((target - np.int64(squash[outputs[m] + STRETCH_MAX])) * rate) >> 4
        final_weights[partial, m] += (np.int64(outputs[m]) * error + (1 << 15)) >> 16
        learn(inputs, learned.weights, selected[m], errors[m])
    for i in range(CONTEXTS):
        if map_index[i] >= 0:
            count, bucket = map_index[i] // MAP_BUCKETS, map_index[i] % MAP_BUCKETS
            row = end * CONTEXTS + i
            maps[row, count, bucket] = adapt(maps[row, count, bucket], bit, 7)
    if guess_0 >= 0:
        match_maps[match_0, bucket_0, guess_0] = adapt(match_maps[match_0, bucket_0, guess_0], bit, 6)
    if guess_1 >= 0:
        match_maps[match_1, bucket_1, guess_1] = adapt(match_maps[match_1, bucket_1, guess_1], bit, 6)
    return bit
