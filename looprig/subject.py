"""What a loop under test offers, and how to talk to it: everything that looprig takes from the user's side.

Nothing here trusts it: what cannot be used becomes a `LoopError` that says whose fault it is.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from looprig.loop import Contract
from looprig.messages import Message, message_from_dict


class LoopError(Exception):
    """The loop under test cannot be driven; the text says what is wrong and what to do."""


def is_coroutine_function(function: Any) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def make_loop(factory: Callable[..., Any], model: object, tools: object) -> Any:
    """Call *factory*, and look at what it made.

    Raises:
        LoopError: where the factory cannot be called with (model, tools), raises, or makes no chat loop.
    """
    name = getattr(factory, "__qualname__", repr(factory))
    try:
        inspect.signature(factory).bind(model, tools)
    except TypeError as error:
        raise LoopError(
            f"the factory {name}{_signature(factory)} cannot be called with (model, tools): {error}; "
            "a factory takes looprig's model and tools and returns an object with send(text)"
        ) from None
    except ValueError:
        pass  # a callable without a readable signature: the call itself will tell
    try:
        loop = factory(model, tools)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise LoopError(f"the factory {name} raised {described(error)}") from error
    if inspect.iscoroutine(loop) or inspect.isgenerator(loop):
        loop.close()  # not a word of a coroutine that was never awaited
        raise LoopError(
            f"the factory {name} is a coroutine or a generator; it has to be a function that returns the loop"
        )
    if not callable(getattr(loop, "send", None)):
        raise LoopError(f"the factory {name} made {type(loop).__name__}, which has no method send(text)")
    if inspect.isgeneratorfunction(loop.send) or inspect.isasyncgenfunction(loop.send):
        raise LoopError(
            f"{type(loop).__name__}.send is a generator; it has to return the whole answer: "
            "wrap it in a function that joins its pieces"
        )
    return loop


def _signature(factory: Callable[..., Any]) -> str:
    try:
        return str(inspect.signature(factory))
    except (TypeError, ValueError):
        return "(...)"


def has(loop: Any, name: str) -> bool:
    with blamed(name):
        return getattr(loop, name, None) is not None


@contextlib.contextmanager
def blamed(name: str) -> Iterator[None]:
    """Say of an exception that it came out of the loop's optional part *name*."""
    try:
        yield
    except Exception as error:
        raise LoopError(f"the loop's {name} raised {described(error)}") from error


def contract_of(loop: Any) -> Contract:
    with blamed("contract"):
        declared = getattr(loop, "contract", None)
        if callable(declared):
            declared = declared()
    if declared is None:
        return Contract()
    if isinstance(declared, Contract):
        return declared
    try:
        return msgspec.convert(_known(declared), Contract, from_attributes=True)
    except msgspec.ValidationError as error:
        raise LoopError(f"the loop's contract cannot be read: {error}") from None


def for_providers(contract: Contract, more: tuple[str, ...] = ()) -> Contract:
    """Return *contract* with *more* providers whose rules are kept.

    Raises:
        LoopError: where there is no such provider.
    """
    names = tuple(dict.fromkeys((*contract.providers, *more)))
    if not names:
        return contract
    from looprig.providers import PROVIDERS  # only here: most runs name no provider, and need not load their rules

    unknown = [name for name in names if name not in PROVIDERS]
    if unknown:
        raise LoopError(f"the contract names the unknown provider {unknown[0]!r}; known are {', '.join(PROVIDERS)}")
    return msgspec.structs.replace(contract, providers=names)


def _known(declared: Any) -> Any:
    names = {entry.name for entry in msgspec.structs.fields(Contract)}
    unknown = sorted(set(declared) - names) if isinstance(declared, Mapping) else []
    if unknown:
        raise LoopError(
            f"the loop's contract has the unknown promise {unknown[0]!r}; known are {', '.join(sorted(names))}"
        )
    return declared


def history_of(loop: Any) -> Sequence[Any] | None:
    history = getattr(loop, "history", None)
    if callable(history):
        history = history()
    return history if isinstance(history, Sequence) else None


def open_calls(history: Sequence[Any]) -> tuple[str, ...]:
    """Return the ids of calls that have no result behind them."""
    open_ids: list[str] = []
    for entry in history:
        message = entry if isinstance(entry, Message) else _read(entry)
        if message is None:
            continue
        if message.role == "tool" and message.tool_call_id in open_ids:
            open_ids.remove(message.tool_call_id)
        open_ids.extend(call.id for call in message.tool_calls)
    return tuple(open_ids)


def _read(entry: object) -> Message | None:
    try:
        return message_from_dict(entry) if isinstance(entry, Mapping) else None
    except ValueError:
        return None


def statistics_of(loop: Any) -> dict[str, float | int | str]:
    statistics = getattr(loop, "statistics", None)
    told = statistics() if callable(statistics) else None
    if not isinstance(told, Mapping):
        return {}
    return {str(name): value for name, value in told.items() if _is_figure(value)}


def _is_figure(value: object) -> bool:
    """Whether a recording can hold *value*: no infinity, no number beyond 64 bits."""
    return isinstance(value, str) or (isinstance(value, int | float) and abs(value) < 2**63)


def answer_text(result: object) -> str:
    """Return the text of what ``send`` returned: a text, a message, a dict, or a list of them (the last counts)."""
    if isinstance(result, str):
        return result
    if isinstance(result, Mapping):
        return answer_text(result.get("content"))
    if isinstance(result, Sequence) and not isinstance(result, bytes):
        return answer_text(result[-1]) if result else ""
    for name in ("content", "text"):
        if isinstance(text := getattr(result, name, None), str):
            return text
    return "" if result is None else str(result)


def described(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:
        text = "(its text cannot be shown)"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
