"""What the parts of ``benchmarks.paper`` share: text, sizes of models, and training that can be stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llmzip.models.data import BatchSampler, Domain, load_corpus, validation_windows
from llmzip.models.devices import autocast
from llmzip.models.paper_models import PaperConfig, PaperModel
from llmzip.models.train import unigram_log_frequencies
from llmzip.models.train_tokenizer import STUDY_VOCABULARY, study_tokenizer
from llmzip.network.model import load_model
from llmzip.network.tokenizer import Tokenizer

CONTEXT = 1024
WARMUP_STEPS = 50
COOLDOWN_SHARE = 0.4
CALIBRATION_STEPS = 6
CHECKPOINT_SECONDS = 60.0

Row = dict[str, Any]
LossAt = Callable[[PaperModel, int], Tensor]
"""The loss of a model at a step."""


@dataclass(frozen=True)
class Scale:
    """Sizes of the models and of a training step.

    Attributes:
        chunk: tokens that an autoencoder regenerates, or a memory holds.
        windows: of ``CONTEXT`` tokens that models are evaluated on, one of each of the largest domains of corpus/valid.
    """

    width: int
    layers: int
    heads: int
    encoder_width: int
    encoder_layers: int
    batch_tokens: int
    rate: float
    chunk: int
    windows: int


ON_CPU = Scale(128, 4, 4, 64, 2, 4096, 2e-3, 32, 8)
ON_GPU = Scale(512, 8, 8, 256, 4, 65_536, 1e-3, 128, 40)


@dataclass
class Table:
    """What a part found: rows of figures under ``head``, and what a table cannot say."""

    head: list[str]
    rows: list[list[str]]
    figures: Row


class Texts:
    """CORPUS/valid in tokens of one vocabulary, on a device."""

    def __init__(self, corpus: Path, tokenizer: Tokenizer, kept: Path, count: int) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.tokenizer = tokenizer
        self.validation = load_corpus(corpus / "valid", tokenizer, kept)
        self.token_lengths = torch.from_numpy(tokenizer.token_lengths.astype(np.float32)).to(self.device)
        self.padding = int(tokenizer.encode(b"\0")[0])
        self.count = count

    def windows(self, length: int) -> Tensor:
        """The same text for every length that divides ``CONTEXT``: ``[windows, length + 1]``."""
        largest = sorted(self.validation, key=lambda domain: -domain.text_bytes)[: self.count]
        whole = np.concatenate([validation_windows(domain, CONTEXT, 1) for domain in largest])
        parts = [whole[:, start : start + length + 1] for start in range(0, CONTEXT, length)]
        return torch.from_numpy(np.concatenate(parts)).to(self.device)


class Study:
    """CORPUS in tokens of a small vocabulary, and models trained on it, each for ``operations``.

    Args:
        out: keeps vocabulary, tokens and checkpoints.
    """

    def __init__(self, corpus: Path, out: Path) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.scale = ON_GPU if self.device.type == "cuda" else ON_CPU
        self.operations = 0.0
        self._corpus, self._out, self._models = corpus, out, out / "models"
        self._models.mkdir(parents=True, exist_ok=True)
        self._samplers: dict[int, BatchSampler] = {}

    @cached_property
    def texts(self) -> Texts:
        """Text that the study's models are evaluated on."""
        return Texts(self._corpus, self._tokenizer, self._out / "tokens", self.scale.windows)

    @cached_property
    def shipped_texts(self) -> Texts:
        """The same for the shipped model's vocabulary."""
        return Texts(self._corpus, load_model().tokenizer, self._out / "tokens-shipped", self.scale.windows)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return study_tokenizer(self._corpus / "train", self._out / "vocabulary")

    @cached_property
    def _training(self) -> list[Domain]:
        return load_corpus(self._corpus / "train", self._tokenizer, self._out / "tokens")

    @cached_property
    def _bias(self) -> Tensor:
        return unigram_log_frequencies(self._training, STUDY_VOCABULARY)

    def config(self, **changes: Any) -> PaperConfig:
        """A causal transformer of this scale, with changes."""
        scale = self.scale
        return PaperConfig(
            **{
                "vocabulary": STUDY_VOCABULARY, "context": CONTEXT, "width": scale.width, "layers": scale.layers,
                "heads": scale.heads, "encoder_width": scale.encoder_width, "encoder_layers": scale.encoder_layers,
            }
            | changes
        )  # fmt: skip

    def model(self, config: PaperConfig, seed: int = 1) -> PaperModel:
        torch.manual_seed(seed)
        return PaperModel(config, self._bias).to(self.device)

    def batch(self, step: int, length: int) -> Tensor:
        """Random training text, int64 ``[sequences, length + 1]``."""
        sampler = self._samplers.setdefault(length, BatchSampler(self._training, length, seed=2))
        return torch.from_numpy(sampler.batch(step, self.scale.batch_tokens // length)).to(self.device)

    def next_token_loss(self, model: PaperModel, step: int) -> Tensor:
        batch = self.batch(step, model.config.context)
        return model(batch[:, :-1], batch[:, 1:]).mean()

    def operations_of(self, model: PaperModel, steps: int) -> float:
        return model.training_flops_per_token() * self.scale.batch_tokens * steps

    def train(
        self, name: str, model: PaperModel, loss_at: LossAt | None = None, share: float = 1.0,
        evaluate: Callable[[PaperModel], Row] | None = None,
    ) -> list[Row]:  # fmt: skip
        """Train ``model`` until it has had ``share`` of its operations, going on from the checkpoint called ``name``.

        A checkpoint keeps the number of steps that its first run planned. Returns what ``evaluate`` said at the ends
        of this share and of earlier ones.
        """
        path = self._models / f"{name.replace(', ', '-').replace(' ', '-')}.pt"
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=self.scale.rate, betas=(0.9, 0.98), weight_decay=0.01)
        steps = max(5, round(self.operations / self.operations_of(model, 1)))
        begin: int = 0
        curve: list[Row] = []
        if path.exists():
            saved = torch.load(path, map_location=self.device, weights_only=True)
            model.load_state_dict(saved["model"])
            optimizer.load_state_dict(saved["optimizer"])
            begin, steps, curve = saved["step"], saved["steps"], saved["curve"]
        step = begin

        def save() -> None:
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step, "steps": steps}
            torch.save(state | {"curve": curve}, path.with_suffix(".tmp"))
            path.with_suffix(".tmp").replace(path)

        saved_at = time.monotonic()
        model.train()
        while step < round(share * steps):
            torch.manual_seed(step)
            left = (steps - step) / max(1.0, COOLDOWN_SHARE * steps)
            for group in optimizer.param_groups:
                group["lr"] = self.scale.rate * min(1.0, (step + 1) / WARMUP_STEPS, left)
            with autocast(self.device):
                loss = (loss_at or self.next_token_loss)(model, step)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            step += 1
            if time.monotonic() - saved_at > CHECKPOINT_SECONDS:
                save()
                saved_at = time.monotonic()
        model.eval()
        if evaluate and (not curve or curve[-1]["step"] < step):
            reached = {"step": step, "tokens": step * self.scale.batch_tokens}
            curve.append(reached | {"operations": self.operations_of(model, step)} | evaluate(model))
        if step > begin:
            save()
        return curve

    def operations_per_second(self) -> float:
        """What training a causal transformer reaches on this machine, in the fastest of a few steps."""
        model = self.model(self.config())
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
        fastest = math.inf
        for step in range(CALIBRATION_STEPS):
            started = self.seconds()
            with autocast(self.device):
                loss = self.next_token_loss(model, step)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            fastest = min(fastest, self.seconds() - started)
        return self.operations_of(model, 1) / fastest

    def seconds(self) -> float:
        """A clock: on a CPU, the time that each of its threads has run on a processor."""
        if self.device.type == "cpu":
            return time.process_time() / torch.get_num_threads()
        torch.cuda.synchronize()
        return time.perf_counter()
