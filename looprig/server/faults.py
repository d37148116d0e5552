"""Faults that the server makes by itself: which, how often, and what they do to an answer.

Those that a scenario plans come from the scenario. Whether a fault meets a request depends on the seed and on the
request's place, or on how many requests came before it: two runs of one client meet the same ones.
"""

from __future__ import annotations

import math
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from looprig.messages import Message
from looprig.providers.base import Problem, Provider, Stream

STATUS_FAULTS = ("bad_request", "bad_key", "not_found", "rate_limit", "quota", "server_error", "overloaded", "timeout")
"""Answered with an error in place of a reply."""

STREAM_FAULTS: Mapping[str, str] = {
    "error_event": "an error comes as an event, after status 200 and half of the answer",
    "cut": "the stream ends well-formed before the answer does",
    "truncate": "the stream ends in the middle of an event",
    "drop": "the connection is closed in the middle of the answer",
    "stall": "half of the answer comes, then nothing more",
    "corrupt": "one event is not JSON",
}
"""What happens to a reply on its way; of a reply that is not streamed the body is cut or dropped."""

REPLY_FAULTS: Mapping[str, str] = {
    "duplicate_id": "all calls of a reply have the id of the first",
    "broken_arguments": "the arguments of the last call end early",
    "late_id": "the id of the first call comes with its arguments and not before (streams of Chat Completions)",
}
"""What is wrong with a reply that arrives whole."""

KINDS = (*STATUS_FAULTS, *STREAM_FAULTS, *REPLY_FAULTS)


class BadFault(ValueError):
    """A fault that cannot be read; the text says how to write one."""


@dataclass(slots=True)
class FaultPlan:
    """One ``--fault``: its kind, and which requests meet it.

    ``every`` counts requests, ``rate`` is a share of them, ``times`` bounds how many meet it in all. ``retry_s`` is
    what the error tells a client to wait, ``should_retry`` what it tells it in ``x-should-retry``.
    """

    kind: str
    every: int = 1
    rate: float | None = None
    times: int | None = None
    retry_s: float | None = None
    should_retry: bool | None = None
    _asked: int = 0
    _met: int = 0

    def reset(self) -> None:
        """Count from nought again."""
        self._asked = self._met = 0

    def meets(self, seed: int, place: str) -> bool:
        """Count a request, and say whether the fault meets it."""
        self._asked += 1
        if self.times is not None and self._met >= self.times:
            return False
        if self.rate is not None:
            met = zlib.crc32(f"{seed}/{self.kind}/{place}".encode()) < self.rate * 2**32
        else:
            met = self._asked % self.every == 0
        self._met += met
        return met


_PARTS = {
    "every": re.compile(r"[1-9]\d{0,8}"),
    "rate": re.compile(r"0?\.\d{1,9}|[01](?:\.0*)?"),
    "times": re.compile(r"[1-9]\d{0,8}"),
    "retry": re.compile(r"\d{1,6}(?:\.\d{1,3})?"),
    "should_retry": re.compile(r"true|false"),
}


def parse_fault(text: str) -> FaultPlan:
    """Read ``KIND``, ``KIND:every=N``, ``KIND:rate=P`` and so on.

    Raises:
        BadFault: with what is wrong, and what there is.
    """
    kind, _, rest = text.strip().partition(":")
    if kind not in KINDS:
        raise BadFault(f"there is no fault {kind!r}; there are {', '.join(KINDS)}")
    plan = FaultPlan(kind)
    for part in filter(None, rest.split(",")):
        key, _, value = part.strip().partition("=")
        if key not in _PARTS or not _PARTS[key].fullmatch(value):
            raise BadFault(
                f"{text!r}: {part!r} is not understood; write {kind}:every=10 or {kind}:rate=0.05, and if you like "
                "times=N, retry=SECONDS, should_retry=true|false, with commas between them"
            )
        match key:
            case "rate":
                plan.rate = float(value)
            case "retry":
                plan.retry_s = float(value)
            case "should_retry":
                plan.should_retry = value == "true"
            case _:
                setattr(plan, key, int(value))
    return plan


def problem_of(provider: Provider, plan: FaultPlan) -> Problem:
    """Return the error of a status fault, in the provider's words."""
    figures: dict[str, Any] = {}
    if plan.kind == "rate_limit":
        figures = {"limit": 60, "used": 60, "requested": 1, "retry_s": 1.0 if plan.retry_s is None else plan.retry_s}
    problem = provider.fault(plan.kind, **figures)
    headers = dict(problem.headers)
    if plan.retry_s is not None:
        # The official clients look at the milliseconds first, whichever provider they are for.
        headers |= {"retry-after": f"{math.ceil(plan.retry_s)}", "retry-after-ms": f"{plan.retry_s * 1000:.0f}"}
    if plan.should_retry is not None:
        headers["x-should-retry"] = "true" if plan.should_retry else "false"
    return msgspec.structs.replace(problem, headers=headers)


def spoiled(kind: str, message: Message) -> Message:
    """Return the reply with what a reply fault does to it; one without calls stays as it is."""
    calls = message.tool_calls
    if not calls:
        return message
    if kind == "duplicate_id":
        calls = tuple(msgspec.structs.replace(call, id=calls[0].id) for call in calls)
    elif kind == "broken_arguments":
        calls = (*calls[:-1], msgspec.structs.replace(calls[-1], arguments=calls[-1].arguments[:-1]))
    return msgspec.structs.replace(message, tool_calls=calls)


_FIRST_ID = re.compile(rb'(?<="index":0,)("id":"[^"]+",)("type":"function",)')


def with_late_id(stream: Stream) -> Stream:
    """Return the stream with the first call's id in the event of its first arguments."""
    found = _FIRST_ID.search(stream.head)
    if found is None or not stream.deltas:
        return stream
    head = stream.head[: found.start(1)] + stream.head[found.end(1) :]
    call = b'"tool_calls":[{"index":0,'
    first = stream.deltas[0].replace(call, call + found[1], 1)
    return Stream(head=head, deltas=[first, *stream.deltas[1:]], tail=stream.tail)


def broken_stream(kind: str, stream: Stream, error: bytes) -> Stream:
    """Return the stream as a fault leaves it: its first half, and what the fault puts in place of the rest."""
    half = len(stream.deltas) // 2
    first: Sequence[bytes] = stream.deltas[:half]
    head, rest = stream.head, stream.deltas[half] if half < len(stream.deltas) else stream.tail
    match kind:
        case "error_event":
            return Stream(head=head, deltas=first, tail=error)
        case "truncate" | "drop":
            return Stream(head=head, deltas=first, tail=rest[: max(1, len(rest) // 2)])
        case "corrupt":
            damaged = rest.replace(b"{", b"{{", 1)
            return Stream(head=head, deltas=[*first, damaged, *stream.deltas[half + 1 :]], tail=stream.tail)
        case _:  # cut, stall
            return Stream(head=head, deltas=first, tail=b"")
