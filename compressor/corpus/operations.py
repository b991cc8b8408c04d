"""Compress, verify, restore and read a corpus."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from llmzip import __version__
from llmzip.corpus.archives import Checked, Done, check_archive, make_archive, read_document, restore_archives
from llmzip.corpus.cluster import Workforce
from llmzip.corpus.manifest import MANIFEST_NAME, Archive, Manifest, fingerprint
from llmzip.corpus.places import Place
from llmzip.corpus.planning import (
    DEFAULT_ARCHIVE_BYTES,
    DEFAULT_PACK_BYTES,
    LEAST_ARCHIVE_BYTES,
    SourceError,
    Task,
    find_documents,
    plan,
)
from llmzip.corpus.resuming import Earlier
from llmzip.errors import LlmzError
from llmzip.settings import ReadSettings, Settings

Advance = Callable[[int], object]
"""Called with plain bytes that were done."""
_ON_ONE_CORE = ReadSettings(threads=1)


class IncompleteError(LlmzError):
    """Some of the work was not done.

    Attributes:
        failures: what is missing, and why; one line each.
    """

    def __init__(self, message: str, failures: Sequence[str]) -> None:
        super().__init__(message)
        self.failures = list(failures)


@dataclass(frozen=True)
class Made:
    """What compressing came to.

    Attributes:
        manifest: of the corpus.
        done: archives that were made now, with the time that each took.
        kept: archives that were there already.
    """

    manifest: Manifest
    done: list[Done]
    kept: int


@dataclass(frozen=True)
class Report:
    """What verifying or restoring came to.

    Attributes:
        plain: bytes that are right.
        documents: that were restored, or are whole.
        damage: what is wrong; one line for each archive.
    """

    plain: int
    documents: int
    damage: list[str]


def load_manifest(place: Place) -> Manifest:
    """The manifest of a corpus.

    Raises:
        DamagedError: it is damaged.
        FileNotFoundError: there is none.
    """
    return Manifest.from_json(place.read(MANIFEST_NAME))


def compress_corpus(
    workforce: Workforce, sources: Sequence[str], destination: str, settings: Settings,
    archive_bytes: int = DEFAULT_ARCHIVE_BYTES, pack_bytes: int = DEFAULT_PACK_BYTES,
    starting: Callable[[int, int], object] | None = None, advance: Advance | None = None,
) -> Made:  # fmt: skip
    """Compress the files of ``sources`` into ``destination``. Archives that are there from a run before, whether it was
    finished or not, are kept where their sources are the same; those of sources that are gone are removed.

    Args:
        sources: paths or URLs.
        destination: a path or URL.
        archive_bytes: longer documents are cut, at line ends, into archives of so many plain bytes.
        pack_bytes: documents shorter than a quarter of this are packed together, so many plain bytes in an archive.
        starting: called with all plain bytes, and with those that need not be done.

    Raises:
        SourceError: the sources cannot be one corpus.
        IncompleteError: archives could not be made; the others are there, and another run goes on from them.
    """
    if archive_bytes < LEAST_ARCHIVE_BYTES:
        raise SourceError(f"archives must have at least {LEAST_ARCHIVE_BYTES >> 10}K plain bytes")
    place = Place(destination)
    tasks = plan(find_documents(sources), replace(settings, threads=1), archive_bytes, pack_bytes)
    earlier = Earlier.found(place, tasks)
    todo = [task for task in tasks if task.origin not in earlier.finished]
    if starting:
        plain = sum(task.plain for task in tasks)
        starting(plain, plain - sum(task.plain for task in todo))
    earlier.make_way(place, tasks)
    done, failures = _make_archives(workforce, todo, place, advance)
    if failures:
        raise IncompleteError(
            f"{len(failures)} of {len(tasks)} archives could not be made; the others are kept: run it again", failures
        )
    archives = earlier.finished | {made.archive.origin: made.archive for made in done}
    manifest = Manifest(tuple(archives[task.origin] for task in tasks))
    place.write(MANIFEST_NAME, manifest.to_json())
    earlier.clear(place, tasks)
    return Made(manifest, done, len(tasks) - len(todo))


def _make_archives(
    workforce: Workforce, tasks: Sequence[Task], place: Place, advance: Advance | None
) -> tuple[list[Done], list[str]]:
    """The archives that could be made, and why others could not; one line each."""
    done: list[Done] = []
    failures: list[str] = []
    names = _unique(task.origin for task in tasks)
    for task, made in workforce.each(make_archive, tasks, place, __version__, names=names):
        if isinstance(made, Done):
            done.append(made)
            if advance:
                advance(made.archive.plain)
        else:
            failures.append(f"{task.path}: {_reason(made)}")
    return done, sorted(failures)


def verify_corpus(
    workforce: Workforce, corpus: str, stored_only: bool = False, starting: Callable[[int, int], object] | None = None,
    advance: Advance | None = None,
) -> Report:  # fmt: skip
    """Compare every archive with the manifest.

    Args:
        stored_only: compare the compressed files alone, and do not restore them.

    Raises:
        DamagedError, FileNotFoundError: of the manifest.
    """
    place = Place(corpus)
    manifest = load_manifest(place)
    if starting:
        starting(manifest.plain, 0)
    results = workforce.each(check_archive, manifest.archives, place, stored_only, _ON_ONE_CORE,
        names=_unique(f"check-{archive.path}" for archive in manifest.archives),
    )  # fmt: skip
    report, damaged = _collect(((archive.path, archive.plain, result) for archive, result in results), advance)
    hurt = {part.name for archive in manifest.archives if archive.path in damaged for part in archive.parts}
    return replace(report, documents=len(manifest.documents()) - len(hurt))


def restore_corpus(
    workforce: Workforce, corpus: str, target: str, names: Collection[str] = (), force: bool = False,
    starting: Callable[[int, int], object] | None = None, advance: Advance | None = None,
) -> Report:  # fmt: skip
    """Restore documents below ``target``; all that can be, even where others are damaged.

    Args:
        names: documents, or folders of them; all if there are none.
        force: overwrite files.

    Raises:
        DamagedError, FileNotFoundError: of the manifest.
        KeyError: there is no document of a name.
        FileExistsError: a file is there already; nothing was restored.
    """
    place, goal = Place(corpus), Place(target)
    manifest = load_manifest(place)
    documents = manifest.documents()
    wanted = _wanted(documents, names)
    if not force:
        there = set(goal.names_below("")) if goal.files.exists(goal.path("")) else set()
        for name in sorted(there & wanted):
            raise FileExistsError(17, "already exists (-f overwrites)", goal.path(name))
    groups = _groups(manifest, wanted)
    if starting:
        starting(sum(documents[name] for name in wanted), 0)
    chosen = frozenset(wanted) if names else None
    results = workforce.each(restore_archives, groups, place, goal, chosen, _ON_ONE_CORE,
        names=_unique(f"restore-{group[0].path}" for group in groups),
    )  # fmt: skip
    report, _ = _collect(((group[0].path, 0, result) for group, result in results), advance)
    return report


def open_document(corpus: str, name: str) -> Iterator[bytes]:
    """The bytes of one document, piece by piece; only archives that it lies in are read.

    Raises:
        DamagedError, FileNotFoundError: of the manifest, or of an archive.
        KeyError: there is no such document.
    """
    place = Place(corpus)
    return read_document(load_manifest(place).holding(name), place, name, ReadSettings())


def _wanted(documents: dict[str, int], names: Collection[str]) -> set[str]:
    wanted: set[str] = set()
    for name in names:
        folder = name.rstrip("/") + "/"
        found = {other for other in documents if other == name or other.startswith(folder)}
        if not found:
            raise KeyError(name)
        wanted |= found
    return wanted if names else set(documents)


def _groups(manifest: Manifest, wanted: set[str]) -> list[tuple[Archive, ...]]:
    """Archives with something wanted, those of one document together and in its order."""
    pieces: dict[str, list[tuple[int, Archive]]] = {}
    groups: list[tuple[Archive, ...]] = []
    lengths = manifest.documents()
    for archive in manifest.archives:
        first = archive.parts[0]
        if len(archive.parts) == 1 and first.length != lengths[first.name]:
            if first.name in wanted:
                pieces.setdefault(first.name, []).append((first.start, archive))
        elif any(part.name in wanted for part in archive.parts):
            groups.append((archive,))
    for found in pieces.values():
        groups.append(tuple(archive for _, archive in sorted(found, key=lambda pair: pair[0])))
    return groups


def _collect(
    results: Iterator[tuple[str, int, Checked | BaseException]], advance: Advance | None
) -> tuple[Report, set[str]]:
    """What the results come to, and the paths of those that have damage."""
    plain = documents = 0
    damage: list[str] = []
    damaged: set[str] = set()
    for path, size, result in results:
        if isinstance(result, Checked):
            plain += result.plain
            documents += len(result.documents)
            lines = result.damage
        else:
            lines = (f"{path}: {_reason(result)}",)
        if lines:
            damage += lines
            damaged.add(path)
        if advance:
            advance(size or (result.plain if isinstance(result, Checked) else 0))
    return Report(plain, documents, sorted(damage)), damaged


def _unique(names: Iterable[str]) -> list[str]:
    """Names of tasks: the scheduler would take one of the same name for the same task, also that of a run before."""
    run = secrets.token_hex(4)
    return [f"{run}-{fingerprint(name)[:16]}" for name in names]


def _reason(failure: BaseException) -> str:
    return f"{type(failure).__name__}: {' '.join(str(failure).split())}"
