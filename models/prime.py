"""Train the mixers and adaptive maps that ship with a model, on pieces of the training corpus.

``python -m llmzip.models.prime MODEL CORPUS OUT`` writes MODEL with primed mixing. Counter tables start empty with
every piece, as they do with every file; weights and maps live on.
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from llmzip.mixing.mixed import LearnedState, MixedCoder, new_learned_state
from llmzip.models.domains import DOMAIN_WEIGHTS, domain_files, read_domain
from llmzip.network.model import Model, load_model
from llmzip.progress import SILENT
from llmzip.settings import table_bits_for

PRIMING_RATES = (6, 2, 0)
PIECE_BYTES = (4_000, 12_000, 40_000)
"""Sizes of pieces, in turn: mixers learn both a file's cold start and what follows."""


def sample_pieces(corpus: Path, total_bytes: int, seed: int = 1) -> list[bytes]:
    """Random pieces of the corpus by domain weight, ``total_bytes`` in all."""
    random = np.random.default_rng(seed)
    texts = {name: read_domain(path) for name, path in domain_files(corpus).items()}
    names = list(texts)
    weights = np.array([DOMAIN_WEIGHTS.get(name, 1.0) for name in names])
    pieces: list[bytes] = []
    size = 0
    while size < total_bytes:
        text = texts[names[random.choice(len(names), p=weights / weights.sum())]]
        length = PIECE_BYTES[len(pieces) % len(PIECE_BYTES)]
        start = int(random.integers(max(1, len(text) - length)))
        pieces.append(text[start : start + length].replace(b"\0", b"\n"))
        size += length
    return pieces


def prime_mixing(model: Model, pieces: list[bytes], progress: bool = True) -> LearnedState:
    """Return mixers and maps trained on ``pieces``, each coded as a file of its own."""
    learned = new_learned_state()
    plain = coded = 0
    for i, piece in enumerate(pieces):
        coder = MixedCoder(model, table_bits_for(len(piece)), learned, rates=PRIMING_RATES)
        result = coder.encode(piece, [len(piece)], 0, None, SILENT)
        learned = coder.learned()
        plain, coded = plain + len(piece), coded + len(piece if result is None else result)
        if progress and i % 10 == 9:
            print(f"{plain} bytes, {8 * coded / plain:.4f} bits per byte so far", flush=True)
    return learned


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--megabytes", default=2.0, show_default=True, help="Text to learn from.")
def main(model: str, corpus: Path, out: Path, megabytes: float) -> None:
    """Prime MODEL's mixers on CORPUS and write it to OUT."""
    loaded = load_model(model)
    learned = prime_mixing(loaded, sample_pieces(corpus, int(megabytes * 1e6)))
    out.write_bytes(loaded.file.with_extras("mixing", learned._asdict()))


if __name__ == "__main__":
    main()
