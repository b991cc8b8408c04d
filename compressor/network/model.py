"""The model file, and what the compressor asks of a model: token frequencies and side information."""

from __future__ import annotations

import json
import os
import zlib
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from llmzip.network.architecture import INT8_MAX, ModelConfig
from llmzip.errors import LlmzError
from llmzip.network.integer_product import UNSIGNED_OFFSET, with_tiles
from llmzip.mixing.mixing import LearnedState, new_learned_state
from llmzip.network.stack import Embedding, Embeddings, Head, Stack, StackWeights, StepBuffers, new_buffers, rescale
from llmzip.network.second_core import NO_HELPER, SecondCore
from llmzip.network.tokenizer import Tokenizer

MAGIC = b"LLMZMDL1"
FINGERPRINT_BYTES = 8
MODEL_PATH_VARIABLE = "LLMZIP_MODEL_PATH"


def pack_model(config: ModelConfig, vocabulary: bytes, tensors: dict[str, NDArray]) -> bytes:
    """Return a model file: magic, header length, JSON header, vocabulary and tensors, each aligned to 64 bytes.

    Weights, which are int8, are deflated with Huffman codes only: nothing repeats in them, but small values
    are frequent.
    """
    offset, listing, body = 0, [], []
    for name, tensor in ({"vocabulary": np.frombuffer(vocabulary, np.uint8)} | tensors).items():
        entry = {"name": name, "dtype": tensor.dtype.str, "shape": list(tensor.shape), "offset": offset}
        data = tensor.tobytes()
        if tensor.dtype == np.int8:
            deflater = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, zlib.Z_HUFFMAN_ONLY)
            data = deflater.compress(data) + deflater.flush()
            entry["deflated_bytes"] = len(data)
        listing.append(entry)
        body.append(data + b"\0" * (-len(data) % 64))
        offset += len(body[-1])
    header = json.dumps({"config": json.loads(config.to_json()), "tensors": listing}).encode()
    header += b" " * (-(len(header) + 12) % 64)
    return MAGIC + len(header).to_bytes(4, "little") + header + b"".join(body)


def with_tensors(model: Model, prefix: str, tensors: dict[str, NDArray]) -> bytes:
    """Return ``model``'s file with further tensors, named ``prefix.name``, in place of those it has."""
    named = {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}
    return pack_model(model.config, model.vocabulary, model.tensors | named)


def _read_tensor(view: memoryview, start: int, entry: dict[str, Any]) -> NDArray:
    count = int(np.prod(entry["shape"], dtype=np.int64))
    dtype = np.dtype(entry["dtype"])
    if "deflated_bytes" in entry:
        inflater = zlib.decompressobj()
        plain = inflater.decompress(view[start : start + entry["deflated_bytes"]], count * dtype.itemsize + 1)
        return np.frombuffer(plain, dtype).reshape(entry["shape"])
    return np.frombuffer(view, dtype, count, start).reshape(entry["shape"])


class Model:
    """A model in integers.

    Attributes:
        fingerprint: 8 bytes, a hash of the whole model file (weights, vocabulary and shape).
        tensors: all arrays of the file by name.
        down, up: weight and multiplier of the matrices to the stored numbers, and from them.
    """

    def __init__(self, data: Any) -> None:
        """Read a model file from any buffer of bytes.

        Raises:
            LlmzError: the data is not a whole model file.
        """
        view = memoryview(data)
        self.fingerprint = xxhash.xxh3_128_digest(view)[:FINGERPRINT_BYTES]
        try:
            if bytes(view[:8]) != MAGIC:
                raise ValueError("no llmzip model")
            length = int.from_bytes(view[8:12], "little")
            header = json.loads(bytes(view[12 : 12 + length]))
            self.config = ModelConfig.from_json(json.dumps(header["config"]))
            tensors: dict[str, NDArray] = {}
            for entry in header["tensors"]:
                tensors[entry["name"]] = _read_tensor(view, 12 + length + entry["offset"], entry)
            self.vocabulary = tensors.pop("vocabulary").tobytes()
            self.tensors = tensors
            self.tokenizer = Tokenizer.from_bytes(self.vocabulary)
            self.embeddings = {
                part: Embeddings(
                    Embedding(tensors[f"{part}.embedding"], tensors[f"{part}.embedding_multiplier"]),
                    self._hashed_embedding(tensors, f"{part}.bigram", self.config.bigram_columns),
                    self._hashed_embedding(tensors, f"{part}.trigram", self.config.trigram_columns),
                )
                for part in ("decoder", "encoder")
            }
            stacks = {
                part: StackWeights(**{field: tensors[f"{part}.{field}"] for field in StackWeights._fields})
                for part in ("decoder", "encoder")
            }
            self._head = tensors["head_weight"], tensors["head_multiplier"], tensors["output_bias"]
            self.down = tensors["down_weight"], tensors["down_multiplier"]
            self.up = tensors["up_weight"], tensors["up_multiplier"]
            self.side_frequencies: NDArray[np.int32] = tensors["side_frequencies"]
            primed = "mixing.weights" in tensors
            fields = LearnedState._fields
            self._mixing = LearnedState(*(tensors[f"mixing.{field}"] for field in fields)) if primed else None
        except (KeyError, TypeError, ValueError, zlib.error) as error:
            raise LlmzError(f"not a model file of this version: {error}") from error
        self.decoder = Stack(self.config.decoder, stacks["decoder"], self.config.weight_bits)
        self.encoder = Stack(self.config.encoder, stacks["encoder"], self.config.weight_bits)
        self.start_token = int(self.tokenizer.encode(b"\0")[0])

    @staticmethod
    def _hashed_embedding(tensors: dict[str, NDArray], name: str, columns: int) -> Embedding:
        weight = tensors.get(f"{name}_embedding", np.zeros((0, columns), np.int8))
        return Embedding(weight, tensors.get(f"{name}_multiplier", np.zeros(0, np.int32)))

    def side_vector(self, side: NDArray[np.int8] | None) -> NDArray[np.int32]:
        """What side information int8 ``[side_numbers]`` adds to every embedding, int32 ``[d]``; None adds nothing."""
        if side is None:
            return np.zeros(self.config.decoder.width, np.int32)
        weight, multiplier = self.up
        return rescale(weight.astype(np.int64) @ side.astype(np.int64), multiplier).astype(np.int32)

    def encode_side(self, tokens: NDArray[np.int32]) -> NDArray[np.int8]:
        """Read ``tokens`` (at most one attention window) and return the side information, int8 ``[side_numbers]``."""
        no_side = np.zeros(self.config.encoder.width, np.int32)
        state = self.encoder.new_state(1, tokens.size)
        states = self.encoder.states(tokens[None], self.embeddings["encoder"], no_side, state, None)
        weight, multiplier = self.down
        numbers = rescale(weight.astype(np.int64) @ states[-1].astype(np.int64), multiplier)
        return np.clip(numbers, -INT8_MAX, INT8_MAX).astype(np.int8)

    def primed_mixing(self) -> LearnedState:
        """A fresh copy of the mixers and maps that ship with the model."""
        if self._mixing is None:
            return new_learned_state(self.config.mixing_version)
        return LearnedState(*(tensor.copy() for tensor in self._mixing))

    def predictor(
        self, lanes: int, longest_call: int, side: NDArray[np.int8] | None, kernel: str | None = None,
        helped: bool = False,
    ) -> Predictor:  # fmt: skip
        return Predictor(self, lanes, longest_call, side, kernel, helped)

    @cached_property
    def head(self) -> Head:
        weight, multiplier, bias = self._head
        return Head(with_tiles(weight[None]), multiplier, bias)


class Predictor:
    """Token frequencies for a group of lanes, position after position; a context manager.

    Args:
        kernel: ``"compiled"`` or None (the CPU's fastest instructions), ``"plain"`` or ``"blas"``; all give the same.
        helped: share the work with a second core between entering and leaving the context; every call is then of
            ``longest_call`` steps.
    """

    def __init__(
        self, model: Model, lanes: int, longest_call: int, side: NDArray[np.int8] | None, kernel: str | None,
        helped: bool = False,
    ) -> None:  # fmt: skip
        self._model = model
        self._state = model.decoder.new_state(lanes, longest_call)
        self._side = model.side_vector(side)
        self._kernel = kernel
        self._helper: SecondCore | None = None
        self._buffers: StepBuffers | None = None
        if helped and kernel != "blas":
            self._buffers = self._new_buffers(lanes, longest_call)
            self._helper = model.decoder.second_core(
                model.embeddings["decoder"], self._side, model.head, self._state, kernel, self._buffers
            )

    def _new_buffers(self, lanes: int, steps: int) -> StepBuffers:
        return new_buffers(lanes, steps, self._model.config.decoder, self._model.config.vocabulary)

    def __enter__(self) -> Predictor:
        if self._helper:
            self._helper.__enter__()
        return self

    def __exit__(self, *details: Any) -> None:
        if self._helper:
            self._helper.__exit__(*details)

    def __call__(self, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
        """Feed ``tokens`` int32 ``[lanes, steps]``; return what follows each, cumulative ``[lanes * steps, V + 1]``,
        where a second core helps in memory that the next call uses again."""
        return self._evaluate(tokens).cumulative

    def states_and_frequencies(self, tokens: NDArray[np.int32]) -> tuple[NDArray[np.int16], NDArray[np.int32]]:
        """What :meth:`states` and a call return."""
        buffers = self._evaluate(tokens)
        return buffers.inputs.astype(np.int16) - UNSIGNED_OFFSET, buffers.cumulative

    def _evaluate(self, tokens: NDArray[np.int32]) -> StepBuffers:
        buffers = self._buffers or self._new_buffers(*tokens.shape)
        control = self._helper.control if self._helper else NO_HELPER
        model = self._model
        model.decoder.evaluate(
            tokens, model.embeddings["decoder"], self._side, model.head, self._state, self._kernel, buffers, control
        )
        return buffers

    def states(self, tokens: NDArray[np.int32]) -> NDArray[np.int16]:
        """As a call, without the head: hidden states int16 ``[lanes * steps, d]`` in steps of
        ``1 / ACTIVATION_STEPS_PER_RMS``."""
        model = self._model
        return model.decoder.states(tokens, model.embeddings["decoder"], self._side, self._state, self._kernel)


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
    cumulative = model.predictor(rows, length, side)(inputs_of(model, targets))
    return code_lengths(cumulative, targets.ravel()).reshape(targets.shape)


@lru_cache(maxsize=4)
def load_model(path: str | None = None) -> Model:
    """Load a model file, or the model that ships in the package.

    Raises:
        LlmzError: the file is not a model.
        OSError: it cannot be read.
    """
    if path is None:
        path = str(resources.files("llmzip") / "data" / "base.llmzmodel")
    return Model(np.memmap(path, np.uint8, "r"))


def find_model(fingerprint: bytes, path: str | None = None) -> Model:
    """Return the model with this fingerprint: ``path``, the shipped one, or one in ``$LLMZIP_MODEL_PATH`` folders.

    Raises:
        LlmzError: none of them has it.
    """
    model = load_model(path)
    if model.fingerprint.startswith(fingerprint):
        return model
    for folder in filter(None, os.environ.get(MODEL_PATH_VARIABLE, "").split(os.pathsep)):
        for candidate in sorted(Path(folder).glob("*.llmzmodel")):
            model = load_model(str(candidate))
            if model.fingerprint.startswith(fingerprint):
                return model
    raise LlmzError(
        f"made with model {fingerprint.hex()}, which is not here: pass it with --model or name its folder in "
        f"{MODEL_PATH_VARIABLE}"
    )
