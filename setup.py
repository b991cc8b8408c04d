"""The native core: one extension module against Python's stable interface."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CORE = Path("compressor/core")


class BuildOnAllCores(build_ext):
    """Compiles an extension's files side by side; setuptools does that with extensions only."""

    def build_extensions(self) -> None:
        compile_in_turn = self.compiler.compile

        def compile_all(sources: list[str], **options: Any) -> list[str]:
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                objects = list(pool.map(lambda source: compile_in_turn([source], **options), sources))
            return [name for names in objects for name in names]

        self.compiler.compile = compile_all
        super().build_extensions()


setup(
    cmdclass={"build_ext": BuildOnAllCores},
    ext_modules=[
        Extension(
            "llmzip.core._native",
            sources=sorted(str(path) for path in CORE.glob("*.c")),
            depends=sorted(str(path) for path in [*CORE.glob("*.h"), *CORE.glob("*.inc")]),
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            py_limited_api=True,
            extra_compile_args=["-std=c11", "-O3", "-Wall", "-Wextra"],
            extra_link_args=["-pthread"],
        )
    ],
    # Made by packaging/reference.py from the commands, so that building needs nothing but setuptools.
    data_files=[
        ("share/man/man1", ["packaging/llmzip.1"]),
        ("share/bash-completion/completions", ["packaging/completions/llmzip"]),
        ("share/zsh/site-functions", ["packaging/completions/_llmzip"]),
        ("share/fish/vendor_completions.d", ["packaging/completions/llmzip.fish"]),
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
