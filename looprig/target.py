"""Finds the loop under test by its text form: ``module:factory,key=value,...``.

``reference`` is short for the reference loop, and an adapter's name for its factory; ``path/to/file.py:factory``
names a file. This is the one place that knows the reference loop, and it knows it as text.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from looprig import content
from looprig.adapters import ADAPTERS

SHORT = {"reference": "reference_loop:make_loop", **ADAPTERS}

REFERENCE = "reference_loop"
"""The package of the reference loop, of which `part` fetches a piece to be measured by itself."""


class TargetError(Exception):
    """The text names no loop that can be made; the text of the error says why and what to do."""


@dataclass(frozen=True, slots=True)
class Target:
    """A loop under test: its text form, its factory without options, and the options."""

    spec: str
    factory: Callable[..., Any]
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def clock(self) -> str:
        """The clock that the loop needs: its module says ``CLOCK = "real"`` where virtual time is not for it."""
        return clock_of(self.factory)

    def make(self) -> Callable[..., Any]:
        """Return the factory with its options filled in; it takes (model, tools)."""
        return functools.partial(self.factory, **self.options) if self.options else self.factory


def clock_of(factory: Callable[..., Any]) -> str:
    """Return the clock that the loops of *factory* need: ``virtual``, unless their module says otherwise."""
    return str(getattr(sys.modules.get(factory.__module__), "CLOCK", "virtual"))


def find(spec: str) -> Target:
    """Find the loop that *spec* names.

    Raises:
        TargetError: where the module cannot be imported, has no such factory, or an option is malformed.
    """
    name, *settings = spec.split(",")
    name = SHORT.get(name, name)
    where, colon, attribute = name.rpartition(":")
    if not colon or not where or not attribute:
        known = ", ".join(SHORT)
        raise TargetError(
            f"{spec!r} names no loop: write module:factory, path/to/file.py:factory or a short name ({known}), "
            "and options behind it as ,key=value"
        )
    factory = _attribute(_module(where), where, attribute)
    return Target(spec, factory, dict(_option(spec, setting) for setting in settings))


def lookup(spec: str, what: str = "function") -> tuple[Any, dict[str, Any]]:
    """Return whatever *spec* names, be it callable or not, and the options behind it; errors call it a *what*.

    Raises:
        TargetError: where there is none, or an option is malformed.
    """
    name, *settings = spec.split(",")
    where, colon, attribute = name.rpartition(":")
    if not colon or not where or not attribute:
        raise TargetError(
            f"{spec!r} names no {what}: write module:{what} or path/to/file.py:{what}, "
            "and options behind it as ,key=value"
        )
    return _named(_module(where), where, attribute), dict(_option(spec, setting) for setting in settings)


def part(module: str, name: str) -> Any:
    """Return what the reference loop's *module* calls *name*, such as its monitor, to measure it by itself.

    Raises:
        TargetError: where there is no such thing.
    """
    where = f"{REFERENCE}.{module}"
    found = _module(where)
    if not hasattr(found, name):
        raise TargetError(f"{where} has no {name!r}")
    return getattr(found, name)


def _module(where: str) -> ModuleType:
    if where.endswith(".py"):
        try:
            return content.load(Path(where))
        except content.ContentError as error:
            raise TargetError(str(error)) from error
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)  # as `python -m pytest` does: the user's own modules are found from where they stand
    try:
        return importlib.import_module(where)
    except ModuleNotFoundError as error:
        if error.name is not None and (where == error.name or where.startswith(error.name + ".")):
            raise TargetError(
                f"there is no module {where!r} on the Python path or in {Path.cwd().name}/; "
                "run looprig from your project's folder, or install your project"
            ) from error
        extra = next((name for name, text in ADAPTERS.items() if text.startswith(f"{where}:")), None)
        hint = f"; install what it needs: pip install 'looprig[{extra}]'" if extra else ""
        raise TargetError(f"importing {where} failed: {error}{hint}") from error
    except Exception as error:
        raise TargetError(f"importing {where} failed: {type(error).__name__}: {error}") from error


def _attribute(module: ModuleType, where: str, attribute: str) -> Callable[..., Any]:
    found = _named(module, where, attribute)
    if not callable(found):
        raise TargetError(f"{where}:{attribute} is {type(found).__name__}, not a factory that can be called")
    factory: Callable[..., Any] = found
    return factory


def _named(module: ModuleType, where: str, attribute: str) -> Any:
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            names = [name for name, value in vars(found).items() if callable(value) and not name.startswith("_")]
            close = difflib.get_close_matches(part, names, 1)
            hint = (
                f"did you mean {close[0]!r}?" if close else f"it has {', '.join(sorted(names)[:8]) or 'no callables'}"
            )
            raise TargetError(f"{where} has no {part!r}; {hint}")
        found = getattr(found, part)
    return found


def _option(spec: str, setting: str) -> tuple[str, Any]:
    name, equals, text = setting.partition("=")
    if not equals or not name.isidentifier():
        raise TargetError(f"{setting!r} in {spec!r} is no option: write ,key=value")
    return name, value_of(text)


def value_of(text: str) -> int | float | bool | str | None:
    """Read an option's value: a number, true, false, on, off or none where it looks like one, else the text."""
    words: dict[str, bool | None] = {"true": True, "on": True, "false": False, "off": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
