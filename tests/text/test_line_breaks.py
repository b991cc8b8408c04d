"""Line ends and broken lines taken out of a text come back exactly, whatever the text."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.text import line_breaks
from llmzip.text.line_breaks import break_lines, has_crlf, join_lines, put_back, take_out

PROSE = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness. "
    "It was the epoch of belief, it was the epoch of incredulity: the season of Light! The season of Darkness? "
    "Là, l'été était l'espérance; «l'hiver du désespoir» “came before us”. We were all going direct to Heaven. "
)
PIECES = ("a", "word", "naïve", ".", "?", '"', " ", " ", "  ", "\n", "\n", "\r\n", "\r", "\t", "# ", "> ", "  * ", "\0")


def prose(paragraphs: int, width: int, indents: tuple[str, str] = ("", "")) -> str:
    """Paragraphs of different lengths broken to ``width``."""
    start = [17 * i % len(PROSE) for i in range(paragraphs)]
    texts = ((PROSE * 3)[s : s + 200 + 90 * (s % 4)].strip() for s in start)
    filled = (textwrap.fill(t, width, initial_indent=indents[0], subsequent_indent=indents[1]) for t in texts)
    return "\n\n".join(filled) + "\n"


def back(plain: bytes, prefers_crlf: bool = False) -> tuple[bytes, bytes]:
    """The text without its line breaks, and what comes back of it."""
    taken = take_out(plain, lambda parts: float(any(b"\r\n" in p for p in parts) != prefers_crlf))
    assert taken is not None
    description, streams = taken
    return streams[0], put_back(description, streams, len(plain))


@pytest.mark.parametrize("keeps", [False, True])
def test_line_ends_of_text_before_settle_those_that_are_left(keeps: bool) -> None:
    def never(_: object) -> float:
        raise AssertionError("the network is asked")

    taken = take_out(prose(20, 60).replace("\n", "\r\n").encode(), never, keeps)
    assert taken is not None
    description, (stream,) = taken
    assert has_crlf(description) == keeps == (b"\r\n" in stream)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("indents", [("", ""), ("  ", ""), ("    ", "    "), ("", "   "), ("# ", "# "), ("- ", "  ")])
def test_broken_paragraphs_become_whole(line_end: str, indents: tuple[str, str]) -> None:
    for width in (40, 72):
        broken = prose(40, width, indents)
        plain = broken.replace("\n", line_end).encode()
        text, restored = back(plain)
        assert restored == plain
        assert back(plain, prefers_crlf=True) == (text.replace(b"\n", b"\r\n"), plain)
        learned = 2 if indents[0] != indents[1] else 0  # the first paragraph shows where the others go on
        assert text.count(b"\n") <= broken.count("\n\n") * 2 + 1 + learned


def test_sentences_two_spaces_apart() -> None:
    broken = textwrap.fill(PROSE * 6, 60).replace(". ", ".  ").replace("? ", "?  ").replace(": ", ":  ")
    lines = broken.split("\n")
    plain = "\n".join(textwrap.fill(" ".join(lines), 60, fix_sentence_endings=True).split("\n")).encode()
    text, restored = back(plain)
    assert restored == plain
    assert b"wisdom, it was" in text
    assert text.count(b". It") == 0


def test_other_text_keeps_its_line_breaks() -> None:
    verse = "\n".join(f"Of Man's first disobedience {i}\nAnd the fruit of that" for i in range(99))
    code = "\n".join(f"    if value[{i}] > limit:\n        return {i}" for i in range(99))
    for text in ("", "\n", "\r\n" * 3, verse, code, PROSE * 20, "\n" * 1000, "word " * 1000):
        assert take_out(text.encode(), None) is None
        assert take_out(text.replace("\n", "\r\n").encode(), None) is None  # as no model prefers LF


def test_some_bare_line_ends_among_crlf() -> None:
    lines = [f"line {i}" + ("\n" if i % 20 == 3 else "\r\n") for i in range(200)]
    plain = ("\n" + "".join(lines) + "\r").encode()
    text, restored = back(plain)
    assert restored == plain
    assert text.count(b"\r") == 1


@given(
    st.lists(st.sampled_from(PIECES), max_size=300).map("".join),
    st.integers(line_breaks._NARROWEST - 15, 60),
    st.integers(1, 2),
)
@settings(max_examples=200, deadline=None)
def test_any_text_comes_back(page: str, width: int, between_sentences: int) -> None:
    plain = page.encode()
    joined, exceptions = join_lines(plain, width, between_sentences)
    assert joined.count(b"\n") <= plain.count(b"\n")
    assert break_lines(joined, width, between_sentences, exceptions, len(plain)) == plain
    if plain:
        assert break_lines(joined, width, between_sentences, exceptions, len(plain) - 1) is None
