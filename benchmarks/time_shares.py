"""Where the time of mixed mode goes: ``python -m llmzip.benchmarks.time_shares FILE``.

Restores FILE once as a whole, then runs each part of a decoding step alone on one core, on random states and a full
attention window; decoding shares all but mixing between two cores, compression runs on chunks of positions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from llmzip.mixing import mixed_coding
from llmzip.network import stack
from llmzip.network.architecture import ACTIVATION_STEPS_PER_RMS, GATE_STEPS_PER_RMS
from llmzip.network.attention import attend_heads
from llmzip.benchmarks.machine import machine_line
from llmzip.network.convolution import convolve_lanes
from llmzip.network.fixed_point import EXP_COARSE, EXP_FINE
from llmzip.network.integer_product import multiply
from llmzip.network.lanes import known_frequencies, lane_groups
from llmzip.network.lane_layout import LaneLayout
from llmzip.mixing.mixed_coding import MixedCoder, bucket_bits_for
from llmzip.network.model import Model, load_model
from llmzip.progress import SILENT
from llmzip.network.second_core import NO_HELPER

REPETITIONS = 200


def _median_microseconds(function: Callable[[], object]) -> float:
    function()
    times = []
    for _ in range(REPETITIONS):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return 1e6 * float(np.median(times))


def step_parts(model: Model, lanes: int) -> dict[str, float]:
    """Microseconds of each part of the network in a decoding step of ``lanes`` tokens, on one core."""
    random = np.random.default_rng(0)
    stack, config, head = model.decoder, model.config.decoder, model.head
    weights, matrices, way = stack.weights, stack.matrices, stack.way_to_multiply(None)
    buffers = network.new_buffers(lanes, 1, config, model.config.vocabulary)
    buffers.inputs[:] = random.integers(88, 168, buffers.inputs.shape)
    buffers.tall_inputs[:] = random.integers(88, 168, buffers.tall_inputs.shape)
    state = stack.new_state(lanes, 1)
    state.keys[:] = random.integers(100, 156, state.keys.shape)
    state.values[:] = random.integers(-30, 30, state.values.shape)
    state.length[0] = config.window
    layers = range(len(config.layers))
    convolutions = [layer for layer in layers if config.layers[layer] == "c"]
    attentions = [layer for layer in layers if config.layers[layer] == "a"]
    square_sums = buffers.shared[0, 0]

    def products() -> None:
        for layer in layers:
            for inputs, matrix, out in (
                (buffers.inputs, matrices.to_inner, buffers.wide),
                (buffers.inputs, matrices.from_inner, buffers.narrow),
                (buffers.inputs, matrices.up, buffers.tall),
                (buffers.tall_inputs, matrices.down, buffers.narrow),
            ):
                multiply(inputs, matrix, layer, way, 0, out.shape[1], out)
        multiply(buffers.inputs, head.matrix, 0, way, 0, model.config.vocabulary, buffers.logits)

    def attention() -> None:
        for layer in attentions:
            slot = weights.cache_slot[layer]
            attend_heads(
                buffers.wide, weights.in_multiplier[layer], weights.temperature[layer], weights.slopes,
                state.keys[slot], state.values[slot], state.length[0], config.window, way, lanes, 1, 0, 1,
                buffers.inner,
            )  # fmt: skip

    def convolution() -> None:
        for layer in convolutions:
            convolve_lanes(
                buffers.wide, weights.in_multiplier[layer], weights.taps[layer], state.tails[layer], 0, config.width,
                lanes, 1, buffers.inner,
            )  # fmt: skip

    def normalise(values: NDArray[np.int32], steps_per_rms: int, inputs: NDArray[np.uint8]) -> None:
        network._normalise(values, 0, values.shape[1], steps_per_rms, inputs, buffers.shared, NO_HELPER, 0, 1)

    def norms() -> None:
        for layer in layers:
            normalise(buffers.inner, ACTIVATION_STEPS_PER_RMS, buffers.inputs)
            for multiplier in (weights.out_multiplier[layer], weights.down_multiplier[layer]):
                network._add_to_residual(buffers.narrow, multiplier, 0, config.width, buffers.residual, square_sums)
                normalise(buffers.residual, ACTIVATION_STEPS_PER_RMS, buffers.inputs)
            network._square_relu(buffers.tall, weights.up_multiplier[layer], 0, config.hidden, square_sums)
            normalise(buffers.tall, GATE_STEPS_PER_RMS, buffers.tall_inputs)

    def softmax() -> None:
        buffers.logits[:] = logits
        network._frequencies(
            buffers.logits, head, buffers.cumulative, buffers.shared, NO_HELPER, EXP_COARSE, EXP_FINE, 0, 1
        )

    products()
    logits = buffers.logits.copy()
    parts = (products, attention, convolution, norms, softmax)
    return {part.__name__: _median_microseconds(part) for part in parts}


def mixing_microseconds(model: Model, plain: bytes, lanes: int) -> float:
    """Microseconds a token of everything in mixed mode but the network."""
    tokens = model.tokenizer.encode(plain)

    def encode() -> float:
        coder = MixedCoder(model, bucket_bits_for(len(plain)))
        started = time.perf_counter()
        coder.encode(tokens, lanes, None, None, SILENT)
        return time.perf_counter() - started

    grid = LaneLayout(tokens.size, lanes).split(tokens)
    steps = known_frequencies(model, grid, lane_groups(lanes), None, None)
    kept = [[part.copy() for part in step] for step in steps]
    original = mixed_coding.known_frequencies
    try:
        mixed_coding.known_frequencies = lambda *arguments: iter(kept)
        encode()
        return 1e6 * encode() / tokens.size
    finally:
        mixed_coding.known_frequencies = original


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--first", default=80_000, show_default=True, help="Bytes from the start of FILE.")
@click.option("--lanes", default=4, show_default=True)
def main(file: Path, first: int, lanes: int) -> None:
    """Show microseconds a token, as a whole and by part."""
    model = load_model()
    plain = file.read_bytes()[:first]
    tokens = model.tokenizer.encode(plain)
    click.echo(machine_line())
    click.echo(f"{len(plain)} bytes, {tokens.size} tokens, {lanes} lanes in {len(lane_groups(lanes))} groups")
    whole = {}
    for _ in range(2):  # the first time compiles
        coder = MixedCoder(model, bucket_bits_for(len(plain)))
        started = time.perf_counter()
        result = coder.encode(tokens, lanes, None, None, SILENT)
        whole["compress"] = time.perf_counter() - started
        if result is None:
            raise click.ClickException("the text does not get smaller")
        lane_bytes, coded = result
        coder = MixedCoder(model, bucket_bits_for(len(plain)))
        started = time.perf_counter()
        restored = coder.decode(coded, tokens.size, lane_bytes, None, None, SILENT)
        whole["restore"] = time.perf_counter() - started
        if restored != plain:
            raise click.ClickException("not restored")
    for way, seconds in whole.items():
        click.echo(f"{way:24}{1e6 * seconds / tokens.size:8.1f} us a token")
    for part, microseconds in step_parts(model, lanes).items():
        click.echo(f"  {part:22}{microseconds / lanes:8.1f} us a token on one core, restoring")
    click.echo(f"  {'mixing':22}{mixing_microseconds(model, plain[:30_000], lanes):8.1f} us a token on one core")


if __name__ == "__main__":
    main()
