"""A self-contained HTML page that shades a text by the entropy of its tokens."""

from __future__ import annotations

import html
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from llmzip.estimates import TokenEntropies

SHADES = 12
BITS_PER_SHADE = 1.0

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #1b1b1f; --page: #fff; --hue: 24; --shade: 70%; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e6e6ea; --page: #17171a; --shade: 42%; }} }}
body {{ margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: var(--ink); background: var(--page);
  font: 15px/1.5 system-ui, sans-serif; }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; font: 14px/1.6 ui-monospace, monospace; }}
.legend span {{ padding: .2rem .5rem; font-size: 13px; }}
{shades}
</style>
<h1>{title}</h1>
<p>{bytes} bytes, {tokens} tokens: {bits_per_byte} bits per byte, {bits_per_token} bits per token.
Point at a token for its figures: surprisal (bits it cost) and entropy (bits expected before it was seen).</p>
<p class="legend">{legend_title}: {legend}</p>
<pre>{text}</pre>
</html>
"""


class Shading(NamedTuple):
    """An estimate that shades a page: its name and values ``[T]``, in bits or as shares of the greatest, 0 to 1."""

    name: str
    values: NDArray[np.float64]
    as_share: bool


def entropy_page(title: str, text: bytes, estimates: TokenEntropies, shown: Shading | None = None) -> str:
    """Return the page, shaded by surprisal or by another estimate.

    Tokens that share a character are joined, so that every mark holds whole characters.
    """
    name, values, as_share = shown or Shading("surprisal", estimates.surprisal, as_share=False)
    bits_per_shade = 1 / SHADES if as_share else BITS_PER_SHADE
    marks: list[str] = []
    pending = b""
    surprisal = predicted = value = 0.0
    for start, length, bits, expected, one_value in zip(*estimates[:4], values, strict=True):
        pending += text[start : start + length]
        surprisal += bits
        predicted += expected
        value += one_value
        try:
            character_text = pending.decode()
        except UnicodeDecodeError:
            if len(pending) < 4 and start + length < len(text):
                continue
            character_text = pending.decode(errors="replace")
        figures = f"surprisal {surprisal:.2f}, entropy {predicted:.2f} bits"
        if shown:
            figures += f", {name} {value:.2f}"
        shade = min(SHADES - 1, max(0, int(value / bits_per_shade)))
        marks.append(f'<span class="s{shade}" title="{figures}">{html.escape(character_text)}</span>')
        pending, surprisal, predicted, value = b"", 0.0, 0.0, 0.0
    alphas = [0.92 * shade / (SHADES - 1) for shade in range(SHADES)]
    shades = "\n".join(
        f".s{shade} {{ background: hsl(var(--hue) 90% var(--shade) / {alpha:.2f}) }}"
        for shade, alpha in enumerate(alphas)
    )
    legend = "".join(
        f'<span class="s{shade}">{shade * bits_per_shade:.2g}{"+" if shade == SHADES - 1 else ""}</span>'
        for shade in range(SHADES)
    )
    legend_title = name.capitalize() + (", share of the greatest" if as_share else " in bits")
    return _PAGE.format(
        title=html.escape(title), shades=shades, legend=legend, legend_title=legend_title, text="".join(marks),
        **estimates.summary(),
    )  # fmt: skip
