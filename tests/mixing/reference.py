"""Mixed mode and context mode in plain Python, as docs/format.md has them: slow, and every number an integer of 64 bits
or more."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import numpy as np

from tests.mixing.reference_profiles import Layout, Records, Sequence, Writing

ONE = 1 << 16
MAX = 11 << 8
MASK = (1 << 64) - 1


def _squash_table() -> list[int]:
    with localcontext() as context:
        context.prec = 30
        values = [int(ONE / (1 + (Decimal(-x) / 256).exp())) for x in range(-MAX, MAX + 1)]
    return [min(max(value, 1), ONE - 1) for value in values]


SQUASHED = _squash_table()


def squash(x: int) -> int:
    return SQUASHED[x + MAX]


def _stretch_table() -> list[int]:
    table, above = [], -MAX
    for p in range(ONE):
        while above <= MAX and squash(above) <= p:
            above += 1
        table.append(max(above - 1, -MAX))
    return table


STRETCHED = _stretch_table()


def clip(x: int, low: int, high: int) -> int:
    return min(max(x, low), high)


def hash_pair(a: int, b: int) -> int:
    h = ((a + 0x632BE5AB) * 0x2545F4914F6CDD1D + (b + 0x1234567) * 0x1B873593CC9E2D51) & MASK
    return (h ^ (h >> 29)) * 0x2545F4914F6CDD1D & MASK


def adapt(cells: list[int], at: int, bit: int, rate: int) -> None:
    cells[at] += ((ONE - 1) * bit - cells[at]) >> rate


class Decoder:
    """The arithmetic decoder."""

    def __init__(self, data: bytes) -> None:
        self.data, self.cursor, self.low, self.high = data, 4, 0, 0xFFFFFFFF
        self.window = int.from_bytes((data + bytes(4))[:4], "big")

    def bit(self, probability: int) -> int:
        middle = self.low + ((self.high - self.low) * probability >> 16)
        bit = int(self.window <= middle)
        self.low, self.high = (self.low, middle) if bit else (middle + 1, self.high)
        while self.low >> 24 == self.high >> 24:
            byte = self.data[self.cursor] if self.cursor < len(self.data) else 0
            self.cursor += 1
            self.window = (self.window << 8 & 0xFFFFFFFF) | byte
            self.low = self.low << 8 & 0xFFFFFFFF
            self.high = (self.high << 8 & 0xFFFFFFFF) | 255
        return bit

    def at_end(self) -> bool:
        return len(self.data) == self.cursor - 4 + (self.low > 0)


class Counters:
    """The hash table: a bucket has a check, and 15 counters ``[probability, count, bit history]``."""

    def __init__(self, table_bits: int) -> None:
        self.mask = (1 << table_bits) - 1
        self.checks = [0] * (1 << table_bits)
        self.buckets = [[[2048, 0, 0] for _ in range(16)] for _ in range(1 << table_bits)]

    def find(self, hashed: int) -> list[list[int]]:
        check = (hashed >> 44 & 0xFFFF) | 1
        first = hashed >> 8 & self.mask
        second = first ^ 1
        for bucket in (first, second):
            if self.checks[bucket] == check:
                return self.buckets[bucket]
        counts = [self.buckets[bucket][1][1] for bucket in (first, second)]
        chosen = first
        if counts[1] < counts[0]:
            chosen = second
        elif counts[0] and counts[1]:
            self.buckets[second][1][1] -= 1
        self.checks[chosen] = check
        for counter in self.buckets[chosen]:  # in place: another context may have just found this bucket
            counter[:2] = 2048, 0
        return self.buckets[chosen]

    def find_with_histories(self, hashes: list[int]) -> list[list[list[int]]]:
        buckets = [self.find(hashed) for hashed in hashes]
        for bucket in buckets:
            if bucket[1][:2] == [2048, 0]:
                for counter in bucket:
                    counter[2] = 0
        return buckets


def count(counter: list[int], bit: int, steady: bool = False) -> None:
    p, n = counter[:2]
    rate = ONE // 40 if steady and n == 15 else 2 * ONE // (2 * n + 3)
    counter[:2] = p + ((4095 * bit - p) * rate >> 16), min(n + 1, 15)


def next_state(state: int, bit: int) -> int:
    """Of a bit history: zeros, ones, the last two bits."""
    counts = [state & 15, state >> 4 & 15]
    counts[bit] = min(counts[bit] + 1, 15)
    other = counts[1 - bit]
    counts[1 - bit] = other if other < 3 else (0, 0, 0, 2, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6, 7)[other]
    return (state >> 8 << 1 & 2 | bit) << 8 | counts[1] << 4 | counts[0]


class SlowCounters:
    """By number: 22 bits of probability and a count."""

    def __init__(self, cells: dict[int, tuple[int, int]] | None = None) -> None:
        self.cells = cells or {}

    def probability(self, place: int) -> int:
        return max(self.cells.get(place, (1 << 21, 0))[0] >> 6, 1)

    def count(self, place: int, bit: int) -> None:
        p, n = self.cells.get(place, (1 << 21, 0))
        self.cells[place] = p + ((((1 << 22) - 1) * bit - p) * (2 * ONE // (2 * n + 3)) >> 16), min(n + 1, 255)


class Runs:
    """Of some contexts, the byte that came last, how often in a row, and whether another did before."""

    CONTEXTS = 2, 3, 5, 8, 29, 31, 34, 37, 13, 10, 35, 22, 1, 4, 6, 16, 68, 70, 65, 66, 51, 56, 64, 20
    """Their numbers in profiles 1 and 2."""

    def __init__(self, table_bits: int) -> None:
        self.mask = (1 << table_bits - 2) - 1
        self.table: dict[int, tuple[int, bool, int, int]] = {}
        self.found: list[int] = []

    def find(self, contexts: list[int]) -> None:
        self.found = []
        for i, number in enumerate(self.CONTEXTS):
            hashed = hash_pair(contexts[number] + i & MASK, 99)
            place, check = hashed >> 20 & self.mask, hashed >> 48
            if self.table.get(place, (0,))[0] != check:
                self.table[place] = check, False, 0, 0
            self.found.append(place)

    def append(self, byte: int) -> None:
        for place in self.found:
            check, missed, times, last = self.table.get(place, (0, False, 0, 0))
            if times and last == byte:
                times = min(times + 1, 100)
                missed = missed and times < 16
            else:
                missed, times = times > 0, 1
            self.table[place] = check, missed, times, byte

    def guesses(self) -> list[tuple[int, int]]:
        guesses = []
        for place in self.found:
            _, missed, times, last = self.table.get(place, (0, False, 0, 0))
            bucket = times if times < 6 else 6 + sum(times >= n for n in (8, 12, 16, 24, 40, 70))
            guesses.append((last if times else 256, bucket + 16 * missed))
        return guesses


class Stage:
    """Rows of adaptive maps over stretched probabilities."""

    def __init__(self, rows: list[list[int]] | None = None) -> None:
        self.fresh = [SQUASHED[min(245 * i, 2 * MAX)] for i in range(24)]
        self.rows: dict[int, list[int]] = dict(enumerate(rows or []))

    def read(self, row: int, stretched: int) -> tuple[int, Callable[[int, int], None]]:
        cells = self.rows.setdefault(row, list(self.fresh))
        low, part = divmod(stretched + MAX, 245)
        nearest = low + (2 * part > 245)
        value = (cells[low] * (245 - part) + cells[low + 1] * part) // 245
        return value, lambda bit, rate: adapt(cells, nearest, bit, rate)


def byte_class(byte: int) -> int:
    character = chr(byte)
    if byte >= 128:
        return 14 if byte >= 192 else 15
    if "a" <= character <= "z":
        return 5
    if "A" <= character <= "Z":
        return 4
    for number, members in (
        (3, "0123456789"), (2, " "), (1, "\n\r"), (6, ".!?"), (7, ",;:"), (8, "\"'`"), (9, "([{"), (10, ")]}"),
        (11, "<>"), (12, "/\\|"),
    ):  # fmt: skip
        if character in members:
            return number
    return 0 if byte < 32 else 13


class Match:
    def __init__(self) -> None:
        self.pointer = self.length = self.missed = 0

    def follow(self, text: Text, minimum: int, places: dict[Any, int], key: Any) -> None:
        """``places`` holds the place after what a hash last stood for; ``key`` is that hash."""
        data, position = text.data, text.position
        if self.length:
            if data[self.pointer] == data[position - 1]:
                self.pointer += 1
                self.length = min(self.length + 1, 65535) if self.pointer < len(data) else 0
                if self.missed and self.length >= 16:
                    self.missed -= 1
            else:
                self.missed += 8
                self.pointer += 1
                self.length = int(self.pointer < len(data) and self.missed <= 16)
                self.missed = self.missed if self.length else 8
        if position - text.start < minimum:
            return
        candidate = places.get(key, 0)
        if self.length < minimum and 0 < candidate < len(data):
            same = 0
            while (
                same < min(32, candidate, position - text.start)
                and data[candidate - 1 - same] == data[position - 1 - same]
            ):
                same += 1
            if same >= minimum:
                self.pointer, self.length = candidate, same
        places[key] = position

    def bucket(self) -> int:
        n = self.length
        if n == 0:
            return 0
        if n < 16:
            bucket = n
        elif n < 64:
            bucket = 16 + (n - 16) // 4
        else:
            bucket = 28 + (n >= 128) + (n >= 512) + (n >= 4096)
        return bucket + 32 * (self.missed > 0)


class Text:
    """What is remembered of a text that is written to ``data`` from ``start`` on."""

    def __init__(self, data: bytearray, start: int, of_one: list[int], of_two: dict[int, int]) -> None:
        self.data, self.start, self.position = data, start, start
        self.of_one, self.of_two = of_one, of_two
        self.c8 = self.folded = self.format = self.word = self.word_1 = self.word_2 = self.head = self.tag = 0
        self.in_tag = self.field = self.indent = 0
        self.line = self.previous = start

    def append(self, byte: int) -> None:
        c1, kind = self.c8 & 255, byte_class(byte)
        letter = kind in (4, 5, 14, 15)
        folded = byte + 32 if kind == 4 else byte
        self.of_one[c1] = (self.of_one[c1] << 8 | byte) & 0xFFFFFF
        self.of_two[self.c8 & 0xFFFF] = (self.of_two.get(self.c8 & 0xFFFF, 0) << 8 | byte) & 0xFFFF
        self.data[self.position] = byte
        self.position += 1
        self.c8 = (self.c8 << 8 | byte) & MASK
        self.folded = (self.folded << 8 | folded) & MASK
        if letter:
            self.word = hash_pair(self.word, folded)
        elif self.word:
            self.word, self.word_1, self.word_2 = 0, self.word, self.word_1
        if not (kind == 3 and 48 <= c1 <= 57):
            self.format = (self.format << 8 | {5: 97, 4: 65, 3: 48}.get(kind, byte)) & MASK
        column = self.position - self.line
        if byte == 10:
            self.previous, self.line = self.line, self.position
            self.head = self.field = self.indent = 0
        elif column <= 4 or (column <= 12 and letter and c1 != 32):
            self.head = hash_pair(self.head, byte)
        if byte == 32 and self.indent == column - 1:
            self.indent = column
        self.field += kind in (7, 12) or byte == 9
        if byte == 60:
            self.in_tag, self.tag = 1, 0
        elif byte == 62:
            self.in_tag = 0
        elif self.in_tag == 1:
            if letter or byte == 47:
                self.tag = hash_pair(self.tag, byte)
            else:
                self.in_tag = 2

    def above(self) -> tuple[int, int, int]:
        """The column, at most 255; the bytes above this place and after that one, 0 where there are none."""
        column = self.position - self.line
        at = self.previous + column
        return (
            min(column, 255),
            self.data[at] if at < self.line else 0,
            self.data[at + 1] if at + 1 < self.line else 0,
        )


class Mixers:
    """Weights of several mixers and of those that combine them; maps of counters and of bit histories.

    Args:
        each: inputs of a context.
    """

    def __init__(self, learned: Any, rates: tuple[int, int, int], each: int, steady: bool = False) -> None:
        self.each = each
        if each == 4:
            cells = enumerate(int(cell) for cell in learned.history_maps.flat)
            self.by_history = SlowCounters({i: (cell >> 10 ^ 1 << 21, cell & 1023) for i, cell in cells})
        self.weights = learned.weights.astype(np.int64)
        self.final = learned.final_weights.tolist()
        self.maps = learned.counter_maps.tolist()
        self.rates, self.age, self.steady = rates, 0, steady

    def decide(
        self, counters: list[list[int]], maps: list[list[list[int]]],
        others: Callable[[int], tuple[list[int], list[int]]], final_rows: list[int], code: Callable[[int], int],
        counted: int = 7,
    ) -> int:  # fmt: skip
        """Code a bit with ``code``, which gets a stretched probability.

        Args:
            maps: of each counter.
            others: further inputs and the rows of weights, by how many of the first counters know anything.
            final_rows: of the last mixers' weights, one for each of them.
            counted: how many of them are asked.
        """
        inputs, cells = [], []
        for i, (own, (p, n, *_)) in enumerate(zip(maps, counters, strict=True)):
            stretched = STRETCHED[p << 4 | 8]
            bucket = clip((stretched + 2048) >> 7, 0, 31)
            if self.each > 1:
                inputs.append(stretched * n >> 4)
            inputs.append(STRETCHED[own[n][bucket]] if n else 0)
            if self.each > 2:
                inputs.append((own[n][bucket] - ONE // 2) >> 5 if n else 0)
            if self.each > 3:
                state = counters[i][2]
                inputs.append(STRETCHED[self.by_history.probability(i << 10 | state)] if state else 0)
            if n:
                cells.append((own[n], bucket))
        more, rows = others(sum(counter[1] > 0 for counter in counters[:counted]))
        inputs += more
        outputs = []
        values = np.array(inputs, np.int64)
        for row in rows:
            total = int((values * self.weights[row, : len(values)] >> 8).sum())
            outputs.append(clip(total >> 8, -MAX + 1, MAX - 1))
        last = [
            clip(sum(x * w for x, w in zip(outputs, self.final[row], strict=True)) >> 16, -MAX + 1, MAX - 1)
            for row in final_rows
        ]
        bit = code(sum(last) // len(last))
        rate = self.rates[0] + self.rates[2] * ONE // (ONE + self.age)
        self.age += 1
        for row, stretched in zip(final_rows, last, strict=True):
            error = (ONE * bit - squash(stretched)) * self.rates[1] >> 4
            for m, output in enumerate(outputs):
                self.final[row][m] += (output * error + ONE // 2) >> 16
        for m, row in enumerate(rows):
            own_error = (ONE * bit - squash(outputs[m])) * rate >> 4
            weights = self.weights[row, : len(values)]
            weights += (values * own_error + ONE // 2) >> 16
            np.clip(weights, 1 - (8 << 16), (8 << 16) - 1, out=weights)
        for cell_row, bucket in cells:
            adapt(cell_row, bucket, bit, 7)
        for i, counter in enumerate(counters):
            count(counter, bit, self.steady)
            if self.each > 3:
                self.by_history.count(i << 10 | counter[2], bit)
                counter[2] = next_state(counter[2], bit)
        return bit


_NUMBERS_OF_MIXED = (*range(40, 56), 120, 57, 116, 65, 66, *range(103, 116), 117, 118, 119, *range(121, 137))


def number_contexts(t: Text, r: Records) -> dict[int, int]:
    """Contexts of records, by their numbers in docs/format.md."""
    c1, c2 = t.c8 & 255, t.c8 >> 8 & 255
    column, above, above_next = t.above()

    def at(place: int, more: int = 0) -> int:
        return r.byte_at(place + more) if place < r.position else 0

    above_1, above_1_next, above_2 = at(r.above[0]), at(r.above[0], 1), at(r.above[1])
    kin_1, kin_1_next, kin_2 = at(r.kin[0]), at(r.kin[0], 1), at(r.kin[1])
    line, line_1, line_2 = r.lines
    length = min(line - line_1, 255) if line_1 < 1 << 31 else 0
    row_2 = line_2 + t.position - line
    two_above = t.data[row_2] if line_2 < 1 << 31 and row_2 < line_1 else 0
    up = two_up = agreement = 0
    if line_1 < 1 << 31:
        column_1 = line_1 + t.position - line
        up = sum(t.data[column_1 + k] << 8 * (k + 1) for k in range(-1, 4) if line_1 <= column_1 + k < line)
        for k in range(min(8, t.position - line)):
            agreement |= (column_1 - 1 - k < line and t.data[column_1 - 1 - k] == t.data[t.position - 1 - k]) << k
        if line_2 < 1 << 31:
            two_up = sum(t.data[row_2 + k] << 8 * k for k in range(2) if row_2 + k < line_1)
    h, text, shapes, letter = hash_pair, r.field_text, r.token_shapes, r.separators_since << 8 | r.letter
    values = {
        40: h(r.token, c1),
        41: h(r.token, r.tokens[0]) + c1,
        42: h(r.token, r.tokens[1]) + c1,
        43: h(h(r.token, r.tokens[0]), r.tokens[1]) + c1,
        44: above_1 << 24 | above_1_next << 16 | c1 << 8 | r.equal_above,
        45: above_1 << 24 | above_2 << 16 | c1 << 8 | r.equal_above,
        46: h(r.whole_above, text) + c1,
        47: kin_1 << 24 | kin_1_next << 16 | c1 << 8 | r.equal_kin,
        48: h(kin_1 << 16 | kin_2 << 8 | c1, r.token),
        49: h(r.whole_kin, text) + c1,
        50: r.predictions[0].key(),
        51: h(r.predictions[1].key(), above_1),
        52: r.predictions[2].key(),
        53: h(r.field, text) + c1,
        54: r.field << 24 | min(r.offset, 255) << 16 | above_1,
        55: h(h(r.whole_above, r.tokens[0]), text) + c1,
        56: h(above << 24 | two_above << 16 | c1 << 8 | c2, above_next),
        57: r.digits << 24 | length << 16 | column << 8 | above_1,
        58: h(r.cell_before, r.cell_text),
        59: h(h(r.cell_key, 0 if r.cell_key else r.cell_before), r.cell_text) + r.cell,
        116: t.c8 & (1 << 56) - 1,
        65: t.c8 & 0xFF0000FF,
        66: t.c8 & 0xFF00FF00,
        103: h(shapes & 0xFFFF, r.token_bytes << 4 | byte_class(c1)),
        104: h(h(r.token, r.tokens[1]), r.tokens[2]) + c1,
        105: h(r.token, r.tokens[2]) + c1,
        106: h(h(r.token, r.tokens[0]), r.tokens[2]) + c1,
        107: h(r.token, r.tokens[3]) + c1,
        108: h(h(r.token, r.tokens[1]), r.tokens[3]) + c1,
        109: h(r.token, r.names[0]) + c1,
        110: h(h(r.token, r.names[0]), r.names[1]) + c1,
        111: h(r.token, r.separators) + c1,
        112: h(r.token, shapes & 0xFFFFFF) + c1,
        113: h(r.token, letter) + c1,
        114: h(h(r.token, letter), shapes & 0xFF) + c1,
        115: h(r.separators & 0xFFFF, (shapes << 4 | r.token_bytes) & MASK) + byte_class(c1),
        117: agreement << 16 | (up >> 8 & 255) << 8 | two_up & 255,
        118: h(up & 0xFFFFFFFF, agreement & 3),
        119: h(up >> 8, two_up),
        120: column << 8 | c1,
    }
    if w := r.writing:
        alike, alike_2 = w.bytes_alike(r, 0, 3), w.bytes_alike(r, 1, 2)
        above_here = up >> 8 & 255
        values |= {
            121: w.recent & (1 << 40) - 1,
            122: w.forms,
            123: w.successors.get(w.entry(r), 0) << 8 | r.token_bytes,
            124: alike << 8 | c1,
            125: h(alike & 0xFFFF, alike_2 << 16 | above_here),
            126: h(w.paragraph, column),
            127: line,
            128: w.recent,
            129: 0,
            130: h(w.recent & 0xFFFFFF, c1),
            131: h(w.paragraph, column << 8 | c1),
            132: h(w.paragraph, above_here << 8 | c1),
            133: w.forms & 0xFFFFFFFF,
            134: h(w.figures & 0xFFFF, byte_class(c1)),
            135: h(w.letters & 0xFFFFFF, c1),
            136: h(w.recent & (1 << 40) - 1, w.gap),
        }
    return {number: h(number, value & MASK) for number, value in values.items()}


def binary_contexts(t: Text, layout: Layout) -> list[int]:
    c8, c1, c2 = t.c8, t.c8 & 255, t.c8 >> 8 & 255
    done, period = t.position - layout.start, layout.period
    row = t.data[t.position - period] if done >= period else 0
    row_2 = t.data[t.position - 2 * period] if done >= 2 * period else 0
    corner = t.data[t.position - period - 1] if done > period else 0
    cell = done % period
    values = [
        (cell & 3) << 8 | c1,
        c8 & 0xFF00,
        c8 & 0xFF0000,
        c8 & 0xFF000000,
        c8 & 0xFF000000FF000000,
        c8 & 0xFF0000FF,
        c8 & 0xFF00FF00,
        row << 16 | period,
        row << 8 | c1,
        row << 16 | c1 << 8 | c2,
        row << 8 | row_2,
        cell << 16 | period,
        cell << 16 | c1 << 8,
        cell << 16 | row << 8,
        row + c1 - corner & 255,
        cell << 24 | row << 8 | c1 << 16,
    ]
    return [hash_pair(60 + i, value) for i, value in enumerate(values)]


def sequence_contexts(t: Text, s: Sequence) -> list[int]:
    c1 = t.c8 & 255
    column, above, _ = t.above()
    place = (c1 == 10) << 1 | s.in_header
    expected_1, expected_2 = (s.expects(i, t.position) for i in range(2))

    def acids(number: int, letters: int, without: int = 0) -> int:
        kept = (s.acids & (1 << 5 * letters) - 1) >> 5 * without
        return hash_pair(number, kept << 2 | place)

    def bases(number: int, letters: int) -> int:
        return hash_pair(number, (s.bases & (1 << 2 * letters) - 1) << 2 | place)

    return [
        acids(80, 1), acids(81, 2), acids(82, 3), acids(83, 4), acids(97, 5), acids(84, 6), acids(85, 8),
        acids(87, 11), acids(88, 12), bases(89, 14), bases(90, 16), bases(91, 18), bases(92, 20), bases(94, 24),
        acids(98, 3, 1), acids(99, 4, 1), hash_pair(100, (s.acids & 0x7C1F) << 2 | place),
        hash_pair(101, expected_1 << 32 | expected_2 << 16 | s.matches[1].bucket() << 8 | c1),
        hash_pair(102, hash_pair(expected_2 << 16 | expected_1, s.acids & 1023)),
        hash_pair(96, column << 16 | (above == 10) << 8 | place),
    ]  # fmt: skip


def course_row(r: Records) -> int:
    return (r.predictions[0].course * 5 + r.predictions[1].course) * 8 + min(r.offset, 7)


def match_inputs(cells: list[int] | None, guess: int) -> list[int]:
    return [STRETCHED[cells[guess]], (cells[guess] - ONE // 2) >> 5] if cells else [0, 0]


class ContextReference:
    """Context mode without a primer."""

    def __init__(self, table_bits: int, learned: Any, profile: int = 0) -> None:
        self.profile = profile
        self.mixers = Mixers(learned, (6, 2, 0), 2)
        self.match_maps = learned.match_maps.tolist()
        self.counters = Counters(table_bits)
        self.stage_1, self.stage_2 = Stage(), Stage()

    def decode(self, data: bytes, length: int) -> bytes | None:
        coder = Decoder(data)
        text = Text(bytearray(length), 0, [0] * 256, {})
        match, places = Match(), dict[int, int]()
        kinds = (None, Records, Layout, Sequence)
        kind = kinds[self.profile]
        self.own: Any = kind(hash_pair, text.data, 0) if kind else None
        for _ in range(length):
            text.append(self._byte(coder, text, match))
            if self.own:
                self.own.append(text.position)
            hashed = hash_pair(1, text.c8 & 0xFFFFFFFFFFFF)
            match.follow(text, 6, places, hashed >> 20 & (1 << 18) - 1)
        return bytes(text.data) if coder.at_end() else None

    def _contexts(self, text: Text) -> list[int]:
        c8, c1, word = text.c8, text.c8 & 255, text.word
        column, above, _ = text.above()
        order = {n: hash_pair(n, c8 & ((1 << 8 * n) - 1)) for n in range(1, 7)}
        word_and_byte = hash_pair(7, hash_pair(word, c1))
        two_words = hash_pair(8, hash_pair(word, text.word_1))
        by_column = hash_pair(9, above << 16 | column << 8 | c1)
        by_tag = hash_pair(10, hash_pair(text.tag, text.in_tag * 256 + c1) + word & MASK)
        followers = hash_pair(11, text.of_two.get(c8 & 0xFFFF, 0) << 8 | c1)
        by_format = hash_pair(12, text.format & 0xFFFFFFFFFF)
        if self.profile == 0:
            return [*order.values(), word_and_byte, two_words, by_column, by_tag, followers, by_format]
        if self.profile == 2:
            return [*(order[n] for n in (1, 2, 3, 4, 6)), followers, *binary_contexts(text, self.own)]
        if self.profile == 3:
            raw = [*(order[n] for n in (2, 3, 4, 6)), word_and_byte, two_words, by_column]
            return [*sequence_contexts(text, self.own), *raw]
        of_numbers = number_contexts(text, self.own)
        chosen = (40, 41, 42, 44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 56)
        shared = [*(order[n] for n in (1, 2, 3, 4, 6)), word_and_byte, two_words, by_column, followers, by_format]
        return [*shared, *(of_numbers[number] for number in chosen)]

    def _guesses(self, text: Text, match: Match) -> list[tuple[int, int]]:
        """Expected bytes, 256 for none, and rows of the match maps."""
        guesses = [(text.data[match.pointer] if match.length else 256, match.bucket())]
        if self.profile == 1:
            guesses += [(p.expects(), self.own.bucket(i)) for i, p in enumerate(self.own.predictions)]
        if self.profile == 3:
            guesses += [(self.own.expects(i, text.position), m.bucket()) for i, m in enumerate(self.own.matches)]
        return guesses

    def _byte(self, coder: Decoder, text: Text, match: Match) -> int:
        contexts = self._contexts(text)
        c1, pair = text.c8 & 255, hash_pair(77, text.c8 & 0xFFFF)
        partial = within = 1
        guesses = self._guesses(text, match)
        for index in range(8):
            if index % 4 == 0:
                buckets = [self.counters.find(hash_pair(c + i & MASK, partial)) for i, c in enumerate(contexts)]
                within = 1
            cells: list[list[int] | None] = []
            bits, row = [], 0
            for i, (expected, bucket) in enumerate(guesses):
                fits = expected < 256 and (expected | 256) >> (8 - index) == partial
                bits.append(expected >> (7 - index) & 1 if fits else -1)
                cells.append(self.match_maps[i][bucket] if fits else None)
                if fits and self.profile == 3 and i == 1:
                    row = (1 + bucket // 4) * 2 + bits[i]
                elif fits and i == 0:
                    row = (1 + bucket % 32 // 2) * 2 + bits[i]
            row_2 = (pair + partial * 0x9E3779B97F4A7C1 & MASK) >> 30 & 0xFFFF
            learn: list[Callable[[int, int], None]] = []

            def code(stretched: int, row_2: int = row_2, learn: list = learn, partial: int = partial) -> int:
                p1, learn_1 = self.stage_1.read(partial | c1 << 8, stretched)
                p2, learn_2 = self.stage_2.read(row_2, stretched)
                learn[:] = learn_1, learn_2
                return coder.bit(clip((2 * squash(stretched) + p1 + p2 + 2) >> 2, 1, ONE - 1))

            inputs = [x for own, guess in zip(cells, bits, strict=True) for x in match_inputs(own, guess)] + [0, 256]
            row_1 = course_row(self.own) if self.profile == 1 else index if self.profile == 3 else c1

            def others(known: int, inputs: list = inputs, rows: tuple = (row, row_1, partial)) -> tuple[list, list]:
                more = 9 * known if self.profile == 3 else 0
                return inputs, [rows[0], 48 + rows[1] + more, 304 + rows[2]]

            bit = self.mixers.decide(
                [bucket[within] for bucket in buckets], self.mixers.maps, others, [partial], code, 14
            )
            for stage in learn:
                stage(bit, 6)
            for own, guess in zip(cells, bits, strict=True):
                if own:
                    adapt(own, guess, bit, 6)
            partial, within = partial << 1 | bit, within << 1 | bit
        return partial & 255


class MixedReference:
    """Mixed mode of blocks that go on from each other.

    Args:
        vocabulary: its tokens in order.
        frequencies: cumulative, by the last token.
    """

    def __init__(
        self, vocabulary: list[bytes], frequencies: Callable[[int], list[int]], start_token: int, table_bits: int,
        learned: Any, profile: int = 0,
    ) -> None:  # fmt: skip
        self.profile = profile
        self.finals = tuple(Stage() for _ in range(4))
        self.slow, self.runs = SlowCounters(), Runs(table_bits)
        self.text = bytearray()
        self.carried: Records | None = None
        self.vocabulary, self.frequencies, self.start_token = vocabulary, frequencies, start_token
        self.known = set(vocabulary)
        self.prefixes = {token[:n] for token in vocabulary for n in range(1, len(token) + 1)}
        self.nodes = self._number_nodes()
        rates = (6, 2, 16) if profile == 0 else (3, 4, 10)
        self.mixers = Mixers(learned, rates, (1, 3, 4)[profile], profile > 0)
        self.match_maps = learned.match_maps.tolist()
        self.network_map = Stage(learned.network_map.tolist() if profile < 2 else None)
        self.stages = Stage(), Stage(), Stage()
        self.counters = Counters(table_bits)
        self.end_bits = clip(table_bits - 4, 12, 18)
        self.ends: dict[tuple[int, int], list[int]] = {}
        self.of_one, self.of_two = [0] * 256, dict[int, int]()
        self.places: tuple[dict, dict] = ({}, {})

    def _number_nodes(self) -> dict[bytes, int]:
        nodes = {b"": 0}
        for token in self.vocabulary:
            for n in range(1, len(token) + 1):
                nodes.setdefault(token[:n], len(nodes))
        return nodes

    def decode(self, data: bytes, lane_bytes: list[int]) -> bytes | None:
        self.coder = Decoder(data)
        text = self.text
        block_start = start = len(text)
        text += bytes(sum(lane_bytes))
        lanes: list[_Lane] = []
        for length in lane_bytes:
            own = Text(text, start, self.of_one, self.of_two)
            lane = _Lane(own, start + length, self.start_token, self.profile)
            if self.carried:
                lane.records = self.carried.copy()
                if lanes:
                    lane.records.go_on(block_start, start)
            lanes.append(lane)
            start += length
        while any(lane.text.position < lane.end for lane in lanes):
            for lane in lanes:
                if lane.text.position < lane.end:
                    self._token(lane)
        self.carried = lanes[-1].records
        return bytes(text[block_start:]) if self.coder.at_end() else None

    def read(self, primer: bytes) -> None:
        """Read a primer in the place of a first block."""
        start = len(self.text)
        self.text += bytes(len(primer))
        lane = _Lane(
            Text(self.text, start, self.of_one, self.of_two), start + len(primer), self.start_token, self.profile
        )
        while lane.text.position < lane.end:
            rest = primer[lane.text.position - start :]
            token = max((token for token in self.known if rest.startswith(token)), key=len)
            self._contexts(lane, b"")
            for done in (token[: n + 1] for n in range(len(token))):
                self._read_byte(done[-1])
                self.runs.append(done[-1])
                lane.append(done[-1], self.places)
                lane.so_far = done
                if not any(other != done and other.startswith(done) for other in self.known):
                    break
                self._contexts(lane, done)
                if done in self.known:
                    for counter in self._end_counters(done):
                        count(counter, int(done == token), self.profile > 0)
            lane.tokens = [self.vocabulary.index(token) + 1, *lane.tokens[:2]]
        self.carried = lane.records

    def _read_byte(self, byte: int) -> None:
        for half in range(2):
            partial = 1 if half == 0 else 16 | byte >> 4
            buckets = [self.counters.find(hash_pair(c + i & MASK, partial)) for i, c in enumerate(self.contexts)]
            within = 1
            for shift in range(3, -1, -1):
                bit = byte >> (4 - 4 * half + shift) & 1
                for bucket in buckets:
                    count(bucket[within], bit, self.profile > 0)
                within = within << 1 | bit

    def _token(self, lane: _Lane) -> None:
        cumulative = self.frequencies(lane.token)
        low, high, done = 0, len(self.vocabulary), b""
        self._contexts(lane, done)
        while True:
            byte, low, high = self._byte(lane, done, low, high, cumulative)
            done += bytes([byte])
            self.runs.append(byte)
            lane.append(byte, self.places)
            lane.so_far = done
            if high - low == 1 and self.vocabulary[low] == done:
                break
            self._contexts(lane, done)
            if self.vocabulary[low] == done:
                if self._end(lane, done, low, high, cumulative):
                    break
                low += 1
        lane.tokens = [low + 1, *lane.tokens[:2]]
        lane.token = low

    def _contexts(self, lane: _Lane, done: bytes) -> None:
        t, (match, _) = lane.text, lane.matches
        c8, c1, word, node = t.c8, t.c8 & 255, t.word, self.nodes[done]
        boundary = int(not done)
        column, above, above_next = t.above()
        t1, t2, t3 = lane.tokens
        expected = t.data[match.pointer] if match.length else 256

        def order(n: int) -> int:
            return c8 & ((1 << 8 * n) - 1)

        self.contexts = [
            *(hash_pair(n, order(n) << 1 | boundary) for n in range(1, 6)),
            hash_pair(6, order(6)),
            hash_pair(7, c8),
            hash_pair(8 + boundary, hash_pair(word, c1)),
            hash_pair(10, hash_pair(word, t.word_1)),
            hash_pair(11, hash_pair(word, t.word_2 + c1 & MASK)),
            hash_pair(12, hash_pair(hash_pair(word, t.word_1), t.word_2)),
            hash_pair(13, c8 & 0xFFFF00),
            hash_pair(14, c8 & 0xFF00FF),
            hash_pair(15, c8 & 0xFFFFFF00),
            hash_pair(16, t.of_one[c1] << 8 | c1),
            hash_pair(17, t.of_two.get(c8 & 0xFFFF, 0) << 8 | c1),
            hash_pair(18, column << 16 | above << 8 | c1),
            hash_pair(19, above << 16 | above_next << 8 | c1),
            hash_pair(20, hash_pair(t.head, word + c1 & MASK)),
            hash_pair(21, hash_pair(t.tag, t.in_tag * 256 + c1) + word & MASK),
            hash_pair(22, t.format),
            hash_pair(23, hash_pair(t.format & 0xFFFFFFFF, t.field) + c1 & MASK),
            hash_pair(24, hash_pair(t1, node)),
            hash_pair(25, hash_pair(hash_pair(t1, t2), node)),
            hash_pair(26, hash_pair(hash_pair(t1, t2), hash_pair(t3, node))),
            hash_pair(27, expected << 16 | min(match.length, 32) << 8 | c1),
            hash_pair(28, t.folded & 0xFFFFFFFFFF),
            hash_pair(29, min(t.indent, 255) << 16 | (c8 >> 8 & 255) << 8 | c1),
        ]
        if self.profile > 0:
            of_numbers = number_contexts(t, lane.records)
            self.contexts[10], self.contexts[13] = of_numbers[58], of_numbers[59]
            self.contexts += [of_numbers[number] for number in _NUMBERS_OF_MIXED]
            self.runs.find(self.contexts)

    def _byte(self, lane: _Lane, done: bytes, low: int, high: int, cumulative: list[int]) -> tuple[int, int, int]:
        depth, partial, within = len(done), 1, 1
        left = range(low, high)
        frequency = {
            token: cumulative[token + 1] - cumulative[token]
            for token in left
            if depth or not self._impossible(lane.so_far, self.vocabulary[token])
        }
        if not frequency:  # every token would be impossible, so none is
            frequency = {token: cumulative[token + 1] - cumulative[token] for token in left}
        for index in range(8):
            shift = 7 - index
            if index % 4 == 0:
                buckets = [self.counters.find(hash_pair(c + i & MASK, partial)) for i, c in enumerate(self.contexts)]
                within = 1
            ones = sum(f for token, f in frequency.items() if self.vocabulary[token][depth] >> shift & 1)
            total = sum(frequency.values())
            counters = [bucket[within] for bucket in buckets]
            if ones in (0, total):
                bit = int(ones == total)
                for counter in counters:
                    count(counter, bit, self.profile > 0)
            else:
                guesses = []
                for expected, _ in self._guesses(lane):
                    fits = expected < 256 and (expected | 256) >> (shift + 1) == partial
                    guesses.append(expected >> shift & 1 if fits else -1)
                bit = self._decide(lane, counters, ones, total, partial, index, min(depth, 3), guesses)
            frequency = {
                token: f for token, f in frequency.items() if self.vocabulary[token][depth] >> shift & 1 == bit
            }
            partial, within = partial << 1 | bit, within << 1 | bit
        so_far = done + bytes([partial & 255])
        fitting = [token for token in left if self.vocabulary[token].startswith(so_far)]
        return partial & 255, fitting[0], fitting[-1] + 1

    def _guesses(self, lane: _Lane) -> list[tuple[int, int]]:
        return lane.guesses() + (self.runs.guesses() if self.profile > 0 else [])

    def _impossible(self, last: bytes, token: bytes) -> bool:
        return last != b"" and last + token[:1] in self.known

    def _end_counters(self, done: bytes) -> list[list[int]]:
        places = [hash_pair(c + i & MASK, self.nodes[done]) >> 24 for i, c in enumerate(self.contexts)]
        return [
            self.ends.setdefault((i, place & (1 << self.end_bits) - 1), [2048, 0]) for i, place in enumerate(places)
        ]

    def _end(self, lane: _Lane, done: bytes, low: int, high: int, cumulative: list[int]) -> int:
        counters = self._end_counters(done)
        guesses = [
            int(done + bytes([expected]) not in self.prefixes) if expected < 256 else -1
            for expected, _ in self._guesses(lane)
        ]
        ends, total = cumulative[low + 1] - cumulative[low], cumulative[high] - cumulative[low]
        return self._decide(lane, counters, ends, total, 0, 8, min(len(done), 3), guesses)

    def _decide(
        self, lane: _Lane, counters: list[list[int]], part: int, total: int, partial: int, index: int, depth: int,
        guesses: list[int],
    ) -> int:  # fmt: skip
        network = clip((part << 16) // total, 1, ONE - 1)
        stretched = STRETCHED[network]
        c8 = lane.text.c8
        rows = (
            partial | (c8 & 255) << 8,
            hash_pair(hash_pair(77, c8 & 0xFFFF), partial) >> 30 & 0xFFFF,
            hash_pair(hash_pair(79, lane.text.word), partial) >> 30 & 0xFFFF,
        )
        calibrated, learn_calibrated = self.network_map.read(partial, stretched)
        readings = [stage.read(row, stretched) for stage, row in zip(self.stages, rows, strict=True)]
        inputs = [stretched, STRETCHED[calibrated], (network - ONE // 2) >> 5, *(STRETCHED[p] for p, _ in readings)]
        bit = self._decide_with(lane, counters, inputs, partial, index, depth, guesses)
        learn_calibrated(bit, 6)
        for _, learn in readings:
            learn(bit, 4)
        return bit

    def _decide_with(
        self, lane: _Lane, counters: list[list[int]], of_network: list[int], partial: int, index: int, depth: int,
        guesses: list[int],
    ) -> int:  # fmt: skip
        end = int(partial == 0)
        c8 = lane.text.c8
        c1, c2 = c8 & 255, c8 >> 8 & 255
        buckets = [bucket for _, bucket in self._guesses(lane)]
        cells = [
            self.match_maps[len(guesses) * end + i][bucket] if guess >= 0 else None
            for i, (bucket, guess) in enumerate(zip(buckets, guesses, strict=True))
        ]
        of_guesses = [x for own, guess in zip(cells, guesses, strict=True) for x in match_inputs(own, guess)]
        inputs = [*of_guesses, *of_network, 256]
        match_row = int(guesses[1] >= 0)
        if guesses[0] >= 0:
            match_row = min(15, 1 + buckets[0] % 32 // 2) * 4 + guesses[0] + 1
        confidence = min(23, (of_network[0] + MAX) * 24 // (2 * MAX))

        more_rows: tuple[int, ...] = ()
        if self.profile > 0:
            r = lane.records
            above, shape = r.byte_at(r.above[0]), r.field % 64 << 4 | r.shape()
            slow_rows = (
                shape,
                1024 + (above << 2 | r.equal_above << 1 | r.equal_kin),
                2048 + (c1 << 3 | min(r.offset, 7)),
                4096 + (hash_pair(5, c8 & 0xFFFF) >> 40 & 2047),
            )
            more_rows = (
                1608 + end * 256 + course_row(r),
                2120 + r.shape() * 9 + index,
                2264 + end * 256 + byte_class(c1) * 16 + byte_class(above),
                2776 + c2,
                3032 + above,
                3288 + min(lane.text.position - r.lines[0], 255),
                3544 + (self._guesses(lane)[0][0] if guesses[0] >= 0 else 256),
                3801 + r.field % 64 * 9 + index,
                4377 + (c8 >> 16 & 255),
                4633 + r.token_bytes * 16 + byte_class(c1),
            )
            slow_places = [row * 256 + partial for row in slow_rows]
            inputs += [STRETCHED[self.slow.probability(place)] for place in slow_places]

        def others(known: int) -> tuple[list[int], list[int]]:
            return inputs, [
                match_row, 64 + partial, 320 + end * 256 + c1, 832 + (end * 24 + confidence) * 4 + depth,
                1024 + known * 9 + index, 1096 + end * 256 + byte_class(c1) * 16 + byte_class(c2), *more_rows,
            ]  # fmt: skip

        learn_final: list[Callable[[int, int], None]] = []

        def code(stretched: int) -> int:
            if self.profile == 0:
                return self.coder.bit(squash(stretched))
            total = 2 * squash(stretched)
            for stage, context in zip(self.finals, (c1, above << 8 | r.shape(), c8 & 0xFFFF, shape), strict=True):
                p, learn = stage.read(hash_pair(context, partial) >> 30 & 0x3FFF, stretched)
                learn_final.append(learn)
                total += p
            return self.coder.bit(min((total + 3) // 6, ONE - 1))

        contexts = len(self.contexts)
        maps = self.mixers.maps[contexts:] if end else self.mixers.maps[:contexts]
        final_rows = [partial, 256 + match_row] if self.profile > 0 else [partial]
        bit = self.mixers.decide(counters, maps, others, final_rows, code)
        for learn in learn_final:
            learn(bit, 6)
        if self.profile > 0:
            for place in slow_places:
                self.slow.count(place, bit)
        for own, guess in zip(cells, guesses, strict=True):
            if own:
                adapt(own, guess, bit, 6)
        return bit


class WideReference(MixedReference):
    """Context mode's wide profile: mixed mode of bytes, without the network.

    Args:
        table_bits: of the member, one more than those of its counters.
    """

    def __init__(self, table_bits: int, learned: Any) -> None:
        bits = max(table_bits - 1, 10)
        super().__init__([], lambda token: [], 0, bits, learned, 2)

    def decode_bytes(self, data: bytes, length: int) -> bytes | None:
        return self.decode(data, [length])

    def _token(self, lane: _Lane) -> None:
        self._contexts(lane, b"")
        partial = 1
        for index in range(8):
            if index % 4 == 0:
                hashes = [hash_pair(c + i & MASK, partial) for i, c in enumerate(self.contexts)]
                buckets = self.counters.find_with_histories(hashes)
                within = 1
            guesses = []
            for expected, _ in self._guesses(lane):
                fits = expected < 256 and (expected | 256) >> (8 - index) == partial
                guesses.append(expected >> (7 - index) & 1 if fits else -1)
            counters = [bucket[within] for bucket in buckets]
            bit = self._decide_with(lane, counters, [0] * 6, partial, index, 0, guesses)
            partial, within = partial << 1 | bit, within << 1 | bit
        byte = partial & 255
        self.runs.append(byte)
        lane.append(byte, self.places)
        lane.tokens = [byte + 1, *lane.tokens[:2]]


class _Lane:
    def __init__(self, text: Text, end: int, start_token: int, profile: int) -> None:
        self.text, self.end, self.token = text, end, start_token
        self.records = Records(hash_pair, text.data, text.position)
        self.records.writing = Writing(text.position)
        self.profile = profile
        self.tokens, self.so_far = [0, 0, 0], b""
        self.matches = Match(), Match()

    def append(self, byte: int, places: tuple[dict, dict]) -> None:
        text = self.text
        text.append(byte)
        self.records.append(text.position)
        self.matches[0].follow(text, 6, places[0], hash_pair(0, text.c8 & 0xFFFFFFFFFFFF) >> 20 & (1 << 20) - 1)
        before = int.from_bytes(text.data[max(text.position - 16, 0) : max(text.position - 8, 0)], "little")
        self.matches[1].follow(text, 16, places[1], hash_pair(text.c8, before) >> 20 & (1 << 20) - 1)

    def guesses(self) -> list[tuple[int, int]]:
        """Expected bytes, 256 for none, and rows of the match maps."""
        guesses = [(self.text.data[m.pointer] if m.length else 256, m.bucket()) for m in self.matches]
        if self.profile > 0:
            guesses += [(p.expects(), self.records.bucket(i)) for i, p in enumerate(self.records.predictions)]
        return guesses
