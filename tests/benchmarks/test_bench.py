"""``llmzip bench``: measuring, its table, its result file and its page."""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from llmzip.benchmarks import bench, bench_page
from llmzip.benchmarks.measured import Failed, measure
from llmzip.benchmarks.peers import (
    CAUSAL,
    CAUSAL_TRANSFORMER,
    NoSuchPeer,
    Peer,
    library_peers,
    peer_named,
    program_peers,
)
from llmzip.benchmarks.plots import Point, size_against_speed
from llmzip.network.model import load_model


@pytest.mark.parametrize("peer", library_peers() + program_peers(), ids=lambda peer: peer.name)
def test_peers_restore(peer: Peer, text: bytes) -> None:
    for data in (b"a", text[:2000]):
        assert peer.decompress(peer.compress(data)) == data
    assert re.search(r"\d", peer.version())


def test_peers_are_found_by_name_and_by_first_word() -> None:
    assert peer_named("xz").name == peer_named("xz -9e").name == "xz -9e"
    assert peer_named("zstd").name == "zstd -22"
    assert peer_named("llmzip -3").name == "llmzip -3"
    with pytest.raises(NoSuchPeer, match="there are gzip -9"):
        peer_named("winzip")


def test_time_and_memory_are_those_of_the_compressor(tmp_path: Path) -> None:
    ballast = bytearray(150 << 20)
    ballast[::4096] = bytes([1]) * len(ballast[::4096])
    measured = measure(peer_named("gzip"), b"some text\n" * 1000)
    assert measured.restored
    assert measured.bytes < 200
    assert 0 < measured.mib_in < 100, "this process's memory is counted too"
    assert 0 < measured.seconds_in < 10


def test_a_compressor_that_fails_says_so() -> None:
    def command(source: Path, target: Path) -> list[str]:
        return [sys.executable, "-c", "raise SystemExit('out of luck')"]

    broken = Peer("broken", bytes, bytes, str, (command, command))
    with pytest.raises(Failed, match="no compressor 'broken'"):
        measure(broken, b"a")
    measured = bench.measure_file("a", b"a", [broken])
    assert "no compressor" in measured["rows"][0]["error"]


def test_bench_writes_a_table_a_result_file_and_a_page(tmp_path: Path, text: bytes) -> None:
    for name in ("some.txt", "more.txt"):
        (tmp_path / name).write_bytes(text)
    arguments = [f"{tmp_path}/some.txt", f"{tmp_path}/more.txt", "--first", "3000", "--levels", "1"]
    arguments += ["--peers", "gzip,xz", "--json", f"{tmp_path}/r.json", "--html", f"{tmp_path}/p.html"]
    result = CliRunner().invoke(bench.main, arguments)
    assert result.exit_code == 0, result.output
    assert re.search(r"^llmzip -1 +\d", result.output, re.MULTILINE)
    report = json.loads((tmp_path / "r.json").read_text())
    assert [measured["file"] for measured in report["files"]] == [
        f"{name}.txt, first 3,000" for name in ("some", "more")
    ]
    rows = {row["peer"]: row for row in report["files"][0]["rows"]}
    assert all(row["restored"] for row in rows.values())
    assert rows["llmzip -1"]["bytes"] < rows["xz -9e"]["bytes"]
    assert report["machine"]["cores"] >= 1
    assert set(report["versions"]) == set(rows)
    page = (tmp_path / "p.html").read_text()
    assert page.count("<svg") == 4
    assert "src=" not in page
    assert "http" not in page
    for drawing in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ElementTree.fromstring(drawing)


def test_unknown_peers_and_levels_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"a")
    for wrong in (["--peers", "winzip"], ["--levels", "11"]):
        result = CliRunner().invoke(bench.main, [str(file), *wrong])
        assert result.exit_code == 2
        assert "Error: " in result.output


def test_enwik8_is_checked_first(tmp_path: Path) -> None:
    wrong = tmp_path / "enwik8"
    wrong.write_bytes(b"not it")
    result = CliRunner().invoke(bench.main, ["--enwik8", str(wrong)])
    assert result.exit_code == 1
    assert "enwik8 has 100000000" in result.output


def test_the_causal_transformer_is_one() -> None:
    config = load_model(str(CAUSAL_TRANSFORMER)).config
    assert set(config.decoder.layers) == {"a"}
    assert config.vocabulary == load_model().config.vocabulary


def test_the_causal_transformer_codes_by_itself(text: bytes) -> None:
    peer = peer_named(CAUSAL)
    for plain in (text, b"x", random.Random(1).randbytes(300)):
        assert peer.decompress(peer.compress(plain)) == plain
    assert len(peer.compress(random.Random(1).randbytes(300))) > 300  # where llmzip would store them


def row(peer: str, size: int, **other: Any) -> dict[str, Any]:
    times = {"seconds_in": 1.0, "seconds_out": 2.0, "mib_in": 10, "mib_out": 20, "restored": True}
    return {"peer": peer, "bytes": size, **times, **other}


def test_sums_leave_out_what_did_not_restore_everything() -> None:
    files = [
        {"file": "a", "bytes": 1000, "rows": [row("xz -9e", 300), row("odd", 100), row("llmzip -6", 200)]},
        {
            "file": "b",
            "bytes": 3000,
            "rows": [row("xz -9e", 500), row("odd", 100, restored=False), row("llmzip -6", 400)],
        },
    ]
    summed = bench_page.totals(files)
    assert [(each["peer"], each["bytes"], each["seconds_out"]) for each in summed["rows"]] == [
        ("xz -9e", 800, 4.0),
        ("llmzip -6", 600, 4.0),
    ]
    assert [(point.bits_per_byte, point.speed, point.ours) for point in bench_page.points(summed, "in")] == [
        (1.6, 2.0, False),
        (1.2, 2.0, True),
    ]


def test_labels_of_a_plot_do_not_lie_on_each_other() -> None:
    crowd = [Point(f"peer -{i}", 100_000 + i, 2.0 + i / 1000, i == 3) for i in range(8)]
    drawing = ElementTree.fromstring(size_against_speed(crowd, 360, 400, "KB/s"))
    labels = [(float(t.attrib["x"]), float(t.attrib["y"]), len(t.text or "")) for t in drawing.iter("text")
              if t.attrib["class"] in ("ours", "theirs")]  # fmt: skip
    assert len(labels) == 8
    for i, (x, y, length) in enumerate(labels):
        assert 0 <= x < 360 - 6 * length
        for other_x, other_y, _ in labels[i + 1 :]:
            assert abs(y - other_y) >= 12 or abs(x - other_x) >= 6 * length
