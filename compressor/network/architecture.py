"""The network's shape and its fixed-point arithmetic, shared by the trainer (torch) and the run time (integers).

Everything in this module decides the probabilities, so it belongs to the format: a change needs a new model file.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

INT8_MAX = 127
ACTIVATION_STEPS_PER_RMS = 16
"""An RMS-normalised activation enters a matrix product as ``round(16 x)``, clipped to int8."""
GATE_STEPS_PER_RMS = 8
"""The same for heavy-tailed inputs: gate products and squared ReLU."""
RESIDUAL_BITS = 12
"""Fraction bits of the residual stream (int32)."""
HIDDEN_BITS = 10
"""Fraction bits of values between products, and of logits and attention scores (nats)."""
HIDDEN_MAX = 32767
"""Hidden values are clipped to +-32767 / 1024."""
MULTIPLIER_BITS = 24
"""Fraction bits of the factors that turn a product's integer sum into a fixed-point value."""
EMBEDDING_MULTIPLIER_BITS = 16
"""The same for rows of embeddings."""
SIDE_STEPS_PER_UNIT = 8
"""A stored number z is ``round(8 z)``, clipped to int8: rounding error is within +-2^-4."""


MAX_WEIGHT_BITS = 6
"""Weights take six bits in memory."""
MAX_HASHED_WEIGHT_BITS = 4
"""Two weights of a hashed embedding share a byte."""
CHANNEL_TILE = 32
"""Channels come in multiples of this."""


def check_range(value: object, low: int, high: int) -> None:
    """Raise ValueError unless ``value`` is an integer from ``low`` to ``high``."""
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"a number of the configuration is not within {low} to {high}")


@dataclass(frozen=True)
class StackConfig:
    """One stack of residual layers.

    Attributes:
        width: channels of the residual stream; a multiple of ``heads``.
        layers: one letter a layer, ``c`` a gated short convolution, ``a`` causal attention; each with an MLP behind.
        hidden: channels of the squared-ReLU MLP.
        heads: attention heads.
        kernel: taps of the short convolution.
        window: tokens that attention sees, the present one among them.
    """

    width: int
    layers: str
    hidden: int
    heads: int
    kernel: int = 4
    window: int = 512

    @property
    def head_width(self) -> int:
        return self.width // self.heads

    def check(self) -> None:
        """Raise ValueError where a number is not within what the run time's integers are made for."""
        for value, low, high in (
            (self.width, CHANNEL_TILE, 4096),
            (self.hidden, CHANNEL_TILE, 8192),
            (self.heads, 1, self.width),
            (self.kernel, 1, 8),
            (self.window, 1, 4096),
        ):
            check_range(value, low, high)
        if not isinstance(self.layers, str) or not 1 <= len(self.layers) <= 64 or set(self.layers) - set("ca"):
            raise ValueError("layers make no sense")
        if self.width % CHANNEL_TILE or self.hidden % CHANNEL_TILE or self.width % self.heads:
            raise ValueError("a width does not fit")
        if self.head_width % 4 or self.head_width > 112:
            raise ValueError("the heads' width does not fit")

    def slope(self, head: int) -> float:
        """Attention bias of a head in nats per token of distance (ALiBi, arXiv 2108.12409); the first has none, nor
        those from the sixth on, whose bias would be less than the fixed point's step."""
        return 2.0 ** -(2 * head + 1) if 0 < head < 5 else 0.0


@dataclass(frozen=True)
class ModelConfig:
    """An encoder-augmented causal decoder (arXiv 2511.10618).

    The encoder's last position goes through ``down`` to ``side_numbers`` numbers; quantised, they go through ``up``
    and are added to every token embedding of the decoder. Two more embeddings, of the last two and of the last three
    tokens hashed (arXiv 2501.16975), know frequent pairs and triples by heart.
    """

    vocabulary: int
    decoder: StackConfig
    encoder: StackConfig
    side_numbers: int = 64
    bigram_bits: int = 0
    """Logarithm of the rows of the decoder's hashed bigram embedding; 0 for none."""
    bigram_width: int = 0
    """Channels that the bigram embedding adds to, the first ones; 0 for all."""
    weight_bits: int = 6
    """Bits of every weight but the hashed embeddings': integers of at most ``2^(bits - 1) - 1``."""
    bigram_weight_bits: int = 4
    """Bits of the weights of both hashed embeddings."""
    trigram_bits: int = 0
    """As ``bigram_bits``, for the last three tokens."""
    trigram_width: int = 0

    @property
    def bigram_columns(self) -> int:
        return self.bigram_width or self.decoder.width

    @property
    def bigram_rows(self) -> int:
        return 1 << self.bigram_bits if self.bigram_bits else 0

    @property
    def trigram_columns(self) -> int:
        return self.trigram_width or self.decoder.width

    @property
    def trigram_rows(self) -> int:
        return 1 << self.trigram_bits if self.trigram_bits else 0

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelConfig:
        """Read what :meth:`to_json` gave.

        Raises:
            ValueError, TypeError: it is no configuration, or one that no model can have.
        """
        fields = json.loads(text)
        if not isinstance(fields, dict):
            raise ValueError("the configuration is no table")
        decoder, encoder = StackConfig(**fields.pop("decoder")), StackConfig(**fields.pop("encoder"))
        config = cls(decoder=decoder, encoder=encoder, **fields)
        config.check()
        return config

    def check(self) -> None:
        """Raise ValueError where a number is not within what the run time's integers are made for."""
        for stack in (self.decoder, self.encoder):
            stack.check()
        for value, low, high in (
            (self.vocabulary, 256, 32767),
            (self.side_numbers, 1, 1024),
            (self.bigram_bits, 0, 24),
            (self.trigram_bits, 0, 24),
            (self.bigram_width, 0, self.decoder.width),
            (self.trigram_width, 0, self.decoder.width),
            (self.weight_bits, 2, MAX_WEIGHT_BITS),
            (self.bigram_weight_bits, 2, MAX_HASHED_WEIGHT_BITS),
        ):
            check_range(value, low, high)
        if self.bigram_width % 2 or self.trigram_width % 2:
            raise ValueError("a hashed embedding has an odd width")


def largest_weight(bits: int) -> int:
    """The largest integer of a weight of so many bits."""
    return (1 << (bits - 1)) - 1


NGRAM_FACTORS = (40503, 2654435761, 3266489917)
"""Factors of the last token, of the one before and of the one before that in the hash of a pair or triple."""
NGRAM_SPREAD = 2246822519
"""Row of a pair or triple in its embedding: the top ``bigram_bits`` or ``trigram_bits`` of 32, of
``(sum of token * factor) mod 2^32 * NGRAM_SPREAD mod 2^32``. What stands before the first token is token 0."""

DEFAULT_CONFIG = ModelConfig(
    vocabulary=8192,
    decoder=StackConfig(width=512, layers="cccaccca", hidden=2048, heads=8, window=1024),
    encoder=StackConfig(width=128, layers="cac", hidden=384, heads=2),
    bigram_bits=16,
    bigram_width=256,
    weight_bits=6,
    bigram_weight_bits=4,
    trigram_bits=17,
    trigram_width=160,
)
