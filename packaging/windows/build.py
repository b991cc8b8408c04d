"""Build the wheel for 64-bit Windows on another system: ``python packaging/windows/build.py OUT``.

Wants clang, and mingw-w64 with its threads (Debian: clang, gcc-mingw-w64-x86-64-posix). gcc compiles the core too, but
does not align AVX registers on Windows' stack. Everything but the extension module is that of a wheel for this machine.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

import click

ROOT = Path(__file__).parents[2]
CORE = ROOT / "compressor" / "core"
TARGET = "x86_64-w64-mingw32"
TAG = "cp311-abi3-win_amd64"
MODULE = "llmzip/core/_native"


def headers(folder: Path) -> Path:
    """This Python's headers, with what they must know of Windows: the stable interface is the same."""
    shutil.copytree(Path(sysconfig.get_paths()["include"]), folder)
    shutil.copyfile(Path(__file__).with_name("pyconfig.h"), folder / "pyconfig.h")
    return folder


def compile_core(folder: Path, clang: str) -> Path:
    """The extension module, linked against nothing but Python's stable interface and what every Windows has."""
    flags = [f"--target={TARGET}", "-std=c11", "-O3", "-Wall", "-Wextra", "-Werror", "-DPy_LIMITED_API=0x030B0000"]
    include = headers(folder / "include")
    objects = []
    for source in sorted(CORE.glob("*.c")):
        objects.append(folder / f"{source.stem}.o")
        subprocess.run([clang, *flags, f"-I{include}", "-c", str(source), "-o", str(objects[-1])], check=True)
    undefined = subprocess.run([f"{TARGET}-nm", "-u", *objects], check=True, capture_output=True, text=True).stdout
    names = sorted(set(re.findall(r"\b(?:__imp_)?(_?Py\w+)", undefined)))
    exports = folder / "python3.def"
    exports.write_text("\n".join(["LIBRARY python3.dll", "EXPORTS", *names, ""]))
    subprocess.run([f"{TARGET}-dlltool", "-d", exports, "-l", folder / "libpython3.a"], check=True)
    module = folder / "_native.pyd"
    linker = [f"{TARGET}-gcc-posix", "-shared", "-static", "-s", "-o", module]
    subprocess.run([*linker, *objects, f"-L{folder}", "-lpython3", "-lpthread"], check=True)
    return module


def repack(wheel: Path, module: Path, out: Path) -> Path:
    """The same wheel with another extension module, and the name of the platform that it is for."""
    name, version = wheel.name.split("-")[:2]
    target = out / f"{name}-{version}-{TAG}.whl"
    record = []
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            data = old.read(entry)
            if entry.filename.startswith(f"{MODULE}.") and entry.filename.endswith(".so"):
                entry.filename, data = f"{MODULE}.pyd", module.read_bytes()
            elif entry.filename.endswith(".dist-info/WHEEL"):
                data = re.sub(rb"(?m)^Tag: .*$", f"Tag: {TAG}".encode(), data)
            elif entry.filename.endswith(".dist-info/RECORD"):
                listed = "".join(f"{line}\n" for line in [*record, f"{entry.filename},,"])
                data = listed.encode()
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{entry.filename},sha256={digest},{len(data)}")
            new.writestr(zipfile.ZipInfo(entry.filename, entry.date_time), data, zipfile.ZIP_DEFLATED)
    return target


@click.command()
@click.argument("out", type=click.Path(file_okay=False, path_type=Path))
@click.option("--clang", default=lambda: shutil.which("clang") or shutil.which("clang-14") or "clang")
def main(out: Path, clang: str) -> None:
    """Build the wheel into the folder OUT."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
        subprocess.run(pip, check=True)
        (wheel,) = folder.glob("llmzip-*.whl")
        click.echo(repack(wheel, compile_core(folder, clang), out))


if __name__ == "__main__":
    main()
