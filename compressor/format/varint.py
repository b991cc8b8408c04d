"""Numbers in as few bytes as they need."""

from __future__ import annotations


def pack_varint(value: int) -> bytes:
    """``value`` of 0 and more, seven bits a byte, lowest first; the high bit says that more follow."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
