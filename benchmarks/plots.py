"""Plots as SVG, readable on light and dark grounds, without a plotting library."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

STYLE = """
.plot { font: 12px system-ui, sans-serif; --ink: #1c2330; --soft: #5b6475; --line: #dfe3ea; --ours: #b3401d;
  --theirs: #2f6f9f; --third: #5d7a2c }
@media (prefers-color-scheme: dark) {
  .plot { --ink: #e6e9ef; --soft: #a2abbb; --line: #343b48; --ours: #ff9a6b; --theirs: #84bfe8; --third: #b5d17f }
}
.plot text { fill: var(--ink) } .plot .tick, .plot .axis { fill: var(--soft) }
.plot .grid { stroke: var(--line); stroke-width: 1; fill: none }
.plot .ours { fill: var(--ours) } .plot .theirs { fill: var(--theirs) }
.plot text.ours { font-weight: 600 } .plot text.theirs { fill: var(--ink) }
.plot .leader { stroke: var(--soft); stroke-width: 0.8 }
.plot .curve { fill: none; stroke-width: 1.8; stroke-linejoin: round }
.plot .curve.a { stroke: var(--ours) } .plot .curve.b { stroke: var(--theirs) } .plot .curve.c { stroke: var(--third) }
.plot text.a { fill: var(--ours) } .plot text.b { fill: var(--theirs) } .plot text.c { fill: var(--third) }
"""
CHARACTER_WIDTH = 6.9
"""Of the font above, on average, generously."""
LABEL_HEIGHT = 15
MARGIN_LEFT, MARGIN_RIGHT, MARGIN_TOP, MARGIN_BOTTOM = 50, 14, 14, 42


@dataclass(frozen=True)
class Point:
    """One compressor in a plot of size against speed."""

    name: str
    speed: float
    bits_per_byte: float
    ours: bool


@dataclass(frozen=True)
class _Box:
    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: _Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def inside(self, other: _Box) -> bool:
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


def _label_boxes(x: float, y: float, width: float) -> list[tuple[_Box, bool]]:
    """Places for a label beside a point, the best first; whether it is far enough off to need a line to it."""
    places = []
    for distance in range(8):
        shift = distance * LABEL_HEIGHT
        half = LABEL_HEIGHT / 2
        for left in (x + 8, x - 8 - width):
            for top in dict.fromkeys((y - half - shift, y - half + shift)):
                places.append((_Box(left, top, left + width, top + LABEL_HEIGHT), distance > 0))
        for top in (y - 8 - LABEL_HEIGHT - shift, y + 8 + shift):
            places.append((_Box(x - width / 2, top, x + width / 2, top + LABEL_HEIGHT), distance > 0))
    return places


def _steps(low: float, high: float, wanted: int) -> list[float]:
    """Round numbers from ``low`` down to ``high`` up, about ``wanted`` of them."""
    rough = max(high - low, 1e-9) / wanted
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, last + 1)]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:g}"


def _document(width: int, height: int, parts: list[str], title: str, alone: bool) -> str:
    style = f"<style>{STYLE}</style>" if alone else ""
    namespace = ' xmlns="http://www.w3.org/2000/svg"' if alone else ""
    return (
        f'<svg{namespace} class="plot" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{html.escape(title)}">{style}{"".join(parts)}</svg>'
    )


def _frame(
    width: int, height: int, xs: list[tuple[float, str]], ys: list[tuple[float, str]], x_title: str, y_title: str
) -> list[str]:
    """Grid, ticks and titles; ticks are places in the drawing with their words."""
    bottom, right = height - MARGIN_BOTTOM, width - MARGIN_RIGHT
    parts = []
    for x, words in xs:
        parts.append(f'<path class="grid" d="M{x:.1f} {MARGIN_TOP}V{bottom}"/>')
        half = CHARACTER_WIDTH * len(words) / 2
        shown_at = min(x, width - 2 - half)
        parts.append(f'<text class="tick" x="{shown_at:.1f}" y="{bottom + 16}" text-anchor="middle">{words}</text>')
    for y, words in ys:
        parts.append(f'<path class="grid" d="M{MARGIN_LEFT} {y:.1f}H{right}"/>')
        parts.append(f'<text class="tick" x="{MARGIN_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{words}</text>')
    parts.append(
        f'<text class="axis" x="{(MARGIN_LEFT + right) / 2:.0f}" y="{height - 6}" text-anchor="middle">'
        f"{html.escape(x_title)}</text>"
    )
    middle = (MARGIN_TOP + bottom) / 2
    parts.append(
        f'<text class="axis" x="12" y="{middle:.0f}" text-anchor="middle" transform="rotate(-90 12 {middle:.0f})">'
        f"{html.escape(y_title)}</text>"
    )
    return parts


def size_against_speed(points: Sequence[Point], width: int, height: int, x_title: str, alone: bool = False) -> str:
    """Bits per byte (down is better) against speed in KB/s (right is better, each line ten times the one before)."""
    if not points:
        return ""
    low = math.floor(math.log10(min(point.speed for point in points)) - 0.05)
    high = max(low + 1, math.ceil(math.log10(max(point.speed for point in points)) + 0.05))
    y_ticks = _steps(min(p.bits_per_byte for p in points), max(p.bits_per_byte for p in points), 5)
    right, bottom = width - MARGIN_RIGHT, height - MARGIN_BOTTOM
    y_span = max(y_ticks[-1] - y_ticks[0], 1e-9)

    def place_x(speed: float) -> float:
        return MARGIN_LEFT + (math.log10(speed) - low) / (high - low) * (right - MARGIN_LEFT)

    def place_y(bits: float) -> float:
        return bottom - (bits - y_ticks[0]) / y_span * (bottom - MARGIN_TOP)

    every = max(1, math.ceil((high - low + 1) * 62 / (right - MARGIN_LEFT)))
    decades = range(low, high + 1, every)
    xs = [(place_x(10.0**power), _number(10.0**power)) for power in decades]
    parts = _frame(width, height, xs, [(place_y(y), _number(y)) for y in y_ticks], x_title, "bits per byte")
    room = _Box(MARGIN_LEFT + 1, MARGIN_TOP - 12, width - 1, bottom - 1)
    places = [(place_x(point.speed), place_y(point.bits_per_byte)) for point in points]
    taken = [_Box(x - 5, y - 5, x + 5, y + 5) for x, y in places]
    # Ours choose their places first, then from the smallest down.
    order = sorted(range(len(points)), key=lambda i: (not points[i].ours, points[i].bits_per_byte))
    for i in order:
        point, (x, y) = points[i], places[i]
        wide = CHARACTER_WIDTH * len(point.name)
        for box, needs_line in _label_boxes(x, y, wide):  # noqa: B007
            if box.inside(room) and not any(box.overlaps(other) for j, other in enumerate(taken) if j != i):
                break
        taken.append(box)
        kind = "ours" if point.ours else "theirs"
        note = f"{point.name}: {point.bits_per_byte:.3f} bits per byte, {point.speed:,.1f} KB/s"
        if needs_line:
            to_x = min(max(x, box.left), box.right)
            to_y = box.bottom if box.bottom < y else box.top if box.top > y else y
            parts.append(f'<path class="leader" d="M{x:.1f} {y:.1f}L{to_x:.1f} {to_y:.1f}"/>')
        # The box is wider than the words: they stand at the side that is next to the point.
        if box.left >= x:
            anchor, at = "start", box.left
        elif box.right <= x:
            anchor, at = "end", box.right
        else:
            anchor, at = "middle", (box.left + box.right) / 2
        parts.append(
            f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4.5"><title>{html.escape(note)}</title></circle>'
            f'<text class="{kind}" x="{at:.1f}" y="{box.top + 11:.1f}" text-anchor="{anchor}">'
            f"{html.escape(point.name)}</text>"
        )
    return _document(width, height, parts, f"bits per byte against {x_title}", alone)


def curves(
    lines: Sequence[tuple[str, Sequence[tuple[float, float]]]], width: int, height: int, x_title: str, y_title: str,
    alone: bool = True,
) -> str:  # fmt: skip
    """Up to three curves from nought, each named at its end."""
    everything = [point for _, points in lines for point in points]
    x_ticks = _steps(0, max(x for x, _ in everything), 6)
    y_ticks = _steps(0, max(y for _, y in everything) * 1.05, 5)
    right, bottom = width - MARGIN_RIGHT, height - MARGIN_BOTTOM

    def scale(ticks: list[float], start: float, end: float) -> Callable[[float], float]:
        return lambda value: start + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (end - start)

    place_x, place_y = scale(x_ticks, MARGIN_LEFT, right), scale(y_ticks, bottom, MARGIN_TOP)
    parts = _frame(
        width, height, [(place_x(x), _number(x)) for x in x_ticks], [(place_y(y), _number(y)) for y in y_ticks],
        x_title, y_title,
    )  # fmt: skip
    used: list[float] = []
    for (name, points), kind in zip(lines, "abc", strict=False):
        way = "L".join(f"{place_x(x):.1f} {place_y(y):.1f}" for x, y in points)
        parts.append(f'<path class="curve {kind}" d="M{way}"/>')
        label_y = place_y(points[-1][1]) - 7
        while any(abs(label_y - other) < LABEL_HEIGHT for other in used):
            label_y -= LABEL_HEIGHT
        used.append(label_y)
        parts.append(
            f'<text class="{kind}" x="{place_x(points[-1][0]) - 4:.1f}" y="{label_y:.1f}" text-anchor="end">'
            f"{html.escape(name)}</text>"
        )
    return _document(width, height, parts, f"{y_title} against {x_title}", alone)
