"""Finding the model that an archive needs."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import llmzip
from llmzip.network.adapted_file import pack_adapted
from llmzip.network.model import Model, load_model
from tests.conftest import TINY_PATH

from .command import TEXT, one_line
from .command import llmzip as command


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """An archive that needs the tiny model."""
    path = tmp_path / "plain.llmz"
    path.write_bytes(llmzip.compress(TEXT, model=TINY_PATH))
    return path


def _needs(path: Path) -> str:
    return command("info", path).stdout.decode().split("model ")[1].strip()


def test_a_missing_model_is_told_apart_from_damage(archive: Path) -> None:
    fingerprint = load_model(TINY_PATH).fingerprint[:4]
    assert _needs(archive) == fingerprint.hex()
    with pytest.raises(llmzip.ModelMissingError) as caught:
        llmzip.decompress(archive.read_bytes())
    assert caught.value.fingerprint == fingerprint
    assert not isinstance(caught.value, llmzip.DamagedError)
    for arguments in (["-t"], ["-dc"], ["-d"], ["cat"]):
        message = one_line(command(*arguments, archive))
        assert fingerprint.hex() in message
        assert "--model" in message
        assert "LLMZIP_MODEL_PATH" in message
        assert "damaged" not in message
    assert command("-dc", "--model", TINY_PATH, archive).stdout == TEXT


def test_a_broken_file_does_not_hide_the_good_ones(
    archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [tmp_path / "a", tmp_path / "b", tmp_path / "none"]
    for folder in folders[:2]:
        folder.mkdir()
    (folders[0] / "0-empty.llmzmodel").touch()
    (folders[0] / "1-broken.llmzmodel").write_bytes(Path(TINY_PATH).read_bytes()[:5000])
    (folders[0] / "2-folder.llmzmodel").mkdir()
    monkeypatch.setenv("LLMZIP_MODEL_PATH", ":".join(["", *map(str, folders)]))
    message = one_line(command("-dc", archive))
    assert "1-broken.llmzmodel" in message
    assert "damaged" not in message
    shutil.copy(TINY_PATH, folders[1] / "good.llmzmodel")
    assert command("-dc", archive).stdout == TEXT


def test_a_model_file_that_was_replaced_is_read_anew(tmp_path: Path) -> None:
    path, other = tmp_path / "own.llmzmodel", tmp_path / "new"
    shutil.copy(TINY_PATH, path)
    first = load_model(str(path))
    assert load_model(str(path)) is first
    other.write_bytes(pack_adapted(first.fingerprint, {}, {}, None))
    other.replace(path)
    with pytest.raises(llmzip.ModelMissingError):
        load_model(str(path))
    shutil.copy(TINY_PATH, other)
    other.replace(path)
    assert load_model(str(path)) is not first
    assert load_model(str(path)).fingerprint == first.fingerprint


def test_threads_share_a_network() -> None:
    model = Model(Path(TINY_PATH).read_bytes())
    begin = threading.Barrier(4)

    def decoder(_: int) -> object:
        begin.wait()
        return model.decoder

    with ThreadPoolExecutor(4) as pool:
        assert len({id(network) for network in pool.map(decoder, range(4))}) == 1


def test_another_model_does_not_hide_the_one_that_ships(tmp_path: Path) -> None:
    archive = tmp_path / "plain.llmz"
    archive.write_bytes(llmzip.compress(TEXT))
    assert _needs(archive) == load_model().fingerprint[:4].hex()
    assert command("-dc", "--model", TINY_PATH, archive).stdout == TEXT
    assert llmzip.open(archive, model=TINY_PATH).read() == TEXT


def test_a_model_file_that_is_none_or_not_there(archive: Path, tmp_path: Path) -> None:
    none, broken = tmp_path / "none.llmzmodel", tmp_path / "broken.llmzmodel"
    broken.write_bytes(b"no model")
    for path, message in ((none, "No such file"), (broken, "model")):
        for arguments in (["-dc", archive], ["-c", archive], ["entropy", archive]):
            failed = command(*arguments, "--model", path)
            assert failed.returncode == 1
            assert message in one_line(failed)
        with pytest.raises((llmzip.LlmzError, OSError)):
            llmzip.open(tmp_path / "new", "wb", model=path)
        assert not (tmp_path / "new").exists()
