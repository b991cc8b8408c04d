from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmzip.errors import LlmzError
from llmzip.mixing.mixed_coding import MixedCoder
from llmzip.network.model import Model, load_model
from llmzip.progress import SILENT
from llmzip.settings import Settings
from llmzip.blocks.side_information import SideTrial, choose_side, pack_side, unpack_side
from llmzip.streams import compress, decompress
from llmzip.blocks.tokens import decode_tokens, encode_tokens
from tests.conftest import TINY_PATH

NUMBERS = load_model(TINY_PATH).config.side_numbers


@given(st.lists(st.integers(-127, 127), min_size=NUMBERS, max_size=NUMBERS), st.binary(max_size=5))
def test_stored_numbers_come_back(values: list[int], behind: bytes) -> None:
    model = load_model(TINY_PATH)
    side = np.array(values, np.int8)
    packed = pack_side(model, side)
    restored, used = unpack_side(model, packed + behind)
    assert restored is not None
    assert np.array_equal(restored, side)
    assert used == len(packed)


def test_null_code_is_one_byte(tiny: Model) -> None:
    assert pack_side(tiny, None) == b"\0"
    assert unpack_side(tiny, b"\0rest") == (None, 1)
    with pytest.raises(LlmzError, match="cut off"):
        unpack_side(tiny, b"\x09abc")


def test_likely_numbers_cost_less_than_unlikely_ones(tiny: Model, text: bytes) -> None:
    read = tiny.encode_side(tiny.tokenizer.encode(text)[:64])
    assert len(pack_side(tiny, read)) < len(pack_side(tiny, np.full(NUMBERS, 127, np.int8)))


@pytest.mark.parametrize("lanes", [1, 4])
def test_both_modes_decode_with_side_information(tiny: Model, text: bytes, lanes: int) -> None:
    tokens = tiny.tokenizer.encode(text[:1500])
    side = tiny.encode_side(tokens[:64])
    coded = encode_tokens(tiny, tokens, lanes, side, None, SILENT)
    assert np.array_equal(decode_tokens(tiny, coded, tokens.size, lanes, side, None, SILENT), tokens)
    assert coded != encode_tokens(tiny, tokens, lanes, None, None, SILENT)
    result = MixedCoder(tiny, 16).encode(tokens, lanes, side, None, SILENT)
    assert result is not None
    lane_bytes, coded = result
    assert MixedCoder(tiny, 16).decode(coded, tokens.size, lane_bytes, side, None, SILENT) == text[:1500]


def test_null_where_it_does_not_pay(tiny: Model) -> None:
    assert choose_side(tiny, tiny.tokenizer.encode(b"short")) is None


def test_chosen_side_pays_for_itself(tiny: Model, text: bytes) -> None:
    tokens = tiny.tokenizer.encode(text)[:900]
    side = choose_side(tiny, tokens)
    sizes = {
        name: len(pack_side(tiny, s)) + len(encode_tokens(tiny, tokens, 1, s, None, SILENT))
        for name, s in (("null", None), ("chosen", side), ("read", tiny.encode_side(tokens[:64])))
    }
    assert sizes["chosen"] <= min(sizes["null"], sizes["read"]) + 4


def test_search_lowers_bits_and_cost_together(tiny: Model, text: bytes) -> None:
    trial = SideTrial(tiny, tiny.tokenizer.encode(text)[:300], 2)
    start = np.zeros(NUMBERS, np.int8)
    found = trial.search(start, 60)
    assert trial.bits(found) < trial.bits(start)
    assert np.array_equal(trial.search(found, 0), found)


def test_gradient_lowers_bits_and_cost_together(tiny: Model, text: bytes) -> None:
    pytest.importorskip("torch")
    trial = SideTrial(tiny, tiny.tokenizer.encode(text)[:900], 2)
    start = np.full(NUMBERS, 20, np.int8)
    assert trial.bits(trial.refine(start, 3)) < trial.bits(start)


@pytest.mark.parametrize("torch_installed", [False, True])
@pytest.mark.parametrize("level", [2, 9])
def test_effort_never_gives_larger_files(
    text: bytes, level: int, torch_installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch_installed:
        pytest.importorskip("torch")
    else:
        monkeypatch.setattr("llmzip.blocks.side_information.find_spec", lambda name: None)
    plain = text[:4000]
    coded = [compress(plain, Settings(level, model=TINY_PATH, effort=effort)) for effort in (0, 1)]
    assert len(coded[1]) <= len(coded[0])
    assert [decompress(archive, TINY_PATH) for archive in coded] == [plain, plain]


@pytest.mark.parametrize("level", [2, 6])
def test_useless_side_information_leaves_no_trace(text: bytes, level: int, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"level": level, "block_bytes": 1500, "model": TINY_PATH}
    without = compress(text[:4000], Settings(**settings))
    useless = np.full(NUMBERS, 127, np.int8)
    monkeypatch.setattr("llmzip.blocks.choice.choose_side", lambda *arguments: useless)
    assert compress(text[:4000], Settings(**settings, effort=1)) == without
