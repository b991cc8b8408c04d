"""The page that ``llmzip bench --html`` writes: one file, nothing loaded from elsewhere."""

from __future__ import annotations

import html
from typing import Any

from llmzip.benchmarks.measured import speed, times_as_fast
from llmzip.benchmarks.peers import YARDSTICK
from llmzip.benchmarks.plots import STYLE, Point, size_against_speed

WIDE, NARROW = (900, 480), (350, 460)
"""Two drawings of each plot, so that words keep their size; the page shows the one that fits."""
ENOUGH_FOR_WIDE = 960

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>llmzip bench</title>
<style>
:root {{ color-scheme: light dark; --ground: #fbfbfd; --card: #fff; --ink: #1c2330; --soft: #5b6475; --line: #dfe3ea;
  --ours: #b3401d; --bar: #dbe6f1; --our-bar: #f6ddd2 }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ground: #14171d; --card: #1b1f27; --ink: #e6e9ef; --soft: #a2abbb; --line: #343b48; --ours: #ff9a6b;
    --bar: #2a3a4c; --our-bar: #4d3326 }}
}}
* {{ box-sizing: border-box }}
body {{ margin: 0 auto; padding: 1.2rem 1rem 3rem; max-width: 62rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif }}
h1 {{ font-size: 1.5rem; margin: 0 0 .2rem }} h2 {{ font-size: 1.15rem; margin: 2.2rem 0 .5rem }}
p {{ max-width: 46rem; margin: .4rem 0 }} .soft, caption {{ color: var(--soft); font-size: .875rem }}
.card {{ background: var(--card); border: 1px solid var(--line); border-radius: 8px; overflow-x: auto;
  padding: .4rem .6rem; margin: 0 0 .8rem }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: .9rem }}
caption {{ text-align: left; padding: .2rem .4rem }}
th, td {{ text-align: right; padding: .28rem .5rem; white-space: nowrap; border-top: 1px solid var(--line) }}
thead th {{ border-top: 0; font-weight: 600; color: var(--soft); vertical-align: bottom }}
th:first-child, td:first-child {{ text-align: left; position: sticky; left: 0; background: var(--card) }}
td.error {{ text-align: left; white-space: normal }}
tr.ours td:first-child {{ color: var(--ours); font-weight: 600 }}
td.size {{ background: linear-gradient(to right, var(--bar) var(--share), transparent var(--share)) }}
tr.ours td.size {{ background: linear-gradient(to right, var(--our-bar) var(--share), transparent var(--share)) }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: .3rem 0; font-size: .9rem }}
dt {{ color: var(--soft) }} dd {{ margin: 0; overflow-wrap: anywhere }}
.narrow {{ display: none }} svg {{ display: block; margin: 0 auto; max-width: 100%; height: auto }}
@media (max-width: {enough}px) {{ .wide {{ display: none }} .narrow {{ display: block }} }}
{plot_style}
</style>
</head>
<body>
<h1>llmzip bench</h1>
<p>{summary}</p>
<h2>Bits per byte against speed</h2>
<p class="soft">All files together. Lower is smaller, further right is faster; each vertical line is ten times the speed
of the one before. Compressors that are neither smaller nor faster than another lie above and to the left of it.</p>
{plots}
{tables}
<h2>Measured on</h2>
<div class="card"><dl>{facts}</dl></div>
<p class="soft">Each compressor ran in a process of its own, each way, and what it restored was compared byte for byte.
Seconds are wall time; memory is the greatest resident set, for compressors called from Python with Python's own.</p>
</body>
</html>
"""


def is_ours(name: str) -> bool:
    return name.startswith("llmzip")


def totals(files: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums over all files of the compressors that restored every one, as if they were one file."""
    size = sum(measured["bytes"] for measured in files)
    rows: list[dict[str, Any]] = []
    for first in files[0]["rows"] if files else []:
        parts = [row for measured in files for row in measured["rows"] if row["peer"] == first["peer"]]
        if len(parts) != len(files) or not all(row.get("restored") for row in parts):
            continue
        total = {"peer": first["peer"], "restored": True}
        for name in ("bytes", "seconds_in", "seconds_out"):
            total[name] = sum(row[name] for row in parts)
        for name in ("mib_in", "mib_out"):
            total[name] = max(row[name] for row in parts)
        rows.append(total)
    return {"file": "all files", "bytes": size, "rows": rows}


def points(summed: dict[str, Any], way: str) -> list[Point]:
    """What the plot shows: speed of ``way``, "in" or "out"."""
    size = summed["bytes"]
    return [
        Point(
            row["peer"], speed(size, row[f"seconds_{way}"]), 8 * row["bytes"] / max(1, size), is_ours(row["peer"])
        )
        for row in summed["rows"]
    ]  # fmt: skip


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.1f}" if value >= 10 else f"{value:,.2f}"


def _table(measured: dict[str, Any], yardstick: str = YARDSTICK) -> str:
    size = measured["bytes"]
    good = [row for row in measured["rows"] if row.get("restored")]
    bad = [row for row in measured["rows"] if not row.get("restored")]
    reference = next((row for row in good if row["peer"] == yardstick), None)
    largest = max((row["bytes"] for row in good), default=1)
    head = ["compressor", "bytes", "bits per byte", "KB/s in", "KB/s out", "MiB in", "MiB out"]
    if reference:
        head += [f"x {yardstick} in", f"x {yardstick} out"]
    lines = []
    for row in sorted(good, key=lambda row: row["bytes"]):
        cells = [
            f"<td>{html.escape(row['peer'])}</td>",
            f'<td class="size" style="--share: {100 * row["bytes"] / largest:.1f}%">{row["bytes"]:,}</td>',
            f"<td>{8 * row['bytes'] / max(1, size):.3f}</td>",
        ]
        for way in ("in", "out"):
            cells.append(f"<td>{_figure(speed(size, row[f'seconds_{way}']))}</td>")
        cells += [f"<td>{row[f'mib_{way}']:,}</td>" for way in ("in", "out")]
        if reference:
            for way in ("in", "out"):
                cells.append(f"<td>{_figure(times_as_fast(row, reference, way))}</td>")
        kind = ' class="ours"' if is_ours(row["peer"]) else ""
        lines.append(f"<tr{kind}>{''.join(cells)}</tr>")
    for row in bad:
        reason = html.escape(row.get("error", "not restored"))
        lines.append(
            f'<tr><td>{html.escape(row["peer"])}</td><td class="error" colspan="{len(head) - 1}">{reason}</td></tr>'
        )
    return (
        f'<div class="card"><table><thead><tr>{"".join(f"<th>{name}</th>" for name in head)}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def page(result: dict[str, Any]) -> str:
    """The page for a result of ``llmzip bench``."""
    files = result["files"]
    summed = totals(files)
    drawings = []
    for way, title in (("out", "restoring, KB/s"), ("in", "compressing, KB/s")):
        for kind, (width, height) in (("wide", WIDE), ("narrow", NARROW)):
            plot = size_against_speed(points(summed, way), width, height, title)
            drawings.append(f'<div class="card {kind}">{plot}</div>')
    ours = [row for row in summed["rows"] if is_ours(row["peer"])]
    names = ", ".join(html.escape(measured["file"]) for measured in files)
    summary = f"{len(files)} file{'s' * (len(files) != 1)}, {summed['bytes']:,} bytes: {names}."
    if ours:
        best = min(ours, key=lambda row: row["bytes"])
        bits = 8 * best["bytes"] / max(1, summed["bytes"])
        summary += f" The smallest of llmzip: {best['peer']}, {best['bytes']:,} bytes, {bits:.3f} bits per byte."
    machine = {str(key).replace("_", " "): value for key, value in result["machine"].items()}
    facts = "".join(
        f"<dt>{html.escape(str(key))}</dt><dd>{html.escape(str(value))}</dd>"
        for key, value in {**machine, **result["versions"]}.items()
    )
    sections = [("All files", summed)] if len(files) > 1 else []
    sections += [(f"{measured['file']}, {measured['bytes']:,} bytes", measured) for measured in files]
    tables = "".join(f"<h2>{html.escape(title)}</h2>{_table(part)}" for title, part in sections)
    return _PAGE.format(
        enough=ENOUGH_FOR_WIDE, plot_style=STYLE, summary=summary, plots="".join(drawings), tables=tables,
        facts=facts,
    )  # fmt: skip
