"""Every study of the paper's claims, run small on the project's own documents and source."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("torch")

import torch

from llmzip.benchmarks import (
    distillation,
    entropy_checks,
    generalisation,
    paper,
    paper_memory,
    paper_numbers,
    paper_study,
    related,
    results,
    scaling,
    side_information,
    weight_bits,
)
from llmzip.models.paper_models import PaperConfig, PaperModel
from llmzip.network.model import load_model
from tests.conftest import TINY_PATH

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("studied")
    documents = b"\0".join(path.read_bytes() for path in sorted((ROOT / "docs").glob("*.md")))
    source = b"\0".join(path.read_bytes() for path in sorted((ROOT / "compressor").rglob("*.py")))
    for split, texts in (
        ("train", {"books": documents, "english": source[:120_000], "c": source[:60_000]}),
        ("valid", {"books": source[120_000:150_000], "english": documents[:30_000], "c": source[:30_000]}),
    ):
        (folder / split).mkdir()
        for name, text in texts.items():
            (folder / split / f"{name}.txt").write_bytes(text)
    (folder / "valid" / "logs.txt").write_bytes(source[-30_000:])
    return folder


def test_known_sources_have_the_entropy_they_claim() -> None:
    for source in entropy_checks.SOURCES.values():
        tokens, bits, entropies = source(20_000, 5)
        assert bits.mean() == pytest.approx(entropies.mean(), rel=0.03)
        assert 0 <= tokens.min() <= tokens.max() < entropy_checks.SYMBOLS
    tokens, bits, _ = entropy_checks.markov_chain(60_000, 5)
    pairs = np.zeros((entropy_checks.SYMBOLS,) * 2)
    np.add.at(pairs, (tokens[:-1], tokens[1:]), 1)
    rows = pairs / pairs.sum(1, keepdims=True)
    counted = -(pairs[pairs > 0] * np.log2(rows[pairs > 0])).sum() / pairs.sum()
    assert counted == pytest.approx(bits.mean(), rel=0.02)


@pytest.mark.slow
def test_trained_estimators_find_the_entropy_of_a_known_source(tmp_path: Path) -> None:
    training, _, _ = entropy_checks.markov_chain(100_000, 10)
    tokens, bits, entropies = entropy_checks.markov_chain(1500, 11)
    model = entropy_checks.train_on(training, 250, tmp_path)
    found = entropy_checks.all_estimates(model, training, tokens)
    assert found["surprisal"].mean() == pytest.approx(bits.mean(), rel=0.1)
    assert np.corrcoef(found["surprisal"], bits)[0, 1] > 0.9
    assert found["regression"].mean() == pytest.approx(bits.mean(), rel=0.1)
    assert np.corrcoef(found["regression"], entropies)[0, 1] > 0.8
    assert all(values.shape == bits.shape and np.isfinite(values).all() for values in found.values())


@pytest.mark.slow
def test_smallest_embeddings_of_repeated_and_random_bytes() -> None:
    found, left = entropy_checks.smallest_embedding(b"a" * 8000, 60)
    assert found == 1
    assert left[0] < 0.1
    found, left = entropy_checks.smallest_embedding(np.random.default_rng(0).bytes(8000), 60)
    assert found is None
    assert left[0] == pytest.approx(8, abs=1)


@pytest.mark.slow
@pytest.mark.parametrize("part", paper.PARTS)
def test_every_part_of_the_paper_runs_and_goes_on(
    part: str, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = replace(paper_study.ON_CPU, width=32, layers=2, heads=4, encoder_width=32, batch_tokens=2048, windows=2)
    monkeypatch.setattr(paper_study, "ON_CPU", small)
    for module in (paper_study, paper_numbers):
        monkeypatch.setattr(module, "load_model", lambda: load_model(TINY_PATH))
    command = [str(corpus), str(tmp_path), "--minutes", "0.02", "--only", part]
    outputs = []
    for _ in range(2):
        result = CliRunner().invoke(paper.main, command, catch_exceptions=False)
        assert result.exit_code == 0
        outputs.append(result.output)
    assert "operations for each of" in outputs[0]
    assert "operations for each of" not in outputs[1]
    found = json.loads((tmp_path / "paper.json").read_text())["parts"][part]
    assert all(len(row) == len(found["head"]) for row in found["rows"])
    assert not any("nan" in cell for row in found["rows"] for cell in row)


def test_copies_are_noise_where_they_say_so() -> None:
    tokens = torch.arange(60).view(2, 30)
    inputs, targets, noisy = paper_memory.copies(tokens, 1000, 3)
    whole = torch.cat([inputs[:, :1], targets], 1)
    copied = torch.cat([torch.zeros(2, 1, dtype=torch.bool), ~noisy], 1)
    assert torch.equal(whole[:, :30], tokens)
    assert torch.equal(whole[:, 30:][copied[:, 30:]], tokens[copied[:, 30:]])
    assert 0.3 < noisy[:, 29:].float().mean() < 0.7
    assert not noisy[:, :29].any()
    assert (inputs[:, 30:] != targets[:, 29:-1])[noisy[:, 29:-1]].float().mean() > 0.9


def test_words_are_told_by_their_letters() -> None:
    spelt = [b" the", b"n", b"ext", b" ", b"1", b".", b"A"]
    parts = paper_numbers.parts_of_words(np.array([0, 1, 2, 2, 3, 1, 4, 2, 5, 6, 0]), spelt)
    assert parts.tolist() == [2, 3, 3, 0, 1, 0, 1, 0, 1, 1]


def test_documents_lie_behind_their_padding() -> None:
    rows, real = paper_numbers.windows_of_documents([np.array([5, 6, 7]), np.arange(9)], 4, 0)
    assert rows.tolist() == [[0, 0, 5, 6, 7], [0, 1, 2, 3, 4]]
    assert real.tolist() == [[False, False, True, True], [True] * 4]


def test_exact_entropies_add_up(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = PaperConfig(40, context=12, width=16, layers=1, heads=2, encoder="mixer", encoder_width=16)
    model = PaperModel(config).eval()
    torch.nn.init.normal_(model.head.weight)
    tokens = torch.randint(1, 40, (12,))
    bits = paper_numbers.exact_entropies(model, tokens, 0, 12)
    inputs = torch.cat([torch.zeros(1, dtype=torch.long), tokens[:-1]])[None]
    numbers = paper_numbers.encoded(model, tokens[None])
    whole = paper_numbers.token_losses(model, inputs, tokens[None], numbers)
    assert bits.sum() == pytest.approx(float(whole.sum()) / math.log(2), rel=1e-4)


def test_eight_bits_round_more_than_sixteen_and_less_than_four() -> None:
    numbers = torch.randn(30, 16, generator=torch.Generator().manual_seed(1))
    errors = [
        float((paper_numbers.ROUNDINGS[name](numbers) - numbers).abs().mean())
        for name in ("float16", "int8", "int4", "no bits at all")
    ]
    assert errors == sorted(errors)
    assert 8 < errors[2] / errors[1] < 32


@pytest.mark.slow
def test_generalisation_study(corpus: Path, tmp_path: Path) -> None:
    command = [str(corpus), str(tmp_path), "--tokens", "3000", "--steps", "20", "--seeds", "1"]
    result = CliRunner().invoke(generalisation.main, command, catch_exceptions=False)
    assert result.exit_code == 0
    curves = json.loads((tmp_path / "curves.json").read_text())["curves"]
    plain = curves["cross-entropy"][0]
    assert plain[-1]["training"] < plain[0]["training"]
    assert len(curves) == 6


@pytest.mark.slow
def test_related_measures(corpus: Path) -> None:
    result = CliRunner().invoke(
        related.main, [str(corpus), "--steps", "24", "--sequences", "2"], catch_exceptions=False
    )
    assert result.exit_code == 0
    for part in (
        "unigram bias, with",
        "early curve",
        "synthetic share",
        "flatness, batch 4",
        "rank correlation",
        "bound:",
    ):
        assert part in result.output


@pytest.mark.slow
def test_side_information_study(corpus: Path) -> None:
    options = ["--model", TINY_PATH, "--sizes", "1000", "--domains", "books,c", "--steps", "4", "--mixed"]
    result = CliRunner().invoke(side_information.main, [str(corpus), *options], catch_exceptions=False)
    assert result.exit_code == 0
    assert "| books | 1000 |" in result.output


def test_weight_bits_study(corpus: Path) -> None:
    result = CliRunner().invoke(weight_bits.main, [str(corpus / "valid"), "--model", TINY_PATH], catch_exceptions=False)
    assert result.exit_code == 0
    lines = [line.replace(":", ",").split(",") for line in result.output.splitlines() if "bits per byte" in line]
    figures = {(line[0], line[1].split()[-1]): [float(part.split()[0]) for part in line[2:]] for line in lines}
    own, four_bits = next(iter(figures.values())), next(v for key, v in figures.items() if key[0] == "4 bits")
    assert own[0] < four_bits[0] < own[0] + 2
    assert four_bits[1] < own[1]


def test_distillation_study(corpus: Path) -> None:
    options = ["--teacher", TINY_PATH, "--shape", "32:c", "--budget", "1e11"]
    result = CliRunner().invoke(distillation.main, [str(corpus), *options], catch_exceptions=False)
    assert result.exit_code == 0
    rows = [line.split("|")[1:5] for line in result.output.splitlines() if line.startswith("| 0") or "| 1 |" in line]
    assert [float(row[0]) for row in rows] == [0, 0.5, 1, 0]
    assert int(rows[3][1].replace(",", "")) > int(rows[0][1].replace(",", ""))


def test_distilled_loss_is_the_mean_of_both() -> None:
    logits, taught, targets = torch.randn(5, 7), torch.randn(5, 7), torch.randint(7, (5,))
    plain = torch.nn.functional.cross_entropy(logits, targets)
    assert distillation.distilled_loss(logits, targets, None, 0.0) == pytest.approx(float(plain))
    certain = torch.nn.functional.one_hot(targets, 7) * 100.0
    assert distillation.distilled_loss(logits, targets, certain, 1.0) == pytest.approx(float(plain), rel=1e-5)
    half = distillation.distilled_loss(logits, targets, taught, 0.5)
    whole = distillation.distilled_loss(logits, targets, taught, 1.0)
    assert half == pytest.approx(float((plain + whole) / 2), rel=1e-5)


@pytest.mark.parametrize("shape", [*scaling.SHAPES, "32:c", "64:ca"])
def test_shapes_of_the_scaling_law_are_models(shape: str) -> None:
    scaling.shaped(shape).check()


@pytest.mark.slow
def test_scaling_study(corpus: Path, tmp_path: Path) -> None:
    arguments = ["train", str(corpus), str(tmp_path), "--shapes", "32:c,64:ca", "--budget", "1e11"]
    result = CliRunner().invoke(scaling.main, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert len(json.loads((tmp_path / "scaling.json").read_text())["runs"]) == 6
    assert load_model(str(tmp_path / "64-ca-1e+11" / "model.llmzmodel")).config.decoder.layers == "ca"


def test_laws_go_through_what_follows_one() -> None:
    def bits(operations: float) -> float:
        return 0.9 + 2000 * operations**-0.24

    runs = [
        {"shape": shape, "operations": operations, "bits_per_byte": worse + bits(operations)}
        for operations in (2.5e12, 5e12, 1e13) for shape, worse in (("128:ccca", 0.0), ("256:ccca", 0.3))
    ]  # fmt: skip
    large = [
        {"operations": operations, "operations_on_measured_domains": operations, "bits_per_byte": bits(operations)}
        for operations in (2.5e16, 1.7e17)
    ]
    for law in scaling.laws(runs, large)[1:]:
        assert law["largest_error"] < 1e-3
        assert law["foretold"]["1000"] == pytest.approx(bits(1.7e20), rel=5e-3)


def test_laws_are_kept_in_the_result_file(tmp_path: Path) -> None:
    (tmp_path / "scaling.json").write_bytes((results.RESULTS / "scaling.json").read_bytes())
    output = CliRunner().invoke(scaling.main, ["fit", "--results", str(tmp_path)], catch_exceptions=False)
    assert output.exit_code == 0
    kept, again = (json.loads((folder / "scaling.json").read_text()) for folder in (results.RESULTS, tmp_path))
    for one, other in zip(kept["laws"], again["laws"], strict=True):
        assert one["foretold"] == pytest.approx(other["foretold"], rel=1e-3)
