"""The integer network: kernels, calls and lanes against each other and against a plain numpy reference."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from llmzip.network.model import Model, pack_model
from llmzip.network.second_core import FIRST_MEETING, LATE, READY, SECOND_MEETING

GOLDEN_FREQUENCIES = "cff08eeae83a5aaf1a937bf5f3c66233d92c2119864cb2a63aa2dc1c525834b1"


def random_tokens(model: Model, lanes: int, steps: int, seed: int = 0) -> NDArray[np.int32]:
    return np.random.default_rng(seed).integers(0, model.tokenizer.size, (lanes, steps)).astype(np.int32)


def evaluate(
    model: Model, tokens: NDArray[np.int32], chunk: int, kernel: str | None, side: NDArray[np.int8] | None = None
) -> NDArray[np.int32]:
    """Cumulative frequencies ``[lanes, steps, V + 1]``, ``chunk`` positions a call."""
    lanes, steps = tokens.shape
    predictor = model.predictor(lanes, chunk, side, kernel)
    parts = [
        predictor(np.ascontiguousarray(tokens[:, i : i + chunk])).reshape(lanes, min(chunk, steps - i), -1)
        for i in range(0, steps, chunk)
    ]
    return np.concatenate(parts, 1)


def reference_frequencies(model: Model, tokens: list[int], side: NDArray[np.int8] | None) -> NDArray[np.int64]:
    """The decoder in Python integers, one position after the other, from the design and not from the kernels."""
    t = {name: value.astype(object) for name, value in model.tensors.items() if name != "side_frequencies"}
    config = model.config.decoder
    d, heads, window = config.width, config.heads, config.window
    clip = lambda x, limit: max(-limit, min(limit, x))  # noqa: E731
    rescale = lambda x, m: (int(x) * int(m) + 2**23) >> 24  # noqa: E731

    def normalise(values: list[int], steps: int) -> list[int]:
        root = math.isqrt(sum(v * v for v in values) << 8) + 1
        inverse = (math.isqrt(steps * steps * len(values) << 16) << 32) // root
        return [clip((v * inverse + 2**35) >> 36, 127) for v in values]

    def product(matrix: NDArray, multiplier: NDArray, inputs: list[int]) -> list[int]:
        return [
            rescale(sum(int(w) * x for w, x in zip(row, inputs, strict=True)), m)
            for row, m in zip(matrix, multiplier, strict=True)
        ]

    def exp(below: int) -> int:
        if below >= 22 * 1024:
            return 0
        coarse = round(math.exp(-(below >> 6) / 16) * 2**31)
        return (coarse * round(math.exp(-(below & 63) / 1024) * 2**31)) >> 32

    extra = [0] * d if side is None else product(t["up_weight"], t["up_multiplier"], [int(v) for v in side])
    tails: list[list[list[int]]] = [[[0] * d] * (config.kernel - 1) for _ in config.layers]
    cache: list[list[tuple[list[int], list[int]]]] = [[] for _ in config.layers]
    out = []
    for before, last, token in zip([0, 0, *tokens], [0, *tokens], tokens, strict=False):
        row, multiplier = t["decoder.embedding"][token], int(t["decoder.embedding_multiplier"][token])
        x = [((int(e) * multiplier + 2**15) >> 16) + s for e, s in zip(row, extra, strict=True)]
        pair = last * 2654435761 + token * 40503
        triple = pair + before * 3266489917
        for name, bits, key in (
            ("bigram", model.config.bigram_bits, pair),
            ("trigram", model.config.trigram_bits, triple),
        ):
            if bits:
                place = key % 2**32 * 2246822519 % 2**32 >> (32 - bits)
                row = t[f"decoder.{name}_embedding"][place]
                multiplier = int(t[f"decoder.{name}_multiplier"][place])
                added = [(int(e) * multiplier + 2**15) >> 16 for e in row]
                x = [a + v for a, v in zip([*added, *[0] * (d - len(added))], x, strict=True)]
        for layer, kind in enumerate(config.layers):
            w = {f: t[f"decoder.{f}"][layer] for f in ("in_weight", "in_multiplier", "out_weight", "out_multiplier")}
            wide = product(w["in_weight"], w["in_multiplier"], normalise(x, 16))
            if kind == "c":
                b, c, u = ([clip(v, 32767) for v in wide[i * d : i * d + d]] for i in range(3))
                tails[layer].append([clip((p * q + 512) >> 10, 32767) for p, q in zip(b, u, strict=True)])
                taps = t["decoder.taps"][layer]
                history = tails[layer][-config.kernel :]
                mixed = [
                    clip((sum(h[i] * int(tap[i]) for h, tap in zip(history, taps, strict=True)) + 512) >> 10, 2**22)
                    for i in range(d)
                ]
                inner = normalise([clip((p * q + 2048) >> 12, 2**22) for p, q in zip(c, mixed, strict=True)], 8)
            else:
                size = d // heads
                split = [wide[i * size : i * size + size] for i in range(3 * heads)]
                queries = [normalise(v, 16) for v in split[:heads]]
                keys = [normalise(v, 16) for v in split[heads : 2 * heads]]
                values = [clip((v + 32) >> 6, 127) for v in wide[2 * d :]]
                cache[layer].append(([v for key in keys for v in key], values))
                seen = cache[layer][-window:]
                joined: list[int] = []
                for h in range(heads):
                    part = slice(h * size, h * size + size)
                    scores = []
                    for age, (key, _) in enumerate(reversed(seen)):
                        dot = sum(p * q for p, q in zip(queries[h], key[part], strict=True))
                        temperature = int(t["decoder.temperature"][layer][h])
                        scores.append(((dot * temperature + 2**15) >> 16) - int(t["decoder.slopes"][h]) * age)
                    weights = [exp(max(scores) - s) >> 14 for s in scores]
                    for i in range(h * size, h * size + size):
                        total = sum(w * v[i] for w, (_, v) in zip(weights, reversed(seen), strict=True))
                        joined.append((total << 6) // sum(weights))
                inner = normalise(joined, 16)
            added = product(w["out_weight"], w["out_multiplier"], inner)
            x = [clip(p + q, 2**22) for p, q in zip(x, added, strict=True)]
            up = product(t["decoder.up_weight"][layer], t["decoder.up_multiplier"][layer], normalise(x, 16))
            hidden = normalise([min(max(v, 0), 32767) ** 2 >> 8 for v in up], 8)
            added = product(t["decoder.down_weight"][layer], t["decoder.down_multiplier"][layer], hidden)
            x = [clip(p + q, 2**22) for p, q in zip(x, added, strict=True)]
        logits = product(t["head_weight"], t["head_multiplier"], normalise(x, 16))
        logits = [v + int(b) for v, b in zip(logits, t["output_bias"], strict=True)]
        weights = [exp(max(logits) - v) for v in logits]
        inverse = ((2**24 - len(logits)) << 36) // sum(weights)
        out.append(np.cumsum([0, *(((w * inverse) >> 36) + 1 for w in weights)]))
    return np.array(out)


@pytest.mark.parametrize("name", ["tiny", "tiny_with_ngrams"])
def test_kernels_equal_the_plain_reference(name: str, request: pytest.FixtureRequest) -> None:
    model: Model = request.getfixturevalue(name)
    tokens = random_tokens(model, 1, 70, 3)  # longer than the attention window of 64
    side = np.random.default_rng(1).integers(-30, 30, model.config.side_numbers).astype(np.int8)
    for numbers in (None, side):
        expected = reference_frequencies(model, tokens[0].tolist(), numbers)
        for kernel in ("blas", "compiled", "plain"):
            assert np.array_equal(evaluate(model, tokens, 70, kernel, numbers)[0], expected)


def test_attention_leaves_out_only_what_weighs_nothing(tiny: Model) -> None:
    """A window longer than the biased heads' reach, which low temperatures keep short."""
    config = replace(tiny.config, decoder=replace(tiny.config.decoder, window=256))
    cooler = {"decoder.temperature": tiny.tensors["decoder.temperature"] // 8}
    model = Model(pack_model(config, tiny.vocabulary, tiny.tensors | cooler))
    tokens = random_tokens(model, 1, 130, 8)
    assert (12 << 10) // int(model.tensors["decoder.slopes"].max()) < 100
    assert np.array_equal(evaluate(model, tokens, 130, None)[0], reference_frequencies(model, tokens[0].tolist(), None))


@pytest.mark.parametrize("lanes", [1, 3, 16])
@pytest.mark.parametrize("name", ["tiny", "tiny_with_ngrams"])
def test_calls_lanes_and_kernels_agree(name: str, lanes: int, request: pytest.FixtureRequest) -> None:
    model: Model = request.getfixturevalue(name)
    tokens = random_tokens(model, lanes, 300)
    expected = evaluate(model, tokens, 300, "blas")
    for chunk, kernel in ((1, "compiled"), (1, "plain"), (1, "blas"), (7, "compiled"), (64, None), (300, "compiled")):
        assert np.array_equal(evaluate(model, tokens, chunk, kernel), expected)
    alone = evaluate(model, tokens[-1:], 1, "compiled")
    assert np.array_equal(alone[0], expected[-1])


def test_shipped_model_agrees_between_kernels_and_frequencies_are_sound(shipped: Model) -> None:
    tokens = random_tokens(shipped, 2, 150)  # over more than one slice of the attention cache
    frequencies = evaluate(shipped, tokens, 150, "blas")
    for kernel in ("compiled", "plain"):
        assert np.array_equal(frequencies, evaluate(shipped, tokens, 1, kernel))
    steps = np.diff(frequencies, axis=-1)
    assert steps.min() >= 1
    assert frequencies[..., 0].max() == 0
    assert 2**24 - 2 * shipped.tokenizer.size <= frequencies[..., -1].min() <= frequencies[..., -1].max() <= 2**24


def test_golden_frequencies_of_the_tiny_model(tiny: Model) -> None:
    frequencies = evaluate(tiny, random_tokens(tiny, 2, 100, 9), 10, None)
    assert hashlib.sha256(frequencies.astype("<i4").tobytes()).hexdigest() == GOLDEN_FREQUENCIES


def test_encoder_kernels_agree(tiny: Model) -> None:
    tokens = random_tokens(tiny, 1, 64, 5)[0]
    first = tiny.encode_side(tokens)
    state = tiny.encoder.new_state(1, 64)
    none = np.zeros(tiny.config.encoder.width, np.int32)
    states = tiny.encoder.states(tokens[None], tiny.embeddings["encoder"], none, state, "compiled")
    sums = tiny.tensors["down_weight"].astype(np.int64) @ states[-1].astype(np.int64)
    numbers = (sums * tiny.tensors["down_multiplier"] + 2**23) >> 24
    assert np.array_equal(first, np.clip(numbers, -127, 127))


@pytest.mark.parametrize("kernel", [None, "plain"])
def test_a_helper_on_a_second_core_changes_nothing(tiny: Model, kernel: str | None) -> None:
    tokens = random_tokens(tiny, 2, 90, 6)
    expected = evaluate(tiny, tokens, 90, "blas")
    with tiny.predictor(2, 1, None, kernel, helped=True) as predictor:
        assert predictor._helper is not None
        control = predictor._helper.control
        for step in range(tokens.shape[1]):
            if step == 10:  # from here on the helper surely takes part
                deadline = time.monotonic() + 60
                while not control[READY] and time.monotonic() < deadline:
                    time.sleep(0.001)
                assert control[READY]
            if step == 50:  # as if its core had been taken away for long
                control[LATE] = 1 << 40
            assert np.array_equal(predictor(np.ascontiguousarray(tokens[:, step : step + 1])), expected[:, step])
        assert control[SECOND_MEETING] == control[FIRST_MEETING] > 0
