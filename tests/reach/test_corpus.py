"""Corpora with real worker processes and a real S3 server."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import threading
import time
from pathlib import Path

import fsspec
import pytest

import llmzip
from llmzip.corpus import (
    IncompleteError,
    Made,
    Manifest,
    Place,
    SourceError,
    Workforce,
    compress_corpus,
    load_manifest,
    open_document,
    restore_corpus,
    verify_corpus,
)
from llmzip.corpus.archives import _read, make_archive
from llmzip.corpus.manifest import FORMAT, fingerprint
from llmzip.corpus.planning import LEAST_ARCHIVE_BYTES, Range, Task, find_documents, plan
from llmzip.settings import Settings
from tests.face.command import llmzip as run
from tests.face.command import one_line
from tests.reach.conftest import Cluster

FAST = Settings(1, threads=1)
Files = dict[str, bytes]


def log(lines: int, seed: int) -> bytes:
    draw = random.Random(seed)
    return b"".join(
        b"2026-11-%02d INFO web-%d GET /item/%d %d ms\n"
        % (draw.randrange(1, 30), draw.randrange(4), draw.randrange(90_000), draw.randrange(400))
        for _ in range(lines)
    )


def noise(kilobytes: int, seed: int) -> bytes:
    """Lines that no model makes smaller, and which therefore cost no time."""
    draw = random.Random(seed)
    return b"".join(draw.randbytes(499).replace(b"\n", b" ") + b"\n" for _ in range(2 * kilobytes))


def write(folder: Path, files: Files) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def contents(folder: Path) -> Files:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """Twelve short documents, one of them empty."""
    files = {f"{number:02}/mail.txt": log(8, number) for number in range(11)} | {"empty": b"", "ö ü.txt": b"x\n"}
    return write(tmp_path / "letters", files)


def test_killed_worker(cluster: Cluster, workforce: Workforce, tmp_path: Path) -> None:
    """One of two workers is killed in the middle of its work: the outcome is the same."""
    source = write(tmp_path / "logs", {"big.log": noise(1600, 1), "a/small.log": log(20, 2), "a/other.log": log(9, 3)})
    undisturbed = compress_corpus(workforce, [str(source)], str(tmp_path / "one"), FAST, LEAST_ARCHIVE_BYTES)
    assert len(undisturbed.done) == len(undisturbed.manifest.archives) >= 6

    outcome: list[Made | Exception] = []

    def work() -> None:
        try:
            outcome.append(compress_corpus(workforce, [str(source)], str(tmp_path / "two"), FAST, LEAST_ARCHIVE_BYTES))
        except Exception as error:
            outcome.append(error)

    assert workforce.client is not None
    victim = cluster.workers[0]
    address = next(name for name, pid in workforce.client.run(os.getpid).items() if pid == victim.pid)
    thread = threading.Thread(target=work)
    thread.start()
    receipts = tmp_path / "two" / "receipts"
    until = time.monotonic() + 300
    while not (list(receipts.glob("*.json")) and workforce.client.processing([address])[address]):
        assert time.monotonic() < until and not outcome
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    assert victim.wait() == -signal.SIGKILL
    cluster.workers.remove(victim)
    cluster.add_worker()  # for the tests that follow
    thread.join(600)
    assert isinstance(outcome[0], Made), outcome
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert not receipts.exists()


def test_s3(cluster: Cluster, workforce: Workforce, s3: str, tmp_path: Path) -> None:
    """From bucket to bucket by the command line; one document alone; back to a folder; then only what changed."""
    bucket = fsspec.filesystem("s3")
    bucket.mkdir("there")
    files = {f"day-{n:02}.jsonl": b"".join(b'{"id": %d, "day": %d}\n' % (i, n) for i in range(40)) for n in range(6)}
    files["long.jsonl"] = noise(270, 3)
    bucket.pipe({f"there/in/{name}": data for name, data in files.items()})

    made = run("corpus", "compress", "-1", "s3://there/in", "s3://there/out", "--scheduler", cluster.address)
    assert made.returncode == 0, made.stderr
    assert "7 documents" in one_line(made)
    names = [name.removeprefix("there/out/") for name in bucket.find("there/out")]
    assert names == ["files/in/long.jsonl.llmz", "manifest.json", "packs/000000.llmz"]

    shown = run("corpus", "cat", "s3://there/out", "in/day-04.jsonl")
    assert (shown.stdout, shown.returncode) == (files["day-04.jsonl"], 0)
    with fsspec.open("s3://there/out/files/in/long.jsonl.llmz", compression="infer") as file:
        assert file.read() == files["long.jsonl"]

    back = restore_corpus(workforce, "s3://there/out", str(tmp_path / "back"))
    assert (back.documents, back.damage) == (7, [])
    assert contents(tmp_path / "back") == {f"in/{name}": data for name, data in files.items()}
    assert restore_corpus(workforce, "s3://there/out", "s3://there/back").documents == 7
    assert bucket.cat_file("there/back/in/long.jsonl") == files["long.jsonl"]

    bucket.pipe("there/in/day-00.jsonl", b'{"id": 0}\n')
    bucket.invalidate_cache()
    again = compress_corpus(workforce, ["s3://there/in"], "s3://there/out", FAST)
    assert (len(again.done), again.kept) == (1, 1)


def test_damage(cluster: Cluster, workforce: Workforce, tmp_path: Path) -> None:
    """A bit flipped in one archive: it is named, and everything else is restored."""
    files = {"big.log": noise(540, 1), "whole.log": noise(300, 2)} | {f"s/{n}.txt": log(5, n) for n in range(20)}
    write(tmp_path / "in", files)
    corpus = tmp_path / "corpus"
    compress_corpus(workforce, [str(tmp_path / "in")], str(corpus), FAST, LEAST_ARCHIVE_BYTES)
    assert verify_corpus(workforce, str(corpus)).documents == 22

    damaged = corpus / "pieces/in/big.log.00001.llmz"
    stored = bytearray(damaged.read_bytes())
    stored[len(stored) // 2] ^= 4
    damaged.write_bytes(stored)
    checked = run("corpus", "verify", "corpus", "--scheduler", cluster.address, "-q", cwd=tmp_path)
    assert checked.returncode == 1
    assert "pieces/in/big.log.00001.llmz (in/big.log)" in one_line(checked)
    (line,) = verify_corpus(workforce, str(corpus), stored_only=True).damage
    assert line.startswith("pieces/in/big.log.00001.llmz (in/big.log)")

    report = restore_corpus(workforce, str(corpus), str(tmp_path / "out"))
    assert len(report.damage) == 1 and report.documents == 21
    assert contents(tmp_path / "out") == {f"in/{name}": data for name, data in files.items() if name != "big.log"}
    with pytest.raises(llmzip.DamagedError):
        list(open_document(str(corpus), "in/big.log"))

    # Even within a pack, what lies before the damage is restored.
    pack = corpus / "packs/000000.llmz"
    pack.write_bytes(pack.read_bytes()[:-9])
    (corpus / "files/in/whole.log.llmz").unlink()
    report = verify_corpus(workforce, str(corpus))
    assert len(report.damage) == 3 and report.documents == 0
    assert any("is not there" in line for line in report.damage)


def test_resumes(workforce: Workforce, small: Path, tmp_path: Path) -> None:
    """What an interrupted run has finished is kept; receipts and archives that are torn are not believed."""
    tasks = plan(find_documents([str(small)]), FAST, pack_bytes=1500)
    place = Place(str(tmp_path / "corpus"))
    for task in tasks[:3]:
        make_archive(task, place, llmzip.__version__)
    place.write(f"receipts/{tasks[1].origin}.json", b'{"path": "pac')
    (tmp_path / "corpus" / tasks[2].path).unlink()
    made = compress_corpus(workforce, [str(small)], place.url, FAST, pack_bytes=1500)
    assert (made.kept, len(made.done)) == (1, len(tasks) - 1)
    assert verify_corpus(workforce, place.url).damage == []
    assert not (tmp_path / "corpus" / "receipts").exists()

    again = compress_corpus(workforce, [str(small)], place.url, FAST, pack_bytes=1500)
    assert (again.kept, again.done) == (len(tasks), [])
    other = compress_corpus(workforce, [str(small)], place.url, Settings(2, lanes=1), pack_bytes=1 << 20)
    assert (other.kept, len(other.done)) == (0, 1)
    assert sorted(contents(tmp_path / "corpus")) == ["manifest.json", "packs/000000.llmz"]


def test_failures(workforce: Workforce, small: Path, tmp_path: Path) -> None:
    """A source that cannot be read spoils nothing else, and there is no manifest before all is there."""
    task = plan(find_documents([str(small)]), FAST)[0]
    with pytest.raises(ValueError, match=r"has llmzip .*, not 0\.0"):
        make_archive(task, Place(str(tmp_path)), "0.0")
    whole = write(tmp_path / "more", {"a.txt": noise(300, 1), "b.txt": noise(300, 2)})
    documents = find_documents([str(whole)])
    (whole / "b.txt").write_bytes(b"shorter")
    with pytest.raises(OSError, match="changed while it was read"):
        make_archive(plan(documents, FAST)[1], Place(str(tmp_path / "c")), llmzip.__version__)
    (whole / "b.txt").unlink()
    (whole / "b.txt").symlink_to(tmp_path / "nowhere")
    with pytest.raises((IncompleteError, FileNotFoundError)):
        compress_corpus(workforce, [str(whole)], str(tmp_path / "c"), FAST)
    assert not (tmp_path / "c" / "manifest.json").exists()
    with pytest.raises(SourceError, match="no such file"):
        compress_corpus(workforce, [str(tmp_path / "nothing")], str(tmp_path / "c"), FAST)
    with pytest.raises(SourceError, match="at least 256K"):
        compress_corpus(workforce, [str(small)], str(tmp_path / "c"), FAST, archive_bytes=1000)


def test_restores_some(workforce: Workforce, small: Path, tmp_path: Path) -> None:
    corpus, out = str(tmp_path / "corpus"), tmp_path / "out"
    compress_corpus(workforce, [str(small)], corpus, FAST)
    assert restore_corpus(workforce, corpus, str(out), ["letters/03", "letters/empty"]).documents == 2
    assert set(contents(out)) == {"letters/03/mail.txt", "letters/empty"}
    with pytest.raises(FileExistsError):
        restore_corpus(workforce, corpus, str(out))
    assert restore_corpus(workforce, corpus, str(out), force=True).documents == 13
    assert contents(out / "letters") == contents(small)
    with pytest.raises(KeyError):
        restore_corpus(workforce, corpus, str(out), ["letters/0"])
    assert b"".join(open_document(corpus, "letters/ö ü.txt")) == b"x\n"


def test_command_line_errors(small: Path, tmp_path: Path) -> None:
    missing = run("corpus", "list", tmp_path)
    assert missing.returncode == 1
    assert "manifest.json: No such file" in one_line(missing)
    write(tmp_path, {"manifest.json": b"{}"})
    assert "not one of 'llmzip corpus 1'" in one_line(run("corpus", "cat", tmp_path, "x"))
    assert run("corpus", "--help").stdout.count(b"\n  ") >= 5
    unknown = run("corpus", "compress", "--level", "12", "a", "b")
    assert unknown.returncode == 1
    assert "12" in one_line(unknown)


def test_names(tmp_path: Path) -> None:
    write(tmp_path, {"a/x.txt": b"1", "b/x.txt": b"2", "b/c/y.log": b"3"})

    def names(*sources: str) -> list[str]:
        return [document.name for document in find_documents([f"{tmp_path}/{source}" for source in sources])]

    assert names("a", "b/") == ["a/x.txt", "b/c/y.log", "b/x.txt"]
    assert names("a/x.txt", "b/c") == ["c/y.log", "x.txt"]
    assert names("b/*") == ["c/y.log", "x.txt"]
    with pytest.raises(SourceError, match="inside URLs"):
        find_documents(["llmzip://a::b.llmz"])
    with pytest.raises(SourceError, match=r"named 'x\.txt'"):
        names("*/x.txt")


@pytest.mark.parametrize("ending", [b"\n", b""])
def test_cut_at_records(tmp_path: Path, ending: bytes) -> None:
    """Pieces fit together, and each begins with a line, unless a line is longer than anybody looks for its end."""
    draw = random.Random(5)
    lines = [draw.randbytes(draw.randrange(400)).replace(b"\n", b" ") for _ in range(4000)]
    lines[700] = b"long " * 60_000
    plain = b"\n".join(lines) + ending
    (tmp_path / "a").write_bytes(plain)
    place = Place(str(tmp_path / "out"))
    tasks = plan(find_documents([str(tmp_path / "a")]), FAST, LEAST_ARCHIVE_BYTES)
    assert len(tasks) == round(len(plain) / LEAST_ARCHIVE_BYTES)
    reached = 0
    starts = []
    for task in tasks:
        piece = task.ranges[0]
        start, data = _read(piece)
        assert data and start == reached and data == plain[start : start + len(data)]
        starts.append(start)
        reached += len(data)
    assert reached == len(plain)
    assert sum(plain[start - 1 : start] != b"\n" for start in starts[1:]) == 1
    assert place.names_below("files") == []


def test_records(workforce: Workforce, small: Path, tmp_path: Path) -> None:
    """Files that are not packed have an index of their records; packs, which join files, have none."""
    lines = [b'{"id": "user-%d", "text": "so it goes"}\n' % (7 * number) for number in range(300)]
    write(small, {"events.jsonl": b"".join(lines)})
    corpus, settings = tmp_path / "corpus", Settings(1, threads=1, records="auto", key="id")
    compress_corpus(workforce, [str(small)], str(corpus), settings, pack_bytes=40_000)
    with llmzip.records(corpus / "files/letters/events.jsonl.llmz") as records:
        assert len(records) == 300
        assert [records[number] for number in records.find("user-777")] == [lines[111]]
    with pytest.raises(llmzip.LlmzError, match="no index"):
        llmzip.records(corpus / "packs/000000.llmz")
    wrong = run("corpus", "compress", "--record-kind", "lines", "--key", "id", small, tmp_path / "other")
    assert wrong.returncode == 1
    assert "a key belongs to records" in one_line(wrong)


def test_plan_is_stable(small: Path) -> None:
    documents = find_documents([str(small)])
    tasks = plan(documents, FAST, pack_bytes=1500)
    assert tasks == plan(find_documents([str(small)]), FAST, pack_bytes=1500)
    assert [piece.document for task in tasks for piece in task.ranges] == documents
    assert all(task.plain <= 1500 for task in tasks)
    assert len({task.origin for task in tasks}) == len(tasks)
    changed = Task(tasks[0].path, (Range(documents[0], 0, 1),), FAST)
    assert changed.origin != tasks[0].origin
    assert Task(tasks[0].path, tasks[0].ranges, Settings(1, threads=7)).origin == tasks[0].origin


def test_manifest_hostile(tmp_path: Path) -> None:
    """Whatever a manifest says, nothing outside the target is written, and damage is one clear error."""
    part = {"name": "a", "start": 0, "length": 3, "sha256": "0" * 64}
    archive = {"path": "packs/0.llmz", "stored": 9, "sha256": "1" * 64, "origin": "2" * 64, "parts": [part]}

    def made(*archives: object) -> bytes:
        whole = {"format": FORMAT, "sha256": fingerprint(list(archives)), "archives": list(archives)}
        return json.dumps(whole).encode()

    good = Manifest.from_json(made(archive))
    assert good.documents() == {"a": 3} and Manifest.from_json(good.to_json()) == good
    for name in ("../a", "/a", "a/../b", "", ".", "a\\b", "a//b", "a\nb", "a\udcff", 7, None):
        with pytest.raises(llmzip.DamagedError):
            Manifest.from_json(made(archive | {"parts": [part | {"name": name}]}))
    for change in (
        {"path": "../x"}, {"stored": -1}, {"stored": True}, {"sha256": "z" * 64}, {"origin": "2"}, {"parts": []},
        {"parts": [part, part]}, {"parts": [part | {"start": 1}]}, {"more": 1}, {"parts": [part | {"length": 1.5}]},
        {"parts": None},
    ):  # fmt: skip
        with pytest.raises(llmzip.DamagedError):
            Manifest.from_json(made(archive | change))
    for data in (b"", b"[]", b"{}", b"\xff", made(archive, archive), good.to_json()[:-9],
                 re.sub(b'"length": 3', b'"length": 4', good.to_json())):  # fmt: skip
        with pytest.raises(llmzip.DamagedError):
            Manifest.from_json(data)


def test_writing_leaves_nothing(s3: str, tmp_path: Path) -> None:
    fsspec.filesystem("s3").mkdir("half-written")
    for place in (Place(f"{tmp_path}/a[b]*"), Place("s3://half-written/x")):
        with pytest.raises(RuntimeError), place.writing("a/b") as file:
            file.write(b"half")
            raise RuntimeError
        assert not place.exists("a/b")
        place.write("a/b", b"whole")
        place.write("a/b", b"other")
        assert place.read("a/b") == b"other" and place.names_below("a") == ["a/b"]
        assert place.read_many(["a/b", "a/c"]) == {"a/b": b"other"}
        place.remove_folder("a")
        assert place.names_below("a") == []


def test_manifest_of_reader(workforce: Workforce, small: Path, tmp_path: Path) -> None:
    """Archives are ordinary files, which the plain command restores."""
    corpus = str(tmp_path / "corpus")
    compress_corpus(workforce, [str(small)], corpus, FAST)
    manifest = load_manifest(Place(corpus))
    (archive,) = manifest.archives
    restored = llmzip.decompress((tmp_path / "corpus" / archive.path).read_bytes())
    assert restored == b"".join((tmp_path / part.name).read_bytes() for part in archive.parts)
    assert manifest.holding("letters/empty") == [archive]
    assert list(open_document(corpus, "letters/empty")) == [b""]
