"""How kernels are compiled that only work on arrays they are given: once, into a cache on disk; callable from threads;
without counting references. And what asks memory ahead of its use.

Numba counts references to every array of every tuple that a function is given, atomically, at each call: a third of
mixed mode's time. What these decorators compile must therefore not make arrays, nor call what does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic


def _discard_stale_kernels() -> None:
    """Empty the package's cache of kernels where any of its modules has changed: numba looks at a kernel's own module
    only, not at those whose functions were compiled into it."""
    folder = Path(__file__).parent
    sources = ((path.name, path.stat()) for path in sorted(folder.glob("*.py")))
    state = "".join(f"{name} {status.st_mtime_ns} {status.st_size}\n" for name, status in sources)
    kept = folder / "__pycache__" / "kernels.txt"
    try:
        if kept.exists() and kept.read_text() == state:
            return
        for kernel in kept.parent.glob("*.nb[ic]"):
            kernel.unlink(missing_ok=True)
        kept.write_text(state)
    except OSError:  # nobody may write there: numba then keeps kernels elsewhere
        return


_discard_stale_kernels()
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False}

compiled = njit(**_OPTIONS)
inlined = njit(inline="always", **_OPTIONS)


@intrinsic
def prefetch(typing_context, array, place):  # type: ignore[no-untyped-def]
    """Ask for the line of cache around one place of an array, which will be read and written soon."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        word, byte_pointer = ir.IntType(32), ir.IntType(8).as_pointer()
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [byte_pointer, word, word, word]), "llvm.prefetch.p0"
        )
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), byte_pointer)
        builder.call(function, [pointer, word(1), word(3), word(1)])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate
