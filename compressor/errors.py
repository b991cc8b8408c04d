"""The errors that a user can meet."""

from __future__ import annotations


class LlmzError(ValueError):
    """Compressed data is damaged, foreign, of an unknown version, or needs a model that is not here."""


class TruncatedError(LlmzError):
    """The data ends too early; more of it may help."""
