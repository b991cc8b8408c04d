"""Byte-level tokenizer: longest match against a fixed, lexicographically sorted vocabulary.

Every single byte is a token, so any byte string has exactly one segmentation, and joining the tokens gives the bytes
back. Because the vocabulary is sorted, all tokens that start with a given prefix are one contiguous range of ids, the
token equal to the prefix first.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

MAX_TOKEN_BYTES = 24


@njit(cache=True, nogil=True)
def _build_trie(token_bytes, token_lengths, children, token_at):
    nodes = 1
    for token in range(token_lengths.size):
        node = 0
        for i in range(token_lengths[token]):
            byte = token_bytes[token, i]
            child = children[node, byte]
            if child == 0:
                child = nodes
                nodes += 1
                children[node, byte] = child
            node = child
        token_at[node] = token
    return nodes


@njit(cache=True, nogil=True)
def _longest_match(text, children, token_at, tokens):
    count = 0
    position = 0
    end = text.size
    while position < end:
        node = 0
        best = 0
        best_end = position
        i = position
        while i < end:
            node = children[node, text[i]]
            if node == 0:
                break
            i += 1
            if token_at[node] >= 0:
                best = token_at[node]
                best_end = i
        tokens[count] = best
        count += 1
        position = best_end
    return count


@njit(cache=True, nogil=True)
def _join(tokens, token_bytes, token_lengths, out):
    position = 0
    for token in tokens:
        for i in range(token_lengths[token]):
            out[position] = token_bytes[token, i]
            position += 1


@dataclass(frozen=True)
class Tokenizer:
    """A sorted vocabulary and its trie.

    Attributes:
        token_bytes: uint8 ``[V, 24]``, each token's bytes, zero-padded.
        token_lengths: uint8 ``[V]``, bytes per token.
        children: int16 ``[nodes, 256]``, child of a trie node by byte; 0 where there is none (node 0 is the root).
        token_at: int16 ``[nodes]``, token that ends at a node, or -1.
    """

    token_bytes: NDArray[np.uint8]
    token_lengths: NDArray[np.uint8]
    children: NDArray[np.int16]
    token_at: NDArray[np.int16]

    @classmethod
    def from_bytes(cls, packed: bytes) -> Tokenizer:
        """Read a vocabulary packed as (length byte, token bytes) records.

        Raises:
            ValueError: a token is empty, too long or out of order, or a single byte is missing.
        """
        vocabulary = []
        position = 0
        while position < len(packed):
            length = packed[position]
            vocabulary.append(packed[position + 1 : position + 1 + length])
            position += 1 + length
        if position != len(packed) or any(not 1 <= len(t) <= MAX_TOKEN_BYTES for t in vocabulary):
            raise ValueError("vocabulary: a token is empty, too long or cut off")
        if any(a >= b for a, b in itertools.pairwise(vocabulary)):
            raise ValueError("vocabulary: tokens are not in strictly ascending order")
        if sum(len(t) == 1 for t in vocabulary) != 256 or len(vocabulary) > 32767:
            raise ValueError("vocabulary: needs every single byte and at most 32767 tokens")
        token_lengths = np.array([len(t) for t in vocabulary], np.uint8)
        token_bytes = np.zeros((len(vocabulary), MAX_TOKEN_BYTES), np.uint8)
        for i, token in enumerate(vocabulary):
            token_bytes[i, : len(token)] = np.frombuffer(token, np.uint8)
        prefixes = {token[:n] for token in vocabulary for n in range(1, len(token) + 1)}
        if len(prefixes) > 32000:
            raise ValueError("vocabulary: too many prefixes")
        children = np.zeros((len(prefixes) + 1, 256), np.int16)
        token_at = np.full(len(prefixes) + 1, -1, np.int16)
        _build_trie(token_bytes, token_lengths, children, token_at)
        return cls(token_bytes, token_lengths, children, token_at)

    @property
    def size(self) -> int:
        return self.token_lengths.size

    def encode(self, text: bytes | NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return the token ids of ``text``, int32 ``[tokens]``."""
        data = np.frombuffer(text, np.uint8) if isinstance(text, (bytes, bytearray, memoryview)) else text
        tokens = np.empty(data.size, np.int32)
        count = _longest_match(data, self.children, self.token_at, tokens)
        return tokens[:count].copy()

    def decode(self, tokens: NDArray[np.integer]) -> bytes:
        """Return the bytes of ``tokens``."""
        out = np.empty(int(self.token_lengths[tokens].sum(dtype=np.int64)), np.uint8)
        _join(np.ascontiguousarray(tokens, np.int32), self.token_bytes, self.token_lengths, out)
        return out.tobytes()
