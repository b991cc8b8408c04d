"""The encoder-augmented decoder in torch, with the run time's quantisation in the forward pass.

Every matrix is seen through its rounding, to six bits as a rule (one scale per output channel), and every input of a
matrix product through its own, with straight-through gradients; the integer network of ``llmzip.core`` computes the
same values up to rounding. RMSNorm has no gain: the matrix after it learns one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, flex_attention

from llmzip.models.devices import HEAD_ROWS_ON_CPU, head_rows
from llmzip.models.objectives import CROSS_ENTROPY, token_weights
from llmzip.network.architecture import (
    ACTIVATION_STEPS_PER_RMS,
    GATE_STEPS_PER_RMS,
    HIDDEN_BITS,
    HIDDEN_MAX,
    INT8_MAX,
    NGRAM_FACTORS,
    NGRAM_SPREAD,
    SIDE_STEPS_PER_UNIT,
    ModelConfig,
    StackConfig,
    largest_weight,
)

HIDDEN_LIMIT = HIDDEN_MAX / 2**HIDDEN_BITS


def round_straight_through(x: Tensor, steps_per_unit: float) -> Tensor:
    """Round to int8 multiples of ``1 / steps_per_unit``; the gradient passes where nothing is clipped."""
    limit = INT8_MAX / steps_per_unit
    clipped = x.clamp(-limit, limit)
    return clipped + ((clipped * steps_per_unit).round() / steps_per_unit - clipped).detach()


def rms_normalise(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


def quantised_weight(weight: Tensor, bits: int = 8) -> Tensor:
    """``weight`` ``[out, in]`` rounded to integers of ``bits`` bits with a scale per row."""
    scale = weight.detach().abs().amax(-1, keepdim=True).clamp_min(1e-8) / largest_weight(bits)
    return weight + ((weight / scale).round() * scale - weight).detach()


def ngram_rows(tokens: Tensor, order: int, row_bits: int) -> Tensor:
    """Row of every position of ``tokens`` int64 ``[batch, length]`` in the embedding of its last ``order`` tokens."""
    mask = 0xFFFFFFFF
    length = tokens.shape[1]
    earlier = (F.pad(tokens, (i, 0))[:, :length] for i in range(order))
    total = sum(part * factor for part, factor in zip(earlier, NGRAM_FACTORS, strict=False))
    hashed = cast(Tensor, total) & mask
    return ((hashed * NGRAM_SPREAD) & mask) >> (32 - row_bits)


def sum_of_embeddings(config: ModelConfig, tokens: Tensor, single: Tensor, pairs: Tensor, triples: Tensor) -> Tensor:
    """The decoder's input ``[batch, length, width]``, rounded: tokens int64 ``[batch, length]`` and the hashed rows of
    those that have tables."""
    x = F.embedding(tokens, quantised_weight(single, config.weight_bits))
    for order, row_bits, table in ((2, config.bigram_bits, pairs), (3, config.trigram_bits, triples)):
        if row_bits:
            rows = quantised_weight(F.embedding(ngram_rows(tokens, order, row_bits), table), config.bigram_weight_bits)
            x = x + F.pad(rows, (0, config.decoder.width - table.shape[1]))
    return x


_compiled_embedding = torch.compile(sum_of_embeddings, dynamic=False)


class QuantisedLinear(nn.Module):
    """A matrix product of int8 activations and weights of ``bits`` bits: ``[..., in] -> [..., out]``."""

    def __init__(self, inputs: int, outputs: int, bits: int, zero: bool = False) -> None:
        super().__init__()
        self.bits = bits
        weight = torch.zeros(outputs, inputs) if zero else torch.randn(outputs, inputs) / math.sqrt(inputs)
        self.weight = nn.Parameter(weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, quantised_weight(self.weight, self.bits))


class GatedConvolution(nn.Module):
    """Gated short convolution (as in LFM2): ``out(norm(c * conv(b * u)))`` with ``b, c, u`` from one projection."""

    def __init__(self, config: StackConfig, bits: int) -> None:
        super().__init__()
        self.taps = nn.Parameter(torch.randn(config.kernel, config.width) / math.sqrt(config.kernel))
        self.project = QuantisedLinear(config.width, 3 * config.width, bits)
        self.out = QuantisedLinear(config.width, config.width, bits, zero=True)

    def forward(self, x: Tensor) -> Tensor:
        b, c, u = self.project(x).clamp(-HIDDEN_LIMIT, HIDDEN_LIMIT).float().chunk(3, -1)
        product = (b * u).clamp(-HIDDEN_LIMIT, HIDDEN_LIMIT)
        taps = self.taps.shape[0]
        padded = F.pad(product, (0, 0, taps - 1, 0))
        length = product.shape[1]
        mixed = sum(padded[:, i : i + length] * self.taps[i] for i in range(taps))
        return self.out(round_straight_through(rms_normalise(c * mixed), GATE_STEPS_PER_RMS))


class Attention(nn.Module):
    """Causal windowed attention with normalised queries and keys and linear distance biases; no rotary positions."""

    slopes: Tensor

    def __init__(self, config: StackConfig, bits: int) -> None:
        super().__init__()
        self.config = config
        self.project = QuantisedLinear(config.width, 3 * config.width, bits)
        self.temperature = nn.Parameter(torch.full((config.heads,), 1 / math.sqrt(config.head_width)))
        self.out = QuantisedLinear(config.width, config.width, bits, zero=True)
        self.register_buffer("slopes", torch.tensor([config.slope(h) for h in range(config.heads)]), persistent=False)
        self.blocks: BlockMask | None = None

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        heads = self.config.heads
        q, k, v = (part.view(batch, length, heads, -1).transpose(1, 2) for part in self.project(x).float().chunk(3, -1))
        q = round_straight_through(rms_normalise(q), ACTIVATION_STEPS_PER_RMS)
        k = round_straight_through(rms_normalise(k), ACTIVATION_STEPS_PER_RMS)
        v = round_straight_through(v, ACTIVATION_STEPS_PER_RMS)
        q = q * self.temperature[:, None, None]
        low = torch.bfloat16 if torch.is_autocast_enabled(x.device.type) else torch.float32
        q, k, v = q.to(low), k.to(low), v.to(low)
        if self.training and self.blocks is not None:
            mixed = attention_in_blocks(q, k, v, self.slopes, self.blocks)
        else:
            mixed = attention_with_bias(q, k, v, self.slopes, self.config.window)
        mixed = mixed.float().transpose(1, 2).reshape(batch, length, width)
        return self.out(round_straight_through(rms_normalise(mixed), ACTIVATION_STEPS_PER_RMS))


def attention_with_bias(q: Tensor, k: Tensor, v: Tensor, slopes: Tensor, window: int) -> Tensor:
    """Attention of ``[batch, heads, length, head width]`` by the fused kernel, with distances in a mask."""
    position = torch.arange(q.shape[2], device=q.device)
    distance = position[:, None] - position[None, :]
    visible = (distance >= 0) & (distance < window)
    bias = torch.where(visible, -slopes[:, None, None] * distance, float("-inf"))[None]  # 4-D: the fused kernel
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype), scale=1.0)


def attention_in_blocks(q: Tensor, k: Tensor, v: Tensor, slopes: Tensor, blocks: BlockMask) -> Tensor:
    """The same by FlexAttention, which leaves out blocks that nothing is seen of and has no mask in memory."""

    def nearer(score: Tensor, _batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return score - slopes[head] * (query - key)

    return cast(Tensor, flex_attention(q, k, v, score_mod=nearer, block_mask=blocks, scale=1.0))


def window_blocks(length: int, window: int, device: torch.device) -> BlockMask:
    """Which of ``length`` positions see which, for :func:`attention_in_blocks`."""

    def visible(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (query >= key) & (query - key < window)

    return create_block_mask(visible, None, None, length, length, device=device)


class SquaredReluMlp(nn.Module):
    """``out(norm(relu(up x)^2))`` (squared ReLU: arXiv 2109.08668; norm before ``out``: arXiv 2504.12285)."""

    def __init__(self, config: StackConfig, bits: int) -> None:
        super().__init__()
        self.up = QuantisedLinear(config.width, config.hidden, bits)
        self.out = QuantisedLinear(config.hidden, config.width, bits, zero=True)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.up(x).float().clamp(0, HIDDEN_LIMIT).square()
        return self.out(round_straight_through(rms_normalise(hidden), GATE_STEPS_PER_RMS))


class Stack(nn.Module):
    """Residual layers over ``[batch, length, width]``; returns the normalised, quantised last hidden states."""

    def __init__(self, config: StackConfig, bits: int) -> None:
        super().__init__()
        self.config = config
        self.mixers = nn.ModuleList(
            GatedConvolution(config, bits) if kind == "c" else Attention(config, bits) for kind in config.layers
        )
        self.mlps = nn.ModuleList(SquaredReluMlp(config, bits) for _ in config.layers)
        self._compiled_layer: Callable[[nn.Module, nn.Module, Tensor], Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        layer = self._compiled_layer if self.training and self._compiled_layer else residual_layer
        for mixer, mlp in zip(self.mixers, self.mlps, strict=True):
            x = layer(mixer, mlp, x)
        return quantised_states(x)

    def compile_for(self, length: int) -> None:
        """Compile what a layer computes, once for each kind, for training on sequences of ``length``."""
        self._compiled_layer = torch.compile(residual_layer, dynamic=False)
        for mixer in self.mixers:
            if isinstance(mixer, Attention) and mixer.slopes.is_cuda:
                mixer.blocks = window_blocks(length, self.config.window, mixer.slopes.device)


def quantised_states(x: Tensor) -> Tensor:
    return round_straight_through(rms_normalise(x), ACTIVATION_STEPS_PER_RMS)


def residual_layer(mixer: nn.Module, mlp: nn.Module, x: Tensor) -> Tensor:
    x = x + mixer(quantised_states(x))
    return cast(Tensor, x + mlp(quantised_states(x)))


class SideInformationPrior(nn.Module):
    """A logistic distribution for each stored number, discretised to its steps: the factorised prior of learned
    compression (arXiv 1802.01436), with two parameters a number."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(numbers))
        self.log_scale = nn.Parameter(torch.zeros(numbers))

    def bits(self, z: Tensor) -> Tensor:
        """Bits for ``z`` ``[..., numbers]`` in units of 1 (not steps); returns ``[...]``."""
        half_step = 0.5 / SIDE_STEPS_PER_UNIT
        centred, scale = z - self.mean, self.log_scale.exp()
        probability = torch.sigmoid((centred + half_step) / scale) - torch.sigmoid((centred - half_step) / scale)
        return -torch.log2(probability.clamp_min(1e-9)).sum(-1)


def _head_losses_and_gradients(
    states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, estimates: Tensor | None, objective: str
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    logits = F.linear(states, weight).float() + bias
    log_total = logits.logsumexp(-1)
    losses = log_total - logits.gather(1, targets[:, None]).squeeze(1)
    hits = torch.arange(logits.shape[1], device=logits.device) == targets[:, None]
    probabilities = (logits - log_total[:, None]).exp()
    slope = probabilities - hits.float()
    if objective != CROSS_ENTROPY:
        entropies = log_total - (probabilities * logits).sum(-1)
        slope = slope * token_weights(objective, losses, entropies, estimates, logits.shape[1])[:, None]
    low = slope.to(states.dtype)
    return losses, low @ weight, low.t() @ states, slope.sum(0)


_compiled_losses_and_gradients = torch.compile(_head_losses_and_gradients, dynamic=False)


class HeadCrossEntropy(torch.autograd.Function):
    """Cross-entropy through the head in chunks of ``rows``, so that a batch's logits never exist at once.

    Gradients are computed with the losses and assume that every token's loss has the same weight in the total; the
    objective's own weights are in the gradients, the losses returned are plain.
    """

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, rows: int, compiled: bool,
        estimates: Tensor | None, objective: str,
    ) -> Tensor:  # fmt: skip
        chunk = _compiled_losses_and_gradients if compiled else _head_losses_and_gradients
        places = [slice(i, i + rows) for i in range(0, len(targets), rows)]
        parts = [
            chunk(states[i], weight, bias, targets[i], None if estimates is None else estimates[i], objective)
            for i in places
        ]
        losses, d_states, d_weights, d_biases = zip(*parts, strict=True)
        d_weight = torch.zeros(weight.shape, device=weight.device)
        for part in d_weights:
            d_weight += part
        ctx.save_for_backward(torch.cat(d_states), d_weight, torch.stack(d_biases).sum(0))
        return torch.cat(losses)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        d_states, d_weight, d_bias = ctx.saved_tensors
        slope = slopes[0][0]
        return d_states * slope.to(d_states.dtype), d_weight * slope, d_bias * slope, *(None,) * 5


class EncoderAugmentedDecoder(nn.Module):
    """The whole model. ``unigram_log_frequencies`` ``[V]`` start the output bias (arXiv 2212.09686)."""

    def __init__(self, config: ModelConfig, unigram_log_frequencies: Tensor | None = None) -> None:
        super().__init__()
        self.config = config
        self.objective = CROSS_ENTROPY
        self._compiled = False
        self._head_rows = HEAD_ROWS_ON_CPU
        bits = config.weight_bits
        self.embedding = nn.Parameter(torch.randn(config.vocabulary, config.decoder.width))
        self.bigram_embedding = nn.Parameter(torch.zeros(config.bigram_rows, config.bigram_columns))
        self.trigram_embedding = nn.Parameter(torch.zeros(config.trigram_rows, config.trigram_columns))
        self.decoder = Stack(config.decoder, bits)
        self.head = QuantisedLinear(config.decoder.width, config.vocabulary, bits, zero=True)
        bias = torch.zeros(config.vocabulary) if unigram_log_frequencies is None else unigram_log_frequencies
        self.output_bias = nn.Parameter(bias.clone().float())
        self.encoder_embedding = nn.Parameter(torch.randn(config.vocabulary, config.encoder.width))
        self.encoder = Stack(config.encoder, bits)
        self.down = QuantisedLinear(config.encoder.width, config.side_numbers, bits)
        self.up = QuantisedLinear(config.side_numbers, config.decoder.width, bits, zero=True)
        self.prior = SideInformationPrior(config.side_numbers)

    def compile_for(self, length: int) -> None:
        """Compile embeddings, layers and head one by one, for training on sequences of ``length`` on the parameters'
        device. Evaluation, which comes in other shapes, stays as it is."""
        self._compiled = True
        self._head_rows = head_rows(self.output_bias.device, self.config.vocabulary)
        self.decoder.compile_for(length)
        self.encoder.compile_for(min(length, self.config.encoder.window))

    def encode(self, tokens: Tensor) -> Tensor:
        """Read the first window of ``tokens`` ``[batch, length]``; return unrounded ``[batch, side_numbers]``."""
        tokens = tokens[:, : self.config.encoder.window]
        embedding = quantised_weight(self.encoder_embedding, self.config.weight_bits)
        states = self.encoder(F.embedding(tokens, embedding))
        limit = INT8_MAX / SIDE_STEPS_PER_UNIT
        return self.down(states[:, -1]).float().clamp(-limit, limit)

    def hidden_states(self, tokens: Tensor, side: Tensor | None = None) -> Tensor:
        """Decoder states ``[batch, length, width]`` before the head; ``side`` is ``[batch, side_numbers]``."""
        embedded = _compiled_embedding if self._compiled and self.training else sum_of_embeddings
        x = embedded(self.config, tokens, self.embedding, self.bigram_embedding, self.trigram_embedding)
        if side is not None:
            x = x + self.up(side).float()[:, None]
        return self.decoder(x)

    def logits(self, states: Tensor) -> Tensor:
        return self.head(states).float() + self.output_bias

    def forward(
        self, tokens: Tensor, targets: Tensor, with_side: int = 0, estimates: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Cross-entropy of ``targets`` ``[batch, length]`` in nats, and bits of side information ``[with_side]``.

        The first ``with_side`` sequences get side information from the encoder, which reads their targets; uniform
        noise of one step stands in for rounding. The others see none. ``estimates`` ``[batch, length]`` are the tokens'
        entropies in nats, for objectives that need them (:mod:`llmzip.models.objectives`).
        """
        side_bits = torch.zeros(0, device=tokens.device)
        side = None
        if with_side:
            numbers = self.encode(targets[:with_side])
            noisy = numbers + (torch.rand_like(numbers) - 0.5) / SIDE_STEPS_PER_UNIT
            side_bits = self.prior.bits(noisy)
            side = F.pad(noisy, (0, 0, 0, tokens.shape[0] - with_side))
        states = self.hidden_states(tokens, side).flatten(0, 1)
        flat = None if estimates is None else estimates.flatten()
        return self._losses(states, targets.flatten(), flat).view(targets.shape), side_bits

    def _losses(self, states: Tensor, targets: Tensor, estimates: Tensor | None) -> Tensor:
        if not torch.is_grad_enabled():
            return F.cross_entropy(self.logits(states), targets, reduction="none")
        device = states.device.type
        low = torch.bfloat16 if torch.is_autocast_enabled(device) else torch.float32
        weight = quantised_weight(self.head.weight, self.config.weight_bits)
        with torch.autocast(device, enabled=False):
            return HeadCrossEntropy.apply(
                states.to(low), weight.to(low), self.output_bias, targets, self._head_rows, self._compiled, estimates,
                self.objective,
            )  # fmt: skip
