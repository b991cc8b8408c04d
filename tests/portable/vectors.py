"""Write golden vectors for ``restore.c``: ``python -m tests.portable.vectors OUT``.

They hold a model's arrays, frequencies that the plain reference gives, and coded blocks of mixed and context mode.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from llmzip.mixing import context, mixed, wide
from llmzip.mixing.profiles import Profile
from llmzip.network.model import load_model
from llmzip.progress import SILENT
from llmzip.text.charset_tables import tables_of
from tests.conftest import GOLDEN, TINY_PATH
from tests.reference.network import Lane, Network

TABLE_BITS = 12
TAIL_BYTES = 2048
CHARSETS = ("cp1252", "cp932", "euc_jp", "gb18030")
NETWORK_LANES, NETWORK_STEPS = 2, 100
"""More steps than the attention window."""


def vectors() -> dict[str, Any]:
    """Arrays by name."""
    model = load_model(TINY_PATH)
    config = model.config.decoder
    shape = [config.width, config.hidden, config.heads, config.kernel, config.window, model.config.vocabulary]
    out: dict[str, Any] = {
        "shape": np.array(shape, np.uint32),
        "attends": np.array([letter == "a" for letter in config.layers], np.uint8),
        "vocabulary": model.file.read("vocabulary"),
    }
    for name in model.file.entries:
        if name.startswith(("decoder.", "head_", "output_bias")):
            out[name.removeprefix("decoder.")] = model.file.read(name)
    return out | network_vectors() | mixed_vectors() | context_vectors() | wide_vectors() | charset_tables()


def sample_side(numbers: int) -> Any:
    return np.random.default_rng(1).integers(-60, 61, numbers).astype(np.int8)


def network_vectors() -> dict[str, Any]:
    model, network = load_model(TINY_PATH), Network(Path(TINY_PATH).read_bytes())
    side = sample_side(model.config.side_numbers)
    text = model.tokenizer.encode((GOLDEN / "plain.txt").read_bytes())
    tokens = text[: NETWORK_LANES * NETWORK_STEPS].reshape(NETWORK_LANES, NETWORK_STEPS)
    frequencies = []
    for of_lane in tokens:
        lane = Lane(network, side)
        frequencies += [lane.frequencies(int(token)) for token in of_lane]
    return {
        "network/lanes": np.uint32([NETWORK_LANES]),
        "network/side": network.side_vector(side).astype(np.int32),
        "network/tokens": tokens,
        "network/frequencies": np.array(frequencies, np.int32),
    }


def mixed_vectors() -> dict[str, Any]:
    """Blocks one after the other: one lane with side information, four lanes, one that is read after them, other
    profiles, and sixteen lanes, which are read in two groups where there are several threads."""
    model = load_model(TINY_PATH)
    text = (GOLDEN / "plain.txt").read_bytes()
    broken = (GOLDEN / "broken.txt").read_bytes()
    out: dict[str, Any] = {"mixed.table_bits": np.uint32([TABLE_BITS])}
    out |= learned_arrays("mixed", mixed.primed_states(model))
    coder, tail = mixed.MixedCoder(model, TABLE_BITS), b""
    blocks = (
        (text[:900], [900], 0, sample_side(model.config.side_numbers)),
        (text[900:] + broken[:-5], [700, 1, 1200, len(text) + len(broken) - 905 - 1901], 0, None),
        (broken[-5:] + text[:300], [305], 0, None),
        *((text[:500], [200, 300], profile, None) for profile in range(1, len(mixed.SHAPES))),
        (text[:1600], [100] * 16, 0, None),
    )
    for number, (block, lane_bytes, profile, side) in enumerate(blocks):
        read = model.tokenizer.encode(tail)[1:]
        first = np.full(len(lane_bytes), model.line_token, np.int32)
        first[0] = model.start_token
        if read.size:
            first[:] = read[-1]
        payload = coder.encode(block, lane_bytes, profile, side, SILENT)
        assert payload is not None
        fields = {
            "text": block,
            "lane_bytes": np.array(lane_bytes, np.uint64),
            "profile": np.uint32([profile]),
            "side": model.side_vector(side),
            "first": first,
            "read": read[:-1],
            "payload": payload,
        }
        out |= {f"mixed/{number}/{name}": value for name, value in fields.items()}
        tail = block[-TAIL_BYTES:]
    return out


def learned_arrays(mode: str, states: Sequence[Any]) -> dict[str, Any]:
    return {
        f"{mode}.{profile}.{name}": array
        for profile, state in enumerate(states)
        for name, array in state._asdict().items()
    }


def context_vectors() -> dict[str, Any]:
    primer = resources.files("llmzip").joinpath("data/primer.txt").read_bytes()
    out: dict[str, Any] = {
        "context.table_bits": np.uint32([TABLE_BITS]),
        "context.rates": np.uint32(context.RATES),
        "context.primer": primer,
    }
    out |= learned_arrays("context", context.shipped_states())
    coder = context.ContextCoder(TABLE_BITS)
    for number, profile in enumerate(range(-1, len(context.SHAPES))):  # each profile once, the first one twice
        text = (GOLDEN / "plain.txt").read_bytes() * 2
        payload = coder.encode(text, max(profile, 0), SILENT)
        assert payload is not None
        fields = {"text": text, "profile": np.uint32([max(profile, 0)]), "payload": payload}
        out |= {f"context/{number}/{field}": value for field, value in fields.items()}
    return out


def wide_vectors() -> dict[str, Any]:
    """Two blocks of the wide profile, the second after the first."""
    out: dict[str, Any] = {"wide.table_bits": np.uint32([wide.wide_table_bits(TABLE_BITS)])}
    out |= {f"wide.{name}": array for name, array in wide.shipped_wide_state()._asdict().items()}
    coder = context.ContextCoder(TABLE_BITS)
    for number, name in enumerate(("plain.txt", "broken.txt")):
        text = (GOLDEN / name).read_bytes()
        payload = coder.encode(text, Profile.WIDE, SILENT)
        assert payload is not None
        out |= {f"wide/{number}/text": text, f"wide/{number}/payload": payload}
    return out


def charset_tables() -> dict[str, Any]:
    """Tables of charsets that have codes of one, two, three and four bytes."""
    return {
        f"charset/{number}/{name}": table
        for number, charset in enumerate(CHARSETS)
        for name, table in zip(("one", "two", "three", "four", "codes"), tables_of(charset)[:5], strict=True)
        if table is not None
    }


def flatten(arrays: dict[str, Any]) -> bytes:
    """The arrays as restore.c reads them."""
    parts = []
    for name, value in arrays.items():
        array = np.frombuffer(value, np.uint8) if isinstance(value, bytes) else np.asarray(value)
        parts += [bytes([len(name)]), name.encode(), bytes([array.itemsize]), array.size.to_bytes(4, "little")]
        parts.append(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return b"".join(parts)


if __name__ == "__main__":
    Path(sys.argv[1]).write_bytes(flatten(vectors()))
