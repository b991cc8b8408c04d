"""Text in other charsets than UTF-8: recognised, coded as UTF-8, and given back byte for byte."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmzip.blocks.choice import BlockEncoder
from llmzip.text.charsets import CHARSETS, find_charset, from_utf8, to_utf8
from llmzip.format.container import Header
from llmzip.inspection import describe
from llmzip.network.model import Model
from llmzip.settings import Settings
from llmzip.streams import compress, decompress

FRENCH = (
    "La gardienne du phare écrivait chaque soir dans son journal, qu'il se fût passé quelque chose ou non. "
    "La plupart du temps, rien : une goélette au large, le baromètre qui baissait, la mère du garçon déjà rentrée. "
    "«\u00a0Pourquoi écrivez-vous tout cela\u00a0?\u00a0» demanda-t-il à la fin de l'été, étonné. "
)
RUSSIAN = (
    "Смотрительница маяка каждый вечер писала в журнал, случилось что-нибудь или нет. Чаще всего не случалось "
    "ничего: прошла шхуна, упал барометр, кошка поймала мышь и очень этим гордилась. Зачем вы это пишете? "
)


@pytest.mark.parametrize(
    ("text", "charset"),
    [(FRENCH, "cp1252"), (RUSSIAN, "cp1251"), (RUSSIAN, "koi8-r"), (FRENCH, "utf-16-le"), (FRENCH, "utf-16-be")],
)
def test_charsets_are_found_and_pay(text: str, charset: str, shipped: Model) -> None:
    plain = text.encode(charset)
    encoder = BlockEncoder(Header(bytes(4), True, False), shipped, Settings())
    found = find_charset(plain, encoder.sample_bits)
    assert found is not None
    assert CHARSETS[found[0]] == charset
    assert found[1] == text.encode()
    packed = compress(plain)
    assert decompress(packed) == plain
    assert describe(io.BytesIO(packed))["laid_out_blocks"] == 1
    assert len(packed) <= len(compress(text.encode())) + 8


def test_utf8_and_what_is_no_text_stay_as_they_are(shipped: Model) -> None:
    encoder = BlockEncoder(Header(bytes(4), True, False), shipped, Settings())
    utf8 = (FRENCH + RUSSIAN).encode()
    for plain in (b"", b"a", b"plain ASCII", utf8, utf8[1:], utf8[:-1], utf8[len(FRENCH.encode()) + 1 :], bytes(100)):
        assert find_charset(plain, encoder.sample_bits) is None


def test_numbers_of_two_bytes_are_no_utf16() -> None:
    numbers = b"".join((i * i % 240).to_bytes(2, "little") for i in range(3000))
    assert find_charset(numbers, None) is None
    assert decompress(compress(numbers)) == numbers


def test_utf16_needs_no_model() -> None:
    plain = ("\ufeff" + FRENCH * 3).encode("utf-16-le")
    packed = compress(plain, Settings(level=1))
    assert decompress(packed) == plain
    assert len(packed) <= len(compress((FRENCH * 3).encode(), Settings(level=1))) + 12


@given(st.binary(max_size=200), st.integers(0, len(CHARSETS) - 1))
def test_any_bytes_come_back_or_are_refused(plain: bytes, charset: int) -> None:
    text = to_utf8(plain, charset)
    assert text is None or from_utf8(text, charset) == plain


@given(st.lists(st.sampled_from([0x20, 0x41, 0xE9, 0x20AC, 0xD800, 0xDC00, 0xFEFF, 0x1F600]), min_size=20))
def test_broken_utf16_comes_back(units: list[int]) -> None:
    plain = b"".join(chr(unit).encode("utf-16-le", "surrogatepass") for unit in units)
    assert decompress(compress(plain, Settings(level=1))) == plain
