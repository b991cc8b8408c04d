"""What a corpus folder may hold, and how its weights are found."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from llmzip.errors import LlmzError
from llmzip.models.domains import DOMAIN_WEIGHTS, domain_files, domain_weights, random_pieces, read_domain

TEXT = b"one document\0another one\n" * 40


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    train = tmp_path / "corpus" / "train"
    train.mkdir(parents=True)
    (train / "books.txt").write_bytes(TEXT)
    return train


def test_compressed_domains_are_read_as_plain_ones(folder: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    (folder / "a.b.txt.zst").write_bytes(zstandard.ZstdCompressor().compress(TEXT))
    if shutil.which("bzip3"):
        subprocess.run(["bzip3", "-e", "-c"], input=TEXT, stdout=(folder / "logs.txt.bz3").open("wb"), check=True)
    files = domain_files(folder)
    assert files.keys() >= {"books", "a.b"}
    assert all(read_domain(path) == TEXT for path in files.values())


def test_all_frames_of_a_zstd_file_are_read(folder: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    path, frame = folder / "logs.txt.zst", zstandard.ZstdCompressor().compress(TEXT)
    path.write_bytes(frame + frame)
    assert read_domain(path) == TEXT + TEXT
    for cut in (len(frame) - 3, 2 * len(frame) - 3):
        path.write_bytes((frame + frame)[:cut])
        with pytest.raises(LlmzError, match="ends too early"):
            read_domain(path)


def test_without_the_program_bzip3_its_name_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "logs.txt.bz3"
    path.write_bytes(b"BZ3v1")
    monkeypatch.setenv("PATH", str(folder))
    with pytest.raises(LlmzError, match="needs the program bzip3"):
        read_domain(path)


@pytest.mark.parametrize("suffix", ["bz3", "zst"])
def test_damaged_domains_are_named(folder: Path, suffix: str) -> None:
    if suffix == "bz3" and not shutil.which("bzip3"):
        pytest.skip("no bzip3")
    path = folder / f"logs.txt.{suffix}"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(LlmzError, match=r"logs\.txt\.\w+: damaged"):
        read_domain(path)


def test_a_folder_without_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no \.txt"):
        domain_files(tmp_path)


def test_weights_come_from_the_corpus_where_it_has_some(folder: Path) -> None:
    (folder / "unheard-of.txt").write_bytes(TEXT)
    assert domain_weights(folder) == {"books": DOMAIN_WEIGHTS["books"], "unheard-of": 1}
    (folder.parent / "weights.json").write_text(json.dumps({"unheard-of": 2.5, "elsewhere": 3, "_old": ["books"]}))
    assert domain_weights(folder) == {"books": 1, "unheard-of": 2.5}
    (folder / "weights.json").write_text(json.dumps({"books": 7}))
    assert domain_weights(folder) == {"books": 7, "unheard-of": 1}


@pytest.mark.parametrize(
    "content", ["", "[1]", '{"books": "many"}', '{"books": -1}', '{"books": NaN}', '{"books": []}']
)
def test_weights_that_are_none_are_refused(folder: Path, content: str) -> None:
    (folder / "weights.json").write_text(content)
    with pytest.raises(LlmzError, match=r"weights\.json"):
        domain_weights(folder)


def test_random_pieces_follow_the_weights(folder: Path) -> None:
    (folder / "logs.txt").write_bytes(b"line\n" * 300)
    (folder / "weights.json").write_text(json.dumps({"books": 1, "logs": 3}))
    pieces = random_pieces(folder, 40_000, 100)
    assert len(pieces) == 400
    assert sum(b"line" in piece for piece in pieces) == pytest.approx(300, abs=40)
    assert all(len(piece) == 100 and b"\0" not in piece for piece in pieces)
    assert pieces == random_pieces(folder, 40_000, 100)
