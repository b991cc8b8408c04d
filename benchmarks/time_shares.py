"""Where the time of mixed mode goes: ``python -m llmzip.benchmarks.time_shares FILE``.

Restores FILE once as a whole, then runs each part of a decoding step alone on one core, on random states and a full
attention window; decoding shares products and attention between two cores, compression runs on chunks of positions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np

from llmzip import mixed_coding, network
from llmzip.benchmarks.machine import machine_line
from llmzip.fixed_point import EXP_COARSE, EXP_FINE
from llmzip.integer_product import multiply
from llmzip.lane_network import known_frequencies, lane_groups
from llmzip.lanes import LaneLayout
from llmzip.mixed_coding import MixedCoder, bucket_bits_for
from llmzip.model import Model, load_model
from llmzip.progress import SILENT
from llmzip.second_core import NO_HELPER, attend_shared, convolve_shared, new_buffers
from llmzip.softmax import token_frequencies

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
    stack, config = model.decoder, model.config.decoder
    weights, matrices, way = stack.weights, stack.matrices, stack.way_to_multiply(None)
    buffers = new_buffers(lanes, config.width, config.hidden, model.config.vocabulary)
    buffers.quantised[:] = random.integers(-40, 40, buffers.quantised.shape)
    buffers.tall_quantised[:] = random.integers(-40, 40, buffers.tall_quantised.shape)
    state = stack.new_state(lanes, 1)
    state.keys[:] = random.integers(100, 156, state.keys.shape)
    state.values[:] = random.integers(-30, 30, state.values.shape)
    state.length[0] = config.window
    residual = np.zeros((lanes, config.width), np.int32)
    _, head_multiplier, bias = model.head
    layers = range(len(config.layers))
    convolutions = [layer for layer in layers if config.layers[layer] == "c"]
    attentions = [layer for layer in layers if config.layers[layer] == "a"]

    def products() -> None:
        for layer in layers:
            for inputs, matrix, out in (
                (buffers.quantised, matrices.to_inner, buffers.wide),
                (buffers.quantised, matrices.from_inner, buffers.narrow),
                (buffers.quantised, matrices.up, buffers.tall),
                (buffers.tall_quantised, matrices.down, buffers.narrow),
            ):
                multiply(inputs, matrix, layer, way, 0, out.shape[1], out)
        multiply(buffers.quantised, model.head_matrix, 0, way, 0, model.config.vocabulary, buffers.logits)

    def attention() -> None:
        for layer in attentions:
            attend_shared(weights, state, config.window, way, lanes, 1, buffers, NO_HELPER, layer)

    def convolution() -> None:
        for layer in convolutions:
            convolve_shared(weights, state, lanes, 1, buffers, NO_HELPER, layer)

    def norms() -> None:
        for layer in layers:
            for multiplier in (weights.out_multiplier[layer], weights.down_multiplier[layer]):
                network._add_to_residual(buffers.narrow, multiplier, residual, buffers.quantised)
            network._square_relu(buffers.tall, weights.up_multiplier[layer], buffers.tall_quantised)

    def softmax() -> None:
        token_frequencies(buffers.logits, head_multiplier, bias, EXP_COARSE, EXP_FINE, buffers.cumulative)

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
