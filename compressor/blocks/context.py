"""Context mode: adaptive context models alone.

Payload: a byte (bits 0 to 4: profile; bit 6: the models start afresh), then arithmetic-coder bytes. Blocks of the wide
profile, whose models are as large as the others' again, are only where the header says so.
"""

from __future__ import annotations

from llmzip.blocks.adaptive import AdaptiveModels
from llmzip.blocks.lanes import FRESH, PROFILE_MASK
from llmzip.errors import DamagedError
from llmzip.format.member import Coded, Method
from llmzip.mixing.profiles import Profile
from llmzip.progress import Progress


def encode(models: AdaptiveModels, plain: bytes, profile: int, progress: Progress) -> bytes | None:
    """Code ``plain``; None where it would grow."""
    fresh = models.is_spoilt(Method.CONTEXT)
    coded = models.context_on_trial(fresh).encode(plain, profile, progress)
    return None if coded is None else bytes([profile | FRESH * fresh]) + coded


def is_wide(coded: Coded) -> bool:
    """Whether a block or stream is of the wide profile."""
    return coded.method is Method.CONTEXT and coded.payload[0] & PROFILE_MASK == Profile.WIDE


def decode(models: AdaptiveModels, payload: bytes, plain_length: int, progress: Progress) -> bytes:
    """Undo :func:`encode`.

    Raises:
        DamagedError: the payload makes no sense.
    """
    start = payload[0] if payload else 0xFF
    if start & ~(PROFILE_MASK | FRESH):
        raise DamagedError("a block's contexts make no sense")
    profile = start & PROFILE_MASK
    if profile == Profile.WIDE and not models.may_be_wide:
        raise DamagedError("a block is of the wide profile, which the header does not have")
    return models.context(bool(start & FRESH)).decode(payload[1:], plain_length, profile, progress)
