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
from collections.abc import Iterator
from contextlib import contextmanager
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
LOG_NAME = "log.jsonl"
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
    rows = [json.loads(line) for line in (run / LOG_NAME).read_text().splitlines()]
    return next(row for row in reversed(rows) if "bits_per_byte" in row)


def _cut_log(log: Path, step: int) -> int:
    """Drop rows of steps that a run which goes on from ``step`` will take once more; the step of the last evaluation
    that is left, -1 if there is none."""
    if not log.exists():
        return -1
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    kept = [row for row in rows if row["step"] <= step and step]
    log.write_text("".join(json.dumps(row) + "\n" for row in kept))
    return max((row["step"] for row in kept if "bits_per_byte" in row), default=-1)


class _Batches:
    """A worker's share of each step's sequences, on its device."""

    def __init__(
        self, domains: list[Domain], options: TrainingOptions, worker: Worker, estimates: dict[str, np.ndarray] | None
    ) -> None:
        self._sampler = BatchSampler(domains, options.length, options.seed)
        self._options, self._worker, self._estimates = options, worker, estimates
        self._resident = None
        if worker.device.type == "cuda":
            self._resident = DeviceTokens(self._sampler.domains, options.length, worker.device)

    def at(self, step: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Tokens int64 ``[share, length + 1]``, and entropies float32 ``[share, length]`` where estimates are given."""
        rank, share = self._worker.rank, self._options.sequences // self._worker.world
        places = self._sampler.places(step, self._options.sequences)[rank * share : (rank + 1) * share]
        tokens = torch.from_numpy(tokens_at(places)) if self._resident is None else self._resident.at(places)
        known: tuple[Tensor, ...] = ()
        if self._estimates is not None:
            known = (torch.from_numpy(estimates_at(places, self._estimates)).to(self._worker.device),)
        return tokens.to(self._worker.device), known


class _Checkpoint:
    """What a run goes on from: weights, the optimisers' state, steps done and minutes taken."""

    def __init__(self, path: Path, model: EncoderAugmentedDecoder, optimizers: list[torch.optim.Optimizer]) -> None:
        self._path, self._model, self._optimizers = path, model, optimizers

    def load(self, device: torch.device) -> tuple[int, float]:
        """Steps and minutes of the run so far, 0 where there is no checkpoint."""
        if not self._path.exists():
            return 0, 0.0
        saved = torch.load(self._path, map_location=device, weights_only=True)
        self._model.load_state_dict(saved["model"])
        for optimizer, state in zip(self._optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        return saved["step"], saved.get("minutes", 0.0)

    def save(self, step: int, minutes: float) -> None:
        state: dict[str, Any] = {
            "model": self._model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers],
            "step": step,
            "minutes": minutes,
            "config": self._model.config.to_json(),
        }
        part = self._path.with_suffix(".tmp")
        torch.save(state, part)
        part.replace(self._path)


class _Tally:
    """Loss and speed since the last row of the log.

    Bits and bytes are summed on the device, and read from it only for a row: reading keeps a GPU waiting.
    """

    def __init__(self, bytes_per_token: Tensor, world: int, operations_per_token: float, peak: float) -> None:
        self._bytes_per_token, self._world = bytes_per_token, world
        self._operations_per_token, self._peak = operations_per_token, peak
        self._sums = torch.zeros(2, dtype=torch.float64, device=bytes_per_token.device)
        self._tokens, self._since = 0, time.monotonic()

    def add(self, losses: Tensor, targets: Tensor) -> None:
        self._sums += torch.stack([losses.detach().sum() / LN2, self._bytes_per_token[targets].sum()])
        self._tokens += losses.numel() * self._world

    def row(self, step: int) -> dict[str, Any]:
        """Figures since the last row; then begin anew.

        Raises:
            LlmzError: the loss is not finite.
        """
        bits, size = self._sums.tolist()
        if not math.isfinite(bits):
            raise LlmzError(f"step {step}: the loss is no number any more; try a lower rate")
        now = time.monotonic()
        speed = self._tokens / (now - self._since)
        self._sums.zero_()
        self._tokens, self._since = 0, now
        return {
            "train_bits_per_byte": round(bits / size, 4),
            "tokens_per_second": round(speed),
            "share_of_peak": round(speed * self._operations_per_token / self._peak, 3),
        }

    @contextmanager
    def leaving_out(self) -> Iterator[None]:
        """The time of what is done meanwhile does not count."""
        began = time.monotonic()
        yield
        self._since += time.monotonic() - began


class _Pace:
    """Keeps the processor at most ``STEPS_IN_FLIGHT`` steps ahead of a GPU."""

    def __init__(self, device: torch.device) -> None:
        self._cuda = device.type == "cuda"
        self._in_flight: deque[torch.cuda.Event] = deque()

    def step_begun(self) -> None:
        if not self._cuda:
            return
        self._in_flight.append(torch.cuda.Event())
        self._in_flight[-1].record()
        if len(self._in_flight) > STEPS_IN_FLIGHT:
            self._in_flight.popleft().synchronize()


def update_weights(optimizers: list[torch.optim.Optimizer], factor: float) -> None:
    """Step all weights along their gradients, at ``factor`` of the rates, and drop the gradients."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["base_lr"] * factor
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)


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
        LlmzError: the loss is not finite.
        ValueError: the batch does not divide among the workers, or the objective's estimates are missing.
    """
    if needs_estimates(options.objective) and estimates is None:
        raise ValueError(f"objective {options.objective!r} needs entropy estimates")
    worker = Worker.join()
    device, world = worker.device, worker.world
    if options.sequences % world:
        raise ValueError(f"{options.sequences} sequences do not divide among {world} workers")
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    model = EncoderAugmentedDecoder(config, unigram_log_frequencies(training, config.vocabulary)).to(device)
    if initial_weights:
        model.load_state_dict(initial_weights)
    model.objective = options.objective
    optimizers = make_optimizers(model, options)
    checkpoint = _Checkpoint(run / "checkpoint.pt", model, optimizers)
    first_step, minutes_before = checkpoint.load(device)
    peak = world * peak_operations(device)
    if options.compile:
        model.compile_for(options.length)
    with_side = round(options.sequences // world * options.side_share)
    unused = with_side == 0  # nothing then reaches the encoder
    stepped: Any = DistributedDataParallel(model, find_unused_parameters=unused) if world > 1 else model
    batches = _Batches(training, options, worker, estimates)
    bytes_per_token = torch.from_numpy(token_lengths.astype(np.float32)).to(device)
    total = options.steps if options.minutes is None else None
    bar = tqdm(total=total, initial=first_step, unit="step", disable=None if progress and worker.first else True)

    log = run / LOG_NAME

    def report(row: dict[str, Any]) -> None:
        with log.open("a") as file:
            file.write(json.dumps(row) + "\n")
        if progress:
            bar.write(json.dumps({k: v for k, v in row.items() if k != "domains"}))

    def minutes() -> float:
        return minutes_before + (time.monotonic() - started) / 60

    step, evaluated_step = first_step, -1
    if worker.first:
        evaluated_step = _cut_log(log, first_step)
        report({"step": step, "workers": world, "device": device.type, "peak_teraflops": round(peak / 1e12, 3)})
    started = last_saved = time.monotonic()
    tally, pace = _Tally(bytes_per_token, world, operations_per_token(config), peak), _Pace(device)
    saved_step = step or -1
    while True:
        if world == 1:
            elapsed = minutes()
        elif step % AGREE_EVERY == 0 or step == first_step:
            elapsed = worker.from_first(minutes())
        if (step >= options.steps) if options.minutes is None else (elapsed >= options.minutes):
            break
        torch.manual_seed(hash((options.seed, step, worker.rank)))
        batch, known = batches.at(step)
        with autocast(device):
            losses, side_bits = stepped(batch[:, :-1], batch[:, 1:], with_side, *known)
        loss = losses.mean()
        if with_side:
            loss = loss + options.rate_weight * LN2 * side_bits.sum() / losses.numel()
        loss.backward()
        factor = learning_rate_factor(step, options, elapsed)
        update_weights(optimizers, factor)
        step += 1
        bar.update()
        tally.add(losses, batch[:, 1:])
        pace.step_begun()
        if not worker.first:
            continue
        now = time.monotonic()
        if step % REPORT_EVERY == 0:
            row = {"step": step, "minutes": round(minutes(), 2), "factor": round(factor, 4)}
            report(row | tally.row(step))
        saves = now - last_saved > 60 * options.checkpoint_minutes
        with tally.leaving_out():
            if saves if options.minutes is not None else step % options.evaluate_every == 0:
                report({"step": step} | evaluate(model, validation, bytes_per_token))
                evaluated_step = step
            if saves:
                checkpoint.save(step, minutes())
                saved_step, last_saved = step, now
    if worker.first and evaluated_step != step:
        report({"step": step} | evaluate(model, validation, bytes_per_token))
    if worker.first and saved_step != step:
        checkpoint.save(step, minutes())
    bar.close()
    worker.leave()
    return model
