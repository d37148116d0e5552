"""What there is to run: the trimmers and the agent of each framework, each in one process of one environment."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from looprig.adapters import ADAPTERS
from looprig.trimmers.frameworks import FRAMEWORKS

Part = Literal["trimmers", "agent"]

ELSEWHERE: Mapping[str, Sequence[str]] = {"camel": ("camel",), "strands": ("newest", "camel")}
"""Frameworks that are not, or not only, run in the environment ``newest``: the other one pins an old Strands."""

NO_FRAMEWORK = ("plain",)
"""Adapters that have nothing of a framework to test."""


class UnknownFramework(Exception):
    """There is no framework of this name; the text says which ones there are."""


class Job(msgspec.Struct, frozen=True):
    """One process: a part of a framework in an environment."""

    environment: str
    framework: str
    part: Part


def names() -> Sequence[str]:
    """Return the names of all frameworks: those with trimmers, then those with an agent alone."""
    return list(dict.fromkeys([*FRAMEWORKS, *(name for name in ADAPTERS if name not in NO_FRAMEWORK)]))


def environments(framework: str) -> Sequence[str]:
    """Return the environments in which a *framework* is run."""
    return ELSEWHERE.get(framework, ("newest",))


def jobs(chosen: Sequence[str] = ()) -> Sequence[Job]:
    """Return the jobs of the *chosen* frameworks, by default all.

    Raises:
        UnknownFramework: with the nearest name.
    """
    for name in chosen:
        known(name)
    found = []
    for framework in chosen or names():
        if framework in FRAMEWORKS:
            found += [Job(environment, framework, "trimmers") for environment in environments(framework)]
        if framework in ADAPTERS:
            found.append(Job(environments(framework)[0], framework, "agent"))
    return found


def known(name: str) -> str:
    """Return *name*, which is that of a framework.

    Raises:
        UnknownFramework: with the nearest name.
    """
    if name in names():
        return name
    close = difflib.get_close_matches(name, names(), 1)
    hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(names())}"
    raise UnknownFramework(f"there is no framework {name!r}; {hint}")
