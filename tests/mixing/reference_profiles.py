"""What the profiles other than prose remember, in plain Python, as docs/format.md has it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple

MASK = (1 << 64) - 1
NOWHERE = (1 << 32) - 1
EQUAL, ABOVE, BELOW, APART, UNKNOWN = range(5)
SEPARATORS = frozenset(b" \t\n\r,;:=\"'<>()[]{}/|\\")
DIGITS = frozenset(b"0123456789")
LATIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
Hash = Callable[[int, int], int]


def is_letter(byte: int) -> bool:
    return byte in LATIN or byte >= 128


def is_word(byte: int) -> bool:
    return is_letter(byte) or byte in DIGITS or byte == 46


class Number(NamedTuple):
    value: int
    digits: int
    decimals: int
    prefix: bytes
    rest: bytes
    padded: bool

    def goes_with(self, other: Number | None) -> bool:
        return other is not None and (self.decimals, self.prefix, self.rest) == (
            other.decimals,
            other.prefix,
            other.rest,
        )


class Prediction:
    def __init__(self) -> None:
        self.text, self.at, self.course = b"", 0, UNKNOWN
        self.hits = [0] * 64

    def write(self, value: int, like: Number) -> None:
        width = like.decimals + (like.digits if like.padded else 1)
        digits = str(abs(value)).rjust(width, "0")
        self.at, self.course = 0, UNKNOWN
        if len(like.prefix) + len(digits) + 2 + len(like.rest) > 32:
            return
        if like.decimals and len(digits) > like.decimals:
            digits = digits[: -like.decimals] + "." + digits[-like.decimals :]
        self.text = like.prefix + b"-" * (value < 0) + digits.encode() + like.rest
        self.course = EQUAL

    def compare(self, byte: int) -> None:
        if self.course == UNKNOWN:
            return
        if self.at >= len(self.text):
            self.course = UNKNOWN
            return
        expected = self.text[self.at]
        self.at += 1
        if self.course == EQUAL and byte != expected:
            self.course = {1: ABOVE, -1: BELOW}.get(byte - expected, APART)

    def expects(self) -> int:
        return self.text[self.at] if self.course == EQUAL and self.at < len(self.text) else 256

    def key(self) -> int:
        """What contexts see of it."""
        if self.course == UNKNOWN:
            return 0
        rest = self.text[self.at :]
        return (
            (rest[0] if rest else 0) << 24 | (rest[1] if rest[1:] else 0) << 16 | len(rest) << 8 | self.course << 4 | 1
        )


class Records:
    """Fields, lines above and numbers of a text from ``position`` on."""

    def __init__(self, hashed: Hash, data: bytearray, position: int) -> None:
        self.hashed, self.data, self.position = hashed, data, position
        self.token = self.field_text = self.head = self.whole_above = self.whole_kin = 0
        self.tokens, self.names = [0] * 4, [0] * 2
        self.token_shapes = self.separators = self.token_bytes = self.letter = self.separators_since = 0
        self.token_is_name = False
        self.cell_text = self.cell_before = self.cell_key = self.cell = 0
        self.field = self.offset = self.digits = 0
        self.above, self.kin = [NOWHERE] * 2, [NOWHERE] * 2
        self.lines, self.fed = [position, NOWHERE, NOWHERE], position
        self.head_done = self.equal_above = self.equal_kin = False
        self.before: list[Number | None] = [None] * 3
        self.predictions = [Prediction() for _ in range(3)]
        self.heads: dict[int, tuple[int, int, int]] = {}
        self.listing: tuple[int, int, bool, bool] = (0, 0, False, False)
        self.listed, self.counting = 0, False
        self.writing: Writing | None = None

    def copy(self) -> Records:
        """The same on its own; the text is shared."""
        twin = copy.copy(self)
        memory = {id(self.data): self.data}
        twin.__dict__.update({name: copy.deepcopy(value, memory) for name, value in self.__dict__.items()})
        return twin

    def byte_at(self, place: int) -> int:
        return self.data[place] if place < self.position else 0

    def shape(self) -> int:
        return (self.digits >> 4) * 8 + min(self.digits & 15, 7)

    def bucket(self, number: int) -> int:
        p = self.predictions[number]
        return p.hits[self.field % 64] * 8 + min(p.at, 7)

    def append(self, position: int) -> None:
        """Take up the byte before ``position``."""
        self.position = position
        byte = self.data[position - 1]
        ends_line = byte == 10 or (byte in b"]}" and position - self.fed >= 1024)
        if self.writing:
            self.writing.append(self, byte, ends_line)
        if byte == 10:
            self.fed = position
        self._words(byte)
        self._cells(byte, ends_line)
        inside = byte not in SEPARATORS
        if inside:
            self.equal_above = self.equal_above and self.above[0] < position - 1 and self.data[self.above[0]] == byte
            self.equal_kin = self.equal_kin and self.kin[0] < position - 1 and self.data[self.kin[0]] == byte
        self.above = [self._follow(place) for place in self.above]
        self.kin = [self._follow(place) for place in self.kin]
        if inside:
            self.field_text = self.hashed(self.field_text, byte)
            self.offset += 1
            if byte in DIGITS:
                self.digits += self.digits % 16 < 15
            elif byte == 46:
                self.digits = 16
            for prediction in self.predictions:
                prediction.compare(byte)
            if not self.head_done:
                self.head = self.hashed(self.head, 48 if byte in DIGITS or byte in b".-" else byte)
            return
        if self.offset:
            if not self.head_done and not ends_line:
                self._end_head()
            self._end_field()
        if ends_line:
            self._end_line()
        elif not self.head_done:
            self.head = self.hashed(self.head, byte)
        self._predict()

    def go_on(self, end: int, position: int) -> None:
        """Begin a line at ``position``, behind other text than the one up to ``end``."""
        if self.lines[0] == end:
            self.lines = [*self.lines[1:], NOWHERE]
        self.position = self.fed = position
        if self.writing:
            self.writing.gap, self.writing.alike = 0, (NOWHERE, NOWHERE)
        self._end_line()
        self._cells(10, True)
        self.token = self.token_bytes = self.field_text = self.offset = self.digits = 0
        self.equal_above = self.equal_kin = True
        self._predict()

    def _words(self, byte: int) -> None:
        if is_letter(byte):
            self.letter, self.separators_since = byte, 0
        if is_word(byte):
            if not self.token_bytes:
                self.token_is_name = is_letter(byte)
            self.token = self.hashed(self.token, byte)
            self.token_bytes = min(self.token_bytes + 1, 7)
            return
        self.separators = (self.separators << 8 | byte) & 0xFFFFFF
        self.separators_since = min(self.separators_since + 1, 256)
        if self.token_bytes:
            self.tokens = [self.token, *self.tokens[:3]]
            if self.token_is_name:
                self.names = [self.token, self.names[0]]
            self.token_shapes = (self.token_shapes << 4 | self.token_is_name << 3 | self.token_bytes) & (1 << 64) - 1
            self.token = self.token_bytes = 0

    def _cells(self, byte: int, ends_line: bool) -> None:
        if ends_line:
            self.cell = self.cell_text = self.cell_before = self.cell_key = 0
        elif byte in b"\t,;":
            if self.cell == 1:
                self.cell_key = self.cell_text
            self.cell_before, self.cell_text = self.cell_text, 0
            self.cell += 1
        else:
            self.cell_text = self.hashed(self.cell_text, byte)

    def _follow(self, place: int) -> int:
        data, last = self.data, self.position - 1
        if place >= last:
            return NOWHERE
        byte, there = data[last], data[place]
        if there == byte:
            return place + 1
        if there == 10:
            return place
        if byte not in SEPARATORS:
            return place if there in SEPARATORS else place + 1
        for _ in range(32):
            if place < last and data[place] not in SEPARATORS:
                place += 1
        if place < last and data[place] != 10 and (data[place] == byte or there in SEPARATORS):
            return place + 1
        return place

    def _field(self, place: int) -> bytes:
        """The text before ``self.position`` of the field at a place, blanks before it left out."""
        if place == NOWHERE:
            return b""
        for _ in range(16):
            if place < self.position and self.data[place] == 32:
                place += 1
        end = place
        while end < self.position and self.data[end] not in SEPARATORS:
            end += 1
        return bytes(self.data[place:end])

    def _whole(self, place: int) -> int:
        value = 0
        for byte in self._field(place)[:32]:
            value = self.hashed(value, byte)
        return value

    def _number(self, place: int) -> Number | None:
        field = self._field(place)
        at = 0
        while at < min(3, len(field)) and field[at] in LATIN:
            at += 1
        prefix, rest = field[:at], field[at:]
        negative = rest[:1] == b"-"
        rest = rest[rest[:1] in (b"-", b"+") :]
        padded = rest[:1] == b"0"
        digits = decimals = value = used = 0
        point = False
        for byte in rest:
            if digits + decimals > 15:
                break
            if byte in DIGITS:
                value = 10 * value + byte - 48
                digits, decimals = (digits, decimals + 1) if point else (digits + 1, decimals)
            elif byte == 46 and not point:
                point = True
            else:
                break
            used += 1
        if not digits or digits + decimals > 15 or len(field) >= 32 or (decimals > 0) != point:
            return None
        return Number(-value if negative else value, digits, decimals, prefix, rest[used:], padded)

    def _end_head(self) -> None:
        place, check = self.head >> 20 & 1023, self.head >> 32 | 1
        known, last, before = self.heads.get(place, (0, 0, 0))
        self.head_done = True
        self.kin = [last, before] if known == check else [NOWHERE] * 2
        self.heads[place] = check, self.position, self.kin[0]

    def _end_field(self) -> None:
        for p in self.predictions:
            hits = p.hits[self.field % 64]
            hit = p.course == EQUAL and p.at == len(p.text)
            p.hits[self.field % 64] = min(hits + 1, 7) if hit else hits // 2
        field = bytes(self.data[self.position - 1 - self.offset : self.position - 1])
        self._list(field)
        self.position -= 1
        number = self._number(self.position - self.offset)
        self.position += 1
        if number:
            self.before = [number, *self.before[:2]]
        self.field += 1
        self.offset = self.digits = self.field_text = 0
        self.equal_above = self.equal_kin = True

    def _list(self, field: bytes) -> None:
        hexadecimal = len(field) <= (16 if self.field else 8) and all(
            byte in b"0123456789abcdefABCDEF" for byte in field
        )
        if not self.field and hexadecimal:
            self.listing = int(field, 16), len(field), field[:1] == b"0", any(byte in b"ABCDEF" for byte in field)
            self.listed, self.counting = 0, True
        elif not self.field or not hexadecimal or len(field) % 2:
            self.counting = False
        elif self.counting:
            self.listed += len(field) // 2

    def _end_line(self) -> None:
        self.above = [self.lines[0], self.lines[1]]
        self.kin = list(self.above)
        self.lines = [self.position, *self.lines[:2]]
        self.field = self.head = 0
        self.head_done = False

    def _predict(self) -> None:
        self.whole_above, self.whole_kin = self._whole(self.above[0]), self._whole(self.kin[0])
        for p, places in zip(self.predictions, (self.above, self.kin), strict=False):
            last, before = (self._number(place) for place in places)
            p.course = UNKNOWN
            if last and not (p is self.predictions[1] and self.kin[0] == self.above[0]):
                p.write(2 * last.value - before.value if before and last.goes_with(before) else last.value, last)
        p, (a, b, c) = self.predictions[2], self.before
        p.course = UNKNOWN
        if not self.field and self.listed:
            address, digits, padded, capital = self.listing
            text = f"{address + self.listed:X}" if capital else f"{address + self.listed:x}"
            p.text, p.at, p.course = text.rjust(digits if padded else 1, "0").encode(), 0, EQUAL
        elif a and b and a.goes_with(b):
            going_on = b.goes_with(c)
            p.write(3 * a.value - 3 * b.value + c.value if c and going_on else 2 * a.value - b.value, a)


class Writing:
    """Letters and digits without what is between them, paragraphs, lines that begin alike."""

    def __init__(self, position: int) -> None:
        self.recent = self.forms = self.gap = self.letters = self.figures = 0
        self.paragraph, self.alike = position, (NOWHERE, NOWHERE)
        self.beginnings: dict[int, tuple[int, int]] = {}
        self.successors: dict[int, int] = {}

    def entry(self, records: Records) -> int:
        return records.hashed(self.gap or records.token, 0) >> 40 & 16383

    def append(self, records: Records, byte: int, ends_line: bool) -> None:
        """Take up a byte that ``records`` have not taken up but for their position."""
        entry, line = self.entry(records), records.lines[0]
        folded = byte + 32 if 65 <= byte <= 90 else byte
        self.successors[entry] = (self.successors.get(entry, 0) << 8 | byte) & 0xFFFF
        form = 48 if byte in DIGITS else 97 if 97 <= byte <= 122 else 65 if 65 <= byte <= 90 else byte
        self.forms = (self.forms << 8 | (form if byte < 128 else 128 | byte >> 6)) & MASK
        if is_letter(byte) or byte in DIGITS:
            self.recent = (self.recent << 8 | folded) & MASK
        if is_letter(byte):
            self.letters = self.letters << 8 | folded
        if byte in DIGITS:
            self.figures = self.figures << 8 | byte
        self.gap = 0 if is_word(byte) else records.hashed(self.gap, 32 if byte == 10 else byte)
        if ends_line:
            if records.position - line == 1:
                self.paragraph = records.position
            self.alike = NOWHERE, NOWHERE
        elif records.position - line == 2:
            number = records.hashed(records.data[line], records.data[line + 1]) >> 40 & 255
            self.alike = self.beginnings.get(number, (NOWHERE, NOWHERE))
            self.beginnings[number] = line, self.alike[0]

    def bytes_alike(self, records: Records, number: int, count: int) -> int:
        place = self.alike[number] + records.position - records.lines[0]
        if self.alike[number] == NOWHERE:
            return 0
        return sum(records.byte_at(place + k) << 8 * k for k in range(count))


class Layout:
    """After how many bytes binary data repeat."""

    def __init__(self, hashed: Hash, data: bytearray, start: int) -> None:
        self.hashed, self.data, self.start = hashed, data, start
        self.period, self.counted = 4, 0
        self.counts = [0] * 256
        self.places: dict[int, int] = {}

    def append(self, position: int) -> None:
        if position - self.start < 3:
            return
        triple = int.from_bytes(self.data[position - 3 : position], "big")
        place = self.hashed(triple, 0) >> 20 & 4095
        distance = position - self.places.get(place, 0)
        if place in self.places and 1 < distance <= 255:
            self.counts[distance] += 1
            if self.counts[distance] > self.counts[self.period] and self.counts[distance] >= 8:
                self.period = distance
        self.places[place] = position
        self.counted += 1
        if self.counted == 2048:
            self.counted = 0
            self.counts = [n // 2 for n in self.counts]


class SequenceMatch:
    def __init__(self, weak: int, most: int) -> None:
        self.weak, self.most = weak, most
        self.pointer = self.length = self.misses = 0
        self.places: dict[int, int] = {}

    def bucket(self) -> int:
        limits = (8, 16, 20, 24, 28, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024)
        misses = (self.misses & 0xFFFF).bit_count()
        return 4 * sum(self.length > limit for limit in limits) + (misses if misses < 2 else 2 if misses < 6 else 3)


class Sequence:
    """Letters of genomes and proteins."""

    def __init__(self, hashed: Hash, data: bytearray, start: int) -> None:
        self.hashed, self.data, self.start = hashed, data, start
        self.bases = self.acids = self.letters = self.only_bases = self.line_length = 0
        self.line_start = start
        self.in_header = False
        self.matches = SequenceMatch(1, 8), SequenceMatch(6, 16)

    def append(self, position: int) -> None:
        byte = self.data[position - 1]
        self.in_header = self.in_header or byte in b">@"
        if byte == 10:
            if self.in_header:
                self.bases = self.acids = self.letters = 0
            self.in_header = False
            self.line_length, self.line_start = position - 1 - self.line_start, position
        elif byte != 13:
            self.bases = (self.bases << 2 | {3: 1, 7: 2, 20: 3, 21: 3}.get(byte & 31, 0)) & MASK
            self.acids = (self.acids << 5 | byte & 31) & MASK
            self.letters += 1
            self.only_bases = self.only_bases + 1 if byte in b"ACGTUNacgtun" else 0
            self._follow(self.matches[0], self.bases & (1 << 40) - 1, 20, position)
            short = 12 if self.only_bases >= 20 else 5
            self._follow(self.matches[1], self.acids & (1 << 5 * short) - 1, short, position)

    def _skip(self, place: int, position: int) -> int:
        while place < position and self.data[place] in b"\r\n":
            place += 1
        return place

    def _letters_before(self, position: int, count: int) -> bytes:
        letters: list[int] = []
        while position > self.start and len(letters) < count:
            position -= 1
            if self.data[position] not in b"\r\n":
                letters.append(self.data[position])
        return bytes(letters)

    def _follow(self, match: SequenceMatch, key: int, minimum: int, position: int) -> None:
        data = self.data
        if match.length:
            missed = data[match.pointer] != data[position - 1]
            match.misses = (match.misses << 1 | missed) & 0xFFFFFFFF
            match.length = match.length // 4 + 1 if missed else min(match.length + 1, 65535)
            match.pointer = self._skip(match.pointer + 1, position)
            if match.pointer >= position or match.misses.bit_count() > match.most:
                match.length = 0
        if self.letters < minimum:
            return
        place = self.hashed(key, minimum) >> 20 & (1 << 18) - 1
        candidate = match.places.get(place, 0)
        weak = not match.length or (match.misses & 0xFFFF).bit_count() > match.weak
        same = self._letters_before(candidate, minimum) == self._letters_before(position, minimum)
        if weak and candidate and same and len(self._letters_before(position, minimum)) == minimum:
            pointer = self._skip(candidate, position)
            if pointer < position and pointer != match.pointer:
                match.pointer, match.length, match.misses = pointer, minimum, 0
        match.places[place] = position

    def expects(self, number: int, position: int) -> int:
        match = self.matches[number]
        if not match.length:
            return 256
        return 10 if position - self.line_start == self.line_length else self.data[match.pointer]
