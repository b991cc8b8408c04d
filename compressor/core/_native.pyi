# The extension module's functions check what they are given; their arguments are described in bind_*.c.
from typing import Any

def __getattr__(name: str) -> Any: ...
