# ruff: noqa: RUF001
"""Text in other charsets than UTF-8: recognised, turned into UTF-8, and given back byte for byte."""

from __future__ import annotations

import hashlib
import sys
from importlib.resources import files

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.text.charset_tables import CHARSETS, TABLES, unpack_tables
from llmzip.text.charsets import BY_LINES, from_utf8, put_back, take_out, to_utf8
from tests.text.make_charsets import make_tables

TABLES_SHA_256 = "0a2220771bc35b0610ebb53f3069f2c3709e9ca7c5525e9dcbaac7cf0c8e441f"
FRENCH = (
    "La gardienne du phare écrivait chaque soir dans son journal, qu'il se fût passé quelque chose ou non. "
    "La plupart du temps, rien : une goélette au large, le baromètre qui baissait, la mère du garçon déjà rentrée. "
    "«\u00a0Pourquoi écrivez-vous tout cela\u00a0?\u00a0» demanda-t-il à la fin de l'été, étonné.\n"
)
RUSSIAN = (
    "Смотрительница маяка каждый вечер писала в журнал, случилось что-нибудь или нет. Чаще всего не случалось "
    "ничего: прошла шхуна, упал барометр, кошка поймала мышь и очень этим гордилась. Зачем вы это пишете?\n"
)
JAPANESE = (
    "灯台守の女は毎晩、何かがあってもなくても日誌を書いた。たいていは何もなかった。沖をスクーナーが通り、気圧計が下がり、"
    "猫がねずみを捕まえて、とても得意そうにしていた。「どうしてそんなことを全部書くのですか」と少年は尋ねた。\n"
)
CHINESE = (
    "灯塔看守人每天晚上都写日记，不管有没有发生什么事情。大多数时候"
    "什么也没有发生：一条船经过，气压下降，猫抓住了老鼠，很是得意。\n"
)
TAIWANESE = (
    "燈塔看守人每天晚上都寫日記，不管有沒有發生什麼事情。大多"
    "數時候什麼也沒有發生：一條船經過，氣壓下降，貓抓住了老鼠。\n"
)
KOREAN = (
    "등대지기는 매일 저녁 일지에 무슨 일이 있었는지 적었다. 대개"
    "는 아무 일도 없었다. 고양이가 쥐를 잡고 아주 자랑스러워했다.\n"
)
GREEK = "Το φως του φάρου έσβησε το βράδυ και η γυναίκα έγραψε στο ημερολόγιο ότι δεν είχε συμβεί τίποτα.\n"
POINTS = (0x20, 0x41, 0xE9, 0x20AC, 0xD800, 0xDC00, 0xFEFF, 0x1F600)
PLAUSIBLE = [
    (FRENCH, "cp1252"), (RUSSIAN, "cp1251"), (RUSSIAN, "koi8-r"), (RUSSIAN, "cp866"), (RUSSIAN, "iso8859-5"),
    (GREEK, "cp1253"), (JAPANESE, "cp932"), (JAPANESE, "euc_jp"), (CHINESE, "gb18030"), (TAIWANESE, "cp950"),
    (KOREAN, "cp949"), (FRENCH, "utf-16-le"), (FRENCH, "utf-16-be"), (JAPANESE, "utf-16-le"), (CHINESE, "utf-16-be"),
]  # fmt: skip


def liked(text: str):  # type: ignore[no-untyped-def]
    """A model that likes the letters of one text in UTF-8, and nothing else."""
    known = set(text)
    return lambda parts: float(sum(1 if c in known else 20 for p in parts for c in p.decode("utf-8", "replace")))


@pytest.mark.parametrize(("text", "charset"), PLAUSIBLE)
def test_charsets_are_found(text: str, charset: str) -> None:
    plain = (text * 4).encode(charset)
    taken = take_out(plain, liked(text))
    assert taken is not None
    assert CHARSETS[taken[0][0]] == charset
    assert taken[1] == [(text * 4).encode()]
    assert put_back(*taken, len(plain)) == plain


@pytest.mark.parametrize(("text", "charset"), [pair for pair in PLAUSIBLE if pair[0] != FRENCH])
def test_most_charsets_need_no_model(text: str, charset: str) -> None:
    plain = (text * 4).encode(charset)
    taken = take_out(plain, None)
    assert taken is not None
    assert taken[1] == [(text * 4).encode()]


def test_utf8_and_what_is_no_text_stay_as_they_are() -> None:
    utf8 = (FRENCH + RUSSIAN + JAPANESE).encode()
    noise = np.random.default_rng(1).bytes(5000)
    for plain in (b"", b"a", b"plain ASCII", utf8, utf8[1:], utf8[:-1], utf8[len(FRENCH) + 2 :], bytes(100), noise):
        assert take_out(plain, None) is None
        assert take_out(plain, liked(FRENCH)) is None


def test_numbers_of_two_bytes_are_no_utf16() -> None:
    numbers = b"".join((i * i % 240).to_bytes(2, "little") for i in range(3000))
    assert take_out(numbers, None) is None


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16-be"])
def test_utf16_with_marks_odd_bytes_and_lone_surrogates(charset: str) -> None:
    whole = ("\ufeff" + FRENCH * 3).encode(charset)
    lone = "\ud800 \udc00\ud800".encode(charset, "surrogatepass")
    for plain in (whole, whole[1:], whole[:-1], whole[3:-1], whole + lone, lone + whole):
        taken = take_out(plain, None)
        assert taken is not None
        assert put_back(*taken, len(plain)) == plain
        assert len(taken[1][0]) < 0.6 * len(plain)


def test_lines_in_several_charsets() -> None:
    plain = (
        (RUSSIAN * 3).encode("koi8-r") + (FRENCH * 2).encode() + (JAPANESE * 3).encode("euc_jp") + b"plain\n" * 4
        + (JAPANESE * 3).encode("cp932") + RUSSIAN.encode()
    )  # fmt: skip
    taken = take_out(plain, None)
    assert taken is not None
    assert taken[0][0] == BY_LINES
    text = RUSSIAN * 3 + FRENCH * 2 + JAPANESE * 3 + "plain\n" * 4 + JAPANESE * 3 + RUSSIAN
    assert taken[1] == [text.encode()]
    assert put_back(*taken, len(plain)) == plain


def test_characters_that_a_charset_has_twice_or_not_come_back() -> None:
    twice = bytes.fromhex("87 90 81 e0 ed 40 fa 5c 80 a0 fd ff")  # cp932: NEC's and IBM's rows, bytes with no meaning
    plain = (JAPANESE * 2).encode("cp932") + twice + b"\n" + (JAPANESE * 2).encode("cp932")
    taken = take_out(plain, None)
    assert taken is not None
    assert CHARSETS[taken[0][0]] == "cp932"
    assert put_back(*taken, len(plain)) == plain


def test_surrogate_pairs_in_utf8() -> None:
    emoji = "\U0001f600".encode("utf-16-be")
    pair = b"".join(chr(int.from_bytes(emoji[i : i + 2])).encode("utf-8", "surrogatepass") for i in (0, 2))
    plain = (b"words " + pair + b" more words\n") * 20
    taken = take_out(plain, None)
    assert taken is not None
    assert CHARSETS[taken[0][0]] == "cesu-8"
    assert taken[1] == ["words \U0001f600 more words\n".encode() * 20]
    assert put_back(*taken, len(plain)) == plain


@given(st.binary(max_size=200), st.integers(2, len(CHARSETS) - 1))
@settings(max_examples=300, deadline=None)
def test_bytes_come_back_where_lines_say_so(plain: bytes, charset: int) -> None:
    from llmzip.text.charsets import _INEXACT, _costs

    costs = _costs(plain, charset)
    if (costs < _INEXACT).all():
        assert from_utf8(to_utf8(plain, charset), charset, len(plain)) == plain


@given(
    st.lists(st.sampled_from([0x20, 0x41, 0xE9, 0x20AC, 0xD800, 0xDC00, 0xFEFF, 0x1F600]), min_size=20), st.booleans()
)
@settings(max_examples=100, deadline=None)
def test_broken_utf16_comes_back(points: list[int], odd: bool) -> None:
    plain = b"".join(chr(point).encode("utf-16-le", "surrogatepass") for point in points) + b"x" * odd
    taken = take_out(plain, None)
    assert taken is None or put_back(*taken, len(plain)) == plain


def test_tables_are_what_they_always_were() -> None:
    packed = (files("llmzip") / "data" / "charsets.bin").read_bytes()
    tables = unpack_tables(packed)
    content = b"".join(table.astype("<u2").tobytes() for table in tables)
    assert hashlib.sha256(content).hexdigest() == TABLES_SHA_256


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="codecs of later Pythons may know more")
def test_tables_are_those_of_the_codecs() -> None:
    packed = (files("llmzip") / "data" / "charsets.bin").read_bytes()
    for name, stored, made in zip(TABLES, unpack_tables(packed), make_tables(), strict=True):
        assert np.array_equal(stored, made), name


@pytest.mark.parametrize("charset", CHARSETS[2:-1])
def test_conversion_is_the_codecs(charset: str) -> None:
    number = CHARSETS.index(charset)
    points = [p for p in range(1 << 16) if not 0xD800 <= p < 0xE000] + ([0x10000, 0x10FFFF] * (charset == "gb18030"))
    codes = {p: chr(p).encode(charset, "ignore") for p in points}
    exact = [p for p, code in codes.items() if code and code.decode(charset, "ignore") == chr(p)]
    plain = b"".join(codes[p] for p in exact)
    text = "".join(map(chr, exact)).encode()
    assert to_utf8(plain, number) == text
    assert from_utf8(text, number, len(plain)) == plain
