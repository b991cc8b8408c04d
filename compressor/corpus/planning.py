"""Which archives a corpus is to have: decided from the names and sizes of files alone, the same every time."""

from __future__ import annotations

import itertools
import posixpath
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import fsspec

from llmzip import __version__
from llmzip.corpus.manifest import duplicates, fingerprint, is_safe
from llmzip.settings import Settings

DEFAULT_ARCHIVE_BYTES = 16 << 20
DEFAULT_PACK_BYTES = 1 << 20
RECORD_BYTES = 64 << 10
"""So far a record's end is looked for behind the place where a document is to be cut."""
LEAST_ARCHIVE_BYTES = 4 * RECORD_BYTES
"""Pieces are so long that each has something in it, wherever records end."""
FOLDERS = ("files", "packs", "pieces")
"""Of whole documents, of several in one archive, of parts of one."""
_SHORT = 4
"""A document of less than this part of a pack is packed with others."""


@dataclass(frozen=True)
class Document:
    """A file of the sources.

    Attributes:
        name: what it is called in the corpus.
        url: where it lies.
        size: its bytes.
        stamp: what changes when the file does, as far as the file system tells: its entity tag, or its time.
    """

    name: str
    url: str
    size: int
    stamp: str


@dataclass(frozen=True)
class Range:
    """A document, or what lies between two places of it, moved to the next record's end.

    Attributes:
        start, end: bytes; at 0 and at the document's size they are exact.
    """

    document: Document
    start: int
    end: int


@dataclass(frozen=True)
class Task:
    """An archive to be made.

    Attributes:
        path: below the corpus's place.
        ranges: in order; one, or several whole documents.
        settings: how to compress.
    """

    path: str
    ranges: tuple[Range, ...]
    settings: Settings

    @property
    def plain(self) -> int:
        """Plain bytes, but for what cutting at records moves."""
        return sum(piece.end - piece.start for piece in self.ranges)

    @cached_property
    def origin(self) -> str:
        """Fingerprint of what it is made from and how."""
        pieces = [[r.document.name, r.document.size, r.document.stamp, r.start, r.end] for r in self.ranges]
        how = {name: value for name, value in asdict(self.settings).items() if name not in ("threads", "memory_limit")}
        return fingerprint([__version__, self.path, pieces, how])


class SourceError(ValueError):
    """The sources cannot be made one corpus."""


def find_documents(sources: Sequence[str]) -> list[Document]:
    """The files that ``sources`` name, sorted by name: of a folder, all below it, named from the folder's own name on;
    of a pattern, those that match, by their last name.

    Args:
        sources: paths or URLs.

    Raises:
        SourceError: one names nothing, a file's name cannot be in a manifest, or two files would have the same one.
        OSError: a place cannot be read.
    """
    documents = [document for source in sources for document in _in_source(source)]
    names = sorted(document.name for document in documents)
    if twice := duplicates(names):
        raise SourceError(f"two files would be named {twice[0]!r}: give the folder above them")
    return sorted(documents, key=lambda document: document.name)


def _in_source(source: str) -> Iterator[Document]:
    if "::" in source:
        raise SourceError(f"{source}: URLs inside URLs cannot be used here")
    files, root = fsspec.core.url_to_fs(source)
    root = root.rstrip("/")
    paths = [root] if files.exists(root) else files.glob(root) if set(root) & set("*?[") else []
    if not paths:
        raise SourceError(f"{source}: no such file or folder")
    for path in paths:
        found = files.find(path, detail=True)
        above = posixpath.dirname(path)
        for each, about in sorted(found.items()):
            name = each[len(above) :].lstrip("/")
            if not is_safe(name):
                raise SourceError(
                    f"a corpus cannot have a file named {name!r}: names must be UTF-8, without backslashes, without "
                    "line breaks, and without parts that are empty, '.' or '..'"
                )
            yield Document(name, files.unstrip_protocol(each), int(about["size"]), _stamp(about))


def _stamp(about: dict[str, Any]) -> str:
    return next((str(about[key]) for key in ("ETag", "etag", "md5Hash", "mtime", "LastModified") if key in about), "")


def plan(
    documents: Sequence[Document], settings: Settings, archive_bytes: int = DEFAULT_ARCHIVE_BYTES,
    pack_bytes: int = DEFAULT_PACK_BYTES,
) -> list[Task]:  # fmt: skip
    """The archives for ``documents``, which are sorted by name: long ones cut into pieces, short ones packed together,
    these without an index of records.

    Args:
        archive_bytes: plain bytes of a piece, at least ``LEAST_ARCHIVE_BYTES``; the last one has half as many or more,
            one and a half times as many at most.
        pack_bytes: plain bytes of a pack.
    """
    tasks: list[Task] = []
    pack: list[Range] = []
    packs = packed = 0
    of_packs = replace(settings, records=None, key=None)

    def end_pack() -> None:
        nonlocal packs, packed
        if pack:
            tasks.append(Task(f"packs/{packs:06}.llmz", tuple(pack), of_packs))
            packs += 1
            packed = 0
            pack.clear()

    for document in documents:
        if document.size < pack_bytes // _SHORT:
            if packed + document.size > pack_bytes:
                end_pack()
            pack.append(Range(document, 0, document.size))
            packed += document.size
        elif document.size <= archive_bytes * 3 // 2:
            tasks.append(Task(f"files/{document.name}.llmz", (Range(document, 0, document.size),), settings))
        else:
            cuts = [*range(0, document.size - archive_bytes // 2, archive_bytes), document.size]
            for number, (start, end) in enumerate(itertools.pairwise(cuts)):
                path = f"pieces/{document.name}.{number:05}.llmz"
                tasks.append(Task(path, (Range(document, start, end),), settings))
    end_pack()
    return tasks
