"""Byte-level tokenizer: longest match against a fixed, lexicographically sorted vocabulary.

Every single byte is a token, so any byte string has exactly one segmentation, and joining the tokens gives the bytes
back. Because the vocabulary is sorted, all tokens that start with a given prefix are one contiguous range of ids, the
token equal to the prefix first.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmzip.core import _native

MAX_TOKEN_BYTES = 24


class Tokenizer:
    """A sorted vocabulary, ready to cut text.

    Attributes:
        core: the core's vocabulary.
        size: number of tokens ``V``.
        token_bytes: uint8 ``[V, 24]``, each token's bytes, zero-padded.
        token_lengths: uint8 ``[V]``, bytes per token.
    """

    def __init__(self, core: Any) -> None:
        self.core = core
        self.size: int = _native.vocabulary_size(core)
        self.token_bytes: NDArray[np.uint8] = np.zeros((self.size, MAX_TOKEN_BYTES), np.uint8)
        self.token_lengths: NDArray[np.uint8] = np.zeros(self.size, np.uint8)
        _native.vocabulary_tokens(core, self.token_bytes, self.token_lengths)

    @classmethod
    def from_bytes(cls, packed: bytes) -> Tokenizer:
        """Read a vocabulary packed as (length byte, token bytes) records.

        Raises:
            ValueError: a token is empty, too long or out of order, a single byte is missing, or there are too many.
        """
        return cls(_native.vocabulary(packed))

    def encode(self, text: bytes | bytearray | memoryview | NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return the token ids of ``text``, int32 ``[tokens]``."""
        tokens = np.empty(len(text), np.int32)
        return tokens[: _native.tokenize(self.core, text, tokens)].copy()

    def decode(self, tokens: NDArray[np.integer]) -> bytes:
        """Return the bytes of ``tokens``.

        Raises:
            ValueError: they are no tokens of this vocabulary.
        """
        plain: bytes = _native.join_tokens(self.core, np.ascontiguousarray(tokens, np.int32))
        return plain
