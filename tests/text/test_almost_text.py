"""Text with strikes, strange separators, or passages that are none."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.text import overstrikes, passages, separators

PROSE = "The keeper of the lighthouse wrote in her journal every evening, whether anything had happened or not.\n"


PIECES = ("a", "_", "\b", " ", "\n", "é", "a\ba", "_\bb", "_\b_", "é\bé", "\xff")
INSIDE = (bytes(700), random.Random(1).randbytes(900), b"\x7fELF\2\1\1" + bytes(9) + b"\3\0" * 90)


def bold(text: str, times: int = 1) -> str:
    return "".join(c if c.isspace() else c + f"\b{c}" * times for c in text)


def underlined(text: str, after: bool = False) -> str:
    return "".join(c if c.isspace() else f"{c}\b_" if after else f"_\b{c}" for c in text)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("times", [1, 3])
def test_strikes_become_marks(times: int, after: bool) -> None:
    page = f"{bold('NAME_OF 12', times)}\n  été {underlined('file_name déjà', after)} or {bold('-x', times)}\n"
    plain = (page * 20).encode()
    taken = overstrikes.take_out(plain, None)
    assert taken is not None
    assert taken[1][0].count(b"\b") == 0
    assert b"\x01NAME_OF 12\n  \x01" in taken[1][0]
    assert overstrikes.put_back(*taken, len(plain)) == plain


@given(
    st.lists(st.sampled_from(["a", "_", "\b", " ", "\n", "é", "a\ba", "_\bb", "_\b_", "é\bé", "\xff"]), max_size=200)
)
@settings(max_examples=200, deadline=None)
def test_any_strikes_come_back(pieces: list[str]) -> None:
    plain = (bold("word") * 30 + "".join(pieces)).encode("utf-8" if len(pieces) % 2 else "latin-1")
    taken = overstrikes.take_out(plain, None)
    assert taken is None or overstrikes.put_back(*taken, len(plain)) == plain


@pytest.mark.parametrize(("separator", "usual"), [("\0", " "), ("\0", "\n"), ("\r", "\n"), ("\x1f", "\t")])
def test_separators_change_roles(separator: str, usual: str) -> None:
    text = "".join(f"name {i}\tvalue {i * i}\n" for i in range(200))
    plain = text.replace(usual, separator).encode()
    taken = separators.take_out(plain, None)
    assert taken is not None
    assert taken[1] == [text.encode()]
    assert separators.put_back(*taken, len(plain)) == plain


def test_documents_joined_by_nul_and_other_text_stay() -> None:
    for text in (PROSE * 50, (PROSE * 10 + "\0") * 20, PROSE.encode("utf-16-le").decode("latin-1") * 9):
        assert separators.take_out(text.encode("latin-1"), None) is None


@pytest.mark.parametrize(
    "inside", [bytes(700), random.Random(1).randbytes(900), b"\x7fELF\2\1\1" + bytes(9) + b"\3\0" * 90]
)
def test_passages_that_are_no_text(inside: bytes) -> None:
    plain = PROSE.encode() * 9 + inside + "été ".encode() * 200 + inside + PROSE.encode() * 3
    taken = passages.take_out(plain, None)
    assert taken is not None
    assert passages.put_back(*taken, len(plain)) == plain
    assert abs(len(taken[1][1]) - 2 * len(inside)) < 40


def test_text_has_no_passages() -> None:
    for text in (PROSE * 50, "été \x1b[1mà\x1b[0m " * 300, PROSE * 20 + "\f\n" + PROSE * 20):
        assert passages.take_out(text.encode(), None) is None
        assert passages.take_out(text.encode("latin-1"), None) is None
    assert passages.take_out(("каждый вечер писала " * 200).encode("koi8-r"), None) is None


@given(st.lists(st.sampled_from([PROSE.encode(), bytes(40), bytes(range(256)), b"\x01", b"\xff" * 50]), max_size=40))
@settings(max_examples=100, deadline=None)
def test_any_passages_come_back(parts: list[bytes]) -> None:
    plain = b"".join(parts)
    taken = passages.take_out(plain, None)
    assert taken is None or passages.put_back(*taken, len(plain)) == plain
