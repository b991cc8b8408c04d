"""Write inputs for the fuzzers to begin with: ``python -m tests.fuzz.make_seeds FOLDER`` fills ``models`` and ``text``.

They are laid out as ``models.c`` and ``text.c`` read them. What fuzzing found beyond them is in ``seeds``.
"""

from __future__ import annotations

import base64
import sys
from pathlib import Path

from tests.conftest import GOLDEN
from tests.portable.vectors import vectors
from tests.text.test_almost_text import PROSE, bold
from tests.text.test_charsets import FRENCH, JAPANESE
from tests.text.test_encodings import BYTES, DUMPS, uu
from tests.text.test_hex_records import FILES
from tests.text.test_line_breaks import prose


def number(value: int, size: int = 1) -> bytes:
    return value.to_bytes(size, "little")


def model_seeds() -> list[bytes]:
    """Payloads, texts, a vocabulary, changed weights."""
    arrays = vectors()
    text = (GOLDEN / "plain.txt").read_bytes()
    payload = arrays["mixed/0/payload"]
    context_payload = arrays["context/0/payload"]
    vocabulary = arrays["vocabulary"].tobytes()
    seeds = []
    for profile in (0, 1):
        for lanes_log in range(5):
            head = number(lanes_log) + number(profile) + b"\0" + number(1, 2)
            seeds.append(b"\0" + head + b"\xff" * (1 << lanes_log) + number(60, 2) + payload[:300])
            seeds.append(b"\2" + head + b"\1" + text[:400])
    for profile in range(4):
        seeds.append(b"\1" + number(profile) + number(300, 2) + number(200, 2) + context_payload[:300])
        seeds.append(b"\3" + number(profile) + b"\1" + text[:300])
    seeds.append(b"\4" + b"\0" + number(len(vocabulary), 2) + vocabulary + text[:100])
    seeds.append(b"\4" + b"\1" + number(0, 2) + text[:100])
    for array in range(20):
        for value in (b"\xff\xff\xff\x7f", b"\0\0\0\x80", b"\x1f\0\0\0", b"\xe1\0\0\0"):
            size = 2 if array == 11 else 1 if array > 11 else 4
            seeds.append(b"\5" + b"\1" + bytes(range(8)) + number(array) + bytes(3) + b"\0" + value[:size])
    head = b"\0\0\0" + number(1, 2) + b"\1"
    for array in range(11):
        size = 4 if array < 4 or array == 10 else 2
        for value in (b"\xff\xff\x07\0", b"\1\0\xf8\xff", b"\xff\xff\xff\x7f"):
            edit = number(array) + bytes(3) + b"\0" + value[:size]
            seeds.append(b"\6" + (edit * 8)[:64] + head + text[:300])
    return seeds


def text_seeds() -> list[bytes]:
    """Texts that each of the transforms likes."""
    room = number(4000, 2)
    broken, mail = prose(20, 60).encode()[:1500], base64.encodebytes(BYTES[:600])
    seeds = [
        b"\0" + number(59, 2) + b"\0" + b"\2" + bytes([3, 9, 20]) + bytes(24) + room + broken,
        b"\7\0" + room + b'"caf\\u00e9 \\ud83d\\ude00"' * 9,
        b"\x08" + number(72, 2) + b"\0\1\3\1\2\3" + room + (b"=C3=A9 and so on and on " * 9 + b"=\n") * 3,
        b"\x09"
        + number(10)
        + number(4, 2)
        + number(9, 2)
        + number(9)
        + room
        + PROSE.encode()
        + BYTES[:400]
        + PROSE.encode(),
        b"\x06\1\2\0\0" + room + bold(PROSE).encode(),
        b"\4\0\0" + number(44) + b"\1" + room + uu(BYTES[:300], True),
    ]
    for charset, text in (("cp1252", FRENCH), ("cp932", JAPANESE), ("euc_jp", JAPANESE), ("gb18030", JAPANESE)):
        index = ("cp1252", "cp932", "euc_jp", "gb18030").index(charset)
        seeds += [b"\1" + number(index) + b"\0" + room + text[:300].encode(charset, "replace")]
        seeds += [b"\1" + number(index) + b"\1" + room + text[:300].encode()]
        seeds += [b"\2" + number(index) + b"\1" + number(77, 2) + room + text[:300].encode(charset, "replace")]
    for alphabet in range(4):
        data = mail if alphabet < 2 else BYTES[:300].hex().encode()
        line = 0 if alphabet % 2 else 76
        middle = number(line, 2) + number(75, 2) + b"\x14\5\1\n"
        seeds.append(b"\3" + number(alphabet) + b"\1" + middle + room + data)
    for dump in DUMPS.values():
        seeds.append(b"\5\0" + bytes(8) + number(0) + room + dump.encode()[:900])
    for kind, records in zip((0, 0, 0, 1, 2, 3, 4), FILES.values(), strict=True):
        runs, kept = b"\x83\2\1\x80\4\x28\x2a\1", b"S0\n:00\n"
        head = b"\x0b" + number(kind) + b"\1\0" + number(20) + number(len(runs)) + number(len(kept))
        seeds.append(head + runs + kept + room + records[:900].encode())
    for pattern in (b"x", bytes(range(200)), BYTES[:2999]):
        seeds.append(b"\x0a" + number(len(pattern), 2) + b"\xff\xff\0" + bytes(6) + bytes(8) + bytes(4) + pattern)
    return seeds


def main() -> None:
    for target, seeds in (("models", model_seeds()), ("text", text_seeds())):
        folder = Path(sys.argv[1]) / target
        folder.mkdir(parents=True, exist_ok=True)
        for i, seed in enumerate(seeds):
            (folder / f"made-{i:03}").write_bytes(seed)


if __name__ == "__main__":
    main()
