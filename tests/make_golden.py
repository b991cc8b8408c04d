"""Make the tiny model and the golden archives: ``python tests/make_golden.py CORPUS``.

Run once for each format version; the files it wrote for earlier versions stay.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from llmzip.architecture import ModelConfig, StackConfig
from llmzip.container import VERSION
from llmzip.model import Model
from llmzip.models.data import load_corpus
from llmzip.models.export import export_model
from llmzip.models.prime import prime_mixing, with_mixing
from llmzip.models.train import TrainingOptions, train
from llmzip.models.train_tokenizer import learn_vocabulary
from llmzip.settings import Settings
from llmzip.streams import compress
from llmzip.tokenizer import Tokenizer

GOLDEN = Path(__file__).parent / "golden"
TINY = ModelConfig(
    vocabulary=512,
    decoder=StackConfig(width=32, layers="cac", hidden=64, heads=2, window=64),
    encoder=StackConfig(width=16, layers="ca", hidden=32, heads=2, window=64),
    side_numbers=8,
)
TEXT = (GOLDEN / "plain.txt").read_bytes()
CASES = {
    "mixed": Settings(),
    "mixed-4-lanes": Settings(lanes=4),
    "mixed-blocks": Settings(block_bytes=700),
    "mixed-independent": Settings(block_bytes=700, independent=True),
    "context": Settings(level=1),
    "context-blocks": Settings(level=1, block_bytes=700),
    "tokens": Settings(level=2, lanes=1),
    "tokens-8-lanes": Settings(level=2, lanes=8),
}


def main() -> None:
    corpus = Path(sys.argv[1])
    packed_tokens = learn_vocabulary(corpus, TINY.vocabulary, 1_000_000)
    packed = b"".join(bytes([len(token)]) + token for token in packed_tokens)
    tokenizer = Tokenizer.from_bytes(packed)
    domains = load_corpus(corpus, tokenizer)
    options = TrainingOptions(300, 100, length=64, warmup_steps=20, compile=False, evaluate_every=1000)
    with tempfile.TemporaryDirectory() as run:
        network = train(TINY, options, Path(run), domains, domains, tokenizer.token_lengths)
    plain = Model(export_model(network, packed))
    path = GOLDEN / "tiny.llmzmodel"
    path.write_bytes(with_mixing(plain, prime_mixing(plain, [TEXT[:3000]])))
    for name, settings in CASES.items():
        with_model = Settings(**{**settings.__dict__, "model": str(path)})
        (GOLDEN / f"v{VERSION}-{name}.llmz").write_bytes(compress(TEXT, with_model))


if __name__ == "__main__":
    main()
