"""Descriptions that no encoder wrote give one error, or as many bytes as they promise, at once."""

from __future__ import annotations

import base64
import json
import quopri
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip import text
from llmzip.errors import LlmzError
from llmzip.text import Taken
from llmzip.text.description import Source, pack_numbers
from tests.text.test_almost_text import PROSE, bold
from tests.text.test_charsets import FRENCH, JAPANESE
from tests.text.test_encodings import BYTES, DUMPS, uu
from tests.text.test_hex_records import FILES
from tests.text.test_line_breaks import prose

EXAMPLES = {
    1: prose(20, 60).replace("\n", "\r\n").encode(),
    2: (JAPANESE * 3).encode("cp932") + FRENCH.encode() * 3 + (JAPANESE * 3).encode("euc_jp"),
    3: base64.encodebytes(BYTES) + PROSE.encode() + base64.encodebytes(BYTES),
    4: b"begin 644 x\n" + uu(BYTES, True),
    5: DUMPS["hexdump -C"].encode() + DUMPS["xxd"].encode(),
    6: bold(PROSE * 3).encode(),
    7: (PROSE * 9).replace(" ", "\0").encode(),
    9: json.dumps([JAPANESE] * 9 + [FRENCH], indent=1).encode() + ("\n" + FRENCH * 2).encode(),
    -9: quopri.encodestring((FRENCH * 9).encode()).replace(b" =\n", b"=\n=20") + b"x" * 99,
    10: (FILES["Intel HEX"] + FILES["S2"] + FILES["Intel HEX, sections"]).encode(),
    8: PROSE.encode() * 9 + random.Random(1).randbytes(900) + PROSE.encode() * 9,
}


MOST_STREAM_BYTES = 3
"""Streams of what these transforms take out have together at most so many times the bytes of the text."""


def restore(taken: Taken, length: int) -> None:
    try:
        plain = text.put_back(taken, length)
    except LlmzError as error:
        assert "\n" not in str(error)
    else:
        assert len(plain) == length


@pytest.mark.parametrize("number", EXAMPLES)
def test_examples_are_transformed(number: int) -> None:
    plain = EXAMPLES[number]
    taken = text.take_out(plain, None)
    assert taken is not None
    assert taken.number == abs(number)
    assert text.put_back(taken, len(plain)) == plain
    assert sum(map(len, taken.streams)) <= MOST_STREAM_BYTES * len(plain)


@pytest.mark.parametrize("number", EXAMPLES)
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_descriptions_and_streams(number: int, data: st.DataObject) -> None:
    plain = EXAMPLES[number]
    taken = text.TRANSFORMS[abs(number)].take_out(plain, None)
    assert taken is not None
    parts = [bytearray(taken[0]), *map(bytearray, taken[1])]
    for _ in range(data.draw(st.integers(1, 4))):
        part = data.draw(st.sampled_from([parts[0], parts[0], *parts]))
        at = data.draw(st.integers(0, max(0, len(part) - 1)))
        part[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
    streams = list(map(bytes, parts[1 : data.draw(st.sampled_from([len(parts), len(parts), 1, 2]))]))
    length = data.draw(st.sampled_from([len(plain), len(plain), len(plain) + 1, 1, 10 * len(plain)]))
    restore(Taken(abs(number), bytes(parts[0]), streams), length)


@pytest.mark.parametrize("number", [*text.TRANSFORMS, 0, 99])
@given(st.binary(max_size=40), st.lists(st.binary(max_size=200), max_size=4), st.integers(0, 400))
@settings(max_examples=120, deadline=None)
def test_any_description(number: int, description: bytes, streams: list[bytes], length: int) -> None:
    restore(Taken(number, description, streams), length)


@pytest.mark.parametrize(
    "packed", [b"\x80\0", b"\xff\x80\0", b"\x81\x80\x80\0", b"\xff" * 9 + b"\x02", b"\xff" * 12, b"\x80"]
)
def test_numbers_in_more_bytes_than_they_need_or_too_large_are_damage(packed: bytes) -> None:
    with pytest.raises(LlmzError):
        Source(packed).number()
    assert Source(pack_numbers([0, 127, 128, (1 << 64) - 1])).numbers() == [0, 127, 128, (1 << 64) - 1]


def test_promises_of_much_cost_nothing() -> None:
    much = b"\xff\xff\xff\xff\x0f"
    for number in text.TRANSFORMS:
        for start in (b"", b"\1", b"\5", b"\4\1", b"\6\x14", b"\x07\x14\x4c\x01\n"):
            restore(Taken(number, start + much * 3, [b"x" * 50, b"y" * 50]), 1 << 20)
