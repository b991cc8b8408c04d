"""What the core codes, plain Python reads: hashes, counters, mixers, matches and coder are what the reference says."""

from __future__ import annotations

import pytest

from llmzip.core import _native
from llmzip.mixing import context, logistic, mixed, wide
from llmzip.network.adapted_file import Primer
from llmzip.progress import SILENT
from tests.mixing.models import BigramCoder, BigramModel
from tests.mixing.reference import SQUASHED, ContextReference, MixedReference, WideReference

TEXT = (
    b"The quick brown fox; the quick brown fox.\n\n<p id='x'>1,234 a/b</p>\n    indented the Quick\n    indented of\n"
    b"\x00\xff\xc3\xa9 12:30 and the quick brown fox jumps over the quick brown fox again\n"
)


RECORDS = b"".join(
    b"v%d %.2f,%04d;%d\n  lat=%.3f  x-%d\n  %04x: 0f 1b %02x  mov\n"
    % (i, i * 1.25, i * 7, 3 - i, i * i / 8, i, i * 3, i)
    for i in range(6)
)
BINARY = bytes(range(40)) + b"".join(bytes([i, 0, 0, i * 3, 7, 255 - i, 1]) for i in range(36))
SEQUENCES = (
    b">seq one\nACGTTGCAAGCTAGGATCCATTAGC\nACGTTGCATGCTAGGATCCATTAGCACGTTGCA\nAGCTAGGATCCATT\n"
    b">two\nMKVLAAGIVGLCAKMKVLSAGIVGLCWK\nMKVLAAGIVG\n"
)
LONG_LINE = b"[" + b",".join(b'{"x":[%d.%d,%d]}' % (i, i % 7, 9 * i) for i in range(30)) + b"]\n"
PRIMER = TEXT + RECORDS[: len(RECORDS) // 2]
TEXTS = (TEXT, TEXT[:100] + RECORDS + LONG_LINE, BINARY, SEQUENCES)


def test_squash_table() -> None:
    assert logistic.SQUASH.tolist() == SQUASHED


@pytest.mark.parametrize("table_bits", [10, 14])
@pytest.mark.parametrize("profile", range(4))
def test_context_mode(table_bits: int, profile: int) -> None:
    text = TEXTS[profile] * 2
    learned = context.new_learned_states()
    models = _native.context_new(table_bits, context.RATES, learned)
    _native.context_begin_encoding(models, text, profile, 2 * len(text))
    assert _native.context_code(models, len(text)) == 0
    coded = _native.context_finish(models)
    assert ContextReference(table_bits, learned[profile], profile).decode(coded, len(text)) == text


@pytest.mark.parametrize("table_bits", [10, 13])
def test_wide_profile(table_bits: int) -> None:
    """Blocks that go on from each other."""
    learned = wide.new_wide_state()
    core = wide.new_wide_core(wide.wide_table_bits(table_bits), learned)
    reference = WideReference(table_bits, learned)
    text = TEXTS[1] if table_bits == 10 else RECORDS  # plain Python is slow
    for block in (text, RECORDS[:247], BINARY[:60]):
        wide.begin_wide_encoding(core, len(block), 2 * len(block))
        assert _native.mixed_code_bytes(core, block, len(block)) == 0
        assert reference.decode_bytes(_native.mixed_finish(core), len(block)) == block


@pytest.mark.parametrize(
    ("lanes", "profile", "primer"),
    [(1, 0, b""), (4, 0, PRIMER), (1, 1, PRIMER), (4, 1, b"")],
    ids=["one lane, prose", "four lanes, prose, primer", "one lane, records, primer", "four lanes, records"],
)
def test_mixed_mode(lanes: int, profile: int, primer: bytes) -> None:
    """Blocks that go on from each other, and from a primer if there is one: every pair of these choices."""
    text = TEXTS[profile]
    if lanes > 1 or primer:
        text = text.removesuffix(LONG_LINE)  # plain Python is slow
    table_bits = 10 if lanes == 1 else 13
    blocks = [text, RECORDS[:247], RECORDS[100:300] + TEXT[:50]]
    model = BigramModel(primer=Primer(profile, primer) if primer else None)
    coder = BigramCoder(model, table_bits)
    tokenizer = model.tokenizer
    vocabulary = [tokenizer.token_bytes[i, :n].tobytes() for i, n in enumerate(tokenizer.token_lengths)]
    reference = MixedReference(
        vocabulary,
        lambda token: model.frequencies(token).tolist(),
        model.start_token,
        table_bits,
        mixed.new_learned_state(profile),
        profile,
    )
    if primer:
        reference.read(primer)
    for block in blocks:
        lane_bytes = [len(block)] if lanes == 1 else [60, 0, 1, len(block) - 61]
        coded = coder.encode(block, lane_bytes, profile, None, SILENT)
        assert coded is not None
        assert reference.decode(coded, lane_bytes) == block
