"""Every table of README and docs, from result files: ``python -m llmzip.benchmarks.tables [--check]``.

A table stands between two lines, ``<!-- table: NAME -->`` and ``<!-- end -->``; what is between them belongs to this
command. NAME is one of ``TABLES``, with what it takes after a space. With ``--check`` nothing is written, and the
command fails where a file differs from what it would write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from llmzip.benchmarks import results
from llmzip.benchmarks.bench_page import is_ours, points, totals
from llmzip.benchmarks.kinds import losses
from llmzip.benchmarks.measured import speed, times_as_fast
from llmzip.benchmarks.peers import CAUSAL, YARDSTICK
from llmzip.benchmarks.plots import curves, size_against_speed
from llmzip.benchmarks.results import Result

ROOT = Path(__file__).parent.parent
_BLOCK = re.compile(r"(<!-- table: ([^\n]+?) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

Row = dict[str, Any]


class CannotWrite(Exception):
    """A table that nobody knows, or a marker without its end."""


def markdown(head: list[str], rows: Iterable[list[str]], right_from: int = 1) -> str:
    """A table whose columns are numbers from ``right_from`` on."""
    rule = ["---" if i < right_from else "---:" for i in range(len(head))]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in [head, rule, *rows])


def _count(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def measured_on(result: Result) -> str:
    machine = result["machine"]
    sets = f" ({machine['instruction_sets']})" if machine["instruction_sets"] else ""
    versions = ", ".join(dict.fromkeys(version for version in result["versions"].values() if version))
    with_versions = f" With {versions}." if versions else ""
    return (
        f"\n{machine['cpu']}{sets}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}, "
        f"Python {machine['python']}, {result['date']}.{with_versions}\n"
    )


def _smallest_bold(sizes: dict[str, int | None], names: list[str]) -> list[str]:
    smallest = min((size for size in sizes.values() if size is not None), default=None)
    cells = (sizes.get(name) for name in names)
    return [f"**{_count(size)}**" if size is not None and size == smallest else _count(size) for size in cells]


def _ours_first(names: Iterable[str]) -> list[str]:
    """Our levels from the smallest files down, then the others as they come."""
    names = list(dict.fromkeys(names))
    return sorted(filter(is_ours, names), reverse=True) + [name for name in names if not is_ours(name)]


def _sizes(result: Result) -> str:
    """Bytes of every file under every compressor."""
    files = result["files"]
    names = _ours_first(row["peer"] for measured in files for row in measured["rows"])
    rows = []
    for measured in files:
        sizes = {row["peer"]: row["bytes"] if row.get("restored") else None for row in measured["rows"]}
        rows.append([measured["file"], _count(measured["bytes"]), *_smallest_bold(sizes, names)])
    return markdown(["file", "bytes", *names], rows) + measured_on(result)


def _speeds(result: Result, file: str = "") -> str:
    """Bytes, speed and memory of every compressor on one file, the largest unless it is named."""
    chosen = [measured for measured in result["files"] if not file or measured["file"] == file]
    if not chosen:
        raise CannotWrite(f"no file {file!r} in the result")
    measured = max(chosen, key=lambda each: each["bytes"])
    good = sorted((row for row in measured["rows"] if row.get("restored")), key=lambda row: row["bytes"])
    yardstick = next((row for row in good if row["peer"] == YARDSTICK), None)
    head = [measured["file"], "bytes", "bits per byte", "KB/s in", "KB/s out", "MiB in", "MiB out"]
    if yardstick:
        head += [f"x {YARDSTICK} in", f"x {YARDSTICK} out"]
    rows = []
    for row in good:
        size = measured["bytes"]
        cells = [row["peer"], _count(row["bytes"]), f"{8 * row['bytes'] / max(1, size):.3f}"]
        cells += [_figure(speed(size, row[f"seconds_{way}"])) for way in ("in", "out")]
        cells += [_count(row[f"mib_{way}"]) for way in ("in", "out")]
        if yardstick:
            cells += [_figure(times_as_fast(row, yardstick, way)) for way in ("in", "out")]
        rows.append(cells)
    return markdown(head, rows) + measured_on(result)


def _overview(result: Result) -> str:
    """What a reader wants to know first: size, speed and memory on the largest file, of compressors that people use."""
    measured = max(result["files"], key=lambda each: each["bytes"])
    size = measured["bytes"]
    good = [row for row in measured["rows"] if row.get("restored") and row["peer"] != CAUSAL]
    rows = [
        [row["peer"], _count(row["bytes"]), f"{8 * row['bytes'] / max(1, size):.2f}",
         *(_figure(speed(size, row[f"seconds_{way}"])) for way in ("in", "out")),
         _count(max(row["mib_in"], row["mib_out"]))]
        for row in sorted(good, key=lambda row: row["bytes"])
    ]  # fmt: skip
    head = [
        f"{measured['file']}, {size:,} bytes",
        "bytes",
        "bits per byte",
        "compressing, KB/s",
        "restoring, KB/s",
        "MiB",
    ]
    return markdown(head, rows) + measured_on(result)


def _kind_names(rows: list[Row]) -> tuple[list[str], str, str]:
    """Columns, and our fast and our default level."""
    ours = sorted({name for row in rows for name in row["sizes"] if is_ours(name)})
    theirs = list(dict.fromkeys(name for row in rows for name in row["sizes"] if not is_ours(name)))
    return ours + theirs, ours[0] if ours else "", ours[-1] if ours else ""


def _kinds(result: Result, part: str = "kinds") -> str:
    """Bytes by kind of text, and below the table where ours is not the smallest."""
    rows = result.get(part, [])
    names, fast, default = _kind_names(rows)
    lines = []
    for row in rows:
        cells = [row["kind"], _count(row["bytes"]), *_smallest_bold(row["sizes"], names)]
        mine, strongest = row["sizes"].get(default), row["sizes"].get(YARDSTICK)
        cells.append(f"{mine / strongest:.3f}" if mine and strongest else "-")
        lines.append(cells)
    text = markdown(["kind", "bytes", *names, f"default / {YARDSTICK}"], lines)
    if fast and fast != default:
        text += "".join(
            f"\n* {rule}: {', '.join(kinds) if kinds else 'none'}"
            for rule, kinds in losses(rows, fast, default).items()
        )
        text += "\n"
    return text + measured_on(result)


def _kind_files(result: Result) -> str:
    """Where each file comes from, and how much of it stands in the training text as it is."""
    shares = result.get("in_corpus", {})
    rows = []
    for row in result["kinds"]:
        share = f"{100 * shares[row['kind']]:.0f}" if row["kind"] in shares else "-"
        rows.append([row["kind"], _count(row["bytes"]), share, row["origin"]])
    return markdown(["kind", "bytes", "% in training text", "from"], rows)


def _many_files(result: Result) -> str:
    rows = [[row["way"], _count(row["bytes"]), f"{row['bytes'] / result['plain']:.3f}"] for row in result["rows"]]
    head = [f"{result['count']} files, {result['plain']:,} bytes", "bytes in all", "of what they were"]
    return markdown(head, rows) + measured_on(result)


def _stream(result: Result) -> str:
    rows = []
    for run in result["runs"]:
        samples = run["samples"]
        tenth = max(1, len(samples) // 10)
        first, last = samples[tenth], samples[-1]
        before_last = samples[-1 - tenth]
        early = (first["seconds"] - samples[0]["seconds"]) / max(1e-9, first["mb"] - samples[0]["mb"])
        late = (last["seconds"] - before_last["seconds"]) / max(1e-9, last["mb"] - before_last["mb"])
        rows.append(
            [run["way"], _figure(run["mb"]), _count(run["packed"]), f"{early:.2f}", f"{late:.2f}",
             _count(max(sample["mib"] for sample in samples[: len(samples) // 2])), _count(run["peak_mib"])]
        )  # fmt: skip
    head = ["way", "MB", "bytes", "seconds a MB, first tenth", "last tenth", "MiB, first half", "MiB in all"]
    return markdown(head, rows) + measured_on(result)


def _stream_repeats(result: Result) -> str:
    """What one byte more than a block of repeats costs."""
    rows = [[_count(each["bytes"]), _count(each["packed"])] for each in result.get("repeats", [])]
    return markdown(["bytes of repeats", "bytes compressed"], rows)


def _stream_plots(result: Result) -> str:
    """The plots, which are there where the result is."""
    titles = {"seconds": "Seconds against megabytes read", "memory": "Memory against megabytes read"}
    return "\n\n".join(f"![{title}](stream-{name}.svg)" for name, title in titles.items()) + "\n"


def _corpus(result: Result) -> str:
    """What a megabyte of a corpus costs as it grows, in milliseconds of a worker's processor and of the clock."""
    rows = [
        [_count(run[key]) for key in ("mb", "archives", "packed")]
        + [_count(1000 * run[key] / run["mb"]) for key in ("cpu_seconds", "coding_seconds", "seconds")]
        for run in result["runs"]
    ]
    head = ["MB", "archives", "bytes", "processor, ms per MB", "of this compressing", "wall clock, ms per MB"]
    note = f" {result['note']}" if result["note"] else ""
    return markdown(head, rows) + measured_on(result).rstrip() + f" Workers: {result['workers']}.{note}\n"


def _corpus_picture(result: Result) -> str:
    """The plot, which is there where the result is."""
    return "![Milliseconds per MB against MB in the corpus](corpus-cost.svg)\n"


def _corpus_overheads(result: Result) -> str:
    overheads = result["overheads"]
    rows = [
        ["starting a local cluster", f"{overheads['start_seconds']:.1f} s"],
        ["scheduler, per task (one that does nothing)", f"{1000 * overheads['seconds_a_task']:.2f} ms"],
        ["finding and planning, per file", f"{1000 * overheads['seconds_a_file']:.3f} ms"],
        ["manifest, per file", f"{overheads['manifest_bytes_a_file']:,} bytes"],
    ]
    return markdown(["what", "measured"], rows)


def _corpus_many(result: Result) -> str:
    """What the figures come to for a terabyte on 100 machines of 16 cores each: calculated, not run."""
    run, overheads = result["runs"][-1], result["overheads"]
    megabytes, cores, archive_mb = 1_000_000, 1600, 16 * 1.048576
    tasks = megabytes / archive_mb
    of_task = archive_mb * run["cpu_seconds"] / run["mb"]
    rows = [
        ["tasks of 16 MiB", _count(tasks)],
        ["one task, on one core", f"{of_task:.0f} s"],
        ["everything, if every core is busy", f"{tasks * of_task / cores / 60:.0f} min"],
        ["of this, work of the scheduler and the client", f"{tasks * overheads['seconds_a_task'] / 60:.1f} min"],
        ["cores that one scheduler can keep busy", _count(of_task / overheads["seconds_a_task"])],
        ["the manifest, in files of 16 MiB", f"{tasks * run['manifest_bytes'] / run['archives'] / 1e6:.0f} MB"],
        ["the manifest, in files of 4 KB", f"{megabytes / 0.004 * overheads['manifest_bytes_a_file'] / 1e9:.0f} GB"],
        ["data read, by all machines together", f"{megabytes / (tasks * of_task / cores):,.0f} MB/s"],
    ]  # fmt: skip
    return markdown(["1 TB, `-1`, 100 machines of 16 cores", "calculated"], rows)


def _rows(result: Result) -> str:
    """A result that is a table already: ``head`` and ``rows``."""
    return markdown(result["head"], ([str(cell) for cell in row] for row in result["rows"])) + measured_on(result)


def _scaling(result: Result, part: str) -> str:
    """Of the scaling law: ``runs``, the ``laws`` through them, or what the last of these says of more ``compute``."""
    if part == "runs":
        rows = [
            [run["shape"], f"{run['tokens']:,}", f"{run['operations']:.3g}", f"{run['bits_per_byte']:.3f}"]
            for run in result["runs"]
        ]
        return markdown(["shape", "tokens", "operations", "bits per byte"], rows)
    if part == "laws":
        more = list(result["gpu_hours"])
        rows = [
            [
                f"{law['name']}: {law['floor']:.3f} + {law['scale']:.4g} · operations^-{law['exponent']:.3f}",
                f"{law['largest_error']:.1%}",
                *(f"{law['foretold'][times]:.3f}" for times in more),
            ]
            for law in result["laws"]
        ]
        head = ["law", "largest error", *(f"{int(times):,} times" if times != "1" else "shipped" for times in more)]
        return markdown(head, rows)
    if part == "compute":
        last = result["large"][-1]["operations"]
        rows = [
            [f"{int(times):,}", f"{int(times) * last:.2g}", f"{hours:.3g}",
             *(f"{law['foretold'][times]:.3f}" for law in result["laws"][-2:])]
            for times, hours in result["gpu_hours"].items()
        ]  # fmt: skip
        return markdown(["times the operations", "operations", "GPU-hours", "bits per byte", "by the last law"], rows)
    raise CannotWrite(f"no part {part!r} of the scaling law")


def _training(result: Result) -> str:
    """Bits per byte of each domain of validation text at the end of the shipped model's training."""
    last = next(row for row in reversed(result["log"]) if "domains" in row)
    domains = ", ".join(f"{name} {bits:.3f}" for name, bits in sorted(last["domains"].items()))
    return f"{domains}.\n" + measured_on(result)


def _paper(result: Result, part: str) -> str:
    """What one part of ``benchmarks.paper`` found."""
    if part not in result["parts"]:
        return f"Not measured yet: `python -m llmzip.benchmarks.paper CORPUS OUT --only {part}`.\n"
    found = result["parts"][part]
    return markdown(found["head"], found["rows"]) + (
        f"\n{found['operations']:.2g} operations a model, {found['minutes']} minutes, {found['device']}: "
        + measured_on(found | {"date": found["machine"]["date"], "versions": {}}).strip()
        + "\n"
    )


def _adapted(result: Result) -> str:
    """What adapting gives on held-back text and on text of other kinds, against the text adapted to."""
    rows = []
    for row in sorted(result["rows"], key=lambda row: (row["domain"], row["steps"], row["bytes"])):
        cells = [row["domain"], f"{row['bytes'] / 1e6:.3g}", _count(row["steps"])]
        cells += [_count(row["seconds"]), _count(row["file_bytes"])]
        for part in ("held", "other"):
            shipped, adapted = (row[part][model]["bytes"] for model in ("shipped", "adapted"))
            cells += [_count(shipped), _count(adapted), f"{100 * (adapted / shipped - 1):+.1f} %"]
        rows.append(cells)
    head = ["domain", "MB adapted to", "steps", "core seconds", "bytes of the file"]
    head += ["held back", "adapted", "", "other kinds", "adapted", ""]
    domains: dict[str, list[str]] = {}
    for row in result["rows"]:
        own = domains.setdefault(measured_on({**row, "date": row["machine"]["date"], "versions": {}}).strip(), [])
        own += [row["domain"]] * (row["domain"] not in own)
    return markdown(head, rows) + "".join(f"\n{', '.join(own)}: {machine}\n" for machine, own in domains.items())


TABLES: dict[str, tuple[str, Callable[..., str]]] = {
    "sizes": ("bench", _sizes),
    "speeds": ("bench", _speeds),
    "overview": ("bench", _overview),
    "levels": ("levels", _speeds),
    "kinds": ("kinds", _kinds),
    "kind-files": ("kinds", _kind_files),
    "many-files": ("many_files", _many_files),
    "stream": ("stream", _stream),
    "stream-repeats": ("stream", _stream_repeats),
    "first-text": ("first_text", _rows),
    "stream-plots": ("stream", _stream_plots),
    "corpus": ("corpus", _corpus),
    "corpus-plot": ("corpus", _corpus_picture),
    "corpus-many": ("corpus", _corpus_many),
    "corpus-overheads": ("corpus", _corpus_overheads),
    "repetition": ("repetition", _rows),
    "slices": ("slices", _rows),
    "time-shares": ("time_shares", _rows),
    "transforms": ("transforms", _rows),
    "transforms-by-domain": ("transforms_by_domain", _rows),
    "access": ("access", _rows),
    "validation": ("validation", _rows),
    "scaling": ("scaling", _scaling),
    "training": ("training", _training),
    "paper": ("paper", _paper),
    "adapted": ("adapt", _adapted),
}
"""By name: the result file, and what makes the table of it and of the words after the name."""


def _size_plot(result: Result) -> str:
    drawn = [point for point in points(totals(result["files"]), "out") if point.name != CAUSAL]
    return size_against_speed(drawn, 820, 440, "restoring, KB/s", alone=True)


def _stream_plot(value: str, title: str) -> Callable[[Result], str]:
    def draw(result: Result) -> str:
        lines = [(run["way"], [(s["mb"], s[value]) for s in run["samples"]]) for run in result["runs"]]
        return curves(lines, 760, 320, "MB read", title)

    return draw


def _corpus_plot(result: Result) -> str:
    lines = [
        (words, [(run["mb"], 1000 * run[key] / run["mb"]) for run in result["runs"]])
        for words, key in (("processor", "cpu_seconds"), ("wall clock", "seconds"))
    ]
    return curves(lines, 760, 320, "MB in the corpus", "ms per MB")


PLOTS: dict[str, tuple[str, Callable[[Result], str]]] = {
    "docs/size-speed.svg": ("bench", _size_plot),
    "docs/stream-seconds.svg": ("stream", _stream_plot("seconds", "seconds")),
    "docs/stream-memory.svg": ("stream", _stream_plot("mib", "MiB")),
    "docs/corpus-cost.svg": ("corpus", _corpus_plot),
}
"""By path: the result file, and what draws it."""


def table(words: str, folder: Path = results.RESULTS) -> str:
    """The table called ``words``, the name and what it takes.

    Raises:
        CannotWrite: there is no such table.
    """
    name, _, argument = words.partition(" ")
    if name not in TABLES:
        raise CannotWrite(f"no table {name!r}; there are {', '.join(TABLES)}")
    source, make = TABLES[name]
    result = results.load(source, folder)
    if result is None:
        return f"Not measured yet: there is no benchmarks/results/{source}.json.\n"
    return make(result, argument) if argument else make(result)


def with_tables(text: str, folder: Path = results.RESULTS) -> str:
    """``text`` with every table in it as the result files have it.

    Raises:
        CannotWrite: a table that does not exist, a marker without its end.
    """
    if text.count("<!-- table: ") != len(_BLOCK.findall(text)):
        raise CannotWrite("a table's marker has no <!-- end -->")
    return _BLOCK.sub(lambda found: f"{found[1]}{table(found[2], folder)}{found[4]}", text)


def documents(root: Path) -> list[Path]:
    return [path for path in (root / "README.md", *sorted((root / "docs").rglob("*.md"))) if path.exists()]


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; fail if something would change.")
@click.option("--root", type=click.Path(exists=True, file_okay=False, path_type=Path), default=ROOT, hidden=True)
@click.option("--results", "folder", type=click.Path(path_type=Path), default=results.RESULTS, hidden=True)
def main(check: bool, root: Path, folder: Path) -> None:
    """Write every table and plot of README and docs from the result files."""
    wanted: dict[Path, str] = {}
    for path in documents(root):
        try:
            wanted[path] = with_tables(path.read_text(encoding="utf-8"), folder)
        except CannotWrite as problem:
            raise click.ClickException(f"{path.relative_to(root)}: {problem}") from None
    for name, (source, draw) in PLOTS.items():
        result = results.load(source, folder)
        if result is not None:
            wanted[root / name] = draw(result) + "\n"
    changed = [path for path, text in wanted.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    for path in changed:
        click.echo(f"{path.relative_to(root)}: {'differs from the result files' if check else 'written'}")
        if not check:
            path.write_text(wanted[path], encoding="utf-8")
    if check and changed:
        raise click.ClickException("run python -m llmzip.benchmarks.tables")


if __name__ == "__main__":
    main()
