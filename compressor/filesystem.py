"""fsspec's view of a compressed file: a file system with one file in it, ``llmzip://NAME::URL``.

Any library that opens fsspec's URLs reads compressed files by it, without knowing of llmzip:
``pandas.read_csv("llmzip://table.csv::s3://bucket/table.csv.llmz")``. The name before ``::`` tells such libraries what
kind of file it is, and may be any.
"""

from __future__ import annotations

import posixpath
from typing import Any

import fsspec
from fsspec.archive import AbstractArchiveFileSystem

from llmzip.files import LlmzFile

ENDING = ".llmz"


class NeverFlushedFile(LlmzFile):
    """A compressed file for writers that flush before they close, which would end a block for nothing."""

    def flush(self) -> None:
        self._check_open()


class LlmzFileSystem(AbstractArchiveFileSystem):  # type: ignore[misc]
    """One compressed file as a file system, for reading.

    Args:
        fo: URL or path of the compressed file.
        target_protocol, target_options: of the file system that it is on, where the URL does not tell.
    """

    protocol = "llmzip"
    root_marker = ""
    cachable = False

    def __init__(
        self, fo: str = "", target_protocol: str | None = None, target_options: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(self, **options)
        self.fo = fo
        self._target_options = dict(target_options or {})
        if target_protocol is not None:
            self._target_options["protocol"] = target_protocol
        self._name = posixpath.basename(fo.split("::")[0]).removesuffix(ENDING)
        self.dir_cache: dict[str, dict[str, Any]] | None = None

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(super()._strip_protocol(path)).lstrip("/")

    def _get_dirs(self) -> None:
        if self.dir_cache is None:
            # Its plain size is not known before it has been read.
            self.dir_cache = {self._name: {"name": self._name, "size": None, "type": "file"}}

    def _open(self, path: str, mode: str = "rb", **options: Any) -> LlmzFile:
        if mode != "rb":
            raise ValueError(
                f"{self.protocol}:// is for reading, not for mode {mode!r}: write with compression='llmzip'"
            )
        return _OwningFile(fsspec.open(self.fo, "rb", **self._target_options))


class _OwningFile(LlmzFile):
    """A compressed file that closes what it reads from."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened
        super().__init__(opened.open(), "rb")

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._opened.close()
