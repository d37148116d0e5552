"""Finds scenario and load-test files by path, and makes scenarios from them.

Scenarios are content, not a package: a user's project will have a folder of that very name.
A scenario file defines::

    def scenario(seed: int, *, turns: int = 20) -> Scenario: ...

Its name is that of the file, its description the first line of the file's docstring, and its
parameters are the function's own, which have a default of type int, float, str or bool.

Names are looked up in the files and folders that the caller names, then in ``./scenarios`` of
the working directory, then among the standard ones. The first file of a name has it; a later
one is listed under its path.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import math
import os
import sys
import traceback
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from looprig.scenario import Scenario

__all__ = [
    "ContentError",
    "Parameter",
    "ScenarioFile",
    "accepts",
    "find_scenario",
    "find_scenarios",
    "load",
    "make_scenario",
    "standard",
]

_PACKAGE = Path(__file__).parent

Value = int | float | str | bool


class ContentError(Exception):
    """A scenario or load test that cannot be had; the text says why, and what to change."""


class Parameter(NamedTuple):
    """One parameter of a scenario."""

    type: type[int] | type[float] | type[str] | type[bool]
    default: Value


def standard(kind: str) -> Path:
    """Return the folder of the standard *kind*, "scenarios" or "loadtests".

    A wheel carries it inside this package; in a checkout it is the top-level folder of that name.
    """
    shipped = _PACKAGE / "_standard" / kind
    checkout = _PACKAGE.parent / kind
    if shipped.is_dir():
        return shipped
    # Without the second test, a damaged wheel would pick up somebody else's site-packages/scenarios.
    if checkout.is_dir() and (_PACKAGE.parent / "pyproject.toml").is_file():
        return checkout
    raise ContentError(f"no standard {kind}: neither {shipped} nor a checkout's {kind}/ exists; reinstall looprig")


def load(path: Path) -> ModuleType:
    """Import the file at *path*; files of one folder may import each other with ``from ._name``.

    Raises:
        ContentError: with the reason and its line, where the file cannot be imported.
    """
    path = path.resolve()
    if not path.is_file():
        raise ContentError(f"there is no file {path}")
    if path.suffix != ".py" or "." in path.stem:
        raise ContentError(f"{path} cannot be imported: its name must be one word and .py")
    package = _package_of(path.parent)
    try:
        return importlib.import_module(f"{package}.{path.stem}")
    except (Exception, SystemExit) as error:
        raise ContentError(f"{path} cannot be imported: {_reason(error, path)}") from error


def _package_of(folder: Path) -> str:
    """Return the name of a package that stands for *folder*: equal in every process, and nobody else's."""
    name = f"looprig_content_{zlib.crc32(bytes(folder)):08x}"
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    # A file may be younger than Python's last look at the folder.
    importlib.invalidate_caches()
    return name


def _reason(error: BaseException, path: Path) -> str:
    """Say what went wrong, and in which line of *path* or of the files beside it."""
    kind = type(error).__name__
    if isinstance(error, SyntaxError) and error.filename:
        return f"{kind}: {error.msg} ({Path(error.filename).name}, line {error.lineno})"
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).parent == path.parent]
    where = f" ({Path(ours[-1].filename).name}, line {ours[-1].lineno})" if ours else ""
    return f"{kind}: {error}{where}" if str(error) else f"{kind}{where}"


class _Contents(NamedTuple):
    """What a scenario file holds, or why it cannot be used."""

    function: Callable[..., Any] | None = None
    description: str = ""
    parameters: Mapping[str, Parameter] = {}
    error: str = ""


@dataclass(frozen=True)  # without slots: the contents are read, and kept, when they are first asked for
class ScenarioFile:
    """A file with a scenario. Asking a broken one for its contents does not raise: ``error`` says what is wrong."""

    name: str
    path: Path
    function: str = "scenario"

    @cached_property
    def _contents(self) -> _Contents:
        try:
            return _read(load(self.path), self.function, self.path)
        except ContentError as error:
            return _Contents(error=str(error))

    @property
    def description(self) -> str:
        """The first line of the docstring."""
        return self._contents.description

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        """What can be set, with types and defaults; empty for a broken file."""
        return self._contents.parameters

    @property
    def error(self) -> str:
        """Why no scenario can be made from this file; empty where one can."""
        return self._contents.error

    def make(self, seed: int, settings: Mapping[str, str]) -> Scenario:
        """Return the scenario of *seed*, with *settings* as text in the place of defaults.

        Raises:
            ContentError: where the file is broken, a setting does not fit, or the generator fails.
        """
        function = self._contents.function
        if function is None:
            raise ContentError(self.error)
        values = {name: self._convert(name, text) for name, text in settings.items()}
        try:
            made = function(seed, **values)
        except Exception as error:
            given = "".join(f" {name}={text}" for name, text in settings.items())
            raise ContentError(f"scenario {self.name}{given}: {_reason(error, self.path.resolve())}") from error
        if not isinstance(made, Scenario):
            raise ContentError(
                f"scenario {self.name} returned a value of type {type(made).__name__}; "
                "it must return a looprig.scenario.Scenario"
            )
        return made

    def _convert(self, name: str, text: str) -> Value:
        parameter = self.parameters.get(name)
        if parameter is None:
            raise ContentError(_unknown(f"scenario {self.name} has no parameter {name!r}", name, self.parameters))
        reader, expected = _READERS[parameter.type]
        try:
            return reader(text)
        except ValueError:
            raise ContentError(f"{name} of scenario {self.name} takes {expected}; {text!r} is not one") from None


def _read(module: ModuleType, name: str, path: Path) -> _Contents:
    function = getattr(module, name, None)
    if not callable(function):
        raise ContentError(f"{path} has no function {name}(seed, ...)")
    doc = (inspect.getdoc(function) if name != "scenario" else None) or inspect.getdoc(module) or ""
    return _Contents(function, doc.partition("\n")[0], dict(_parameters(function, f"{path}: {name}()")))


def _parameters(function: Callable[..., Any], who: str) -> Iterator[tuple[str, Parameter]]:
    signature = inspect.signature(function)
    names = list(signature.parameters)
    if not names or signature.parameters[names[0]].kind not in _POSITIONAL:
        raise ContentError(f"{who} takes the seed first, as in: def scenario(seed: int, *, turns: int = 20)")
    for name in names[1:]:
        parameter = signature.parameters[name]
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if type(parameter.default) not in _READERS:
            raise ContentError(f"{who} must give {name} a default of type int, float, str or bool")
        yield name, Parameter(type(parameter.default), parameter.default)


_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _bool(text: str) -> bool:
    word = text.strip().lower()
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0"):
        return False
    raise ValueError(word)


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


_READERS: Mapping[type, tuple[Callable[[str], Value], str]] = {
    bool: (_bool, "true or false"),
    int: (int, "a whole number"),
    float: (_float, "a number"),
    str: (str, "a text"),
}


def find_scenarios(extra: Sequence[Path] = ()) -> dict[str, ScenarioFile]:
    """Return the scenario files of *extra* (files or folders), of ``./scenarios`` and the standard ones, by name.

    Files whose name starts with ``_`` are helpers of the others. No file is imported before it is asked about.
    """
    found: dict[str, ScenarioFile] = {}
    seen = set()
    for path in _places(extra):
        if (real := path.resolve()) in seen:  # in a checkout, ./scenarios are the standard ones
            continue
        seen.add(real)
        name = path.stem if path.stem not in found else str(path)
        found[name] = ScenarioFile(name, path)
    return found


def _places(extra: Sequence[Path]) -> Iterator[Path]:
    for path in extra:
        if path.is_dir():
            yield from _files(path)
        elif path.is_file():
            yield path
        else:
            raise ContentError(f"there is no file or folder {path}")
    users = Path.cwd() / "scenarios"
    if users.is_dir():
        yield from _files(users)
    yield from _files(standard("scenarios"))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))


def find_scenario(name_or_path: str, extra: Sequence[Path] = ()) -> ScenarioFile:
    """Return the file of a scenario's name, of a path to a ``.py`` file, or of ``path::function``.

    Raises:
        ContentError: where there is none, with the names that come near.
    """
    where, _, function = name_or_path.partition("::")
    if where.endswith(".py") or "/" in where or os.sep in where:
        path = Path(where)
        if path.is_dir():
            raise ContentError(f"{where} is a folder; name one of its files, as in {path / 'my_scenario.py'}")
        if not path.is_file():
            raise ContentError(f"there is no scenario file {where}")
        return ScenarioFile(f"{path.stem}::{function}" if function else path.stem, path, function or "scenario")
    known = find_scenarios(extra)
    if where not in known:
        raise ContentError(_unknown(f"there is no scenario {where!r}", where, known))
    return ScenarioFile(name_or_path, known[where].path, function) if function else known[where]


def make_scenario(
    name_or_path: str, seed: int, settings: Mapping[str, str] | None = None, extra: Sequence[Path] = ()
) -> Scenario:
    """Return the scenario that *name_or_path* names (see `find_scenario`), with *settings* as text.

    Raises:
        ContentError: with what is wrong and what would be right.
    """
    return find_scenario(name_or_path, extra).make(seed, settings or {})


def accepts(file: ScenarioFile, name: str) -> bool:
    """Say whether a setting for several scenarios means this one."""
    return name in file.parameters


def _unknown(text: str, name: str, known: Iterable[str]) -> str:
    """Return *text*, then the names that come near to *name*, then all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=2)
    hint = f"; did you mean {' or '.join(near)}?" if near else "."
    return f"{text}{hint} There are: {', '.join(names)}." if names else f"{text}; it has none."
