"""The errors that a user can meet."""

from __future__ import annotations


class LlmzError(ValueError):
    """Compressed data is damaged, foreign, of an unknown version, or needs a model that is not here."""
