"""What runs before have left where a corpus is to be: archives to keep, and entries of archives that will be gone.

An archive takes the place of the one before it as soon as it is made. So before that nothing may describe what lies
there, neither the manifest nor a receipt: a later run, with the options of the one that wrote it, would believe it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from llmzip.corpus.archives import RECEIPTS, read_receipt, receipt_name, write_receipt
from llmzip.corpus.manifest import MANIFEST_NAME, Archive, Manifest
from llmzip.corpus.places import Place
from llmzip.corpus.planning import FOLDERS, Task
from llmzip.errors import DamagedError


@dataclass(frozen=True)
class Earlier:
    """What runs before have left.

    Attributes:
        listed: archives of the manifest.
        finished: archives that need not be made again, by origin.
        useless: entries of other archives, by the name of the receipt that they are from; None for one that is torn.
    """

    listed: tuple[Archive, ...]
    finished: dict[str, Archive]
    useless: dict[str, Archive | None]

    @staticmethod
    def found(place: Place, tasks: Sequence[Task]) -> Earlier:
        """What is there, seen by somebody who wants what ``tasks`` make."""
        listed = _listed(place)
        receipts = {name: read_receipt(data) for name, data in place.read_many(place.names_below(RECEIPTS)).items()}
        wanted = {receipt_name(task.origin) for task in tasks}
        overwritten = {entry.path for name, entry in receipts.items() if entry is not None and name not in wanted}
        known = {archive.origin: archive for archive in (*listed, *filter(None, receipts.values()))}
        there = {name for folder in FOLDERS for name in place.names_below(folder)} - overwritten
        finished = {task.origin: known[task.origin] for task in tasks if task.origin in known and task.path in there}
        useless = {name: entry for name, entry in receipts.items() if entry is None or entry.origin not in finished}
        return Earlier(listed, finished, useless)

    def make_way(self, place: Place, tasks: Sequence[Task]) -> None:
        """Leave no entry of what is about to be overwritten, before the first of ``tasks`` is done.

        The manifest keeps the documents of which nothing will be overwritten. An archive that is finished, but belongs
        to one of the others, has a receipt from then on.
        """
        of_receipts = {entry.path for entry in self.useless.values() if entry is not None}
        lost = {task.path for task in tasks if task.origin not in self.finished} | of_receipts
        documents = {part.name for archive in self.listed if archive.path in lost for part in archive.parts}
        dropped = {
            archive.path: archive for archive in self.listed if any(part.name in documents for part in archive.parts)
        }
        if dropped:
            for archive in dropped.values():
                if archive.origin in self.finished:
                    write_receipt(archive, place)
            _rewrite_manifest(place, [archive for archive in self.listed if archive.path not in dropped])
        _remove_archives(place, dropped.keys() | of_receipts, tasks)
        place.remove(list(self.useless))

    def clear(self, place: Place, tasks: Sequence[Task]) -> None:
        """Remove what nobody needs when the manifest has all that ``tasks`` made: receipts, the archives of documents
        that are gone, and what workers that were killed had begun to write."""
        place.remove_folder(RECEIPTS)
        for folder in FOLDERS:
            place.remove_unfinished(folder)
        _remove_archives(place, {archive.path for archive in self.listed}, tasks)


def _listed(place: Place) -> tuple[Archive, ...]:
    try:
        return Manifest.from_json(place.read(MANIFEST_NAME)).archives
    except (FileNotFoundError, DamagedError):
        return ()


def _rewrite_manifest(place: Place, archives: Sequence[Archive]) -> None:
    """Without archives there is no manifest: an empty one would pass for a corpus that is whole."""
    if archives:
        place.write(MANIFEST_NAME, Manifest(tuple(archives)).to_json())
    else:
        place.remove([MANIFEST_NAME])


def _remove_archives(place: Place, paths: set[str], tasks: Sequence[Task]) -> None:
    """Remove the archives at ``paths`` that are there, but for those that ``tasks`` make."""
    unneeded = sorted(paths - {task.path for task in tasks})
    place.remove([path for path in unneeded if place.exists(path)])
