"""Pieces of text that no corpus at hand has enough of: tables of numbers, records of instruments, genomes, binary data.

Each function writes a piece of about the size asked for, another one with every generator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

Random = np.random.Generator


def _lines(lines: Iterator[str], size: int) -> bytes:
    text, length = [], 0
    for line in lines:
        text.append(line)
        length += len(line)
        if length >= size:
            break
    return "".join(text).encode()[:size]


def _column(random: Random) -> Iterator[str]:
    """A column of a table: a counter, a measurement that drifts, noise, a flag, a name."""
    kind = int(random.integers(7))
    places = int(random.integers(0, 7))
    scale = float(10 ** random.uniform(-1, 4))
    value = float(random.normal()) * scale
    step = scale * float(10 ** random.uniform(-5, -1))
    if kind == 0:
        count, by = (
            int(random.integers(10 ** int(random.integers(1, 10)))),
            int(random.choice([1, 1, 1, 2, 10, 60, 3600])),
        )
        while True:
            yield str(count)
            count += by + (int(random.integers(-1, 2)) if by > 5 else 0)
    elif kind in (1, 2):
        speed = 0.0
        while True:
            yield f"{value:.{places}f}"
            speed = 0.9 * speed + float(random.normal()) * step if kind == 2 else float(random.normal()) * step
            value += speed
    elif kind == 3:
        while True:
            yield f"{float(random.exponential(scale)):.{places}f}"
    elif kind == 4:
        names = [
            f"{random.choice(list('ABCDEFxyzqrs'))}{int(random.integers(100))}"
            for _ in range(int(random.integers(2, 9)))
        ]
        while True:
            yield str(random.choice(names))
    elif kind == 5:
        decay, digits = 1 + float(random.normal()) / 50, int(random.integers(2, 9))
        while True:
            yield f"{value:.{digits}E}"
            value *= decay
    else:
        now = datetime(2000 + int(random.integers(30)), 1 + int(random.integers(12)), 3, tzinfo=UTC)
        style = str(random.choice(["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%H:%M:%S", "%Y%m%d", "%d/%m/%Y", "%s"]))
        by = int(random.choice([1, 5, 10, 60, 3600, 86400]))
        while True:
            yield now.strftime(style)
            now += timedelta(seconds=by + int(random.integers(0, 2)) * int(random.integers(0, by + 1)))


def table(random: Random, size: int) -> bytes:
    """Rows of columns between commas, tabs, semicolons or blanks, or padded to widths."""
    columns = [_column(random) for _ in range(int(random.integers(1, 10)))]
    separator = str(random.choice([",", ",", "\t", ";", " ", ", ", "pad"]))

    def rows() -> Iterator[str]:
        while True:
            values = [next(column) for column in columns]
            if separator == "pad":
                yield "".join(value.rjust(13) for value in values) + "\n"
            else:
                yield separator.join(values) + "\n"

    return _lines(rows(), size)


def wrapped_numbers(random: Random, size: int) -> bytes:
    """One series, so many to a line, as in data statements and arrays."""
    series, each = _column(random), int(random.integers(3, 13))
    start = str(random.choice(["     &", "  ", "", "\t", "    "]))
    between = str(random.choice([",", ", ", " ", "  "]))

    def rows() -> Iterator[str]:
        while True:
            yield start + between.join(next(series) for _ in range(each)) + between.rstrip() + "\n"

    return _lines(rows(), size)


def mesh(random: Random, size: int) -> bytes:
    """Points of a surface of revolution and its faces."""
    around, along = int(random.integers(8, 40)), int(random.integers(8, 60))
    places, radius, wave = int(random.integers(3, 8)), float(random.uniform(0.5, 50)), float(random.uniform(0.1, 3))

    def rows() -> Iterator[str]:
        for i in range(along):
            r = radius * (1 + 0.3 * math.sin(wave * i))
            for j in range(around):
                angle = 2 * math.pi * j / around
                x, y, z = r * math.cos(angle), r * math.sin(angle), i * radius / along
                yield f"v {x:.{places}f} {y:.{places}f} {z:.{places}f}\n"
        for i in range(along - 1):
            for j in range(around):
                a, b = i * around + j + 1, i * around + (j + 1) % around + 1
                yield f"f {a} {b} {b + around} {a + around}\n"

    text = _lines(rows(), 1 << 30)
    start = int(random.integers(max(1, len(text) - size)))
    return text[start : start + size]


def track(random: Random, size: int) -> bytes:
    """Places and times that a receiver wrote down, as XML or JSON."""
    lat, lon, height = random.uniform(-60, 60), random.uniform(-180, 180), random.uniform(0, 2000)
    now = datetime(2010 + int(random.integers(15)), 1 + int(random.integers(12)), 5, 7, tzinfo=UTC)
    places, period, style = int(random.integers(4, 10)), int(random.integers(1, 90)), int(random.integers(4))
    turn, speed = 0.0, float(random.uniform(1e-5, 1e-3))

    def rows() -> Iterator[str]:
        nonlocal lat, lon, height, now, turn
        while True:
            at, stamp = f"{lat:.{places}f}", now.strftime("%Y-%m-%dT%H:%M:%SZ")
            if style == 0:
                yield f'<trkpt lat="{at}" lon="{lon:.{places}f}"><ele>{height:.1f}</ele><time>{stamp}</time></trkpt>\n'
            elif style == 1:
                yield f'   <trkpt lat="{at}" lon="{lon:.{places}f}">\n    <ele>{height:.2f}</ele>\n'
                yield f"    <time>{stamp}</time>\n   </trkpt>\n"
            elif style == 2:
                yield f"[{lon:.{places}f},{at}],"
            else:
                yield f'{{"t": "{stamp}", "lat": {at}, "lon": {lon:.{places}f}, "alt": {height:.1f}}}\n'
            turn += float(random.normal()) * 0.3
            lat, lon = lat + speed * math.cos(turn), lon + speed * math.sin(turn)
            height += float(random.normal())
            now += timedelta(seconds=period + int(random.integers(0, 3)))

    return _lines(rows(), size)


def event_log(random: Random, size: int) -> bytes:
    """Lines of several kinds with times, counters and addresses."""
    now = datetime(2010 + int(random.integers(15)), 1 + int(random.integers(12)), 5, 7, tzinfo=UTC)
    words = (
        "open",
        "close",
        "read",
        "write",
        "retry",
        "start",
        "stop",
        "flush",
        "send",
        "accept",
        "drop",
        "cache",
        "disk",
    )
    kinds = [" ".join(random.choice(words, 4)) for _ in range(int(random.integers(4, 20)))]
    style = str(random.choice(["%b %d %H:%M:%S host", "[%Y-%m-%d %H:%M:%S]", "%Y-%m-%dT%H:%M:%S INFO", "%s"]))
    shares = random.dirichlet(np.ones(len(kinds)) / 2)
    number = 1000

    def rows() -> Iterator[str]:
        nonlocal now, number
        while True:
            kind = int(random.choice(len(kinds), p=shares))
            number += int(random.integers(0, 3))
            place = f"{now.strftime(style)} app[{kind * 7 + 300}]"
            yield f"{place}: {kinds[kind]} id={number} took {float(random.exponential(9)):.2f}ms\n"
            now += timedelta(seconds=float(random.exponential(2)))

    return _lines(rows(), size)


def hex_listing(random: Random, size: int) -> bytes:
    """Addresses, and bytes or words in hexadecimal."""
    data, width = records(random, size), int(random.choice([1, 2, 4]))

    def rows() -> Iterator[str]:
        for at in range(0, len(data) - 15, 16):
            parts = (data[at + i : at + i + width].hex() for i in range(0, 16, width))
            yield f"{at:08x}  {' '.join(parts)}\n"

    return _lines(rows(), size)


def records(random: Random, size: int) -> bytes:
    """Binary records of fixed length: counters, small numbers, flags, coordinates, zeros."""
    length = int(random.choice([8, 12, 16, 16, 20, 24, 32, 40, 56, 64]))
    count = size // length + 1
    out = np.zeros((count, length), np.uint8)
    at = 0
    while at < length:
        kind = int(random.integers(6))
        if kind == 0 or at + 4 > length:
            out[:, at] = random.integers(0, int(random.choice([2, 4, 16, 256])), count)
            at += 1
        elif kind == 1:
            at += 4
        else:
            small = kind > 3
            steps = random.integers(0, 50 if small else 4000, count)
            values = steps if kind == 4 else np.cumsum(steps) + int(random.integers(1 << 24))
            out[:, at : at + 4] = values.astype("<u4").view(np.uint8).reshape(count, 4)
            at += 4
    return out.tobytes()[:size]


def picture(random: Random, size: int) -> bytes:
    """Rows of pixels that change slowly, of 1, 3 or 4 bytes each."""
    width, channels = int(random.integers(20, 300)), int(random.choice([1, 3, 4]))
    rows = size // (width * channels) + 1
    x, y = np.arange(width), np.arange(rows)[:, None]
    out = np.zeros((rows, width, channels))
    for c in range(channels):
        for _ in range(3):
            fx, fy, phase = random.normal(size=3)
            out[:, :, c] += 40 * np.sin(x * fx / 10 + y * fy / 10 + 6 * phase)
    noise = random.normal(size=out.shape) * float(random.choice([0, 1, 4]))
    return (out + 128 + noise).clip(0, 255).astype(np.uint8).tobytes()[:size]


def genome(random: Random, size: int) -> bytes:
    """A sequence with repeats, some changed, some backwards on the other strand, in lines under headers."""
    letters = random.choice(np.frombuffer(b"ACGT", np.uint8), size, p=random.dirichlet(np.ones(4) * 20))
    other = np.zeros(256, np.uint8)
    other[list(b"ACGT")] = list(b"TGCA")
    for _ in range(int(random.integers(0, max(2, size // 1500)))):
        length = int(random.integers(20, min(3000, size // 3)))
        start, to = (int(random.integers(size - length)) for _ in range(2))
        copy = letters[start : start + length].copy()
        if random.random() < 0.3:
            copy = other[copy[::-1]]
        changed = random.random(length) < random.choice([0.0, 0.02, 0.1])
        copy[changed] = random.choice(np.frombuffer(b"ACGT", np.uint8), int(changed.sum()))
        letters[to : to + length] = copy
    return _in_lines(random, letters.tobytes(), size)


def proteins(random: Random, size: int) -> bytes:
    """Sequences of amino acids, with families of relatives."""
    alphabet = np.frombuffer(b"ACDEFGHIKLMNPQRSTVWYX", np.uint8)
    shares = random.dirichlet(np.ones(21) * 4)
    family = random.choice(alphabet, 400, p=shares)
    text = b""
    while len(text) < size:
        length = int(random.integers(60, 400))
        one = random.choice(alphabet, length, p=shares)
        if random.random() < 0.4:
            one = family[:length].copy()
            changed = random.random(one.size) < 0.2
            one[changed] = random.choice(alphabet, int(changed.sum()))
        text += _in_lines(random, one.tobytes(), length + 40)
    return text[:size]


def _in_lines(random: Random, letters: bytes, size: int) -> bytes:
    if random.random() < 0.2:
        letters = letters.lower()
    width = int(random.choice([50, 60, 60, 70, 80]))
    lines = [letters[i : i + width] for i in range(0, len(letters), width)]
    lines.insert(0, b">seq%d" % random.integers(100_000))
    return b"\n".join(lines)[: size - 1] + b"\n"


Maker = Callable[[Random, int], bytes]
NUMBERS: tuple[Maker, ...] = (table, table, table, wrapped_numbers, mesh, track, event_log, hex_listing)
BINARY: tuple[Maker, ...] = (records, records, picture)
SEQUENCES: tuple[Maker, ...] = (genome, genome, genome, proteins)
