"""The network and its model file as docs/format.md has them, in plain Python and one token at a time.

Nothing here comes from the program: what both give must be the same because they follow the same page.
"""

from __future__ import annotations

import json
import math
import zlib
from collections import deque
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]


def read_model(data: bytes) -> tuple[dict[str, Any], dict[str, Integers]]:
    """A model file's configuration and arrays, those of integers as int64."""
    assert data[:8] == b"LLMZMDL1"
    start = 12 + int.from_bytes(data[8:12], "little")
    header = json.loads(data[12:start])
    arrays = {}
    for listed in header["tensors"]:
        at, kind, shape = start + listed["offset"], np.dtype(listed["dtype"]), listed["shape"]
        if "deflated_bytes" in listed:
            plain = zlib.decompress(data[at : at + listed["deflated_bytes"]])
        else:
            plain = data[at : at + math.prod(shape) * kind.itemsize]
        array = np.frombuffer(plain, kind).reshape(shape)
        arrays[listed["name"]] = array if kind.kind == "f" else array.astype(np.int64)
    return header["config"], arrays


def clip(values: Integers, largest: int) -> Integers:
    return np.clip(values, -largest, largest)


def rescale(sums: Integers, multiplier: Integers) -> Integers:
    return (sums * multiplier + 2**23) >> 24


def normalise(values: Integers, steps: int) -> Integers:
    root = math.isqrt(64 * int(np.sum(values**2)) // len(values)) + 1
    excess = 0
    while root >> excess >= 2**16:
        excess += 1
    factor = steps * 2**23 // (root >> excess)
    return clip(((values >> excess) * factor + 2**19) >> 20, 127)


def exponential(nats: Integers) -> Integers:
    """About 2^30 exp(-nats / 1024)."""
    bits = 23637 * nats
    part = (bits >> 9) % 2**15
    value: Integers = np.full_like(nats, 2597)
    for constant in (15149, 45324, 65536):
        value = constant - (value * part >> 15)
    return value << 14 >> (bits >> 24)


class Network:
    """A model file's decoder or encoder."""

    def __init__(self, data: bytes, part: str = "decoder") -> None:
        self.model_config, self.arrays = read_model(data)
        self.part = part
        self.config = self.model_config[part]

    def __getitem__(self, name: str) -> Integers:
        return self.arrays[f"{self.part}.{name}"]

    def product(self, name: str, layer: int, inputs: Integers) -> Integers:
        return rescale(self[f"{name}_weight"][layer] @ inputs, self[f"{name}_multiplier"][layer])

    def side_vector(self, numbers: NDArray[np.int8] | None) -> Integers:
        if numbers is None:
            return np.zeros(self.config["width"], np.int64)
        sums = self.arrays["up_weight"] @ numbers.astype(np.int64)
        return clip(rescale(sums, self.arrays["up_multiplier"]), 2**22)


class Lane:
    """What a network keeps of the tokens that it has read one after the other."""

    def __init__(self, network: Network, side: NDArray[np.int8] | None = None) -> None:
        self.network = network
        self.side = network.side_vector(side)
        self.earlier = [0, 0]
        width, config = network.config["width"], network.config
        self.gated: list[deque[Integers]] = [
            deque([np.zeros(width, np.int64)] * (config["kernel"] - 1)) for _ in config["layers"]
        ]
        self.seen: list[deque[tuple[Integers, Integers]]] = [
            deque(maxlen=config["window"]) for _ in range(len(config["layers"]) * config["heads"])
        ]

    def copy(self) -> Lane:
        """A lane that goes on from here."""
        twin = object.__new__(Lane)
        twin.__dict__.update(self.__dict__)
        twin.gated, twin.seen, twin.earlier = deepcopy(self.gated), deepcopy(self.seen), list(self.earlier)
        return twin

    def read(self, token: int) -> Integers:
        """Normalised state ``[width]`` after a further token."""
        network = self.network
        x = self._embed(token)
        for layer, kind in enumerate(network.config["layers"]):
            wide = network.product("in", layer, normalise(x, 16)).reshape(3, -1)
            inner = self._convolve(layer, *wide) if kind == "c" else self._attend(layer, *wide)
            x = clip(x + network.product("out", layer, normalise(inner, 8 if kind == "c" else 16)), 2**22)
            tall = np.clip(network.product("up", layer, normalise(x, 16)), 0, 32767) ** 2 >> 8
            x = clip(x + network.product("down", layer, normalise(tall, 8)), 2**22)
        return normalise(x, 16)

    def frequencies(self, token: int) -> Integers:
        """Cumulative frequencies ``[V + 1]`` of what follows a further token."""
        arrays = self.network.arrays
        logits = clip(rescale(arrays["head_weight"] @ self.read(token), arrays["head_multiplier"]), 2**22)
        logits = logits + arrays["output_bias"]
        weights = exponential(np.minimum(logits.max() - logits, 22528))
        inverse = ((2**24 - len(weights)) << 36) // int(weights.sum())
        frequencies = [(int(weight) * inverse >> 36) + 1 for weight in weights]
        return np.cumsum([0, *frequencies])

    def _embed(self, token: int) -> Integers:
        network, x = self.network, self.side.copy()
        last, before = self.earlier
        self.earlier = [token, last]

        def add(name: str, row: Integers, place: int) -> None:
            multiplier = network[f"{name}_multiplier"][place]
            x[: len(row)] += (row * multiplier + 2**15) >> 16

        add("embedding", network["embedding"][token], token)
        pair = 40503 * token + 2654435761 * last
        for name, hashed in (("pairs", pair), ("triples", pair + 3266489917 * before)):
            if f"{network.part}.{name}" in network.arrays:
                table = network[name]
                row_bits = len(table).bit_length() - 1
                place = (hashed * 2246822519) % 2**32 >> (32 - row_bits)
                packed = table[place]
                add(name, np.stack([packed % 16 - 8, packed // 16 - 8], 1).ravel(), place)
        return x

    def _convolve(self, layer: int, in_gate: Integers, out_gate: Integers, values: Integers) -> Integers:
        in_gate, out_gate, values = (clip(part, 32767) for part in (in_gate, out_gate, values))
        kept = self.gated[layer]
        kept.append(clip((in_gate * values + 512) >> 10, 32767))
        mixed = (512 + sum(tap * past for tap, past in zip(self.network["taps"][layer], kept, strict=True))) >> 10
        kept.popleft()
        return clip((out_gate * mixed + 2048) >> 12, 2**22)

    def _attend(self, layer: int, queries: Integers, keys: Integers, values: Integers) -> Integers:
        heads = self.network.config["heads"]
        values = clip((values + 32) >> 6, 127)
        inner = []
        for head, (query, key, value) in enumerate(
            zip(*(part.reshape(heads, -1) for part in (queries, keys, values)), strict=True)
        ):
            query, key = (normalise(clip(part, 2**22), 16) for part in (query, key))
            seen = self.seen[layer * heads + head]
            seen.append((key, value))
            inner.append(self._attend_head(layer, head, query, seen))
        return np.concatenate(inner)

    def _attend_head(self, layer: int, head: int, query: Integers, seen: deque[tuple[Integers, Integers]]) -> Integers:
        temperature, slope = int(self.network["temperature"][layer][head]), int(self.network["slopes"][head])
        excess = 0
        while temperature >> excess >= 2**15:
            excess += 1
        half = 2 ** (15 - excess) if excess < 16 else 0
        ages = np.arange(len(seen) - 1, -1, -1)
        keys, values = (np.stack(part) for part in zip(*seen, strict=True))
        scores = ((keys @ query * (temperature >> excess) + half) >> (16 - excess)) - slope * ages
        weights = np.minimum(exponential(np.minimum(scores.max() - scores, 11264)) >> 16, 16383)
        return (weights @ values * (2**44 // int(weights.sum()))) >> 38


def side_numbers(data: bytes, tokens: list[int]) -> Integers:
    """Side information of a text that begins with these tokens, as the program chooses it."""
    network = Network(data, "encoder")
    lane = Lane(network)
    state = [lane.read(token) for token in tokens[: network.config["window"]]][-1]
    arrays = network.arrays
    return clip(rescale(arrays["down_weight"] @ state, arrays["down_multiplier"]), 127)
