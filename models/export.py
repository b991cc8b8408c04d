"""Turn a trained network into the integer model file, and a model file back into weights to go on from."""

from __future__ import annotations

import math
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from llmzip.models.network import Attention, EncoderAugmentedDecoder, GatedConvolution, SquaredReluMlp, Stack
from llmzip.network.architecture import (
    ACTIVATION_STEPS_PER_RMS,
    EMBEDDING_MULTIPLIER_BITS,
    GATE_STEPS_PER_RMS,
    HIDDEN_BITS,
    INT8_MAX,
    MULTIPLIER_BITS,
    RESIDUAL_BITS,
    SIDE_STEPS_PER_UNIT,
    ModelConfig,
    StackConfig,
    largest_weight,
)
from llmzip.network.model import Model, load_model
from llmzip.network.model_file import pack_model, pack_pairs_of_values

SIDE_BITS = int(math.log2(SIDE_STEPS_PER_UNIT))
SIDE_FREQUENCY_TOTAL = 1 << 20
SCORE_UNITS = 2 ** (HIDDEN_BITS + 16) / ACTIVATION_STEPS_PER_RMS**2
"""Steps of an attention's temperature by unit."""


def quantise(
    weight: Tensor, bits: int, steps_in: int, bits_out: int, multiplier_bits: int = MULTIPLIER_BITS
) -> tuple[NDArray[np.int8], NDArray[np.int32]]:
    """Round a matrix ``[out, in]`` to integers of ``bits`` bits, with factors per row that make sums fixed point.

    Args:
        steps_in: quantisation steps per unit of the inputs.
        bits_out: fraction bits of the result.
    """
    matrix = weight.detach().double().cpu().numpy()
    scale = np.maximum(np.abs(matrix).max(-1), 1e-8) / largest_weight(bits)
    rounded = np.round(matrix / scale[..., None]).astype(np.int8)
    multiplier = np.round(scale / steps_in * 2.0 ** (bits_out + multiplier_bits))
    if multiplier.max() >= 2**31:
        raise ValueError("a weight is too large for its fixed-point multiplier")
    return rounded, multiplier.astype(np.int32)


def _stack_tensors(stack: Stack, config: StackConfig, weight_bits: int) -> dict[str, NDArray]:
    columns: dict[str, list[NDArray]] = {}

    def add(name: str, weight: Tensor, steps_in: int, bits_out: int) -> None:
        rounded, multiplier = quantise(weight, weight_bits, steps_in, bits_out)
        columns.setdefault(f"{name}_weight", []).append(rounded)
        columns.setdefault(f"{name}_multiplier", []).append(multiplier)

    for mixer, mlp in zip(stack.mixers, stack.mlps, strict=True):
        assert isinstance(mixer, (Attention, GatedConvolution))
        assert isinstance(mlp, SquaredReluMlp)
        add("in", mixer.project.weight, ACTIVATION_STEPS_PER_RMS, HIDDEN_BITS)
        taps = np.zeros((config.kernel, config.width), np.int16)
        temperature = np.zeros(config.heads, np.int32)
        if isinstance(mixer, GatedConvolution):
            scaled = mixer.taps.detach().double().cpu().numpy() * 2**HIDDEN_BITS
            taps = np.clip(np.round(scaled), -32767, 32767).astype(np.int16)
            add("out", mixer.out.weight, GATE_STEPS_PER_RMS, RESIDUAL_BITS)
        else:
            scaled = mixer.temperature.detach().double().cpu().numpy() * SCORE_UNITS
            temperature = np.round(scaled).astype(np.int32)
            add("out", mixer.out.weight, ACTIVATION_STEPS_PER_RMS, RESIDUAL_BITS)
        columns.setdefault("taps", []).append(taps)
        columns.setdefault("temperature", []).append(temperature)
        add("up", mlp.up.weight, ACTIVATION_STEPS_PER_RMS, HIDDEN_BITS)
        add("down", mlp.out.weight, GATE_STEPS_PER_RMS, RESIDUAL_BITS)
    tensors = {name: np.stack(values) for name, values in columns.items()}
    tensors["slopes"] = np.array([round(config.slope(h) * 2**HIDDEN_BITS) for h in range(config.heads)], np.int32)
    return tensors


def unpack_pairs_of_values(packed: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Undo :func:`llmzip.network.model_file.pack_pairs_of_values`: ``[rows, columns / 2]`` to ``[rows, columns]``."""
    values = np.stack([packed & 15, packed >> 4], -1).reshape(len(packed), 2 * packed.shape[1])
    return values.astype(np.int8) - np.int8(8)


def _side_frequencies(model: EncoderAugmentedDecoder) -> NDArray[np.int32]:
    """The learned prior as integer frequencies of every stored value, int32 ``[side_numbers, 255]``."""
    values = torch.arange(-INT8_MAX, INT8_MAX + 1)[:, None] / SIDE_STEPS_PER_UNIT
    half = 0.5 / SIDE_STEPS_PER_UNIT
    mean, scale = model.prior.mean.detach().cpu(), model.prior.log_scale.detach().cpu().exp()
    mass = torch.sigmoid((values + half - mean) / scale) - torch.sigmoid((values - half - mean) / scale)
    return (1 + (mass.T.double() * SIDE_FREQUENCY_TOTAL).round()).to(torch.int32).numpy()


@torch.no_grad()
def export_model(model: EncoderAugmentedDecoder, vocabulary: bytes) -> bytes:
    """Return the model file of a trained network.

    Raises:
        ValueError: its configuration is none that the run time takes, or a weight is too large.
    """
    config = model.config
    config.check()
    tensors: dict[str, NDArray] = {}
    parts = (
        ("decoder", model.decoder, config.decoder, model.embedding),
        ("encoder", model.encoder, config.encoder, model.encoder_embedding),
    )
    for part, stack, stack_config, embedding in parts:
        rounded, multiplier = quantise(embedding, config.weight_bits, 1, RESIDUAL_BITS, EMBEDDING_MULTIPLIER_BITS)
        tensors |= {f"{part}.embedding": rounded, f"{part}.embedding_multiplier": multiplier}
        tensors |= {f"{part}.{name}": t for name, t in _stack_tensors(stack, stack_config, config.weight_bits).items()}
    for name, table in (("pairs", model.bigram_embedding), ("triples", model.trigram_embedding)):
        if len(table):
            rounded, multiplier = quantise(
                table, config.bigram_weight_bits, 1, RESIDUAL_BITS, EMBEDDING_MULTIPLIER_BITS
            )
            tensors |= {
                f"decoder.{name}": pack_pairs_of_values(rounded),
                f"decoder.{name}_multiplier": multiplier,
            }
    for name, weight, steps_in, bits_out in (
        ("head", model.head.weight, ACTIVATION_STEPS_PER_RMS, HIDDEN_BITS),
        ("down", model.down.weight, ACTIVATION_STEPS_PER_RMS, SIDE_BITS),
        ("up", model.up.weight, SIDE_STEPS_PER_UNIT, RESIDUAL_BITS),
    ):
        tensors[f"{name}_weight"], tensors[f"{name}_multiplier"] = quantise(
            weight, config.weight_bits, steps_in, bits_out
        )
    tensors["output_bias"] = (model.output_bias.double() * 2**HIDDEN_BITS).round().to(torch.int32).cpu().numpy()
    tensors["side_frequencies"] = _side_frequencies(model)
    return pack_model(config, vocabulary, tensors)


@click.command()
@click.argument("checkpoints", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--vocabulary-of", type=click.Path(exists=True, dir_okay=False), help="Model file with the vocabulary.")
def main(checkpoints: tuple[str, ...], out: Path, vocabulary_of: str | None) -> None:
    """Write the model file of a training checkpoint, or of the mean of several CHECKPOINTS' weights, to OUT."""
    saved = [torch.load(path, map_location="cpu", weights_only=True) for path in checkpoints]
    model = EncoderAugmentedDecoder(ModelConfig.from_json(saved[-1]["config"]))
    weights = [one["model"] for one in saved]
    model.load_state_dict({name: sum(w[name] for w in weights) / len(weights) for name in weights[-1]})
    data = export_model(model, load_model(vocabulary_of).file.read("vocabulary").tobytes())
    out.write_bytes(data)
    steps = ", ".join(str(one["step"]) for one in saved)
    click.echo(f"{out}: {len(data)} bytes, step {steps}, fingerprint {Model(data).fingerprint.hex()}")


def import_model(model: Model) -> dict[str, Tensor]:
    """Return a ``state_dict`` whose export gives ``model`` again (up to the prior's rounding), to train on from."""
    state: dict[str, Tensor] = {}
    read = model.file.read

    def put(
        name: str, weight: NDArray, multiplier: NDArray, steps_in: int, bits_out: int, bits: int = MULTIPLIER_BITS
    ) -> None:
        scale = multiplier.astype(np.float64) * steps_in / 2.0 ** (bits_out + bits)
        state[name] = torch.from_numpy((weight * scale[:, None]).astype(np.float32))

    def put_embedding(name: str, source: str, weight: NDArray) -> None:
        put(name, weight, read(f"{source}_multiplier"), 1, RESIDUAL_BITS, EMBEDDING_MULTIPLIER_BITS)

    config = model.config
    put_embedding("embedding", "decoder.embedding", read("decoder.embedding"))
    put_embedding("encoder_embedding", "encoder.embedding", read("encoder.embedding"))
    for name, source, rows, columns in (
        ("bigram_embedding", "decoder.pairs", config.bigram_rows, config.bigram_columns),
        ("trigram_embedding", "decoder.triples", config.trigram_rows, config.trigram_columns),
    ):
        if rows:
            put_embedding(name, source, unpack_pairs_of_values(read(source)))
        else:
            state[name] = torch.zeros(0, columns)
    for part, stack in (("decoder", config.decoder), ("encoder", config.encoder)):
        names = ("in", "out", "up", "down")
        matrices = {name: (read(f"{part}.{name}_weight"), read(f"{part}.{name}_multiplier")) for name in names}
        taps, temperature = read(f"{part}.taps"), read(f"{part}.temperature")
        for layer, kind in enumerate(stack.layers):
            mixer, mlp = f"{part}.mixers.{layer}", f"{part}.mlps.{layer}"
            steps_out = GATE_STEPS_PER_RMS if kind == "c" else ACTIVATION_STEPS_PER_RMS
            for name, source, steps_in, bits_out in (
                (f"{mixer}.project.weight", "in", ACTIVATION_STEPS_PER_RMS, HIDDEN_BITS),
                (f"{mixer}.out.weight", "out", steps_out, RESIDUAL_BITS),
                (f"{mlp}.up.weight", "up", ACTIVATION_STEPS_PER_RMS, HIDDEN_BITS),
                (f"{mlp}.out.weight", "down", GATE_STEPS_PER_RMS, RESIDUAL_BITS),
            ):
                weight, multiplier = matrices[source]
                put(name, weight[layer], multiplier[layer], steps_in, bits_out)
            if kind == "c":
                state[f"{mixer}.taps"] = torch.from_numpy(taps[layer].astype(np.float32) / 2**HIDDEN_BITS)
            else:
                state[f"{mixer}.temperature"] = torch.from_numpy(temperature[layer] / SCORE_UNITS).float()
    for name, steps_in, bits_out in (
        ("head", ACTIVATION_STEPS_PER_RMS, HIDDEN_BITS),
        ("down", ACTIVATION_STEPS_PER_RMS, SIDE_BITS),
        ("up", SIDE_STEPS_PER_UNIT, RESIDUAL_BITS),
    ):
        put(f"{name}.weight", read(f"{name}_weight"), read(f"{name}_multiplier"), steps_in, bits_out)
    state["output_bias"] = torch.from_numpy(read("output_bias").astype(np.float32) / 2**HIDDEN_BITS)
    mean, log_scale = _fit_logistic(model.side_frequencies)
    state["prior.mean"], state["prior.log_scale"] = torch.from_numpy(mean), torch.from_numpy(log_scale)
    return state


def restore_network(model: Model) -> EncoderAugmentedDecoder:
    """The network of a model file in torch, for evaluation."""
    network = EncoderAugmentedDecoder(model.config)
    network.load_state_dict(import_model(model))
    return network.eval().requires_grad_(False)


def _fit_logistic(frequencies: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and log-scale of logistic distributions with the moments of ``frequencies`` ``[numbers, 255]``."""
    mass = (frequencies - 1) / (frequencies - 1).sum(-1, keepdims=True)
    values = np.arange(-INT8_MAX, INT8_MAX + 1) / SIDE_STEPS_PER_UNIT
    mean = mass @ values
    variance = mass @ values**2 - mean**2
    scale = np.sqrt(np.maximum(variance, 1e-6) * 3) / math.pi
    return mean.astype(np.float32), np.log(scale).astype(np.float32)


if __name__ == "__main__":
    main()
