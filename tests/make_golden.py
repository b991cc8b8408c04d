"""Make golden archives of what the format has gained: ``python tests/make_golden.py``.

The files of earlier additions stay as they are: ``tiny.llmzmodel`` (a network trained on 1 MB of text) and its
archives with version 1 of mixed mode. This writes ``tiny-ngrams.llmzmodel``, the same network with random hashed
embeddings and version 2 of mixed mode, and its archives.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from llmzip.container import VERSION
from llmzip.model import Model, load_model, pack_model, with_tensors
from llmzip.models.prime import prime_mixing
from llmzip.settings import Settings
from llmzip.streams import compress

GOLDEN = Path(__file__).parent / "golden"
TEXT = (GOLDEN / "plain.txt").read_bytes()
CASES = {
    "lane": Settings(),
    "4-lanes": Settings(lanes=4),
    "blocks": Settings(block_bytes=700),
    "independent": Settings(block_bytes=700, independent=True),
    "tokens": Settings(level=2, lanes=2),
}


def with_ngrams(tiny: Model) -> Model:
    """``tiny`` with random hashed embeddings of 4 bits: 128 pairs reach half of the channels, 64 triples a quarter.

    Mixers and maps are left out: those of version 1 of mixed mode do not fit version 2.
    """
    random = np.random.default_rng(4)
    width = tiny.config.decoder.width
    config = replace(
        tiny.config, bigram_bits=7, bigram_width=width // 2, bigram_weight_bits=4, trigram_bits=6,
        trigram_width=width // 4, mixing_version=2,
    )  # fmt: skip
    hashed: dict[str, NDArray] = {}
    for name, rows, columns in (("bigram", 128, width // 2), ("trigram", 64, width // 4)):
        hashed[f"decoder.{name}_embedding"] = random.integers(-7, 8, (rows, columns)).astype(np.int8)
        hashed[f"decoder.{name}_multiplier"] = random.integers(0, 1 << 25, rows).astype(np.int32)
    network = {name: tensor for name, tensor in tiny.tensors.items() if not name.startswith("mixing.")}
    return Model(pack_model(config, tiny.vocabulary, network | hashed))


def main() -> None:
    plain = with_ngrams(load_model(str(GOLDEN / "tiny.llmzmodel")))
    path = GOLDEN / "tiny-ngrams.llmzmodel"
    path.write_bytes(with_tensors(plain, "mixing", prime_mixing(plain, [TEXT[:3000]])._asdict()))
    for name, settings in CASES.items():
        archive = compress(TEXT, replace(settings, model=str(path)))
        (GOLDEN / f"v{VERSION}-ngrams-{name}.llmz").write_bytes(archive)


if __name__ == "__main__":
    main()
