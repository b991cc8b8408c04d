"""Training: torch against integers, resuming, several processes, and what the model file keeps."""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")

from torch.nn.attention import flex_attention  # noqa: E402

from llmzip.errors import LlmzError  # noqa: E402
from llmzip.models import network  # noqa: E402
from llmzip.models import train as training  # noqa: E402
from llmzip.models.cli import main as train_command  # noqa: E402
from llmzip.models.data import BatchSampler, DeviceTokens, Domain, load_corpus, tokens_at  # noqa: E402
from llmzip.models.devices import Worker, peak_operations  # noqa: E402
from llmzip.models.export import export_model, import_model, restore_network, unpack_pairs_of_values  # noqa: E402
from llmzip.models.export import main as export_command  # noqa: E402
from llmzip.models.grow import grow, layer_sources  # noqa: E402
from llmzip.models.muon import StackedMuon  # noqa: E402
from llmzip.models.network import EncoderAugmentedDecoder, quantised_weight  # noqa: E402
from llmzip.models.train import TrainingOptions, default_options, learning_rate_factor, train  # noqa: E402
from llmzip.network.architecture import ModelConfig  # noqa: E402
from llmzip.network.model import Model  # noqa: E402
from llmzip.network.model_file import pack_pairs_of_values  # noqa: E402
from tests.conftest import TINY_PATH  # noqa: E402

OPTIONS = TrainingOptions(
    12, 4, sequences=4, length=32, warmup_steps=4, compile=False, evaluate_every=100, checkpoint_minutes=0
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    (folder / "first.txt").write_bytes(text)
    (folder / "second.txt").write_bytes(b"\0".join(text[i : i + 300] for i in range(0, 3000, 300)))
    return folder


@pytest.fixture(scope="module")
def domains(corpus: Path, tiny: Model) -> list[Domain]:
    return load_corpus(corpus, tiny.tokenizer)


def run(tiny: Model, domains: list[Domain], folder: Path, options: TrainingOptions) -> EncoderAugmentedDecoder:
    lengths = tiny.tokenizer.token_lengths
    return train(tiny.config, options, folder, domains, domains, lengths, progress=False)


def logged(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def vocabulary_of(model: Model) -> bytes:
    return model.file.read("vocabulary").tobytes()


def float_model(tiny: Model) -> EncoderAugmentedDecoder:
    network = EncoderAugmentedDecoder(tiny.config)
    network.load_state_dict(import_model(tiny))
    return network.eval()


def test_integer_model_is_within_half_a_percent_of_the_float_model(tiny: Model, text: bytes) -> None:
    tokens = tiny.tokenizer.encode(text)[:60]
    inputs = np.concatenate([[tiny.start_token], tokens[:-1]]).astype(np.int32)
    side = tiny.encode_side(tokens)
    for numbers in (None, side):
        cumulative = tiny.predictor(1, 64, numbers)(inputs[None])
        rows = np.arange(tokens.size)
        integer_bits = -np.log2((cumulative[rows, tokens + 1] - cumulative[rows, tokens]) / cumulative[:, -1]).sum()
        with torch.no_grad():
            z = None if numbers is None else torch.from_numpy(numbers[None].astype(np.float32)) / 8
            network = float_model(tiny)
            logits = network.logits(network.hidden_states(torch.from_numpy(inputs[None]).long(), z))
            losses = torch.nn.functional.cross_entropy(logits[0], torch.from_numpy(tokens).long(), reduction="sum")
        assert integer_bits == pytest.approx(float(losses) / np.log(2), rel=0.005)


def test_encoder_in_torch_reads_what_the_integer_encoder_reads(tiny: Model, text: bytes) -> None:
    tokens = tiny.tokenizer.encode(text)[:64]
    with torch.no_grad():
        numbers = float_model(tiny).encode(torch.from_numpy(tokens[None]).long())[0].numpy() * 8
    assert np.abs(tiny.encode_side(tokens) - numbers).max() <= 1.5


def test_export_of_an_import_is_the_same_network(tiny: Model) -> None:
    again = Model(export_model(float_model(tiny), vocabulary_of(tiny)))
    assert again.config == tiny.config
    assert again.file.entries.keys() == {name for name in tiny.file.entries if not name.startswith("mixing.")}
    for name in again.file.entries:
        if name == "side_frequencies":
            continue
        before = tiny.file.read(name).astype(np.int64)
        difference = np.abs(again.file.read(name) - before)
        if name in ("decoder.pairs", "decoder.triples"):
            assert not difference.any(), name
        assert difference.max(initial=0) <= max(2, 1e-6 * np.abs(before).max(initial=0)), name


def test_hashed_embeddings_are_packed_and_unpacked(tiny: Model) -> None:
    rows = np.random.default_rng(0).integers(-7, 8, (5, 6)).astype(np.int8)
    packed = pack_pairs_of_values(rows)
    assert packed.shape == (5, 3)
    assert np.array_equal(unpack_pairs_of_values(packed), rows)
    packed = tiny.file.read("decoder.triples")
    assert np.array_equal(pack_pairs_of_values(unpack_pairs_of_values(packed)), packed)


@pytest.mark.parametrize(("bits", "largest"), [(8, 127), (6, 31), (4, 7)])
def test_quantised_weights_are_multiples(bits: int, largest: int) -> None:
    weight = torch.randn(5, 40)
    rounded = quantised_weight(weight, bits)
    scale = weight.abs().amax(-1, keepdim=True) / largest
    assert torch.allclose((rounded / scale).round(), rounded / scale, atol=1e-3)
    assert (rounded - weight).abs().max() <= scale.max() / 2 + 1e-6


@pytest.mark.parametrize(("length", "window"), [(48, 20), (40, 64)])
def test_attention_in_blocks_is_attention_with_a_bias(
    length: int, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flex_attention, "_validate_device", lambda *_: None)  # it only lets GPUs compute gradients
    random = torch.Generator().manual_seed(2)
    q, k, v, slope = (torch.randn(2, 3, length, 8, generator=random, requires_grad=True) for _ in range(4))
    slopes = torch.tensor([0.5, 0.05, 0.0])
    blocks = network.window_blocks(length, window, torch.device("cpu"))
    results = [
        network.attention_with_bias(q, k, v, slopes, window),
        network.attention_in_blocks(q, k, v, slopes, blocks),
    ]
    gradients = [torch.autograd.grad((out * slope).sum(), (q, k, v)) for out in results]
    assert torch.allclose(*results, atol=1e-5)
    for one, other in zip(*gradients, strict=True):
        assert torch.allclose(one, other, atol=1e-4)


def training_step(network: EncoderAugmentedDecoder, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
    """Losses and gradients of a step with side information."""
    torch.manual_seed(5)
    losses, side_bits = network(tokens[:, :-1], tokens[:, 1:], 1)
    (losses.mean() + 0.001 * side_bits.sum()).backward()
    found = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
    return found | {"losses": losses.detach(), "side bits": side_bits.detach()}


def assert_same_step(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.allclose(value, other[name], rtol=2e-3, atol=2e-5), name


@pytest.mark.slow
def test_compiled_layers_compute_what_they_do_uncompiled(tiny: Model) -> None:
    tokens = torch.randint(0, 512, (3, 65), generator=torch.Generator().manual_seed(1))
    steps = []
    for compiled in (False, True):
        model = float_model(tiny).train()
        if compiled:
            model.compile_for(64)
        steps.append(training_step(model, tokens))
    assert_same_step(*steps)


def test_layers_with_attention_in_blocks_take_the_same_step(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flex_attention, "_validate_device", lambda *_: None)
    tokens = torch.randint(0, 512, (3, 65), generator=torch.Generator().manual_seed(1))
    steps = []
    for in_blocks in (False, True):
        model = float_model(tiny).train()
        for mixer in (*model.decoder.mixers, *model.encoder.mixers):
            if in_blocks and isinstance(mixer, network.Attention):
                mixer.blocks = network.window_blocks(64, mixer.config.window, torch.device("cpu"))
        steps.append(training_step(model, tokens))
    assert_same_step(*steps)


@pytest.mark.slow
def test_a_layer_with_attention_in_blocks_compiles(tiny: Model) -> None:
    stack = float_model(tiny).train().decoder
    mixer, mlp = stack.mixers[1], stack.mlps[1]
    x = torch.randn(2, 128, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():  # on a CPU it has no compiled gradient
        expected = network.residual_layer(mixer, mlp, x)
        mixer.blocks = network.window_blocks(128, stack.config.window, torch.device("cpu"))
        found = torch.compile(network.residual_layer, dynamic=False)(mixer, mlp, x)
    assert (found - expected).abs().max() < 0.05 * expected.abs().max()
    assert (found - expected).abs().mean() < 1e-3


@pytest.mark.parametrize("rows", [1, 7, 80, 1000])
def test_the_heads_loss_does_not_depend_on_the_rows_at_once(tiny: Model, rows: int) -> None:
    tokens = torch.randint(0, 512, (2, 41), generator=torch.Generator().manual_seed(1))
    steps = []
    for chosen in (network.HEAD_ROWS_ON_CPU, rows):
        model = float_model(tiny).train()
        model._head_rows = chosen
        steps.append(training_step(model, tokens))
    assert_same_step(*steps)


def test_loss_in_chunks_has_the_gradients_of_plain_cross_entropy(tiny: Model) -> None:
    tokens = torch.randint(0, 512, (2, 41), generator=torch.Generator().manual_seed(1))
    gradients = []
    for chunked in (True, False):
        network = float_model(tiny)
        inputs, targets = tokens[:, :-1], tokens[:, 1:]
        if chunked:
            losses, _ = network(inputs, targets)
        else:
            logits = network.logits(network.hidden_states(inputs))
            losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        losses.mean().backward()
        gradients.append({n: p.grad for n, p in network.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        assert torch.allclose(gradient, gradients[1][name], rtol=1e-3, atol=1e-5), name


def test_a_grown_network_predicts_like_the_small_one(tiny: Model, text: bytes) -> None:
    small = tiny.config
    decoder = replace(small.decoder, width=64, hidden=160, heads=4, layers=small.decoder.layers.replace("a", "ca"))
    large = replace(small, decoder=decoder, bigram_bits=11, bigram_width=32, trigram_bits=12)
    tokens = torch.from_numpy(tiny.tokenizer.encode(text)[None]).long()
    losses = []
    for config in (small, large, replace(large, weight_bits=8, bigram_weight_bits=6)):
        network = EncoderAugmentedDecoder(config)
        if config is not small:
            network.load_state_dict(grow(import_model(tiny), small, config))
        else:
            network.load_state_dict(import_model(tiny))
        with torch.no_grad():
            losses.append(float(network(tokens[:, :-1], tokens[:, 1:])[0].mean()))
    assert losses[1] == pytest.approx(losses[0], rel=0.1)
    assert losses[2] == pytest.approx(losses[0], rel=0.1)
    assert layer_sources("ca", "ccaca") == [None, None, None, 0, 1]
    with pytest.raises(ValueError, match="subsequence"):
        layer_sources("caa", "cca")


def test_training_cannot_start_from_a_model_with_another_encoder(corpus: Path, tmp_path: Path) -> None:
    for part in ("train", "valid"):
        shutil.copytree(corpus, tmp_path / "corpus" / part)
    arguments = [str(tmp_path / "corpus"), str(tmp_path / "run"), "--start-from", str(TINY_PATH), "--no-compile"]
    result = CliRunner().invoke(train_command, arguments)
    assert result.exit_code == 2
    assert f"cannot start from {TINY_PATH}: its encoder is another" in result.output.replace("\n", " ")


def test_a_network_does_not_shrink(tiny: Model) -> None:
    narrow = replace(tiny.config, decoder=replace(tiny.config.decoder, hidden=32))
    with pytest.raises(ValueError, match="larger than the network to be trained"):
        grow(import_model(tiny), tiny.config, narrow)


def test_more_rows_of_a_hashed_embedding_change_nothing_before_training(tiny: Model, text: bytes) -> None:
    small = tiny.config
    large = replace(small, bigram_bits=small.bigram_bits + 1, trigram_bits=small.trigram_bits + 2)
    state = import_model(tiny)
    tokens = torch.from_numpy(tiny.tokenizer.encode(text)[None, :300]).long()
    logits = []
    for config, weights in ((small, state), (large, grow(state, small, large))):
        network = EncoderAugmentedDecoder(config)
        network.load_state_dict(weights)
        with torch.no_grad():
            logits.append(network.logits(network.hidden_states(tokens)))
    assert torch.allclose(*logits, atol=1e-5)


def test_causal_model_does_not_see_the_future(tiny: Model) -> None:
    network = float_model(tiny)
    tokens = torch.randint(0, 512, (1, 40))
    changed = tokens.clone()
    changed[0, 25:] = torch.randint(0, 512, (15,))
    with torch.no_grad():
        a, b = network.logits(network.hidden_states(tokens)), network.logits(network.hidden_states(changed))
    assert torch.equal(a[0, :25], b[0, :25])
    assert not torch.equal(a[0, 25:], b[0, 25:])


def test_a_resumed_run_equals_an_unbroken_one(tiny: Model, domains: list[Domain], tmp_path: Path) -> None:
    options = replace(OPTIONS, evaluate_every=4)
    unbroken = run(tiny, domains, tmp_path / "a", options)
    run(tiny, domains, tmp_path / "b", replace(options, steps=8, cooldown_steps=0))
    resumed = run(tiny, domains, tmp_path / "b", options)
    for (name, a), b in zip(unbroken.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.allclose(a, b, atol=1e-6), name
    curves = [
        [(row["step"], row["bits_per_byte"]) for row in logged(tmp_path / name) if "bits_per_byte" in row]
        for name in "ab"
    ]
    assert [step for step, _ in curves[0]] == [4, 8, 12]
    assert curves[0] == curves[1]


def test_a_run_that_broke_off_logs_every_step_once(
    tiny: Model, domains: list[Domain], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Broken off after an evaluation that no checkpoint came after, and once more before the last evaluation."""
    options = replace(OPTIONS, evaluate_every=4)
    evaluate, calls = training.evaluate, itertools.count()

    def breaking(*arguments: Any) -> dict[str, Any]:
        if next(calls) in (1, 3):
            raise KeyboardInterrupt
        return evaluate(*arguments)

    monkeypatch.setattr(training, "evaluate", breaking)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run(tiny, domains, tmp_path, options)
    run(tiny, domains, tmp_path, options)
    evaluated = [row["step"] for row in logged(tmp_path) if "bits_per_byte" in row]
    assert evaluated == [4, 8, 12]
    assert training.last_evaluation(tmp_path)["step"] == 12


def test_evaluations_do_not_count_in_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(training.time, "monotonic", lambda: now[0])
    tally = training._Tally(torch.ones(4), world=1, operations_per_token=2.0, peak=1000.0)
    for seconds in (3, 5):
        now[0] += seconds
        tally.add(torch.ones(10), torch.zeros(10, dtype=torch.long))
        with tally.leaving_out():
            now[0] += 100
    row = tally.row(2)
    assert row["tokens_per_second"] == round(20 / 8)
    assert row["share_of_peak"] == round(20 / 8 * 2 / 1000, 3)


def test_training_lowers_the_loss(tiny: Model, domains: list[Domain], tmp_path: Path) -> None:
    options = replace(OPTIONS, steps=100, cooldown_steps=20, evaluate_every=5)
    run(tiny, domains, tmp_path, options)
    bits = [row["bits_per_byte"] for row in logged(tmp_path) if "bits_per_byte" in row]
    assert bits[-1] < 0.8 * bits[0]


def test_learning_rate_schedule() -> None:
    options = TrainingOptions(100, 20, warmup_steps=10)
    factors = [learning_rate_factor(step, options) for step in range(101)]
    assert factors[0] == 0.1
    assert factors[10:81] == [1.0] * 71
    assert factors[100] == 0
    assert all(a > b for a, b in itertools.pairwise(factors[80:]))


def test_learning_rate_by_the_clock_falls_to_zero() -> None:
    options = TrainingOptions(0, 0, warmup_steps=10, minutes=10, cooldown_share=0.5, rate=0.5)
    assert learning_rate_factor(4, options, 1.0) == 0.25
    assert [learning_rate_factor(99, options, minutes) for minutes in (0, 5, 7.5, 10, 11)] == [0.5, 0.5, 0.25, 0, 0]


def test_a_run_by_the_clock_ends_and_goes_on(tiny: Model, domains: list[Domain], tmp_path: Path) -> None:
    options = replace(OPTIONS, minutes=0.02, steps=0, checkpoint_minutes=1)
    run(tiny, domains, tmp_path, options)
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert saved["step"] > 0
    assert saved["minutes"] >= 0.02
    run(tiny, domains, tmp_path, options)
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] == saved["step"]
    run(tiny, domains, tmp_path, replace(options, minutes=saved["minutes"] + 0.02))
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["step"] > saved["step"]
    assert sum("bits_per_byte" in row for row in logged(tmp_path)) == 2


def test_a_run_says_how_fast_it_is(
    tiny: Model, domains: list[Domain], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "REPORT_EVERY", 3)
    run(tiny, domains, tmp_path, OPTIONS)
    rows = logged(tmp_path)
    assert rows[0]["peak_teraflops"] > 0
    speeds = [row for row in rows if "tokens_per_second" in row]
    assert [row["step"] for row in speeds] == [3, 6, 9, 12]
    assert all(row["tokens_per_second"] > 0 and 0 <= row["share_of_peak"] < 1 for row in speeds)


def test_a_loss_that_is_no_number_ends_a_run(
    tiny: Model, domains: list[Domain], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "REPORT_EVERY", 3)
    with pytest.raises(LlmzError, match="step 3: the loss is no number"):
        run(tiny, domains, tmp_path, replace(OPTIONS, embedding_rate=math.inf))


def test_batches_gathered_on_a_device_are_the_same(domains: list[Domain]) -> None:
    sampler = BatchSampler(domains, 16, 3)
    resident = DeviceTokens(sampler.domains, 16, torch.device("cpu"))
    for step in range(3):
        places = sampler.places(step, 9)
        assert np.array_equal(resident.at(places).numpy(), tokens_at(places))


@pytest.mark.parametrize("shapes", [[(8, 20), (8, 20), (30, 5)], [(16, 16)]])
def test_muon_in_stacks_is_muon(shapes: list[tuple[int, int]]) -> None:
    random = torch.Generator().manual_seed(4)
    starts = [torch.randn(shape, generator=random) for shape in shapes]
    gradients = [[torch.randn(shape, generator=random) for shape in shapes] for _ in range(4)]
    settings = {"lr": 0.05, "weight_decay": 0.1, "momentum": 0.9}
    ends = []
    for kinds in ([torch.optim.Muon] * 4, [StackedMuon] * 4, [torch.optim.Muon, StackedMuon] * 2):
        matrices = [torch.nn.Parameter(start.clone()) for start in starts]
        state = None
        for kind, step in zip(kinds, gradients, strict=True):
            optimizer = kind(matrices, **settings)
            if state is not None:
                optimizer.load_state_dict(state)
            for matrix, gradient in zip(matrices, step, strict=True):
                matrix.grad = gradient.clone()
            optimizer.step()
            state = optimizer.state_dict()
        ends.append([matrix.detach() for matrix in matrices])
    for other in ends[1:]:
        for a, b in zip(ends[0], other, strict=True):
            assert torch.allclose(a, b, atol=5e-3)


def test_options_fit_the_device() -> None:
    on_cpu, on_gpus = (default_options(Worker(0, 4, torch.device(kind))) for kind in ("cpu", "cuda"))
    assert (on_cpu.sequences, on_cpu.length, on_cpu.side_share) == (16, 512, 0.25)
    assert (on_gpus.sequences, on_gpus.length, on_gpus.side_share * 32) == (128, 2048, 2)
    assert peak_operations(torch.device("cpu")) > 1e9


def test_batches_depend_on_seed_and_step_alone(domains: list[Domain]) -> None:
    a, b = BatchSampler(domains, 16, 3), BatchSampler(domains, 16, 3)
    b.batch(4, 2)
    assert np.array_equal(a.batch(7, 5), b.batch(7, 5))
    assert not np.array_equal(a.batch(7, 5), a.batch(8, 5))


WORKER = """
import os
import sys
import time
from pathlib import Path
from llmzip.network.model import load_model
from llmzip.models.data import load_corpus
from llmzip.models.train import TrainingOptions, train
model = load_model(sys.argv[1])
domains = load_corpus(Path(sys.argv[2]), model.tokenizer)
options = TrainingOptions(
    int(sys.argv[4]), 2, sequences=4, length=32, compile=False, evaluate_every=1000, checkpoint_minutes=0,
    side_share=float(sys.argv[5]),
)
Path(sys.argv[3] + "." + os.environ["RANK"]).write_text(str(os.getpid()))
train(model.config, options, Path(sys.argv[3]), domains, domains, model.tokenizer.token_lengths, progress=False)
"""


def distributed(corpus: Path, folder: Path, workers: int, steps: int, side_share: float = 0.0) -> list[str]:
    """The command that trains in ``folder`` with so many workers, each leaving its process id beside it."""
    script = folder.parent / "worker.py"
    script.write_text(WORKER)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={workers}"]
    return [*command, str(script), TINY_PATH, str(corpus), str(folder), str(steps), str(side_share)]


def assert_same_weights(one: Path, other: Path) -> None:
    weights = [torch.load(folder / "checkpoint.pt", weights_only=True)["model"] for folder in (one, other)]
    for name, value in weights[0].items():
        assert torch.allclose(value, weights[1][name], atol=2e-3), name


@pytest.mark.slow
def test_two_processes_train_like_one(corpus: Path, tmp_path: Path) -> None:
    for workers in (1, 2):
        subprocess.run(distributed(corpus, tmp_path / str(workers), workers, 4), check=True, timeout=300)
    assert_same_weights(tmp_path / "1", tmp_path / "2")


@pytest.mark.slow
def test_workers_with_too_few_sequences_for_side_information_train_without_it(corpus: Path, tmp_path: Path) -> None:
    subprocess.run(distributed(corpus, tmp_path / "run", 2, 4, side_share=0.1), check=True, timeout=300)


@pytest.mark.slow
def test_a_run_whose_worker_is_killed_goes_on_with_another_number_of_workers(corpus: Path, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    broken = subprocess.Popen(distributed(corpus, folder, 2, 100_000), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while not (folder / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(int((tmp_path / "killed.1").read_text()), signal.SIGKILL)
    assert broken.wait(timeout=200) != 0
    reached = torch.load(folder / "checkpoint.pt", weights_only=True)["step"]
    assert reached > 0
    subprocess.run(distributed(corpus, folder, 1, reached + 4), check=True, timeout=200)
    subprocess.run(distributed(corpus, tmp_path / "unbroken", 1, reached + 4), check=True, timeout=200)
    assert_same_weights(folder, tmp_path / "unbroken")


def test_model_config_survives_json(tiny: Model) -> None:
    assert ModelConfig.from_json(tiny.config.to_json()) == tiny.config


@pytest.mark.slow
def test_mean_of_two_checkpoints(tiny: Model, tmp_path: Path) -> None:
    weights = import_model(tiny)
    for i, factor in enumerate((0.5, 1.5)):
        scaled = {name: factor * value for name, value in weights.items()}
        torch.save({"model": scaled, "config": tiny.config.to_json(), "step": i}, tmp_path / f"{i}.pt")
    command = [str(tmp_path / "0.pt"), str(tmp_path / "1.pt"), str(tmp_path / "mean"), "--vocabulary-of", TINY_PATH]
    result = CliRunner().invoke(export_command, command, catch_exceptions=False)
    assert "step 0, 1" in result.output
    assert (tmp_path / "mean").read_bytes() == export_model(restore_network(tiny), vocabulary_of(tiny))


@pytest.mark.parametrize(
    "options", [("--layers", "c"), pytest.param(("--start-from", "shipped"), marks=pytest.mark.slow)], ids=" ".join
)
def test_train_and_export_commands(options: tuple[str, str], corpus: Path, tmp_path: Path) -> None:
    """From a folder of text to a model file that compresses."""
    from llmzip.network.model import load_model
    from llmzip.settings import ReadSettings, Settings
    from llmzip.streams import compress, decompress

    (tmp_path / "corpus").mkdir()
    for split in ("train", "valid"):
        (tmp_path / "corpus" / split).symlink_to(corpus)
    run_folder = tmp_path / "run"
    short = ["--steps", "2", "--cooldown-steps", "1", "--sequences", "2", "--length", "32", "--no-compile"]
    command = [sys.executable, "-m", "llmzip", "train", str(tmp_path / "corpus"), str(run_folder)]
    subprocess.run([*command, *short, *options], check=True, timeout=600)
    exported = tmp_path / "exported.llmzmodel"
    command = [sys.executable, "-m", "llmzip.models.export", str(run_folder / "checkpoint.pt"), str(exported)]
    subprocess.run(command, check=True, timeout=300)
    assert exported.read_bytes() == (run_folder / "model.llmzmodel").read_bytes()
    data = (corpus / "first.txt").read_bytes()[:1000]
    settings = Settings(model=str(exported))
    packed = compress(data, settings)
    assert packed[6:10] == load_model(str(exported)).fingerprint[:4] != load_model().fingerprint[:4]
    assert decompress(packed, ReadSettings(model=str(exported))) == data
