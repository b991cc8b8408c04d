"""What each part of mixed mode is worth: ``python -m llmzip.benchmarks.ablation CORPUS``.

Every part in turn is left out; mixers are trained from scratch without it on pieces of CORPUS/train, then pieces of
CORPUS/valid are coded. The switches are written into a copy of the kernel's source, so that the kernel itself has none.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from llmzip.benchmarks.machine import machine_line
from llmzip.mixing import mixed_coding, mixing
from llmzip.mixing.mixed_coding import RATES, MixedCoder, bucket_bits_for
from llmzip.models.domains import domain_files, read_domain
from llmzip.models.prime import PRIMING_RATES, sample_pieces
from llmzip.network.lanes import known_frequencies
from llmzip.network.model import Model, load_model
from llmzip.progress import SILENT

CONTEXT_NAMES = (
    "order 1", "order 2", "order 3", "order 4", "order 5", "order 6", "order 8", "word", "word, word before",
    "word, second word before", "word, two words before", "sparse: bytes 2-3", "sparse: bytes 1, 3",
    "sparse: bytes 2-4", "what followed a byte", "what followed two bytes", "column, byte above", "two bytes above",
    "start of line", "tag", "format", "format, field", "token", "two tokens", "three tokens", "expected byte",
    "folded case, 5 bytes", "indentation",
)  # fmt: skip
INPUT_PARTS = {
    "match model, 6 bytes": "inputs[match_input : match_input + 2] = 0",
    "match model, 16 bytes": "inputs[match_input + 2 : network_input] = 0",
    "both match models": "inputs[match_input:network_input] = 0",
    "network calibrated by partial byte": "inputs[network_input + 1] = 0",
    "network, linear": "inputs[network_input + 2] = 0",
    "network calibrated by last byte": "inputs[network_input + 3] = 0",
    "network calibrated by two bytes": "inputs[network_input + 4] = 0",
    "network calibrated by word": "inputs[network_input + 5] = 0",
    "the network": "inputs[network_input : network_input + NETWORK_INPUTS] = 0",
    "all contexts": "inputs[:match_input] = 0",
}
MIXER_NAMES = ("match", "partial byte", "last byte", "network confidence", "known orders", "byte classes")
PARTS = (
    "nothing",
    *(f"context: {name}" for name in CONTEXT_NAMES),
    *INPUT_PARTS,
    *(f"mixer: {name}" for name in MIXER_NAMES),
)
LEFT_OUT = "rates[3]"
SUBSTITUTIONS = (
    ("from llmzip.network.compilation import compiled, inlined", "from numba import njit as compiled, njit as inlined"),
    ("if count == 0:", f"if count == 0 or i + 1 == {LEFT_OUT}:"),
    (
        "    length_set = ",
        "".join(f"    if {LEFT_OUT} == {PARTS.index(name)}:\n        {code}\n" for name, code in INPUT_PARTS.items())
        + "    length_set = ",
    ),
    (
        "        total_stretch += ",
        f"        if m + {PARTS.index('mixer: match')} == {LEFT_OUT}:\n            outputs[m] = 0\n"
        "        total_stretch += ",
    ),
)


def switchable_kernel() -> types.ModuleType:
    """The mixing kernel with a switch for every part, in the fourth place of its rates."""
    source = Path(mixing.__file__).read_text()
    for old, new in SUBSTITUTIONS:
        if old not in source:
            raise LookupError(f"the kernel has no {old!r}")
        source = source.replace(old, new)
    module = types.ModuleType("switchable_kernel")
    exec(compile(source, "switchable_kernel", "exec"), module.__dict__)
    return module


_remembered: dict[bytes, list[list[NDArray[np.int32]]]] = {}


def remembered_frequencies(
    model: Model, grid: NDArray[np.int32], groups: list[slice], side: NDArray[np.int8] | None, kernel: str | None
) -> Iterator[list[NDArray[np.int32]]]:
    """:func:`llmzip.network.lanes.known_frequencies`, computed once for each piece of text."""
    key = grid.tobytes()
    if key not in _remembered:
        steps = known_frequencies(model, grid, groups, side, kernel)
        _remembered[key] = [[part.copy() for part in step] for step in steps]
    return iter(_remembered[key])


def coded_bytes(
    model: Model, kernel: types.ModuleType, part: int, training: list[bytes], testing: dict[str, bytes]
) -> dict[str, int]:
    """Size of each testing piece with one part left out."""
    learned = kernel.new_learned_state(model.config.mixing_version)

    def code(piece: bytes, state: mixing.LearnedState, rates: tuple[int, int, int]) -> int:
        coder = MixedCoder(model, bucket_bits_for(len(piece)), state, (*rates, part))  # type: ignore[arg-type]
        result = coder.encode(model.tokenizer.encode(piece), 1, None, None, SILENT)
        return len(result[1]) if result else len(piece)

    for piece in training:
        code(piece, learned, PRIMING_RATES)
    return {
        name: code(piece, type(learned)(*(array.copy() for array in learned)), RATES) for name, piece in testing.items()
    }


@click.command()
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", type=click.Path(exists=True, dir_okay=False), help="A model file in place of the shipped one.")
@click.option("--kilobytes", default=160, show_default=True, help="Training text for the mixers.")
@click.option("--piece", default=4_000, show_default=True, help="Bytes of each domain; ten times that of the largest.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path), help="Write results here.")
def main(corpus: Path, model: str | None, kilobytes: int, piece: int, json_path: Path | None) -> None:
    """Leave out each part of mixed mode in turn and measure the loss on CORPUS/valid."""
    loaded = load_model(model)
    kernel = switchable_kernel()
    mixed_coding.mixing = kernel  # type: ignore[assignment]
    mixed_coding.known_frequencies = remembered_frequencies
    training = sample_pieces(corpus / "train", 1000 * kilobytes)
    testing = {}
    for name, path in domain_files(corpus / "valid").items():
        length = 10 * piece if name in ("books", "enwikitext") else piece
        testing[name] = read_domain(path)[:length].replace(b"\0", b"\n")
    click.echo(machine_line())
    click.echo(f"{sum(map(len, testing.values()))} bytes of validation text")
    results = {}
    for part, name in enumerate(PARTS):
        sizes = results[name] = coded_bytes(loaded, kernel, part, training, testing)
        whole = results["nothing"]
        loss = 100 * (sum(sizes.values()) / sum(whole.values()) - 1)
        by_domain = {domain: 100 * (sizes[domain] / whole[domain] - 1) for domain in whole}
        most = max(by_domain, key=lambda domain: by_domain[domain])
        click.echo(
            f"{name:38} {sum(sizes.values()):8} {loss:+7.2f} %   most: {most} {by_domain[most]:+.2f} %, "
            f"books {by_domain.get('books', 0):+.2f} %"
        )
        if json_path:
            json_path.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
