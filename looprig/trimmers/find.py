"""Finds the trimmer under test by its text form: a user's own function, or a `Subject` that somebody declared.

``module:function`` names a function from a list to a list, with options behind it as ``,key=value``. Where its limit
is an argument, ``,max_messages=LIMIT`` says which one; an argument called ``limit`` is found by itself.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from looprig import target
from looprig.target import TargetError
from looprig.trimmers.contract import CODECS, MEASURES, Codec, Measure, Mode, Subject, TrimContract, Trimmer, Unit
from looprig.trimmers.judge import RULES

PLACEHOLDER = "LIMIT"


class TrimmerError(Exception):
    """The text names no trimmer that can be judged, or promises nothing that can be; says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """What the command line says of a function: its limits, and the rest of its contract."""

    limits: tuple[int, ...] = ()
    unit: str = "messages"
    codec: str = "dicts"
    mode: Mode = "pure"
    notes: tuple[str, ...] = ()
    pins: tuple[str, ...] = ()
    waive: Mapping[str, str] = field(default_factory=dict)


def find(spec: str, promises: Promises, only: str | None = None) -> Sequence[Subject]:
    """Return the subjects that *spec* names: one for a function, as many as were declared for others.

    Raises:
        TrimmerError: where there is none, or the promises do not fit it.
    """
    try:
        found, options = target.lookup(spec)
    except TargetError as error:
        raise TrimmerError(str(error)) from error
    waive = {_code(code): reason for code, reason in promises.waive.items()}
    promises = replace(promises, waive=waive)
    if isinstance(found, Subject):
        return [_declared(found, promises)]
    if isinstance(found, Sequence) and found and all(isinstance(entry, Subject) for entry in found):
        return [_declared(entry, promises) for entry in _chosen(found, only)]
    if not callable(found):
        raise TrimmerError(
            f"{spec} is {type(found).__name__}; a trimmer is a function from a list of messages to a list of messages, "
            "or a looprig.trimmers.contract.Subject"
        )
    return [_own(spec, found, options, promises)]


def _chosen(found: Sequence[Subject], only: str | None) -> Sequence[Subject]:
    chosen = [entry for entry in found if only is None or only == entry.name]
    if not chosen:
        raise TrimmerError(f"no trimmer there is called {only!r}; there are {', '.join(entry.name for entry in found)}")
    return chosen


def _declared(subject: Subject, promises: Promises) -> Subject:
    """Return a declared subject with other limits and further waivers, where the command line has any."""
    if promises.waive:
        contract, waive = subject.contract, promises.waive
        subject = replace(
            subject, contract=lambda limit: replace(contract(limit), waive={**contract(limit).waive, **waive})
        )
    return replace(subject, limits=promises.limits) if promises.limits else subject


def _own(spec: str, function: Callable[..., Any], options: dict[str, Any], promises: Promises) -> Subject:
    names = [name for name, value in options.items() if value == PLACEHOLDER] or _named_limit(function, options)
    if not names and len(promises.limits) != 1:
        raise TrimmerError(
            f"what is the limit of {spec}? If it is built in, give it with --limit N; if it is an argument, "
            f"name it as {spec},ARGUMENT={PLACEHOLDER}"
        )

    def make(limit: int) -> Trimmer:
        given = {**options, **dict.fromkeys(names, limit)}
        return functools.partial(function, **given) if given else function

    try:
        inspect.signature(function).bind([], **options, **dict.fromkeys(set(names) - set(options), 1))
    except TypeError as error:
        raise TrimmerError(
            f"{spec} cannot be called with a list of messages: {error}; a trimmer takes one list, and its other "
            "arguments are given as ,key=value"
        ) from None
    except ValueError:
        pass  # a callable without a readable signature: the call itself will tell
    return Subject(
        name=spec, make=make, contract=_contract(promises), codec=codec(promises.codec), limits=promises.limits
    )


def _named_limit(function: Callable[..., Any], options: Mapping[str, Any]) -> list[str]:
    try:
        names = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return []
    return ["limit"] if "limit" in names and "limit" not in options else []


def _contract(promises: Promises) -> Callable[[int], TrimContract]:
    unit = _unit(promises.unit)

    def contract(limit: int) -> TrimContract:
        return TrimContract(
            limit=limit,
            unit=unit,
            mode=promises.mode,
            pins=promises.pins,
            notes=promises.notes,
            waive=promises.waive,
        )

    try:
        contract(1)
    except ValueError as error:
        raise TrimmerError(str(error)) from None
    return contract


def _unit(name: str) -> Unit | Measure:
    if name in MEASURES:
        return name  # type: ignore[return-value]
    if ":" not in name:
        raise TrimmerError(
            f"{name!r} is no unit: write {', '.join(MEASURES)}, or module:function for a measure of your own, which "
            "gets a list of looprig.messages.Message and returns a number"
        )
    try:
        measure, options = target.lookup(name)
    except TargetError as error:
        raise TrimmerError(str(error)) from error
    if not callable(measure):
        raise TrimmerError(f"{name} is {type(measure).__name__}, not a function that measures a list of messages")
    return functools.partial(measure, **options)


def codec(name: str) -> Codec:
    """Return the codec called *name*: ``dicts``, ``messages``, or a framework's.

    Raises:
        TrimmerError: where there is none, or the framework is not installed.
    """
    if name in CODECS:
        return CODECS[name]
    try:
        module = importlib.import_module(f"looprig.trimmers.frameworks.{name.replace('-', '_')}")
    except ImportError as error:
        raise TrimmerError(
            f"there are no messages of the kind {name!r} here ({error}); write {', '.join(CODECS)}, or the name of an "
            "installed framework, such as langchain"
        ) from error
    found: Codec = module.SUBJECTS[0].codec
    return found


def _code(name: str) -> str:
    """Return the code of a rule from its code or its number in the study."""
    for code, rule in RULES.items():
        if name.upper() in (code, rule.note):
            return code
    raise TrimmerError(f"there is no rule {name!r} to waive; there are {', '.join(RULES)}")
