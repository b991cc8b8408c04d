"""The network in the core against its reference; kernels, threads, lanes and calls of any length against each other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from llmzip.core import _native
from llmzip.errors import LlmzError
from llmzip.mixing.logistic import stored_arrays
from llmzip.mixing.mixed import MixedCoder, new_learned_state
from llmzip.network.model import Model, begins_after_line, inputs_of, network_code_lengths
from tests.conftest import TINY_PATH
from tests.reference.network import Lane, Network, side_numbers

WINDOW_OVERFLOW = 700
"""More tokens than the tiny model's attention cache holds."""
_KERNEL_RUN = """
import hashlib, sys
import numpy as np
from llmzip.core import _native
from llmzip.errors import LlmzError
from llmzip.mixing.mixed import MixedCoder, new_learned_state
from llmzip.network.model import load_model
model = load_model(sys.argv[1])
tokens = np.random.default_rng(3).integers(0, model.config.vocabulary, (5, 90)).astype(np.int32)
digest = hashlib.sha256()
for lanes, steps in ((5, 90), (5, 1), (1, 1), (2, 17)):
    predictor = model.predictor(lanes, steps, None)
    for start in range(0, 90 - steps + 1, steps):
        digest.update(predictor(np.ascontiguousarray(tokens[:lanes, start : start + steps])).tobytes())
print(_native.kernel_in_use(), digest.hexdigest())
"""


def random_tokens(model: Model, lanes: int, steps: int, seed: int = 0) -> NDArray[np.int32]:
    return np.random.default_rng(seed).integers(0, model.config.vocabulary, (lanes, steps)).astype(np.int32)


def evaluate(
    model: Model, tokens: NDArray[np.int32], call: int, threads: int = 1, side: NDArray[np.int8] | None = None
) -> NDArray[np.int32]:
    """Cumulative frequencies ``[lanes, steps, V + 1]``, at most ``call`` positions a call."""
    lanes, steps = tokens.shape
    predictor = model.predictor(lanes, call, side, threads)
    parts = []
    for start in range(0, steps, call):
        part = np.ascontiguousarray(tokens[:, start : start + call])
        parts.append(predictor(part).reshape(lanes, part.shape[1], -1))
    return np.concatenate(parts, 1)


@pytest.mark.parametrize("with_side", [False, True])
def test_reference(tiny: Model, with_side: bool) -> None:
    """Every frequency, past the point where the oldest positions leave the window."""
    side = np.arange(-3, tiny.config.side_numbers - 3).astype(np.int8) if with_side else None
    tokens = random_tokens(tiny, 1, tiny.config.decoder.window + 40)
    lane = Lane(Network(Path(TINY_PATH).read_bytes()), side)
    expected = np.stack([lane.frequencies(int(token)) for token in tokens[0]])
    np.testing.assert_array_equal(evaluate(tiny, tokens, 13, side=side)[0], expected)


def test_reference_of_the_encoder(tiny: Model) -> None:
    tokens = random_tokens(tiny, 1, 30)[0]
    expected = side_numbers(Path(TINY_PATH).read_bytes(), tokens.tolist())
    np.testing.assert_array_equal(tiny.encode_side(tokens), expected)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("call", [1, 3, 64])
def test_threads_and_calls_do_not_matter(tiny: Model, threads: int, call: int) -> None:
    tokens = random_tokens(tiny, 3, 130)
    np.testing.assert_array_equal(evaluate(tiny, tokens, call, threads), evaluate(tiny, tokens, 130, 1))


def test_lanes_do_not_matter_and_the_cache_may_overflow(tiny: Model) -> None:
    tokens = random_tokens(tiny, 17, WINDOW_OVERFLOW)
    together = evaluate(tiny, tokens, 50, 2)
    for lane in (0, 16):
        np.testing.assert_array_equal(evaluate(tiny, tokens[lane : lane + 1], 1)[0], together[lane])


def test_kernels_agree() -> None:
    results = set()
    for kernel in _native.kernels():
        environment = os.environ | {"LLMZIP_KERNEL": kernel}
        command = [sys.executable, "-c", _KERNEL_RUN, TINY_PATH]
        name, digest = subprocess.run(
            command, env=environment, check=True, capture_output=True, text=True
        ).stdout.split()
        assert name == kernel
        results.add(digest)
    assert len(results) == 1


def test_lanes_go_on_from_another_predictor(tiny: Model) -> None:
    before, after = random_tokens(tiny, 1, 90), random_tokens(tiny, 1, 20, seed=1)
    reader = tiny.predictor(1, 90, None, 1)
    reader(before)
    lanes = tiny.predictor(4, 20, None, 2)
    lanes.start_from(reader)
    found = lanes(np.repeat(after, 4, 0)).reshape(4, 20, -1)
    expected = evaluate(tiny, np.concatenate([before, after], 1), 110)[0, 90:]
    for lane in found:
        np.testing.assert_array_equal(lane, expected)


def test_frequencies_are_those_of_a_coder(tiny: Model) -> None:
    cumulative = evaluate(tiny, random_tokens(tiny, 2, 40), 40)
    assert (cumulative[:, :, 0] == 0).all()
    assert (np.diff(cumulative, axis=2) > 0).all()
    assert (cumulative[:, :, -1] <= 1 << 24).all()


def test_wrong_shapes_and_tokens_are_refused(tiny: Model) -> None:
    predictor = tiny.predictor(2, 4, None)
    for tokens in (
        np.zeros((2, 5)),
        np.zeros((1, 3)),
        np.zeros((2, 0)),
        np.full((2, 1), tiny.config.vocabulary),
        -np.ones((2, 1)),
    ):
        with pytest.raises(ValueError):
            predictor(tokens.astype(np.int32))


def test_the_shipped_model_reads_text(shipped: Model, text: bytes) -> None:
    tokens = shipped.tokenizer.encode(text)[:300]
    bits = network_code_lengths(shipped, tokens[None]).sum()
    assert bits < 3 * int(shipped.tokenizer.token_lengths[tokens].sum())
    assert inputs_of(shipped, tokens[None])[0, 0] == shipped.start_token
    assert isinstance(begins_after_line(shipped, text), bool)


def test_mixers_out_of_range_are_no_model(tiny: Model) -> None:
    arrays = stored_arrays(new_learned_state()._asdict())
    arrays["weights"][0, 0] = -1 << 15
    hostile = Model(tiny.file.with_extras("mixing.0", arrays))
    with pytest.raises(LlmzError, match="not a model file"):
        MixedCoder(hostile, 12)
