"""What the core codes, plain Python reads: hashes, counters, mixers, matches and coder are what the reference says."""

from __future__ import annotations

import pytest

from llmzip.core import _native
from llmzip.mixing import context, logistic, mixed
from llmzip.progress import SILENT
from tests.mixing.models import BigramCoder, BigramModel
from tests.mixing.reference import SQUASHED, ContextReference, MixedReference

TEXT = (
    b"The quick brown fox; the quick brown fox.\n\n<p id='x'>1,234 a/b</p>\n    indented the Quick\n    indented of\n"
    b"\x00\xff\xc3\xa9 12:30 and the quick brown fox jumps over the quick brown fox again\n"
)


def test_squash_table() -> None:
    assert logistic.SQUASH.tolist() == SQUASHED


@pytest.mark.parametrize("table_bits", [10, 14])
def test_context_mode(table_bits: int) -> None:
    learned = context.new_learned_state()
    models = _native.context_new(table_bits, context.RATES, *learned)
    _native.context_begin_encoding(models, TEXT * 2, 0, 1000)
    assert _native.context_code(models, 1000) == 0
    coded = _native.context_finish(models)
    assert ContextReference(table_bits, learned).decode(coded, 2 * len(TEXT)) == TEXT * 2


@pytest.mark.parametrize(("table_bits", "lane_bytes"), [(10, [len(TEXT)]), (13, [60, 0, 1, len(TEXT) - 61])])
def test_mixed_mode(table_bits: int, lane_bytes: list[int]) -> None:
    model = BigramModel()
    coder = BigramCoder(model, table_bits)
    coded = coder.encode(TEXT, lane_bytes, 0, None, SILENT)
    assert coded is not None
    tokenizer = model.tokenizer
    vocabulary = [tokenizer.token_bytes[i, :n].tobytes() for i, n in enumerate(tokenizer.token_lengths)]
    reference = MixedReference(
        vocabulary,
        lambda token: model.frequencies(token).tolist(),
        model.start_token,
        table_bits,
        mixed.new_learned_state(),
    )
    assert reference.decode(coded, lane_bytes) == TEXT
