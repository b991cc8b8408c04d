"""Make what context mode ships with: the primer, and mixers and adaptive maps.

``python -m llmzip.models.prime_context MODEL CORPUS FOLDER`` writes ``primer.txt``, text that MODEL continues from the
beginnings of passages in CORPUS, and ``context.npz``, mixers trained on other passages behind it. Both belong to the
format: files made with others are not readable with these.

A primer that the model writes is better than one of the same size cut from the corpus (docs/experiments.md), and
quotes nobody.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from llmzip.mixing.context import ContextCoder, new_learned_state
from llmzip.models.domains import domain_files, read_domain
from llmzip.models.prime import sample_pieces
from llmzip.network.model import Model, load_model
from llmzip.progress import SILENT
from llmzip.settings import table_bits_for

PASSAGES = {
    "books": 12,
    "enwikitext": 7,
    "english": 4,
    "python": 2,
    "c": 2,
    "wiki": 2,
    "json": 1,
    "man": 1,
    "linuxdoc": 1,
}
"""Passages of each domain that the primer continues."""
PROMPT_TOKENS = 150
CONTINUATION_TOKENS = 700
SHARPNESS = 1.15
"""Exponent of the model's probabilities: above 1, likelier words come more often."""
PRIMER_BYTES = 62_000


def write_primer(model: Model, corpus: Path, seed: int = 5) -> bytes:
    """Continue random passages of the corpus, all at once, and return the continuations."""
    random = np.random.default_rng(seed)
    files = domain_files(corpus)
    prompts = []
    for name, count in PASSAGES.items():
        text = read_domain(files[name])
        for _ in range(count):
            start = int(random.integers(len(text) - 4000))
            prompts.append(model.tokenizer.encode(text[start : start + 1500].replace(b"\0", b"\n"))[:PROMPT_TOKENS])
    predictor = model.predictor(len(prompts), PROMPT_TOKENS, None)
    cumulative = predictor(np.stack(prompts)).reshape(len(prompts), PROMPT_TOKENS, -1)[:, -1]
    written = []
    for _ in range(CONTINUATION_TOKENS):
        weights = np.diff(cumulative.astype(np.float64), axis=1) ** SHARPNESS
        shares = (weights / weights.sum(1, keepdims=True)).cumsum(1)
        tokens = (shares < random.random((len(prompts), 1))).sum(1).clip(0, shares.shape[1] - 1).astype(np.int32)
        written.append(tokens)
        cumulative = predictor(tokens[:, None])
    text = b"".join(model.tokenizer.decode(row) for row in np.stack(written, 1)).replace(b"\0", b"\n")[:PRIMER_BYTES]
    return text[: text.rindex(b"\n") + 1]


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--megabytes", type=float, default=8.0, show_default=True, help="Text to train the mixers on.")
@click.option("--keep-primer", is_flag=True, help="Train the mixers behind the primer that is there.")
def main(model: str, corpus: Path, folder: Path, megabytes: float, keep_primer: bool) -> None:
    """Write primer.txt and context.npz to FOLDER; the package must be installed in place to use them at once."""
    if not keep_primer:
        (folder / "primer.txt").write_bytes(write_primer(load_model(model), corpus))
    learned = new_learned_state()
    plain_bytes = coded_bytes = 0
    for piece in sample_pieces(corpus, round(megabytes * 1e6)):
        coder = ContextCoder(table_bits_for(len(piece)), learned)
        coded = coder.encode(piece, 0, SILENT)
        learned = coder.learned()
        plain_bytes += len(piece)
        coded_bytes += len(coded or piece)
    click.echo(f"{plain_bytes} bytes, {coded_bytes * 8 / plain_bytes:.4f} bits per byte")
    np.savez_compressed(folder / "context.npz", **learned._asdict())


if __name__ == "__main__":
    main()
