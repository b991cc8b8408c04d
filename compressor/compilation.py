"""How kernels are compiled that only work on arrays they are given: once, into a cache on disk; callable from threads;
without counting references.

Numba counts references to every array of every tuple that a function is given, atomically, at each call: a third of
mixed mode's time. What these decorators compile must therefore not make arrays, nor call what does.
"""

from __future__ import annotations

from typing import Any

from numba import njit

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False}

compiled = njit(**_OPTIONS)
inlined = njit(inline="always", **_OPTIONS)
