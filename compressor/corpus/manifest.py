"""The manifest: what a corpus holds, in which archive it lies, and a checksum of everything.

One JSON object, described in docs/corpus.md. It is made of what the archives hold alone: no times, no machines; so that
a corpus that was made with interruptions has the same manifest as one that was made without.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any

from llmzip.errors import DamagedError

FORMAT = "llmzip corpus 1"
MANIFEST_NAME = "manifest.json"
_HASH_DIGITS = 64
_NOT_IN_NAMES = re.compile(r"[\\\0\n\r\ud800-\udfff]")
"""Backslashes part names on some systems, line breaks part lines of output, and surrogates, which stand for bytes that
are not UTF-8, cannot be written."""


@dataclass(frozen=True)
class Part:
    """A document, or a piece of a longer one, as it lies in an archive.

    Attributes:
        name: of the document: its path below the sources, with slashes.
        start: byte of the document that this piece begins with.
        length: bytes.
        sha256: of these bytes, in hexadecimal.
    """

    name: str
    start: int
    length: int
    sha256: str


@dataclass(frozen=True)
class Archive:
    """One compressed file.

    Attributes:
        path: below the corpus's place.
        stored: its bytes.
        sha256: of the compressed file, in hexadecimal.
        origin: fingerprint of what it was made from and how; the same means that it need not be made again.
        parts: in the order in which they lie in it.
    """

    path: str
    stored: int
    sha256: str
    origin: str
    parts: tuple[Part, ...]

    @property
    def plain(self) -> int:
        """Plain bytes."""
        return sum(part.length for part in self.parts)

    @staticmethod
    def from_json(found: Any) -> Archive:
        """An archive's entry, checked.

        Raises:
            DamagedError: it is none.
        """
        archive: Archive = _checked(Archive, found, parts=tuple(_checked(Part, part) for part in _list(found, "parts")))
        if not is_safe(archive.path) or not archive.parts:
            raise DamagedError(f"the manifest names an impossible archive: {archive.path!r}")
        for part in archive.parts:
            if not is_safe(part.name):
                raise DamagedError(f"the manifest names an impossible document: {part.name!r}")
        return archive


@dataclass(frozen=True)
class Manifest:
    """All archives of a corpus, by path."""

    archives: tuple[Archive, ...]

    @property
    def plain(self) -> int:
        return sum(archive.plain for archive in self.archives)

    @property
    def stored(self) -> int:
        return sum(archive.stored for archive in self.archives)

    def documents(self) -> dict[str, int]:
        """Lengths by name, sorted."""
        lengths: dict[str, int] = {}
        for _, part in self._parts():
            lengths[part.name] = lengths.get(part.name, 0) + part.length
        return dict(sorted(lengths.items()))

    def holding(self, name: str) -> list[Archive]:
        """The archives that a document lies in, in its order.

        Raises:
            KeyError: there is no such document.
        """
        found = sorted((part.start, archive.path, archive) for archive, part in self._parts() if part.name == name)
        if not found:
            raise KeyError(name)
        return [archive for _, _, archive in found]

    def to_json(self) -> bytes:
        body = [asdict(archive) for archive in sorted(self.archives, key=lambda archive: archive.path)]
        whole = {"format": FORMAT, "sha256": _checksum(body), "archives": body}
        return (json.dumps(whole, indent=1, ensure_ascii=False) + "\n").encode()

    @staticmethod
    def from_json(data: bytes) -> Manifest:
        """A manifest, checked.

        Raises:
            DamagedError: it is damaged, contradicts itself, or is of a later version.
        """
        try:
            found = json.loads(data)
        except ValueError:
            raise DamagedError("the manifest is damaged: it is not JSON") from None
        if not isinstance(found, dict) or found.get("format") != FORMAT:
            raise DamagedError(f"the manifest is not one of {FORMAT!r}")
        listed = _list(found, "archives")
        if found.get("sha256") != _checksum(listed):
            raise DamagedError("the manifest is damaged: its checksum differs")
        manifest = Manifest(tuple(Archive.from_json(entry) for entry in listed))
        manifest._check()
        return manifest

    def _parts(self) -> Iterator[tuple[Archive, Part]]:
        return ((archive, part) for archive in self.archives for part in archive.parts)

    def _check(self) -> None:
        if len({archive.path for archive in self.archives}) != len(self.archives):
            raise DamagedError("the manifest names an archive twice")
        reached: dict[str, int] = {}
        for _, part in sorted(self._parts(), key=lambda pair: (pair[1].name, pair[1].start)):
            if part.start != reached.get(part.name, 0) or (part.name in reached and not part.length):
                raise DamagedError(f"the manifest has gaps in {part.name}, or has it twice")
            reached[part.name] = part.start + part.length


def fingerprint(of: Any) -> str:
    """Of anything that JSON can hold, in hexadecimal."""
    return hashlib.sha256(_canonical(of)).hexdigest()


def duplicates(names: Iterable[str]) -> list[str]:
    seen: set[str] = set()
    return [name for name in names if name in seen or seen.add(name)]  # type: ignore[func-returns-value]


def _checksum(archives: list[Any]) -> str:
    return fingerprint(archives)


def _canonical(of: Any) -> bytes:
    return json.dumps(of, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(errors="surrogatepass")


def _list(found: Any, key: str) -> list[Any]:
    listed = found.get(key) if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise DamagedError(f"the manifest has no list of {key}")
    return listed


def _checked(kind: type[Any], found: Any, **known: Any) -> Any:
    """An object of ``kind`` from what JSON gave: strings, and numbers that are not negative."""
    if not isinstance(found, dict) or set(found) != {field.name for field in fields(kind)}:
        raise DamagedError(f"the manifest has no {kind.__name__.lower()} where one should be")
    for field in fields(kind):
        value = found[field.name]
        wrong = (
            (field.type == "str" and not isinstance(value, str))
            or (field.type == "int" and (type(value) is not int or value < 0))
            or (field.name in ("sha256", "origin") and not _is_hash(value))
        )  # fmt: skip
        if wrong:
            raise DamagedError(f"the manifest has an impossible {field.name}: {value!r}")
    return kind(**found | known)


def _is_hash(value: str) -> bool:
    return len(value) == _HASH_DIGITS and not set(value) - set("0123456789abcdef")


def is_safe(name: str) -> bool:
    """Whether a manifest can have a name, which stays below whatever it is put behind."""
    return not _NOT_IN_NAMES.search(name) and all(step not in ("", ".", "..") for step in name.split("/"))
