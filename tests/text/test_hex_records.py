"""Firmware as Intel HEX and S-records: taken out where it is, and written again exactly."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.errors import LlmzError
from llmzip.text import hex_records
from tests.reference import hex_records as reference

CODE = b"".join(b"\x0c\x94%c%c" % (i % 97, i % 3) for i in range(300)) + random.Random(1).randbytes(500)
START, END = ":020000040800F2\n", ":040000050800018965\n:00000001FF\n"


def intel(data: bytes, address: int = 0, full: int = 16, kind: int = 0) -> str:
    lines = []
    for at in range(0, len(data), full):
        part = data[at : at + full]
        body = bytes([len(part), *(address + at & 0xFFFF).to_bytes(2, "big"), kind]) + part
        lines.append(f":{(body + bytes([-sum(body) & 255])).hex().upper()}\n")
    return "".join(lines)


def motorola(data: bytes, address: int = 0, full: int = 16, kind: int = 0) -> str:
    """S1, S2 or S3; 0 takes the narrowest."""
    lines = []
    for at in range(0, len(data), full):
        part, place = data[at : at + full], address + at
        own = kind or (1 if place < 1 << 16 else 2 if place < 1 << 24 else 3)
        body = bytes([own + 2 + len(part)]) + place.to_bytes(own + 1, "big") + part
        lines.append(f"S{own}{(body + bytes([~sum(body) & 255])).hex().upper()}\n")
    return "".join(lines)


FILES = {
    "Intel HEX": START + intel(CODE, 0xF800) + END,
    "Intel HEX, 32 bytes": intel(CODE, 3, 32) + ":00000001FF\n",
    "Intel HEX, sections": START + intel(CODE[:700], 0x1000) + intel(CODE[700:950], 0x12BC) + intel(CODE[950:], 0x8000),
    "S1": "S00600004844521B\n" + motorola(CODE, 0x100, kind=1) + "S9030000FC\n",
    "S2": motorola(CODE, 0x12345, 20, kind=2) + "S80401234592\n",
    "S3": motorola(CODE, 0x08000000, 32, kind=3) + "S70508000000F2\n",
    "S1 to S3": motorola(CODE[:600], 0xFF00) + motorola(CODE[600:], 0xFFFFE0),
}


def back(plain: bytes) -> tuple[bytes, list[bytes]]:
    """What is taken out of a text that must be transformed, and comes back, by the page of the format, too."""
    taken = hex_records.take_out(plain, None)
    assert taken is not None
    assert hex_records.put_back(*taken, len(plain)) == plain
    assert reference.put_back(*taken, len(plain)) == plain
    return taken


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("upper", [True, False])
def test_records(name: str, line_end: str, upper: bool) -> None:
    plain = FILES[name].replace("\n", line_end)
    if not upper:
        plain = plain.lower().replace("s", "S")
    _, (kept, runs, data) = back(plain.encode())
    assert data == CODE
    assert len(kept) < 60
    assert len(runs) < 20


def test_a_run_goes_on_over_the_end_of_a_segment() -> None:
    plain = START + intel(CODE[:512], 0xFE00) + START.replace("0800F2", "0801F1") + intel(CODE[512:]) + END
    description, (kept, runs, data) = back(plain.encode())
    assert description == b"\x08\x10"
    assert data == CODE
    # The second run begins at 0, as follows: no address.
    numbers = 4 * 512 + 3, 1, 0xFE00, 4 * (len(CODE) - 512) + 2, 1
    assert runs == b"".join(map(_packed, numbers))
    assert kept.decode() == START + START.replace("0800F2", "0801F1") + END


def test_records_that_do_not_fit_stay() -> None:
    lines = intel(CODE).splitlines(keepends=True)
    other = [
        lines[9].replace(":", "; "), lines[9].lower(), lines[9][:-3] + "\n", lines[9].replace("\n", "\r\n"), "\n",
        lines[9][:-1] + " \n", lines[9][:-3] + "xx\n", lines[9][:9] + lines[9][9:].lower(),
        ":0000000000\n", motorola(CODE[:16]),
        lines[9][:-2] + ("1" if lines[9][-2] == "0" else "0") + "\n", intel(CODE[:40], 0, 40), intel(CODE[:4], 0, 4, 5),
    ]  # fmt: skip
    for i, line in enumerate(other):
        lines.insert(4 * i + 2, line)
    _, (kept, _, data) = back("".join(lines).encode())
    assert kept.decode() == "".join(other)
    assert data == CODE
    cut = "".join(lines).rstrip("\n").encode()
    assert back(cut)[1][0].endswith(lines[-1].rstrip("\n").encode())


def test_records_of_many_lengths_are_taken() -> None:
    chooser, plain, at = random.Random(2), "", 0
    while at < len(CODE):
        length = chooser.randint(1, 32)
        plain += intel(CODE[at : at + length], at, 32)
        at += length
    _, (kept, runs, data) = back(plain.encode())
    assert (kept, data) == (b"", CODE)
    assert len(runs) <= plain.count("\n") + 1


def test_the_kind_that_most_records_have_is_taken() -> None:
    plain = intel(CODE) + motorola(CODE[:300])
    assert back(plain.encode())[1][:1] == [motorola(CODE[:300]).encode()]


def test_few_records_and_other_lines_stay() -> None:
    prose = ":this is a line\nSo is this\nS1 and S2\n:0123456789ABCDEF\n" * 99
    for text in ("", "\n", ":", "S1", prose, intel(CODE[:112]) + prose, ":00000001FF\n" * 99):
        assert hex_records.take_out(text.encode(), None) is None


@pytest.mark.parametrize("name", FILES)
@given(st.data())
@settings(max_examples=40, deadline=None)
def test_changed_files_come_back(name: str, data: st.DataObject) -> None:
    plain = bytearray(FILES[name].replace("\n", data.draw(st.sampled_from(["\n", "\r\n"]))).encode())
    for _ in range(data.draw(st.integers(0, 9))):
        at = data.draw(st.integers(0, len(plain) - 1))
        piece = data.draw(st.sampled_from([b"", b"\n", b"\r", b":", b"S1", b"a", b"0", b"\xff", bytes(plain[:99])]))
        plain[at : at + data.draw(st.integers(0, 40))] = piece
    changed = bytes(plain)[data.draw(st.integers(0, 99)) : data.draw(st.integers(1000, len(plain)))]
    if taken := hex_records.take_out(changed, None):
        assert hex_records.put_back(*taken, len(changed)) == changed
        assert reference.put_back(*taken, len(changed)) == changed


LIKELY = [0, 1, 4, 5, 6, 7, 64, 65, 66, 67, 127, 255, 65535, 1 << 24, (1 << 32) - 1, 1 << 62]


@given(
    st.integers(0, 40), st.integers(0, 255), st.sampled_from([b"", b"a\nb\n\nc", b"\n\n"]),
    st.lists(st.sampled_from(LIKELY)), st.binary(max_size=6), st.integers(0, 80), st.integers(0, 400),
)  # fmt: skip
@settings(max_examples=300, deadline=None)
def test_any_description_means_what_the_page_says(
    flags: int, full: int, kept: bytes, numbers: list[int], tail: bytes, size: int, length: int
) -> None:
    packed = b"".join(_packed(number) for number in numbers) + tail
    streams = [kept, packed, CODE[:size]]
    # Where the length is right by chance is seldom: take the one that the page gives.
    for right in {length, *_length(bytes([flags, full]), streams)}:
        expected = reference.put_back(bytes([flags, full]), streams, right)
        try:
            assert hex_records.put_back(bytes([flags, full]), streams, right) == expected
        except LlmzError:
            assert expected is None


def _packed(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def _length(description: bytes, streams: list[bytes]) -> list[int]:
    try:
        return [len(reference.restored(description, streams, 1 << 20))]
    except reference.Damage:
        return []
