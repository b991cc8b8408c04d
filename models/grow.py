"""Grow a smaller trained network into a larger one that computes nearly the same (Net2Net, arXiv 1511.05641).

New layers end in zeros, so they change nothing at first. New channels of the residual stream start at zero and are
read by random weights, so that they learn. New hidden channels, heads and convolution channels are noisy copies of
trained ones whose outputs start at zero; they keep the mean square that the norms behind them divide by. New rows of a
hashed embedding are copies of those that their pairs or triples had.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from llmzip.models.network import EncoderAugmentedDecoder
from llmzip.network.architecture import ModelConfig

COPY_NOISE = 0.5
"""Standard deviation of the noise on a copied row, relative to the row's own."""


def layer_sources(old: str, new: str) -> list[int | None]:
    """For each layer of ``new`` the layer of ``old`` it continues, or None for a new one; kinds must match in order.

    Raises:
        ValueError: ``old`` is no subsequence of ``new``.
    """
    sources: list[int | None] = []
    taken = len(old)
    for kind in reversed(new):  # from the end: a new layer stands before the trained ones of its kind
        if taken and old[taken - 1] == kind:
            taken -= 1
            sources.append(taken)
        else:
            sources.append(None)
    if taken:
        raise ValueError(f"layers {old!r} are no subsequence of {new!r}")
    return sources[::-1]


def _widen_inputs(weight: Tensor, inputs: int, scale: float, random: torch.Generator) -> Tensor:
    """Let ``weight`` ``[out, in]`` read ``inputs`` channels, the old ones scaled, the new ones at random."""
    deviation = weight.std(-1, keepdim=True)
    new = torch.randn(len(weight), inputs - weight.shape[1], generator=random) * deviation
    return torch.cat([weight, new], 1) * scale


def _copy_rows(weight: Tensor, rows: int, random: torch.Generator) -> Tensor:
    """Append noisy copies of rows of ``weight`` until it has ``rows``."""
    chosen = weight[torch.randint(len(weight), (rows - len(weight),), generator=random)]
    noise = torch.randn(chosen.shape, generator=random) * chosen.std(-1, keepdim=True)
    return torch.cat([weight, (chosen + COPY_NOISE * noise) / math.sqrt(1 + COPY_NOISE**2)])


def _pad(weight: Tensor, rows: int, columns: int) -> Tensor:
    out = torch.zeros(rows, columns)
    out[: weight.shape[0], : weight.shape[1]] = weight
    return out


def _split_rows(table: Tensor, rows: int, columns: int) -> Tensor:
    """A hashed table with more rows: a row is the top bits of a hash, so each goes on as several equal ones."""
    if len(table):
        table = table.repeat_interleave(rows // len(table), 0)
    return _pad(table, rows, columns)


def _sizes(config: ModelConfig) -> tuple[int, ...]:
    decoder = config.decoder
    tables = config.bigram_rows, config.bigram_columns, config.trigram_rows, config.trigram_columns
    return config.vocabulary, decoder.width, decoder.hidden, decoder.heads, *tables


def grow(state: dict[str, Tensor], old: ModelConfig, new: ModelConfig, seed: int = 1) -> dict[str, Tensor]:
    """Return a ``state_dict`` of configuration ``new`` that continues ``state`` of configuration ``old``.

    Raises:
        ValueError: the layers of ``old`` are no subsequence of ``new``'s, the encoders differ, or a part would shrink.
    """
    if old.encoder != new.encoder or old.side_numbers != new.side_numbers:
        raise ValueError("its encoder is another, and only the decoder grows")
    if any(before > after for before, after in zip(_sizes(old), _sizes(new), strict=True)):
        raise ValueError("it is larger than the network to be trained")
    random = torch.Generator().manual_seed(seed)
    width, hidden = new.decoder.width, new.decoder.hidden
    scale = math.sqrt(old.decoder.width / width)
    grown = EncoderAugmentedDecoder(new).state_dict()
    for name in grown:
        if name.startswith(("encoder", "down", "prior", "output_bias")):
            grown[name] = state[name]
    grown["embedding"] = _pad(state["embedding"], new.vocabulary, width)
    grown["bigram_embedding"] = _split_rows(state["bigram_embedding"], new.bigram_rows, new.bigram_columns)
    grown["trigram_embedding"] = _split_rows(state["trigram_embedding"], new.trigram_rows, new.trigram_columns)
    grown["up.weight"] = _pad(state["up.weight"], width, new.side_numbers)
    grown["head.weight"] = _widen_inputs(state["head.weight"], width, scale, random)
    for layer, source in enumerate(layer_sources(old.decoder.layers, new.decoder.layers)):
        if source is None:
            continue
        mixer, mlp = f"decoder.mixers.{layer}.", f"decoder.mlps.{layer}."
        old_mixer, old_mlp = f"decoder.mixers.{source}.", f"decoder.mlps.{source}."
        projections = _widen_inputs(state[old_mixer + "project.weight"], width, scale, random).chunk(3)
        grown[mixer + "project.weight"] = torch.cat([_copy_rows(part, width, random) for part in projections])
        grown[mixer + "out.weight"] = _pad(state[old_mixer + "out.weight"], width, width)
        if new.decoder.layers[layer] == "c":
            grown[mixer + "taps"] = _copy_rows(state[old_mixer + "taps"].T, width, random).T.contiguous()
        else:
            heads = new.decoder.heads - old.decoder.heads
            added = torch.full((heads,), 1 / math.sqrt(new.decoder.head_width))
            grown[mixer + "temperature"] = torch.cat([state[old_mixer + "temperature"], added])
        up = _widen_inputs(state[old_mlp + "up.weight"], width, scale, random)
        grown[mlp + "up.weight"] = _copy_rows(up, hidden, random)
        grown[mlp + "out.weight"] = _pad(state[old_mlp + "out.weight"], width, hidden)
    return grown
