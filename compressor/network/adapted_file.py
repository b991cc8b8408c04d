"""The adapted model file: what a model for one kind of text has beside the model that it adapts, its *base*.

docs/format.md, "Adapted model file", describes it byte by byte.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmzip.errors import LlmzError
from llmzip.network.architecture import MAX_WEIGHT_BITS, largest_weight
from llmzip.network.model_file import ArrayEntry, ArrayFile, ModelFile, one_line_errors, pack_arrays

ADAPTED_MAGIC = b"LLMZADA1"
MAX_PRIMER_BYTES = 1 << 19
"""Reading it takes a second at most, and a third of that on most machines."""
MAX_RANK = 64
LOW_RANK_BITS = 20
"""Fraction bits of a low-rank multiplier."""
LOW_RANK_WEIGHTS = (
    "decoder.in_weight", "decoder.out_weight", "decoder.up_weight", "decoder.down_weight", "head_weight",
)  # fmt: skip
_MAX_SHIFT = 24
_MAX_INFLATION = 1032
"""Deflate makes no more of a byte."""
_PROFILES = (0, 1)
_ROWS_AT_ONCE = 128
"""Of a weight's matrix, so that what is worked with stays in the cache."""


class Primer(NamedTuple):
    """Text that mixed mode's models read before a member, as a block of this profile."""

    profile: int
    text: bytes


def is_adapted(data: Any) -> bool:
    """Whether a file's bytes begin as those of an adapted model do."""
    return bytes(data[: len(ADAPTED_MAGIC)]) == ADAPTED_MAGIC


def merge_low_rank(
    weight: NDArray[np.int8], left: NDArray[np.int8], right: NDArray[np.int8], multiplier: int
) -> NDArray[np.int8]:
    """Add ``left @ right``, scaled, to a matrix of weights, int8 ``[outputs, inputs]``; exact on every machine.

    Args:
        left: ``[outputs, rank]``.
        right: ``[rank, inputs]``.
        multiplier: with ``LOW_RANK_BITS`` fraction bits.
    """
    limit = largest_weight(MAX_WEIGHT_BITS)
    merged = np.empty_like(weight)
    # Sums of at most 64 products are at most 2^31, in steps of 2^-20: float64 holds each of them, in any order.
    scaled, inner = left * np.float64(multiplier / 2**LOW_RANK_BITS), right.astype(np.float64)
    for start in range(0, len(weight), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        change = scaled[rows] @ inner
        change += 0.5
        np.floor(change, out=change)
        change += weight[rows]
        np.minimum(change, limit, out=change)
        np.maximum(change, -limit, out=change)
        merged[rows] = change
    return merged


def pack_adapted(
    base: bytes,
    differences: Mapping[str, tuple[NDArray, int]],
    low_rank: Mapping[str, tuple[NDArray[np.int8], NDArray[np.int8], NDArray[np.int32]]],
    primer: Primer | None,
) -> bytes:
    """Return an adapted model file.

    Args:
        base: the fingerprint of the model that it adapts.
        differences: by the array's name, what is added to it, of a type int8, int16 or int32, shifted left by so many
            bits.
        low_rank: by the weight's name, ``left``, ``right`` and ``multiplier`` as :class:`AdaptedFile` takes them.
    """
    arrays: dict[str, NDArray] = {f"difference.{name}": array for name, (array, _) in differences.items()}
    for name, (left, right, multiplier) in low_rank.items():
        arrays |= {f"low_rank.{name}.left": left, f"low_rank.{name}.right": right}
        arrays[f"low_rank.{name}.multiplier"] = multiplier
    if primer is not None:
        arrays["primer"] = np.frombuffer(primer.text, np.uint8)
    fields = {
        "base": base.hex(),
        "primer_profile": 0 if primer is None else primer.profile,
        "shifts": {name: shift for name, (_, shift) in differences.items() if shift},
    }
    return pack_arrays(ADAPTED_MAGIC, fields, arrays, zlib.Z_DEFAULT_STRATEGY, widest=4)


_PARTS = ("left", "right", "multiplier")


def base_fingerprint(data: Any) -> bytes:
    """The fingerprint of the base that an adapted model file names.

    Raises:
        LlmzError: it is no whole adapted model file.
    """
    with one_line_errors():
        return _fingerprint_in(ArrayFile(data, ADAPTED_MAGIC, _MAX_INFLATION).header)


def _fingerprint_in(header: dict[str, Any]) -> bytes:
    base = header["base"]
    if not isinstance(base, str) or not re.fullmatch("[0-9a-f]{16}", base):
        raise ValueError("its base has no fingerprint")
    return bytes.fromhex(base)


class AdaptedFile(ArrayFile):
    """An adapted model's arrays: those of its base, changed as the file says. What has the interface of a
    :class:`ModelFile`.

    Attributes:
        config: the base's shape.
        primer: None where it has none.
    """

    def __init__(self, data: Any, base: ModelFile) -> None:
        """Read the header of an adapted model file from any buffer of bytes.

        Raises:
            LlmzError: it is no whole adapted model file, or an array does not fit the base.
        """
        with one_line_errors():
            super().__init__(data, ADAPTED_MAGIC, _MAX_INFLATION)
            self._base = base
            self.config = base.config
            self._own, self.entries = self.entries, base.entries
            self._shifts = self._checked_header()
            for name, entry in self._own.items():
                self._check_array(name, entry)

    def _checked_header(self) -> dict[str, int]:
        if self.header.keys() != {"base", "primer_profile", "shifts", "tensors"}:
            raise ValueError("the header has other fields than it should")
        _fingerprint_in(self.header)
        profile, shifts = self.header["primer_profile"], self.header["shifts"]
        if type(profile) is not int or profile not in _PROFILES:
            raise ValueError("there is no such profile")
        if not isinstance(shifts, dict):
            raise ValueError("the shifts are no table")
        for name, shift in shifts.items():
            if f"difference.{name}" not in self._own or type(shift) is not int or not 0 <= shift <= _MAX_SHIFT:
                raise ValueError("a shift makes no sense")
        return shifts

    def _check_array(self, name: str, entry: ArrayEntry) -> None:
        if name == "primer":
            if entry.dtype.str != "|u1" or len(entry.shape) != 1 or entry.plain_bytes > MAX_PRIMER_BYTES:
                raise ValueError("the primer makes no sense")
            return
        kind, _, changed = name.partition(".")
        if kind == "difference":
            base = self._base.entries.get(changed)
            if base is None or base.dtype.kind not in "iu" or base.dtype.itemsize < 2:
                raise ValueError("there is a difference from an array that cannot have one")
            if entry.dtype.kind != "i" or entry.shape != base.shape:
                raise ValueError("a difference does not fit the base")
            return
        weight, _, part = changed.rpartition(".")
        if kind != "low_rank" or weight not in LOW_RANK_WEIGHTS or part not in _PARTS:
            raise ValueError("there is an array that no adapted model has")
        parts = [self._own.get(f"low_rank.{weight}.{each}") for each in _PARTS]
        left, right, multiplier = parts
        if left is None or right is None or multiplier is None:
            raise ValueError("a low-rank change is not whole")
        *stack, outputs, inputs = self._base.entries[weight].shape
        rank = left.shape[-1]
        expected = (("|i1", (*stack, outputs, rank)), ("|i1", (*stack, rank, inputs)), ("<i4", tuple(stack) or (1,)))
        if rank > MAX_RANK or [(each.dtype.str, each.shape) for each in (left, right, multiplier)] != list(expected):
            raise ValueError("a low-rank change does not fit the base")

    @property
    def changes_network(self) -> bool:
        """Whether any of the network's arrays is another one than the base's."""
        return any(not name.startswith(("difference.mixing.", "primer")) for name in self._own)

    def read(self, name: str) -> NDArray:
        """Return an array as it is with the change, of this machine's byte order.

        Raises:
            LlmzError: there is no such array, deflated bytes are damaged, or a number leaves its type's range.
        """
        array = self._base.read(name)
        if f"difference.{name}" in self._own:
            change = self._own_array(f"difference.{name}").astype(np.int64) << self._shifts.get(name, 0)
            limits = np.iinfo(array.dtype)
            change += array
            if change.size and (change.min() < limits.min or change.max() > limits.max):
                raise LlmzError(f"not a model file of this version: array {name} leaves its range")
            array = change.astype(array.dtype)
        if f"low_rank.{name}.left" in self._own:
            left, right, multiplier = (self._own_array(f"low_rank.{name}.{part}") for part in _PARTS)
            if multiplier.min() < 0:
                raise LlmzError("not a model file of this version: a low-rank multiplier is negative")
            layers = zip(
                array.reshape(len(multiplier), *array.shape[-2:]),
                left.reshape(len(multiplier), *left.shape[-2:]),
                right.reshape(len(multiplier), *right.shape[-2:]),
                multiplier.tolist(),
                strict=True,
            )
            array = np.stack([merge_low_rank(*layer) for layer in layers]).reshape(array.shape)
        return array

    @property
    def primer(self) -> Primer | None:
        """Raises: LlmzError: its deflated bytes are damaged."""
        if "primer" not in self._own:
            return None
        return Primer(self.header["primer_profile"], self._own_array("primer").tobytes())

    def _own_array(self, name: str) -> NDArray:
        return self._inflated(name, self._own[name])
