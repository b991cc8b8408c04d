"""Parts of ``benchmarks.paper`` about what numbers keep: autoencoders, copies, memories (arXiv 2602.13466)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from llmzip.benchmarks.paper_numbers import ROWS
from llmzip.benchmarks.paper_study import Row, Study, Table
from llmzip.models.devices import autocast
from llmzip.models.paper_models import PaperConfig, PaperModel

CORRUPTED_SHARE = 0.5
COPY_LOSSES = ("cross-entropy", "above the known entropy")
AUTOENCODERS: dict[str, dict[str, Any]] = {
    "transformer": {"decoder": "transformer", "encoder": "transformer"},
    "mixer": {"heads": 1},
    "mixer, 4 heads": {"heads": 4, "encoder_heads": 4},
    "mixer, kernel 4": {"heads": 1, "kernel": 4},
    "mixer, 4 heads, kernel 4": {"heads": 4, "encoder_heads": 4, "kernel": 4},
}
MEMORIES = ("untrained", "next tokens", "next tokens and copies", "autoencoder")
MEMORY_TRAININGS = 8
EVALUATED_BATCHES = 2
EVALUATION_STEP = 10**7
"""Batches from here on are not trained on."""


def chunk_config(study: Study, **changes: Any) -> PaperConfig:
    """A mixer that stores a chunk in as many numbers as its layers have channels."""
    width = study.scale.width
    return study.config(
        **{"context": study.scale.chunk, "decoder": "mixer", "encoder": "mixer", "heads": 1, "encoder_width": width,
           "encoder_layers": study.scale.layers, "side_numbers": width} | changes
    )  # fmt: skip


def regeneration_loss(study: Study, model: PaperModel, step: int) -> Tensor:
    chunk = study.batch(step, model.config.context)[:, 1:]
    return model(chunk, chunk).mean()


@torch.no_grad()
def regenerated(study: Study, model: PaperModel) -> Row:
    """Loss and share of tokens that a model says right of chunks of corpus/valid that its encoder has read."""
    chunks = study.texts.windows(model.config.context)[:, 1:]
    losses, hits = [], []
    for part in chunks.split(16 * ROWS):
        with autocast(part.device):
            logits = model.logits(model.hidden_states(part, model.encode(part))).float()
        losses.append(F.cross_entropy(logits.flatten(0, 1), part.flatten(), reduction="none"))
        hits.append((logits.argmax(-1) == part).float().flatten())
    return {"loss": float(torch.cat(losses).mean()), "right": float(torch.cat(hits).mean())}


def capacity(study: Study) -> Table:
    """How much of a chunk autoencoders regenerate, by kind, heads and kernel."""
    rows, figures = [], {}
    for name, changes in AUTOENCODERS.items():
        model = study.model(chunk_config(study, regenerates=True, **changes))
        curve = study.train(
            f"autoencoder, {name}", model, lambda m, step: regeneration_loss(study, m, step),
            evaluate=lambda m: regenerated(study, m),
        )  # fmt: skip
        figures[name] = curve[-1]
        rows.append([name, f"{curve[-1]['step']}", f"{curve[-1]['loss']:.3f}", f"{curve[-1]['right']:.1%}"])
    return Table(["autoencoder", "steps", "loss", "tokens right"], rows, figures)


# Copies


def copies(tokens: Tensor, vocabulary: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Texts ``[batch, half]``, then their copies with a share of noise that nothing foretells.

    Returns:
        Inputs and targets ``[batch, 2 half - 1]``, and which targets are noise; the first ``half - 1`` are no copy.
    """
    generator = torch.Generator().manual_seed(seed)
    noisy = (torch.rand(tokens.shape, generator=generator) < CORRUPTED_SHARE).to(tokens.device)
    drawn = [torch.randint(vocabulary, tokens.shape, generator=generator).to(tokens.device) for _ in range(2)]
    read, wanted = (torch.cat([tokens, torch.where(noisy, noise, tokens)], 1) for noise in drawn)
    return read[:, :-1], wanted[:, 1:], torch.cat([torch.zeros_like(noisy), noisy], 1)[:, 1:]


def copy_losses(study: Study, model: PaperModel, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Losses of copies' tokens, which of them are noise, and which the model says right; all ``[batch, half]``."""
    half = model.config.context // 2
    inputs, targets, noisy = copies(study.batch(step, half)[:, 1:], model.config.vocabulary, step)
    logits = model.logits(model.hidden_states(inputs))[:, half - 1 :].float()
    targets = targets[:, half - 1 :]
    losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)
    return losses, noisy[:, half - 1 :], logits.argmax(-1) == targets


def corrupted_copies(study: Study) -> Table:
    """Training on copies half of whose tokens are noise, with every token's loss and with what exceeds the entropy that
    is known of each: none for a copied token, that of a uniform draw for noise."""
    uniform = math.log(study.config().vocabulary)
    rows, figures = [], {}
    for kind in COPY_LOSSES:

        def loss_at(model: PaperModel, step: int, kind: str = kind) -> Tensor:
            losses, noisy, _ = copy_losses(study, model, step)
            if kind != COPY_LOSSES[0]:
                losses = losses * (losses > uniform * noisy)
            return losses.mean()

        def evaluate(model: PaperModel) -> Row:
            with torch.no_grad(), autocast(study.device):
                parts = [copy_losses(study, model, EVALUATION_STEP + i) for i in range(EVALUATED_BATCHES)]
            losses, noisy, right = (torch.cat(column) for column in zip(*parts, strict=True))
            return {
                "copied": float(losses[~noisy].mean()), "noise": float(losses[noisy].mean()),
                "right": float(right[~noisy].float().mean()),
            }  # fmt: skip

        model = study.model(study.config(context=4 * study.scale.chunk))
        for part in range(1, 5):
            curve = study.train(f"copies, {kind}", model, loss_at, share=part / 4, evaluate=evaluate)
        figures[kind] = curve
        for row in curve:
            rows.append([kind, f"{row['step']}", f"{row['copied']:.3f}", f"{row['noise']:.3f}", f"{row['right']:.1%}"])
    return Table(["loss", "steps", "copied tokens", f"noise (entropy {uniform:.3f})", "copied right"], rows, figures)


# Memories


def chunk_pairs(study: Study, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """A chunk to remember ``[batch, chunk]``, then inputs and targets of the chunk that follows."""
    length = study.scale.chunk
    batch = study.batch(step, 2 * length)
    return batch[:, 1 : length + 1], batch[:, length:-1], batch[:, length + 1 :]


def memory_loss(study: Study, model: PaperModel, step: int, kind: str, counted: bool = True) -> Tensor:
    """Nats a token of the next chunk, or of a copy of the remembered one, given what the encoder kept of that."""
    remembered, inputs, targets = chunk_pairs(study, step)
    if kind == "copy":
        inputs, targets = F.pad(remembered, (1, 0))[:, :-1], remembered
    numbers = model.encode(remembered)
    logits = model.logits(model.hidden_states(inputs, numbers if counted else torch.zeros_like(numbers)))
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def memories(study: Study) -> Table:
    """What encoders keep of a chunk, by what they were trained for: a new decoder learns to regenerate the chunk from
    each encoder's numbers, the encoder frozen."""
    auto = study.model(chunk_config(study, regenerates=True))
    study.train("memory, autoencoder", auto, lambda m, step: regeneration_loss(study, m, step))
    rows, figures = [], {}
    for name in MEMORIES:
        model = study.model(chunk_config(study))
        if name == "autoencoder":
            take_encoder(model, auto)
        if name != "untrained":
            with_copies = name != "next tokens"

            def loss_at(m: PaperModel, step: int, with_copies: bool = with_copies) -> Tensor:
                return memory_loss(study, m, step, "copy" if with_copies and step % 2 else "next")

            study.train(f"memory, {name}, decoder", model, loss_at)
        probe = study.model(chunk_config(study, regenerates=True), seed=3)
        take_encoder(probe, model)
        study.train(f"memory, {name}, probe", probe, lambda m, step: regeneration_loss(study, m, step))
        row = {"probe": regenerated(study, probe)}
        for kind in ("next", "copy"):
            row[kind] = {
                title: evaluated_memory(study, model, kind, counted)
                for title, counted in (("with", True), ("without", False))
            }
        figures[name] = row
        losses = ["-"] * 4 if name == "untrained" else [
            f"{row[kind][title]:.3f}" for kind in ("next", "copy") for title in ("with", "without")
        ]  # fmt: skip
        rows.append([name, f"{row['probe']['right']:.1%}", f"{row['probe']['loss']:.3f}", *losses])
    head = ["encoder trained for", "regenerated from its numbers", "loss", "next chunk", "with zeros", "copy"]
    return Table([*head, "copy with zeros"], rows, figures)


def take_encoder(model: PaperModel, trained: PaperModel) -> None:
    """Give ``model`` the encoder of another, frozen."""
    model.encoder_embedding.data.copy_(trained.encoder_embedding.data)
    model.encoder_embedding.requires_grad_(False)
    for part in ("encoder", "down"):
        getattr(model, part).load_state_dict(getattr(trained, part).state_dict())
        getattr(model, part).requires_grad_(False)


@torch.no_grad()
def evaluated_memory(study: Study, model: PaperModel, kind: str, counted: bool) -> float:
    with autocast(study.device):
        parts = [memory_loss(study, model, EVALUATION_STEP + i, kind, counted) for i in range(EVALUATED_BATCHES)]
    return float(torch.stack(parts).mean())
