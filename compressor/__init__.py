"""llmzip: lossless text compression with a trained language model and exact integer arithmetic."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from llmzip.errors import LlmzError
    from llmzip.files import Compressor, Decompressor, LlmzFile, compress, decompress, open
    from llmzip.entropy import TokenEntropies, entropy

_HOME = {
    "LlmzError": "llmzip.errors",
    "Compressor": "llmzip.files",
    "Decompressor": "llmzip.files",
    "LlmzFile": "llmzip.files",
    "compress": "llmzip.files",
    "decompress": "llmzip.files",
    "TokenEntropies": "llmzip.entropy",
    "entropy": "llmzip.entropy",
    "open": "llmzip.files",
}
__all__ = [
    "Compressor",
    "Decompressor",
    "LlmzError",
    "LlmzFile",
    "TokenEntropies",
    "compress",
    "decompress",
    "entropy",
    "open",
]


def __getattr__(name: str) -> Any:
    # numpy and numba load on first use, so that `llmzip --help` starts at once.
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'llmzip' has no attribute {name!r}")
