"""A model in integers: what the compressor asks of it are token frequencies and side information."""

from __future__ import annotations

import mmap
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from llmzip.core import _native, available_cores
from llmzip.errors import BaseMissingError, LlmzError, ModelMissingError
from llmzip.network.adapted_file import AdaptedFile, Primer, base_fingerprint, is_adapted
from llmzip.network.architecture import INT8_MAX, MULTIPLIER_BITS
from llmzip.network.model_file import ModelFile
from llmzip.network.tokenizer import Tokenizer

FINGERPRINT_BYTES = 8
MODEL_PATH_VARIABLE = "LLMZIP_MODEL_PATH"
SUFFIX = ".llmzmodel"
_CALL_ROWS = 256
"""Of distributions at a time, which take 32 KB each."""
_TRIED_BYTES, _TRIED_TOKENS = 2048, 512
"""Of a text, to find what its first lane begins after."""
_WEIGHTS = (
    "in_weight", "out_weight", "up_weight", "down_weight",
    "in_multiplier", "out_multiplier", "up_multiplier", "down_multiplier",
    "taps", "temperature", "slopes",
)  # fmt: skip
_HEAD = ("head_weight", "head_multiplier", "output_bias")


def rescale(sums: NDArray[np.int64], multiplier: NDArray[np.int32]) -> NDArray[np.int64]:
    """Fixed-point value of a product's sums, as the core computes it."""
    return (sums.astype(np.int64) * multiplier.astype(np.int64) + (1 << (MULTIPLIER_BITS - 1))) >> MULTIPLIER_BITS


def fingerprint_of(data: Any) -> bytes:
    """The fingerprint of a model file's bytes."""
    return xxhash.xxh3_128_digest(data)[:FINGERPRINT_BYTES]


class Model:
    """A model file's networks, tokenizer and prior of side information.

    Attributes:
        file: the file's arrays.
        config: the model's shape.
        fingerprint: 8 bytes, a hash of the whole file.
        base: the model that it is adapted from, or None.
    """

    def __init__(self, data: Any, base: Model | None = None) -> None:
        """Read a model file from any buffer of bytes; with ``base``, an adapted one.

        Raises:
            LlmzError: the data is not a whole model file, or ``base`` is adapted itself.
        """
        self.base = base
        self._data = data
        self._building = threading.Lock()
        self._networks: dict[str, Any] = {}
        self.file: ModelFile | AdaptedFile = ModelFile(data) if base is None else AdaptedFile(data, base.whole_file)
        self.config = self.file.config
        self.fingerprint = fingerprint_of(data)

    @property
    def whole_file(self) -> ModelFile:
        """The file, which all arrays are in.

        Raises:
            LlmzError: the model is adapted.
        """
        if isinstance(self.file, AdaptedFile):
            raise LlmzError("an adapted model has not all of its arrays: only its base can be adapted or primed")
        return self.file

    @cached_property
    def primer(self) -> Primer | None:
        """What mixed mode's models read before a member; only adapted models have one."""
        return self.file.primer if isinstance(self.file, AdaptedFile) else None

    @property
    def changes_network(self) -> bool:
        """Whether the network is another one than the base's; only adapted models may change it."""
        return isinstance(self.file, AdaptedFile) and self.file.changes_network

    @cached_property
    def tokenizer(self) -> Tokenizer:
        try:
            tokenizer = Tokenizer.from_bytes(self.file.read("vocabulary").tobytes())
        except ValueError as error:
            raise LlmzError(f"not a model file of this version: {error}") from error
        if tokenizer.size != self.config.vocabulary:
            raise LlmzError("not a model file of this version: the vocabulary does not fit the configuration")
        return tokenizer

    @cached_property
    def start_token(self) -> int:
        """What stands before a lane's first token: that of a NUL byte."""
        return int(self.tokenizer.encode(b"\0")[0])

    @cached_property
    def line_token(self) -> int:
        """What stands before the first token of a lane that begins within a text: that of a line end."""
        return int(self.tokenizer.encode(b"\n")[0])

    @property
    def decoder(self) -> Any:
        """The core's decoder."""
        return self._built("decoder")

    @property
    def encoder(self) -> Any:
        """The core's encoder, which has no head."""
        return self._built("encoder")

    def _built(self, part: str) -> Any:
        """A network, built once, however many threads ask for it at the same time: each takes 30 MB."""
        with self._building:
            if part not in self._networks:
                self._networks[part] = self._network(part)
            return self._networks[part]

    def _network(self, part: str) -> Any:
        config = self.config.decoder if part == "decoder" else self.config.encoder
        hashed = {"pairs": (0, 0), "triples": (0, 0)}
        if part == "decoder":
            hashed = {
                "pairs": (self.config.bigram_rows, self.config.bigram_columns),
                "triples": (self.config.trigram_rows, self.config.trigram_columns),
            }
        head = _HEAD if part == "decoder" else ()
        names = [f"{part}.{name}" for name in (*_WEIGHTS, "embedding", "embedding_multiplier")] + list(head)
        for name, (rows, _) in hashed.items():
            names += [f"{part}.{name}", f"{part}.{name}_multiplier"] * bool(rows)
        # Longest first: inflating one of them takes longer than all short ones together.
        ordered = sorted(names, key=lambda name: -self.file.entries[name].plain_bytes)
        if (threads := min(4, available_cores())) > 1:
            with ThreadPoolExecutor(threads) as pool:
                arrays = dict(zip(ordered, pool.map(self.file.read, ordered), strict=True))
        else:  # there may be no threads at all, as in WebAssembly
            arrays = {name: self.file.read(name) for name in ordered}

        def embedding(name: str, rows: int, columns: int, packed: bool) -> tuple[Any, Any, int, int, bool]:
            return arrays.get(f"{part}.{name}"), arrays.get(f"{part}.{name}_multiplier"), rows, columns, packed

        shape = (config.width, config.hidden, config.heads, config.kernel, config.window, self.config.vocabulary)
        attends = bytes(letter == "a" for letter in config.layers)
        weights = [arrays[f"{part}.{name}"] for name in _WEIGHTS] + [arrays[name] if head else None for name in _HEAD]
        embeddings = (
            embedding("embedding", self.config.vocabulary, config.width, False),
            embedding("pairs", *hashed["pairs"], True),
            embedding("triples", *hashed["triples"], True),
        )
        try:
            network = _native.network_new(shape, attends, tuple(weights), embeddings)
        except ValueError as error:
            raise LlmzError(f"not a model file of this version: {error}") from error
        arrays.clear()
        del weights, embeddings
        self._forget_pages()
        return network

    def _forget_pages(self) -> None:
        """Give back the memory that inflating took, and of a mapped file's pages; those still needed, few of them, are
        read again."""
        _native.return_memory()
        if isinstance(self._data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            self._data.madvise(mmap.MADV_DONTNEED)

    @cached_property
    def side_frequencies(self) -> NDArray[np.int32]:
        """Frequencies of every value of every stored number, ``[side_numbers, 255]``; all positive."""
        frequencies: NDArray[np.int32] = self.file.read("side_frequencies")
        if frequencies.min() < 1 or frequencies.sum(1, dtype=np.int64).max() > 1 << 24:
            raise LlmzError("not a model file of this version: frequencies of side information make no sense")
        return frequencies

    def side_vector(self, side: NDArray[np.int8] | None) -> NDArray[np.int32]:
        """What side information int8 ``[side_numbers]`` adds to every embedding, int32 ``[d]``; None adds nothing."""
        if side is None:
            return np.zeros(self.config.decoder.width, np.int32)
        weight, multiplier = self.file.read("up_weight"), self.file.read("up_multiplier")
        vector = rescale(weight.astype(np.int64) @ side.astype(np.int64), multiplier)
        return np.clip(vector, -(1 << 22), 1 << 22).astype(np.int32)

    def encode_side(self, tokens: NDArray[np.int32]) -> NDArray[np.int8]:
        """Read ``tokens`` (at most one attention window) and return the side information, int8 ``[side_numbers]``."""
        predictor = Predictor(self, 1, tokens.size, None, encoder=True)
        states = predictor.states(tokens[None])
        weight, multiplier = self.file.read("down_weight"), self.file.read("down_multiplier")
        numbers = rescale(weight.astype(np.int64) @ states[-1].astype(np.int64), multiplier)
        return np.clip(numbers, -INT8_MAX, INT8_MAX).astype(np.int8)

    def predictor(
        self, lanes: int, longest_call: int, side: NDArray[np.int8] | None, threads: int | None = None
    ) -> Predictor:
        """A :class:`Predictor` of this model."""
        return Predictor(self, lanes, longest_call, side, threads)


class Predictor:
    """Token frequencies for some lanes, position after position.

    Args:
        longest_call: steps of a call at most.
        side: int8 ``[side_numbers]`` or None.
        threads: how many compute; None for all cores.
        encoder: run the encoder, which gives states only.
    """

    def __init__(
        self, model: Model, lanes: int, longest_call: int, side: NDArray[np.int8] | None, threads: int | None = None,
        encoder: bool = False,
    ) -> None:  # fmt: skip
        self._vocabulary = model.config.vocabulary
        self._width = model.config.encoder.width if encoder else model.config.decoder.width
        vector = np.zeros(self._width, np.int32) if encoder else model.side_vector(side)
        network = model.encoder if encoder else model.decoder
        self.threads = _native.threads_new(threads or available_cores())
        self.capsule = _native.predictor_new(network, self.threads, lanes, longest_call, vector)

    def __call__(self, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
        """Feed ``tokens`` int32 ``[lanes, steps]``; return what follows each, cumulative ``[lanes * steps, V + 1]``."""
        cumulative = np.empty((tokens.size, self._vocabulary + 1), np.int32)
        _native.predictor_run(self.capsule, np.ascontiguousarray(tokens, np.int32), cumulative)
        return cumulative

    def states(self, tokens: NDArray[np.int32]) -> NDArray[np.int16]:
        """As a call, without the head: hidden states int16 ``[lanes * steps, d]`` in steps of
        ``1 / ACTIVATION_STEPS_PER_RMS``."""
        _native.predictor_run(self.capsule, np.ascontiguousarray(tokens, np.int32), None)
        return self.last_states(tokens.size)

    def last_states(self, rows: int) -> NDArray[np.int16]:
        """The states that the last call's frequencies came from, as :meth:`states`."""
        states = np.frombuffer(_native.predictor_states(self.capsule, rows), np.int8)
        return states.reshape(rows, self._width).astype(np.int16)

    def start_from(self, other: Predictor) -> None:
        """Let all lanes go on from where lane 0 of ``other`` is."""
        _native.predictor_copy_lane(self.capsule, other.capsule)


def code_lengths(cumulative: NDArray[np.int32], tokens: NDArray[np.integer]) -> NDArray[np.float64]:
    """Ideal bits of each of ``tokens`` ``[rows]`` under its row of cumulative frequencies ``[rows, V + 1]``."""
    rows = np.arange(tokens.size)
    return -np.log2((cumulative[rows, tokens + 1] - cumulative[rows, tokens]) / cumulative[:, -1])


def inputs_of(model: Model, targets: NDArray[np.int32]) -> NDArray[np.int32]:
    """What the network reads before each of ``targets`` ``[rows, length]``: the start token, then those before."""
    first = np.full((len(targets), 1), model.start_token, np.int32)
    return np.concatenate([first, targets[:, :-1]], 1)


def network_code_lengths(
    model: Model, targets: NDArray[np.int32], side: NDArray[np.int8] | None = None
) -> NDArray[np.float64]:
    """Ideal bits of ``targets`` ``[rows, length]`` by the network alone, each row from a cold start."""
    rows, length = targets.shape
    steps = min(length, max(1, _CALL_ROWS // rows))
    predictor, inputs = model.predictor(rows, steps, side), inputs_of(model, targets)
    lengths = np.empty(targets.shape)
    for start in range(0, length, steps):
        called = slice(start, start + steps)
        cumulative = predictor(inputs[:, called])
        lengths[:, called] = code_lengths(cumulative, targets[:, called].ravel()).reshape(rows, -1)
    return lengths


def begins_after_line(model: Model, text: bytes) -> bool:
    """Whether the network needs fewer bits for the beginning of ``text`` after a line end than after a NUL byte.

    It knows how documents begin, after a NUL; but where one begins as others do and goes on in its own way, it is
    misled for as long as that beginning stays in its window.
    """
    return _begins_after_line(model, text[:_TRIED_BYTES])


@lru_cache(maxsize=4)
def _begins_after_line(model: Model, beginning: bytes) -> bool:
    """Kept, since a text that is coded on trial is often coded once more."""
    tokens = model.tokenizer.encode(beginning)[:_TRIED_TOKENS]
    targets = np.stack([tokens, tokens])
    inputs = inputs_of(model, targets)
    inputs[1, 0] = model.line_token
    lengths = code_lengths(model.predictor(2, tokens.size, None)(inputs), targets.ravel()).reshape(targets.shape)
    return bool(lengths[1].sum() < lengths[0].sum())


def load_model(path: str | None = None) -> Model:
    """Load a model file, or the model that ships in the package; the last few are kept until their files change.

    Raises:
        BaseMissingError: the model is adapted from one that is not here.
        LlmzError: the file is not a model.
        OSError: it cannot be read.
    """
    path = os.path.abspath(path or _shipped_path())
    status = os.stat(path)
    return _loaded(path, (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=4)
def _loaded(path: str, _version: tuple[int, ...]) -> Model:
    data = _mapped(path)
    if not is_adapted(data):
        return Model(data)
    wanted = base_fingerprint(data)
    for candidate in (None, *_paths_in_search()):
        try:
            if is_adapted(_mapped(candidate or _shipped_path())):
                continue
            base = load_model(candidate)
        except (LlmzError, OSError):
            continue
        if base.fingerprint == wanted:
            return Model(data, base)
    raise BaseMissingError(wanted, path)


def forget_models() -> None:
    """Let :func:`load_model` read every file anew."""
    _loaded.cache_clear()


def find_model(fingerprint: bytes, path: str | None = None) -> Model:
    """Return the model whose fingerprint begins so: ``path``, the shipped one, or one in ``$LLMZIP_MODEL_PATH``.

    Raises:
        ModelMissingError: none of them has it; files there that are no models are named.
        BaseMissingError: the model that has it is adapted from one that is not here.
        LlmzError: ``path`` is not a model file.
    """
    candidates: list[str | None] = [path] if path else []
    candidates += [None, *_paths_in_search()]
    unreadable = []
    for candidate in candidates:
        try:
            model = load_model(candidate)
        except (LlmzError, OSError) as error:
            if candidate == path and path:
                raise
            if not isinstance(error, BaseMissingError):
                unreadable.append(candidate or "the shipped model")
            elif fingerprint_of(_mapped(error.path)).startswith(fingerprint):
                raise
            continue
        if model.fingerprint.startswith(fingerprint):
            return model
    raise ModelMissingError(fingerprint, unreadable)


def _shipped_path() -> str:
    return str(resources.files("llmzip") / "data" / f"base{SUFFIX}")


def _paths_in_search() -> list[str]:
    """Model files in the folders of ``$LLMZIP_MODEL_PATH``."""
    folders = filter(None, os.environ.get(MODEL_PATH_VARIABLE, "").split(os.pathsep))
    return [str(file) for folder in folders for file in sorted(Path(folder).glob(f"*{SUFFIX}"))]


def _mapped(path: str) -> mmap.mmap:
    """A file's bytes.

    Raises:
        LlmzError: it is empty.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            raise LlmzError(f"{path}: not a model file: it is empty")
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
