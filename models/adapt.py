"""``llmzip adapt``: a small model file for one kind of text, made from the shipped model and some of that text."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from llmzip.core import available_cores
from llmzip.errors import LlmzError
from llmzip.mixing.logistic import stored_arrays
from llmzip.mixing.mixed import LearnedState, primed_states
from llmzip.mixing.profiles import MIXED_PROFILES, Profile, choose_profile
from llmzip.models.adapt_network import NetworkChange, adapt_network
from llmzip.models.adapt_text import choose_primer, hold_back, read_texts
from llmzip.models.prime import PIECE_BYTES, prime_profile
from llmzip.network.adapted_file import MAX_PRIMER_BYTES, Primer, pack_adapted
from llmzip.network.model import Model, fingerprint_of, load_model

DEFAULT_STEPS = 0
DEFAULT_RANK = 8
DEFAULT_PRIMER_BYTES = 256 << 10
MIXING_BYTES, GENERAL_MIXING_BYTES = 100_000, 12_000
"""That mixers learn from: of the text, and of text of other kinds."""
_MIXER_SHIFT = 2
"""Lowest bits of a stored mixer's weight that its change leaves as they are."""


def general_text() -> bytes:
    """Text of several kinds that keeps a model from forgetting: what the shipped model wrote, context mode's primer."""
    return resources.files("llmzip").joinpath("data/primer.txt").read_bytes()


def adapt(
    base: Model, texts: list[bytes], steps: int = DEFAULT_STEPS, rank: int = DEFAULT_RANK,
    primer_bytes: int = DEFAULT_PRIMER_BYTES, progress: bool = True,
) -> tuple[bytes, NetworkChange | None]:  # fmt: skip
    """Return an adapted model file, and what became of the network; None where training it was of no use.

    Args:
        base: a model that is not adapted itself.
        steps: of training the network; 0 leaves it as it is.

    Raises:
        LlmzError: the base is adapted itself.
    """
    if base.base is not None:
        raise LlmzError("an adapted model cannot be adapted again: start from its base")
    primer = _make_primer(texts, primer_bytes)
    change, unseen = None, texts
    if steps:
        trained, apart = hold_back(texts, MIXING_BYTES)
        tokens, tokens_apart = (_tokens(base, of) for of in (trained, apart))
        if min(tokens.size, tokens_apart.size) > 1:
            with _bar("network", steps, progress) as bar:
                change = adapt_network(base, tokens, tokens_apart, rank, steps, bar.update)
        if change is not None:  # how good it is on what it has seen is no lesson for mixers
            unseen = apart
    differences: dict[str, tuple[NDArray, int]] = {}
    if change is not None:
        differences = {name: (array, 0) for name, array in change.differences.items()}
    low_rank = {} if change is None else change.low_rank
    unmixed = Model(pack_adapted(base.fingerprint, differences, low_rank, primer), base)
    pieces = _mixing_pieces(unseen)
    with _bar("mixers", len(pieces), progress) as bar:
        differences |= _mixing_differences(unmixed, pieces, bar)
    return pack_adapted(base.fingerprint, differences, low_rank, primer), change


def _tokens(base: Model, texts: list[bytes]) -> NDArray[np.int32]:
    return np.concatenate([base.tokenizer.encode(text + b"\n") for text in texts])


def _make_primer(texts: list[bytes], size: int) -> Primer | None:
    text = choose_primer(texts, size) if size else b""
    return Primer(_profile_of(text), text) if text else None


def _profile_of(text: bytes) -> Profile:
    """By its bytes; unlike mixed mode for a block, without a sample coded both ways."""
    profile = choose_profile(text)
    return profile if profile < MIXED_PROFILES else Profile.PROSE


def _mixing_pieces(texts: list[bytes]) -> list[bytes]:
    """Random pieces of the text, among them some of text of other kinds."""
    random = np.random.default_rng(1)
    pieces = _random_pieces(b"".join(texts), MIXING_BYTES, random) if texts else []
    pieces += _random_pieces(general_text(), GENERAL_MIXING_BYTES, random)
    return [pieces[i] for i in random.permutation(len(pieces))]


def _random_pieces(text: bytes, total_bytes: int, random: np.random.Generator) -> list[bytes]:
    pieces: list[bytes] = []
    left = min(total_bytes, len(text))
    while left > 0:
        length = min(PIECE_BYTES[len(pieces) % len(PIECE_BYTES)], left)
        start = int(random.integers(len(text) - length + 1))
        pieces.append(text[start : start + length])
        left -= length
    return pieces


def _mixing_differences(model: Model, pieces: list[bytes], bar: tqdm) -> dict[str, tuple[NDArray, int]]:
    """What priming on ``pieces`` changes in the mixers and maps, each piece in the profile that suits it."""
    before = primed_states(model)
    states = tuple(LearnedState._make(array.copy() for array in state) for state in before)
    by_profile: dict[Profile, list[bytes]] = {}
    for piece in pieces:
        by_profile.setdefault(_profile_of(piece), []).append(piece)
    for profile, own in by_profile.items():
        prime_profile(model, profile, own, states, progress=False, tell=bar.update)
    differences: dict[str, tuple[NDArray, int]] = {}
    for profile in by_profile:
        for name in LearnedState._fields:
            array = f"mixing.{int(profile)}.{name}"
            if array not in model.file.entries:
                continue
            old, new = (stored_arrays(of[profile]._asdict())[name].astype(np.int64) for of in (before, states))
            shift = _MIXER_SHIFT if name.endswith("weights") else 0
            change = np.clip((new - old + (1 << shift >> 1)) >> shift, -32768, 32767)
            differences[array] = (change.astype(np.int16), shift)
    return differences


def _bar(what: str, total: int, shown: bool) -> tqdm:
    return tqdm(
        total=total, desc=what, bar_format="{desc}: {percentage:3.0f}% [{elapsed}<{remaining}]", disable=not shown
    )


@click.command()
@click.argument("source", metavar="DIR", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="The file to write."
)
@click.option("--model", type=click.Path(exists=True, dir_okay=False), help="The base, if not the shipped model.")
@click.option(
    "--steps",
    default=DEFAULT_STEPS,
    show_default=True,
    type=click.IntRange(0),
    help="Of training the network; 0: not at all.",
)
@click.option(
    "--rank", default=DEFAULT_RANK, show_default=True, type=click.IntRange(1, 32), help="Of the change of each matrix."
)
@click.option(
    "--primer",
    "primer_kib",
    default=DEFAULT_PRIMER_BYTES >> 10,
    show_default=True,
    type=click.IntRange(0, MAX_PRIMER_BYTES >> 10),
    help="KiB of the text that the file brings along.",
)
@click.option("-T", "--threads", type=click.IntRange(1), help="Cores to use (default: all).")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no report.")
def main(
    source: Path, output: Path, model: str | None, steps: int, rank: int, primer_kib: int, threads: int | None,
    quiet: bool,
) -> None:  # fmt: skip
    """Adapt a model to the text of DIR: a folder with all folders below it, or a file. Files may be packed with gzip,
    zstd or bzip3.

    The file goes to --model wherever that stands. It names the model that it was made from, and needs it.
    """
    if not output.absolute().parent.is_dir():  # before minutes of work
        raise click.ClickException(f"{output}: there is no such folder")
    torch.set_num_threads(threads or available_cores())
    try:
        texts, passed_over = read_texts(source)
        if passed_over and not quiet:
            click.echo(f"no text, passed over: {', '.join(passed_over[:5])}{' ...' * (len(passed_over) > 5)}", err=True)
        base = load_model(model)
        data, change = adapt(base, texts, steps, rank, primer_kib << 10, not quiet)
        _write(output, data)
    except (LlmzError, OSError) as error:
        raise click.ClickException(str(error)) from None
    if quiet:
        return
    fingerprint = fingerprint_of(data)
    network = "left as it was"
    if change is not None:
        network = f"{100 * change.gain:.1f} % fewer bits of held-back text"
    click.echo(
        f"{output}: {len(data):,} bytes, model {fingerprint.hex()}, for {base.fingerprint.hex()}; network: {network}"
    )


def _write(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
