"""Calibration: factors that new text bears out, in the multipliers of rows alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

torch = pytest.importorskip("torch")

from llmzip.models.calibrate import SCALED, STEP, calibrate, main, mean_log_bits  # noqa: E402
from llmzip.models.data import Domain, load_corpus  # noqa: E402
from llmzip.models.export import restore_network  # noqa: E402
from llmzip.network.model import Model  # noqa: E402
from tests.conftest import TINY_PATH  # noqa: E402


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> Path:
    folder = tmp_path_factory.mktemp("valid")
    (folder / "first.txt").write_bytes(text)
    (folder / "second.txt").write_bytes(text[::-1])
    return folder


def test_a_head_too_sure_of_itself_is_scaled_back(tiny: Model, corpus: Path) -> None:
    network = restore_network(tiny)
    domains: list[Domain] = load_corpus(corpus, tiny.tokenizer)
    lengths = torch.from_numpy(tiny.tokenizer.token_lengths).float()
    losses: list[float] = []

    def loss() -> float:
        losses.append(mean_log_bits(network, domains, lengths, 2))
        return losses[-1]

    calibrate(network, loss, lambda *_: None)
    settled = loss()
    assert settled == min(losses)
    network.head.weight.data *= 2
    factors = calibrate(network, loss, lambda *_: None)
    assert factors["head.weight"] < STEP
    assert loss() == min(losses[-10:])


def test_only_multipliers_of_rows_change(tiny: Model, corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "calibrated.llmzmodel"
    done = CliRunner().invoke(main, [str(TINY_PATH), str(corpus), str(out), "--windows", "1"], catch_exceptions=False)
    assert done.exit_code == 0
    assert all(name in done.output for name in SCALED)
    calibrated = Model(out.read_bytes())
    for name in ("decoder.embedding", "head_weight", "decoder.in_weight"):
        assert np.array_equal(calibrated.file.read(name), tiny.file.read(name))
