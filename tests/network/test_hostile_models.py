"""Model files of which one field is broken: a clear error in bounded time and memory, or a model that works."""

from __future__ import annotations

import copy
import struct
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmzip.blocks import mixed, tokens
from llmzip.blocks.adaptive import AdaptiveModels
from llmzip.errors import LlmzError
from llmzip.estimates import second_order_model
from llmzip.format.member import Coded, Header, MemberWriter, Method
from llmzip.mixing.logistic import stored_arrays
from llmzip.mixing.mixed import new_learned_states
from llmzip.network.model import Model
from llmzip.network.model_file import ALIGNMENT, MAGIC
from llmzip.progress import SILENT
from llmzip.settings import ReadSettings
from llmzip.streams import decompress
from tests.conftest import TINY_PATH
from tests.network.headers import pack, unpack

TEXT = b"It was the best of times, <b>42</b>\n\0\xff\xe9" * 3
MOST_SECONDS = 2.0
ABSENT = object()
"""In place of a field's value: the field is left out."""
VALUES: tuple[Any, ...] = (
    ABSENT, None, True, -1, 0, 1, 2, 3, 4, 7, 8, 24, 25, 31, 32, 33, 64, 255, 256, 4096, 8192, 32767, 32768, 1 << 31,
    (1 << 31) - 1, 1 << 32, 1 << 63, 1 << 64, 10**30, -(1 << 63), 0.5, 1e300, float("nan"), float("inf"), "", "c", "a",
    "cac", "x", "c" * 65, "1", "a\nb\x1b[2J", [], [0], [1, 1], {}, {"a": 1},
)  # fmt: skip
FEW_VALUES = (ABSENT, None, -1, 0, 1, 1 << 31, 1 << 64, 0.5, "x", [])
SEEN: list[str] = []


def with_array(data: bytes, name: str, stored: bytes, **fields: Any) -> bytes:
    """A model file in which an array has other bytes and other fields in the header."""
    header, body = unpack(data)
    out = b""
    for entry in header["tensors"]:
        dtype, shape = np.dtype(entry["dtype"]), entry["shape"]
        size = entry.get("deflated_bytes", int(np.prod(shape)) * dtype.itemsize)
        own = body[entry["offset"] : entry["offset"] + size]
        if entry["name"] == name:
            own = stored
            entry.update(fields)
            if "deflated_bytes" not in fields:
                entry.pop("deflated_bytes", None)
        entry["offset"] = len(out)
        out += own + bytes(-len(own) % ALIGNMENT)
    return pack(header, out)


def use(data: bytes, with_mixing: bool) -> None:
    """Do what is done with a model; what it wrote must come back."""
    model = Model(data)
    read = model.encode_side(model.tokenizer.encode(TEXT)[: model.config.encoder.window])
    for side in (np.full(model.config.side_numbers, -100, np.int8), read):
        payload = tokens.encode(AdaptiveModels(10, model, 1), TEXT, [len(TEXT)], side, False, SILENT)
        assert tokens.decode(AdaptiveModels(10, model, 1), payload, 1, len(TEXT), SILENT) == TEXT
    if with_mixing:
        plain, lanes = TEXT * 2, [9, 20, 2 * len(TEXT) - 30, 1]
        coded = mixed.encode(AdaptiveModels(10, model, 1), plain, lanes, 0, read, False, SILENT)
        if coded is not None:
            assert mixed.decode(AdaptiveModels(10, model, 1), coded, 4, len(plain), SILENT) == plain
    if any(name.startswith("regression.") for name in model.file.entries):
        second_order_model(model)


def survives(data: bytes, with_mixing: bool = True) -> bool:
    """Whether a model is one; if not, the error is one clear line. Neither takes long."""
    started = time.process_time()
    try:
        use(data, with_mixing)
        return True
    except LlmzError as error:
        message = str(error)
        assert message.isprintable(), message
        SEEN.append(message)
        return False
    finally:
        assert time.process_time() - started < MOST_SECONDS


@pytest.fixture(scope="module")
def whole() -> bytes:
    """The tiny model with mixers and a second-order model."""
    model = Model(Path(TINY_PATH).read_bytes())
    states = {
        f"{i}.{name}": a for i, s in enumerate(new_learned_states()) for name, a in stored_arrays(s._asdict()).items()
    }
    regression = {
        "hidden": np.ones((4, model.config.decoder.width), np.float32),
        "bias": np.zeros(4, np.float32),
        "out": np.ones(4, np.float32),
        "offset": np.zeros(1, np.float32),
    }
    return Model(model.file.with_extras("mixing", states)).file.with_extras("regression", regression)


def fields_of(table: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths to every field and every item in a header."""
    if path:
        yield path
    if isinstance(table, dict | list):
        for key in table if isinstance(table, dict) else range(len(table)):
            yield from fields_of(table[key], (*path, key))


def replaced(header: Any, path: tuple[Any, ...], value: Any) -> Any:
    header = copy.copy(header)
    table = header
    for key in path[:-1]:
        table[key] = copy.copy(table[key])
        table = table[key]
    if value is ABSENT:
        del table[path[-1]]
    else:
        table[path[-1]] = value
    return header


def test_the_model_works(whole: bytes) -> None:
    assert survives(whole)
    assert survives(Path(TINY_PATH).read_bytes())


def test_every_field_of_the_configuration(whole: bytes) -> None:
    header, body = unpack(whole)
    good = 0
    for path in fields_of(header["config"], ("config",)):
        for value in VALUES:
            good += survives(pack(replaced(header, path, value), body), False)
    for path in (("config", "a\n\x1b[2J"), ("config", "decoder", "b\n\x1b[2J")):
        assert not survives(pack(replaced(header, path, 1), body))
    assert good >= 20  # those that change nothing, and those that no array depends on


def test_every_field_of_every_array(whole: bytes) -> None:
    header, body = unpack(whole)
    thorough = {"vocabulary", "decoder.embedding", "decoder.temperature", "mixing.0.weights"}
    for number, entry in enumerate(header["tensors"]):
        values = VALUES if entry["name"] in thorough else FEW_VALUES
        for path in fields_of(entry, ("tensors", number)):
            right: Any = header
            for key in path:
                right = right[key]
            for wrong in values:
                if wrong != right or type(wrong) is not type(right):
                    works = survives(pack(replaced(header, path, wrong), body), False)
                    # A stream may be as long as what it stands for, with the padding; then it is an array too.
                    assert not works or (wrong is ABSENT and path[-1] == "deflated_bytes"), (path, wrong)


def test_headers_that_are_none(whole: bytes) -> None:
    header, body = unpack(whole)
    for wrong in (*VALUES[1:], {"config": header["config"]}, {"tensors": header["tensors"]}, [header]):
        assert not survives(pack(wrong, body))
    start = len(MAGIC) + 4
    for length in (0, 1, 65, 1 << 16, (1 << 16) + 64, len(whole), (1 << 31) - 1, (1 << 32) - 1):
        assert not survives(MAGIC + length.to_bytes(4, "little") + whole[start:])
    for text in (b"[" * 60_000, b"\xff\xfe" * 40, b"9" * 60_000, b'{"config":' * 5000, b"\0" * 52):
        assert not survives(MAGIC + len(text).to_bytes(4, "little") + text + body)
    twice = {**header, "tensors": [*header["tensors"], *header["tensors"]]}
    assert not survives(pack(twice, body + body))


def test_files_cut_off_and_longer(whole: bytes) -> None:
    for size in (*range(0, 16), *range(16, len(whole), 9973), len(whole) - 64, len(whole) - 1):
        assert not survives(whole[:size])
    for more in (b"\0", bytes(64), whole):
        assert not survives(whole + more)


EXTREMES = {
    "|i1": (-128, -32, -31, 31, 127),
    "|u1": (0, 255),
    "<i2": (-32768, -1, 32767),
    "<u2": (0, 65535),
    "<i4": (-(1 << 31), -1, 0, 1 << 20, 1 << 30, (1 << 31) - 1),
    "<f4": (float("nan"), float("inf"), -1e38),
}
"""By type: numbers that every element of an array is set to."""


def test_numbers_out_of_range_and_at_its_ends(whole: bytes) -> None:
    good, bad = 0, 0
    for entry in unpack(whole)[0]["tensors"]:
        name, dtype = entry["name"], np.dtype(entry["dtype"])
        arrays = [np.full(entry["shape"], value, dtype) for value in EXTREMES[entry["dtype"]]]
        for array in arrays:
            if survives(with_array(whole, name, array.tobytes()), name.startswith(("mixing", "head", "output"))):
                good += 1
            else:
                bad += 1
    assert good > 50
    assert bad > 50


def test_numbers_within_range_in_any_mixture(whole: bytes) -> None:
    """Weights, taps and multipliers at both ends of what is allowed, at random: sums do not leave their integers."""
    random, entries = np.random.default_rng(0), {entry["name"]: entry for entry in unpack(whole)[0]["tensors"]}
    for seed in range(4):
        data = whole
        for name, entry in entries.items():
            ends: list[int] = []
            if name.endswith("_weight"):
                ends = [-31, 31]
            elif name.endswith("embedding_multiplier") or name.endswith(("pairs_multiplier", "triples_multiplier")):
                ends = [0, (1 << 30) - 1]
            elif name.endswith(("multiplier", "temperature")):
                ends = [0, (1 << 31) - 1]
            elif name.endswith("embedding"):
                ends = [-128, 127]
            elif name.endswith("taps"):
                ends = [-(32767 // entry["shape"][1]), 32767 // entry["shape"][1]]
            elif name == "output_bias":
                ends = [-(1 << 22), 1 << 22]
            elif name.endswith("slopes"):
                ends = [0, 1 << 10]
            if ends:
                numbers = random.choice(ends, entry["shape"], p=[0.5 - 0.15 * seed, 0.5 + 0.15 * seed])
                data = with_array(data, name, numbers.astype(entry["dtype"]).tobytes())
        assert survives(data)


def test_deflated_arrays_that_are_not_what_they_say(whole: bytes) -> None:
    entries = {entry["name"]: entry for entry in unpack(whole)[0]["tensors"]}
    shape = entries["decoder.embedding"]["shape"]
    plain = bytes(shape[0] * shape[1])
    for stored in (
        zlib.compress(plain),  # more than eight times as small
        zlib.compress(plain, 0)[:-1],
        zlib.compress(plain, 0) + b"\0",
        zlib.compress(plain[:-1], 0),
        zlib.compress(plain + b"\0", 0),
        zlib.compress(bytes(1 << 24)),
        zlib.compress(zlib.compress(bytes(1 << 24))),
        b"\x78\x9c" + bytes(len(plain)),
        bytes(len(plain)),
    ):
        assert not survives(with_array(whole, "decoder.embedding", stored, deflated_bytes=len(stored)))


def test_inflation_is_bounded_before_it_begins(whole: bytes) -> None:
    bomb = zlib.compress(bytes(200 << 20))
    for name, dtype, shape in (
        ("vocabulary", "|u1", [200 << 20]),
        ("regression.hidden", "<f4", [50 << 20]),
        ("mixing.0.weights", "<i4", [50 << 20]),
        ("head_weight", "|i1", [512, 32]),
    ):
        data = with_array(whole, name, bomb, dtype=dtype, shape=shape, deflated_bytes=len(bomb))
        tracemalloc.start()
        try:
            assert not survives(data)
            assert tracemalloc.get_traced_memory()[1] < 16 << 20
        finally:
            tracemalloc.stop()


def test_vocabularies_that_are_none(whole: bytes) -> None:
    vocabulary = Model(whole).file.read("vocabulary").tobytes()
    singles = b"".join(bytes([1, byte]) for byte in range(256))
    for wrong in (
        b"\0", singles[:-2], singles + b"\1\xff", singles + b"\2\xff", vocabulary[:-1], vocabulary + b"\2\xff\xff",
        singles[2:] + singles[:2], b"\x19" + bytes(25) + singles, bytes(len(vocabulary)), b"\xff" * len(vocabulary),
        singles + b"".join(b"\x18\xff\xff\xff" + struct.pack(">I", i) + bytes(17) for i in range(5000)),
    ):  # fmt: skip
        assert not survives(with_array(whole, "vocabulary", wrong, shape=[len(wrong)]))


@pytest.mark.parametrize("flips", [1, 40])
def test_random_damage(whole: bytes, flips: int) -> None:
    random = np.random.default_rng(flips)
    for _ in range(60):
        data = bytearray(whole)
        for place in random.integers(0, len(data) if flips > 1 else 8000, flips):
            data[place] ^= 1 << int(random.integers(8))
        survives(bytes(data))


def test_the_shipped_model_with_a_field_broken(shipped: Model) -> None:
    data = Path(str(files("llmzip") / "data" / "base.llmzmodel")).read_bytes()
    header, body = unpack(data)
    for path, wrong in (
        (("config", "decoder", "window"), 8192),
        (("config", "decoder", "layers"), "cccacccc" * 9),
        (("config", "vocabulary"), 8191),
        (("config", "bigram_bits"), 25),
        (("tensors", 1, "offset"), 1 << 40),
        (("tensors", 1, "shape"), [1 << 30, 1 << 30]),
    ):
        assert not survives(pack(replaced(header, path, wrong), body))
    for name, number in (("output_bias", 1 << 23), ("head_multiplier", -1), ("decoder.slopes", 2000)):
        array = shipped.file.read(name).copy()
        array[-1] = number
        assert not survives(with_array(data, name, array.astype("<i4").tobytes()))


def test_messages_are_of_use() -> None:
    assert len(set(SEEN)) > 20


def test_an_archive_that_needs_a_broken_model_gives_its_error(whole: bytes, tmp_path: Path) -> None:
    arrays = {"decoder.temperature": np.full((3, 2), -1, np.int32), "side_frequencies": np.zeros((8, 255), np.int32)}
    for name, array in arrays.items():
        path = tmp_path / "broken.llmzmodel"
        path.write_bytes(with_array(whole, name, array.tobytes()))
        header = Header(11, 12, Model(path.read_bytes()).fingerprint[:4], single=True)
        packed = MemberWriter(header).add(Coded(Method.MIXED, 0, 50, b"\x80\x08" + bytes(40)), b"")
        with pytest.raises(LlmzError):
            decompress(packed, ReadSettings(str(path)))
