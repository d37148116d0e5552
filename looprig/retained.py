"""How many bytes an object keeps alive."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable
from types import BuiltinFunctionType, CodeType, FrameType, FunctionType, ModuleType

import msgspec

# What programs share and no conversation owns; a method is followed through to its object by its own referents.
_SHARED = (type, ModuleType, FunctionType, BuiltinFunctionType, CodeType, FrameType)


def retained_bytes(root: object, apart: Iterable[object]) -> int:
    """Return the size of all that *root* reaches by other ways than through the objects of *apart*.

    Classes, modules and functions are not counted. The figure depends on the Python version and not on the
    machine's speed; it misses what C code holds and does not show to the garbage collector.
    """
    seen = {id(item) for item in apart}
    size = 0
    waiting = [root]
    while waiting:
        item = waiting.pop()
        if id(item) in seen or isinstance(item, _SHARED):
            continue
        seen.add(id(item))
        size += sys.getsizeof(item)
        if isinstance(item, msgspec.Struct):  # such as `Message`, which the garbage collector does not look into
            waiting.extend(getattr(item, name) for name in item.__struct_fields__)
        waiting.extend(gc.get_referents(item))
    return size
