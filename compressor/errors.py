"""The errors that a user can meet."""

from __future__ import annotations


class LlmzError(ValueError):
    """Compressed data is damaged, foreign, of an unknown version, or needs a model that is not here."""


class TruncatedError(LlmzError):
    """The data ends too early; more of it may help."""


class ModelMissingError(LlmzError):
    """The model that made the data is not here.

    Attributes:
        fingerprint: first bytes of the model's.
    """

    def __init__(self, fingerprint: bytes, unreadable: list[str]) -> None:
        self.fingerprint = fingerprint
        message = (
            f"made with model {fingerprint.hex()}, which is not here: pass it with --model or name its folder in "
            "LLMZIP_MODEL_PATH"
        )
        if unreadable:
            message += f" (not readable as models: {', '.join(unreadable)})"
        super().__init__(message)
