"""Mixed mode's parts: what it codes, what it costs, and that damaged input cannot lead it astray."""

from __future__ import annotations

import numpy as np
import pytest

from llmzip.mixing import binary_coder
from llmzip.mixing import bit_models
from llmzip.mixing import mixing
from llmzip.benchmarks.validate import mixed_bits, network_bits
from llmzip.errors import LlmzError
from llmzip.mixing.logistic import SQUASH, STRETCH
from llmzip.mixing.mixed_coding import MixedCoder, bucket_bits_for
from llmzip.network.model import Model, code_lengths
from llmzip.progress import SILENT


def test_learning_the_file_beats_the_network_alone(tiny: Model, text: bytes) -> None:
    assert mixed_bits(tiny, text) < 0.6 * network_bits(tiny, text)


def test_binary_coder_costs_what_the_probabilities_say() -> None:
    random = np.random.default_rng(1)
    probabilities = np.clip((random.beta(0.3, 0.3, 20_000) * 65536).astype(int), 1, 65535)
    bits = (random.random(probabilities.size) * 65536 < probabilities).astype(int)
    coder = np.zeros(binary_coder.CODER_FIELDS, np.int64)
    coder[binary_coder.HIGH] = 0xFFFFFFFF
    coded = np.zeros(20_000, np.uint8)
    for bit, p in zip(bits, probabilities, strict=True):
        binary_coder.code_bit(int(bit), int(p), coder, coded)
    coded[coder[binary_coder.CURSOR]] = coder[binary_coder.HIGH] >> 24
    ideal = -np.log2(np.where(bits, probabilities, 65536 - probabilities) / 65536).sum() / 8
    assert ideal - 1 < coder[binary_coder.CURSOR] + 1 < ideal * 1.0005 + 4
    reader = np.zeros(binary_coder.CODER_FIELDS, np.int64)
    reader[binary_coder.HIGH], reader[binary_coder.DECODING], reader[binary_coder.CURSOR] = 0xFFFFFFFF, 1, 4
    reader[binary_coder.CODE] = int.from_bytes(coded[:4].tobytes(), "big")
    assert [binary_coder.code_bit(0, int(p), reader, coded) for p in probabilities] == bits.tolist()


def test_bit_decisions_cost_no_more_than_the_token(tiny: Model, text: bytes) -> None:
    """The chain of decisions that the kernel draws from a token's distribution, coded with the network alone."""
    tokenizer = tiny.tokenizer
    tokens = tokenizer.encode(text)
    inputs = np.concatenate([[tiny.start_token], tokens[:-1]]).astype(np.int32)
    bits = 0.0

    def code(part: int, total: int, decision: bool) -> float:
        if part in (0, total):
            return 0.0
        p = mixing.share(part, total) / 65536
        return -np.log2(p if decision else 1 - p)

    frequencies = tiny.predictor(1, tokens.size, None)(inputs[None])
    for token, row in zip(tokens.tolist(), frequencies.astype(int).tolist(), strict=True):
        low, high = 0, tokenizer.size
        plain = tokenizer.decode(np.array([token]))
        for depth, byte in enumerate(plain):
            for shift in range(7, -1, -1):
                value = (byte >> (shift + 1) << (shift + 1)) | 1 << shift
                boundary = mixing.lower_bound(tokenizer.token_bytes, low, high, depth, value)
                one = bool(byte >> shift & 1)
                bits += code(row[high] - row[boundary], row[high] - row[low], one)
                low, high = (boundary, high) if one else (low, boundary)
            if high - low > 1 and tokenizer.token_lengths[low] == depth + 1:
                ends = depth + 1 == len(plain)
                bits += code(row[low + 1] - row[low], row[high] - row[low], ends)
                low, high = (low, low + 1) if ends else (low + 1, high)
        assert (low, high) == (token, token + 1)
    assert bits == pytest.approx(float(code_lengths(frequencies, tokens).sum()), rel=0.0005)


def test_mixer_learns_which_input_to_trust() -> None:
    random = np.random.default_rng(2)
    weights = np.full((1, 8), 1 << 14, np.int32)
    for _ in range(4000):
        inputs = random.integers(-500, 500, 8).astype(np.int32)
        p = SQUASH[bit_models.mix(inputs, weights, 0, SQUASH) + bit_models.STRETCH_MAX]
        bit_models.learn(inputs, weights, 0, np.int32(((65536 * int(inputs[3] > 0)) - int(p)) // 2))
    assert weights[0, 3] > 8 * np.abs(np.delete(weights[0], 3)).max()


def test_impossible_first_bytes_are_excluded(tiny: Model) -> None:
    tokenizer = tiny.tokenizer
    starts = np.searchsorted(tokenizer.token_bytes[:, 0], np.arange(257))
    vocabulary = (tokenizer.token_bytes, tokenizer.token_lengths, tokenizer.children, tokenizer.token_at, starts)
    cumulative = tiny.predictor(1, 1, None)(np.zeros((1, 1), np.int32))[0]
    excluded = np.zeros(257, np.int64)
    (th,) = (i for i in range(tokenizer.size) if tokenizer.decode(np.array([i])) == b" th")
    node = 0
    for byte in b" th":
        node = tokenizer.children[node, byte]
    assert tokenizer.token_at[node] == th
    mixing._exclude_impossible(node, cumulative, vocabulary, excluded)
    longer = {tokenizer.decode(np.array([i]))[3] for i in range(th, tokenizer.size)
              if tokenizer.decode(np.array([i]))[:3] == b" th" and tokenizer.token_lengths[i] == 4}  # fmt: skip
    assert longer
    for byte in range(256):
        mass = cumulative[starts[byte + 1]] - cumulative[starts[byte]] if byte in longer else 0
        assert excluded[byte + 1] - excluded[byte] == mass


@pytest.mark.parametrize("seed", range(5))
def test_random_payloads_never_crash(tiny: Model, seed: int) -> None:
    random = np.random.default_rng(seed)
    data = random.bytes(300)
    for lane_bytes in ([400], [100, 100, 100, 100]):
        coder = MixedCoder(tiny, 16)
        try:
            plain = coder.decode(data, 150, lane_bytes, None, None, SILENT)
        except LlmzError:
            continue
        assert len(plain) == 400


def test_table_size_follows_length_within_limits() -> None:
    sizes = [bucket_bits_for(n) for n in (1, 1000, 10_000, 1_000_000, 4 << 20)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 16
    assert sizes[-1] == 22


def test_stretch_table_covers_every_probability() -> None:
    assert STRETCH.shape == (65536,)
    assert STRETCH[32768] == 0
