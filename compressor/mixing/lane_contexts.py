"""What a lane of mixed mode remembers of its text, and the contexts that its models look at: bytes, words, lines,
columns, tags, tokens, and places where the same text stood before."""

from __future__ import annotations

import numpy as np

from llmzip.mixing.bit_models import byte_class, follow_format, follow_tag, hash_pair, is_letter
from llmzip.network.compilation import compiled

CONTEXTS = 28
MATCH_MODELS = 2
MATCH_MIN_BYTES = (6, 16)
MATCH_MAX = 65535
MATCH_TABLE_BITS = 20

# Fields of a lane's state.
(
    POSITION, LAST_BYTES, WORD, WORD_1, WORD_2, LINE_START, PREVIOUS_LINE, TOKEN_1, TOKEN_2, TOKEN_3, LINE_HEAD, TAG,
    IN_TAG, FORMAT, FIELD, INDENT, FOLDED, REGION_START, MATCH_0, LENGTH_0, MATCH_1, LENGTH_1, MISSED_0, MISSED_1,
    LAST_NODE, LANE_FIELDS,
) = range(26)  # fmt: skip


@compiled
def set_contexts(lane, history, node, adaptive, contexts):
    """Hashes of all contexts at a byte boundary. ``node`` is the trie node of the token's bytes so far."""
    c8 = lane[LAST_BYTES]
    c4 = c8 & 0xFFFFFFFF
    c1 = c8 & 0xFF
    c2 = (c8 >> 8) & 0xFF
    position = lane[POSITION]
    word = lane[WORD]
    boundary = 1 if node == 0 else 0
    column = position - lane[LINE_START]
    above, above_next = np.int64(0), np.int64(0)
    if lane[PREVIOUS_LINE] + column < lane[LINE_START]:
        above = np.int64(history[lane[PREVIOUS_LINE] + column])
        if lane[PREVIOUS_LINE] + column + 1 < lane[LINE_START]:
            above_next = np.int64(history[lane[PREVIOUS_LINE] + column + 1])
    expected = np.int64(256)
    if lane[LENGTH_0] > 0:
        expected = np.int64(history[lane[MATCH_0]])
    contexts[0] = hash_pair(1, (c1 << 1) | boundary)
    contexts[1] = hash_pair(2, ((c4 & 0xFFFF) << 1) | boundary)
    contexts[2] = hash_pair(3, ((c4 & 0xFFFFFF) << 1) | boundary)
    contexts[3] = hash_pair(4, (c4 << 1) | boundary)
    contexts[4] = hash_pair(5, ((c8 & 0xFFFFFFFFFF) << 1) | boundary)
    contexts[5] = hash_pair(6, c8 & 0xFFFFFFFFFFFF)
    contexts[6] = hash_pair(7, c8)
    contexts[7] = hash_pair(8 + boundary, hash_pair(word, c1))
    contexts[8] = hash_pair(10, hash_pair(word, lane[WORD_1]))
    contexts[9] = hash_pair(11, hash_pair(word, lane[WORD_2] + c1))
    contexts[10] = hash_pair(12, hash_pair(hash_pair(word, lane[WORD_1]), lane[WORD_2]))
    contexts[11] = hash_pair(13, c4 & 0xFFFF00)
    contexts[12] = hash_pair(14, c4 & 0xFF00FF)
    contexts[13] = hash_pair(15, c4 & 0xFFFFFF00)
    contexts[14] = hash_pair(16, (adaptive.follow_1[c1] << 8) | c1)
    contexts[15] = hash_pair(17, (adaptive.follow_2[c4 & 0xFFFF] << 8) | c1)
    contexts[16] = hash_pair(18, (min(column, 255) << 16) | (above << 8) | c1)
    contexts[17] = hash_pair(19, (above << 16) | (above_next << 8) | c1)
    contexts[18] = hash_pair(20, hash_pair(lane[LINE_HEAD], word + c1))
    contexts[19] = hash_pair(21, hash_pair(lane[TAG], lane[IN_TAG] * 256 + c1) + word)
    contexts[20] = hash_pair(22, lane[FORMAT])
    contexts[21] = hash_pair(23, hash_pair(lane[FORMAT] & 0xFFFFFFFF, lane[FIELD]) + c1)
    contexts[22] = hash_pair(24, hash_pair(lane[TOKEN_1], node))
    contexts[23] = hash_pair(25, hash_pair(hash_pair(lane[TOKEN_1], lane[TOKEN_2]), node))
    contexts[24] = hash_pair(26, hash_pair(hash_pair(lane[TOKEN_1], lane[TOKEN_2]), hash_pair(lane[TOKEN_3], node)))
    contexts[25] = hash_pair(27, (expected << 16) | (min(lane[LENGTH_0], 32) << 8) | c1)
    contexts[26] = hash_pair(28, lane[FOLDED] & 0xFFFFFFFFFF)
    contexts[27] = hash_pair(29, (min(lane[INDENT], 255) << 16) | (c2 << 8) | c1)


@compiled
def _follow_matches(lane, history, byte, adaptive, base):
    """Extend or drop the matches by a byte that has just been written, and look for new ones."""
    position = lane[POSITION]
    for m in range(MATCH_MODELS):
        pointer_field = MATCH_0 + 2 * m
        pointer, length = lane[pointer_field], lane[pointer_field + 1]
        if length > 0:
            if np.int64(history[pointer]) == byte:
                pointer += 1
                length = min(length + 1, MATCH_MAX) if pointer < history.size else 0
                if lane[MISSED_0 + m] > 0 and length >= 16:
                    lane[MISSED_0 + m] -= 1
            else:
                length = 0
                lane[MISSED_0 + m] = 8
        minimum = MATCH_MIN_BYTES[m]
        if position - lane[REGION_START] >= minimum:
            hashed = np.int64(m)
            if m == 0:
                hashed = hash_pair(m, lane[LAST_BYTES] & 0xFFFFFFFFFFFF)
            else:
                low = np.int64(0)
                for i in range(9, minimum + 1):
                    low = (low << 8) | np.int64(history[position - i])
                hashed = hash_pair(lane[LAST_BYTES], low)
            entry = (m << MATCH_TABLE_BITS) + ((hashed >> 20) & ((1 << MATCH_TABLE_BITS) - 1))
            if length == 0:
                candidate = np.int64(adaptive.match_table[entry]) - base
                if 0 < candidate < history.size:
                    verified = 0
                    while (
                        verified < 32
                        and candidate - 1 - verified >= 0
                        and position - 1 - verified >= lane[REGION_START]
                        and history[candidate - 1 - verified] == history[position - 1 - verified]
                    ):
                        verified += 1
                    if verified >= minimum:
                        pointer = candidate
                        length = verified
            adaptive.match_table[entry] = position + base
        lane[pointer_field] = pointer
        lane[pointer_field + 1] = length


@compiled
def append_byte(lane, history, byte, adaptive, base):
    """Write a byte to the lane and bring everything that contexts are made of up to date."""
    c8 = lane[LAST_BYTES]
    c1 = c8 & 0xFF
    adaptive.follow_1[c1] = ((adaptive.follow_1[c1] << 8) | byte) & 0xFFFFFF
    adaptive.follow_2[c8 & 0xFFFF] = ((adaptive.follow_2[c8 & 0xFFFF] << 8) | byte) & 0xFFFF
    history[lane[POSITION]] = byte
    lane[POSITION] += 1
    lane[LAST_BYTES] = (c8 << 8) | byte
    kind = byte_class(byte)
    letter = is_letter(kind)
    folded = byte + 32 if kind == 4 else byte
    if letter:
        lane[WORD] = hash_pair(lane[WORD], folded)
    elif lane[WORD] != 0:
        lane[WORD_2] = lane[WORD_1]
        lane[WORD_1] = lane[WORD]
        lane[WORD] = 0
    lane[FORMAT] = follow_format(lane[FORMAT], kind, byte, c1)
    lane[FOLDED] = (lane[FOLDED] << 8) | folded
    column = lane[POSITION] - lane[LINE_START]
    if byte == 10:
        lane[PREVIOUS_LINE] = lane[LINE_START]
        lane[LINE_START] = lane[POSITION]
        lane[LINE_HEAD] = 0
        lane[FIELD] = 0
        lane[INDENT] = 0
    elif column <= 4 or (column <= 12 and letter and c1 != 32):
        lane[LINE_HEAD] = hash_pair(lane[LINE_HEAD], byte)
    if byte == 32 and lane[INDENT] == column - 1:
        lane[INDENT] = column
    if kind == 7 or kind == 12 or byte == 9:
        lane[FIELD] += 1
    lane[IN_TAG], lane[TAG] = follow_tag(lane[IN_TAG], lane[TAG], byte, letter)
    _follow_matches(lane, history, byte, adaptive, base)
