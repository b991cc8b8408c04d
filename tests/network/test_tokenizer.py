from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmzip.network.model import load_model
from llmzip.network.tokenizer import Tokenizer


def pack(tokens: list[bytes]) -> bytes:
    return b"".join(bytes([len(t)]) + t for t in tokens)


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda s: s.encode("utf-8", "surrogatepass")))
def test_any_bytes_come_back(data: bytes) -> None:
    tokenizer = load_model().tokenizer
    tokens = tokenizer.encode(data)
    assert tokenizer.decode(tokens) == data
    assert tokens.dtype == np.int32


def test_every_token_encodes_to_itself() -> None:
    tokenizer = load_model().tokenizer
    for token in range(tokenizer.size):
        data = tokenizer.decode(np.array([token]))
        assert tokenizer.encode(data).tolist() == [token]


def test_vocabulary_is_sorted_and_prefixes_are_ranges() -> None:
    tokenizer = load_model().tokenizer
    tokens = [tokenizer.decode(np.array([i])) for i in range(tokenizer.size)]
    assert tokens == sorted(set(tokens))
    starts = [i for i, t in enumerate(tokens) if t.startswith(b" th")]
    assert starts == list(range(starts[0], starts[-1] + 1))
    assert tokens[starts[0]] == b" th"


def test_longest_match_against_plain_python() -> None:
    tokenizer = load_model().tokenizer
    vocabulary = {tokenizer.decode(np.array([i])): i for i in range(tokenizer.size)}
    data = "The cat sat on the mat; 1234 naïve <b>tags</b>\n\tindented    spaces".encode() * 3
    expected, position = [], 0
    while position < len(data):
        length = max(n for n in range(1, 25) if data[position : position + n] in vocabulary)
        expected.append(vocabulary[data[position : position + length]])
        position += length
    assert tokenizer.encode(data).tolist() == expected


@pytest.mark.parametrize(
    "packed",
    [
        pack([bytes([i]) for i in range(255)]),
        pack([bytes([i]) for i in range(255, -1, -1)]),
        pack([bytes([i]) for i in range(256)])[:-1],
        pack([*(bytes([i]) for i in range(256)), b""]),
    ],
)
def test_bad_vocabularies_are_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="vocabulary"):
        Tokenizer.from_bytes(packed)
