"""Runs that follow others: what is kept of them, what is removed, and what the manifest says in between."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import llmzip
from llmzip.corpus import (
    IncompleteError,
    Made,
    Place,
    SourceError,
    Workforce,
    compress_corpus,
    load_manifest,
    restore_corpus,
    verify_corpus,
)
from llmzip.corpus.archives import make_archive
from llmzip.corpus.planning import LEAST_ARCHIVE_BYTES, Document, find_documents, plan
from llmzip.settings import Settings
from tests.face.command import llmzip as run
from tests.face.command import one_line
from tests.reach.test_corpus import FAST, contents, log, noise, write

OTHER = Settings(1, threads=1, block_bytes=100)
EACH = 4
"""So few bytes in a pack that every document with something in it has an archive of its own."""


class Folder:
    """A source and the corpus that is made of it."""

    def __init__(self, workforce: Workforce, folder: Path) -> None:
        self.workforce = workforce
        self.source = folder / "in"
        self.corpus = folder / "corpus"

    def compress(self, settings: Settings = FAST, pack_bytes: int = EACH) -> Made:
        return compress_corpus(
            self.workforce, [str(self.source)], str(self.corpus), settings, LEAST_ARCHIVE_BYTES, pack_bytes
        )

    def compress_all_but(self, name: str, settings: Settings = FAST) -> None:
        """A run that cannot read one of its sources any more when it comes to it, and ends without it."""
        away = self.source.with_name("away")

        def starting(_plain: int, _kept: int) -> None:
            (self.source / name).rename(away)

        with pytest.raises(IncompleteError):
            compress_corpus(
                self.workforce, [str(self.source)], str(self.corpus), settings, LEAST_ARCHIVE_BYTES, EACH, starting
            )
        away.rename(self.source / name)

    def assert_whole(self, documents: int) -> None:
        """The manifest describes what is there, nothing else is there, and that is so many documents."""
        report = verify_corpus(self.workforce, str(self.corpus))
        assert (report.documents, report.damage) == (documents, [])
        archives = load_manifest(Place(str(self.corpus))).archives
        assert sorted(contents(self.corpus)) == sorted(["manifest.json", *(archive.path for archive in archives)])


@pytest.fixture
def folder(workforce: Workforce, tmp_path: Path) -> Folder:
    made = Folder(workforce, tmp_path)
    write(made.source, {f"{name}.txt": log(3, number) for number, name in enumerate("abc")})
    return made


def test_back_to_settings_of_before(folder: Folder) -> None:
    """A run with other settings was interrupted: what it has overwritten is not taken for what was there before."""
    folder.compress()
    before = contents(folder.corpus)
    folder.compress_all_but("c.txt", OTHER)
    assert not (folder.corpus / "manifest.json").exists()
    assert folder.compress().kept == 0
    assert contents(folder.corpus) == before
    folder.assert_whole(3)


def test_receipts_of_other_settings(folder: Folder) -> None:
    """Where a receipt says that an archive was made in another way, neither the manifest nor another receipt is
    believed, then or later."""
    folder.compress()
    before = contents(folder.corpus)
    for settings in (FAST, OTHER):
        tasks = plan(find_documents([str(folder.source)]), settings, pack_bytes=EACH)
        make_archive(tasks[1], Place(str(folder.corpus)), llmzip.__version__)
    folder.compress_all_but("b.txt")
    made = folder.compress()
    assert (made.kept, len(made.done)) == (2, 1)
    assert contents(folder.corpus) == before


def test_manifest_of_unfinished_run(folder: Folder, tmp_path: Path) -> None:
    """Until a run is finished, the manifest has the documents whose archives are as they were, and no others."""
    folder.compress()
    write(folder.source, {"a.txt": log(5, 7), "d.txt": log(3, 8)})
    folder.compress_all_but("d.txt")
    report = verify_corpus(folder.workforce, str(folder.corpus))
    assert (report.documents, report.damage) == (2, [])
    assert set(load_manifest(Place(str(folder.corpus))).documents()) == {"in/b.txt", "in/c.txt"}
    restore_corpus(folder.workforce, str(folder.corpus), str(tmp_path / "out"))
    assert set(contents(tmp_path / "out" / "in")) == {"b.txt", "c.txt"}
    made = folder.compress()
    assert (made.kept, len(made.done)) == (3, 1)
    folder.assert_whole(4)


def test_what_a_killed_worker_was_writing_is_removed(folder: Folder) -> None:
    folder.compress_all_but("c.txt")
    write(folder.corpus / "files" / "in", {".llmzip-0123456789ab": b"half of an archive"})
    assert folder.compress().kept == 2
    folder.assert_whole(3)


def test_sources_of_unfinished_run_vanish(folder: Folder) -> None:
    folder.compress_all_but("c.txt")
    assert len(contents(folder.corpus / "files")) == 2
    (folder.source / "b.txt").unlink()
    assert folder.compress().kept == 1
    folder.assert_whole(2)


def test_pieces_of_unfinished_run(folder: Folder) -> None:
    """Of a long document, one piece is lost, the others are kept; later it becomes shorter."""
    long = noise(3 * LEAST_ARCHIVE_BYTES >> 10, 1)
    write(folder.source, {"long": long})
    assert len(folder.compress().done) == 6
    (folder.corpus / "pieces/in/long.00001.llmz").unlink()
    write(folder.source, {"new.txt": log(3, 9)})
    folder.compress_all_but("new.txt")
    assert "in/long" not in load_manifest(Place(str(folder.corpus))).documents()
    assert folder.compress().kept == 6
    folder.assert_whole(5)

    write(folder.source, {"long": long[: len(long) * 2 // 3]})
    folder.compress_all_but("long")
    assert not (folder.corpus / "pieces/in/long.00002.llmz").exists()
    assert folder.compress().kept == 4
    folder.assert_whole(5)


@pytest.mark.parametrize("name", [b"a\\b", b"a\nb", b"a\rb", b"caf\xe9"])
def test_names_that_no_manifest_can_have(tmp_path: Path, name: bytes) -> None:
    """They are refused before anything is written, in one line that names the file."""
    source = write(tmp_path / "in", {"whole.txt": b"x\n"})
    try:
        (source / os.fsdecode(name)).write_bytes(b"x\n")
    except OSError:
        pytest.skip("no file can have this name here")
    with pytest.raises(SourceError) as refused:
        compress_corpus(Workforce(), [str(source)], str(tmp_path / "corpus"), FAST)
    assert repr(f"in/{os.fsdecode(name)}") in str(refused.value)
    complaint = run("corpus", "compress", "-1", source, tmp_path / "corpus")
    assert complaint.returncode == 1
    assert "a corpus cannot have a file named" in one_line(complaint)
    assert not (tmp_path / "corpus").exists()


def test_planning_many_files() -> None:
    """A plan takes time in proportion to the files, also where all of them lie in one pack."""
    documents = [Document(f"in/{number:06}", f"file:///in/{number:06}", 0, "") for number in range(20_000)]
    started = time.process_time()
    (task,) = plan(documents, FAST)
    assert len(task.ranges) == len(documents)
    assert time.process_time() - started < 3


def test_damage_by_name(folder: Folder) -> None:
    """Documents count as whole by what became of their archives, whatever is in their names."""
    write(folder.source, {"report (1).txt": log(3, 4)})
    folder.compress()
    (folder.corpus / "files/in/report (1).txt.llmz").write_bytes(b"torn")
    report = verify_corpus(folder.workforce, str(folder.corpus))
    assert (report.documents, len(report.damage)) == (3, 1)


class FullOfErrors(MemoryFileSystem):
    """A store that hands out no archives, and says so, as some do, by an error of its own, which is no OSError."""

    protocol = "full-of-errors"

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        if path.endswith(".llmz"):
            raise RuntimeError("the store has no (valid) credentials")
        return bytes(super().cat_file(path, start, end, **options))


def test_damage_by_other_errors(tmp_path: Path) -> None:
    fsspec.register_implementation("full-of-errors", FullOfErrors, clobber=True)
    source = write(tmp_path / "in", {"a.txt": log(3, 1), "b.txt": log(3, 2)})
    compress_corpus(Workforce(), [str(source)], "full-of-errors://corpus", FAST)
    report = verify_corpus(Workforce(), "full-of-errors://corpus")
    assert (report.plain, report.documents) == (0, 0)
    assert report.damage == ["packs/000000.llmz: RuntimeError: the store has no (valid) credentials"]
