from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from llmzip.benchmarks import layouts
from llmzip.benchmarks.bench import CAUSAL_TRANSFORMER, main
from llmzip.benchmarks.peers import library_peers
from llmzip.network.model import load_model
from tests.conftest import GOLDEN


@pytest.mark.parametrize("peer", library_peers(), ids=lambda p: p.name)
def test_peers_restore(peer, text: bytes) -> None:  # type: ignore[no-untyped-def]
    for data in (b"", b"a", text):
        assert peer.decompress(peer.compress(data)) == data


def test_bench_writes_table_json_and_plot(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "some.txt"
    file.write_bytes(text)
    arguments = [str(file), "--first", "2000", "--levels", "1,6"]
    result = CliRunner().invoke(main, [*arguments, "--json", f"{tmp_path}/r.json", "--plot", f"{tmp_path}/p.png"])
    assert result.exit_code == 0, result.output
    assert "llmzip -6" in result.output
    report = json.loads((tmp_path / "r.json").read_text())
    rows = {row["compressor"]: row for row in report["results"][0]["rows"]}
    assert all(row["restored"] for row in rows.values())
    assert rows["llmzip -6"]["bytes"] < rows["xz -9e"]["bytes"]
    assert rows["llmzip -6"]["bytes"] < rows["causal transformer"]["bytes"]
    assert report["machine"]["cores"] >= 1
    assert (tmp_path / "p.png").read_bytes()[:4] == b"\x89PNG"


def test_the_causal_transformer_is_one() -> None:
    config = load_model(str(CAUSAL_TRANSFORMER)).config
    assert set(config.decoder.layers) == {"a"}
    assert config.vocabulary == load_model().config.vocabulary


def test_enwik8_is_checked_first(tmp_path: Path) -> None:
    wrong = tmp_path / "enwik8"
    wrong.write_bytes(b"not it")
    result = CliRunner().invoke(main, ["--enwik8", str(wrong)])
    assert result.exit_code == 1
    assert "enwik8 has 100000000" in result.output


def test_layouts_show_what_line_ends_cost() -> None:
    result = CliRunner().invoke(layouts.main, [str(GOLDEN / name) for name in ("broken.txt", "plain.txt")])
    assert result.exit_code == 0, result.output
    broken, plain = ([cell.strip() for cell in line.split("|")] for line in result.output.splitlines()[-2:])
    assert "width 36" in broken[4]
    assert min(int(broken[5]), int(broken[6])) < int(broken[3])
    assert plain[4] == "kept"
