"""What workers do: make one archive, check one, or restore the documents of some. Each call stands for itself, so that
it may be done again anywhere."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import BinaryIO

import fsspec

import llmzip
from llmzip.corpus.manifest import Archive, Part
from llmzip.corpus.places import Place
from llmzip.corpus.planning import RECORD_BYTES, Range, Task
from llmzip.errors import DamagedError, LlmzError, NoKeyError
from llmzip.settings import ReadSettings, Settings
from llmzip.streams import compress, iterate_plain

RECEIPTS = "receipts"
"""Folder of what finished archives hold, until the manifest has it."""


@dataclass(frozen=True)
class Done:
    """An archive was made.

    Attributes:
        archive: its entry in the manifest.
        seconds: of wall time and of the processor, and of what the processor did in compressing.
    """

    archive: Archive
    wall_seconds: float
    cpu_seconds: float
    coding_seconds: float


@dataclass(frozen=True)
class Checked:
    """What came of checking or restoring.

    Attributes:
        plain: bytes that are right.
        documents: those that were restored.
        damage: what is wrong, by archive; one line each.
    """

    plain: int
    documents: tuple[str, ...]
    damage: tuple[str, ...]


class OtherVersionError(LlmzError):
    """The worker has another version of llmzip than the program that asks it."""


def make_archive(task: Task, place: Place, version: str) -> Done:
    """Compress what ``task`` says, write the archive and then its receipt, which tells that it is whole.

    Raises:
        OtherVersionError: this is not ``version`` of llmzip.
        OSError: a source cannot be read, has changed, or the place cannot be written to.
    """
    if llmzip.__version__ != version:
        raise OtherVersionError(f"a worker has llmzip {llmzip.__version__}, not {version}")
    wall, cpu = time.perf_counter(), time.process_time()
    plain: list[bytes] = []
    parts = []
    for piece in task.ranges:
        start, data = _read(piece)
        plain.append(data)
        parts.append(Part(piece.document.name, start, len(data), hashlib.sha256(data).hexdigest()))
    coding = time.process_time()
    stored = _compressed(b"".join(plain), task.settings)
    coding_seconds = time.process_time() - coding
    archive = Archive(task.path, len(stored), hashlib.sha256(stored).hexdigest(), task.origin, tuple(parts))
    place.write(task.path, stored)
    write_receipt(archive, place)
    return Done(archive, time.perf_counter() - wall, time.process_time() - cpu, coding_seconds)


def _compressed(plain: bytes, settings: Settings) -> bytes:
    """Of a corpus, not every document need have the keys that an index was asked for."""
    try:
        return compress(plain, settings)
    except NoKeyError:
        return compress(plain, replace(settings, key=None))


def receipt_name(origin: str) -> str:
    """Where the entry of an archive lies until the manifest has it."""
    return f"{RECEIPTS}/{origin}.json"


def write_receipt(archive: Archive, place: Place) -> None:
    place.write(receipt_name(archive.origin), json.dumps(asdict(archive)).encode())


def read_receipt(data: bytes) -> Archive | None:
    """The entry of an archive that was finished by a run before; None where that is not sure."""
    try:
        return Archive.from_json(json.loads(data))
    except ValueError:
        return None


def _read(piece: Range) -> tuple[int, bytes]:
    """Where a piece really begins, and its bytes.

    Raises:
        OSError: the document has another size than it had.
    """
    document = piece.document
    files, path = fsspec.core.url_to_fs(document.url)
    if piece.start == 0 and piece.end == document.size:
        data = files.cat_file(path)
        if len(data) != document.size:
            raise OSError(f"{document.url} changed while it was read")
        return 0, data
    start = piece.start
    if start:
        start = _next_record(files.cat_file(path, start=start - 1, end=start + RECORD_BYTES), start)
    data = files.cat_file(path, start=start, end=min(document.size, piece.end + RECORD_BYTES))
    if start + len(data) < piece.end:
        raise OSError(f"{document.url} changed while it was read")
    if piece.end < document.size:
        end = _next_record(data[piece.end - 1 - start :], piece.end)
        data = data[: end - start]
    return start, data


def _next_record(seen: bytes, place: int) -> int:
    """Where to cut at ``place``: behind the first line feed from the byte before it on, if there is one near.

    Args:
        seen: bytes of the document from ``place`` - 1 to ``place`` + ``RECORD_BYTES``, as far as there are.
    """
    found = seen[: RECORD_BYTES + 1].find(b"\n")
    return place + found if found >= 0 else place


def check_archive(archive: Archive, place: Place, stored_only: bool, settings: ReadSettings) -> Checked:
    """Compare an archive with its entry in the manifest.

    Args:
        stored_only: compare the compressed bytes alone, which takes no restoring.
    """
    try:
        stored = _stored_bytes(archive, place)
        if not stored_only:
            for _ in _documents_in(archive, stored, settings):
                pass
    except (LlmzError, OSError) as error:
        return Checked(0, (), (_line(archive, error),))
    return Checked(archive.plain, (), ())


def restore_archives(
    archives: tuple[Archive, ...], place: Place, target: Place, wanted: frozenset[str] | None, settings: ReadSettings
) -> Checked:
    """Restore the ``wanted`` documents (None for all) of archives that share documents. Whatever is whole is written,
    also from an archive that is damaged elsewhere."""
    if len(archives) == 1:
        return _restore_pack(archives[0], place, target, wanted, settings)
    (name,) = {part.name for archive in archives for part in archive.parts}
    plain = 0
    archive = archives[0]
    try:
        with target.writing(name) as file:
            for archive in archives:
                for _, data in _documents_in(archive, _stored_bytes(archive, place), settings):
                    file.write(data)
                    plain += len(data)
    except (LlmzError, OSError) as error:
        return Checked(0, (), (_line(archive, error),))
    return Checked(plain, (name,), ())


def _restore_pack(
    archive: Archive, place: Place, target: Place, wanted: frozenset[str] | None, settings: ReadSettings
) -> Checked:
    plain = 0
    names: list[str] = []
    left = {part.name for part in archive.parts if wanted is None or part.name in wanted}
    try:
        stored = place.read(archive.path)
        for part, data in _documents_in(archive, stored, settings):
            if part.name in left:
                target.write(part.name, data)
                names.append(part.name)
                plain += len(data)
                left.discard(part.name)
            if not left:
                break
    except (LlmzError, OSError) as error:
        return Checked(plain, tuple(names), (_line(archive, error),))
    return Checked(plain, tuple(names), ())


def read_document(archives: list[Archive], place: Place, name: str, settings: ReadSettings) -> Iterator[bytes]:
    """The bytes of one document, from the archives that it lies in; each is restored no further than needed.

    Raises:
        DamagedError: what it is restored from is damaged.
    """
    for archive in archives:
        stored = place.read(archive.path)
        for part, data in _documents_in(archive, stored, settings):
            if part.name == name:
                yield data
                break


def _stored_bytes(archive: Archive, place: Place) -> bytes:
    stored = place.read(archive.path)
    if len(stored) != archive.stored or hashlib.sha256(stored).hexdigest() != archive.sha256:
        raise DamagedError(f"is not the file that the manifest describes ({len(stored):,} bytes)")
    return stored


def _documents_in(archive: Archive, stored: bytes, settings: ReadSettings) -> Iterator[tuple[Part, bytes]]:
    """The parts of an archive one after the other, each compared with its checksum.

    Raises:
        LlmzError: the archive is damaged, or holds something else than the manifest says.
    """
    source: BinaryIO = io.BytesIO(stored)
    with contextlib.closing(iterate_plain(source, settings)) as blocks:
        ready = bytearray()
        for part in archive.parts:
            while len(ready) < part.length:
                block = next(blocks, None)
                if block is None:
                    raise DamagedError(f"ends before {part.name}")
                ready += block
            data = bytes(ready[: part.length])
            del ready[: part.length]
            if hashlib.sha256(data).hexdigest() != part.sha256:
                raise DamagedError(f"{part.name} differs from its checksum")
            yield part, data
        if ready or next(blocks, None):
            raise DamagedError("holds more than the manifest says")


def _line(archive: Archive, error: Exception) -> str:
    documents = sorted({part.name for part in archive.parts})
    of = documents[0] if len(documents) == 1 else f"{documents[0]} and {len(documents) - 1} more"
    what = "is not there" if isinstance(error, FileNotFoundError) else " ".join(str(error).split())
    return f"{archive.path} ({of}): {what}"
