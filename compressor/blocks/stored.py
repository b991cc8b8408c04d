"""Stored: the payload is the plain bytes."""

from __future__ import annotations

from llmzip.errors import DamagedError


def encode(plain: bytes) -> bytes:
    return plain


def decode(payload: bytes, plain_length: int) -> bytes:
    """Raises: DamagedError: the length is another."""
    if len(payload) != plain_length:
        raise DamagedError("a stored block has another length than it says")
    return payload
