"""What the mixing kernels predict bits with: hashed counters, adaptive maps and logistic mixers. Integers only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from llmzip.network.compilation import compiled, inlined, prefetch
from llmzip.mixing.logistic import PROBABILITY_BITS, SQUASH, STRETCH, STRETCH_MAX

ONE = 1 << PROBABILITY_BITS
SLOT = 16
"""uint16 per bucket of the counter table: a check and the 15 nodes of half a byte."""
COUNT_BITS = 4
EMPTY_COUNTER = np.uint16(2048 << COUNT_BITS)
LARGEST_BUCKET_BITS = 22
"""What the compressor asks for at most, 128 MB: more gains a thousandth."""
MAP_BUCKETS = 32
SSE_BUCKETS = 24
SSE_STEP = 2 * STRETCH_MAX // (SSE_BUCKETS - 1) + 1
WEIGHT_ONE = 1 << 16
WEIGHT_MAX = (8 << 16) - 1
COUNTER_STRETCH = STRETCH[1 << COUNT_BITS - 1 :: 1 << COUNT_BITS].copy()
"""Stretched probability of a counter, by its 12 bits: a table that stays in the nearest cache."""
COUNTER_RATES = np.array([ONE * 2 // (2 * n + 3) for n in range(1 << COUNT_BITS)], np.int64)
"""Update rate of a counter that has seen ``n`` bits: ``1 / (n + 1.5)``."""

_MIX_1 = 0x2545F4914F6CDD1D
_MIX_2 = 0x1B873593CC9E2D51


def identity_row() -> NDArray[np.uint16]:
    """An adaptive map over stretched probabilities that changes nothing yet."""
    return SQUASH[np.clip(np.arange(SSE_BUCKETS) * SSE_STEP, 0, 2 * STRETCH_MAX)].astype(np.uint16)


def empty_counters(size: int) -> NDArray[np.uint16]:
    """Zeros ``[size]`` that start at a multiple of 64 bytes, as two neighbouring buckets should."""
    line = 64 // 2
    room = np.zeros(size + line, np.uint16)
    start = -room.ctypes.data // 2 % line
    return room[start : start + size]


def untrained_counter_map() -> NDArray[np.uint16]:
    """Probabilities ``[MAP_BUCKETS]`` that take a counter at its word."""
    return SQUASH[np.clip(np.arange(MAP_BUCKETS) * 128 - 2048 + 64 + STRETCH_MAX, 0, 2 * STRETCH_MAX)].astype(np.uint16)


def untrained_match_map() -> NDArray[np.uint16]:
    """Probabilities of a 1, ``[64, 2]`` by :func:`match_bucket` and expected bit, which comes 7 times of 8."""
    return np.tile(np.array([ONE // 8, ONE - ONE // 8], np.uint16), (64, 1))


def bucket_bits(plain_length: int, contexts: int, least: int) -> int:
    """Size of the counter table for a file whose first block has ``plain_length`` bytes; 32 bytes a bucket."""
    return min(max((plain_length * contexts).bit_length(), least), LARGEST_BUCKET_BITS)


@inlined
def hash_pair(a, b):
    h = (a + 0x632BE5AB) * _MIX_1 + (b + 0x1234567) * _MIX_2
    return (h ^ ((h >> 29) & 0x7FFFFFFFF)) * _MIX_1


@inlined
def clip(value, low, high):
    return min(max(value, low), high)


@inlined
def byte_class(byte):
    """0-15: control, newline, space, digit, upper, lower, four kinds of punctuation, quotes, brackets, high bytes."""
    if 97 <= byte <= 122:
        return 5
    if 65 <= byte <= 90:
        return 4
    if 48 <= byte <= 57:
        return 3
    if byte == 32:
        return 2
    if byte == 10 or byte == 13:
        return 1
    if byte < 32:
        return 0
    if byte >= 192:
        return 14
    if byte >= 128:
        return 15
    if byte == 46 or byte == 33 or byte == 63:
        return 6
    if byte == 44 or byte == 59 or byte == 58:
        return 7
    if byte == 34 or byte == 39 or byte == 96:
        return 8
    if byte == 40 or byte == 91 or byte == 123:
        return 9
    if byte == 41 or byte == 93 or byte == 125:
        return 10
    if byte == 60 or byte == 62:
        return 11
    if byte == 47 or byte == 92 or byte == 124:
        return 12
    return 13


@inlined
def is_letter(kind):
    """Whether bytes of a class make words."""
    return kind == 5 or kind == 4 or kind >= 14


@inlined
def follow_format(form, kind, byte, last_byte):
    """What a byte makes of the shape of the text: letters and runs of digits all alike, one byte each."""
    if kind == 3 and 48 <= last_byte <= 57:
        return form
    return (form << 8) | (97 if kind == 5 else 65 if kind == 4 else 48 if kind == 3 else byte)


@inlined
def follow_tag(in_tag, tag, byte, letter):
    """What a byte makes of the markup state: in a tag (1 in its name, 2 behind it) or not, and the hash of the name."""
    if byte == 60:
        return 1, 0
    if byte == 62:
        return 0, tag
    if in_tag == 1:
        if letter or byte == 47:
            return 1, hash_pair(tag, byte)
        return 2, tag
    return in_tag, tag


@inlined
def first_slot(bucket_mask, hashed):
    """Index of the bucket that a hash asks for first; the other one lies in the same 64 bytes."""
    return ((hashed >> 8) & bucket_mask) * SLOT


@compiled
def ask_for_slots(counters, bucket_mask, contexts, partial, hashes):
    """Hash each context with the byte's bits so far into ``hashes``, and ask for their buckets before
    :func:`find_slot` needs them."""
    for i in range(contexts.size):
        hashes[i] = hash_pair(contexts[i] + i, partial)
        prefetch(counters, first_slot(bucket_mask, hashes[i]))  # type: ignore[call-arg]


@inlined
def prefetch_row(table, row):
    """Ask for a row of adaptive maps before :func:`interpolate` needs it."""
    prefetch(table, row * SSE_BUCKETS)  # type: ignore[call-arg]
    prefetch(table, row * SSE_BUCKETS + SSE_BUCKETS - 1)  # type: ignore[call-arg]


@compiled
def find_slot(counters, bucket_mask, hashed):
    """Index of the bucket for a hash: one of two neighbours, the less used one replaced if neither matches."""
    check = np.uint16(((hashed >> 44) & 0xFFFF) | 1)
    first = first_slot(bucket_mask, hashed)
    if counters[first] == check:
        return first
    second = first ^ SLOT
    if counters[second] == check:
        return second
    chosen = first
    if (counters[second + 1] & 15) < (counters[first + 1] & 15):
        chosen = second
    elif (counters[first + 1] & 15) > 0 and (counters[second + 1] & 15) > 0:
        # Age the bucket that stays, so that what is not used again gives way in the end.
        counters[second + 1] -= np.uint16(1)
    counters[chosen] = check
    for i in range(1, SLOT):
        counters[chosen + i] = EMPTY_COUNTER
    return chosen


@inlined
def update_counter(counters, position, bit, counter_rates):
    counter = np.int64(counters[position])
    count = counter & 15
    probability = counter >> COUNT_BITS
    probability += (((bit << 12) - bit - probability) * counter_rates[count]) >> PROBABILITY_BITS
    counters[position] = np.uint16(probability << COUNT_BITS | min(count + 1, 15))


@compiled
def match_bucket(length, missed):
    if length == 0:
        return 0
    if length < 16:
        bucket = length
    elif length < 64:
        bucket = 16 + ((length - 16) >> 2)
    else:
        bucket = 28 + (1 if length >= 128 else 0) + (1 if length >= 512 else 0) + (1 if length >= 4096 else 0)
    return bucket + (32 if missed > 0 else 0)


@inlined
def interpolate(table, row, stretched):
    """Read a row of adaptive maps between its two nearest buckets; returns probability and the nearer bucket."""
    shifted = stretched + STRETCH_MAX
    low = shifted // SSE_STEP
    part = shifted - low * SSE_STEP
    value = (np.int64(table[row, low]) * (SSE_STEP - part) + np.int64(table[row, low + 1]) * part) // SSE_STEP
    return value, low + (1 if 2 * part > SSE_STEP else 0)


@inlined
def adapt(probability, bit, rate_bits):
    target = (ONE - 1) if bit else 0
    return np.uint16(np.int64(probability) + ((target - np.int64(probability)) >> rate_bits))


@compiled
def mix(inputs, weights, row, squash):
    total = np.int32(0)
    for i in range(inputs.size):  # in 32 bits throughout: vectors of twice as many
        total = np.int32(total + (np.int32(inputs[i] * weights[row, i]) >> 8))
    return clip(np.int64(total) >> 8, -STRETCH_MAX + 1, STRETCH_MAX - 1)


@compiled
def learn(inputs, weights, row, error):
    rate = np.int32(error)
    for i in range(inputs.size):
        step = np.int32(np.int32(inputs[i] * rate) + np.int32(1 << 15)) >> 16
        weights[row, i] = min(max(np.int32(weights[row, i] + step), np.int32(-WEIGHT_MAX)), np.int32(WEIGHT_MAX))
