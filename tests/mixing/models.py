"""A model without a network, for tests of what stands after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from llmzip.core import _native
from llmzip.mixing.mixed import LearnedState, MixedCoder, new_learned_states
from llmzip.network.adapted_file import Primer
from llmzip.network.model import Model
from llmzip.network.tokenizer import Tokenizer
from llmzip.progress import Progress

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

    def __init__(self, seed: int = 0, primer: Primer | None = None) -> None:
        self.primer = primer
        self.tokenizer = Tokenizer.from_bytes(packed_vocabulary())
        self.start_token = int(self.tokenizer.encode(b"\0")[0])
        random = np.random.default_rng(seed)
        weights = np.floor(random.pareto(0.7, (61, self.tokenizer.size)).clip(0, 20_000)).astype(np.int64) + 1
        self._cumulative = np.zeros((61, self.tokenizer.size + 1), np.int32)
        self._cumulative[:, 1:] = weights.cumsum(1)

    def frequencies(self, token: int) -> NDArray[np.int32]:
        row: NDArray[np.int32] = self._cumulative[token % 61]
        return row


class BigramCoder(MixedCoder):
    """Mixed mode with that model in the network's place."""

    def __init__(self, model: BigramModel, table_bits: int, learned: Sequence[LearnedState] | None = None) -> None:
        super().__init__(cast(Model, model), table_bits, new_learned_states() if learned is None else learned)

    def _run(
        self, size: int, lane_bytes: list[int], side: Any, after_line: bool, progress: Progress,
        tokens: NDArray[np.int32], counts: NDArray[np.uint64],
    ) -> bool:  # fmt: skip
        starts = np.cumsum(counts) - counts
        column = np.full(len(lane_bytes), self._model.start_token, np.int32)
        step = 0
        while _native.mixed_lanes_left(self._core):
            frequencies = np.stack([cast(BigramModel, self._model).frequencies(int(token)) for token in column])
            for lane, (start, count) in enumerate(zip(starts, counts, strict=False)):
                if step < count:
                    column[lane] = tokens[int(start) + step]
            if not _native.mixed_step(self._core, column, frequencies):
                return False
            step += 1
        return True
