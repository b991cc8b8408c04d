"""The errors that a user can meet. Each prints as one line."""

from __future__ import annotations

from collections.abc import Sequence


class LlmzError(ValueError):
    """Compressed data or a model file cannot be used; the base of the errors below."""


class NoKeyError(LlmzError):
    """Records have no key of the name that an index was asked for."""


class DamagedError(LlmzError):
    """The data is damaged, cut off, or was never llmzip's."""


class TruncatedError(DamagedError, EOFError):
    """The data ends too early; more of it may help."""


class ModelMissingError(LlmzError):
    """The data is in order, but the model that made it is not here.

    Attributes:
        fingerprint: the first bytes of that model's fingerprint.
        unreadable: files that were met on the search for it and are no models.
    """

    def __init__(self, fingerprint: bytes, unreadable: Sequence[str] = ()) -> None:
        super().__init__(fingerprint, unreadable)
        self.fingerprint = fingerprint
        self.unreadable = unreadable

    def __str__(self) -> str:
        message = (
            f"made with model {self.fingerprint.hex()}, which is not here: pass its file with --model "
            "(in Python: model=) or name its folder in LLMZIP_MODEL_PATH"
        )
        return message + (f" (not readable as models: {', '.join(self.unreadable)})" if self.unreadable else "")


class BaseMissingError(ModelMissingError):
    """A model is adapted from one that is not here.

    Attributes:
        fingerprint: that of the missing model.
        path: the adapted model's file.
    """

    def __init__(self, fingerprint: bytes, path: str) -> None:
        super().__init__(fingerprint)
        self.args = (fingerprint, path)
        self.path = path

    def __str__(self) -> str:
        return (
            f"{self.path} is adapted from model {self.fingerprint.hex()}, which is not here: "
            "name the folder of that model's file in LLMZIP_MODEL_PATH"
        )


class MemoryLimitError(LlmzError):
    """Restoring the data needs more memory than the limit allows.

    Attributes:
        needed: bytes that restoring takes.
        limit: bytes that it may take.
    """

    def __init__(self, needed: int, limit: int) -> None:
        super().__init__(needed, limit)
        self.needed = needed
        self.limit = limit

    def __str__(self) -> str:
        return (
            f"needs {-(-self.needed >> 20)} MiB of memory, the limit is {self.limit >> 20} MiB: "
            "raise it with --memory-limit (in Python: memory_limit=)"
        )


class OutputLimitError(LlmzError):
    """The plain bytes are more than the caller wanted to take."""
