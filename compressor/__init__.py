"""llmzip: lossless text compression with a trained language model and exact integer arithmetic."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from llmzip.registration import register

__version__ = "0.1.0"

if TYPE_CHECKING:
    from llmzip.access.records import Records, records
    from llmzip.errors import (
        DamagedError,
        LlmzError,
        MemoryLimitError,
        ModelMissingError,
        NoKeyError,
        OutputLimitError,
        TruncatedError,
    )
    from llmzip.estimates import TokenEntropies, entropy
    from llmzip.files import Compressor, Decompressor, Flush, LlmzFile, compress, decompress, open
    from llmzip.inspection import describe
    from llmzip.settings import ReadSettings, Settings

_HOME = {
    "Compressor": "files",
    "DamagedError": "errors",
    "Decompressor": "files",
    "Flush": "files",
    "LlmzError": "errors",
    "LlmzFile": "files",
    "MemoryLimitError": "errors",
    "ModelMissingError": "errors",
    "NoKeyError": "errors",
    "OutputLimitError": "errors",
    "ReadSettings": "settings",
    "Records": "access.records",
    "Settings": "settings",
    "TokenEntropies": "estimates",
    "TruncatedError": "errors",
    "compress": "files",
    "decompress": "files",
    "describe": "inspection",
    "entropy": "estimates",
    "open": "files",
    "records": "access.records",
}
__all__ = [
    "Compressor",
    "DamagedError",
    "Decompressor",
    "Flush",
    "LlmzError",
    "LlmzFile",
    "MemoryLimitError",
    "ModelMissingError",
    "NoKeyError",
    "OutputLimitError",
    "ReadSettings",
    "Records",
    "Settings",
    "TokenEntropies",
    "TruncatedError",
    "compress",
    "decompress",
    "describe",
    "entropy",
    "open",
    "records",
]


def __getattr__(name: str) -> Any:
    # numpy and the core load on first use, so that `llmzip --help` starts at once.
    if name in _HOME:
        globals()[name] = getattr(importlib.import_module(f"llmzip.{_HOME[name]}"), name)
        return globals()[name]
    raise AttributeError(f"module 'llmzip' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register()
del register
