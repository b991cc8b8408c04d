"""A model without a network, for tests of what stands after it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmzip.mixing.mixed import LearnedState, new_learned_state
from llmzip.network.tokenizer import Tokenizer

_WORDS = (
    b" the| of| and|the|quick|brown| fox|ing|ed|er| th| in| a|, |. |</|<tag|http://|  |    |\n\n|e |tion|qu|ui".split(
        b"|"
    )
)


def packed_vocabulary() -> bytes:
    tokens = sorted({bytes([byte]) for byte in range(256)} | set(_WORDS))
    return b"".join(bytes([len(token)]) + token for token in tokens)


class BigramModel:
    """Frequencies by the last token alone, from a random table."""

    def __init__(self, seed: int = 0) -> None:
        self.tokenizer = Tokenizer.from_bytes(packed_vocabulary())
        self.start_token = int(self.tokenizer.encode(b"\0")[0])
        random = np.random.default_rng(seed)
        weights = np.floor(random.pareto(0.7, (61, self.tokenizer.size)).clip(0, 20_000)).astype(np.int64) + 1
        self._cumulative = np.zeros((61, self.tokenizer.size + 1), np.int32)
        self._cumulative[:, 1:] = weights.cumsum(1)

    def frequencies(self, token: int) -> NDArray[np.int32]:
        row: NDArray[np.int32] = self._cumulative[token % 61]
        return row

    def primed_mixing(self) -> LearnedState:
        return new_learned_state()

    def predictor(self, lanes: int, longest_call: int, side: Any, threads: int | None = None) -> Any:
        return lambda tokens: self._cumulative[tokens.ravel() % 61]
