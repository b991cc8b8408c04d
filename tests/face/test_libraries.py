"""Libraries that take a file object read and write through ``llmzip.open``."""

from __future__ import annotations

import csv
import io
import json
import logging
import pickle
import random
import shutil
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import smart_open

import llmzip

ROWS = [{"id": number, "name": f"naïve café {number * 37 % 101}", "value": number / 8} for number in range(500)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data.llmz"


def test_csv(path: Path) -> None:
    with llmzip.open(path, "wt", level=1, newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ROWS[0])
        writer.writeheader()
        writer.writerows(ROWS)
    with llmzip.open(path, "rt", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows == [{key: str(value) for key, value in row.items()} for row in ROWS]


def test_json_lines(path: Path) -> None:
    with llmzip.open(path, "wt", level=1, encoding="utf-8") as file:
        for row in ROWS:
            json.dump(row, file)
            print(file=file)
    with llmzip.open(path, "rt", encoding="utf-8") as file:
        assert [json.loads(line) for line in file] == ROWS
    with llmzip.open(path) as file:
        assert json.loads(file.readline()) == ROWS[0]


def test_pandas(path: Path) -> None:
    frame = pd.DataFrame(ROWS)
    with llmzip.open(path, "wb", level=1) as file:
        frame.to_csv(file, index=False)
    with llmzip.open(path) as file:
        pd.testing.assert_frame_equal(pd.read_csv(file), frame)
    with llmzip.open(path) as file:
        pd.testing.assert_frame_equal(pd.concat(pd.read_csv(file, chunksize=77)), frame)
    with llmzip.open(path, "wt", level=1, encoding="utf-8", newline="") as file:
        frame.to_csv(file, index=False)
    with llmzip.open(path, "rt", encoding="utf-8", newline="") as file:
        pd.testing.assert_frame_equal(pd.read_csv(file), frame)
    with llmzip.open(path, "wt", level=1, encoding="utf-8") as file:
        frame.to_json(file, orient="records", lines=True)
    with llmzip.open(path, "rt", encoding="utf-8") as file:
        pd.testing.assert_frame_equal(pd.read_json(file, lines=True), frame)
    with llmzip.open(path, "wb", level=1) as file:
        frame.to_pickle(file)
    with llmzip.open(path) as file:
        pd.testing.assert_frame_equal(pd.read_pickle(file), frame)


def test_shutil(path: Path, tmp_path: Path) -> None:
    data = random.Random(1).randbytes(300_000)
    with llmzip.open(path, "wb", level=1) as target:
        shutil.copyfileobj(io.BytesIO(data), target)
    out = io.BytesIO()
    with llmzip.open(path) as source:
        shutil.copyfileobj(source, out, 12345)
    assert out.getvalue() == data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.txt").write_text(f"some text, number {number}\n" * 100 * number)
    return folder


@pytest.mark.parametrize(("write", "read"), [("w:", "r:"), ("w|", "r|"), ("w:", "r|"), ("w|", "r:"), ("w", "r")])
def test_tarfile(path: Path, folder: Path, tmp_path: Path, write: str, read: str) -> None:
    with llmzip.open(path, "wb", level=1) as file, tarfile.open(fileobj=file, mode=write) as tar:  # type: ignore[call-overload]
        tar.add(folder, "folder")
    out = tmp_path / "out"
    with llmzip.open(path) as file, tarfile.open(fileobj=file, mode=read) as tar:  # type: ignore[call-overload]
        tar.extractall(out, filter="data")
    assert {p.name: p.read_bytes() for p in (out / "folder").iterdir()} == {
        p.name: p.read_bytes() for p in folder.iterdir()
    }
    if read == "r:":
        with llmzip.open(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for number in (4, 1, 3):  # backwards too
                member = tar.extractfile(f"folder/{number}.txt")
                assert member
                assert member.read() == (folder / f"{number}.txt").read_bytes()


def test_zipfile_and_pickle(path: Path, folder: Path) -> None:
    with llmzip.open(path, "wb", level=1) as file, zipfile.ZipFile(file, "w") as archive:
        archive.write(folder / "3.txt", "3.txt")
    with llmzip.open(path) as file, zipfile.ZipFile(file) as archive:
        assert archive.read("3.txt") == (folder / "3.txt").read_bytes()
    with llmzip.open(path, "wb", level=1) as file:
        pickle.dump(ROWS, file)
        pickle.dump("second", file)
    with llmzip.open(path) as file:
        assert (pickle.load(file), pickle.load(file)) == (ROWS, "second")


def test_numpy(path: Path) -> None:
    array = np.arange(10_000, dtype=np.float32).reshape(100, 100)
    with llmzip.open(path, "wb", level=1) as file:
        np.save(file, array)
        np.save(file, array[:5])
    with llmzip.open(path) as file:
        assert np.array_equal(np.load(file), array)
        assert np.array_equal(np.load(file), array[:5])
    with llmzip.open(path, "wb", level=1) as file:
        np.savez(file, a=array, b=array[0])
    with llmzip.open(path) as file, np.load(file) as loaded:
        assert np.array_equal(loaded["b"], array[0])
        assert np.array_equal(loaded["a"], array)
    with llmzip.open(path, "wt", level=1) as file:
        np.savetxt(file, array[:3])
    with llmzip.open(path, "rt") as file:
        assert np.array_equal(np.loadtxt(file, dtype=np.float32), array[:3])


def test_smart_open(tmp_path: Path) -> None:
    smart_open.register_compressor(".llmz", lambda file, mode: llmzip.open(file, mode))
    path = tmp_path / "a.txt.llmz"
    with smart_open.open(path, "w", encoding="utf-8") as file:
        file.write("première ligne\ndeuxième\n")
    with smart_open.open(path, encoding="utf-8") as file:
        assert list(file) == ["première ligne\n", "deuxième\n"]
    with smart_open.open(path, "rb") as file:
        file.seek(10)
        assert file.read() == "première ligne\ndeuxième\n".encode()[10:]
    assert llmzip.decompress(path.read_bytes()).startswith("première".encode())


def test_logging(path: Path) -> None:
    logger = logging.Logger("test")
    with llmzip.open(path, "wt", level=1, encoding="utf-8") as file:
        logger.addHandler(logging.StreamHandler(file))
        for number in range(5):
            logger.warning("event %d", number)
        with llmzip.open(path, "rt", encoding="utf-8") as reader:
            assert reader.readline() == "event 0\n"
    with llmzip.open(path, "rt", encoding="utf-8") as file:
        assert file.read() == "".join(f"event {number}\n" for number in range(5))


def test_concurrent_threads(tmp_path: Path) -> None:
    def there_and_back(number: int) -> bool:
        text = f"thread {number} says: {random.Random(number).random()}\n" * (500 + number)
        path = tmp_path / f"{number}.llmz"
        with llmzip.open(path, "wt", level=1, encoding="utf-8") as file:
            file.write(text)
        with llmzip.open(path, "rt", encoding="utf-8") as file:
            return bool(file.read() == text)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(there_and_back, range(24)))
