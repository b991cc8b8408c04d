"""Build the page: ``python packaging/web/build.py OUT --pyodide FOLDER --wheels FOLDER``.

Wants Emscripten (Debian's will do), a folder of Pyodide 0.27 (``npm install pyodide@0.27.7``), and a folder with wheels
for it: numpy, xxhash and lzma, as Pyodide's distribution and PyPI have them. What Pyodide's lock file names must have
the checksum that it says. OUT is then served by any web server.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import click

ROOT = Path(__file__).parents[2]
CORE = ROOT / "compressor" / "core"
PAGE = ("index.html", "worker.js")
RUNTIME = ("pyodide.js", "pyodide.asm.js", "pyodide.asm.wasm", "pyodide-lock.json", "python_stdlib.zip")
PACKAGES = ("numpy", "xxhash", "lzma")
LEFT_OUT = re.compile(r"(/tests?/|\.pyi$|\.dist-info/|__pycache__|/cli/|\.[ch]$|\.inc$|\.so$)")
"""Of our own package and of wheels: what the page does not need."""
NARROW = re.compile(rb"(#define SIZEOF_(?:LONG|SIZE_T|VOID_P|UINTPTR_T|PTHREAD_T)) 8")


def headers(folder: Path) -> Path:
    """This Python's headers, with the sizes of a machine of 32 bits: the stable interface is the same."""
    include = Path(sysconfig.get_paths()["include"])
    shutil.copytree(include, folder)
    config = folder / "pyconfig.h"
    config.write_bytes(NARROW.sub(rb"\1 4", config.read_bytes()))
    return folder


def compile_core(out: Path) -> None:
    """The extension module as a side module of Pyodide's Python."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "emcc", "-O3", "-std=c11", "-fPIC", "-msimd128", "-DPy_LIMITED_API=0x030B0000", f"-I{CORE}",
            f"-I{headers(Path(folder) / 'include')}", "-o", str(Path(folder) / "native.wasm"),
            *map(str, sorted(CORE.glob("*.c"))),
            "-sSIDE_MODULE=2", "-sWASM_BIGINT=1", "-sEXPORTED_FUNCTIONS=['_PyInit__native']",
        ]  # fmt: skip
        # Debian's emcc looks for node's modules where Debian's node has them.
        environment = {"NODE_PATH": "/usr/share/nodejs"} | os.environ
        subprocess.run(command, check=True, env=environment)
        shutil.copyfile(Path(folder) / "native.wasm", out)


def wheel_of(name: str, wheels: Path, lock: dict[str, dict[str, str]]) -> Path:
    """The wheel of a package, which must be what the lock file says, where it has that file."""
    found = sorted(wheels.glob(f"{name}-*wasm32.whl"))
    if not found:
        raise click.ClickException(f"no wheel of {name} in {wheels}")
    digest = hashlib.sha256(found[-1].read_bytes()).hexdigest()
    locked = lock.get(name, {})
    if locked.get("file_name") == found[-1].name and locked["sha256"] != digest:
        raise click.ClickException(f"{found[-1].name} is not what Pyodide's lock file says")
    return found[-1]


def members(wheel: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if name.endswith(".so") or not (name.endswith("/") or LEFT_OUT.search(name)):
                yield name, archive.read(name)


@click.command()
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--pyodide", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--wheels", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
def build(out: Path, pyodide: Path, wheels: Path) -> None:
    """Write the page and all it loads to OUT."""
    (out / "pyodide").mkdir(parents=True, exist_ok=True)
    for name in PAGE:
        shutil.copyfile(Path(__file__).parent / name, out / name)
    for name in RUNTIME:
        shutil.copyfile(pyodide / name, out / "pyodide" / name)
    lock = json.loads((pyodide / "pyodide-lock.json").read_text(encoding="utf-8"))["packages"]
    compile_core(out / "native.wasm")
    with zipfile.ZipFile(out / "llmzip.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted((ROOT / "compressor").rglob("*")):
            name = f"llmzip/{path.relative_to(ROOT / 'compressor').as_posix()}"
            if path.is_file() and not LEFT_OUT.search(name):
                archive.write(path, name)
        archive.write(out / "native.wasm", "llmzip/core/_native.so")
        archive.write(Path(__file__).parent / "constriction.py", "constriction.py")
        for package in PACKAGES:
            for name, content in members(wheel_of(package, wheels, lock)):
                archive.writestr(name, content)
    (out / "native.wasm").unlink()


if __name__ == "__main__":
    build()
