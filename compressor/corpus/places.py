"""Where files lie: any URL that fsspec knows, with writing that leaves all of a file or nothing."""

from __future__ import annotations

import contextlib
import os
import posixpath
import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, BinaryIO, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

_AT_A_TIME = 16
"""Files that are read at once."""
_UNFINISHED = ".llmzip-"
"""What the name of a local file begins with until all of it is written."""


@dataclass(frozen=True)
class Place:
    """A folder, or a bucket and what its names begin with.

    What a file system needs to be told, such as an S3 server's address, comes from fsspec's own configuration and
    environment (``FSSPEC_S3_ENDPOINT_URL``, ``AWS_PROFILE``, ...), on every machine for itself.

    Attributes:
        url: as a user gave it; a path without a protocol is local.

    Raises:
        ValueError: the URL has another one in it.
    """

    url: str

    def __post_init__(self) -> None:
        if "::" in self.url:
            raise ValueError(f"{self.url}: URLs inside URLs cannot be used here")

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker finds its own way to the place, but does not stand in the same folder.
        return Place, (self.files.unstrip_protocol(self._found[1]),)

    @cached_property
    def _found(self) -> tuple[Any, str]:
        files, root = fsspec.core.url_to_fs(self.url)
        return files, root.rstrip("/")

    @property
    def files(self) -> Any:
        """The file system."""
        return self._found[0]

    @property
    def is_local(self) -> bool:
        return isinstance(self.files, LocalFileSystem)

    def path(self, name: str) -> str:
        """The file system's path of a file in this place."""
        return f"{self._found[1]}/{name}"

    def exists(self, name: str) -> bool:
        return bool(self.files.exists(self.path(name)))

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        """A file's bytes from ``start`` to before ``end``.

        Raises:
            OSError: it is not there, or cannot be read.
        """
        return bytes(self.files.cat_file(self.path(name), start=start, end=end))

    def write(self, name: str, data: bytes) -> None:
        with self.writing(name) as file:
            file.write(data)

    @contextlib.contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        """A file that appears under its name when all of it is written; nothing of it stays where that fails."""
        path = self.path(name)
        if self.is_local:
            os.makedirs(posixpath.dirname(path), exist_ok=True)
            yield from _writing_local(path)
            return
        file = self._new_file(path)
        try:
            yield cast(BinaryIO, file)
            file.close()
        except BaseException:
            with contextlib.suppress(Exception):
                file.discard()
            raise
        file.commit()

    def _new_file(self, path: str) -> Any:
        """Folders are made where they are missed: stores of objects have none, and asking costs a request."""
        try:
            return self.files.open(path, "wb", autocommit=False)
        except FileNotFoundError:
            self.files.makedirs(posixpath.dirname(path), exist_ok=True)
            return self.files.open(path, "wb", autocommit=False)

    def read_many(self, names: list[str]) -> dict[str, bytes]:
        """Files by name, several at a time; without those that are not there."""

        def found(name: str) -> bytes | None:
            try:
                return self.read(name)
            except FileNotFoundError:
                return None

        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            return {name: data for name, data in zip(names, pool.map(found, names), strict=True) if data is not None}

    def remove(self, names: list[str]) -> None:
        """Remove files that are there."""
        for name in names:  # one by one: lists of paths are taken for patterns
            self.files.rm_file(self.path(name))

    def remove_unfinished(self, folder: str) -> None:
        """Remove what writers that were killed have left in a folder, when nobody writes there any more. Only local
        files are to be seen before they are whole."""
        if not self.is_local:
            return
        self.remove([name for name in self.names_below(folder) if posixpath.basename(name).startswith(_UNFINISHED)])

    def remove_folder(self, name: str) -> None:
        """Remove a folder with all files in it, if it is there."""
        self.remove(self.names_below(name))
        with contextlib.suppress(OSError, NotImplementedError):  # stores of objects have no folders
            self.files.rmdir(self.path(name))

    def names_below(self, folder: str) -> list[str]:
        """Names of the files in a folder and below it; none where it is not there."""
        top = self.path(folder)
        self.files.invalidate_cache(top)
        root = len(self.path(""))
        return sorted(found[root:] for found in self.files.find(top))


def _writing_local(path: str) -> Iterator[BinaryIO]:
    temporary = posixpath.join(posixpath.dirname(path), f"{_UNFINISHED}{secrets.token_hex(6)}")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
