"""Context mode: what it codes comes back, and damage cannot lead it astray."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmzip.core import _native
from llmzip.errors import LlmzError
from llmzip.mixing import wide
from llmzip.mixing.context import ContextCoder, new_learned_state, new_learned_states
from llmzip.mixing.profiles import Profile, choose_profile
from llmzip.progress import SILENT, Progress

PROSE = b"".join(
    b"%d. The quick brown fox jumps over %d lazy dogs; <tag id='%d'>so on</tag>.\n" % (i, i * 37 % 101, i)
    for i in range(60)
)
TABLE_BITS = 12


OWN_PROFILES = [profile for profile in Profile if profile is not Profile.WIDE]
"""Those whose models are context mode's own."""


def encode(text: bytes, profile: int = 0) -> bytes:
    coded = ContextCoder(TABLE_BITS).encode(text, profile, SILENT)
    assert coded is not None
    return coded


def decode(data: bytes, length: int, profile: int = 0) -> bytes:
    return ContextCoder(TABLE_BITS).decode(data, length, profile, SILENT)


parts = st.sampled_from([b",", b"\n", b"-17", b"0.5", b"x9 ", b"00ff", b">a\n", b"ACGTACGTTG" * 3, b"MKVLAG", b"\0\1"])
texts = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=200).map(str.encode),
    st.lists(parts, max_size=80).map(b"".join),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(texts, st.sampled_from(Profile)), min_size=1, max_size=4))
def test_blocks_come_back(blocks: list[tuple[bytes, Profile]]) -> None:
    encoder, decoder = ContextCoder(TABLE_BITS), ContextCoder(TABLE_BITS)
    for text, profile in blocks:
        coded = encoder.encode(text, profile, SILENT)
        if coded is None:  # it would grow; both sides restart
            encoder, decoder = ContextCoder(TABLE_BITS), ContextCoder(TABLE_BITS)
        else:
            assert decoder.decode(coded, len(text), profile, SILENT) == text


def test_progress_tells_of_every_byte() -> None:
    told: list[float] = []
    text = PROSE * 40
    coded = ContextCoder(TABLE_BITS).encode(text, 0, Progress(told.append))
    assert coded is not None
    assert sum(told) == len(text) and len(told) > 1
    assert decode(coded, len(text)) == text


def test_the_primer_helps() -> None:
    text = b"It was the best of times, it was the worst of times, and nobody knew which was which."
    models = _native.context_new(TABLE_BITS, (6, 2), tuple(ContextCoder(TABLE_BITS).learned(n) for n in OWN_PROFILES))
    _native.context_begin_encoding(models, text, 0, 1000)
    _native.context_code(models, 1000)
    assert len(encode(text)) < 0.8 * len(_native.context_finish(models))


@pytest.mark.parametrize("profile", OWN_PROFILES)
def test_kernels_code_the_same(profile: Profile) -> None:
    chosen, coded = _native.decision_kernel(), set()
    for kernel in ("portable", "avx2", "avx512"):
        if _native.force_decision_kernel(kernel):
            models = _native.context_new(TABLE_BITS, (6, 2), new_learned_states())
            _native.context_begin_encoding(models, PROSE, profile, len(PROSE))
            _native.context_code(models, len(PROSE))
            coded.add(_native.context_finish(models))
    _native.force_decision_kernel(chosen)
    assert len(coded) == 1


def test_kernels_code_the_same_in_the_wide_profile() -> None:
    chosen, coded = _native.decision_kernel(), set()
    for kernel in ("portable", "avx2", "avx512"):
        if _native.force_decision_kernel(kernel):
            core = wide.new_wide_core(TABLE_BITS)
            wide.begin_wide_encoding(core, len(PROSE), len(PROSE))
            _native.mixed_code_bytes(core, PROSE, len(PROSE))
            coded.add(_native.mixed_finish(core))
    _native.force_decision_kernel(chosen)
    assert len(coded) == 1


def test_the_wide_state_goes_in_and_out_and_is_checked() -> None:
    state = wide.new_wide_state()
    assert all(
        np.array_equal(a, b) for a, b in zip(wide.wide_learned(wide.new_wide_core(10, state)), state, strict=True)
    )
    state.final_weights[3, 1] = 8 << 16
    with pytest.raises(ValueError, match="out of range"):
        wide.new_wide_core(10, state)
    with pytest.raises(ValueError, match="bytes in place of"):
        wide.new_wide_core(10, wide.new_wide_state()._replace(match_maps=np.zeros((64, 3), np.uint16)))


def test_data_must_end_where_the_coder_did() -> None:
    coded = encode(PROSE)
    assert decode(coded, len(PROSE)) == PROSE
    for wrong in (coded + b"\0", coded + b"\1", coded[: len(coded) // 2], b""):
        with pytest.raises(LlmzError):
            decode(wrong, len(PROSE))


@pytest.mark.parametrize("profile", [Profile.PROSE, Profile.WIDE])
def test_reading_stops_soon_after_the_end_of_the_data(profile: Profile) -> None:
    told: list[float] = []
    with pytest.raises(LlmzError):
        ContextCoder(TABLE_BITS).decode(b"\x55" * 10, 1 << 26, profile, Progress(told.append))
    assert not told


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=100), st.integers(0, 400), st.sampled_from(Profile))
def test_random_data_never_crashes(data: bytes, length: int, profile: Profile) -> None:
    try:
        plain = decode(data, length, profile)
    except LlmzError:
        return
    assert len(plain) == length


@pytest.mark.parametrize(("length", "profile"), [(-1, 0), ((1 << 26) + 1, 0), (10, 5), (10, 255), (10, 1 << 40)])
def test_lengths_and_profiles_must_make_sense(length: int, profile: int) -> None:
    with pytest.raises(LlmzError):
        ContextCoder(TABLE_BITS).decode(b"abc", length, profile, SILENT)


def test_what_would_grow_is_given_up() -> None:
    assert ContextCoder(TABLE_BITS).encode(np.random.default_rng(1).bytes(3000), 0, SILENT) is None


@pytest.mark.parametrize("profile", OWN_PROFILES)
def test_learned_states_go_in_and_out_and_are_checked(profile: Profile) -> None:
    coder = ContextCoder(TABLE_BITS, new_learned_states())
    assert all(np.array_equal(a, b) for a, b in zip(coder.learned(profile), new_learned_state(profile), strict=True))
    states = list(new_learned_states())
    states[profile].final_weights[3, 1] = 8 << 16
    with pytest.raises(ValueError, match="out of range"):
        ContextCoder(TABLE_BITS, states)
    states[profile] = new_learned_state(profile)._replace(match_maps=np.zeros((64, 3), np.uint16))
    with pytest.raises(ValueError, match="bytes in place of"):
        ContextCoder(TABLE_BITS, states)


@pytest.mark.parametrize(
    ("text", "profile"),
    [
        (b"The quick brown fox jumps over the lazy dogs, and so on.\n" * 9, Profile.PROSE),
        (b"", Profile.PROSE),
        (b"1.5,2.5,-3\n" * 20, Profile.RECORDS),
        (b"\x7fELF\1\0\0\0" * 20, Profile.BINARY),
        (b">one\n" + b"ACGTACGTACGTTTGACGTACGTACGT\n" * 9, Profile.SEQUENCES),
    ],
)
def test_profiles_are_chosen_by_what_a_text_holds(text: bytes, profile: Profile) -> None:
    assert choose_profile(text) == profile


@pytest.mark.parametrize("table_bits", [0, 9, 26])
def test_table_sizes_have_bounds(table_bits: int) -> None:
    with pytest.raises(ValueError, match="table size"):
        ContextCoder(table_bits).encode(PROSE, 0, SILENT)
