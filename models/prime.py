"""Train the mixers and adaptive maps that ship with a model, profile by profile.

``python -m llmzip.models.prime MODEL CORPUS OUT`` writes MODEL with primed mixing. Counter tables start empty with
every piece, as they do with every file; weights and maps live on.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray

from llmzip.core import _native
from llmzip.mixing.logistic import stored_arrays
from llmzip.mixing.mixed import LearnedState, new_core, new_learned_states, primed_states
from llmzip.mixing.profiles import Profile
from llmzip.models.domains import DOMAIN_WEIGHTS, domain_files, read_domain
from llmzip.models.synthetic import NUMBERS, Maker
from llmzip.network.model import Model, load_model

PRIMING_RATES = (6, 2, 0)
PIECE_BYTES = (12_000, 24_000, 6_000)
"""Sizes of pieces, in turn by group: mixers learn both a file's cold start and what follows."""
GROUP = 8
"""Pieces whose tokens the network predicts together."""
RECORD_DOMAINS = {
    "csv-tsv": 4.0, "logs": 2.0, "logs-extra": 2.0, "json2": 2.0, "jsonl-geojson": 2.0, "svg": 2.0, "sql": 2.0,
    "asm": 2.0, "xml": 2.0, "c-source": 1.0, "css": 1.0, "dict": 1.0, "html": 1.0, "js": 1.0, "patches": 1.0,
    "python": 1.0,
}  # fmt: skip
"""Lines that are alike: tables, listings, markup and code."""
SYNTHETIC_SHARE = 0.4
"""Of pieces of records: the corpus has too few tables of numbers."""
_STEPS = 256


def sample_pieces(
    corpus: Path, total_bytes: int, weights: dict[str, float], others: float = 0.0, makers: tuple[Maker, ...] = (),
    seed: int = 1,
) -> list[bytes]:  # fmt: skip
    """Random pieces, ``total_bytes`` or a little more in all.

    Args:
        weights: of the corpus's domains; those not named have the weight ``others``.
        makers: write ``SYNTHETIC_SHARE`` of the pieces, if there are any.
    """
    random = np.random.default_rng(seed)
    texts = {name: read_domain(path) for name, path in domain_files(corpus).items()}
    names = [name for name in texts if weights.get(name, others) > 0]
    shares = np.array([weights.get(name, others) for name in names])
    pieces: list[bytes] = []
    size = 0
    while size < total_bytes:
        length = PIECE_BYTES[len(pieces) // GROUP % len(PIECE_BYTES)]
        if makers and random.random() < SYNTHETIC_SHARE:
            piece = makers[int(random.integers(len(makers)))](random, length)
        else:
            text = texts[names[int(random.choice(len(names), p=shares / shares.sum()))]]
            start = int(random.integers(max(1, len(text) - length)))
            piece = text[start : start + length].replace(b"\0", b"\n")
        pieces.append(piece)
        size += length
    return pieces


def _frequencies(model: Model, pieces: list[bytes]) -> list[tuple[NDArray[np.int32], list[NDArray[np.int32]]]]:
    """Each piece's tokens, and cumulative frequencies before each of them, in slices of ``_STEPS``."""
    tokens = [model.tokenizer.encode(piece) for piece in pieces]
    most = max(own.size for own in tokens)
    fed = np.full((len(pieces), most), model.start_token, np.int32)
    for row, own in zip(fed, tokens, strict=True):
        row[1 : own.size] = own[:-1]
    predictor = model.predictor(len(pieces), _STEPS, None)
    slices: list[list[NDArray[np.int32]]] = [[] for _ in pieces]
    for start in range(0, most, _STEPS):
        steps = min(_STEPS, most - start)
        cumulative = predictor(fed[:, start : start + steps]).reshape(len(pieces), steps, -1)
        for rows, own, kept in zip(cumulative, tokens, slices, strict=True):
            if own.size > start:
                kept.append(rows[: own.size - start].copy())
    return list(zip(tokens, slices, strict=True))


def prime_profile(
    model: Model, profile: Profile, pieces: list[bytes], learned: tuple[LearnedState, ...], progress: bool = True,
    tell: Callable[[int], None] = lambda done: None,
) -> None:  # fmt: skip
    """Train a profile's mixers and maps, those in ``learned``, on ``pieces``, each coded as a file of its own.

    Args:
        tell: is told of each group of pieces that is done, how many they are.
    """
    plain = coded = 0
    one = np.zeros(1, np.int32)
    for first in range(0, len(pieces), GROUP):
        group = pieces[first : first + GROUP]
        for piece, (tokens, slices) in zip(group, _frequencies(model, group), strict=True):
            known_bytes = len(piece) + (len(model.primer.text) if model.primer else 0)
            table_bits = min(max((28 * known_bytes).bit_length(), 16), 22)
            models = new_core(model, table_bits, learned, PRIMING_RATES)
            _native.mixed_begin_encoding(models, np.array([len(piece)], np.uint64), profile, 2 * len(piece) + 100)
            for token, row in zip(tokens, (row for rows in slices for row in rows), strict=True):
                one[0] = token
                _native.mixed_step(models, one, row)
            coded += len(_native.mixed_finish(models))
            plain += len(piece)
            _native.mixed_learned(models, profile, *learned[profile])
        tell(len(group))
        if progress:
            print(f"{profile.name}: {plain} bytes, {8 * coded / plain:.4f} bits per byte so far", flush=True)


def with_primed_mixing(model: Model, learned: tuple[LearnedState, ...]) -> bytes:
    """The model file with these mixers and maps."""
    arrays = {
        f"{i}.{name}": array
        for i, state in enumerate(learned)
        for name, array in stored_arrays(state._asdict()).items()
    }
    return model.whole_file.with_extras("mixing", arrays)


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--megabytes", default=2.0, show_default=True, help="Text to learn from, for each profile.")
@click.option("--only", type=int, help="Prime this profile alone; the others stay as they are in MODEL.")
def main(model: str, corpus: Path, out: Path, megabytes: float, only: int | None) -> None:
    """Prime MODEL's mixers on CORPUS and write it to OUT.

    The mixers for prose read domains by llmzip's own weights, whatever the corpus's file of weights says.
    """
    loaded = load_model(model)
    size = int(megabytes * 1e6)
    learned = tuple(new_learned_states() if only is None else primed_states(loaded, without=only))
    for profile in (Profile.PROSE, Profile.RECORDS) if only is None else (Profile(only),):
        if profile == Profile.PROSE:
            pieces = sample_pieces(corpus, size, DOMAIN_WEIGHTS, others=1.0)
        else:
            pieces = sample_pieces(corpus, size, RECORD_DOMAINS, makers=NUMBERS)
        prime_profile(loaded, profile, pieces, learned)
    out.write_bytes(with_primed_mixing(loaded, learned))


if __name__ == "__main__":
    main()
