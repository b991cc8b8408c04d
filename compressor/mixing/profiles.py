"""The sets of contexts that a block can be coded with, and which of them suits a text."""

from __future__ import annotations

import enum

import numpy as np


class Profile(enum.IntEnum):
    """A set of contexts; the number stands in a block's payload. Mixed mode has the first two,
    context mode all."""

    PROSE = 0
    """Prose; in context mode also markup and code."""
    RECORDS = 1
    """Numbers, tables, logs: fields beside those above them. In mixed mode also most code, markup and lists."""
    BINARY = 2
    """What is decoded from base64 and its like."""
    SEQUENCES = 3
    """Genomes and proteins: letters without line ends."""
    WIDE = 4
    """What mixed mode takes for records, where the network does not help: with all of its contexts."""


MIXED_PROFILES = 2

_UPPER = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", np.uint8)
_LOWER = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", np.uint8)
_BASES = np.frombuffer(b"ACGTUNacgtun", np.uint8)
_DIGITS = np.frombuffer(b"0123456789", np.uint8)
_CELL_ENDS = np.frombuffer(b"\t,;", np.uint8)
_CONTROLS = np.array([*range(9), *range(14, 32), 127], np.uint8)


def choose_profile(text: bytes) -> Profile:
    """The profile that a block's bytes speak for: context mode's. :mod:`llmzip.blocks.choice` makes it mixed mode's."""
    if not text:
        return Profile.PROSE
    shares = np.bincount(np.frombuffer(text, np.uint8), minlength=256) / len(text)
    if shares[_CONTROLS].sum() > 0.04:
        return Profile.BINARY
    upper, lower = float(shares[_UPPER].sum()), float(shares[_LOWER].sum())
    of_one_case = max(upper, lower) > 20 * min(upper, lower)
    if (shares[_BASES].sum() > 0.85 or (upper > 0.8 and shares[32] < 0.03)) and of_one_case:
        return Profile.SEQUENCES
    if 2 * shares[_DIGITS].sum() + shares[_CELL_ENDS].sum() >= 0.15:
        return Profile.RECORDS
    return Profile.PROSE
