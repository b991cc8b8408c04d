"""Make golden archives of what the format has gained: ``python tests/make_golden.py``.

The files of earlier additions stay as they are: archives of version 1 of the format, ``tiny.llmzmodel`` (a network
trained on 1 MB of text) with version 1 of mixed mode, ``tiny-ngrams.llmzmodel`` (the same network with random hashed
embeddings) with version 2 of it. This writes ``broken.txt``, prose in lines of a width that end with CR LF, and its
archives in version 2 of the format.
"""

from __future__ import annotations

import textwrap
from dataclasses import replace
from pathlib import Path

from llmzip.format.container import VERSION
from llmzip.settings import Settings
from llmzip.streams import compress

GOLDEN = Path(__file__).parent / "golden"
CASES = {
    "lane": Settings(),
    "4-lanes": Settings(lanes=4),
    "blocks": Settings(block_bytes=2000),
    "tokens": Settings(level=2, lanes=2),
    "context": Settings(level=1),
}


def broken_text() -> bytes:
    """Indented paragraphs in lines of at most 36 characters, a long one among them, and a bare line end."""
    whole = " ".join((GOLDEN / "plain.txt").read_text("utf-8", "replace").split())
    paragraphs = (whole[i : i + 300].strip() for i in range(0, len(whole), 240))
    page = "\n".join(textwrap.fill(text, 36, initial_indent="  ", break_long_words=False) for text in paragraphs)
    page += "\nA line that is far too long for a rule of this width to have left it alone.\n"
    return page.replace("\n", "\r\n").encode() + b"\n"


def main() -> None:
    text = broken_text()
    (GOLDEN / "broken.txt").write_bytes(text)
    model = str(GOLDEN / "tiny-ngrams.llmzmodel")
    for name, settings in CASES.items():
        archive = compress(text, replace(settings, model=model))
        (GOLDEN / f"v{VERSION}-ngrams-{name}-broken.llmz").write_bytes(archive)
    for charset in ("utf-16-le", "cp1252"):
        archive = compress(text.decode().encode(charset, "replace"), Settings(level=5, model=model))
        (GOLDEN / f"v{VERSION}-ngrams-broken-{charset}.llmz").write_bytes(archive)


if __name__ == "__main__":
    main()
