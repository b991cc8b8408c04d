"""The native core: one extension module against Python's stable interface."""

from pathlib import Path

from setuptools import Extension, setup

CORE = Path("compressor/core")

setup(
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
