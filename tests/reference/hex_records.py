"""Firmware put back from its streams as docs/format.md, *Hex records*, has it, in plain Python.

Nothing here comes from the program: what both give must be the same because they follow the same page.
"""

from __future__ import annotations


class Damage(Exception):
    pass


def put_back(description: bytes, streams: list[bytes], plain_length: int) -> bytes | None:
    """The plain bytes, None where the page calls it damage."""
    try:
        plain = restored(description, streams, plain_length)
    except Damage:
        return None
    return plain if len(plain) == plain_length else None


def restored(description: bytes, streams: list[bytes], most: int) -> bytes:
    """The plain bytes of whatever length; that of their records is at most ``most``."""
    if len(description) != 2 or len(streams) != 3:
        raise Damage
    flags, full = description
    kind, upper, crlf = flags % 8, flags // 8 % 2, flags // 16 % 2
    if flags >= 32 or kind > 4 or not 1 <= full <= (255, 252, 251, 250, 250)[kind]:
        raise Damage
    modulus = 1 << (16, 16, 24, 32, 32)[kind]
    kept, runs, data = _lines(streams[0]), streams[1], streams[2]
    out, address = bytearray(), 0
    while runs:
        n, runs = _number(runs)
        if n // 2 % 2:
            lines, runs = _number(runs)
            if not 1 <= lines <= len(kept):
                raise Damage
            out += b"".join(kept[:lines])
            kept = kept[lines:]
        if n % 2:
            address, runs = _number(runs)
        count = n // 4
        if not 1 <= count <= len(data) or address >= modulus:
            raise Damage
        run, data = data[:count], data[count:]
        for at in range(0, count, full):
            part = run[at : at + full]
            record = _record(kind, address, part)
            out += (record if upper else record[:1] + record[1:].lower()) + (b"\r\n" if crlf else b"\n")
            if len(out) > most:
                raise Damage
            address = (address + len(part)) % modulus
    if data:
        raise Damage
    return bytes(out) + b"".join(kept)


def _lines(text: bytes) -> list[bytes]:
    *whole, rest = text.split(b"\n")
    return [line + b"\n" for line in whole] + [rest] * bool(rest)


def _number(data: bytes) -> tuple[int, bytes]:
    value = 0
    for i, byte in enumerate(data):
        value += (byte & 127) << 7 * i
        if byte < 128:
            if i and not byte:
                raise Damage
            return value, data[i + 1 :]
    raise Damage


def _record(kind: int, address: int, data: bytes) -> bytes:
    """In upper case."""
    if kind == 0:
        body = bytes([len(data)]) + address.to_bytes(2, "big") + b"\0" + data
        return b":" + (body + bytes([-sum(body) % 256])).hex().upper().encode()
    if kind == 4:
        kind = 1 if address < 1 << 16 else 2 if address < 1 << 24 else 3
    body = bytes([kind + 1 + len(data) + 1]) + address.to_bytes(kind + 1, "big") + data
    return b"S%d" % kind + (body + bytes([(255 - sum(body)) % 256])).hex().upper().encode()
