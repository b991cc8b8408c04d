"""shutil: whole folders as .tar.llmz, with ``make_archive`` and ``unpack_archive``."""

import filecmp
import shutil
from pathlib import Path

import llmzip  # noqa: F401 - makes the format known

notes = Path("notes")
notes.mkdir()
for number in range(3):
    (notes / f"{number}.txt").write_text(f"Note {number}: water the plants, feed the cat.\n")

archive = shutil.make_archive("backup", "llmztar", base_dir="notes")
print(archive, Path(archive).stat().st_size, "bytes")

shutil.unpack_archive(archive, "restored")
same, differing, unreadable = filecmp.cmpfiles(
    "notes", "restored/notes", [path.name for path in notes.iterdir()], False
)
assert len(same) == 3 and not differing and not unreadable
