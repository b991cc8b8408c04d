"""Train the small model of the tests: ``python tests/train_tiny.py CORPUS``, some three minutes of one core.

It reads a little of some domains, so that it knows something of everything in ``golden/plain.txt``, and writes
``golden/tiny.llmzmodel``. Archives in ``golden`` that need the model have to be made again afterwards.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import torch

from llmzip.models.data import load_corpus
from llmzip.models.export import export_model
from llmzip.models.train import TrainingOptions, train
from llmzip.models.train_tokenizer import learn_vocabulary, pack_vocabulary
from llmzip.network.architecture import ModelConfig, StackConfig
from llmzip.network.tokenizer import Tokenizer

TINY = Path(__file__).parent / "golden" / "tiny.llmzmodel"
SAMPLE_BYTES = {
    "books": 500_000,
    "python": 100_000,
    "html": 150_000,
    "logs": 100_000,
    "novels-intl": 150_000,
}
CONFIG = ModelConfig(
    vocabulary=512,
    decoder=StackConfig(width=32, layers="cac", hidden=128, heads=2, kernel=4, window=64),
    encoder=StackConfig(width=32, layers="ca", hidden=32, heads=2, kernel=3, window=64),
    side_numbers=8,
    bigram_bits=10,
    bigram_width=0,
    trigram_bits=11,
    trigram_width=16,
)
OPTIONS = TrainingOptions(
    steps=900, cooldown_steps=500, sequences=16, length=128, side_share=0.25, rate=1.0, compile=False,
    evaluate_every=300,
)  # fmt: skip


def sample(corpus: Path, folder: Path) -> None:
    """Write the middle of every domain's text to ``folder``."""
    for name, size in SAMPLE_BYTES.items():
        with (corpus / f"{name}.txt").open("rb") as file:
            length = file.seek(0, 2)
            file.seek((length - size) // 2)
            (folder / f"{name}.txt").write_bytes(file.read(size))


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        sample(Path(sys.argv[1]), folder)
        packed = pack_vocabulary(learn_vocabulary(folder, CONFIG.vocabulary))
        tokenizer = Tokenizer.from_bytes(packed)
        domains = load_corpus(folder, tokenizer)
        model = train(CONFIG, OPTIONS, folder / "run", domains, domains, tokenizer.token_lengths)
    data = export_model(model, packed)
    TINY.write_bytes(data)
    print(f"{TINY}: {len(data)} bytes")


if __name__ == "__main__":
    main()
