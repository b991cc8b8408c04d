"""What adapting a model gives, and costs: ``python -m llmzip.benchmarks.adapt FOLDER``.

FOLDER has a folder for each domain of text, in it ``adapt``, files to adapt to, and ``held``, files that neither the
model nor the adaptation has seen; and a folder ``other``, files of other kinds. docs/adapting.md says which they were.
Every held-back and other file is compressed by itself at the default level, with the shipped model and with the adapted
one, and restored.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import click

import llmzip
from llmzip.benchmarks import results
from llmzip.errors import LlmzError
from llmzip.models.adapt import DEFAULT_PRIMER_BYTES, DEFAULT_RANK, DEFAULT_STEPS, adapt
from llmzip.models.adapt_text import read_texts
from llmzip.network.model import forget_models, load_model

OTHER = "other"


def last_of(texts: list[bytes], size: int) -> list[bytes]:
    """The last texts that have ``size`` bytes together, the first of them cut."""
    kept: list[bytes] = []
    for text in reversed(texts):
        if size <= 0:
            break
        kept.append(text[-size:])
        size -= len(text)
    return kept[::-1]


def measure(texts: list[bytes], model: str | None = None, known: frozenset[bytes] = frozenset()) -> dict[str, Any]:
    """Bytes of the archives of all texts, each by itself, and processor seconds of compressing and restoring them.

    Args:
        known: archives that are known to restore, and need not do so again.

    Returns:
        ``bytes``, ``seconds_in``, ``seconds_out`` (None where some need not be restored), and ``archives``, which go
        into no result file.
    """
    archives: list[bytes] = []
    seconds_in, seconds_out, all_restored = 0.0, 0.0, True
    for text in texts:
        started = time.process_time()
        archives.append(llmzip.compress(text, model=model))
        seconds_in += time.process_time() - started
        if archives[-1] in known:
            all_restored = False
            continue
        started = time.process_time()
        if llmzip.decompress(archives[-1], model=model) != text:
            raise LlmzError("a text did not come back")
        seconds_out += time.process_time() - started
    size = sum(map(len, archives))
    seconds = {"seconds_in": round(seconds_in, 2), "seconds_out": round(seconds_out, 2) if all_restored else None}
    return {"bytes": size, **seconds, "archives": frozenset(archives)}


def _load_seconds(path: str | None) -> float:
    """Of all that a model needs before its first token."""
    forget_models()
    load_model(None)  # a base is loaded once
    started = time.perf_counter()
    model = load_model(path)
    _ = model.decoder, model.tokenizer
    return round(time.perf_counter() - started, 3)


def measure_domain(
    folder: Path, others: list[bytes], megabytes: float | None, steps: int, before: dict[str, Any]
) -> dict[str, Any]:
    """Adapt to the last ``megabytes`` of a domain's text, all if None; ``before`` is what the shipped model gives."""
    texts, _ = read_texts(folder / "adapt")
    if megabytes is not None:
        texts = last_of(texts, round(megabytes * 1e6))
    held, _ = read_texts(folder / "held")
    started = time.process_time()
    data, change = adapt(load_model(), texts, steps, progress=False)
    seconds = time.process_time() - started
    with tempfile.TemporaryDirectory() as made:
        path = str(Path(made) / "adapted.llmzmodel")
        Path(path).write_bytes(data)
        row: dict[str, Any] = {
            "domain": folder.name,
            "bytes": sum(map(len, texts)),
            "seconds": round(seconds, 1),
            "file_bytes": len(data),
            "steps": steps,
            "network_gain": None if change is None else round(change.gain, 4),
            "held_files": len(held),
            "held_bytes": sum(map(len, held)),
            "other_bytes": sum(map(len, others)),
            "load_seconds": {"shipped": _load_seconds(None), "adapted": _load_seconds(path)},
        }
        for part, own in (("held", held), (OTHER, others)):
            measured = {"shipped": before[part], "adapted": measure(own, path, before[part]["archives"])}
            row[part] = {
                which: {key: value for key, value in of.items() if key != "archives"} for which, of in measured.items()
            }
    return row


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--only", help="These domains, with commas between them.")
@click.option("--megabytes", default="all", show_default=True, help="Of text to adapt to, with commas: 0.5,all.")
@click.option("--steps", default=DEFAULT_STEPS, show_default=True, help="Of training the network.")
@results.json_option("adapt")
def main(folder: Path, only: str | None, megabytes: str, steps: int, target: Path) -> None:
    """Measure every domain of FOLDER; rows of other domains, or with other steps, stay in the result file."""
    names = only.split(",") if only else sorted(each.name for each in folder.iterdir() if each.name != OTHER)
    others, _ = read_texts(folder / OTHER)
    result = results.new_result([])
    result |= {"rank": DEFAULT_RANK, "primer_bytes": DEFAULT_PRIMER_BYTES, "rows": []}
    if (earlier := results.load(target.stem, target.parent)) is not None:
        result["rows"] = [row for row in earlier["rows"] if row["domain"] not in names or row["steps"] != steps]
    before_others = measure(others)
    for name in names:
        before = {"held": measure(read_texts(folder / name / "held")[0]), OTHER: before_others}
        for size in megabytes.split(","):
            row = measure_domain(folder / name, others, None if size == "all" else float(size), steps, before)
            result["rows"].append(row | {"machine": result["machine"]})
            results.save(result, target)
            shares = {
                part: 1 - row[part]["adapted"]["bytes"] / row[part]["shipped"]["bytes"] for part in ("held", OTHER)
            }
            click.echo(f"{row}\n{shares}")


if __name__ == "__main__":
    main()
