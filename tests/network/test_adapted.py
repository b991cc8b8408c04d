"""Adapted model files: merged exactly, useful in the real compressor, refused where a field is broken."""

from __future__ import annotations

import functools
import time
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import llmzip
from llmzip.blocks import suited_model
from llmzip.errors import BaseMissingError, LlmzError, ModelMissingError
from llmzip.mixing.logistic import stored_arrays
from llmzip.mixing.mixed import new_learned_states
from llmzip.network.adapted_file import ADAPTED_MAGIC, MAX_PRIMER_BYTES, Primer, pack_adapted
from llmzip.network.model import Model, forget_models, load_model
from llmzip.network.model_file import ALIGNMENT, ModelFile
from llmzip.settings import Settings
from llmzip.streams import compress
from tests.conftest import TINY_PATH
from tests.network import headers
from tests.reference.adapted import read_adapted
from tests.reference.network import read_model

LINES = b"".join(
    b"10:%02d:%02d host app[%d]: user %d logged in\n" % (i % 60, i * 7 % 60, i * 3, i * i) for i in range(90)
)
MOST_SECONDS = 2.0


def random_low_rank(base: ModelFile, rank: int = 3, largest: int = 30_000) -> dict[str, Any]:
    random = np.random.default_rng(1)
    changes: dict[str, Any] = {}
    for name in ("decoder.in_weight", "decoder.down_weight", "head_weight"):
        *stack, outputs, inputs = base.entries[name].shape
        changes[name] = (
            random.integers(-128, 128, (*stack, outputs, rank)).astype(np.int8),
            random.integers(-128, 128, (*stack, rank, inputs)).astype(np.int8),
            random.integers(0, largest, stack or 1).astype(np.int32),
        )
    return changes


def differences_of(base: ModelFile) -> dict[str, Any]:
    random = np.random.default_rng(2)
    shape = base.entries["output_bias"].shape
    return {
        "output_bias": (random.integers(-500, 500, shape).astype(np.int16), 2),
        "decoder.in_multiplier": (
            random.integers(0, 99, base.entries["decoder.in_multiplier"].shape).astype(np.int32),
            0,
        ),
        "decoder.taps": (random.integers(-3, 4, base.entries["decoder.taps"].shape).astype(np.int8), 0),
    }


@pytest.fixture(scope="module")
def base_model() -> Model:
    """The tiny model with mixers."""
    tiny = Model(Path(TINY_PATH).read_bytes())
    states = {
        f"{i}.{name}": a for i, s in enumerate(new_learned_states()) for name, a in stored_arrays(s._asdict()).items()
    }
    assert isinstance(tiny.file, ModelFile)
    return Model(tiny.file.with_extras("mixing", states))


def adapted_bytes(base: Model, **changes: Any) -> bytes:
    assert isinstance(base.file, ModelFile)
    given: dict[str, Any] = {
        "differences": differences_of(base.file)
        | {"mixing.1.weights": (np.ones(base.file.entries["mixing.1.weights"].shape, np.int16), 8)},
        "low_rank": random_low_rank(base.file),
        "primer": Primer(1, LINES[:700]),
    }
    return pack_adapted(base.fingerprint, **(given | changes))


@pytest.fixture(scope="module")
def adapted(base_model: Model) -> bytes:
    return adapted_bytes(base_model)


@pytest.fixture
def tiny_adapted(tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that adapts the tiny model, which the search finds."""
    assert isinstance(tiny.file, ModelFile)
    monkeypatch.setenv("LLMZIP_MODEL_PATH", str(Path(TINY_PATH).parent))
    monkeypatch.setattr(suited_model, "_MOST_OF_BASE", 2.0)  # a random change does no good
    path = tmp_path / "own.llmzmodel"
    low_rank = random_low_rank(tiny.file, largest=40)
    path.write_bytes(pack_adapted(tiny.fingerprint, differences_of(tiny.file), low_rank, Primer(1, LINES[:2000])))
    return path


def test_arrays_are_what_the_reference_reads(base_model: Model, adapted: bytes) -> None:
    assert isinstance(base_model.file, ModelFile)
    _, base_arrays = read_model(bytes(base_model.file._view))
    arrays, fingerprint, primer, profile = read_adapted(adapted, base_arrays)
    model = Model(adapted, base_model)
    assert fingerprint == base_model.fingerprint.hex()
    assert model.primer == Primer(profile, primer or b"")
    changed = 0
    for name in base_model.file.entries:
        read = model.file.read(name)
        assert read.dtype == base_model.file.read(name).dtype
        np.testing.assert_array_equal(read, arrays[name], err_msg=name)
        changed += not np.array_equal(read, base_model.file.read(name))
    assert changed == 7
    assert model.fingerprint != base_model.fingerprint


def test_real_archives_come_back_and_gain(tiny_adapted: Path, tiny: Model) -> None:
    text = LINES[2000:]
    for settings in (Settings(lanes=2), Settings(level=2, lanes=2), Settings(block_bytes=600, independent=True)):
        archive = compress(text, Settings(**{**vars(settings), "model": str(tiny_adapted)}))
        assert llmzip.decompress(archive, model=str(tiny_adapted)) == text
    mixed = llmzip.compress(text, model=str(tiny_adapted))
    assert len(mixed) < 0.8 * len(llmzip.compress(text, model=TINY_PATH))
    assert load_model(str(tiny_adapted)).fingerprint[:4] in mixed[:12]


def test_the_archive_says_which_model_is_missing(tiny_adapted: Path) -> None:
    archive = llmzip.compress(LINES * 2, model=str(tiny_adapted))
    fingerprint = load_model(str(tiny_adapted)).fingerprint
    with pytest.raises(ModelMissingError, match=fingerprint[:4].hex()):
        llmzip.decompress(archive)


def test_the_search_finds_it_by_its_fingerprint(
    tiny_adapted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    archive = llmzip.compress(LINES * 2, model=str(tiny_adapted))
    monkeypatch.setenv("LLMZIP_MODEL_PATH", f"{tiny_adapted.parent}:{Path(TINY_PATH).parent}")
    assert llmzip.decompress(archive) == LINES * 2


def test_a_missing_base_is_named(tiny_adapted: Path, tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = llmzip.compress(LINES * 2, model=str(tiny_adapted))
    forget_models()
    monkeypatch.setenv("LLMZIP_MODEL_PATH", str(tiny_adapted.parent))
    for failing in (
        lambda: load_model(str(tiny_adapted)),
        lambda: llmzip.compress(LINES, model=str(tiny_adapted)),
        lambda: llmzip.decompress(archive),  # found by the search, but of no use
    ):
        with pytest.raises(BaseMissingError) as caught:
            failing()
        message = str(caught.value)
        assert tiny.fingerprint.hex() in message
        assert tiny_adapted.name in message
        assert message.isprintable()


def test_an_adapted_model_is_no_base(tiny_adapted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chained = tmp_path / "chained" / "second.llmzmodel"
    chained.parent.mkdir()
    chained.write_bytes(pack_adapted(load_model(str(tiny_adapted)).fingerprint, {}, {}, None))
    monkeypatch.setenv("LLMZIP_MODEL_PATH", f"{tiny_adapted.parent}:{Path(TINY_PATH).parent}")
    with pytest.raises(BaseMissingError):
        load_model(str(chained))


def test_a_file_that_changes_nothing_codes_as_its_base_does(tmp_path: Path, tiny: Model, monkeypatch: Any) -> None:
    monkeypatch.setenv("LLMZIP_MODEL_PATH", str(Path(TINY_PATH).parent))
    path = tmp_path / "same.llmzmodel"
    path.write_bytes(pack_adapted(tiny.fingerprint, {}, {}, None))
    assert len(llmzip.compress(LINES, model=str(path))) == len(llmzip.compress(LINES, model=TINY_PATH))


def test_text_of_another_kind_is_coded_with_the_base(tiny_adapted: Path, text: bytes) -> None:
    archive = llmzip.compress(text, model=str(tiny_adapted))
    assert archive == llmzip.compress(text, model=TINY_PATH)
    assert llmzip.decompress(archive, model=str(tiny_adapted)) == text  # the base is found by the search


def test_text_for_which_the_change_is_worse_is_coded_with_the_base(
    tiny_adapted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert llmzip.compress(LINES, model=str(tiny_adapted)) != llmzip.compress(LINES, model=TINY_PATH)
    monkeypatch.setattr(suited_model, "_MOST_OF_BASE", 1.0)
    assert llmzip.compress(LINES, model=str(tiny_adapted)) == llmzip.compress(LINES, model=TINY_PATH)


# ---- Hostile files ----


pack = functools.partial(headers.pack, magic=ADAPTED_MAGIC)


def survives(data: bytes, base: Model) -> bool:
    """Whether it is a model; if not, the error is one line. Neither takes long."""
    started = time.process_time()
    try:
        model = Model(data, base)
        _ = model.primer, model.decoder, model.side_frequencies
        model.file.extras("mixing")
        return True
    except LlmzError as error:
        assert str(error).isprintable()
        return False
    finally:
        assert time.process_time() - started < MOST_SECONDS


def test_fields_of_the_header(adapted: bytes, base_model: Model) -> None:
    header, body = headers.unpack(adapted)
    assert survives(pack(header, body), base_model)
    wrong: dict[str, tuple[Any, ...]] = {
        "base": (None, 1, "", "0" * 15, "G" * 16, "0" * 17, ["0" * 16], "a\n" * 8),
        "primer_profile": (None, -1, 2, True, 0.0, "1", []),
        "shifts": (
            None,
            [],
            {"output_bias": -1},
            {"output_bias": 25},
            {"output_bias": True},
            {"x": 1},
            {"head_weight": 1},
            3,
        ),
        "tensors": (None, [], {}, [{}], header["tensors"][:-1], header["tensors"] * 2),
    }
    for field, values in wrong.items():
        for value in values:
            assert not survives(pack(header | {field: value}, body), base_model) or (field, value) == ("tensors", []), (
                value
            )
        assert not survives(pack({k: v for k, v in header.items() if k != field}, body), base_model)
    assert not survives(pack(header | {"config": {}}, body), base_model)
    for other in ([], 1, "x", None):
        assert not survives(pack(other, body), base_model)


def test_fields_of_every_array(adapted: bytes, base_model: Model) -> None:
    header, body = headers.unpack(adapted)
    for number, listed in enumerate(header["tensors"]):
        for field, values in {
            "name": (
                "",
                "x",
                "low_rank.up_weight.left",
                "difference.vocabulary",
                "low_rank.decoder.in_weight",
                1,
                None,
            ),
            "dtype": ("|u1", "<f4", "<u2", "x", None),
            "shape": ([], [0], [1], [1 << 30], [*listed["shape"], 1], [-1], "x"),
            "offset": (-1, 64 * 999, 0.5),
        }.items():
            for value in values:
                if value != listed[field] and not (field == "offset" and value == 0):
                    tensors = list(header["tensors"])
                    tensors[number] = listed | {field: value}
                    assert not survives(pack(header | {"tensors": tensors}, body), base_model), (listed["name"], value)


def test_numbers_out_of_range(base_model: Model) -> None:
    assert isinstance(base_model.file, ModelFile)
    shape = base_model.file.entries["output_bias"].shape
    low_rank = random_low_rank(base_model.file)
    left, right, multiplier = low_rank["head_weight"]
    for changes in (
        {"differences": {"output_bias": (np.full(shape, 32767, np.int16), 24)}},
        {"differences": {"output_bias": (np.full(shape, 1 << 23, np.int32), 0)}},
        {"differences": {"head_multiplier": (np.full(shape, -(1 << 31), np.int32), 0)}},
        {"low_rank": {"head_weight": (left, right, np.full_like(multiplier, -1))}},
        {"low_rank": {"head_weight": (left, right[:-1], multiplier)}},
        {"low_rank": {"head_weight": (left, right, np.zeros(2, np.int32))}},
        {"low_rank": {"head_weight": (np.repeat(left, 30, 1), np.repeat(right, 30, 0), multiplier)}},
        {"low_rank": {"decoder.embedding": (left, right, multiplier)}},
        {"primer": Primer(0, bytes(MAX_PRIMER_BYTES + 1))},
        {"primer": Primer(2, b"text")},
    ):
        assert not survives(adapted_bytes(base_model, **changes), base_model), changes.keys()
    # The ends of what is allowed.
    ends = np.full_like(left, -128), np.full_like(right, -128), np.full_like(multiplier, (1 << 31) - 1)
    assert survives(adapted_bytes(base_model, low_rank={"head_weight": ends}), base_model)


def test_a_change_without_dimensions_is_refused(base_model: Model) -> None:
    assert isinstance(base_model.file, ModelFile)
    changes = random_low_rank(base_model.file)
    for part in range(3):
        parts = list(changes["head_weight"])
        parts[part] = np.zeros((), parts[part].dtype)
        assert not survives(adapted_bytes(base_model, low_rank={"head_weight": tuple(parts)}), base_model)


def test_inflation_is_bounded(adapted: bytes, base_model: Model) -> None:
    bomb = zlib.compress(bytes(200 << 20))
    for name, dtype, shape in (("primer", "|u1", [200 << 20]), ("difference.output_bias", "<i2", [100 << 20])):
        listed = {"name": name, "dtype": dtype, "shape": shape, "offset": 0, "deflated_bytes": len(bomb)}
        fields = headers.unpack(adapted)[0] | {"tensors": [listed], "shifts": {}}
        tracemalloc.start()
        try:
            assert not survives(pack(fields, bomb + bytes(-len(bomb) % ALIGNMENT)), base_model)
            assert tracemalloc.get_traced_memory()[1] < 16 << 20
        finally:
            tracemalloc.stop()


def test_damage_and_cuts(adapted: bytes, base_model: Model) -> None:
    for size in (0, 8, 11, 12, 100, len(adapted) // 2, len(adapted) - 1):
        assert not survives(adapted[:size], base_model)
    assert not survives(adapted + bytes(64), base_model)
    random = np.random.default_rng(3)
    for _ in range(40):
        data = bytearray(adapted)
        data[int(random.integers(4000))] ^= 1 << int(random.integers(8))
        survives(bytes(data), base_model)
