"""Entropy of a text token by token, as the model sees it: what each token costs, and how open the choice was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmzip.errors import LlmzError
from llmzip.network.architecture import ACTIVATION_STEPS_PER_RMS
from llmzip.network.model import Model, code_lengths, inputs_of, load_model
from llmzip.progress import Progress, ProgressCallback, told_to

CALL_TOKENS = 256


class TokenEntropies(NamedTuple):
    """Estimates for the ``T`` tokens of a text."""

    offsets: NDArray[np.int64]
    """``[T]``: where each token starts, in bytes."""
    lengths: NDArray[np.int64]
    """``[T]``, bytes."""
    surprisal: NDArray[np.float64]
    """``[T]``, bits: the code length of the token that came. Its mean estimates the cross-entropy."""
    entropy: NDArray[np.float64]
    """``[T]``, bits: the entropy of the distribution from which it came, before it was seen."""
    regression: NDArray[np.float64] | None = None
    """``[T]``, bits: what the second-order model expects of it, from the prefix alone; where it was asked for."""

    def by_line(self, text: bytes) -> NDArray[np.float64]:
        """Bits of every line of ``text``; a token counts for the line in which it starts."""
        starts = np.flatnonzero(np.frombuffer(b"\n" + text, np.uint8) == 10)
        lines = np.searchsorted(starts, self.offsets, side="right") - 1
        count = max(1, starts.size - text.endswith(b"\n"))
        return np.bincount(lines, self.surprisal, count).astype(np.float64)

    def summary(self) -> dict[str, Any]:
        """``bytes``, ``tokens``, ``bits``, ``bits_per_token``, ``bits_per_byte`` and ``predicted_bits_per_token``."""
        tokens, size, bits = self.lengths.size, int(self.lengths.sum()), float(self.surprisal.sum())
        return {
            "bytes": size,
            "tokens": tokens,
            "bits": round(bits, 1),
            "bits_per_token": round(bits / max(1, tokens), 4),
            "bits_per_byte": round(bits / max(1, size), 4),
            "predicted_bits_per_token": round(float(self.entropy.sum()) / max(1, tokens), 4),
        }


def predictions(
    model: Model, tokens: NDArray[np.int32]
) -> Iterator[tuple[slice, NDArray[np.int16], NDArray[np.int32]]]:
    """Yield runs of ``tokens`` ``[T]`` with the states before them, as a predictor has them, and the cumulative
    frequencies ``[run, V + 1]`` that the network gave them."""
    predictor = model.predictor(1, CALL_TOKENS, None)
    inputs = inputs_of(model, tokens[None])
    for start in range(0, tokens.size, CALL_TOKENS):
        part = slice(start, start + CALL_TOKENS)
        cumulative = predictor(np.ascontiguousarray(inputs[:, part]))
        yield part, predictor.last_states(inputs[:, part].size), cumulative


class SecondOrderModel(NamedTuple):
    """Regresses a token's bits from the decoder's state before it: ``out . relu(hidden x + bias) + offset``."""

    hidden: NDArray[np.float32]
    """``[units, width]``."""
    bias: NDArray[np.float32]
    """``[units]``."""
    out: NDArray[np.float32]
    """``[units]``."""
    offset: NDArray[np.float32]
    """``[1]``."""

    def __call__(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bits ``[T]`` from ``states`` ``[T, width]`` in units of 1."""
        bits: NDArray[np.float32] = np.maximum(states @ self.hidden.T + self.bias, 0) @ self.out + self.offset
        return bits

    def of_integers(self, states: NDArray[np.int16]) -> NDArray[np.float32]:
        """Bits ``[T]``, at least 0, from a predictor's states."""
        return np.maximum(self(states.astype(np.float32) / np.float32(ACTIVATION_STEPS_PER_RMS)), 0)


def second_order_model(model: Model) -> SecondOrderModel:
    """The one in ``model``'s file.

    Raises:
        LlmzError: there is none, or it is none of this model.
    """
    arrays = model.file.extras("regression")
    if not arrays:
        raise LlmzError("the model has no second-order model (llmzip.models.regress_entropy adds one)")
    found = SecondOrderModel(**{name: arrays.get(name, np.zeros(0)) for name in SecondOrderModel._fields})
    units, width = found.bias.size, model.config.decoder.width
    shapes = ((units, width), (units,), (units,), (1,))
    if any(array.dtype != np.float32 or array.shape != shape for array, shape in zip(found, shapes, strict=True)):
        raise LlmzError("not a model file of this version: the second-order model does not fit")
    return found


def entropy(
    text: str | bytes, model: Model | str | None = None, progress: ProgressCallback | None = None, regress: bool = False
) -> TokenEntropies:
    """Estimate the entropy of every token of ``text`` (UTF-8 if a str) with a model or a model file's path.

    Args:
        progress: called with the bytes of text done so far and their total.
        regress: ask the second-order model too.

    Raises:
        LlmzError: the model file is not one, or has no second-order model.
    """
    plain = text.encode() if isinstance(text, str) else text
    loaded = model if isinstance(model, Model) else load_model(model)
    return token_entropies(plain, loaded, told_to(progress, len(plain)), regress)


def token_entropies(plain: bytes, loaded: Model, progress: Progress, regress: bool) -> TokenEntropies:
    """As :func:`entropy`, with a model that is loaded."""
    tokens = loaded.tokenizer.encode(plain)
    lengths = loaded.tokenizer.token_lengths[tokens].astype(np.int64)
    surprisal, predicted = np.zeros(tokens.size), np.zeros(tokens.size)
    regression = second_order_model(loaded) if regress else None
    regressed = np.zeros(tokens.size) if regress else None
    for part, states, cumulative in predictions(loaded, tokens):
        if regression is not None and regressed is not None:
            regressed[part] = regression.of_integers(states)
        surprisal[part] = code_lengths(cumulative, tokens[part])
        frequencies = np.diff(cumulative, axis=-1).astype(np.float32)
        total = frequencies.sum(-1, dtype=np.float64)
        predicted[part] = np.log2(total) - (frequencies * np.log2(frequencies)).sum(-1, dtype=np.float64) / total
        progress.advance(int(lengths[part].sum()))
    return TokenEntropies(np.cumsum(lengths) - lengths, lengths, surprisal, predicted, regressed)
