"""The model file: magic, header, arrays. Every shape follows from the configuration and is checked before any is read.

docs/format.md, "Model file", describes it byte by byte.
"""

from __future__ import annotations

import contextlib
import json
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmzip.errors import LlmzError
from llmzip.network.architecture import INT8_MAX, ModelConfig, StackConfig

MAGIC = b"LLMZMDL1"
ALIGNMENT = 64
MAX_HEADER_BYTES = 1 << 16
MAX_EXTRA_BYTES = 1 << 24
"""Of an array that the configuration says nothing of."""
EXTRA_PREFIXES = ("mixing.", "context.", "regression.")
DTYPES = ("|i1", "|u1", "<i2", "<u2", "<i4", "<f4")
MAX_VOCABULARY_BYTES = 1 << 20
MAX_INFLATION = 8
"""Huffman codes take at least a bit a byte; an array that inflates to more is none of :func:`pack_model`'s."""

_WORTH_INFLATING = 0.8
"""An array of which deflating leaves more is mapped as it is: every start would have to inflate it."""


@dataclass(frozen=True)
class ArrayEntry:
    """An array's place in the file: ``offset`` counts from the header's end; ``deflated`` bytes of zlib, or None."""

    dtype: np.dtype
    shape: tuple[int, ...]
    offset: int
    deflated: int | None

    @property
    def plain_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    @property
    def stored_bytes(self) -> int:
        return self.plain_bytes if self.deflated is None else self.deflated


def _stack_arrays(part: str, config: StackConfig, vocabulary: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    layers, width, hidden = len(config.layers), config.width, config.hidden
    arrays: dict[str, tuple[str, tuple[int, ...]]] = {
        "embedding": ("|i1", (vocabulary, width)),
        "embedding_multiplier": ("<i4", (vocabulary,)),
        "taps": ("<i2", (layers, config.kernel, width)),
        "temperature": ("<i4", (layers, config.heads)),
        "slopes": ("<i4", (config.heads,)),
    }
    shapes = {"in": (3 * width, width), "out": (width, width), "up": (hidden, width), "down": (width, hidden)}
    for name, (outputs, inputs) in shapes.items():
        arrays[f"{name}_weight"] = ("|i1", (layers, outputs, inputs))
        arrays[f"{name}_multiplier"] = ("<i4", (layers, outputs))
    return {f"{part}.{name}": value for name, value in arrays.items()}


def expected_arrays(config: ModelConfig) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Type and shape of every array that a model of this configuration must have, but for its vocabulary."""
    arrays = _stack_arrays("decoder", config.decoder, config.vocabulary)
    arrays |= _stack_arrays("encoder", config.encoder, config.vocabulary)
    for name, rows, columns in (
        ("pairs", config.bigram_rows, config.bigram_columns),
        ("triples", config.trigram_rows, config.trigram_columns),
    ):
        if rows:
            arrays[f"decoder.{name}"] = ("|u1", (rows, columns // 2))
            arrays[f"decoder.{name}_multiplier"] = ("<i4", (rows,))
    arrays["head_weight"] = ("|i1", (config.vocabulary, config.decoder.width))
    arrays["head_multiplier"] = arrays["output_bias"] = ("<i4", (config.vocabulary,))
    arrays["down_weight"] = ("|i1", (config.side_numbers, config.encoder.width))
    arrays["down_multiplier"] = ("<i4", (config.side_numbers,))
    arrays["up_weight"] = ("|i1", (config.decoder.width, config.side_numbers))
    arrays["up_multiplier"] = ("<i4", (config.decoder.width,))
    arrays["side_frequencies"] = ("<i4", (config.side_numbers, 2 * INT8_MAX + 1))
    return arrays


def pack_pairs_of_values(rows: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Values -8 to 7 ``[rows, columns]`` two in a byte ``[rows, columns / 2]``: plus 8 each, the even column low."""
    moved: NDArray[np.uint8] = (rows + 8).astype(np.uint8)
    packed: NDArray[np.uint8] = moved[:, 0::2] | moved[:, 1::2] << np.uint8(4)
    return packed


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """Make of what reading a header raises an LlmzError of one line."""
    try:
        yield
    except LlmzError:
        raise
    except (LookupError, TypeError, ValueError, RecursionError, OverflowError) as error:
        reason = str(error).encode("unicode_escape").decode()  # it may quote what the file calls its fields
        raise LlmzError(f"not a model file of this version: {reason or type(error).__name__}") from error


def pack_model(config: ModelConfig, vocabulary: bytes, arrays: dict[str, NDArray]) -> bytes:
    """Return a model file: magic, header length, JSON header, vocabulary and arrays, each aligned to 64 bytes.

    Bytes of weights are deflated with Huffman codes only: nothing repeats in them, but small values are frequent.
    """
    named = {"vocabulary": np.frombuffer(vocabulary, np.uint8)} | arrays
    fields = {"config": json.loads(config.to_json())}
    return pack_arrays(MAGIC, fields, named, zlib.Z_HUFFMAN_ONLY, most_share=_WORTH_INFLATING)


def pack_arrays(
    magic: bytes, fields: dict[str, Any], arrays: dict[str, NDArray], strategy: int, widest: int = 1,
    most_share: float = 1.0,
) -> bytes:  # fmt: skip
    """Return a file of arrays: magic, header length, JSON header with ``fields``, arrays, each aligned to 64 bytes.

    Args:
        strategy: of zlib, for arrays that it makes smaller.
        widest: bytes that the numbers of such an array have at most.
        most_share: arrays are deflated only where that leaves less than this share of their bytes.
    """
    offset, listing, body = 0, [], []
    for name, array in arrays.items():
        little = array.astype(array.dtype.newbyteorder("<"))
        entry: dict[str, Any] = {"name": name, "dtype": little.dtype.str, "shape": list(array.shape), "offset": offset}
        data = little.tobytes()
        if array.dtype.itemsize <= widest:
            deflater = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, strategy)
            deflated = deflater.compress(data) + deflater.flush()
            if len(deflated) < most_share * len(data):
                data = deflated
                entry["deflated_bytes"] = len(data)
        listing.append(entry)
        body.append(data + b"\0" * (-len(data) % ALIGNMENT))
        offset += len(body[-1])
    header = json.dumps(fields | {"tensors": listing}).encode()
    header += b" " * (-(len(header) + len(magic) + 4) % ALIGNMENT)
    return magic + len(header).to_bytes(4, "little") + header + b"".join(body)


class ArrayFile:
    """What model files and adapted ones have in common: arrays behind a header, inflated when they are asked for.

    Attributes:
        header: the JSON object.
        entries: where each array lies, by name.
    """

    def __init__(self, data: Any, magic: bytes, max_inflation: int) -> None:
        """Read the header of a file from any buffer of bytes.

        Raises:
            ValueError, KeyError, TypeError, RecursionError, OverflowError: it is not whole, or makes no sense.
        """
        self._view = memoryview(data).cast("B")
        self._max_inflation = max_inflation
        view = self._view
        start = len(magic) + 4
        if bytes(view[: len(magic)]) != magic or len(view) < start:
            raise ValueError("no llmzip model")
        length = int.from_bytes(view[len(magic) : start], "little")
        if length > MAX_HEADER_BYTES or start + length > len(view):
            raise ValueError("the header is cut off")
        header = json.loads(bytes(view[start : start + length]))
        if not isinstance(header, dict):
            raise ValueError("the header is no table")
        self.header: dict[str, Any] = header
        self._body = start + length
        self.entries: dict[str, ArrayEntry] = {}
        end = 0
        for listed in header["tensors"]:
            name = listed["name"]
            if not isinstance(name, str) or not (name.isascii() and name.isprintable()) or name in self.entries:
                raise ValueError("an array has no name or that of another one")
            entry = self._entry(listed)
            if entry.offset != end:
                raise ValueError("an array is not where the one before ends")
            end += entry.stored_bytes + -entry.stored_bytes % ALIGNMENT
            self.entries[name] = entry
        if self._body % ALIGNMENT or self._body + end != len(view):
            raise ValueError("it does not end where its last array does")

    def _entry(self, listed: dict[str, Any]) -> ArrayEntry:
        if not isinstance(listed, dict) or listed["dtype"] not in DTYPES:
            raise ValueError("an array has an unknown type")
        shape = tuple(listed["shape"])
        numbers = (*shape, listed["offset"], listed.get("deflated_bytes", 0))
        if any(type(n) is not int or not 0 <= n < 1 << 31 for n in numbers) or 0 in shape or len(shape) > 4:
            raise ValueError("an array's shape or place makes no sense")
        entry = ArrayEntry(np.dtype(listed["dtype"]), shape, listed["offset"], listed.get("deflated_bytes"))
        if self._body + entry.offset + entry.stored_bytes > len(self._view):
            raise ValueError("an array is cut off")
        if entry.plain_bytes > self._max_inflation * entry.stored_bytes:
            raise ValueError("an array has more bytes than can be in its deflated ones")
        return entry

    def read(self, name: str) -> NDArray:
        """Return an array, of this machine's byte order.

        Raises:
            LlmzError: there is no such array, or its deflated bytes are damaged.
        """
        if name not in self.entries:
            raise LlmzError(f"the model has no array {name}")
        return self._inflated(name, self.entries[name])

    def _inflated(self, name: str, entry: ArrayEntry) -> NDArray:
        start = self._body + entry.offset
        if entry.deflated is None:
            plain: Any = self._view[start : start + entry.plain_bytes]
        else:
            inflater = zlib.decompressobj()
            try:
                plain = inflater.decompress(self._view[start : start + entry.deflated], entry.plain_bytes + 1)
            except zlib.error as error:
                raise LlmzError(f"the model's array {name} is damaged") from error
            if len(plain) != entry.plain_bytes or not inflater.eof or inflater.unused_data:
                raise LlmzError(f"the model's array {name} is damaged")
        array = np.frombuffer(plain, entry.dtype).reshape(entry.shape)
        return np.require(array, array.dtype.newbyteorder("="), "A")

    def extras(self, prefix: str) -> dict[str, NDArray]:
        """Arrays named ``prefix.name``, by name."""
        start = prefix + "."
        return {name.removeprefix(start): self.read(name) for name in self.entries if name.startswith(start)}


class ModelFile(ArrayFile):
    """A model file's arrays.

    Attributes:
        config: the model's shape.
    """

    def __init__(self, data: Any) -> None:
        """Read the header of a model file from any buffer of bytes.

        Raises:
            LlmzError: it is no whole model file, or an array does not fit the configuration.
        """
        with one_line_errors():
            super().__init__(data, MAGIC, MAX_INFLATION)
            self.config = ModelConfig.from_json(json.dumps(self.header["config"]))
            self._check_shapes()

    def _check_shapes(self) -> None:
        expected = expected_arrays(self.config)
        for name, (dtype, shape) in expected.items():
            entry = self.entries.get(name)
            if entry is None:
                raise ValueError(f"array {name} is missing")
            if entry.dtype.str != dtype or entry.shape != shape:
                raise ValueError(f"array {name} does not fit the configuration")
        for name in self.entries.keys() - expected.keys():
            limit = MAX_VOCABULARY_BYTES if name == "vocabulary" else MAX_EXTRA_BYTES
            if (name != "vocabulary" and not name.startswith(EXTRA_PREFIXES)) or self.entries[name].plain_bytes > limit:
                raise ValueError("there is an array that no model of this configuration has")
        vocabulary = self.entries.get("vocabulary")
        if vocabulary is None or vocabulary.dtype.str != "|u1" or len(vocabulary.shape) != 1:
            raise ValueError("the vocabulary makes no sense")

    def with_extras(self, prefix: str, arrays: dict[str, NDArray]) -> bytes:
        """Return the file with further arrays, named ``prefix.name``, in place of those it has."""
        named = {f"{prefix}.{name}": array for name, array in arrays.items()}
        kept = {
            name: self.read(name) for name in self.entries if name != "vocabulary" and not name.startswith(prefix + ".")
        }
        return pack_model(self.config, self.read("vocabulary").tobytes(), kept | named)
