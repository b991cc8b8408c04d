"""Parts of ``benchmarks.paper`` about encoder-augmented decoders: what stored numbers gain, cost and tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from llmzip.benchmarks.paper_study import CONTEXT, Row, Study, Table, Texts
from llmzip.models.devices import autocast
from llmzip.models.estimators import EncoderAugmented
from llmzip.models.export import restore_network
from llmzip.models.measures import bits_per_byte, normalised_loss
from llmzip.models.paper_models import MaskedMixing, PaperConfig, PaperModel, round_numbers
from llmzip.models.train import LN2
from llmzip.network.model import load_model

STORED_BITS = (8, 4, 2)
COUNTED_BITS = 4
"""Bits of a number where its cost is counted."""
CAUSAL = "causal"
AUGMENTED = {"augmented, 64 numbers": 64, "augmented, 16 numbers": 16}
EVALUATIONS = 6
MOST_OPERATIONS = 5e16
"""Of each model of the comparison."""
LOWEST = torch.float8_e4m3fn
ROWS = 8
"""Windows that are evaluated together."""
DOCUMENTS = 40
"""Of each domain, at most."""
EXACT_POSITIONS = 32
"""Tokens at the end of a window whose entropy is computed exactly."""
POSITIONS = (0, 1, 4, 16, 64, 256, CONTEXT)


class Reader(NamedTuple):
    """A model as one way of reading: with the numbers of its encoder, or without."""

    model: EncoderAugmented
    augmented: bool
    context: int

    def losses(self, windows: Tensor) -> Tensor:
        """Nats of each token but the first of ``windows`` ``[batch, context + 1]``."""
        inputs, targets = windows[:, :-1], windows[:, 1:]
        return token_losses(self.model, inputs, targets, encoded(self.model, targets) if self.augmented else None)


def token_losses(model: EncoderAugmented, inputs: Tensor, targets: Tensor, side: Tensor | None) -> Tensor:
    """Nats of each of ``targets`` ``[batch, length]``."""
    with torch.no_grad(), autocast(inputs.device):
        parts = []
        for i in range(0, len(inputs), ROWS):
            numbers = None if side is None else side[i : i + ROWS]
            logits = model.logits(model.hidden_states(inputs[i : i + ROWS], numbers)).float()
            parts.append(F.cross_entropy(logits.flatten(0, 1), targets[i : i + ROWS].flatten(), reduction="none"))
    return torch.cat(parts).view(targets.shape)


def encoded(model: EncoderAugmented, targets: Tensor) -> Tensor:
    """The numbers of ``targets`` ``[batch, context]``, ``[batch, n]``."""
    with torch.no_grad(), autocast(targets.device):
        return torch.cat([model.encode(part) for part in targets.split(ROWS)]).float()


def losses_by_bits(
    model: PaperModel, windows: Tensor, token_lengths: Tensor, stored_bits: tuple[int, ...] = STORED_BITS
) -> Row:
    """Nats a token on ``windows`` ``[count, context + 1]``, with the numbers as they are and rounded."""
    config = model.config
    inputs, targets = windows[:, :-1], windows[:, 1:]
    bytes_per_token = float(token_lengths[targets].mean())

    def loss(side: Tensor | None) -> float:
        return float(token_losses(model, inputs, targets, side).mean())

    if config.encoder == "none":
        plain = loss(None)
        return {"loss": plain, "bits_per_byte": plain / LN2 / bytes_per_token}
    numbers = encoded(model, targets)
    row: Row = {"loss": loss(numbers), "loss_without_numbers": loss(None)}
    for bits in stored_bits:
        rounded = loss(round_numbers(numbers, numbers.abs().amax(0), bits))
        cost = config.side_numbers, bits, config.context
        row[f"loss_{bits}_bits"] = rounded
        row[f"normalised_{bits}_bits"] = normalised_loss(rounded, *cost)
        row[f"bits_per_byte_{bits}_bits"] = bits_per_byte(rounded, *cost, bytes_per_token)
    row["bits_per_byte"] = row[f"bits_per_byte_{COUNTED_BITS}_bits"]
    return row


# Against a causal decoder


def compared_models(study: Study) -> dict[str, PaperModel]:
    configs = {CAUSAL: study.config()}
    configs |= {name: study.config(encoder="mixer", side_numbers=count) for name, count in AUGMENTED.items()}
    return {name: study.model(config) for name, config in configs.items()}


def train_compared(study: Study) -> tuple[dict[str, PaperModel], dict[str, list[Row]]]:
    """Train the causal and the augmented decoders with equal operations, until they have had theirs, curves cross at
    :data:`COUNTED_BITS` a number, or :data:`MOST_OPERATIONS` are spent."""
    models = compared_models(study)
    windows = study.texts.windows(CONTEXT)
    curves: dict[str, list[Row]] = {}
    for part in range(1, EVALUATIONS + 1):
        for name, model in models.items():
            curves[name] = study.train(
                name, model, share=part / EVALUATIONS,
                evaluate=lambda trained: losses_by_bits(trained, windows, study.texts.token_lengths, (COUNTED_BITS,)),
            )  # fmt: skip
        if crossed(curves) or curves[CAUSAL][-1]["operations"] >= MOST_OPERATIONS:
            break
    return models, curves


def crossed(curves: dict[str, list[Row]]) -> list[str]:
    """Augmented models that, cost included, are as good as the causal one at the end of their curves."""
    causal = curves[CAUSAL][-1]["loss"]
    return [name for name in AUGMENTED if curves[name][-1][f"normalised_{COUNTED_BITS}_bits"] <= causal]


def comparison(study: Study) -> Table:
    """Encoder-augmented against causal decoders at equal operations."""
    _, curves = train_compared(study)
    rows = []
    for causal, *augmented in zip(*curves.values(), strict=False):
        cells = [f"{causal['operations']:.2g}", f"{causal['loss']:.3f}"]
        for row in augmented:
            counted = row[f"normalised_{COUNTED_BITS}_bits"]
            cells += [f"{row['loss']:.3f}", f"{row['loss_without_numbers']:.3f}", f"{counted:.3f}"]
        rows.append(cells)
    head = ["operations", CAUSAL]
    for name in AUGMENTED:
        head += [name, "zeros in their place", "with the cost of four bits"]
    return Table(head, rows, {"crossed": crossed(curves), "curves": curves})


# Rounding and noise


@contextmanager
def outputs_changed(module: nn.Module, change: Callable[[Tensor], Tensor]) -> Iterator[None]:
    handle = module.register_forward_hook(lambda _module, _inputs, output: change(output))
    try:
        yield
    finally:
        handle.remove()


def cast_to_8_bits(x: Tensor) -> Tensor:
    return x.to(LOWEST).to(x.dtype)


def rounded_by_row(numbers: Tensor, bits: int) -> Tensor:
    """Numbers ``[batch, n]`` rounded with one scale for all numbers of a sequence, as fast int8 products do."""
    return round_numbers(numbers.T, numbers.abs().amax(1), bits).T


ROUNDINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "float16": lambda numbers: numbers.half().float(),
    "e4m3": cast_to_8_bits,
    "int8": lambda numbers: rounded_by_row(numbers, 8),
    "int4": lambda numbers: rounded_by_row(numbers, 4),
    "int4, a scale a number": lambda numbers: round_numbers(numbers, numbers.abs().amax(0), 4),
    "no bits at all": torch.zeros_like,
}


def rounding_and_noise(study: Study) -> Table:
    """What rounding the numbers, and casting one layer's outputs to eight bits, costs models trained with noise in one
    place and without any."""
    windows = study.texts.windows(CONTEXT)
    inputs, targets = windows[:, :-1], windows[:, 1:]
    rows, figures = [], {}
    for noise in ("none", "numbers", "residual"):
        model = study.model(study.config(decoder="mixer", heads=1, encoder="mixer", noise=noise))
        study.train(f"noise, {noise}", model)
        numbers = encoded(model, targets)
        base = float(token_losses(model, inputs, targets, numbers).mean())
        cost = {
            name: float(token_losses(model, inputs, targets, rounding(numbers)).mean()) - base
            for name, rounding in ROUNDINGS.items()
        }
        by_layer = {}
        for name, module in model.named_modules():
            if isinstance(module, nn.Linear | MaskedMixing):
                with outputs_changed(module, cast_to_8_bits):
                    loss = float(token_losses(model, inputs, targets, encoded(model, targets)).mean())
                by_layer[name] = loss - base
        parts = {
            part: [value for name, value in by_layer.items() if name.startswith("encoder") == (part == "encoder")]
            for part in ("encoder", "decoder")
        }
        rows.append(
            [noise, f"{base:.3f}", *(f"{cost[name]:+.4f}" for name in ROUNDINGS)]
            + [f"{np.mean(values):+.4f}, {max(values):+.4f}" for values in parts.values()]
        )
        figures[noise] = {"loss": base, "rounding": cost, "one_layer_in_e4m3": by_layer}
    head = ["noise in training", "loss", *(f"numbers in {name}" for name in ROUNDINGS)]
    return Table([*head, "one encoder layer in e4m3: mean, most", "one other layer: mean, most"], rows, figures)


# Packed, padded, whole


def documents(texts: Texts) -> list[NDArray[np.int64]]:
    """Documents of corpus/valid, at most :data:`DOCUMENTS` of each domain."""
    found = []
    for domain in texts.validation:
        pieces = np.split(domain.tokens.astype(np.int64), domain.separators)
        found += [piece for piece in pieces if len(piece) > 2][:DOCUMENTS]
    return found


def windows_of_documents(pieces: list[NDArray[np.int64]], context: int, padding: int) -> tuple[Tensor, Tensor]:
    """Each document's first ``context`` tokens behind padding, ``[documents, context + 1]``, and which targets are
    real, ``[documents, context]``."""
    rows = np.full((len(pieces), context + 1), padding)
    real = np.zeros((len(pieces), context), bool)
    for row, known, piece in zip(rows, real, pieces, strict=True):
        kept = piece[: context + 1]
        row[len(row) - len(kept) :] = kept
        known[len(known) - len(kept) + 1 :] = True
    return torch.from_numpy(rows), torch.from_numpy(real)


def packed_and_padded(texts: Texts, readers: dict[str, Reader]) -> Table:
    """Models on documents one behind the other, each in a window of its own behind padding, and those that fill one."""
    context = next(iter(readers.values())).context
    all_documents = documents(texts)
    pieces = [piece[: context + 1] for piece in all_documents[:: max(1, len(all_documents) // (2 * texts.count))]]
    joined = np.concatenate(pieces)
    packed = windows_of_documents(
        [joined[start : start + context + 1] for start in range(0, len(joined) - 1, context)], context, texts.padding
    )
    forms: dict[str, tuple[Tensor, Tensor]] = {
        "packed": packed,
        "padded": windows_of_documents(pieces, context, texts.padding),
        "full context": windows_of_documents([p for p in pieces if len(p) > context], context, texts.padding),
    }
    rows: list[list[str]] = []
    figures: dict[str, Row] = {}
    for form, (windows, real) in forms.items():
        windows, real = windows.to(texts.device), real.to(texts.device)
        tokens = int(real.sum())
        size = float(texts.token_lengths[windows[:, 1:]][real].sum())
        cells = [form, f"{len(windows)}", f"{tokens:,}"]
        figures[form] = {"windows": len(windows), "tokens": tokens}
        for name, reader in readers.items():
            bits = float(reader.losses(windows)[real].sum()) / LN2 / size
            cost = (
                COUNTED_BITS * encoded(reader.model, windows[:1, 1:]).numel() * len(windows) if reader.augmented else 0
            )
            cells.append(f"{bits:.3f} + {cost / size:.3f}" if reader.augmented else f"{bits:.3f}")
            figures[form][name] = {"bits_per_byte": bits, "cost": cost / size}
        rows.append(cells)
    return Table(["windows", "count", "tokens", *(f"{name}, bits per byte" for name in readers)], rows, figures)


# By position and by part of a word


def parts_of_words(tokens: NDArray[np.int64], texts: list[bytes]) -> NDArray[np.int64]:
    """For each token after the first of ``tokens``: 1, 2, 3 for the first, second and later tokens of a word, 0 for one
    that begins with no letter."""
    starts = [text.lstrip(b" ")[:1].isalpha() for text in texts]
    ends = [text[-1:].isalpha() for text in texts]
    spaced = [text[:1] == b" " for text in texts]
    parts = np.zeros(len(tokens) - 1, np.int64)
    reached = int(starts[tokens[0]])
    for i, (before, token) in enumerate(pairwise(tokens)):
        if not starts[token]:
            reached = 0
        elif spaced[token] or not ends[before]:
            reached = 1
        else:
            reached += 1
        parts[i] = min(reached, 3)
    return parts


def by_position(texts: Texts, readers: dict[str, Reader]) -> Table:
    """Bits of tokens by place in the window and by part of a word."""
    context = next(iter(readers.values())).context
    windows = texts.windows(context)
    spelt = [texts.tokenizer.decode(np.array([token])) for token in range(len(texts.token_lengths))]
    parts = np.stack([parts_of_words(row, spelt) for row in windows.cpu().numpy()])
    lengths = texts.token_lengths[windows[:, 1:]].cpu().numpy()
    losses = {name: reader.losses(windows).double().cpu().numpy() / LN2 for name, reader in readers.items()}
    places = np.broadcast_to(np.arange(context), lengths.shape)
    groups = {
        f"tokens {start + 1} to {min(stop, context)}": (places >= start) & (places < stop)
        for start, stop in pairwise(POSITIONS)
        if start < context
    }
    names = ("no letter at its beginning", "first of a word", "second of a word", "later in a word")
    groups |= {name: parts == i for i, name in enumerate(names)}
    rows, figures = [], {}
    for title, chosen in groups.items():
        bits = {name: float(values[chosen].mean()) for name, values in losses.items()}
        size = float(lengths[chosen].mean())
        rows.append([title, f"{chosen.mean():.1%}", f"{size:.2f}", *(f"{value:.2f}" for value in bits.values())])
        figures[title] = {"share": float(chosen.mean()), "bytes": size, "bits": bits}
    return Table(["token", "share", "bytes", *(f"{name}, bits a token" for name in readers)], rows, figures)


# Estimates against each other


def exact_entropies(model: EncoderAugmented, tokens: Tensor, padding: int, count: int) -> NDArray[np.float64]:
    """Bits of the last ``count`` of ``tokens`` ``[context]`` by two windows each: what a window takes that ends with
    the token, less what one takes that ends before it, both behind padding."""
    context = len(tokens)
    totals = []
    for first in range(context - count, context + 1, ROWS):
        ends = range(first, min(first + ROWS, context + 1))
        rows = torch.stack([F.pad(tokens[:end], (context - end, 0), value=padding) for end in ends])
        inputs = F.pad(rows, (1, 0), value=padding)[:, :-1]
        losses = token_losses(model, inputs, rows, encoded(model, rows))
        totals += [float(row[context - end :].double().sum()) for row, end in zip(losses, ends, strict=True)]
    return np.diff(np.array(totals)) / LN2


def estimates(texts: Texts, reader: Reader) -> Table:
    """Exact entropies of tokens by two windows each, against estimates by occlusion of the numbers."""
    model = reader.model
    found: dict[str, list[NDArray[np.float64]]] = {}

    def add(name: str, values: Any) -> None:
        found.setdefault(name, []).append(np.asarray(values, np.float64)[-EXACT_POSITIONS:])

    for window in texts.windows(reader.context)[: max(3, texts.count // 4)]:
        inputs, targets = window[None, :-1], window[None, 1:]
        numbers = encoded(model, targets)
        add("exact", exact_entropies(model, window[1:], texts.padding, EXACT_POSITIONS))
        with torch.no_grad(), autocast(window.device):
            aided, occluded, noisy = (
                model.logits(model.hidden_states(inputs, side))[0].float()
                for side in (numbers, torch.zeros_like(numbers), numbers + torch.rand_like(numbers) / 4)
            )
        losses = [F.cross_entropy(logits, targets[0], reduction="none") / LN2 for logits in (aided, occluded)]
        add("occlusion, logits", (aided - occluded).abs().sum(-1).cpu())
        add("occlusion, loss", (losses[1] - losses[0]).abs().cpu())
        add("noise, logits", (aided - noisy).abs().sum(-1).cpu())
        add("surprisal, aided", losses[0].cpu())
    values = {name: np.concatenate(parts) for name, parts in found.items()}
    squared = {
        f"{one}; {other}": float(np.corrcoef(values[one], values[other])[0, 1] ** 2)
        for i, one in enumerate(values) for other in list(values)[i + 1 :]
    }  # fmt: skip
    rows = [[*pair.split("; "), f"{value:.3f}"] for pair, value in squared.items()]
    means = {name: float(part.mean()) for name, part in values.items()}
    return Table(["estimate", "other estimate", "R2"], rows, {"squared_correlation": squared, "means": means})


# Of the compared models, and of the shipped one


def compared_readers(study: Study) -> dict[str, Reader]:
    models, _ = train_compared(study)
    return {name: Reader(model, model.config.encoder != "none", CONTEXT) for name, model in models.items()}


def shipped_readers(study: Study) -> dict[str, Reader]:
    """The shipped model without numbers, and with those that its encoder reads from a window."""
    shipped = load_model()
    network, context = restore_network(shipped).to(study.device), shipped.config.encoder.window
    return {title: Reader(network, augmented, context) for title, augmented in (("alone", False), ("aided", True))}


def shipped_rounding(study: Study) -> Table:
    """What rounding the numbers costs the shipped model, which was trained with noise at them."""
    reader = shipped_readers(study)["aided"]
    windows = study.shipped_texts.windows(reader.context)[: study.scale.windows]
    inputs, targets = windows[:, :-1], windows[:, 1:]
    numbers = encoded(reader.model, targets)
    base = float(token_losses(reader.model, inputs, targets, numbers).mean())
    cost = {
        name: float(token_losses(reader.model, inputs, targets, rounding(numbers)).mean()) - base
        for name, rounding in ROUNDINGS.items()
    }
    rows = [[name, f"{value:+.4f}", f"{value / base:+.2%}"] for name, value in cost.items()]
    return Table(
        ["numbers in", f"nats a token, over {base:.3f}", "of the loss"], rows, {"loss": base, "rounding": cost}
    )


# Every way in


def every_variant(study: Study) -> Table:
    """Kinds of decoders and encoders, ways in, counts of numbers, places of noise: one model each."""
    plain = study.config(context=512)
    rows, figures = [], {}
    for name, changes in VARIANTS.items():
        model = study.model(PaperConfig(**(vars(plain) | changes)))
        windows = study.texts.windows(model.config.context)
        study.train(name, model)
        row = losses_by_bits(model, windows, study.texts.token_lengths)
        keys = ["loss_without_numbers", *(f"loss_{bits}_bits" for bits in STORED_BITS)]
        keys += [f"normalised_{bits}_bits" for bits in (8, COUNTED_BITS)]
        cells = [f"{row[key]:.3f}" if key in row else "-" for key in keys]
        rows.append([name, f"{row['loss']:.3f}", *cells, f"{row['bits_per_byte']:.3f}"])
        figures[name] = row
    head = ["model", "loss", "without numbers", "8 bits", "4 bits", "2 bits", "+ cost, 8 bits", "+ cost, 4 bits"]
    return Table([*head, "bits per byte"], rows, figures)


VARIANTS: dict[str, dict[str, Any]] = {
    "causal transformer": {},
    "causal mixer": {"decoder": "mixer", "heads": 1},
    "causal hybrid": {"decoder": "hybrid"},
    "augmented, combination": {"encoder": "transformer"},
    "augmented, token": {"encoder": "transformer", "injection": "token"},
    "augmented, concatenation": {"encoder": "transformer", "injection": "concatenation"},
    "augmented, mixer encoder": {"encoder": "mixer"},
    "augmented, mixer encoder, 4 heads": {"encoder": "mixer", "encoder_heads": 4},
    "augmented, mixer encoder, kernel 4": {"encoder": "mixer", "kernel": 4},
    "augmented, mixer decoder": {"decoder": "mixer", "heads": 1, "encoder": "mixer"},
    "augmented, hybrid decoder": {"decoder": "hybrid", "encoder": "transformer"},
    "augmented, few numbers": {"encoder": "transformer", "side_numbers": 16},
    "augmented, 256 numbers": {"encoder": "transformer", "side_numbers": 256},
    "augmented, noise in the residual": {"encoder": "transformer", "noise": "residual"},
    "causal transformer, context 1,024": {"context": 1024},
    "augmented, context 1,024": {"encoder": "transformer", "context": 1024},
}
