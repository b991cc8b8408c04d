"""What the compressor chooses for a block of mixed mode: the profile, and no side information."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmzip.blocks import context, transformed
from llmzip.blocks.adaptive import AdaptiveModels
from llmzip.blocks.choice import BlockEncoder
from llmzip.blocks.lanes import HAS_SIDE, PROFILE_MASK
from llmzip.errors import DamagedError
from llmzip.format.member import Coded, Method, read_header
from llmzip.format.reader import Reader
from llmzip.inspection import describe
from llmzip.mixing.profiles import Profile
from llmzip.network.model import Model
from llmzip.progress import SILENT
from llmzip.settings import Settings
from llmzip.streams import compress, decompress
from llmzip.text import LINE_BREAKS, line_breaks
from tests.conftest import TINY_PATH
from tests.text.test_line_breaks import prose

TABLE_BITS = 14
HEX_DIGITS = 3
"""The number of the transform that takes out what is written in digits of base 16 and others."""


def new_encoder(model: Model) -> BlockEncoder:
    return BlockEncoder(TABLE_BITS, model, Settings(), 1)


def profile_of(coded: Coded) -> Profile:
    assert coded.method is Method.MIXED
    return Profile(coded.payload[0] & PROFILE_MASK)


def pixels(rows: int) -> bytes:
    """A picture of letters of one case, which looks like a protein by its bytes."""
    random = np.random.default_rng(1)
    row = random.choice(np.frombuffer(b"AAABCDEF", np.uint8), 60)
    lines = []
    for _ in range(rows):
        row[random.integers(0, 60, 3)] = random.choice(np.frombuffer(b"ABCDEF", np.uint8), 3)
        lines.append(row.tobytes() + b"\n")
    return b"".join(lines)


def test_line_ends_follow_the_first_block(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(line_breaks, "_keeps_crlf", lambda *_: asked.append(True) or False)
    encoder = new_encoder(tiny)
    for plain in (prose(40, 60), prose(30, 70)):
        asked.clear()
        coded = encoder.encode(plain.replace("\n", "\r\n").encode())
        assert transformed.number_of(coded) == LINE_BREAKS
    assert not asked
    encoder.start_afresh()
    encoder.encode(prose(40, 60).replace("\n", "\r\n").encode())
    assert asked


def test_what_mixed_mode_has_no_profile_for_is_records(tiny: Model) -> None:
    encoder = new_encoder(tiny)
    found = encoder._code_with_network(tiny, pixels(100), Profile.SEQUENCES, encoder._progress)
    assert [profile_of(coded) for coded in found] == [Profile.RECORDS]


def table(rows: int) -> bytes:
    """Numbers below numbers, of which the tiny network knows nothing."""
    random = np.random.default_rng(3)
    return b"".join(b"%04d,%d.%02d,%s\n" % (i, 40 + i % 7, random.integers(100), b"ab" * (i % 3)) for i in range(rows))


@pytest.mark.parametrize(("rows", "blocks"), [(200, 1), pytest.param(8000, 2, marks=pytest.mark.slow)])
def test_the_wide_profile_codes_a_file_of_one_block_and_of_several(rows: int, blocks: int) -> None:
    text = table(rows)
    packed = compress(text, Settings(model=str(TINY_PATH)))
    header = read_header(Reader(packed))
    assert header is not None and header.wide and header.fingerprint is None
    assert describe(io.BytesIO(packed))["methods"] == {"context": blocks}
    assert decompress(packed) == text


@pytest.mark.parametrize("changes", [{"independent": True}, {"records": "csv"}])
def test_the_wide_profile_is_not_tried_where_it_cannot_be_kept(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    monkeypatch.setattr(BlockEncoder, "_compare_with_wide", lambda self, plain, *sizes: tried.append(len(plain)))
    compress(table(400), Settings(model=str(TINY_PATH), block_bytes=4000, **changes))
    assert not tried
    compress(table(5000), Settings(model=str(TINY_PATH)))
    assert tried


def test_a_wide_block_is_damage_where_the_header_has_none() -> None:
    text = table(50)
    payload = context.encode(AdaptiveModels(TABLE_BITS, None, 1), text, Profile.WIDE, SILENT)
    assert payload is not None
    models = AdaptiveModels(TABLE_BITS, None, 1, may_be_wide=True)
    assert context.decode(models, payload, len(text), SILENT) == text
    with pytest.raises(DamagedError, match="wide"):
        context.decode(AdaptiveModels(TABLE_BITS, None, 1, may_be_wide=False), payload, len(text), SILENT)


def test_short_blocks_keep_the_profile_of_the_block_before(tiny: Model, text: bytes) -> None:
    for before in (Profile.PROSE, Profile.RECORDS):
        encoder = new_encoder(tiny)
        assert encoder._closer_profile(Profile.PROSE, text[:100]) is Profile.PROSE
        encoder._code_with_network(tiny, text[:1000], before, encoder._progress)
        assert encoder._closer_profile(Profile.PROSE, text[:100]) is before
        encoder.start_afresh()
        assert encoder._closer_profile(Profile.PROSE, text[:100]) is Profile.PROSE


def test_prose_is_told_from_records_by_a_sample(tiny: Model, text: bytes) -> None:
    answers = (Path(__file__).parents[2] / "docs" / "questions.md").read_bytes()
    assert new_encoder(tiny)._closer_profile(Profile.PROSE, answers) is Profile.PROSE
    entries = b"".join(b"<entry name=%d><kind>%s</kind></entry>\n" % (i, text[i : i + 4]) for i in range(300))
    assert new_encoder(tiny)._closer_profile(Profile.PROSE, entries) is Profile.RECORDS


@pytest.mark.parametrize("size", [1000, 40_000])
def test_mixed_mode_stores_no_side_information(tiny: Model, text: bytes, size: int) -> None:
    encoder = new_encoder(tiny)
    (coded,) = encoder._code_with_network(tiny, (text * 20)[:size], Profile.PROSE, encoder._progress)
    assert not coded.payload[0] & HAS_SIDE


def test_a_transform_of_all_lines_has_to_show_itself_in_the_sample(tiny: Model) -> None:
    encoder, plain = new_encoder(tiny), b"".join(b"%d\n" % i for i in range(5000))
    assert encoder._trial_share(LINE_BREAKS, plain) == 1
    assert encoder._trial_share(HEX_DIGITS, plain) == 0  # encoded passages may be elsewhere


def test_a_close_trial_of_a_first_block_is_left_open(tiny: Model, text: bytes) -> None:
    encoder = new_encoder(tiny)
    assert [encoder._is_open(share, text[:20_000]) for share in (0.9, 0.99, 1.0, 1.02, 1.1)] == [0, 1, 1, 1, 0]
    assert not encoder._is_open(0.99, bytes(50_000))
    encoder._code_with_network(tiny, text[:1000], Profile.PROSE, encoder._progress)
    assert not encoder._is_open(0.99, text[:20_000])
