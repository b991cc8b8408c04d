"""Base64, hexadecimal digits, uuencode and dumps: taken out where they are, and written again exactly."""

from __future__ import annotations

import base64
import binascii
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.text import digits, hex_dumps, uuencode
from llmzip.text.description import pack_numbers

PROSE = "The keeper of the lighthouse wrote in her journal every evening, whether anything had happened or not.\n" * 30
SEPARATORS = (b"\n", b"\r\n", b"\\n", b"\n+", b"\n> ")
CHANGES = (b"", b"=", b"\n", b"x", b" ", b"`", b"\xff")
BYTES = random.Random(1).randbytes(700) + PROSE.encode()[:1200] + bytes(300) + random.Random(2).randbytes(801)


def back(module, plain: bytes) -> list[bytes]:  # type: ignore[no-untyped-def]
    """The streams of a text that must be transformed, and come back."""
    taken = module.take_out(plain, None)
    assert taken is not None
    assert module.put_back(*taken, len(plain)) == plain
    return taken[1]


def in_lines(text: bytes, width: int, separator: bytes) -> bytes:
    return separator.join(text[i : i + width] for i in range(0, len(text), width))


@pytest.mark.parametrize("separator", [b"\n", b"\r\n", b"\n    ", b'\\n", \n    "', b"\\r\\n", b"\n ", b"&#10;"])
@pytest.mark.parametrize("width", [60, 64, 76, 77, 4000])
@pytest.mark.parametrize("length", [3001, 3000, 2999])
def test_base64_in_a_mail(separator: bytes, width: int, length: int) -> None:
    head, tail = b"Content-Transfer-Encoding: base64\n\n", b"\n--boundary--\n"
    run = in_lines(base64.b64encode(BYTES[:length]), width, separator)
    streams = back(digits, head + run + tail)
    assert streams[0].startswith(head)
    assert len(streams[0]) <= len(head + tail) + 5
    assert len(b"".join(streams[1:])) >= length - 3


def test_base64_without_padding_and_for_addresses() -> None:
    code = base64.urlsafe_b64encode(BYTES).rstrip(b"=")
    assert back(digits, b"token=" + code + b"&more=1")[0] == b"token=&more=1"
    two = back(digits, b'url("data:image/png;base64,' + base64.b64encode(BYTES) + b'") ' + code)
    assert two[0] == b'url("data:image/png;base64,") '


def test_pem_patches_and_cut_base64() -> None:
    lines = base64.encodebytes(BYTES).replace(b"\n", b"")
    pem = b"-----BEGIN X-----\n" + in_lines(lines, 64, b"\n") + b"\n-----END X-----\n"
    assert back(digits, pem * 3)[1] == BYTES * 3
    patch = b"@@ -1 +1 @@\n+" + in_lines(lines, 64, b"\n+") + b"\n context\n"
    assert back(digits, patch)[1] == BYTES
    for cut in range(1, 5):
        streams = back(digits, in_lines(lines, 76, b"\n")[:-cut])
        assert len(streams[0]) <= 3


def test_a_last_line_that_is_no_base64_does_not_hide_those_before_it() -> None:
    lines = in_lines(base64.b64encode(BYTES[:2976]), 64, b"\n")
    for last in (b"A===", b"A", b"A=b"):
        assert len(back(digits, lines + b"\n" + last + b"\n")[0]) <= len(last) + 2


def test_many_broken_runs_take_time_in_proportion() -> None:
    block = in_lines(base64.b64encode(BYTES), 64, b"\n") + b"\n"
    plain = block * 1500 + b"A===\n"
    started = time.process_time()
    digits.take_out(plain, None)
    assert time.process_time() - started < 5


def test_lines_as_long_as_a_number_can_be() -> None:
    for line in (1 << 40, (1 << 40) - 1, 5000):
        form = pack_numbers([1 << 2, 16, line, 1]) + b"\n"
        taken = form + pack_numbers([0, 300, 2]), [b"", BYTES[:300]]
        assert digits.put_back(*taken, 400) == base64.b64encode(BYTES[:300])


def test_text_inside_is_told_from_other_bytes() -> None:
    page = b"begin " + base64.b64encode(PROSE.encode()) + b" and " + base64.b64encode(BYTES[:700]) + b" end"
    assert back(digits, page) == [b"begin  and  end", PROSE.encode(), BYTES[:700]]


@pytest.mark.parametrize("encode", [bytes.hex, lambda data: data.hex().upper()])
@pytest.mark.parametrize("width", [60, 80, 10000])
def test_hexadecimal_digits(encode, width: int) -> None:  # type: ignore[no-untyped-def]
    run = in_lines(encode(BYTES).encode(), width, b"\n")
    assert back(digits, b"blob: " + run + b"\n")[1] == BYTES


def test_words_names_numbers_genes_and_paths_are_no_digits() -> None:
    chooser = random.Random(3)
    genes = "\n".join("".join(chooser.choices("ACGT", k=70)) for _ in range(60))
    proteins = "\n".join("".join(chooser.choices("ACDEFGHIKLMNPQRSTVWY", k=60)) for _ in range(60))
    numbers = "\n".join("".join(chooser.choices("0123456789", k=70)) for _ in range(60))
    paths = "\n".join("usr/share/doc/packages/examples/Source/" * 6 for _ in range(20))
    for text in (PROSE, genes, proteins, numbers, paths, "/" * 3000, "=" * 3000, "aaaaaaaa" * 400):
        assert digits.take_out(text.encode(), None) is None
        assert uuencode.take_out(text.encode(), None) is None
        assert hex_dumps.take_out(text.encode(), None) is None


def uu(data: bytes, backquote: bool, full: int = 45) -> bytes:
    return b"".join(binascii.b2a_uu(data[i : i + full], backtick=backquote) for i in range(0, len(data), full))


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("backquote", [False, True])
@pytest.mark.parametrize("length", [2500, 2520, 2999, 3000])
def test_uuencode(line_end: bytes, backquote: bool, length: int) -> None:
    lines = b"begin 644 picture.raw\n" + uu(BYTES[:length], backquote) + b"`\nend\n"
    streams = back(uuencode, (b"Hello,\n" + lines + b"bye\n").replace(b"\n", line_end))
    assert streams[1] == BYTES[:length]
    bare = uu(BYTES[:length], backquote)
    assert back(uuencode, bare.replace(b"\n", line_end))[1] == BYTES[:length]
    stripped = b"\n".join(line.rstrip(b" ") for line in lines.split(b"\n"))
    assert back(uuencode, stripped)[1] == BYTES[:length]


def xxd(data: bytes, group: int = 2, per_line: int = 16) -> str:
    lines = []
    for at in range(0, len(data), per_line):
        part = data[at : at + per_line]
        numbers = " ".join(part[i : i + group].hex() for i in range(0, len(part), group))
        width = 2 * per_line + per_line // group - 1
        text = "".join(chr(b) if 32 <= b < 127 else "." for b in part)
        lines.append(f"{at:08x}: {numbers:<{width}}  {text}\n")
    return "".join(lines)


def hexdump_c(data: bytes) -> str:
    lines, before = [], b""
    for at in range(0, len(data), 16):
        part = data[at : at + 16]
        if part == before:
            if lines[-1] != "*\n":
                lines.append("*\n")
            continue
        numbers = "  ".join(part[i : i + 8].hex(" ") for i in (0, 8))
        text = "".join(chr(b) if 32 <= b < 127 else "." for b in part)
        lines.append(f"{at:08x}  {numbers:<48}  |{text}|\n")
        before = part
    return "".join(lines) + f"{len(data):08x}\n"


def od(data: bytes, radix: str = "o", group: int = 2, form: str = "06o") -> str:
    lines = []
    for at in range(0, len(data), 16):
        values = (int.from_bytes(data[i : i + group], "little") for i in range(at, min(at + 16, len(data)), group))
        lines.append(f"{at:07{radix}}" + "".join(f" {value:{form}}" for value in values) + "\n")
    return "".join(lines) + f"{len(data):07{radix}}\n"


def c_table(data: bytes) -> str:
    lines = (", ".join(f"0x{b:02x}" for b in data[i : i + 12]) for i in range(0, len(data), 12))
    return "unsigned char table[] = {\n" + "".join(f"  {line},\n" for line in lines) + "};\n"


DUMPS = {
    "xxd": xxd(BYTES), "xxd -g1": xxd(BYTES, 1), "xxd -g4 -c32": xxd(BYTES, 4, 32), "hexdump -C": hexdump_c(BYTES),
    "od": od(BYTES[:3000]), "od -x": od(BYTES[:3000], form="04x"), "od -t x1": od(BYTES, group=1, form="02x"),
    "od -A d -t u1": od(BYTES, "d", 1, "3d"), "od -A x -t x4": od(BYTES[:3000], "x", 4, "08x"), "C": c_table(BYTES),
}  # fmt: skip


@pytest.mark.parametrize("name", DUMPS)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_dumps(name: str, line_end: str) -> None:
    plain = ("A dump:\n" + DUMPS[name] + "And more text.\n").replace("\n", line_end).encode()
    streams = back(hex_dumps, plain)
    assert len(streams[0]) < 190
    assert len(b"".join(streams[1:])) >= 2650


@pytest.mark.parametrize("name", DUMPS)
@given(st.data())
@settings(max_examples=25, deadline=None)
def test_changed_dumps_come_back(name: str, data: st.DataObject) -> None:
    plain = bytearray(DUMPS[name].encode())
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(plain) - 1))
        plain[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    changed = bytes(plain)[: data.draw(st.integers(0, len(plain)))]
    taken = hex_dumps.take_out(changed, None)
    assert taken is None or hex_dumps.put_back(*taken, len(changed)) == changed


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_changed_runs_come_back(data: st.DataObject) -> None:
    width, separator = (
        data.draw(st.integers(33, 90)),
        data.draw(st.sampled_from(SEPARATORS)),
    )
    encode = data.draw(st.sampled_from([base64.b64encode, base64.urlsafe_b64encode, bytes.hex, lambda d: uu(d, False)]))
    code = encode(BYTES[data.draw(st.integers(0, 900)) :])
    code = code if isinstance(code, bytes) else code.encode()
    plain = bytearray(code if b"\n" in code else in_lines(code, width, separator))
    for _ in range(data.draw(st.integers(0, 5))):
        at = data.draw(st.integers(0, len(plain) - 1))
        plain[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.sampled_from([b"", b"=", b"\n", b"x", b" ", b"`", b"\xff"])
        )
    changed = bytes(plain)[data.draw(st.integers(0, 99)) : data.draw(st.integers(100, len(plain)))]
    for module in (digits, uuencode, hex_dumps):
        taken = module.take_out(changed, None)
        assert taken is None or module.put_back(*taken, len(changed)) == changed
