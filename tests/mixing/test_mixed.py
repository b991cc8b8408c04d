"""Mixed mode: what it codes comes back, costs what the probabilities say, and damage cannot lead it astray."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.core import _native
from llmzip.errors import LlmzError
from llmzip.mixing.mixed import LearnedState, MixedCoder, new_learned_state, new_learned_states
from llmzip.mixing.profiles import MIXED_PROFILES
from llmzip.network.model import Model
from llmzip.progress import SILENT
from tests.mixing.models import BigramCoder, BigramModel

MODEL = BigramModel()
PROSE = b"".join(
    b"%d. The quick brown fox jumps over %d lazy dogs; <tag id='%d'>so on</tag>.\n" % (i, i * 37 % 101, i)
    for i in range(60)
)


def new_coder(table_bits: int = 12, learned: tuple[LearnedState, ...] | None = None) -> BigramCoder:
    return BigramCoder(MODEL, table_bits, learned)


def encode(text: bytes, lane_bytes: list[int], coder: MixedCoder | None = None, profile: int = 0) -> bytes:
    coded = (coder or new_coder()).encode(text, lane_bytes, profile, None, SILENT)
    assert coded is not None
    return coded


def decode(data: bytes, lane_bytes: list[int], profile: int = 0) -> bytes:
    return new_coder().decode(data, lane_bytes, profile, None, SILENT)


def cut(text: bytes, cuts: list[int]) -> list[int]:
    places = [0, *sorted(c % (len(text) + 1) for c in cuts), len(text)]
    return [b - a for a, b in itertools.pairwise(places)]


profiles = st.integers(0, MIXED_PROFILES - 1)
texts = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from([b"the quick ", b"fox", b"\n", b"1234", b"<tag>", b"\xff"]), max_size=60).map(b"".join),
    st.lists(st.sampled_from([b",", b"\n", b"-17", b"0.5", b"x9", b" ", b"00ff", b"E+02"]), max_size=80).map(b"".join),
)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(texts, st.lists(st.integers(0, 1 << 16), max_size=4), profiles), min_size=1, max_size=3))
def test_blocks_of_any_lanes_come_back(blocks: list[tuple[bytes, list[int], int]]) -> None:
    encoder, decoder = new_coder(10), new_coder(10)
    for text, cuts, profile in blocks:
        lanes = cut(text, cuts)
        coded = encoder.encode(text, lanes, profile, None, SILENT)
        if coded is None:  # it would grow; both sides restart
            encoder, decoder = new_coder(10), new_coder(10)
        else:
            assert decoder.decode(coded, lanes, profile, None, SILENT) == text


def test_later_blocks_profit_from_earlier_ones() -> None:
    coder = new_coder()
    first, second = (encode(PROSE, [len(PROSE)], coder) for _ in range(2))
    assert len(second) < 0.3 * len(first)


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("profile", range(MIXED_PROFILES))
def test_kernels_code_the_same(lanes: int, profile: int) -> None:
    lane_bytes = cut(PROSE, list(range(0, len(PROSE), len(PROSE) // lanes))[1:lanes])
    chosen = _native.decision_kernel()
    coded, states = set(), []
    for kernel in ("portable", "avx2", "avx512"):
        if _native.force_decision_kernel(kernel):
            coder = new_coder()
            coded.add(encode(PROSE, lane_bytes, coder, profile))
            states.append(coder.learned(profile))
    _native.force_decision_kernel(chosen)
    assert len(coded) == 1
    for state in states[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(state, states[0], strict=True))


def test_copies_of_the_models_learn_on_their_own() -> None:
    coder = new_coder()
    encode(PROSE, [len(PROSE)], coder)
    copy = new_coder()
    copy.__dict__.update(coder.__dict__ | {"_core": _native.mixed_copy(coder._core)})
    coded = encode(PROSE[:1000], [1000], copy)
    assert encode(PROSE[:1000], [1000], coder) == coded


@pytest.mark.parametrize("profile", range(MIXED_PROFILES))
def test_learned_states_go_in_and_out(profile: int) -> None:
    fresh = new_learned_state(profile)
    coder = new_coder()
    assert all(np.array_equal(a, b) for a, b in zip(coder.learned(profile), fresh, strict=True))
    encode(PROSE, [len(PROSE)], coder, profile)
    assert not any(np.array_equal(a, b) for a, b in zip(coder.learned(profile), fresh, strict=True))
    primed = new_coder(learned=tuple(coder.learned(number) for number in range(MIXED_PROFILES)))
    assert len(encode(PROSE, [len(PROSE)], primed, profile)) < len(encode(PROSE, [len(PROSE)], profile=profile))


@pytest.mark.parametrize("lane_bytes", [[len(PROSE)], [1000, 0, 1, len(PROSE) - 1001]])
def test_data_must_end_where_the_coder_did(lane_bytes: list[int]) -> None:
    coded = encode(PROSE, lane_bytes)
    assert decode(coded, lane_bytes) == PROSE
    for wrong in (coded + b"\0", coded + b"\1", coded[: len(coded) // 2], b""):
        with pytest.raises(LlmzError):
            decode(wrong, lane_bytes)


def test_reading_stops_soon_after_the_end_of_the_data() -> None:
    tokens = np.zeros(1, np.int32)
    models = new_coder()._core
    _native.mixed_begin_decoding(models, np.array([1 << 26], np.uint64), 0, b"\x55" * 10)
    steps = 0
    while _native.mixed_step(models, tokens, MODEL.frequencies(int(tokens[0]))[None]):
        steps += 1
    assert steps < 2000


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=120), st.lists(st.integers(0, 300), min_size=1, max_size=5), profiles)
def test_random_data_never_crashes(data: bytes, lane_bytes: list[int], profile: int) -> None:
    try:
        plain = decode(data, lane_bytes, profile)
    except LlmzError:
        return
    assert len(plain) == sum(lane_bytes)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 1 << 16), st.integers(0, 7))
def test_damage_is_noticed_or_gives_other_bytes(place: int, bit: int) -> None:
    lane_bytes = [500, 0, 700, 300]
    coded = bytearray(encode(PROSE[:1500], lane_bytes))
    coded[place % len(coded)] ^= 1 << bit
    try:
        plain = decode(bytes(coded), lane_bytes)
    except LlmzError:
        return
    assert len(plain) == 1500 and plain != PROSE[:1500]


@pytest.mark.parametrize("lane_bytes", [[], [1 << 27], [1 << 26, 1], [1 << 63, 1 << 63], [-1]])
def test_lanes_must_make_sense(lane_bytes: list[int]) -> None:
    with pytest.raises(LlmzError):
        decode(b"abc", lane_bytes)


@pytest.mark.parametrize("profile", [MIXED_PROFILES, 255])
def test_unknown_profiles_are_damage(profile: int) -> None:
    with pytest.raises(LlmzError):
        new_coder().decode(b"abc", [10], profile, None, SILENT)


def test_only_the_longest_match_can_be_coded() -> None:
    models = new_coder()._core
    token = MODEL.tokenizer.encode(b"t")
    after = MODEL.tokenizer.encode(b"i")
    (whole,) = MODEL.tokenizer.encode(b"tion")
    frequencies = MODEL.frequencies(0)[None]
    _native.mixed_begin_encoding(models, np.array([2], np.uint64), 0, 100)
    assert not _native.mixed_step(models, np.array([whole], np.int32), frequencies)  # runs over the lane's end
    _native.mixed_begin_encoding(models, np.array([2], np.uint64), 0, 100)
    assert _native.mixed_step(models, token, frequencies)
    assert _native.mixed_step(models, after, frequencies)
    assert _native.mixed_finish(models) is not None
    _native.mixed_begin_encoding(models, np.array([2], np.uint64), 0, 100)
    assert _native.mixed_step(models, MODEL.tokenizer.encode(b"e"), frequencies)
    assert not _native.mixed_step(models, MODEL.tokenizer.encode(b"d"), frequencies)  # "ed" would be longer


def test_what_would_grow_is_given_up() -> None:
    assert new_coder().encode(np.random.default_rng(1).bytes(3000), [3000], 0, None, SILENT) is None


@pytest.mark.parametrize("table_bits", [0, 9, 26, 64])
def test_table_sizes_have_bounds(table_bits: int) -> None:
    with pytest.raises(ValueError, match="table size"):
        new_coder(table_bits)


@pytest.mark.parametrize("field", LearnedState._fields)
@pytest.mark.parametrize("profile", range(MIXED_PROFILES))
def test_learned_states_are_checked(field: str, profile: int) -> None:
    states = list(new_learned_states())
    array = getattr(states[profile], field)
    wrong = [*states]
    wrong[profile] = states[profile]._replace(**{field: array[:-1]})
    with pytest.raises(ValueError, match="bytes in place of"):
        new_coder(learned=tuple(wrong))
    with pytest.raises(ValueError, match="not a tuple"):
        new_coder(learned=tuple(states[:profile]))
    if array.dtype == np.int32:
        array.flat[-1] = -(1 << 31)
        with pytest.raises(ValueError, match="out of range"):
            new_coder(learned=tuple(states))


def test_any_maps_and_extreme_weights_are_safe() -> None:
    random = np.random.default_rng(3)
    most = (8 << 16) - 1

    def extreme(state: LearnedState) -> LearnedState:
        return LearnedState(
            *(
                random.choice(np.array([-most, most], np.int32), array.shape)
                if array.dtype == np.int32
                else random.integers(0, 1 << 16, array.shape).astype(np.uint16)
                for array in state
            )
        )

    for profile in (0, 1, 0, 1):
        states = tuple(extreme(state) for state in new_learned_states())
        coder = new_coder(learned=states)
        _native.mixed_begin_encoding(coder._core, np.array([1000], np.uint64), profile, 10_000)
        for token in MODEL.tokenizer.encode(PROSE[:1000]):
            assert _native.mixed_step(coder._core, np.array([token]), MODEL.frequencies(0)[None])
        coded = _native.mixed_finish(coder._core)
        reader = new_coder(learned=states)
        _native.mixed_begin_decoding(reader._core, np.array([1000], np.uint64), profile, coded)
        while _native.mixed_lanes_left(reader._core):
            assert _native.mixed_step(reader._core, np.zeros(1, np.int32), MODEL.frequencies(0)[None])
        assert _native.mixed_finish(reader._core) == PROSE[:1000]


def test_frequencies_must_increase() -> None:
    models = new_coder()._core
    _native.mixed_begin_decoding(models, np.array([10], np.uint64), 0, b"abcdefgh")
    size = MODEL.tokenizer.size
    for wrong in (
        np.zeros((1, size + 1), np.int32),
        np.arange(1, size + 2, dtype=np.int32),
        np.arange(size, dtype=np.int32),
    ):
        with pytest.raises(ValueError):
            _native.mixed_step(models, np.zeros(1, np.int32), wrong)


def test_a_block_must_have_begun() -> None:
    models = new_coder()._core
    for function in (_native.mixed_finish, _native.mixed_lanes_left):
        with pytest.raises(ValueError, match="no block"):
            function(models)
    with pytest.raises(ValueError, match="no block"):
        _native.mixed_step(models, np.zeros(1, np.int32), MODEL.frequencies(0)[None])


def test_a_drive_stops_when_its_block_is_finished(tiny: Model) -> None:
    coder = MixedCoder(tiny, 12)
    _native.mixed_begin_encoding(coder._core, np.array([3], np.uint64), 0, 100)
    tokens, none = tiny.tokenizer.encode(b"abc"), np.zeros(0, np.int32)
    first, counts = np.array([tiny.start_token], np.int32), np.array([tokens.size], np.uint64)
    drive = _native.drive_new(
        tiny.decoder, _native.threads_new(1), coder._core, first, tiny.side_vector(None), none, tokens, counts
    )
    while _native.drive_run(drive, 1) == 0:
        pass
    assert _native.mixed_finish(coder._core) is not None
    with pytest.raises(ValueError, match="no block"):
        _native.drive_run(drive, 1)
