"""Make golden archives that are missing: ``python tests/make_golden.py``.

What is there is frozen and never made anew; what is new has to be added to ``golden/SHA256SUMS`` (by ``sha256sum`` in
that folder).

``plain.txt`` is prose, markup and code; ``broken.txt`` the same in lines of a width that end with CR LF;
``tiny.llmzmodel`` a small trained network.
"""

from __future__ import annotations

import base64
import binascii
import struct
from dataclasses import replace
from pathlib import Path
from unittest import mock

from llmzip.blocks.choice import BlockEncoder
from llmzip.settings import Settings
from llmzip.streams import compress

GOLDEN = Path(__file__).parent / "golden"
CASES = {
    "context": Settings(level=1),
    "context-blocks": Settings(level=1, block_bytes=1000),
    "tokens-2-lanes": Settings(level=2, lanes=2),
    "tokens-blocks": Settings(level=2, lanes=2, block_bytes=1000),
    "wide": Settings(wide=True),
    "wide-blocks": Settings(wide=True, block_bytes=1000),
    "mixed": Settings(),
    "mixed-16-lanes": Settings(lanes=16),
    "mixed-blocks": Settings(lanes=2, block_bytes=1000),
    "mixed-independent": Settings(block_bytes=1000, independent=True),
}


RECORDS_CASES = {
    "records": Settings(level=1, records="jsonl", key="id", block_bytes=1000),
    "groups": Settings(block_bytes=1000, group_bytes=2000),
}


def sources() -> dict[str, bytes]:
    """Plain texts by name."""
    plain, broken = ((GOLDEN / name).read_bytes() for name in ("plain.txt", "broken.txt"))
    noise = _noise(3000)
    table = "".join(f"{i},{i * 37 % 101 / 8:.3f},{1700000000 + 60 * i},{noise[i] % 7}\n" for i in range(120))
    lines = "".join(f'{{"id": {i}, "name": "caf\\u00e9 {i % 13}", "at": "10:{i % 60:02}"}}\n' for i in range(100))
    genes = bytes(b"ACGT"[byte & 3] for byte in noise[:1500])
    japanese = "".join(chr(0x3042 + byte % 80) + "\u3002\n" * (byte % 16 == 0) for byte in noise[:700])
    return {
        "plain": plain,
        "broken": broken,
        "utf-16": broken.decode().encode("utf-16-le"),
        "changing": plain[:3000] + noise[:500] + b"repeated " * 300 + bytes(1 << 16) + plain[3000:],
        "table": table.encode(),
        "lines": lines.encode(),
        "sequence": b">gene\n" + b"".join(genes[i : i + 60] + b"\n" for i in range(0, 1500, 60)),
        "binary": b"".join(struct.pack("<HBBi", i, byte & 15, 0, i * byte) for i, byte in enumerate(noise[:300])),
        "mail": plain[:700] + b"\n" + base64.encodebytes(plain[:900] + noise[:600]) + b"\n" + plain[700:1000],
        "dump": "".join(_dumped(i, noise[i // 4 : i // 4 + 16]) for i in range(0, 2560, 16)).encode(),
        "manual": b"".join(b"%c\b%c" % (c, c) if 65 <= c <= 90 else b"%c" % c for c in (plain + plain.upper())[:3000]),
        "uuencoded": b"begin 644 a\n" + b"".join(map(binascii.b2a_uu, _pieces(plain, 45))) + b"`\nend\n",
        "separated": b"\0".join(plain.split()) + b"\0",
        "firmware": _firmware(noise),
        "japanese": japanese.encode("shift_jis"),
    }


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def _dumped(place: int, row: bytes) -> str:
    shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
    return f"{place:08x}: {row.hex(' ', 2)}  {shown}\n"


def _firmware(noise: bytes) -> bytes:
    """Two files of Intel HEX, the first of two segments, then lines that are almost S-records."""
    code = b"".join(b"\x0e\x94" + bytes([byte & 31, byte >> 7]) for byte in noise[:500])
    head, end = b":02000004%s\r\n", b":0400000300003800C1\r\n:00000001FF\r\n"
    one = head % b"0000FA" + _intel_hex(0x8000, code[:1190]) + head % b"0001F9" + _intel_hex(0, code[1190:1570])
    other = b"".join(b"S1" + line[1:9] + b"\r\n" for line in _intel_hex(0, code[:48]).splitlines())
    return one + end + _intel_hex(0x3800, code[700:]) + end + other


def _intel_hex(address: int, code: bytes) -> bytes:
    lines = []
    for piece in _pieces(code, 16):
        body = bytes([len(piece)]) + address.to_bytes(2, "big") + b"\0" + piece
        lines.append(b":" + (body + bytes([-sum(body) & 255])).hex().upper().encode() + b"\r\n")
        address += len(piece)
    return b"".join(lines)


def _noise(count: int) -> bytes:
    state, out = 1, bytearray()
    for _ in range(count):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
        out.append(state >> 16 & 255)
    return bytes(out)


def main() -> None:
    for text, plain in sources().items():
        for name, settings in (CASES | RECORDS_CASES if text == "lines" else CASES).items():
            path = GOLDEN / f"{text}-{name}.llmz"
            if path.exists():
                continue
            # The small network would seldom win.
            with (
                mock.patch.object(BlockEncoder, "_network_may_win", return_value=True),
                mock.patch.object(BlockEncoder, "_context_may_win", return_value=False),
            ):
                archive = compress(plain, replace(settings, model=str(GOLDEN / "tiny.llmzmodel")))
            path.write_bytes(archive)


if __name__ == "__main__":
    main()
