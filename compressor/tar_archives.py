"""Compressed tar files for ``shutil.make_archive`` and ``shutil.unpack_archive``."""

from __future__ import annotations

import os
import shutil
import tarfile
from logging import Logger
from typing import IO, Any, cast

from llmzip.errors import LlmzError
from llmzip.files import open as open_compressed

ENDING = ".tar.llmz"


def make_tar(
    base_name: str, base_dir: str, *, owner: str | None = None, group: str | None = None, dry_run: bool = False,
    logger: Logger | None = None, **settings: Any,
) -> str:  # fmt: skip
    """Write ``base_name`` with ``.tar.llmz`` behind it, from all of ``base_dir``.

    Args:
        owner, group: names to be stored in place of those that files have.
        settings: as in :class:`llmzip.settings.Settings`.

    Returns:
        The archive's name.
    """
    name = os.fspath(base_name) + ENDING

    def owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        if owner is not None:
            entry.uid, entry.uname = shutil._get_uid(owner), owner  # type: ignore[attr-defined]
        if group is not None:
            entry.gid, entry.gname = shutil._get_gid(group), group  # type: ignore[attr-defined]
        return entry

    if logger is not None:
        logger.info("creating %s", name)
    if not dry_run:
        os.makedirs(os.path.dirname(name) or os.curdir, exist_ok=True)
        with open_compressed(name, "wb", **settings) as file, _tar(file, "w|") as tar:
            tar.add(base_dir, filter=owned)
    return name


def unpack_tar(name: str, folder: str, *, filter: Any = "data") -> None:
    """Unpack ``name`` into ``folder``.

    Raises:
        shutil.ReadError: it is no tar file, or damaged.
    """
    try:
        with open_compressed(name, "rb") as file, _tar(file, "r|") as tar:
            tar.extractall(folder, filter=filter)
    except (tarfile.TarError, LlmzError) as error:
        raise shutil.ReadError(f"{name}: {error}") from error


def _tar(file: IO[Any], mode: str) -> tarfile.TarFile:
    return tarfile.open(fileobj=file, mode=cast(Any, mode))
