"""The trainer: ``llmzip train CORPUS RUN``, on CPU, one GPU, or several processes under ``torchrun``.

Muon for matrices, AdamW for the rest; warm-up, constant phase, linear cool-down to zero (so that a run can be extended
from its constant phase), by steps or by the clock. The network is compiled layer by layer. On a GPU all tokens lie in
its memory, which gathers batches there, Muon steps matrices of one shape together, attention is FlexAttention and the
head's loss is computed in one piece. A run writes ``log.jsonl`` and ``checkpoint.pt`` to its folder and goes on from
there.
"""

from __future__ import annotations

import json
import math
import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from llmzip.errors import LlmzError
from llmzip.models.data import BatchSampler, DeviceTokens, Domain, estimates_at, tokens_at, validation_windows
from llmzip.models.devices import Worker, autocast, peak_operations
from llmzip.models.muon import StackedMuon
from llmzip.models.network import EncoderAugmentedDecoder
from llmzip.models.objectives import CROSS_ENTROPY, needs_estimates
from llmzip.network.architecture import SIDE_STEPS_PER_UNIT, ModelConfig

LN2 = math.log(2)
STEPS_IN_FLIGHT = 3
"""Steps that a GPU may be behind: the clock must not run ahead of it."""
REPORT_EVERY = 50
"""Steps between rows of the log."""
AGREE_EVERY = 10
"""Steps between which several workers take one time: asking each other keeps GPUs waiting."""


@dataclass(frozen=True)
class TrainingOptions:
    """Settings of a run; ``steps`` counts optimiser steps of ``sequences * length`` tokens over all workers.

    With ``minutes``, the clock decides in place of ``steps``: the rate falls to zero over the last ``cooldown_share``
    of them, compiling, evaluations and earlier parts of the run included. Such a run is evaluated with each checkpoint
    in place of ``evaluate_every`` steps.
    """

    steps: int
    cooldown_steps: int
    sequences: int = 16
    length: int = 512
    warmup_steps: int = 100
    muon_rate: float = 0.02
    embedding_rate: float = 0.01
    adam_rate: float = 0.003
    weight_decay: float = 0.01
    side_share: float = 0.25
    rate_weight: float = 0.01
    """Weight of the side information's bits: one z serves a block of about ``1 / rate_weight`` training sequences."""
    evaluate_every: int = 500
    checkpoint_minutes: float = 10.0
    rate: float = 1.0
    """Factor on all learning rates; less than 1 for a run that starts from trained weights."""
    seed: int = 1
    compile: bool = True
    objective: str = CROSS_ENTROPY
    """One of :data:`llmzip.models.objectives.OBJECTIVES`."""
    minutes: float | None = None
    cooldown_share: float = 0.4


TRAINED_RATE = 0.7
"""``TrainingOptions.rate`` of a run that starts from trained weights."""


def default_options(worker: Worker) -> TrainingOptions:
    """Batches that a CPU, or each of the workers' GPUs, is filled by."""
    options = TrainingOptions(steps=3000, cooldown_steps=750)
    if worker.device.type == "cuda":
        return replace(options, sequences=32 * worker.world, length=2048, side_share=1 / 16, warmup_steps=150)
    return options


def learning_rate_factor(step: int, options: TrainingOptions, minutes: float = 0.0) -> float:
    """Factor on all learning rates of a step that begins so many minutes after the run did."""
    warm = min(1.0, (step + 1) / options.warmup_steps)
    if options.minutes is not None:
        share = max(0.0, 1 - minutes / options.minutes)
        return options.rate * warm * min(1.0, share / options.cooldown_share)
    left = max(0, options.steps - step)
    return options.rate * warm * min(1.0, left / max(1, options.cooldown_steps))


def make_optimizers(model: EncoderAugmentedDecoder, options: TrainingOptions) -> list[torch.optim.Optimizer]:
    matrices, embeddings, others = [], [], []
    for name, parameter in model.named_parameters():
        if name in ("embedding", "bigram_embedding", "trigram_embedding", "encoder_embedding"):
            embeddings.append(parameter)
        elif parameter.ndim == 2 and name != "head.weight" and not name.endswith("taps"):
            matrices.append(parameter)
        else:
            others.append(parameter)
    settings: dict[str, Any] = {"lr": options.muon_rate, "weight_decay": options.weight_decay, "momentum": 0.95}
    muon = StackedMuon(matrices, options.compile and matrices[0].is_cuda, **settings)
    adam = torch.optim.AdamW(
        [{"params": embeddings, "lr": options.embedding_rate}, {"params": others, "lr": options.adam_rate}],
        betas=(0.9, 0.98),
        weight_decay=0.0,
        fused=True if matrices[0].is_cuda else None,
    )
    for optimizer in (muon, adam):
        for group in optimizer.param_groups:
            group["base_lr"] = group["lr"]
    return [muon, adam]


def unigram_log_frequencies(domains: list[Domain], vocabulary: int) -> Tensor:
    """Natural logarithm of each token's share in the weighted corpus, smoothed by one count; float32 ``[V]``."""
    share = np.zeros(vocabulary)
    for domain in domains:
        counts = np.bincount(domain.tokens, minlength=vocabulary) + 1.0
        share += domain.weight * counts / counts.sum()
    return torch.from_numpy(np.log(share / share.sum())).float()


def operations_per_token(config: ModelConfig) -> float:
    """Training operations: six for each weight of the decoder's layers and its head."""
    decoder = config.decoder
    weights = len(decoder.layers) * (4 * decoder.width**2 + 2 * decoder.width * decoder.hidden)
    return 6.0 * (weights + decoder.width * config.vocabulary)


@torch.no_grad()
def plain_bits_and_bytes(
    model: EncoderAugmentedDecoder, windows: Tensor, bytes_per_token: Tensor
) -> tuple[float, float]:
    """Bits of windows' targets without side information, each window from a cold start, and their bytes.

    Args:
        windows: int64 ``[windows, length + 1]``, as of :func:`llmzip.models.data.validation_windows`.
        bytes_per_token: float32 ``[V]``.
    """
    inputs, targets = windows[:, :-1], windows[:, 1:]
    with autocast(windows.device):
        losses, _ = model(inputs, targets)
    return float(losses.sum()) / LN2, float(bytes_per_token[targets].sum())


@torch.no_grad()
def evaluate(
    model: EncoderAugmentedDecoder, domains: list[Domain], bytes_per_token: Tensor, windows: int = 8, length: int = 512
) -> dict[str, Any]:
    """Bits per byte on evenly spaced windows, each from a cold start.

    Returns:
        ``bits_per_byte`` (no side information), ``bits_per_byte_side`` (rounded side information and its cost spread
        over the window) and ``side_bits``, weighted by domain size in bytes; ``domains``, the first by domain.
    """
    model.eval()
    device = model.output_bias.device
    by_domain, sums = {}, np.zeros(3)
    for domain in domains:
        batch = torch.from_numpy(validation_windows(domain, length, windows)).to(device)
        inputs, targets = batch[:, :-1], batch[:, 1:]
        plain_bits, size = plain_bits_and_bytes(model, batch, bytes_per_token)
        with autocast(device):
            side = (model.encode(targets) * SIDE_STEPS_PER_UNIT).round() / SIDE_STEPS_PER_UNIT
            logits = model.logits(model.hidden_states(inputs, side))
        aided = nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="sum")
        side_bits = float(model.prior.bits(side).sum())
        by_domain[domain.name] = round(plain_bits / size, 4)
        figures = np.array([plain_bits, float(aided) / LN2 + side_bits, side_bits * size / len(batch)])
        sums += figures / size * domain.text_bytes
    model.train()
    total = sum(d.text_bytes for d in domains)
    keys = ("bits_per_byte", "bits_per_byte_side", "side_bits")
    return {key: round(float(v), 4) for key, v in zip(keys, sums / total, strict=True)} | {"domains": by_domain}


def last_evaluation(run: Path) -> dict[str, Any]:
    """What :func:`evaluate` said last in a run's log."""
    rows = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return next(row for row in reversed(rows) if "bits_per_byte" in row)


def train(
    config: ModelConfig,
    options: TrainingOptions,
    run: Path,
    training: list[Domain],
    validation: list[Domain],
    token_lengths: np.ndarray,
    initial_weights: dict[str, Tensor] | None = None,
    progress: bool = True,
    estimates: dict[str, np.ndarray] | None = None,
) -> EncoderAugmentedDecoder:
    """Train a model in folder ``run``, going on from its checkpoint if there is one.

    Under ``torchrun`` every worker takes its share of each batch; the batches do not depend on how many there are.

    Args:
        token_lengths: bytes per token ``[V]``, for bits per byte.
        initial_weights: a ``state_dict`` to start from (a float image of shipped weights) when there is no checkpoint.
        estimates: entropy in nats of every training token by domain, float16 ``[tokens]``, where the objective needs
            them.

    Raises:
        ValueError: the batch does not divide among the workers, or the objective's estimates are missing.
    """
    if needs_estimates(options.objective) and estimates is None:
        raise ValueError(f"objective {options.objective!r} needs entropy estimates")
    worker = Worker.join()
    device, world = worker.device, worker.world
    cuda = device.type == "cuda"
    if options.sequences % world:
        raise ValueError(f"{options.sequences} sequences do not divide among {world} workers")
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    model = EncoderAugmentedDecoder(config, unigram_log_frequencies(training, config.vocabulary)).to(device)
    if initial_weights:
        model.load_state_dict(initial_weights)
    model.objective = options.objective
    optimizers = make_optimizers(model, options)
    step, minutes_before = 0, 0.0
    checkpoint = run / "checkpoint.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint, map_location=device, weights_only=True)
        model.load_state_dict(saved["model"])
        for optimizer, state in zip(optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        step, minutes_before = saved["step"], saved.get("minutes", 0.0)
    peak = world * peak_operations(device)
    if options.compile:
        model.compile_for(options.length)
    unused = options.side_share == 0  # nothing then reaches the encoder
    stepped: Any = DistributedDataParallel(model, find_unused_parameters=unused) if world > 1 else model
    sampler = BatchSampler(training, options.length, options.seed)
    resident = DeviceTokens(sampler.domains, options.length, device) if cuda else None
    bytes_per_token = torch.from_numpy(token_lengths.astype(np.float32)).to(device)
    share = options.sequences // world
    with_side = round(share * options.side_share)

    def minutes() -> float:
        return minutes_before + (time.monotonic() - started) / 60

    def save() -> None:
        state: dict[str, Any] = {
            "model": model.state_dict(),
            "optimizers": [o.state_dict() for o in optimizers],
            "step": step,
            "minutes": minutes(),
        }
        state["config"] = config.to_json()
        torch.save(state, checkpoint.with_suffix(".tmp"))
        checkpoint.with_suffix(".tmp").replace(checkpoint)

    def report(row: dict[str, Any]) -> None:
        with (run / "log.jsonl").open("a") as log:
            log.write(json.dumps(row) + "\n")
        if progress:
            bar.write(json.dumps({k: v for k, v in row.items() if k != "domains"}))

    total = options.steps if options.minutes is None else None
    bar = tqdm(total=total, initial=step, unit="step", disable=None if progress and worker.first else True)
    if worker.first:
        report({"step": step, "workers": world, "device": device.type, "peak_teraflops": round(peak / 1e12, 3)})
    started = last_saved = last_report = time.monotonic()
    recent = torch.zeros(2, dtype=torch.float64, device=device)  # bits and bytes: read from a GPU only for a report
    recent_tokens = 0
    begun = step
    saved_step = evaluated_step = step or -1
    in_flight: deque[torch.cuda.Event] = deque()
    while True:
        if world == 1:
            elapsed = minutes()
        elif step % AGREE_EVERY == 0 or step == begun:
            elapsed = worker.from_first(minutes())
        if (step >= options.steps) if options.minutes is None else (elapsed >= options.minutes):
            break
        torch.manual_seed(hash((options.seed, step, worker.rank)))
        places = sampler.places(step, options.sequences)[worker.rank * share : (worker.rank + 1) * share]
        batch = torch.from_numpy(tokens_at(places)).to(device) if resident is None else resident.at(places)
        known: tuple[Tensor, ...] = ()
        if estimates is not None:
            known = (torch.from_numpy(estimates_at(places, estimates)).to(device),)
        with autocast(device):
            losses, side_bits = stepped(batch[:, :-1], batch[:, 1:], with_side, *known)
        loss = losses.mean()
        if with_side:
            loss = loss + options.rate_weight * LN2 * side_bits.sum() / losses.numel()
        loss.backward()
        factor = learning_rate_factor(step, options, elapsed)
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["base_lr"] * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        step += 1
        bar.update()
        recent += torch.stack([losses.detach().sum() / LN2, bytes_per_token[batch[:, 1:]].sum()])
        if cuda:
            in_flight.append(torch.cuda.Event())
            in_flight[-1].record()
            if len(in_flight) > STEPS_IN_FLIGHT:
                in_flight.popleft().synchronize()
        recent_tokens += losses.numel() * world
        now = time.monotonic()
        if worker.first and step % REPORT_EVERY == 0:
            bits, size = recent.tolist()
            if not math.isfinite(bits):
                raise LlmzError(f"step {step}: the loss is no number any more; try a lower rate")
            speed = recent_tokens / (now - last_report)
            row = {"step": step, "minutes": round(minutes(), 2), "factor": round(factor, 4)}
            row |= {"train_bits_per_byte": round(bits / size, 4)}
            share_of_peak = speed * operations_per_token(config) / peak
            row |= {"tokens_per_second": round(speed), "share_of_peak": round(share_of_peak, 3)}
            recent.zero_()
            recent_tokens = 0
            last_report = now
            report(row)
        saves = now - last_saved > 60 * options.checkpoint_minutes
        if worker.first and (saves if options.minutes is not None else step % options.evaluate_every == 0):
            report({"step": step} | evaluate(model, validation, bytes_per_token))
            evaluated_step = step
            last_report = time.monotonic()
        if worker.first and saves:
            save()
            saved_step, last_saved = step, now
    if worker.first and evaluated_step != step:
        report({"step": step} | evaluate(model, validation, bytes_per_token))
    if worker.first and saved_step != step:
        save()
    bar.close()
    worker.leave()
    return model
