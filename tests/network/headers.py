"""Headers of model files and adapted ones, taken apart and put together again, whatever they then say."""

from __future__ import annotations

import json
from typing import Any

from llmzip.network.model_file import ALIGNMENT, MAGIC


def unpack(data: bytes) -> tuple[dict[str, Any], bytes]:
    """A file's header and what follows it."""
    start = len(MAGIC) + 4
    end = start + int.from_bytes(data[len(MAGIC) : start], "little")
    return json.loads(data[start:end]), data[end:]


def pack(header: Any, body: bytes, magic: bytes = MAGIC) -> bytes:
    packed = json.dumps(header).encode()
    packed += b" " * (-(len(packed) + len(magic) + 4) % ALIGNMENT)
    return magic + len(packed).to_bytes(4, "little") + packed + body
