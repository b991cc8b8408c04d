"""Make what context mode ships with: the primer, and mixers and adaptive maps.

``python -m llmzip.models.prime_context MODEL CORPUS FOLDER`` writes ``primer.txt``, text that MODEL continues from the
beginnings of passages in CORPUS, and ``context.npz``, the mixers of each profile, trained after it: on other passages,
on records, on binary data (made, and of this Python's own installation), on made sequences; and ``wide.npz``, those of
the wide profile. All three belong to the format: files made with others are not readable with these.

A primer that the model writes is better than one of the same size cut from the corpus (docs/experiments.md), and
quotes nobody.
"""

from __future__ import annotations

import marshal
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from llmzip.core import _native
from llmzip.mixing import context, wide
from llmzip.mixing.logistic import stored_arrays
from llmzip.mixing.profiles import Profile
from llmzip.models.domains import DOMAIN_WEIGHTS, domain_files, read_domain
from llmzip.models.prime import PIECE_BYTES, RECORD_DOMAINS, sample_pieces
from llmzip.models.synthetic import BINARY, NUMBERS, SEQUENCES, Maker
from llmzip.network.model import Model, load_model

PRIMING_RATES = (6, 2)
TABLE_BITS = 20
WIDE_PRIMING_RATES = (6, 2, 0)
WIDE_BYTES = 2_000_000
PASSAGES = {
    "books": 12,
    "enwikitext": 7,
    "english": 4,
    "python": 2,
    "c": 2,
    "wiki": 2,
    "json": 1,
    "man": 1,
    "linuxdoc": 1,
}
"""Passages of each domain that the primer continues."""
PROMPT_TOKENS = 150
CONTINUATION_TOKENS = 700
SHARPNESS = 1.15
"""Exponent of the model's probabilities: above 1, likelier words come more often."""
PRIMER_BYTES = 62_000


def write_primer(model: Model, corpus: Path, seed: int = 5) -> bytes:
    """Continue random passages of the corpus, all at once, and return the continuations."""
    random = np.random.default_rng(seed)
    files = domain_files(corpus)
    prompts = []
    for name, count in PASSAGES.items():
        text = read_domain(files[name])
        for _ in range(count):
            start = int(random.integers(len(text) - 4000))
            prompts.append(model.tokenizer.encode(text[start : start + 1500].replace(b"\0", b"\n"))[:PROMPT_TOKENS])
    predictor = model.predictor(len(prompts), PROMPT_TOKENS, None)
    cumulative = predictor(np.stack(prompts)).reshape(len(prompts), PROMPT_TOKENS, -1)[:, -1]
    written = []
    for _ in range(CONTINUATION_TOKENS):
        weights = np.diff(cumulative.astype(np.float64), axis=1) ** SHARPNESS
        shares = (weights / weights.sum(1, keepdims=True)).cumsum(1)
        tokens = (shares < random.random((len(prompts), 1))).sum(1).clip(0, shares.shape[1] - 1).astype(np.int32)
        written.append(tokens)
        cumulative = predictor(tokens[:, None])
    text = b"".join(model.tokenizer.decode(row) for row in np.stack(written, 1)).replace(b"\0", b"\n")[:PRIMER_BYTES]
    return text[: text.rindex(b"\n") + 1]


def _machine_code(random: np.random.Generator, size: int) -> bytes:
    """Part of an extension module of this Python."""
    modules = sorted(Path(str(sysconfig.get_config_var("DESTSHARED"))).glob("*.so"))
    data = modules[int(random.integers(len(modules)))].read_bytes()
    start = int(random.integers(max(1, len(data) - size))) if random.random() < 0.5 else 0
    return data[start : start + size]


def _compiled_code(random: np.random.Generator, size: int) -> bytes:
    """The beginning of a module of this Python, compiled."""
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    module = modules[int(random.integers(len(modules)))]
    return marshal.dumps(compile(module.read_text("utf-8", "replace"), module.name, "exec"))[:size]


def _made(makers: tuple[Maker, ...], total_bytes: int, seed: int = 2) -> Iterator[bytes]:
    random = np.random.default_rng(seed)
    number = size = 0
    while size < total_bytes:
        piece = makers[number % len(makers)](random, PIECE_BYTES[number // len(makers) % len(PIECE_BYTES)])
        yield piece
        number += 1
        size += len(piece)


def pieces_for(profile: Profile, corpus: Path, total_bytes: int) -> list[bytes]:
    """What a profile's mixers learn from."""
    if profile == Profile.PROSE:
        return sample_pieces(corpus, total_bytes, DOMAIN_WEIGHTS, others=1.0)
    if profile == Profile.RECORDS:
        return sample_pieces(corpus, total_bytes, RECORD_DOMAINS, makers=NUMBERS)
    if profile == Profile.BINARY:
        return list(_made((_machine_code, _machine_code, *BINARY, _compiled_code), total_bytes))
    return list(_made(SEQUENCES, total_bytes))


def prime_profile(
    profile: Profile, pieces: list[bytes], primer: bytes, states: list[context.ContextLearnedState]
) -> float:
    """Train the state of a profile in place; returns bits per byte."""
    behind_primer = _native.context_new(TABLE_BITS, PRIMING_RATES, tuple(states))
    _native.context_begin_encoding(behind_primer, primer, Profile.PROSE, 2 * len(primer))
    _native.context_code(behind_primer, len(primer))
    _native.context_finish(behind_primer)
    coded = 0
    for piece in pieces:
        models = _native.context_copy(behind_primer)
        for number, state in enumerate(states):
            _native.context_set_learned(models, number, *state)
        _native.context_begin_encoding(models, piece, profile, 2 * len(piece) + 100)
        _native.context_code(models, len(piece))
        coded += len(_native.context_finish(models))
        _native.context_learned(models, profile, *states[profile])
    return 8 * coded / sum(map(len, pieces))


def prime_wide(pieces: list[bytes]) -> tuple[wide.WideState, float]:
    """Return the wide profile's state, trained on pieces of records, and bits per byte."""
    state = wide.new_wide_state()
    coded = 0
    for piece in pieces:
        core = wide.new_wide_core(min(max((28 * len(piece)).bit_length(), 16), 22), state, WIDE_PRIMING_RATES)
        wide.begin_wide_encoding(core, len(piece), 2 * len(piece) + 100)
        _native.mixed_code_bytes(core, piece, len(piece))
        coded += len(_native.mixed_finish(core))
        state = wide.wide_learned(core)
    return state, 8 * coded / sum(map(len, pieces))


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.argument("corpus", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--megabytes", type=float, default=4.0, show_default=True, help="Text to train each profile's mixers on.")
@click.option("--keep-primer", is_flag=True, help="Train the mixers behind the primer that is there.")
def main(model: str, corpus: Path, folder: Path, megabytes: float, keep_primer: bool) -> None:
    """Write primer.txt, context.npz and wide.npz to FOLDER."""
    if not keep_primer:
        (folder / "primer.txt").write_bytes(write_primer(load_model(model), corpus))
    primer = (folder / "primer.txt").read_bytes()
    states = list(context.new_learned_states())
    wide_state, rate = prime_wide(pieces_for(Profile.RECORDS, corpus, WIDE_BYTES))
    click.echo(f"{Profile.WIDE.name}: {rate:.4f} bits per byte")
    np.savez_compressed(folder / "wide.npz", allow_pickle=False, **stored_arrays(wide_state._asdict()))
    for profile in (Profile.PROSE, Profile.RECORDS, Profile.BINARY, Profile.SEQUENCES):
        rate = prime_profile(profile, pieces_for(profile, corpus, round(megabytes * 1e6)), primer, states)
        click.echo(f"{profile.name}: {rate:.4f} bits per byte")
    arrays = {f"{i}.{name}": array for i, state in enumerate(states) for name, array in state._asdict().items()}
    np.savez_compressed(folder / "context.npz", allow_pickle=False, **arrays)


if __name__ == "__main__":
    main()
