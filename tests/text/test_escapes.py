"""Letters as escapes of ASCII become letters, and come back."""

from __future__ import annotations

import json
import quopri
import urllib.parse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.text import escapes
from tests.text.test_charsets import FRENCH, JAPANESE, RUSSIAN

PIECES = (
    "a", "\n", "é", "猫", "\\u00e9", "\\u732B", "\\u0041", "\\ud83d\\ude00", "\\ud83d", "\\", "%C3%A9", "%", "%41",
    "=E9", "=\n", "\\xc3\\xa9", "\\xE9", "&#233;", "&#0233;", "&#xe9;", "&#xE9;", "&#65;", "&#99999999;", "😀",
)  # fmt: skip


def back(plain: bytes) -> bytes:
    """The text of one that must be transformed, and comes back."""
    taken = escapes.take_out(plain, None)
    assert taken is not None
    assert escapes.put_back(*taken, len(plain)) == plain
    return taken[1][0]


@pytest.mark.parametrize("text", [FRENCH * 2, RUSSIAN, JAPANESE, "😀 déjà vu " * 30])
def test_json_and_markup(text: str) -> None:
    value = {"id": 7, "text": [text] * 3}
    whole = json.dumps(value, ensure_ascii=False, indent=1).encode()
    assert back(json.dumps(value, indent=1).encode()) == whole
    decimal = (text * 3).encode("ascii", "xmlcharrefreplace")
    assert back(decimal) == (text * 3).encode()
    for form in ("{:x}", "{:X}"):
        page = "".join(c if c.isascii() else f"&#x{form.format(ord(c))};" for c in text * 3)
        assert back(page.encode()) == (text * 3).encode()


@pytest.mark.parametrize("text", [FRENCH * 4, RUSSIAN, JAPANESE])
def test_bytes(text: str) -> None:
    address = urllib.parse.quote(text, safe=" ,.:?'\n")
    for plain in (address.encode(), address.replace("%", "\\x").encode(), address.lower().replace("%", "\\x").encode()):
        assert back(plain).decode().lower() == text.lower()


def test_quoted_printable_of_any_charset() -> None:
    for charset in ("utf-8", "latin-1"):
        mail = quopri.encodestring((FRENCH * 9).encode(charset))
        assert back(mail) == (FRENCH * 9).encode(charset)
        assert back(mail.replace(b"\n", b"\r\n")) == (FRENCH * 9).encode(charset).replace(b"\n", b"\r\n")
        earlier = mail.replace(b" =\n", b"=\n=20")
        assert back(earlier).count(b"\n") <= 12
    assert escapes.take_out(b"x=AB;y=CD;z=EF;w=12;\n" * 99, None) is None


def test_registers_are_no_letters() -> None:
    listing = b"".join(b"\tmov    %%e%cx,0x%x(%%edi)\n" % (b"abcd"[i % 4], i) for i in range(200))
    assert escapes.take_out(listing, None) is None


def test_lines_that_have_letters_anyway_stay() -> None:
    escaped, plain = json.dumps(RUSSIAN * 2).encode() + b"\n", RUSSIAN.encode()
    text = back(plain + escaped + plain * 2 + escaped * 2)
    assert text.count("маяка".encode()) == 9
    assert back(escaped + plain) == back(escaped) + plain
    assert escapes.take_out(plain * 9 + b"%C3%A9 " * 20, None) is None


@given(
    st.lists(st.sampled_from(PIECES), max_size=200), st.sampled_from(["\\u00e9", "%C3", "\\xc3", "&#233;", "&#xe9;"])
)
@settings(max_examples=300, deadline=None)
def test_any_escapes_come_back(pieces: list[str], many: str) -> None:
    plain = (many * 70 + "\n" + "".join(pieces)).encode()
    taken = escapes.take_out(plain, None)
    assert taken is None or escapes.put_back(*taken, len(plain)) == plain
