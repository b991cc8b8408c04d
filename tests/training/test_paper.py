"""The paper's architectures, accounting, estimators, objectives and measures, on small real inputs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")

from llmzip.cli.commands import main  # noqa: E402
from llmzip.cli.options import ENCODER_ESTIMATORS  # noqa: E402
from llmzip.errors import LlmzError  # noqa: E402
from llmzip.estimates import entropy, second_order_model  # noqa: E402
from llmzip.models import estimators, measures, objectives  # noqa: E402
from llmzip.models.data import BatchSampler, Domain, estimates_at  # noqa: E402
from llmzip.models.export import restore_network  # noqa: E402
from llmzip.models.network import HeadCrossEntropy  # noqa: E402
from llmzip.models.paper_models import MaskedMixing, PaperConfig, PaperModel, round_numbers  # noqa: E402
from llmzip.models.regress_entropy import fit, training_rows  # noqa: E402
from llmzip.models.train import TrainingOptions, train  # noqa: E402
from llmzip.network.model import Model  # noqa: E402
from tests.conftest import GOLDEN, TINY_PATH  # noqa: E402

SMALL = PaperConfig(64, context=24, width=32, layers=2, heads=2, encoder_width=16, encoder_layers=1, side_numbers=8)


def sequences(count: int = 6, length: int = 24, vocabulary: int = 64) -> torch.Tensor:
    """Sequences that count upwards by a step of their own: learnable, and told apart by one number."""
    random = np.random.default_rng(0)
    rows = [(s + d * np.arange(length + 1)) % vocabulary for s, d in random.integers(1, 8, (count, 2))]
    return torch.from_numpy(np.stack(rows))


VARIANTS = {
    "plain": SMALL,
    "mixer": replace(SMALL, decoder="mixer", heads=1, encoder="mixer"),
    "heads and kernel": replace(SMALL, decoder="mixer", encoder="mixer", encoder_heads=4, kernel=4),
    "token": replace(SMALL, encoder="transformer", injection="token"),
    "concatenation": replace(SMALL, encoder="mixer", injection="concatenation"),
    "hybrid": replace(SMALL, decoder="hybrid", layers=4, encoder="transformer", noise="residual"),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_architecture_learns_and_is_causal(name: str) -> None:
    torch.manual_seed(0)
    model = PaperModel(VARIANTS[name])
    batch = sequences()
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    losses = []
    for _ in range(30):
        loss = model(batch[:, :-1], batch[:, 1:]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[0] == pytest.approx(math.log(64), rel=0.01)
    assert losses[-1] < 0.6 * losses[0]
    assert all(p.grad is not None for p in model.parameters())
    model.eval()
    side = None if model.config.encoder == "none" else model.encode(batch[:, 1:])
    changed = batch[:, :-1].clone()
    changed[:, 12:] = 0
    with torch.no_grad():
        before, after = (model.hidden_states(tokens, side)[:, :12] for tokens in (batch[:, :-1], changed))
    assert torch.allclose(before, after, atol=1e-5)


def test_numbers_reach_the_decoder_in_each_way() -> None:
    for injection in ("token", "concatenation", "combination"):
        model = PaperModel(replace(SMALL, encoder="transformer", injection=injection)).eval()
        tokens = sequences()[:, :-1]
        with torch.no_grad():
            one, other = (model.hidden_states(tokens, torch.full((6, 8), value)) for value in (0.0, 2.0))
        assert not torch.allclose(one, other, atol=1e-2)


def test_masked_mixing_is_the_triangular_product() -> None:
    layer = MaskedMixing(5, 4, 1, 1)
    x = torch.randn(2, 5, 4)
    expected = torch.stack([layer.weight[0, 0].tril() @ row for row in x])
    assert torch.allclose(layer(x), expected, atol=1e-6)


def test_numbers_rounded_to_more_bits_are_nearer() -> None:
    numbers = torch.randn(50, 8)
    largest = numbers.abs().amax(0)
    errors = [float((round_numbers(numbers, largest, bits) - numbers).abs().mean()) for bits in (2, 4, 8)]
    assert errors[0] > 3 * errors[1] > 9 * errors[2]
    assert len(torch.unique(round_numbers(numbers, largest, 2)[:, 0])) <= 4


def test_accounting_of_the_paper() -> None:
    assert measures.normalised_loss(2.0, 64, 8, 1024) - 2.0 == pytest.approx(0.3466, abs=1e-4)
    assert measures.bits_per_byte(0.0, 64, 4, 512, 2.5) == pytest.approx(64 * 4 / 512 / 2.5)


def test_unknown_choices_are_refused() -> None:
    with pytest.raises(ValueError, match="injection must be one of"):
        PaperConfig(64, injection="elsewhere")


# Estimators


def test_estimators_agree_with_their_definitions(tiny: Model, text: bytes) -> None:
    network = restore_network(tiny)
    tokens = tiny.tokenizer.encode(text)[:120]
    plain = estimators.surprisal(network, tokens, tiny.start_token, 200, aided=False)
    assert plain.sum() == pytest.approx(entropy(tiny.tokenizer.decode(tokens), tiny).surprisal.sum(), rel=0.02)
    shifted = estimators.shift_difference(network, tokens, tiny.start_token, 40)
    assert shifted.shape == plain.shape
    assert np.corrcoef(shifted[:40], estimators.surprisal(network, tokens, tiny.start_token, 40, aided=True)[:40])[
        0, 1
    ] == pytest.approx(1)
    for distance in ("l1", "cosine"):
        moved = estimators.occlusion(network, tokens, tiny.start_token, 60, distance)
        assert moved.min() == 0
        assert moved.max() == 1
    attributed = estimators.gradient_times_input(network, tokens, tiny.start_token, 60)
    assert attributed.max() == 1


def test_directional_derivative_is_that_of_finite_differences() -> None:
    torch.manual_seed(0)
    model = PaperModel(replace(SMALL, decoder="mixer", heads=1, encoder="mixer")).eval()
    torch.nn.init.normal_(model.head.weight, std=0.5)
    tokens = sequences(1)[0, 1:].numpy()
    ((_, inputs, targets),) = estimators.windows(tokens, 0, 24)
    side = model.encode(targets).detach()
    with torch.no_grad():
        up, down = (estimators._losses(model, inputs, targets, side * scale) for scale in (1.001, 0.999))
    expected = estimators.min_max_normalised(((up - down) / 0.002).abs()[0].double().numpy())
    found = estimators.gradient_times_input(model, tokens, 0, 24)
    assert found == pytest.approx(expected, abs=0.02)


def test_second_order_model_finds_what_decides_the_bits(tiny: Model) -> None:
    random = np.random.default_rng(5)
    states = random.normal(size=(4000, 16)).astype(np.float32)
    bits = np.abs(states[:, 0] * 2) + 3 + random.normal(size=4000) * 0.1
    fitted = fit(states, bits)
    assert np.corrcoef(fitted(states), bits)[0, 1] > 0.95


def test_second_order_model_travels_in_the_model_file(tiny: Model, text: bytes, tmp_path: Path) -> None:
    tokens = tiny.tokenizer.encode(text)
    domain = Domain.of_tokens("text", tokens, len(text))
    states, bits = training_rows(restore_network(tiny), [domain], tiny.start_token, 64, 8)
    model = Model(tiny.file.with_extras("regression", fit(states, bits, steps=300)._asdict()))
    estimates = entropy(text, model, regress=True)
    assert estimates.regression is not None
    assert np.corrcoef(estimates.regression, entropy(text, tiny).surprisal)[0, 1] > 0.2
    path = tmp_path / "regression.llmzmodel"
    path.write_bytes(tiny.file.with_extras("regression", fit(states, bits, steps=10)._asdict()))
    source = tmp_path / "a.txt"
    source.write_bytes(text[:2000])
    for name, file in (("regression", str(path)), *((name, TINY_PATH) for name in ENCODER_ESTIMATORS)):
        outputs = ["--csv", str(tmp_path / "a.csv"), "--html", str(tmp_path / "a.html")]
        command = ["entropy", str(source), "--json", "--estimator", name, "--model", file, *outputs]
        result = CliRunner().invoke(main, command)
        assert result.exit_code == 0, result.output
        assert f"{name}_per_token" in json.loads(result.stdout)
        assert (tmp_path / "a.csv").read_text().startswith(f"offset,length,surprisal,entropy,{name}\n")
        assert name.capitalize() in (tmp_path / "a.html").read_text(encoding="utf-8")
    refused = CliRunner().invoke(main, ["entropy", str(source), "--estimator", "regression", "--model", TINY_PATH])
    assert refused.exit_code == 1


def test_a_second_order_model_of_another_shape_is_refused(tiny: Model) -> None:
    fitted = fit(np.zeros((600, 16), np.float32), np.zeros(600), steps=1)
    with pytest.raises(LlmzError, match="does not fit"):
        second_order_model(Model(tiny.file.with_extras("regression", fitted._asdict())))
    with pytest.raises(LlmzError, match="no second-order model"):
        second_order_model(tiny)


def test_shipped_model_regresses_entropy(shipped: Model) -> None:
    natural = (GOLDEN / "plain.txt").read_bytes()
    known = entropy(natural, shipped, regress=True)
    assert known.regression is not None
    assert np.corrcoef(known.regression, known.entropy)[0, 1] > 0.6
    assert known.regression.mean() == pytest.approx(known.entropy.mean(), rel=0.3)


# Objectives


@pytest.mark.parametrize("objective", objectives.OBJECTIVES)
def test_gradients_of_each_objective(objective: str) -> None:
    torch.manual_seed(0)
    states, weight, bias = torch.randn(12, 8), torch.randn(20, 8), torch.randn(20)
    targets, estimates = torch.randint(20, (12,)), 3 * torch.rand(12)
    leaf = states.clone().requires_grad_()
    losses = HeadCrossEntropy.apply(leaf, weight, bias, targets, 12, False, estimates, objective)
    losses.mean().backward()
    twin = states.clone().requires_grad_()
    logits = twin @ weight.T + bias
    plain = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    predicted = torch.distributions.Categorical(logits=logits.detach()).entropy()
    share = estimates / math.log(20)
    expected = {
        "cross-entropy": plain,
        "weighted": (1 - share.clamp(0, 1)) * plain,
        "distance": (plain - estimates).abs(),
        "threshold": plain * (share <= objectives.DROPPED_ABOVE),
        "mile": (1 + predicted) * plain / (1 + predicted).mean(),
    }[objective]
    expected.mean().backward()
    assert torch.allclose(losses, plain.detach(), atol=1e-5)
    assert torch.allclose(leaf.grad, twin.grad, atol=1e-5)


def test_estimates_go_with_their_tokens_and_are_kept(tiny: Model, text: bytes, tmp_path: Path) -> None:
    tokens = tiny.tokenizer.encode(text)
    domains = [Domain.of_tokens("text", tokens, len(text))]
    network = restore_network(tiny)
    found = estimators.corpus_estimates(network, "tiny", domains, tiny.start_token, 64, tmp_path)
    bits = estimators.surprisal(network, tokens, tiny.start_token, 64, aided=True)
    assert found["text"].astype(float) == pytest.approx(bits * math.log(2), rel=2e-3, abs=1e-3)
    sampler = BatchSampler(domains, 32, 1)
    ids = {"text": tokens.astype(np.float16)}
    rows = estimates_at(sampler.places(0, 4), ids)
    targets = sampler.batch(0, 4)[:, 1:]
    assert np.array_equal(rows.astype(int), targets)
    again = estimators.corpus_estimates(network, "tiny", domains, tiny.start_token, 64, tmp_path)
    assert np.array_equal(again["text"], found["text"])


@pytest.mark.parametrize("objective", objectives.OBJECTIVES)
def test_training_with_each_objective(objective: str, tiny: Model, text: bytes, tmp_path: Path) -> None:
    tokens = tiny.tokenizer.encode(text)
    domains = [Domain.of_tokens("text", tokens, len(text))]
    options = TrainingOptions(
        30, 10, sequences=4, length=32, warmup_steps=4, compile=False, evaluate_every=5, objective=objective
    )
    known = {"text": np.full(tokens.size, 2.0, np.float16)} if objectives.needs_estimates(objective) else None
    lengths = tiny.tokenizer.token_lengths
    train(tiny.config, options, tmp_path, domains, domains, lengths, progress=False, estimates=known)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [row["bits_per_byte"] for row in rows if "bits_per_byte" in row]
    assert losses[-1] < losses[0]
    if known:
        with pytest.raises(ValueError, match="needs entropy estimates"):
            train(tiny.config, options, tmp_path / "none", domains, domains, lengths, progress=False)


# Measures


def test_hidden_state_entropy_counts_directions() -> None:
    class Project(torch.nn.Module):
        def __init__(self, kept: int) -> None:
            super().__init__()
            self.kept = kept

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * (torch.arange(16) < self.kept)

    torch.manual_seed(0)
    blocks = torch.nn.ModuleList([Project(16), Project(4), Project(1)])
    x = torch.randn(4000, 16)
    found = measures.hidden_state_entropies(blocks, lambda: [block(x) for block in blocks])
    assert found == pytest.approx([4, 2, 0], abs=0.02)


def test_generalisation_bound_falls_with_data_and_rises_with_size() -> None:
    bound = measures.generalisation_bound(3.0, 1_000_000, 10**8, 8192, 0.1)
    assert 3.0 < measures.generalisation_bound(3.0, 1_000_000, 10**10, 8192, 0.1) < bound
    assert measures.generalisation_bound(3.0, 2_000_000, 10**8, 8192, 0.1) > bound
    smoothed = measures.smoothed_bits(np.array([0.0, 40.0]), 8192, 0.1)
    assert smoothed[1] == pytest.approx(math.log2(8192 / 0.1), rel=0.01)


def test_power_law_is_found_and_extrapolates() -> None:
    steps = np.array([100.0, 200, 400, 800, 1600])
    floor, scale, exponent = measures.fit_power_law(steps, 2.0 + 8 * steps**-0.4)
    assert floor + scale * 100_000.0**-exponent == pytest.approx(2.0 + 8 * 100_000.0**-0.4, rel=0.01)
    with pytest.raises(ValueError, match="four points"):
        measures.fit_power_law(steps[:3], steps[:3])


def test_hessian_trace_of_a_quadratic() -> None:
    point = torch.ones(5, requires_grad=True)
    curvature = torch.arange(1.0, 6.0)
    assert measures.hessian_trace(lambda: (curvature * point**2).sum() / 2, [point], 4) == pytest.approx(15)
