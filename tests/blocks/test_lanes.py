"""Lanes and what a payload says of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmzip.blocks.lanes import LanesHead, cut_into_lanes, read_lanes_head
from llmzip.errors import DamagedError, TruncatedError
from llmzip.format.reader import Reader
from llmzip.format.varint import pack_varint
from llmzip.network.model import Model, load_model
from tests.conftest import TINY_PATH


@given(st.binary(min_size=256, max_size=2000), st.sampled_from([1, 2, 4, 64, 256]))
def test_lanes_are_nearly_equal_and_cover_the_text(text: bytes, lanes: int) -> None:
    lengths = cut_into_lanes(text, lanes)
    assert len(lengths) == lanes
    assert sum(lengths) == len(text)
    even = len(text) / lanes
    assert all(length >= 1 for length in lengths)
    assert all(abs(length - even) <= even / 8 + 2 for length in lengths)


def test_lanes_begin_at_line_starts_where_some_are_near() -> None:
    lines = b"".join(b"line %d of a text with lines\n" % i for i in range(1000))
    starts = np.cumsum(cut_into_lanes(lines, 8))[:-1]
    assert all(lines[start - 1 : start] == b"\n" for start in starts)
    text = b"no line end " * 3000
    assert len(set(cut_into_lanes(text, 8))) == 1


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=16), st.integers(0, 31), *[st.booleans()] * 3)
def test_heads_come_back(lane_bytes: list[int], profile: int, fresh: bool, after_line: bool, with_side: bool) -> None:
    model = load_model(TINY_PATH)
    side = np.arange(model.config.side_numbers).astype(np.int8) if with_side else None
    packed = LanesHead(lane_bytes, side, profile, fresh, after_line).to_bytes(model)
    reader = Reader(packed + b"rest")
    head = read_lanes_head(model, reader, len(lane_bytes), sum(lane_bytes))
    assert head._replace(side=None) == LanesHead(lane_bytes, None, profile, fresh, after_line)
    assert (head.side is None) == (side is None)
    assert side is None or np.array_equal(head.side, side)
    assert reader.rest() == b"rest"


@pytest.mark.parametrize("lengths", [[0], [5, 5], [10], [4, 6], [1 << 40]])
def test_lanes_that_make_no_sense_are_damage(tiny: Model, lengths: list[int]) -> None:
    packed = b"\0" + b"".join(map(pack_varint, lengths))
    with pytest.raises(DamagedError):
        read_lanes_head(tiny, Reader(packed), 1 + len(lengths), 10)


def test_a_head_that_is_cut_off(tiny: Model) -> None:
    for data in (b"", b"\0", b"\0\5", b"\x80", b"\x80\5\1"):
        with pytest.raises(TruncatedError):
            read_lanes_head(tiny, Reader(data), 3, 100)
