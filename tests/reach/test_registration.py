"""Libraries learn of llmzip whichever is imported first, and importing llmzip imports none of them."""

from __future__ import annotations

import bz2
import shutil
import subprocess
import sys
import tarfile
from importlib.metadata import entry_points
from pathlib import Path

import fsspec
import pandas as pd
import pytest

import llmzip
from llmzip.filesystem import NeverFlushedFile
from llmzip.tar_archives import make_tar

LIBRARIES = "fsspec, shutil, smart_open"
CHECK = """
assert fsspec.utils.infer_compression("a.jsonl.llmz") == "llmzip" and "llmzip" in fsspec.available_compressions()
assert ".llmz" in smart_open.compression.get_supported_extensions()
assert "llmztar" in dict(shutil.get_archive_formats()) and any(f[0] == "llmztar" for f in shutil.get_unpack_formats())
for module in (fsspec.compression, shutil, smart_open.compression):
    assert "llmzip" not in type(module.__loader__).__module__ + type(module.__spec__.loader).__module__
import importlib
assert importlib.reload(shutil) is shutil and "llmztar" in dict(shutil.get_archive_formats())
"""


@pytest.mark.parametrize("imports", [f"llmzip, {LIBRARIES}", f"{LIBRARIES}, llmzip"])
def test_either_order(imports: str) -> None:
    subprocess.run([sys.executable, "-c", f"import {imports}\n{CHECK}"], check=True, timeout=120)


@pytest.mark.parametrize("imports", ["llmzip, {0}", "{0}, llmzip"])
@pytest.mark.parametrize("module", ["fsspec.compression", "smart_open.compression"])
def test_a_library_with_another_interface_can_be_imported(module: str, imports: str, tmp_path: Path) -> None:
    package, name = module.split(".")
    (tmp_path / package).mkdir()
    (tmp_path / package / "__init__.py").write_text(f"from {module} import ready\n")
    (tmp_path / package / f"{name}.py").write_text("ready = True\n")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import {imports.format(package)}; {package}.ready"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def test_imports_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules); import llmzip\n"
        "print(*sorted(m for m in set(sys.modules) - before if not m.startswith('llmzip')))"
    )
    result = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, timeout=60,
                            cwd=Path(llmzip.__file__).parents[1], env={"PYTHONPATH": _import_root()})  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert not {"numpy", "fsspec", "shutil", "tarfile", "click"} & set(result.stdout.split())


def _import_root() -> str:
    """A folder that has the package under its name: site packages, or one with a link."""
    package = Path(llmzip.__file__).parent
    if package.name == "llmzip":
        return str(package.parent)
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="llmzip-test-"))
    (folder / "llmzip").symlink_to(package)
    return str(folder)


def test_unknown_name_fails_as_ever() -> None:
    with pytest.raises(ModuleNotFoundError):
        __import__("datasets_that_are_not_there.utils.file_utils")


def test_flush_costs_nothing(tmp_path: Path) -> None:
    """fsspec flushes files before it closes them, which would end a block too early."""
    plain = b"It was the best of times, it was the worst of times.\n" * 30
    with llmzip.open(tmp_path / "a.llmz", "wb", level=1) as file:
        file.write(plain)
    with NeverFlushedFile(tmp_path / "b.llmz", "wb", level=1) as unflushed:
        for at in range(0, len(plain), 100):
            unflushed.write(plain[at : at + 100])
            unflushed.flush()
    assert (tmp_path / "b.llmz").read_bytes() == (tmp_path / "a.llmz").read_bytes()
    with fsspec.open(str(tmp_path / "c.llmz"), "wb", compression="infer") as file:
        assert isinstance(file, NeverFlushedFile)


def test_seeking(tmp_path: Path) -> None:
    plain = b"".join(b"%d green bottles\n" % number for number in range(3000))
    path = tmp_path / "a.txt.llmz"
    path.write_bytes(llmzip.compress(plain, 1))
    with fsspec.open(f"llmzip://a.txt::file://{path}", "rb") as file:
        file.seek(20_000)
        assert file.read(100) == plain[20_000:20_100]
        file.seek(5)
        assert file.read(9) == plain[5:14]


def test_file_system(tmp_path: Path) -> None:
    (tmp_path / "a.txt.llmz").write_bytes(llmzip.compress(b"hello", 1))
    assert any(entry.name == "llmzip" for entry in entry_points(group="fsspec.specs"))
    files = fsspec.filesystem("llmzip", fo=str(tmp_path / "a.txt.llmz"))
    assert files.ls("", detail=False) == ["a.txt"]
    assert files.cat_file("a.txt") == b"hello"
    with pytest.raises(ValueError, match="for reading"):
        files.open("a.txt", "wb")
    with pytest.raises(FileNotFoundError):
        fsspec.open(f"llmzip://b.txt::{tmp_path}/b.txt.llmz").open()


def test_remote_pandas_chunks() -> None:
    table = pd.DataFrame({"id": range(60), "name": ["Anna", "Ben", "Carl"] * 20})
    with fsspec.open("memory://table.csv.llmz", "wt", compression="llmzip") as file:
        table.to_csv(file, index=False)
    chunks = pd.read_csv("llmzip://table.csv::memory://table.csv.llmz", chunksize=25)
    pd.testing.assert_frame_equal(pd.concat(chunks), table)


def test_archive_of_shutil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder" / "below"
    folder.mkdir(parents=True)
    (folder / "a.txt").write_text("one\n" * 5)
    (folder / "b.sh").write_text("two\n")
    (folder / "b.sh").chmod(0o755)
    monkeypatch.chdir(tmp_path)
    shutil.register_archive_format("fast-llmztar", make_tar, [("level", 1)])
    try:
        name = shutil.make_archive("out/archive", "fast-llmztar", root_dir="folder", logger=None)
    finally:
        shutil.unregister_archive_format("fast-llmztar")
    assert name == str(tmp_path / "out" / "archive.tar.llmz")
    with llmzip.open(name) as file, tarfile.open(fileobj=file) as tar:
        assert "./below/a.txt" in tar.getnames()
    shutil.unpack_archive(name, "restored")
    assert (tmp_path / "restored/below/a.txt").read_text() == "one\n" * 5
    assert (tmp_path / "restored/below/b.sh").stat().st_mode & 0o111
    for damaged in (b"no archive", bz2.compress(b"no archive"), llmzip.compress(b"no tar file", 1)):
        (tmp_path / "bad.tar.llmz").write_bytes(damaged)
        with pytest.raises(shutil.ReadError, match=r"bad\.tar\.llmz"):
            shutil.unpack_archive("bad.tar.llmz", "nowhere")
