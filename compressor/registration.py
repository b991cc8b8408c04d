"""Makes llmzip known to libraries that keep tables of formats, as soon as both are imported, in either order.

Nothing is imported for it: a library that is not there yet is waited for. fsspec learns the compression ``llmzip`` with
the suffix ``.llmz``, smart_open the suffix, shutil the archive format ``llmztar``, datasets that such files hold
one file each. The file system ``llmzip://`` is an entry point of fsspec's and needs no import.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from typing import Any

SUFFIX = "llmz"
NAME = "llmzip"


def _tell_fsspec(compression: Any) -> None:
    compression.register_compression(NAME, _open_never_flushed, SUFFIX, force=True)


def _tell_smart_open(compression: Any) -> None:
    # What is there already, somebody chose to register.
    if f".{SUFFIX}" not in compression.get_supported_extensions():
        compression.register_compressor(f".{SUFFIX}", _open)


def _tell_shutil(shutil: Any) -> None:
    if "llmztar" not in {name for name, *_ in shutil.get_archive_formats()}:
        shutil.register_archive_format("llmztar", _make_tar, description="llmzip-compressed tar file")
    if "llmztar" not in {name for name, *_ in shutil.get_unpack_formats()}:
        shutil.register_unpack_format("llmztar", [f".tar.{SUFFIX}"], _unpack_tar, description="llmzip-compressed tar")


def _tell_datasets(file_utils: Any) -> None:
    # datasets offers no function for this: these are the tables that its own compressions are in. Where a version has
    # others, URLs that begin with llmzip:// still work.
    protocols = getattr(file_utils, "COMPRESSION_EXTENSION_TO_PROTOCOL", None)
    single = getattr(file_utils, "SINGLE_FILE_COMPRESSION_PROTOCOLS", None)
    if isinstance(protocols, dict) and isinstance(single, set):
        protocols[SUFFIX] = NAME
        single.add(NAME)


def _open(*arguments: Any, **settings: Any) -> Any:
    from llmzip.files import open

    return open(*arguments, **settings)


def _open_never_flushed(*arguments: Any, **settings: Any) -> Any:
    from llmzip.filesystem import NeverFlushedFile

    return NeverFlushedFile(*arguments, **settings)


def _make_tar(*arguments: Any, **options: Any) -> str:
    from llmzip.tar_archives import make_tar

    return make_tar(*arguments, **options)


def _unpack_tar(*arguments: Any, **options: Any) -> None:
    from llmzip.tar_archives import unpack_tar

    unpack_tar(*arguments, **options)


_TELLERS: dict[str, Callable[[Any], None]] = {
    "datasets.utils.file_utils": _tell_datasets,
    "fsspec.compression": _tell_fsspec,
    "shutil": _tell_shutil,
    "smart_open.compression": _tell_smart_open,
}


class _Waiting:
    """A finder that finds nothing by itself: it lets a loader tell when its module is complete."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        tell = _TELLERS.get(name)
        if tell is None:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is not self and find and (spec := find(name, path, target)) is not None:
                if hasattr(spec.loader, "exec_module"):
                    spec.loader = _Telling(spec.loader, tell)
                return spec
        return None


class _Telling:
    """A loader that does what another does, and then hands on the module.

    The module keeps the other one: nothing of this is seen afterwards.
    """

    def __init__(self, loader: Any, tell: Callable[[Any], None]) -> None:
        self._loader = loader
        self._tell = tell

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        self._loader.exec_module(module)
        _try_to_tell(self._tell, module)


def _try_to_tell(tell: Callable[[Any], None], module: Any) -> None:
    # A version of the library with another interface goes without llmzip: it can be imported all the same.
    with contextlib.suppress(Exception):
        tell(module)


def register() -> None:
    """Tell libraries that are imported already, and wait for the others. The second call does nothing."""
    if any(isinstance(finder, _Waiting) for finder in sys.meta_path):
        return
    for name, tell in _TELLERS.items():
        module = sys.modules.get(name)
        if module is not None:
            _try_to_tell(tell, module)
    sys.meta_path.insert(0, _Waiting())
