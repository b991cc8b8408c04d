"""Make golden archives: ``python tests/make_golden.py``. Those of a format that is frozen are never made anew.

``plain.txt`` is prose, markup and code; ``broken.txt`` the same in lines of a width that end with CR LF;
``tiny.llmzmodel`` a small trained network.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from llmzip.settings import Settings
from llmzip.streams import compress

GOLDEN = Path(__file__).parent / "golden"
CASES = {
    "context": Settings(level=1),
    "context-blocks": Settings(level=1, block_bytes=1000),
    "tokens-2-lanes": Settings(level=2, lanes=2),
    "tokens-blocks": Settings(level=2, lanes=2, block_bytes=1000),
    "mixed": Settings(),
    "mixed-4-lanes": Settings(lanes=4),
    "mixed-blocks": Settings(lanes=2, block_bytes=1000),
    "mixed-independent": Settings(block_bytes=1000, independent=True),
}


def sources() -> dict[str, bytes]:
    """Plain texts by name."""
    plain, broken = ((GOLDEN / name).read_bytes() for name in ("plain.txt", "broken.txt"))
    noise = bytes(i * i * 7919 >> 7 & 255 for i in range(500))
    return {
        "plain": plain,
        "broken": broken,
        "utf-16": broken.decode().encode("utf-16-le"),
        "changing": plain[:3000] + noise + b"repeated " * 300 + bytes(1 << 16) + plain[3000:],
    }


def main() -> None:
    for text, plain in sources().items():
        for name, settings in CASES.items():
            archive = compress(plain, replace(settings, model=str(GOLDEN / "tiny.llmzmodel")))
            (GOLDEN / f"{text}-{name}.llmz").write_bytes(archive)


if __name__ == "__main__":
    main()
