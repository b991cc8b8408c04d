"""Whole streams of members: compress and decompress between binary files, or bytes."""

from __future__ import annotations

import io
from collections.abc import Generator
from typing import BinaryIO

from llmzip.errors import TruncatedError
from llmzip.format.member import read_header
from llmzip.format.reader import Reader
from llmzip.member_decoder import MemberDecoder
from llmzip.member_encoder import MemberEncoder
from llmzip.progress import SILENT, Progress
from llmzip.settings import ReadSettings, Settings

_READ_BYTES = 1 << 18
_DEFAULT, _READ_DEFAULT = Settings(), ReadSettings()


def compress_stream(
    source: BinaryIO, target: BinaryIO, settings: Settings = _DEFAULT, progress: Progress = SILENT
) -> None:  # fmt: skip
    """Compress ``source`` to its end as one member.

    Raises:
        LlmzError: the result could not be read within the memory limit, or the model file is none.
    """
    encoder, reader = MemberEncoder(settings, progress), Reader(source)
    while plain := reader.read_at_most(_READ_BYTES):
        target.write(encoder.feed(plain))
    target.write(encoder.finish())


def compress(plain: bytes, settings: Settings = _DEFAULT, progress: Progress = SILENT) -> bytes:
    """Compress ``plain`` as one member; errors as for :func:`compress_stream`."""
    encoder = MemberEncoder(settings, progress)
    return encoder.feed(plain) + encoder.finish()


def iterate_plain(
    source: BinaryIO, settings: ReadSettings = _READ_DEFAULT, progress: Progress = SILENT
) -> Generator[bytes]:  # fmt: skip
    """Yield the plain bytes of all members block by block, each once its checksum has been verified.

    Raises:
        LlmzError: the data is damaged, foreign or cut off, needs a model that is not here or more memory than allowed,
            or holds more than allowed.
    """
    reader = Reader(source)
    header = read_header(reader)
    if header is None:
        raise TruncatedError("empty input is not an llmzip file")
    done = 0
    while header is not None:
        for plain in MemberDecoder(reader, header, settings, progress, done):
            done += len(plain)
            yield plain
        header = read_header(reader, first=False)


def decompress_stream(
    source: BinaryIO, target: BinaryIO, settings: ReadSettings = _READ_DEFAULT, progress: Progress = SILENT
) -> None:  # fmt: skip
    """Write the plain bytes of all members of ``source``; errors as for :func:`iterate_plain`."""
    for plain in iterate_plain(source, settings, progress):
        target.write(plain)


def decompress(data: bytes, settings: ReadSettings = _READ_DEFAULT, progress: Progress = SILENT) -> bytes:
    """The plain bytes of all members of ``data``; errors as for :func:`iterate_plain`."""
    return b"".join(iterate_plain(io.BytesIO(data), settings, progress))
