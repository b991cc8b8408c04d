"""The architectures of arXiv 2511.10618 behind one configuration, for studies at small scale.

An encoder reads the whole context; its last position becomes a few numbers, which reach the decoder in one of three
ways. Encoder and decoder are causal transformers, masked mixers (arXiv 2409.01482) or, for the decoder, the hybrid of
convolutions and attention that ships.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llmzip.models.network import Stack, rms_normalise
from llmzip.network.architecture import StackConfig

DECODERS = ("transformer", "mixer", "hybrid")
ENCODERS = ("none", "transformer", "mixer")
INJECTIONS = ("token", "concatenation", "combination")
NOISE_PLACES = ("none", "numbers", "residual")
NUMBERS_NOISE = 2.0**-4
"""Half-width of the uniform noise that stands in for rounding the stored numbers."""
RESIDUAL_NOISE = 2.0**-2
"""Half-width of the noise where it enters before ``down`` instead."""


@dataclass(frozen=True)
class PaperConfig:
    """One model of the study.

    Attributes:
        context: tokens of a sequence; masked mixers know no other length.
        kernel: neighbouring channels that a masked mixer's weight from one position to another spreads over.
        side_numbers: numbers that the encoder hands over.
        injection: ``token``: one more position in front; ``concatenation``: beside every embedding, then projected;
            ``combination``: added to every embedding.
        noise: where training adds noise: at the ``numbers`` or in the ``residual`` before ``down``.
        regenerates: the decoder sees nothing but the numbers: with the tokens as targets, an autoencoder.
    """

    vocabulary: int
    context: int = 512
    width: int = 128
    layers: int = 4
    heads: int = 4
    decoder: str = "transformer"
    encoder: str = "none"
    encoder_width: int = 64
    encoder_layers: int = 2
    encoder_heads: int = 1
    kernel: int = 1
    side_numbers: int = 64
    injection: str = "combination"
    noise: str = "numbers"
    regenerates: bool = False

    def __post_init__(self) -> None:
        for name, choices in (
            ("decoder", DECODERS), ("encoder", ENCODERS), ("injection", INJECTIONS), ("noise", NOISE_PLACES)
        ):  # fmt: skip
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}")

    @property
    def decoder_context(self) -> int:
        return self.context + (self.encoder != "none" and self.injection == "token")


class MaskedMixing(nn.Module):
    """A causal ``T x T`` convolution over positions: ``out[t] = sum over s <= t of W[t, s] x[s]``, by head.

    With several heads, channels are projected before and after; with a ``kernel`` above 1, each weight is one tap of a
    convolution over channels.
    """

    def __init__(self, context: int, width: int, heads: int, kernel: int) -> None:
        super().__init__()
        self.heads, self.kernel = heads, kernel
        self.weight = nn.Parameter(torch.randn(heads, kernel, context, context) / math.sqrt(context * kernel))
        self.project = nn.Linear(width, width, bias=False) if heads > 1 else nn.Identity()
        self.out = nn.Linear(width, width, bias=False) if heads > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        values = self.project(x).view(batch, length, self.heads, -1)
        weight = self.weight[:, :, :length, :length].tril()
        reach = self.kernel // 2
        padded = F.pad(values, (reach, self.kernel - 1 - reach))
        channels = width // self.heads
        parts = (
            torch.einsum("hts,bshc->bthc", weight[:, tap], padded[..., tap : tap + channels])
            for tap in range(self.kernel)
        )
        mixed = sum(parts, torch.zeros_like(values))
        return self.out(mixed.reshape(batch, length, width))


class CausalAttention(nn.Module):
    """Causal attention over all positions before, as plain as it gets."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (p.view(batch, length, self.heads, -1).transpose(1, 2) for p in self.project(x).chunk(3, -1))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class ResidualStack(nn.Module):
    """Residual layers of attention or masked mixing over ``[batch, length, width]``; returns normalised states."""

    def __init__(self, kind: str, context: int, width: int, layers: int, heads: int, kernel: int) -> None:
        super().__init__()
        self.positions = nn.Parameter(0.1 * torch.randn(context, width))
        self.mixers = nn.ModuleList(
            MaskedMixing(context, width, heads, kernel) if kind == "mixer" else CausalAttention(width, heads)
            for _ in range(layers)
        )
        self.mlps = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)) for _ in range(layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.positions[: x.shape[1]]
        for mixer, mlp in zip(self.mixers, self.mlps, strict=True):
            x = x + mixer(rms_normalise(x))
            x = x + mlp(rms_normalise(x))
        return rms_normalise(x)


def make_stack(kind: str, context: int, width: int, layers: int, heads: int, kernel: int) -> nn.Module:
    """Layers of one of ``DECODERS``; the hybrid is what ships, 8-bit weights and all."""
    if kind != "hybrid":
        return ResidualStack(kind, context, width, layers, heads, kernel)
    return Stack(StackConfig(width, ("ccca" * layers)[:layers], 4 * width, heads, window=context), bits=8)


class PaperModel(nn.Module):
    """A causal decoder, with an encoder's numbers where the configuration has one."""

    def __init__(self, config: PaperConfig, unigram_log_frequencies: Tensor | None = None) -> None:
        super().__init__()
        self.config = config
        width = config.width
        self.embedding = nn.Parameter(torch.randn(config.vocabulary, width))
        self.decoder = make_stack(
            config.decoder, config.decoder_context, width, config.layers, config.heads, config.kernel
        )
        self.head = nn.Linear(width, config.vocabulary)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        if unigram_log_frequencies is not None:
            self.head.bias.data.copy_(unigram_log_frequencies)
        if config.encoder == "none":
            return
        self.encoder_embedding = nn.Parameter(torch.randn(config.vocabulary, config.encoder_width))
        self.encoder = make_stack(
            config.encoder, config.context, config.encoder_width, config.encoder_layers, config.encoder_heads,
            config.kernel,
        )  # fmt: skip
        self.down = nn.Linear(config.encoder_width, config.side_numbers, bias=False)
        joined = config.injection == "concatenation"
        self.up = nn.Linear(config.side_numbers, width, bias=False)
        self.join = nn.Linear(2 * width, width, bias=False) if joined else nn.Identity()

    def encode(self, tokens: Tensor) -> Tensor:
        """Read ``tokens`` ``[batch, context]``; return unrounded ``[batch, side_numbers]``."""
        last = self.encoder(F.embedding(tokens, self.encoder_embedding))[:, -1]
        if self.training and self.config.noise == "residual":
            last = last + (2 * torch.rand_like(last) - 1) * RESIDUAL_NOISE
        numbers = self.down(last)
        if self.training and self.config.noise == "numbers":
            numbers = numbers + (2 * torch.rand_like(numbers) - 1) * NUMBERS_NOISE
        return numbers

    def hidden_states(self, tokens: Tensor, side: Tensor | None = None) -> Tensor:
        """Decoder states ``[batch, length, width]`` before the head; ``side`` is ``[batch, side_numbers]``."""
        x = F.embedding(tokens, self.embedding)
        if self.config.regenerates:
            x = torch.zeros_like(x)
        if self.config.encoder == "none":
            return self.decoder(x)
        numbers = x.new_zeros(len(x), self.config.side_numbers) if side is None else side
        lifted = self.up(numbers)[:, None]
        if self.config.injection == "token":
            return self.decoder(torch.cat([lifted, x], 1))[:, 1:]
        if self.config.injection == "concatenation":
            return self.decoder(self.join(torch.cat([x, lifted.expand_as(x)], -1)))
        return self.decoder(x + lifted)

    def logits(self, states: Tensor) -> Tensor:
        return self.head(states)

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Cross-entropy in nats ``[batch, length]`` of ``targets``, which the encoder, if any, reads first."""
        side = None if self.config.encoder == "none" else self.encode(targets)
        logits = self.logits(self.hidden_states(tokens, side))
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)

    def training_flops_per_token(self) -> float:
        """Operations of forward and backward passes by token: six for every weight that a token meets, and what
        attention computes between positions."""
        config = self.config
        flops = 0.0
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2 and not name.endswith(("embedding", "positions")):
                once = name in ("down.weight", "up.weight")
                flops += 6.0 * parameter.numel() / (config.context if once else 1)
            elif parameter.ndim == 4:
                flops += 6.0 * parameter.numel() / 2 / config.context * self._mixed_channels(name)
        for kind, layers, width in (
            (config.decoder, config.layers, config.width), (config.encoder, config.encoder_layers, config.encoder_width)
        ):  # fmt: skip
            attentions = {"transformer": layers, "hybrid": layers // 4}.get(kind, 0)
            flops += 6.0 * attentions * width * config.context
        return flops

    def _mixed_channels(self, name: str) -> int:
        encoder = name.startswith("encoder")
        width = self.config.encoder_width if encoder else self.config.width
        return width // (self.config.encoder_heads if encoder else self.config.heads)


def round_numbers(numbers: Tensor, largest: Tensor, bits: int) -> Tensor:
    """``numbers`` ``[batch, n]`` rounded to ``bits`` bits each, with one scale a number.

    Args:
        largest: largest magnitude of each number ``[n]``, which becomes the largest step.
    """
    step = largest.clamp_min(1e-8) / ((1 << (bits - 1)) - 0.5)
    highest = (1 << (bits - 1)) - 1
    return (numbers / step).round().clamp(-highest - 1, highest) * step
