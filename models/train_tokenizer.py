"""Train the byte-level vocabulary: ``python -m llmzip.models.train_tokenizer CORPUS OUT.vocab``.

Byte-pair merges are learned with ``tokenizers`` on a sample weighted by domain. Only the byte strings of the tokens
are kept: the run time segments by longest match (see ``llmzip.network.tokenizer``), which needs no merge order.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from llmzip.models.domains import domain_files, domain_weights, read_domain
from llmzip.network.tokenizer import Tokenizer

SAMPLE_BYTES = 60_000_000
PIECE_BYTES = 100_000
STUDY_VOCABULARY = 1024
STUDY_SAMPLE_BYTES = 3_000_000
PRETOKEN_PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+|\p{N}{1,4}| ?[^\s\p{L}\p{N}]+[\r\n]*|[\r\n]+ *|\s+(?!\S)|\s+"


def weighted_sample(corpus: Path, total_bytes: int) -> Iterator[str]:
    """Yield evenly spaced pieces of every domain, ``total_bytes`` in all, shared out by domain weight."""
    files = domain_files(corpus)
    weights = domain_weights(corpus)
    weight_sum = sum(weights.values())
    for name, path in files.items():
        text = read_domain(path)
        share = min(len(text), int(total_bytes * weights[name] / weight_sum))
        pieces = max(1, share // PIECE_BYTES)
        for i in range(pieces):
            start = i * len(text) // pieces
            yield from text[start : start + share // pieces].decode("utf-8", "replace").split("\0")


def learn_vocabulary(corpus: Path, size: int, sample_bytes: int = SAMPLE_BYTES) -> list[bytes]:
    """Return ``size`` distinct byte strings in lexicographic order, the 256 single bytes among them."""
    import tokenizers
    from tokenizers import Regex, models, pre_tokenizers, trainers

    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKEN_PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, max_token_length=24)
    tokenizer.train_from_iterator(weighted_sample(corpus, sample_bytes), trainer)
    # ByteLevel shows every byte as one printable character: these bytes as themselves, the others from U+0100 on.
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    byte_of = {chr(byte): byte for byte in printable}
    byte_of |= {chr(0x100 + i): byte for i, byte in enumerate(b for b in range(256) if b not in printable)}
    return sorted(bytes(byte_of[c] for c in token) for token in tokenizer.get_vocab())


def pack_vocabulary(vocabulary: list[bytes]) -> bytes:
    """The vocabulary as :meth:`llmzip.network.tokenizer.Tokenizer.from_bytes` reads it."""
    return b"".join(bytes([len(token)]) + token for token in vocabulary)


def study_tokenizer(corpus: Path, kept: Path) -> Tokenizer:
    """A small tokenizer of ``STUDY_VOCABULARY`` tokens, learned from ``corpus`` unless ``kept`` has it already."""
    if not kept.exists():
        kept.write_bytes(pack_vocabulary(learn_vocabulary(corpus, STUDY_VOCABULARY, STUDY_SAMPLE_BYTES)))
    return Tokenizer.from_bytes(kept.read_bytes())


def main() -> None:
    corpus, out = Path(sys.argv[1]), Path(sys.argv[2])
    vocabulary = learn_vocabulary(corpus, 8192)
    out.write_bytes(pack_vocabulary(vocabulary))
    print(f"{len(vocabulary)} tokens, mean length {sum(map(len, vocabulary)) / len(vocabulary):.2f} bytes")


if __name__ == "__main__":
    main()
